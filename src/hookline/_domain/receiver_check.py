"""Judging a receiver by its answers to test events, rightly and wrongly signed."""

from dataclasses import dataclass
from enum import StrEnum

from hookline._domain.delivery import GONE, Failure, Outcome, public_reason

EVENT = "webhook.test"
SLOW = 5_000_000
"""Microseconds for an answer; Standard Webhooks senders wait 15 to 30 seconds at most."""
TOO_MANY = 429
ACCEPTS = "accepts-signed"
DUPLICATE = "accepts-duplicate"
WRONG = "refuses-wrong-signature"
MISSING = "refuses-missing-signature"
OLD = "refuses-old-timestamp"
QUICK = "answers-quickly"


class CheckVerdict(StrEnum):
    """How a check of a receiver ended."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class ReceiverCheck:
    """The result of one check of a receiver.

    `check` is its name, which stays the same from release to release. `summary` says what the
    receiver did, or why that was not checked; `advice` what to change in it (empty when it passed).
    """

    check: str
    verdict: CheckVerdict
    summary: str
    advice: str = ""


def not_checked(check: str, why: str) -> ReceiverCheck:
    """Say why there is nothing to say."""
    return ReceiverCheck(check, CheckVerdict.NOT_CHECKED, why)


def accepts(outcome: Outcome, *, signed: bool) -> ReceiverCheck:
    """Judge the answer to an event as any other is sent."""
    what = "a correctly signed event" if signed else "an event (the endpoint has no secret)"
    if outcome.ok:
        said = f"answered {outcome.status} to {what}"
        return ReceiverCheck(ACCEPTS, CheckVerdict.PASSED, said)
    return ReceiverCheck(
        ACCEPTS, CheckVerdict.FAILED, f"{what} failed: {public_reason(outcome)}", _why(outcome)
    )


def _why(outcome: Outcome) -> str:
    status = outcome.status
    if outcome.failure is Failure.BLOCKED:
        return "nothing may be sent there; hookline check-url says why"
    if status in (400, 401, 403):
        return (
            "compare the secret on both sides, and verify the raw bytes of the body, before "
            "anything parses them"
        )
    if status in (404, 405):
        return "compare the path of the URL with the receiver's route, which has to take POST"
    if outcome.failure is Failure.REDIRECT:
        return "register the address it redirects to: redirects are never followed"
    if status is not None:
        return "answer 2xx once the event is stored; the receiver's log says what went wrong"
    return "the receiver has to be reachable from here, over TLS with a valid certificate"


def duplicate(outcome: Outcome) -> ReceiverCheck:
    """Judge the answer to an event that came before."""
    if outcome.ok:
        said = f"answered {outcome.status} to the same event once more"
        return ReceiverCheck(DUPLICATE, CheckVerdict.PASSED, said)
    return ReceiverCheck(
        DUPLICATE,
        CheckVerdict.FAILED,
        f"the same event once more failed: {public_reason(outcome)}",
        "events may come twice: remember webhook-id, and answer 2xx to what was done already",
    )


def quick(outcome: Outcome) -> ReceiverCheck:
    """Judge how long the first answer took."""
    seconds = outcome.timings.total / 1_000_000
    if outcome.timings.total <= SLOW:
        return ReceiverCheck(QUICK, CheckVerdict.PASSED, f"answered within {seconds:.2g} s")
    return ReceiverCheck(
        QUICK,
        CheckVerdict.WARNING,
        f"took {seconds:.1f} s to answer",
        "store the event, answer 202, and do the work afterwards: what takes longer than the "
        "endpoint's timeout is sent again",
    )


_WRONGLY = {
    WRONG: ("an event whose signature does not fit", "verify the signature before anything else"),
    MISSING: ("an event without a signature", "refuse what has no signature"),
    OLD: (
        "an event signed ten minutes ago",
        "refuse a webhook-timestamp more than five minutes off: requests can be recorded",
    ),
}


def refuses(check: str, outcome: Outcome) -> ReceiverCheck:
    """Judge the answer to an event that has to be refused; `check` says which one."""
    what, advice = _WRONGLY[check]
    status = outcome.status
    if outcome.ok:
        said = f"answered {status} to {what}"
        return ReceiverCheck(check, CheckVerdict.FAILED, said, advice)
    if status == TOO_MANY:
        return not_checked(check, "the receiver asked for a pause (429); check again later")
    if status == GONE:
        return ReceiverCheck(
            check,
            CheckVerdict.WARNING,
            f"answered 410 to {what}",
            "answer 401 or 403: 410 disables the endpoint, and anybody could cause that",
        )
    if status is not None and 400 <= status <= 499:  # noqa: PLR2004 - RFC 9110 §15.5
        return ReceiverCheck(check, CheckVerdict.PASSED, f"answered {status} to {what}")
    advice = "answer 401 or 403"
    if status is not None:
        advice += "; the check itself seems to fail (timingSafeEqual throws when lengths differ)"
    said = f"{what} was not refused with a 4xx: {public_reason(outcome)}"
    return ReceiverCheck(check, CheckVerdict.FAILED, said, advice)
