"""One delivery: its states, what an answer means, and what happens next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import NamedTuple

from hookline._domain import retry


class DeliveryState(StrEnum):
    """The states people see. How they are stored is the store's business."""

    PENDING = "pending"
    SENDING = "sending"
    SUCCEEDED = "succeeded"
    EXHAUSTED = "exhausted"
    HELD = "held"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        """Whether nothing more happens by itself."""
        return self not in (DeliveryState.PENDING, DeliveryState.SENDING)


TRANSITIONS: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    # `held` straight away when its endpoint turns out to be disabled.
    DeliveryState.PENDING: frozenset({DeliveryState.SENDING, DeliveryState.HELD}),
    DeliveryState.SENDING: frozenset(
        {
            DeliveryState.SUCCEEDED,
            DeliveryState.PENDING,
            DeliveryState.EXHAUSTED,
            DeliveryState.HELD,
            DeliveryState.CANCELED,
        }
    ),
    DeliveryState.SUCCEEDED: frozenset({DeliveryState.PENDING}),
    DeliveryState.EXHAUSTED: frozenset({DeliveryState.PENDING}),
    DeliveryState.HELD: frozenset({DeliveryState.PENDING}),
    DeliveryState.CANCELED: frozenset(),
}
"""From each state to those it may leave to; the diagram in the docs is drawn from this."""


class Failure(StrEnum):
    """Why an attempt failed: the error class in the log."""

    STATUS = "status"
    REDIRECT = "redirect"
    CONNECT_TIMEOUT = "connect_timeout"
    TIMEOUT = "timeout"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    RESET = "reset"
    PROTOCOL = "protocol"
    BLOCKED = "blocked_destination"
    PROXY = "proxy"
    OAUTH2 = "oauth2"
    TRANSFORM = "transform"
    OTHER = "other"


class Timings(NamedTuple):
    """Where the time of an attempt went: microseconds since its start, 0 where not reached."""

    dns: int = 0
    connect: int = 0
    tls: int = 0
    first_byte: int = 0
    total: int = 0

    def later(self, by: int) -> "Timings":
        """Return the times as seen from a start that was so much earlier."""
        return Timings(self.dns, *(time and time + by for time in self[1:]))


class Outcome(NamedTuple):
    """What came back from one request: a status, or a failure before there was one."""

    status: int | None = None
    failure: Failure | None = None
    detail: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timings: Timings = Timings()
    peer: str = ""

    @property
    def ok(self) -> bool:
        """Whether the answer was a success: 200 to 299, nothing else."""
        return self.failure is None

    def header(self, name: str) -> str | None:
        """Return the first value of an answer's header; `name` in lower case."""
        return next((value for key, value in self.headers if key == name), None)


class Decision(NamedTuple):
    """What becomes of a delivery after an attempt. Made by the named constructors only."""

    state: DeliveryState
    next_attempt_at: int | None = None
    reason: str = ""
    disable_endpoint: str | None = None
    endpoint_waits_until: int = 0
    """The receiver asked for it: nothing is sent to the whole endpoint before (Unix ms)."""

    @classmethod
    def succeeded(cls) -> "Decision":
        """A 2xx came back."""
        return cls(DeliveryState.SUCCEEDED)

    @classmethod
    def retry(cls, at: int, reason: str) -> "Decision":
        """Try again at `at` (Unix ms)."""
        return cls(DeliveryState.PENDING, at, reason)

    @classmethod
    def exhausted(cls, reason: str) -> "Decision":
        """It was the last attempt."""
        return cls(DeliveryState.EXHAUSTED, None, reason)

    @classmethod
    def canceled(cls, reason: str) -> "Decision":
        """The receiver wants no more of this delivery."""
        return cls(DeliveryState.CANCELED, None, reason)

    @classmethod
    def held(cls, reason: str, *, disable_endpoint: str | None = None) -> "Decision":
        """Keep it until the endpoint is enabled again."""
        return cls(DeliveryState.HELD, None, reason, disable_endpoint)


GONE = 410
RETRY_AFTER_STATUSES = frozenset({429, 502, 503, 504})
MAX_RETRY_AFTER = 24 * 3600
"""Seconds: a receiver cannot push its webhooks further away than a day."""


