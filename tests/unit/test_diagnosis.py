"""`diagnose`: each thing that goes wrong with a webhook is named, and nothing else is."""

import base64
import binascii
import gzip
import hashlib
import hmac
import html
import json
import re
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from hookline import generate_secret
from hookline._domain.ed25519 import public_key
from hookline._domain.signature import Signer, guide_signature, key_bytes
from hookline._said import Said
from hookline.receiver import Cause, Diagnosis, VerificationError, diagnose, verify
from hookline.receiver._diagnosis import REMEDY

SECRET = "your-secret-key"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_760_697_000
BODY = (
    '{"event":"order.paid","data":{"no":"A/1","name":"张三 é","total":1.0,"at":12.50,"big":1e3,'
    '"id":9007199254740993},"timestamp":"2025-10-17T10:30:00.000Z","metadata":{"user":"<admin>"}}'
).encode()
PARSED = json.loads(BODY)


def standard(body=BODY, secret=SECRET, *, at=NOW, message_id="msg_1", family="webhook"):
    return {
        f"{family}-id": message_id,
        f"{family}-timestamp": str(at),
        f"{family}-signature": Signer([secret]).standard(message_id, at, body),
    }


def guide(body=BODY, secret=SECRET):
    return {"X-Webhook-Signature": guide_signature(secret, body)}


SIGNED = {"standard": standard, "guide": guide}


def told(body, headers, secret=SECRET, **options):
    """Return the diagnosis; it must be no accident: `verify` refuses what has a cause."""
    found = diagnose(body, headers, secret, now=NOW, **options)
    assert isinstance(found, Diagnosis)
    try:
        verify(body, headers, secret, now=NOW)
        valid = True
    except VerificationError:
        valid = False
    assert found.valid is valid
    assert bool(found.remedy) is not valid
    # What is wrong with a secret itself is said by InvalidSecret.
    assert isinstance(found.sentence, Said) or found.cause is Cause.SECRET_MALFORMED
    assert isinstance(found.remedy, Said) is not valid
    return found


@pytest.fixture(params=SIGNED)
def scheme(request):
    return request.param


# Valid -------------------------------------------------------------------------------------------


def test_a_valid_webhook(scheme):
    """What verifies is valid, by the signature that decides."""
    found = told(BODY, SIGNED[scheme]())
    assert (found.cause, found.scheme, found.secret) == (Cause.VALID, scheme, 1)


def test_which_of_several_secrets_fits(scheme):
    """The secret that fits is numbered."""
    found = told(BODY, SIGNED[scheme](), ["another", "third", SECRET])
    assert found.secret == 3
    assert "secret 3 of 3" in found.sentence


def test_a_missing_prefix_is_noted():
    """Ours takes the guide's header without sha256=; the diagnosis says that others may not."""
    headers = {"X-Webhook-Signature": guide()["X-Webhook-Signature"].removeprefix("sha256=")}
    found = told(BODY, headers)
    assert found.valid
    assert "sha256=" in found.sentence


# The body ----------------------------------------------------------------------------------------


def javascript(body):
    """What JSON.parse and JSON.stringify make of it."""
    text = json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":"))
    return (
        text.replace("1.0", "1").replace("12.5", "12.5").replace("1000.0", "1000")
        .replace("9007199254740993", "9007199254740992")
    ).encode()  # fmt: skip


