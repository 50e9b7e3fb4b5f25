"""Reading webhooks.json: every fault with file, position and reason."""

import json

import pytest

from hookline import Webhooks
from hookline._webhooks_file import read
from hookline.errors import InvalidWebhooksFile

ENTRY = {"url": "https://example.com/a", "events": ["customer.created"]}


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a loader of content (text, bytes or entries) through `Webhooks.init`'s checks."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "webhooks.json"

    def run(content):
        if isinstance(content, list):
            content = json.dumps({"webhooks": content})
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        webhooks = Webhooks(events=["customer.created"], database=f"sqlite:///{tmp_path}/x.db")
        return webhooks._from_file(path, read(path))

    run.path = path
    return run


def refusal(load, content):
    """Return the message of the refusal, without the path it starts with."""
    with pytest.raises(InvalidWebhooksFile) as caught:
        load(content)
    start = f"{load.path}: "
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


def test_no_file(tmp_path):
    """A missing file is no fault."""
    assert read(tmp_path / "none.json") is None


def test_the_guides_file(load):
    """The entries of the guide: url, events, secret, headers."""
    [one, two] = load(
        [
            {**ENTRY, "secret": "your-secret-key", "headers": {"Authorization": "Bearer t"}},
            {"url": "https://example.com/b", "events": ["*"], "secret": None},
        ]
    )
    assert (one.url, one.secret, one.source) == (ENTRY["url"], "your-secret-key", "file")
    assert one.headers == {"Authorization": "Bearer t"}
    assert (two.events, two.secret) == (("*",), None)


def test_signature_forms(load):
    """`signatures` are the forms, checked as in `register`."""
    secret = {"secret": "your-secret-key"}
    [one] = load([{**ENTRY, **secret, "signatures": ["guide", "stripe"]}])
    assert one.signatures == ("guide", "stripe")
    [one] = load([{**ENTRY, **secret, "signatures": None}])
    assert one.signatures is None
    assert refusal(load, [{**ENTRY, **secret, "signatures": ["strype"]}]) == (
        "webhooks[0].signatures: 'strype': did you mean 'stripe'? Known are guide, standard, svix, "
        "ed25519, github, stripe, slack, shopify"
    )
    assert refusal(load, [{**ENTRY, **secret, "signatures": "stripe"}]) == (
        "webhooks[0].signatures: expected a list of signature forms, got str"
    )
    message = refusal(load, [{**ENTRY, "signatures": ["stripe"]}])
    assert message.startswith("webhooks[0].secret: missing; signatures=['stripe'] need one")


def test_an_empty_list(load):
    """No endpoints is an answer too."""
    assert load([]) == []


def test_a_byte_order_mark(load):
    """A file an editor saved with a byte order mark is read."""
    assert len(load(b"\xef\xbb\xbf" + json.dumps({"webhooks": [ENTRY]}).encode())) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "line 1, column 1"),
        ('{"webhooks": [\n  {"url": "x",}\n]}', "line 2, column"),
        ('{"webhooks": []} x', "line 1, column 18"),
        (b'{"webhooks": ["\xff"]}', "byte 15: is not UTF-8"),
        ("[]", 'expected {"webhooks": [ … ]}'),
        ("null", 'expected {"webhooks": [ … ]}'),
        ('{"webhooks": {}}', 'expected {"webhooks": [ … ]}'),
        ('{"endpoints": []}', 'expected {"webhooks": [ … ]}'),
        ('{"webhooks": [], "webhooks": []}', "the key 'webhooks' is given twice"),
        ('{"webhooks": [{"url": "a", "url": "b"}]}', "the key 'url' is given twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"webhooks": [%s]}' % ("1" * 5000), ""),
        (b" " * (1 << 23), "at most"),
    ],
    ids=lambda each: repr(each)[:30],
)
def test_files_that_cannot_be_read(load, content, words):
    """A file that is no such JSON says where it stops being it."""
    assert words in refusal(load, content)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (7, "webhooks[1]: expected an object, got int"),
        (["https://example.com/"], "webhooks[1]: expected an object, got list"),
        ({"events": ["*"]}, "webhooks[1]: 'url' is missing"),
        ({"url": "https://example.com/b"}, "webhooks[1]: 'events' is missing"),
        ({**ENTRY, "sekret": "x"}, "webhooks[1]: unknown key 'sekret'; known are url, events"),
        ({**ENTRY, "url": 7}, "webhooks[1].url: expected text, got int"),
        ({**ENTRY, "events": "customer.created"}, "webhooks[1].events: expected a list"),
        ({**ENTRY, "events": [7]}, "webhooks[1].events: expected a list"),
        ({**ENTRY, "secret": 7}, "webhooks[1].secret: expected text, got int"),
        ({**ENTRY, "headers": []}, "webhooks[1].headers: expected an object"),
        ({**ENTRY, "headers": {"A": 1}}, "webhooks[1].headers: expected an object"),
        ({**ENTRY, "timeout": "5"}, "webhooks[1].timeout: expected a number"),
        ({**ENTRY, "timeout": True}, "webhooks[1].timeout: expected a number"),
        ({**ENTRY, "retry_schedule": "0,5"}, "webhooks[1].retry_schedule: expected a list"),
        ({**ENTRY, "description": None}, "webhooks[1].description: expected text"),
        ({**ENTRY, "url": "https://user:s3cret@example.com/"}, "webhooks[1].url: user and"),
        ({**ENTRY, "url": "https://b.example/\n"}, "webhooks[1].url: has leading or trailing"),
        ({"url": "https://b.example/", "events": []}, "webhooks[1].events: empty"),
        ({"url": "https://b.example/", "events": ["customer.crated"]}, "did you mean"),
        ({"url": "https://b.example/", "events": ["*"], "secret": ""}, "webhooks[1].secret: empty"),
        ({"url": "https://b.example/", "events": ["*"], "timeout": 99}, "webhooks[1].timeout: 99"),
        (
            {"url": "https://b.example/", "events": ["*"], "headers": {"Host": "x"}},
            "'Host': is reserved",
        ),
        (ENTRY, "webhooks[1].url: https://example.com/a is already webhooks[0]"),
        ({**ENTRY, "url": "HTTPS://EXAMPLE.com:443/a"}, "is already webhooks[0]"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_entries_that_cannot_be_used(load, entry, words):
    """A bad entry says which one it is, which key and why, and never its secret."""
    message = refusal(load, [ENTRY, entry])
    assert words in message
    assert message.startswith("webhooks[1]")
    assert "s3cret" not in message


def test_a_folder(load, tmp_path):
    """A folder in place of the file is said, not raised as an operating system error."""
    load.path.mkdir()
    with pytest.raises(InvalidWebhooksFile, match="directory"):
        read(load.path)