def decide(
    outcome: Outcome,
    *,
    attempts: int,
    schedule: Sequence[float],
    now: int,
    spread: float,
    resume_at: int | None = None,
) -> Decision:
    """Return what happens after the `attempts`-th attempt of the schedule ended with `outcome`.

    `now` in Unix milliseconds; `spread` from -1 to 1 moves a retry within the jitter. `resume_at`
    is given for a manual attempt: when it fails, the automatic schedule goes on at that time as if
    nothing had happened; 0 says that none was running, and a fresh one starts.
    """
    if outcome.ok:
        return Decision.succeeded()
    reason = describe(outcome)
    wish = (outcome.header("webhook-delivery") or "").strip().lower()
    if outcome.status == GONE:
        return Decision.held(reason, disable_endpoint="the receiver answered 410 Gone")
    if wish == "disable":
        why = "the receiver answered webhook-delivery: disable"
        return Decision.held(reason, disable_endpoint=why)
    if wish == "abort-message":
        return Decision.canceled("the receiver answered webhook-delivery: abort-message")
    asked = _retry_after(outcome, now)
    waits = now + asked if asked else 0
    if resume_at:
        again = Decision.retry(max(resume_at, now + asked), reason)
    else:
        delay = retry.delay_after(schedule, attempts, spread)
        if delay is None:
            return Decision.exhausted(reason)._replace(endpoint_waits_until=waits)
        again = Decision.retry(now + max(delay, asked), reason)
    return again._replace(endpoint_waits_until=waits)


def _retry_after(outcome: Outcome, now: int) -> int:
    """Return the milliseconds the receiver asks for (RFC 9110 §10.2.3), 0 when it does not."""
    text = outcome.header("retry-after") if outcome.status in RETRY_AFTER_STATUSES else None
    if text is None:
        return 0
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text.lstrip("0")[:10] or 0), MAX_RETRY_AFTER) * 1000
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(max(0, round(when.timestamp() * 1000) - now), MAX_RETRY_AFTER * 1000)


_WORDS = {
    Failure.CONNECT_TIMEOUT: "Connection timeout",
    Failure.TIMEOUT: "Request timeout",
    Failure.DNS: "Name could not be resolved",
    Failure.CONNECT: "Connection refused or unreachable",
    Failure.TLS: "TLS error",
    Failure.RESET: "Connection closed by the receiver",
    Failure.PROTOCOL: "Malformed answer",
    Failure.BLOCKED: "Destination blocked",
    Failure.PROXY: "Not let through by the proxy",
    Failure.OAUTH2: "No access token",
    Failure.TRANSFORM: "Body could not be transformed",
    Failure.OTHER: "Transfer failed",
}


def judge_status(status: int | None) -> Failure | None:
    """Return what is wrong with an answer's status; None when nothing is."""
    if status is None:
        return Failure.PROTOCOL
    if 200 <= status <= 299:  # noqa: PLR2004 - RFC 9110 §15.3, the only success
        return None
    return Failure.REDIRECT if 300 <= status <= 399 else Failure.STATUS  # noqa: PLR2004


def describe(outcome: Outcome) -> str:
    """Return the failure in words, as the log line ends: `Connection timeout`, `HTTP 503`."""
    if outcome.failure is None:
        return f"HTTP {outcome.status}"
    if outcome.failure is Failure.STATUS:
        return f"HTTP {outcome.status}"
    if outcome.failure is Failure.REDIRECT:
        return f"HTTP {outcome.status} (redirects are not followed)"
    words = _WORDS[outcome.failure]
    return f"{words} ({outcome.detail})" if outcome.detail else words


def public_reason(outcome: Outcome) -> str:
    """Return the failure in words for whoever registered the URL: no address, no network here."""
    if outcome.failure is Failure.BLOCKED:
        return Failure.BLOCKED.value
    about_them = outcome.failure in {Failure.TLS, Failure.PROTOCOL, Failure.TRANSFORM}
    return describe(outcome if about_them else outcome._replace(detail=""))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request in the log, and the state it left its delivery in.

    `trigger` is `scheduled`, or `manual` for one that somebody asked for.
    """

    id: str
    message_id: str
    endpoint_id: str
    number: int
    url: str
    started_at: datetime
    state: DeliveryState
    status: int | None
    failure: str | None
    detail: str
    response_headers: tuple[tuple[str, str], ...]
    response_body: bytes
    timings: Timings
    next_attempt_at: datetime | None
    trigger: str = "scheduled"


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """Where one message stands at one endpoint."""

    endpoint_id: str
    url: str
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None = None
    last_status: int | None = None
    last_error: str | None = None