SIMPLE = '{"event":"a","data":{"url":"https://x/y","name":"张三","n":5},"timestamp":"t"}'.encode()
ASCII = json.dumps(json.loads(SIMPLE), separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("sent", "came", "cause", "words"),
    [
        (SIMPLE, b"", Cause.BODY_EMPTY, "empty"),
        (SIMPLE, SIMPLE + b"\n", Cause.BODY_WHITESPACE, "line break was added"),
        (SIMPLE, b" " + SIMPLE + b"  ", Cause.BODY_WHITESPACE, "white space was added"),
        (SIMPLE + b"\n", SIMPLE, Cause.BODY_WHITESPACE, "was removed"),
        (SIMPLE + b"\r\n", SIMPLE, Cause.BODY_WHITESPACE, "was removed"),
        (SIMPLE, b"\xef\xbb\xbf" + SIMPLE, Cause.BODY_BOM, "put before"),
        (b"\xef\xbb\xbf" + SIMPLE, SIMPLE, Cause.BODY_BOM, "removed"),
        (b'{\n"a":1\n}', b'{\r\n"a":1\r\n}', Cause.BODY_LINE_ENDS, "became CR LF"),
        (b'{\r\n"a":1\r\n}', b'{\n"a":1\n}', Cause.BODY_LINE_ENDS, "became LF"),
        (
            SIMPLE,
            json.dumps(json.loads(SIMPLE), indent=2, ensure_ascii=False).encode(),
            Cause.BODY_REFORMATTED,
            "several lines came where a compact line was sent",
        ),
        (
            SIMPLE,
            json.dumps(json.loads(SIMPLE), ensure_ascii=False).encode(),
            Cause.BODY_REFORMATTED,
            "a line with spaces came where a compact line was sent",
        ),
        (
            json.dumps(json.loads(SIMPLE), indent=4, ensure_ascii=False).encode(),
            SIMPLE,
            Cause.BODY_REFORMATTED,
            "a compact line came where a form of several lines",
        ),
        (SIMPLE, ASCII, Cause.BODY_ESCAPES, "\\u5f20"),
        (SIMPLE, json.dumps(json.loads(SIMPLE)).encode(), Cause.BODY_ESCAPES, "\\u5f20"),
        (ASCII, SIMPLE, Cause.BODY_ESCAPES, "张三"),
        (SIMPLE, SIMPLE.replace(b"/", b"\\/"), Cause.BODY_ESCAPES, "\\/"),
        (ASCII.replace(b"/", b"\\/"), SIMPLE, Cause.BODY_ESCAPES, "/"),
        (ASCII.replace(b"\\u5f20\\u4e09", b"\\u5F20\\u4E09"), SIMPLE, Cause.BODY_ESCAPES, "张"),
        (
            b'{"a":"\\u003cb\\u003e"}',
            b'{"a":"<b>"}',
            Cause.BODY_ESCAPES,
            "\\u003c",
        ),
        (
            b'{"d":{"n":1.0}}',
            b'{"d":{"n":1}}',
            Cause.BODY_NUMBERS,
            "d.n: 1 came where 1.0 was sent",
        ),
        (b'{"n":[0,2.50]}', b'{"n":[0,2.5]}', Cause.BODY_NUMBERS, "n[1]: 2.5 came where 2.50"),
        (b'{"n":1e3}', b'{"n":1000}', Cause.BODY_NUMBERS, "1000 came where 1e3"),
        (b'{"n":1e3}', b'{"n":1000.0}', Cause.BODY_NUMBERS, "1000.0 came where 1e3"),
        (b'{"n":1E-7}', b'{"n":1e-07}', Cause.BODY_NUMBERS, "1e-07 came where 1E-7"),
        (b'{"n":1}', b'{"n":1.0}', Cause.BODY_NUMBERS, "1.0 came where 1 was"),
        (
            b'{"id":9007199254740993}',
            b'{"id":9007199254740992}',
            Cause.BODY_NUMBERS,
            "9007199254740992 came where 9007199254740993",
        ),
        (
            b'{"id":1234567890123456789}',
            b'{"id":1234567890123456800}',
            Cause.BODY_NUMBERS,
            "1234567890123456800 came where 1234567890123456789",
        ),
        (b'{"a":1.0,"b":2.0}', b'{"a":1,"b":2}', Cause.BODY_NUMBERS, "a: 1 came where 1.0"),
        (b'{"a":1.0,"b":2}', b'{"a":1,"b":2}', Cause.BODY_NUMBERS, "a: 1 came where 1.0"),
        (BODY, javascript(BODY), Cause.BODY_NUMBERS, "data.total: 1 came where 1.0 was sent"),
        (
            b'{"event":"a","data":{"z":1,"b":2},"timestamp":"t"}',
            b'{"data":{"b":2,"z":1},"event":"a","timestamp":"t"}',
            Cause.BODY_KEY_ORDER,
            "sorted",
        ),
        (
            json.dumps({"z": 1, "b": {"y": 1, "x": 2}}).encode(),
            b'{"b":{"x":2,"y":1},"z":1}',
            Cause.BODY_KEY_ORDER,
            "'z' was sent before 'b'",
        ),
        (SIMPLE, SIMPLE.decode().encode("gbk"), Cause.BODY_CHARSET, "GBK"),
        (b'{"a":"\xc3\xa9"}', b'{"a":"\xe9"}', Cause.BODY_CHARSET, "as Latin-1"),
        (b'{"a":"\xc3\xa9"}', b'{"a":"\xc3\x83\xc2\xa9"}', Cause.BODY_CHARSET, "read as Latin-1"),
        ('{"a":"“x”"}'.encode(), '{"a":"“x”"}'.encode("utf-16"), Cause.BODY_CHARSET, "UTF-16"),
        ('{"a":"é"}'.encode(), '{"a":"e\u0301"}'.encode(), Cause.BODY_CHARSET, "normalised"),
        (SIMPLE, base64.b64encode(SIMPLE), Cause.BODY_ENCODED, "base64"),
        (SIMPLE, base64.urlsafe_b64encode(SIMPLE) + b"\n", Cause.BODY_ENCODED, "base64"),
        (SIMPLE, binascii.hexlify(SIMPLE), Cause.BODY_ENCODED, "hex"),
        (SIMPLE, json.dumps(SIMPLE.decode()).encode(), Cause.BODY_ENCODED, "JSON string"),
        (b'{"a":1}', repr(b'{"a":1}').encode(), Cause.BODY_ENCODED, "bytes object"),
        (SIMPLE, html.escape(SIMPLE.decode()).encode(), Cause.BODY_ENCODED, "HTML"),
        (SIMPLE, gzip.compress(SIMPLE, mtime=0), Cause.BODY_COMPRESSED, "compressed"),
        (SIMPLE, quote(SIMPLE).encode(), Cause.BODY_FORM, "percent"),
        (SIMPLE, quote_plus(SIMPLE + b" +").encode(), None, ""),
        (SIMPLE, b"payload=" + quote_plus(SIMPLE).encode(), Cause.BODY_FORM, "field"),
        (b"payload=" + quote_plus(SIMPLE).encode(), SIMPLE, Cause.BODY_FORM, "form's field"),
        (SIMPLE, SIMPLE + b"=", Cause.BODY_FORM, "name of a form"),
        (
            SIMPLE,
            json.dumps(
                {"httpMethod": "POST", "body": SIMPLE.decode(), "isBase64Encoded": False}
            ).encode(),
            Cause.BODY_WRAPPED,
            "gateway",
        ),
        (
            SIMPLE,
            json.dumps(
                {"body": base64.b64encode(SIMPLE).decode(), "isBase64Encoded": True}
            ).encode(),
            Cause.BODY_WRAPPED,
            "gateway",
        ),
        (SIMPLE, base64.b64encode(ASCII), None, ""),
    ],
)
def test_what_was_done_to_the_body(sent, came, cause, words, scheme):
    """A body that was changed on the way is recognised without the original, and named."""
    found = told(came, SIGNED[scheme](sent))
    if cause is not None:
        assert found.cause is cause
    else:
        assert found.cause.startswith("body_") or found.cause is Cause.UNKNOWN
    assert words in found.sentence
    assert found.scheme == scheme


