"""What a receiver has to answer, and what is said about it."""

import pytest

from hookline import Settings
from hookline._domain.delivery import Failure, Outcome
from hookline._domain.endpoint import Endpoint, EndpointState
from hookline._domain.handshake import (
    SCHEDULE,
    challenge_body,
    check_origin,
    judge_challenge,
    judge_cloudevents,
)
from hookline._domain.options import checked
from hookline.errors import InvalidInput, InvalidSettings

CHALLENGE = "q3-Zt0x"
ORIGIN = "webhooks.example.com"


def answer(body=b"", status=200, **headers):
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    failure = None if 200 <= status <= 299 else Failure.STATUS
    return Outcome(status, failure, headers=named, body=body)


@pytest.mark.parametrize(
    "body",
    [
        b"q3-Zt0x",
        b" q3-Zt0x\r\n",
        b'{"challenge": "q3-Zt0x"}',
        b'{"ok": true, "challenge": "q3-Zt0x"}\n',
    ],
)
def test_the_challenge_comes_back(body):
    """As the whole body, or as `challenge` in JSON, it proves that the receiver expects us."""
    assert judge_challenge(answer(body), CHALLENGE).proved
    assert judge_challenge(answer(body, 204 if not body else 202), CHALLENGE).proved


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (answer(b""), "does not return the challenge"),
        (answer(b"OK"), "does not return the challenge"),
        (answer(b"q3-Zt0x and more"), "does not return the challenge"),
        (answer(b'["q3-Zt0x"]'), "does not return the challenge"),
        (answer(b'{"challenge": null}'), "does not return the challenge"),
        (answer(b'{"challenge": ["q3-Zt0x"]}'), "another one"),
        (answer(b'{"challenge": "somebody else\'s"}'), "another one"),
        (answer(b'{"challenge": "\xc3\xa9"}'), "another one"),
        (answer(b"\xff\xfe"), "does not return the challenge"),
        (answer(b'{"challenge": "q3-Zt0x"' + b" " * 1000), "does not return the challenge"),
        (answer(b"q3-Zt0x", 404), "HTTP 404"),
        (Outcome(302, Failure.REDIRECT, body=b"q3-Zt0x"), "HTTP 302 (redirects are not followed)"),
        (Outcome(failure=Failure.TIMEOUT), "Request timeout"),
    ],
)
def test_what_is_no_proof(outcome, reason):
    """Anything but the challenge in a 2xx is none, and the reason says what it was."""
    proof = judge_challenge(outcome, CHALLENGE)
    assert not proof.proved
    assert reason in proof.reason


def test_customers_learn_nothing_about_the_network():
    """The reason is for whoever registered the URL; what names addresses is the operator's."""
    blocked = Outcome(failure=Failure.BLOCKED, detail="blocked_address: private 10.0.0.0/8")
    refused = Outcome(failure=Failure.CONNECT, detail="Failed to connect to 10.1.2.3 port 80")
    for judge in (judge_challenge, judge_cloudevents):
        assert judge(blocked, ORIGIN).reason == "blocked_destination"
        assert "10.0.0.0/8" in judge(blocked, ORIGIN).detail
        assert "10." not in judge(refused, ORIGIN).reason
        assert "10.1.2.3" in judge(refused, ORIGIN).detail


def test_the_challenge_is_a_webhook():
    """It comes in the envelope of every webhook."""
    assert challenge_body("abc", 1_760_697_000_000) == (
        b'{"event":"webhook.challenge","data":{"challenge":"abc"},'
        b'"timestamp":"2025-10-17T10:30:00.000Z"}'
    )


@pytest.mark.parametrize(
    ("headers", "rate"),
    [
        ({"webhook_allowed_origin": ORIGIN}, None),
        ({"webhook_allowed_origin": "*", "webhook_allowed_rate": "*"}, None),
        ({"webhook_allowed_origin": "WEBHOOKS.example.com", "webhook_allowed_rate": "120"}, 2.0),
        ({"webhook_allowed_origin": "*", "webhook_allowed_rate": "1"}, 1 / 60),
    ],
)
def test_cloudevents_permission(headers, rate):
    """The headers permit it, whatever 2xx carries them; a rate is per minute."""
    for status in (200, 204):
        proof = judge_cloudevents(answer(status=status, **headers), ORIGIN)
        assert (proof.proved, proof.granted_rate) == (True, rate)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (answer(), "without WebHook-Allowed-Origin"),
        (answer(webhook_allowed_origin="example.com"), f"is not {ORIGIN}"),
        (answer(webhook_allowed_origin=f"*.{ORIGIN}"), f"is not {ORIGIN}"),
        (answer(webhook_allowed_origin="*", webhook_allowed_rate="0"), "Allowed-Rate"),
        (answer(webhook_allowed_origin="*", webhook_allowed_rate="many"), "Allowed-Rate"),
        (answer(webhook_allowed_origin="*", webhook_allowed_rate="-5"), "Allowed-Rate"),
        (answer(status=405, webhook_allowed_origin="*"), "HTTP 405"),
    ],
)
def test_no_cloudevents_permission(outcome, reason):
    """A 2xx alone permits nothing, nor does a permission for somebody else."""
    proof = judge_cloudevents(outcome, ORIGIN)
    assert not proof.proved
    assert reason in proof.reason


def test_the_schedule_takes_about_a_day():
    """The first try is made at once, the last after a day or so."""
    assert SCHEDULE[0] == 0
    assert 22 * 3600 < sum(SCHEDULE) < 26 * 3600


def test_states():
    """Disabled comes before pending: it is what has to be undone first."""
    url, at = "https://a.example/", object()
    assert Endpoint(url, ("*",)).state is EndpointState.ACTIVE
    assert Endpoint(url, ("*",), pending_since=at).state is EndpointState.PENDING
    assert Endpoint(url, ("*",), pending_since=at, disabled_at=at).state == "disabled"


def test_settings():
    """The setting names a known way; CloudEvents needs the sender's name, a DNS name."""
    assert Settings.load({}).ownership() == (None, None)
    assert Settings.load({"HOOKLINE_HANDSHAKE": "none"}).ownership() == ("none", None)
    assert Settings.load({"HOOKLINE_HANDSHAKE": "challenge"}).ownership()[0] == "challenge"
    with pytest.raises(InvalidSettings, match=r"HOOKLINE_HANDSHAKE: handshake: 'yes' is not one"):
        Settings.load({"HOOKLINE_HANDSHAKE": "yes"})
    with pytest.raises(InvalidSettings, match=r"handshake_origin: is needed"):
        Settings.load({}, handshake="cloudevents")
    Settings.load({}, handshake="cloudevents", handshake_origin=ORIGIN)


@pytest.mark.parametrize(
    "text",
    ["https://example.com", "example.com:80", "*", "a b", "Example.com", "a..b", "-a", "a\n", "é"],
)
def test_an_origin_is_a_name(text):
    """The sender's name is a DNS name and nothing else: it becomes a header."""
    with pytest.raises(InvalidInput, match="handshake_origin"):
        check_origin(text)


def test_the_option():
    """An endpoint's own way is one of the three."""
    assert checked({"handshake": "none"}) == {"handshake": "none"}
    assert checked({"handshake": None}) == {}
    for bad in ("", "no", False, 1):
        with pytest.raises(InvalidInput, match=r"handshake: .* is not one of none, challenge"):
            checked({"handshake": bad})
