"""`hookline.receiver`: what is accepted, what is refused, and what the refusal says."""

import json
import pickle
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path

import httpx
import pytest
from starlette.datastructures import Headers

from hookline._domain.signature import Signer, guide_signature
from hookline.receiver import Event, Reason, VerificationError, verify, verify_signature

VECTORS = Path(__file__).parents[1] / "vectors"
STANDARD = json.loads((VECTORS / "standard_webhooks.json").read_text("utf-8"))
GUIDE = json.loads((VECTORS / "guide_signature.json").read_text("utf-8"))["vectors"]

SECRET = "your-secret-key"
NOW = 1_760_697_000
BODY = (
    '{"event":"customer.created","data":{"id":"123","name":"张三"},'
    '"timestamp":"2025-10-17T10:30:00.000Z","metadata":{"user_id":"admin"}}'
).encode()


def signed(body=BODY, *secrets, at=NOW, message_id="msg_1", family="webhook"):
    """Return the headers Hookline sends."""
    signer = Signer(secrets or [SECRET])
    return {
        f"{family}-id": message_id,
        f"{family}-timestamp": str(at),
        f"{family}-signature": signer.standard(message_id, at, body),
        "X-Webhook-Signature": signer.guide(body),
        "X-Webhook-Attempt": "2",
    }


def guide_only(body=BODY, secret=SECRET):
    return {"X-Webhook-Signature": guide_signature(secret, body)}


def refused(*args, **options):
    options.setdefault("now", NOW)
    with pytest.raises(VerificationError) as caught:
        verify(*args, **options)
    return caught.value


# What is accepted --------------------------------------------------------------------------------


def test_the_event_of_the_guides_envelope():
    """A signed envelope becomes an Event with the guide's fields, times as aware UTC."""
    event = verify(BODY, signed(), SECRET, now=NOW)
    assert event == Event(
        id="msg_1",
        type="customer.created",
        data={"id": "123", "name": "张三"},
        timestamp=datetime(2025, 10, 17, 10, 30, tzinfo=UTC),
        metadata={"user_id": "admin"},
        attempt=2,
        sent_at=datetime.fromtimestamp(NOW, UTC),
        scheme="standard",
        payload=json.loads(BODY),
        body=BODY,
    )


def test_the_guides_header_alone_is_enough():
    """A sender that knows only the guide's header is verified by it, whatever its age."""
    event = verify(BODY, guide_only(), SECRET)
    assert (event.scheme, event.id, event.sent_at, event.attempt) == ("guide", None, None, None)
    assert event.type == "customer.created"


def test_text_bodies_are_taken_as_utf8():
    """A body that a framework already decoded verifies as its UTF-8 bytes."""
    assert verify(BODY.decode(), signed(), SECRET, now=NOW).body == BODY


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_other_bytes_are_bytes(kind):
    """Buffers are accepted like bytes."""
    assert verify(kind(BODY), signed(), SECRET, now=NOW).body == BODY


@pytest.mark.parametrize("vector", STANDARD["symmetric"], ids=lambda v: v["body"])
def test_published_standard_vectors(vector):
    """The published Standard Webhooks vectors verify."""
    headers = {
        "webhook-id": vector["id"],
        "webhook-timestamp": str(vector["timestamp"]),
        "webhook-signature": vector["signature"],
    }
    event = verify(vector["body"], headers, vector["secret"], now=vector["timestamp"])
    assert event.payload == json.loads(vector["body"])


def test_ed25519_items_are_passed_over():
    """A v1a item beside the v1 one neither helps nor harms."""
    vector, asymmetric = STANDARD["symmetric"][0], STANDARD["ed25519"][0]
    headers = {
        "webhook-id": vector["id"],
        "webhook-timestamp": str(vector["timestamp"]),
        "webhook-signature": f"{asymmetric['signature']} {vector['signature']}",
    }
    assert verify(vector["body"], headers, vector["secret"], now=vector["timestamp"])
    headers["webhook-signature"] = asymmetric["signature"]
    error = refused(vector["body"], headers, vector["secret"], now=vector["timestamp"])
    assert error.reason == "bad_signature"


@pytest.mark.parametrize("vector", GUIDE, ids=lambda v: v["body"])
def test_published_github_vector(vector):
    """GitHub's published vector verifies with the guide's function."""
    assert verify_signature(vector["body"], vector["signature"], vector["secret"])