def test_every_change_is_named_alike_when_the_original_is_given(scheme):
    """With the original there is nothing to guess: the first difference is named by its place."""
    came = BODY.replace("张三".encode(), "李四".encode())
    found = told(came, SIGNED[scheme](), original=BODY)
    assert found.cause is Cause.BODY_VALUES
    assert 'data.name: "李四 é" came where "张三 é" was sent' in found.sentence
    assert told(came, SIGNED[scheme]()).cause is Cause.UNKNOWN


@pytest.mark.parametrize(
    ("sent", "came", "cause", "words"),
    [
        (b'{"a":{"b":1},"c":2}', b'{"a":{},"c":2}', Cause.BODY_VALUES, "a.b: is missing"),
        (b'{"a":{}}', b'{"a":{},"tenant":1}', Cause.BODY_VALUES, "tenant: was added"),
        (b'{"a":1,"a":2}', b'{"a":2}', Cause.BODY_VALUES, "twice"),
        (b'{"a":[1,2]}', b'{"a":[1]}', Cause.BODY_VALUES, "1 items came where 2"),
        (b'{"a":"1"}', b'{"a":1}', Cause.BODY_VALUES, 'a: the number 1 came where "1"'),
        (b'{"a":null}', b'{"a":{}}', Cause.BODY_VALUES, "an object came where null"),
        ('{"a":"张三"}'.encode(), b'{"a":"??"}', Cause.BODY_CHARSET, '"??" came'),
        (b"not json at all", b"not json", Cause.BODY_TRUNCATED, "ends after 8 of 15 bytes"),
        (b"not json", b"not jsom", Cause.BODY_CHANGED, "from byte 7 on"),
        (b'{"a":1}', b'{"a":1', Cause.BODY_TRUNCATED, "6 of 7"),
    ],
)
def test_differences_from_the_original(sent, came, cause, words):
    """What no guess could find is found in the original."""
    found = told(came, guide(sent), original=sent)
    assert found.cause is cause
    assert words in found.sentence
    # The words do not depend on whether the secret is right, but say when it is not.
    other = told(came, guide(sent), "wrong", original=sent.decode())
    assert other.cause is cause
    assert "no secret" in other.sentence


