"""What an answer means: the table of the delivery rules, row by row."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from hookline._domain.delivery import (
    TRANSITIONS,
    Decision,
    DeliveryState,
    Failure,
    Outcome,
    decide,
    describe,
)

NOW = 1_760_697_000_000
SCHEDULE = (0.0, 10.0, 100.0)
DAY = 24 * 3600 * 1000


def after(outcome, attempts=1, **options):
    """Decide without jitter on a schedule of three attempts."""
    settings = {"schedule": SCHEDULE, "now": NOW, "spread": 0.0, **options}
    return decide(outcome, attempts=attempts, **settings)


def answered(status, **headers):
    """Return the outcome of an answer; header names with `_` for `-`."""
    failure = None if 200 <= status <= 299 else Failure.STATUS
    if 300 <= status <= 399:
        failure = Failure.REDIRECT
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Outcome(status, failure, headers=pairs)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_2xx_succeeds(status):
    """200 to 299 is success, whatever the attempt and the headers."""
    for attempts in (1, 3, 99):
        outcome = answered(status, retry_after="60", webhook_delivery="disable")
        assert after(outcome, attempts) == Decision.succeeded()


@pytest.mark.parametrize(
    "outcome",
    [
        *(answered(status) for status in (100, 300, 301, 302, 307, 308, 400, 401, 404, 500, 599)),
        *(Outcome(failure=failure) for failure in Failure),
        Outcome(200, Failure.RESET),
        Outcome(200, Failure.TIMEOUT),
    ],
    ids=lambda outcome: f"{outcome.status} {outcome.failure}",
)
def test_failures_follow_the_schedule(outcome):
    """Every other status and every failure is retried by the schedule, then exhausted."""
    first, second, third = (after(outcome, attempts) for attempts in (1, 2, 3))
    assert (first.state, first.next_attempt_at) == (DeliveryState.PENDING, NOW + 10_000)
    assert (second.state, second.next_attempt_at) == (DeliveryState.PENDING, NOW + 100_000)
    assert (third.state, third.next_attempt_at) == (DeliveryState.EXHAUSTED, None)
    assert first.reason == second.reason == third.reason == describe(outcome)
    assert {d.disable_endpoint for d in (first, second, third)} == {None}


def test_gone_disables():
    """410 disables the endpoint, says why and holds the delivery, on any attempt."""
    for attempts in (1, 3):
        decision = after(answered(410), attempts)
        assert decision.state is DeliveryState.HELD
        assert decision.disable_endpoint == "the receiver answered 410 Gone"
        assert decision.reason == "HTTP 410"


@pytest.mark.parametrize("status", [400, 404, 429, 503, 302])
@pytest.mark.parametrize("value", ["disable", " Disable ", "DISABLE"])
def test_a_receiver_may_ask_to_be_disabled(status, value):
    """`webhook-delivery: disable` does the same with any status that is no success."""
    decision = after(answered(status, webhook_delivery=value))
    assert decision.state is DeliveryState.HELD
    assert decision.disable_endpoint == "the receiver answered webhook-delivery: disable"


def test_a_receiver_may_abort_one_message():
    """`webhook-delivery: abort-message` cancels this delivery and leaves the endpoint alone."""
    decision = after(answered(400, webhook_delivery="abort-message"))
    assert decision.state is DeliveryState.CANCELED
    assert decision.disable_endpoint is None


@pytest.mark.parametrize("value", ["", "disable-message", "abort", "yes", "\xff"])
def test_other_wishes_are_ignored(value):
    """Another value of `webhook-delivery` changes nothing."""
    assert after(answered(400, webhook_delivery=value)) == after(answered(400))


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("60", 60_000),
        (" 60 ", 60_000),
        ("1", 10_000),
        ("0", 10_000),
        ("86400", DAY),
        ("86401", DAY),
        ("9" * 400, DAY),
        ("00000000000000000060", 60_000),
    ],
    ids=lambda each: str(each)[:20],
)
def test_retry_after_in_seconds(status, value, wait):
    """The wait is the longer of schedule and Retry-After, 24 hours at most."""
    decision = after(answered(status, retry_after=value))
    assert decision.next_attempt_at == NOW + wait


@pytest.mark.parametrize(
    ("offset", "wait"), [(3600, 3_600_000), (5, 10_000), (-3600, 10_000), (10 * 86400, DAY)]
)
def test_retry_after_as_a_date(offset, wait):
    """An HTTP date is understood the same way; one that is past asks for nothing."""
    moment = datetime.fromtimestamp(NOW // 1000 + offset, UTC)
    value = format_datetime(moment, usegmt=True)
    assert after(answered(503, retry_after=value)).next_attempt_at == NOW + wait


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "1e9",
        "60 seconds",
        "0x10",
        "６０",
        "²",
        "Wed, 99 Foo 2025 99:99:99 GMT",
        "Fri, 17 Oct 0000 10:30:00 GMT",
        "Fri, 17 Oct 99999 10:30:00 GMT",
        "Fri, 17 Oct 2025 10:30:00 +99999999",
        "," * 100,
        "\x00",
    ],
)
def test_retry_after_that_is_garbage(value):
    """A Retry-After that is neither leaves the schedule as it is."""
    decision = after(answered(503, retry_after=value))
    assert decision == after(answered(503))


@pytest.mark.parametrize("status", [301, 400, 401, 404, 408, 500, 501])
def test_retry_after_of_other_statuses(status):
    """Retry-After counts with 429, 502, 503 and 504 only."""
    assert after(answered(status, retry_after="3600")) == after(answered(status))


def test_retry_after_is_for_the_whole_endpoint():
    """What the receiver asked for holds for all its deliveries, also when this one gives up."""
    assert after(answered(429, retry_after="60")).endpoint_waits_until == NOW + 60_000
    assert after(answered(429, retry_after="60"), 3).endpoint_waits_until == NOW + 60_000
    assert after(answered(429, retry_after="60"), 3).state is DeliveryState.EXHAUSTED
    assert after(answered(429)).endpoint_waits_until == 0
    assert after(answered(400, retry_after="60")).endpoint_waits_until == 0


def test_a_manual_attempt_leaves_the_schedule_alone():
    """A failed manual attempt goes on where the schedule was; a good one ends the delivery."""
    resume = NOW + 3_600_000
    assert after(answered(500), 2, resume_at=resume).next_attempt_at == resume
    assert after(answered(500), 99, resume_at=resume).state is DeliveryState.PENDING
    assert after(answered(503, retry_after="7200"), resume_at=resume).next_attempt_at == (
        NOW + 7_200_000
    )
    assert after(answered(200), resume_at=resume) == Decision.succeeded()
    assert after(answered(410), resume_at=resume).state is DeliveryState.HELD


def test_a_manual_attempt_without_a_schedule_starts_one():
    """Where no schedule was running, a failed manual attempt starts a fresh one."""
    decision = after(answered(500), 1, resume_at=0)
    assert (decision.state, decision.next_attempt_at) == (DeliveryState.PENDING, NOW + 10_000)


def test_only_allowed_transitions():
    """Every decision leaves `sending` to a state the table allows; each of those is reached."""
    outcomes = [
        answered(200),
        answered(500),
        answered(410),
        answered(400, webhook_delivery="abort-message"),
        answered(400, webhook_delivery="disable"),
        Outcome(failure=Failure.DNS),
    ]
    reached = {after(outcome, attempts).state for outcome in outcomes for attempts in (1, 2, 3)}
    assert reached == TRANSITIONS[DeliveryState.SENDING]


def test_the_table_of_states():
    """Every state has its row, leads to known states, and only `canceled` leads nowhere."""
    assert set(TRANSITIONS) == set(DeliveryState)
    assert all(targets <= set(DeliveryState) for targets in TRANSITIONS.values())
    assert [state for state, targets in TRANSITIONS.items() if not targets] == ["canceled"]
    assert {state for state in DeliveryState if not state.final} == {"pending", "sending"}


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (answered(503), "HTTP 503"),
        (answered(302), "HTTP 302 (redirects are not followed)"),
        (Outcome(failure=Failure.CONNECT_TIMEOUT), "Connection timeout"),
        (Outcome(failure=Failure.TIMEOUT), "Request timeout"),
        (Outcome(failure=Failure.DNS, detail="no such host"), "(no such host)"),
        (Outcome(failure=Failure.TLS, detail="self-signed"), "TLS error (self-signed)"),
    ],
)
def test_failures_in_words(outcome, words):
    """The end of the guide's log line: short words, the library's detail in brackets."""
    assert words in describe(outcome)


def test_every_failure_has_words():
    """No failure is without words of its own."""
    said = {describe(Outcome(500, failure)) for failure in Failure}
    assert len(said) == len(Failure)