def _environ(headers):
    return {
        "wsgi.input": object(),
        "CONTENT_LENGTH": "1",
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }


def _message(headers):
    message = Message()
    for name, value in headers.items():
        message[name] = value
    return message


class _Fetch:
    """Like the Headers of the Fetch standard: entries(), no items()."""

    def __init__(self, headers):
        self.entries = headers.items


NAMINGS = {
    "as sent": dict,
    "upper case": lambda h: {name.upper(): value for name, value in h.items()},
    "lower case": lambda h: {name.lower(): value for name, value in h.items()},
    "underscores": lambda h: {name.lower().replace("-", "_"): v for name, v in h.items()},
    "wsgi": _environ,
    "pairs": lambda h: list(h.items()),
    "pairs, once": lambda h: iter(h.items()),
    "asgi": lambda h: [(n.lower().encode(), v.encode()) for n, v in h.items()],
    "node": lambda h: {n.lower(): [v] for n, v in h.items()} | {"cookie": None},
    "starlette": Headers,
    "httpx": httpx.Headers,
    "email": _message,
    "fetch": _Fetch,
    "padded": lambda h: {name: f" {value}\t" for name, value in h.items()},
}


@pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS)
@pytest.mark.parametrize("family", ["webhook", "svix"])
def test_headers_of_any_framework(naming, family):
    """Headers are found however a framework names and holds them."""
    headers = naming(signed(family=family))
    assert verify(BODY, headers, SECRET, now=NOW, scheme="standard").id == "msg_1"


@pytest.mark.parametrize("secret", [["old", SECRET], (SECRET, "old"), [SECRET]])
def test_several_secrets(secret):
    """While one secret replaces another, a signature by either verifies."""
    assert verify(BODY, signed(), secret, now=NOW)
    assert verify(BODY, guide_only(), secret)
    assert verify(BODY, signed(BODY, "newest", SECRET), secret, now=NOW)


def test_repeated_signature_headers_are_all_tried():
    """Of several signature headers one that fits is enough."""
    pairs = list(signed().items())
    pairs.insert(0, ("webhook-signature", "v1,AAAA"))
    assert verify(BODY, pairs, SECRET, now=NOW)


@pytest.mark.parametrize(
    ("body", "type_", "data"),
    [
        (b'{"type":"invoice.paid","data":{"n":1}}', "invoice.paid", {"n": 1}),
        (b'{"type":"thin","object":"x"}', "thin", {"type": "thin", "object": "x"}),
        (b"[1,2]", "", [1, 2]),
        (b'{"event":7,"data":null}', "", None),
    ],
)
def test_other_payloads(body, type_, data):
    """A body that is no envelope is given whole, and named by its `type` where it has one."""
    event = verify(body, signed(body), SECRET, now=NOW)
    assert (event.type, event.data, event.payload) == (type_, data, json.loads(body))
    assert event.metadata == {}
    assert event.timestamp is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-10-17T18:30:00+08:00", datetime(2025, 10, 17, 10, 30, tzinfo=UTC)),
        ("2025-10-17T10:30:00", datetime(2025, 10, 17, 10, 30, tzinfo=UTC)),
        ("yesterday", None),
        ("0001-01-01T00:00:00+23:59", None),
    ],
)
def test_event_times_are_utc_or_none(text, moment):
    """The event's time is given in UTC; one that cannot be read is None, not an error."""
    body = json.dumps({"event": "a", "data": 1, "timestamp": text}).encode()
    assert verify(body, signed(body), SECRET, now=NOW).timestamp == moment


@pytest.mark.parametrize("attempt", ["x", "-1", "1e3", "٣", "9" * 40, ""])
def test_attempt_is_never_an_error(attempt):
    """A strange attempt number, which is not signed, is None."""
    headers = signed() | {"X-Webhook-Attempt": attempt}
    assert verify(BODY, headers, SECRET, now=NOW).attempt is None


# Which signature decides -------------------------------------------------------------------------


def test_standard_webhooks_decides_where_present():
    """A wrong webhook-signature is not made good by a right X-Webhook-Signature."""
    headers = signed() | {"webhook-signature": "v1,AAAA"}
    assert refused(BODY, headers, SECRET).reason == "bad_signature"