def test_a_body_that_is_shorter_than_announced():
    """Content-Length tells of a body that was cut."""
    headers = {**guide(), "Content-Length": str(len(BODY))}
    found = told(BODY[:100], headers)
    assert found.cause is Cause.BODY_TRUNCATED
    assert str(len(BODY)) in found.sentence


def test_a_parsed_body_is_no_body():
    """A dict is not the raw bytes."""
    assert told(PARSED, guide()).cause is Cause.BODY_CHANGED


# The secret --------------------------------------------------------------------------------------

TAIL = WHSEC.removeprefix("whsec_")
URLSAFE = "whsec_-_KQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(
    ("right", "given", "cause", "words"),
    [
        (SECRET, SECRET + "\n", Cause.SECRET_WHITESPACE, "white space"),
        (SECRET, f" {SECRET}\r\n", Cause.SECRET_WHITESPACE, "white space"),
        (SECRET, SECRET + "\\n", Cause.SECRET_WHITESPACE, "written-out"),
        (SECRET, "\ufeff" + SECRET, Cause.SECRET_WHITESPACE, "invisible"),
        (SECRET, f'"{SECRET}"', Cause.SECRET_QUOTED, "quotes"),
        (SECRET, f"'{SECRET}'\n", Cause.SECRET_WHITESPACE, "quotes"),
        (SECRET, f"WEBHOOK_SECRET={SECRET}", Cause.SECRET_LINE, "NAME=value"),
        (SECRET, f'export WEBHOOK_SECRET="{SECRET}"', Cause.SECRET_LINE, "quotes"),
        (SECRET.upper(), SECRET, Cause.SECRET_CASE, "lower case"),
        (SECRET, SECRET.upper(), Cause.SECRET_CASE, "upper case"),
        (WHSEC, TAIL, Cause.SECRET_PREFIX, "whsec_"),
        (WHSEC, "WHSEC_" + TAIL, Cause.SECRET_PREFIX, "lower case"),
        (WHSEC, "whsec_" + WHSEC, Cause.SECRET_PREFIX, "whsec_"),
        (WHSEC, f'"{WHSEC}"', Cause.SECRET_QUOTED, "quotes"),
    ],
)
def test_slips_with_the_secret(right, given, cause, words, scheme):
    """A secret with a usual slip is recognised; nothing of it is shown."""
    found = told(BODY, SIGNED[scheme](secret=right), given)
    assert found.cause is cause
    assert words in found.sentence
    for part in (SECRET, SECRET.upper(), TAIL, right, given.strip()):
        assert part not in f"{found} {found!r}"


@pytest.mark.parametrize(
    ("key", "given", "cause"),
    [
        (WHSEC.encode(), WHSEC, Cause.SECRET_AS_TEXT),
        (TAIL.encode(), WHSEC, Cause.SECRET_AS_TEXT),
        (SECRET.encode() + b"\n", SECRET, Cause.SECRET_WHITESPACE),
        (bytes.fromhex("00ff" * 12), "00ff" * 12, Cause.SECRET_HEX),
        (base64.urlsafe_b64decode(URLSAFE[6:]), URLSAFE, Cause.SECRET_ALPHABET),
    ],
)
def test_keys_of_other_senders(key, given, cause):
    """A sender that takes its secret another way is recognised."""
    made = base64.b64encode(hmac.digest(key, b"msg_1.%d.%b" % (NOW, BODY), "sha256")).decode()
    assert told(BODY, standard() | {"webhook-signature": f"v1,{made}"}, given).cause is cause


