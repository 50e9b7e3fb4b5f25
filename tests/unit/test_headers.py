"""The policy for an endpoint's own headers."""

import pytest

from hookline._domain.headers import check
from hookline.errors import InvalidHeader, InvalidInput

RESERVED = """
    host connection keep-alive te trailer trailers transfer-encoding upgrade expect content-length
    content-type content-encoding content-language content-location cookie forwarded user-agent age
    cache-control expires pragma warning traceparent tracestate metadata metadata-flavor
    proxy-authorization proxy-connection x-forwarded-for x-forwarded-host webhook-id
    webhook-signature webhook-anything svix-id svix-signature x-webhook-signature x-webhook-event
    x-aws-ec2-metadata-token x-amz-security-token x-amzn-trace-id x-google-anything
    x-goog-iap-jwt x-gfe-anything x-azure-ref x-fd-healthprobe
""".split()  # noqa: SIM905 - a list of forty quotes reads worse


def refusal(headers):
    """Return the message of the refusal."""
    with pytest.raises(InvalidHeader) as caught:
        check(headers)
    assert isinstance(caught.value, InvalidInput)
    return str(caught.value)


def test_accepted():
    """Ordinary headers are returned as a plain dict, as they were written and in their order."""
    headers = {
        "Authorization": "Bearer abc.def-ghi",
        "X-Api-Key": "k",
        "X-Empty": "",
        "x_1!#$%&'*+.^`|~": 'visible ASCII, space\tand tab: ~!"(){}<>',
    }
    assert check(headers) == headers
    assert list(check(headers)) == list(headers)
    assert check({}) == {}


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_reserved_names(name, change):
    """Names that are ours, the transport's or a cloud's are refused in any case."""
    assert "is reserved" in refusal({change(name): "x"})


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a:b", "a\n", "a\r\nb", "a\0", "ä", "a/b", "(a)", "a;", "a=b", "张", None, 7],
)
def test_names_that_are_no_token(name):
    """A name is an RFC 9110 token; the refusal shows it escaped."""
    message = refusal({name: "x"})
    assert message.startswith(f"header {name!r}: a name is letters, digits")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("s3cret\rx", "(CR)"),
        ("s3cret\nx", "(LF)"),
        ("s3cret\r\nX-Injected: 1", "(CR)"),
        ("s3cret\0x", "(NUL)"),
        ("s3cret\x0b", "visible ASCII"),
        ("s3cret\x7f", "visible ASCII"),
        ("s3crét", "visible ASCII"),
        ("s3cret\ud800", "visible ASCII"),
        (" s3cret", "white space"),
        ("s3cret ", "white space"),
        ("\ts3cret", "white space"),
        ("s3cret" * 700, "4200 bytes, at most 4096"),
        (b"s3cret", "expected text, got bytes"),
        (None, "expected text, got NoneType"),
        (1, "expected text, got int"),
    ],
    ids=repr,
)
def test_values(value, words):
    """A bad value is refused by the name of its header; the value itself is never told."""
    message = refusal({"Authorization": value})
    assert message.startswith("header 'Authorization': ")
    assert words in message
    assert "s3c" not in message


def test_given_twice():
    """Two spellings of one name are refused, both named."""
    assert refusal({"X-Key": "a", "x-key": "b"}) == "header 'x-key': given twice (as 'X-Key')"


def test_sizes():
    """One value may have 4,096 bytes less its name; all together no more than that."""
    check({"X-A": "v" * 4093})
    assert "4097 bytes in all" in refusal({"X-A": "v" * 4094})
    assert "at most 4096" in refusal({f"X-{n}": "v" * 100 for n in range(50)})