def test_an_old_request_cannot_be_replayed_by_stripping_headers_when_standard_is_asked_for():
    """With scheme="standard" the guide's header alone is refused, so nothing can be stripped."""
    old = signed(at=NOW - 1000)
    assert refused(BODY, old, SECRET).reason == "timestamp_too_old"
    stripped = {"X-Webhook-Signature": old["X-Webhook-Signature"]}
    assert verify(BODY, stripped, SECRET).scheme == "guide"
    assert refused(BODY, stripped, SECRET, scheme="standard").reason == "no_signature"


def test_scheme_guide_looks_at_the_guides_header_only():
    """With scheme="guide" the other headers do not matter."""
    headers = signed() | {"webhook-signature": "v1,AAAA"}
    assert verify(BODY, headers, SECRET, scheme="guide").id == "msg_1"
    del headers["X-Webhook-Signature"]
    assert refused(BODY, headers, SECRET, scheme="guide").reason == "no_signature"


def test_an_unsigned_request_with_an_id_is_unsigned():
    """webhook-id and webhook-timestamp without a signature prove nothing."""
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW)}
    assert refused(BODY, headers, SECRET).reason == "no_signature"


def test_unknown_scheme_is_a_mistake_in_the_code():
    """A misspelt scheme is not a verification error but a ValueError."""
    with pytest.raises(ValueError, match="scheme"):
        verify(BODY, signed(), SECRET, scheme="Standard")


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [signed(), guide_only()], ids=["standard", "guide"])
@pytest.mark.parametrize(
    "body",
    [BODY + b" ", BODY[:-1], BODY.replace(b"123", b"124"), b"", json.dumps(json.loads(BODY))],
)
def test_a_changed_body_is_refused(headers, body):
    """One changed byte, or JSON written anew, does not verify."""
    assert refused(body, headers, SECRET).reason == Reason.BAD_SIGNATURE


@pytest.mark.parametrize("headers", [signed(), guide_only()], ids=["standard", "guide"])
@pytest.mark.parametrize("secret", ["other", SECRET.upper(), ["a", "b"]])
def test_a_wrong_secret_is_refused(headers, secret):
    """Another secret does not verify."""
    assert refused(BODY, headers, secret).reason == Reason.BAD_SIGNATURE


@pytest.mark.parametrize("part", ["webhook-id", "webhook-timestamp"])
def test_id_and_time_are_signed(part):
    """A request cannot be given another id or a fresh time."""
    headers = signed() | {part: str(NOW + 1)}
    assert refused(BODY, headers, SECRET).reason == Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("off", "reason"),
    [(-301, "timestamp_too_old"), (-300, None), (300, None), (301, "timestamp_too_new")],
)
def test_five_minutes_either_way(off, reason):
    """A timestamp may be 300 seconds off, either way, and not one more."""
    headers = signed(at=NOW + off)
    if reason is None:
        assert verify(BODY, headers, SECRET, now=NOW)
    else:
        assert refused(BODY, headers, SECRET).reason == reason


def test_tolerance_is_the_callers():
    """The tolerance may be seconds, a timedelta, or None for any age; NaN accepts nothing."""
    old = signed(at=NOW - 4000)
    assert verify(BODY, old, SECRET, now=NOW, tolerance=4000)
    assert verify(BODY, old, SECRET, now=NOW, tolerance=timedelta(hours=2))
    assert verify(BODY, old, SECRET, now=NOW, tolerance=None)
    assert refused(BODY, old, SECRET, tolerance=float("nan")).reason == "timestamp_too_old"


def test_the_current_time_is_the_default():
    """Without `now` the machine's clock decides."""
    with pytest.raises(VerificationError) as caught:
        verify(BODY, signed(at=1_000_000_000), SECRET)
    assert caught.value.reason == "timestamp_too_old"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", ""),
        ("webhook-id", "a.b"),
        ("webhook-id", "消息"),
        ("webhook-id", "x" * 257),
        ("webhook-id", ["a", "b"]),
        ("webhook-id", 7),
        ("webhook-timestamp", ""),
        ("webhook-timestamp", "2025-10-17"),
        ("webhook-timestamp", "-5"),
        ("webhook-timestamp", "1.5"),
        ("webhook-timestamp", "1" * 5000),
        ("webhook-timestamp", "١٢٣"),
        ("webhook-timestamp", ["1", "2"]),
    ],
)
def test_malformed_headers_are_named(name, value):
    """A header that cannot be right is refused by its name."""
    error = refused(BODY, signed() | {name: value}, SECRET)
    assert error.reason == "malformed"
    assert name in str(error)