def test_the_guides_header_with_the_decoded_key():
    """For the guide's header the key is the text: a decoded one is named."""
    made = hmac.digest(key_bytes(WHSEC), BODY, "sha256").hex()
    found = told(BODY, {"X-Webhook-Signature": f"sha256={made}"}, WHSEC)
    assert found.cause is Cause.SECRET_DECODED


@pytest.mark.parametrize(
    ("secret", "cause"),
    [
        ("", Cause.SECRET_EMPTY),
        ([], Cause.SECRET_MALFORMED),
        (["x", ""], Cause.SECRET_EMPTY),
        (None, Cause.SECRET_MALFORMED),
        (b"bytes", Cause.SECRET_MALFORMED),
        ("whsec_?", Cause.SECRET_MALFORMED),
        ("whsec_YWJj", Cause.SECRET_MALFORMED),
        ("\ud800", Cause.SECRET_MALFORMED),
    ],
)
def test_secrets_that_are_none(secret, cause, scheme):
    """A secret that could never verify anything is named as such."""
    assert told(BODY, SIGNED[scheme](secret="other"), secret).cause is cause


def test_two_slips_at_once(scheme):
    """A changed body and a quoted secret are both named."""
    came = json.dumps(json.loads(SIMPLE), indent=2).encode()
    found = told(came, SIGNED[scheme](SIMPLE), f'"{SECRET}"')
    assert "quotes" in found.sentence
    assert "\\u5f20" in found.sentence


# Headers and time --------------------------------------------------------------------------------


def test_no_signature_at_all():
    """An endpoint without a secret, or a proxy, is named."""
    assert told(BODY, {}).cause is Cause.NO_SIGNATURE
    assert told(BODY, {"Content-Type": "application/json"}).cause is Cause.NO_SIGNATURE
    assert told(BODY, None).cause is Cause.HEADERS_UNREADABLE
    assert told(BODY, ["x"]).cause is Cause.HEADERS_UNREADABLE


@pytest.mark.parametrize("missing", ["id", "timestamp", "signature"])
@pytest.mark.parametrize("family", ["webhook", "svix"])
def test_headers_that_were_stripped(missing, family):
    """A header that did not arrive is named."""
    headers = standard(family=family)
    del headers[f"{family}-{missing}"]
    found = told(BODY, headers)
    assert found.cause is Cause.HEADERS_MISSING
    assert missing in found.sentence


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: f"X-Amzn-Remapped-{name}",
        lambda name: f"REDIRECT_HTTP_{name.upper().replace('-', '_')}",
        lambda name: name.replace("-", ""),
        lambda name: f"X-Original-{name}",
    ],
)
def test_headers_that_were_renamed(rename, scheme):
    """A header under another name is found, and its name told."""
    headers = {rename(name): value for name, value in SIGNED[scheme]().items()}
    found = told(BODY, headers)
    assert found.cause is Cause.HEADERS_RENAMED
    assert "arrived as" in found.sentence


def test_renamed_headers_and_a_changed_body(scheme):
    """Both are told."""
    headers = {f"X-Old-{name}": value for name, value in SIGNED[scheme](SIMPLE).items()}
    found = told(SIMPLE + b"\n", headers)
    assert found.cause is Cause.BODY_WHITESPACE
    assert "arrived as" in found.sentence


def test_wsgi_names_are_fine(scheme):
    """HTTP_WEBHOOK_ID and webhook_id are the names of frameworks: they verify."""
    headers = SIGNED[scheme]()
    for rename in (lambda n: "HTTP_" + n.upper().replace("-", "_"), lambda n: n.replace("-", "_")):
        assert told(BODY, {rename(name): value for name, value in headers.items()}).valid


def test_a_changed_id():
    """The guide's signature fits, so it is the other headers that were changed."""
    headers = standard() | guide() | {"webhook-id": "msg_2"}
    found = told(BODY, headers)
    assert found.cause is Cause.HEADERS_CHANGED
    assert "X-Webhook-Signature fits" in found.sentence


def test_an_id_that_came_twice():
    """A header that was doubled with another value is named."""
    pairs = [*standard().items(), ("webhook-id", "other")]
    assert told(BODY, pairs).cause is Cause.HEADERS_CHANGED


