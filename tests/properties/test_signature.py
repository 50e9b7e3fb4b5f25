"""For every body, id and secret: what is signed verifies, whatever else arrives is refused."""

import json
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline._domain.signature import Signer, key_bytes, secret_from
from hookline.receiver import (
    Cause,
    Reason,
    VerificationError,
    diagnose,
    verify,
    verify_signature,
)

NOW = 1_760_697_000

bodies = st.binary(max_size=200)
plain = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(
    lambda text: text == text.strip() and not text.startswith("whsec_")
)
secrets = plain | st.binary(min_size=24, max_size=24).map(secret_from)
public = st.just("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=")
ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
times = st.integers(0, 99_999_999_999)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
    | st.binary(max_size=40) | st.text(st.characters(categories=["Cs"]), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=5,
)  # fmt: skip
names = st.sampled_from(
    [
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "svix-id",
        "svix-signature",
        "X-Webhook-Signature",
        "X-Webhook-Attempt",
        "HTTP_WEBHOOK_ID",
        "webhook_signature",
    ]
)
maps = st.dictionaries(names | st.text(max_size=10), anything, max_size=6)
headers_of_all_kinds = maps | maps.map(lambda m: list(m.items())) | anything


def signed(body: bytes, message_id: str, at: int, *active: str) -> dict[str, str]:
    signer = Signer(active)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": signer.standard(message_id, at, body),
        "X-Webhook-Signature": signer.guide(body),
    }


def reason(call: Callable[[], object]) -> Reason | None:
    """Return why it was refused, None when it was not; any other exception fails the test."""
    try:
        call()
    except VerificationError as error:
        return error.reason
    return None


@given(bodies, ids, times, secrets)
def test_what_is_signed_verifies(body, message_id, at, secret):
    """Whatever Hookline signs verifies; that it is JSON is another question."""
    headers = signed(body, message_id, at, secret)
    assert reason(lambda: verify(body, headers, secret, now=at)) in (None, Reason.BAD_BODY)
    assert verify_signature(body, headers["X-Webhook-Signature"], secret)


@given(bodies, ids, times, secrets, secrets)
def test_rotation_never_locks_anyone_out(body, message_id, at, new, old):
    """During an overlap, a receiver with the old, the new or both secrets verifies."""
    headers = signed(body, message_id, at, new, old)
    for known in (new, old, [new, old], [old, new]):
        assert reason(lambda k=known: verify(body, headers, k, now=at)) in (None, Reason.BAD_BODY)
    assert verify_signature(body, headers["X-Webhook-Signature"], old)


@given(bodies, bodies, ids, secrets)
def test_another_body_is_refused(body, other, message_id, secret):
    """A signature fits one body only."""
    headers = signed(body, message_id, NOW, secret)
    refused = reason(lambda: verify(other, headers, secret, now=NOW)) == Reason.BAD_SIGNATURE
    assert refused == (body != other)
    assert verify_signature(other, headers["X-Webhook-Signature"], secret) == (body == other)


@given(bodies, ids, secrets, secrets)
def test_another_secret_is_refused(body, message_id, secret, other):
    """A signature fits one key only."""
    headers = signed(body, message_id, NOW, secret)
    refused = reason(lambda: verify(body, headers, other, now=NOW)) == Reason.BAD_SIGNATURE
    assert refused == (key_bytes(secret) != key_bytes(other))


@given(st.data(), ids, secrets)
def test_one_changed_character_is_refused(data, message_id, secret):
    """Changing any one character of any signed header refuses the request."""
    headers = signed(b"{}", message_id, NOW, secret)
    name = data.draw(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]))
    where = data.draw(st.integers(0, len(headers[name]) - 1))
    character = data.draw(st.characters(exclude_characters=headers[name][where]))
    value = headers[name]
    headers[name] = value[:where] + character + value[where + 1 :]
    if headers[name].strip() != value:
        assert reason(lambda: verify(b"{}", headers, secret, now=NOW))


@given(bodies | st.text(max_size=40) | anything, headers_of_all_kinds, secrets | public | anything)
def test_nothing_but_the_one_error(body, headers, secret):
    """Whatever arrives, and whatever the secret is: VerificationError or an Event."""
    assert reason(lambda: verify(body, headers, secret, now=NOW)) is not None
    assert reason(lambda: verify(body, headers, secret, scheme="standard")) is not None
    assert reason(lambda: verify(body, headers, secret, scheme="guide")) is not None


def verdict(body: object, headers: object, secret: object) -> bool:
    """Return whether `verify` takes it."""
    return reason(lambda: verify(body, headers, secret, now=NOW)) is None


@given(
    bodies | anything,
    headers_of_all_kinds,
    secrets | public | anything,
    st.none() | bodies | anything,
)
def test_diagnosis_never_raises(body, headers, secret, original):
    """A diagnosis is a named cause, also for nonsense, and valid is what verifies."""
    headers = list(headers) if isinstance(headers, Iterator) else headers
    found = diagnose(body, headers, secret, now=NOW, original=original)
    assert found.cause in Cause
    assert found.sentence
    assert found.valid == verdict(body, headers, secret)


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(
        st.characters(codec="utf-8"), max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
writers = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 2, 4]),
        "separators": st.sampled_from([None, (",", ":")]),
    }
).filter(lambda o: o["indent"] is None or o["separators"] is None)


@given(documents, writers, writers)
def test_json_written_anew_is_recognised(document, sent_as, came_as):
    """Whoever parses and writes a body again with another layout is told so."""
    sent = json.dumps(document, **sent_as).encode()
    came = json.dumps(document, **came_as).encode()
    found = diagnose(came, signed(sent, "msg_1", NOW, "s3cr3t"), "s3cr3t", now=NOW)
    if sent == came:
        assert found.valid
    else:
        assert found.cause in (Cause.BODY_REFORMATTED, Cause.BODY_ESCAPES)


@given(bodies, bodies)
def test_any_difference_from_the_original_is_named(sent, came):
    """With the original at hand, a changed body always has a cause that begins with body_."""
    headers = signed(sent, "msg_1", NOW, "s3cr3t")
    found = diagnose(came, headers, "s3cr3t", now=NOW, original=sent)
    assert found.cause.startswith("body_") == (sent != came)


@given(bodies, ids, plain)
def test_diagnosis_never_shows_the_secret(body, message_id, secret):
    """Neither the refusal nor the diagnosis contains the secret."""
    secret = f"s3cr3t-{secret}"
    headers = signed(body, message_id, NOW, f"{secret}x")
    with pytest.raises(VerificationError) as caught:
        verify(body, headers, secret, now=NOW)
    assert secret not in str(caught.value)
    assert secret not in str(diagnose(body, headers, secret))


@given(bodies | anything, anything, secrets | anything)
def test_the_guides_function_never_raises(body, signature, secret):
    """`verify_signature` answers False to all that does not fit."""
    assert verify_signature(body, signature, secret) is False