@pytest.mark.parametrize(
    "value",
    ["v1", "v1,", ",", "v1,!!!!", "v1,AAAA=", "v1,\udcff", "v2,x", "v1,é", " , ", "v1 " * 9000],
)
@pytest.mark.parametrize("name", ["webhook-signature", "X-Webhook-Signature"])
def test_malformed_signatures_do_not_fit(name, value):
    """A signature that is no signature is a wrong one, not an exception of its own."""
    headers = signed() | {name: value}
    scheme = "guide" if name.startswith("X") else "standard"
    assert refused(BODY, headers, SECRET, scheme=scheme).reason == "bad_signature"


@pytest.mark.parametrize("headers", [None, 7, "text", ["text"], [1], [("a",)], object(), dict])
def test_what_is_no_headers_is_malformed(headers):
    """Whatever is passed as headers, only VerificationError comes out."""
    assert refused(BODY, headers, SECRET).reason == "malformed"


def test_no_headers_is_no_signature():
    """An empty mapping is an unsigned request."""
    assert refused(BODY, {}, SECRET).reason == "no_signature"
    assert refused(BODY, {"X-Webhook-Signature": None}, SECRET).reason == "no_signature"


@pytest.mark.parametrize("body", [None, {"event": "x"}, 7, "\ud800"])
def test_a_parsed_body_is_malformed(body):
    """A body that is not raw is refused, and the message says what to pass instead."""
    error = refused(body, signed(), SECRET)
    assert error.reason == "malformed"
    assert "raw bytes" in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"Hello", b"\xff{}", b"NaN", b"[1e", b"[" * 100_000, b"1" * 5000]
)
def test_a_signed_body_that_is_not_json(body):
    """A fitting signature over something else than JSON is its own reason."""
    assert refused(body, signed(body), SECRET).reason == "bad_body"


def test_the_body_is_not_parsed_before_it_is_verified():
    """What nobody vouches for is not parsed."""
    assert refused(b"not json", signed(), SECRET).reason == "bad_signature"


@pytest.mark.parametrize(
    "secret", ["", None, b"bytes", 7, [], [""], [None], "whsec_?", " padded", "\ud800", ["ok", ""]]
)
def test_an_unusable_secret_verifies_nothing(secret):
    """With an empty or malformed secret everything is refused, also what was signed with it."""
    assert refused(BODY, guide_only(BODY, "x"), secret).reason == "bad_secret"


def test_errors_tell_neither_secret_nor_signature_nor_what_the_sender_wrote():
    """A refusal can be shown to anyone and logged anywhere."""
    headers = signed(message_id="sneaky") | {"webhook-signature": "v1,sneaky"}
    error = refused(BODY, headers, SECRET)
    shown = f"{error} {error!r}"
    assert SECRET not in shown
    assert "sneaky" not in shown
    for value in signed().values():
        assert len(value) < 8 or value not in shown


def test_errors_survive_pickling():
    """The error crosses process borders with its reason."""
    error = pickle.loads(pickle.dumps(refused(BODY, {}, SECRET)))  # noqa: S301
    assert error.reason is Reason.NO_SIGNATURE
    assert "X-Webhook-Signature" in str(error)


# The guide's function ----------------------------------------------------------------------------


def test_verify_signature_with_and_without_prefix():
    """The prefix may be missing, as in the guide's sample."""
    signature = guide_signature(SECRET, BODY)
    assert verify_signature(BODY, signature, SECRET) is True
    assert verify_signature(BODY.decode(), signature.removeprefix("sha256="), SECRET) is True


@pytest.mark.parametrize(
    "signature", ["", "sha256=", "sha256=ab", "x" * 64, "é" * 64, "\ud800", None, 7, b"bytes"]
)
def test_verify_signature_never_raises(signature):
    """Missing, short and strange signatures are False, where the guide's Node sample throws."""
    assert verify_signature(BODY, signature, SECRET) is False


@pytest.mark.parametrize(("body", "secret"), [(None, SECRET), ("\ud800", SECRET), (BODY, None)])
def test_verify_signature_of_nothing_is_false(body, secret):
    """A missing body or secret is False."""
    assert verify_signature(body, guide_signature(SECRET, BODY), secret) is False


def test_verify_signature_with_an_empty_secret_is_false():
    """An empty secret verifies nothing, not even what an attacker signs with it."""
    assert verify_signature(BODY, guide_signature("", BODY), "") is False