@pytest.mark.parametrize(
    ("off", "words"),
    [(-420, "7 min ago"), (420, "7 min from now"), (-8 * 3600, "time zone"), (-90_000, "1 d 1 h")],
)
def test_clocks(off, words):
    """A time that is off is told in minutes, and a whole number of hours is pointed out."""
    found = told(BODY, standard(at=NOW + off))
    assert found.cause is Cause.CLOCK
    assert words in found.sentence
    assert diagnose(BODY, standard(at=NOW + off), SECRET, now=NOW, tolerance=None).valid


def test_milliseconds():
    """A timestamp in milliseconds is named, whichever was signed."""
    in_ms = standard(at=NOW * 1000)
    assert told(BODY, in_ms).cause is Cause.TIMESTAMP_MILLISECONDS
    changed = standard() | {"webhook-timestamp": str(NOW * 1000)}
    assert told(BODY, changed).cause is Cause.TIMESTAMP_MILLISECONDS
    unsigned = standard(secret="other") | {"webhook-timestamp": str(NOW * 1000)}
    assert told(BODY, unsigned).cause is Cause.TIMESTAMP_MILLISECONDS


def test_a_timestamp_that_is_a_date():
    """A timestamp that is no number is named."""
    headers = standard() | {"webhook-timestamp": "2025-10-17T10:30:00Z"}
    assert told(BODY, headers).cause is Cause.TIMESTAMP_FORMAT


def test_a_moved_timestamp():
    """A proxy that wrote its local time into the header is recognised."""
    headers = standard() | {"webhook-timestamp": str(NOW + 7200)}
    found = told(BODY, headers)
    assert found.cause is Cause.HEADERS_CHANGED
    assert "2 h" in found.sentence


# The signature -----------------------------------------------------------------------------------

HEX = guide()["X-Webhook-Signature"].removeprefix("sha256=")
B64 = standard()["webhook-signature"].removeprefix("v1,")
DIGEST = base64.b64decode(B64)


@pytest.mark.parametrize(
    ("value", "cause", "words"),
    [
        (f"sha256={HEX.upper()}", Cause.SIGNATURE_CASE, "upper case"),
        (f"sha256={HEX[:40]}", Cause.SIGNATURE_TRUNCATED, "40 of 64"),
        (f'"sha256={HEX}"', Cause.SIGNATURE_FORMAT, "quoted"),
        (f"v1={HEX}", Cause.SIGNATURE_FORMAT, "v1="),
        (base64.b64encode(bytes.fromhex(HEX)).decode(), Cause.SIGNATURE_ENCODING, "base64"),
        ("sha256=xyz!", Cause.SIGNATURE_FORMAT, "neither"),
        (
            "sha1=" + hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest(),
            Cause.ALGORITHM,
            "SHA1",
        ),
        (
            "sha512=" + hmac.new(SECRET.encode(), BODY, hashlib.sha512).hexdigest(),
            Cause.ALGORITHM,
            "SHA512",
        ),
    ],
)
def test_odd_signatures_of_the_guide(value, cause, words):
    """A signature that is written in another way is named."""
    found = told(BODY, {"X-Webhook-Signature": value})
    assert found.cause is cause
    assert words in found.sentence


@pytest.mark.parametrize(
    ("value", "cause", "words"),
    [
        (B64, Cause.SIGNATURE_FORMAT, "'v1,'"),
        (f"v1={B64}", Cause.SIGNATURE_FORMAT, "'v1,'"),
        (f"v1,{B64.rstrip('=')}", Cause.SIGNATURE_FORMAT, "'='"),
        (f"v1,{B64[:20]}", Cause.SIGNATURE_TRUNCATED, "20 of 44"),
        (f"v1,{DIGEST.hex()}", Cause.SIGNATURE_ENCODING, "hex"),
        (f"v1,{'A' * 43}=,v1,{B64}", Cause.SIGNATURE_FORMAT, "one space"),
        ("v1a,AAAA", Cause.ALGORITHM, "ed25519"),
        ("v2,AAAA", Cause.ALGORITHM, "v2"),
    ],
)
def test_odd_standard_signatures(value, cause, words):
    """A webhook-signature that is written in another way is named."""
    found = told(BODY, standard() | {"webhook-signature": value})
    assert found.cause is cause
    assert words in str(found)


def test_a_plus_that_became_a_space():
    """A signature that went through a form's decoder is recognised."""
    for number in range(100):
        headers = standard(message_id=f"msg_{number}")
        value = headers["webhook-signature"]
        if "+" in value:
            break
    found = told(BODY, headers | {"webhook-signature": value.replace("+", " ")})
    assert found.cause is Cause.SIGNATURE_FORMAT
    assert "'+'" in found.sentence


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BODY, "body alone"),
        (b"%d.%b" % (NOW, BODY), "without the id"),
        (b"msg_1.%b" % BODY, "without the time"),
        (b"%d.msg_1.%b" % (NOW, BODY), "wrong way round"),
        (b"msg_1%d%b" % (NOW, BODY), "full stops"),
    ],
)
def test_other_contents(content, words):
    """A sender that signs other text than the standard's is recognised."""
    made = base64.b64encode(hmac.digest(SECRET.encode(), content, "sha256")).decode()
    found = told(BODY, standard() | {"webhook-signature": f"v1,{made}"})
    assert found.cause is Cause.SIGNED_CONTENT
    assert words in found.sentence


def test_the_guides_header_over_id_and_time():
    """The two signatures mixed up is a wrong content."""
    made = hmac.digest(SECRET.encode(), b"msg_1.%d.%b" % (NOW, BODY), "sha256").hex()
    headers = standard() | {"X-Webhook-Signature": f"sha256={made}"}
    del headers["webhook-signature"]
    assert told(BODY, headers).cause is Cause.SIGNED_CONTENT


# Neither -----------------------------------------------------------------------------------------


def test_another_secret_is_unknown(scheme):
    """What has no usual cause is said to have none."""
    found = told(BODY, SIGNED[scheme](), "wrong")
    assert found.cause is Cause.UNKNOWN
    assert found.secret is None


def test_a_body_that_is_no_json(scheme):
    """A signature that fits over no JSON is its own cause."""
    assert told(b"plain", SIGNED[scheme](b"plain")).cause is Cause.NOT_JSON
    assert told(b"", SIGNED[scheme](b"")).cause is Cause.NOT_JSON


@pytest.mark.parametrize("depth", [100, 199, 900, 1_000, 100_000])
def test_deep_bodies(depth):
    """However deep a body is nested, a diagnosis is not an error."""
    body = b"[" * depth + b"]" * depth
    assert told(body, standard()).cause is Cause.UNKNOWN


@pytest.mark.parametrize(
    "body",
    [b"[" + b"1," * 300_000 + b"1]", b'{"a":"' + b"\xc3\xa9" * 500_000 + b'"}', b"x" * 2**20],
)
def test_large_bodies_end(body):
    """A large body ends the search by its budget."""
    assert told(body, guide()).cause is Cause.UNKNOWN


def test_every_cause_has_a_remedy_and_a_test():
    """No cause is without its advice, and none is never reached."""
    assert set(REMEDY) == set(Cause)
    named = set(re.findall(r"Cause\.([A-Z_0-9]+)", Path(__file__).read_text("utf-8")))
    assert {cause.name for cause in Cause} - named == set()


def test_an_ed25519_signature_and_its_public_key():
    """Valid with the right one; another key or body is named as that, not as a missing secret."""
    mine, other = generate_secret("ed25519"), generate_secret("ed25519")
    at = 1_760_697_000
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": Signer([mine], ["ed25519"]).standard("msg_1", at, BODY),
    }
    assert diagnose(BODY, headers, public_key(mine), now=at).valid
    for body, key in ((BODY, public_key(other)), (BODY + b" ", public_key(mine))):
        found = diagnose(body, headers, key, now=at)
        assert found.cause is Cause.UNKNOWN
        assert "does not fit this public key" in found.sentence
    assert diagnose(BODY, headers, mine, now=at).cause is Cause.ALGORITHM


def test_a_signature_that_begins_like_a_version_is_searched_whole():
    """`v1,v4b…` is one item: its base64 may begin with `v` and a digit."""
    times = range(NOW, NOW + 10_000)
    signer = Signer([SECRET])
    at = next(t for t in times if re.match(r"v1,v\d", signer.standard("msg_1", t, BODY)))
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": signer.standard("msg_1", at, BODY),
    }
    assert diagnose(BODY, headers, SECRET, now=at).valid
    assert diagnose(BODY, headers, f"{SECRET}\n", now=at).cause is Cause.SECRET_WHITESPACE
