"""Proving that a receiver wants what is sent to it: what is asked, and what an answer means.

An endpoint is pending from the moment it is new, or its URL changes, until it has answered.
"""

import hmac
import re
from enum import StrEnum
from typing import NamedTuple

import orjson

from hookline._domain.delivery import Outcome, describe, public_reason
from hookline._domain.envelope import iso
from hookline._domain.retry import HOUR, MINUTE
from hookline._said import Said
from hookline.errors import InvalidInput


class Handshake(StrEnum):
    """How a receiver proves that it expects webhooks."""

    NONE = "none"
    CHALLENGE = "challenge"
    CLOUDEVENTS = "cloudevents"


EVENT = "webhook.challenge"
SCHEDULE = (0.0, 10.0, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, *(2 * HOUR,) * 3, *(4 * HOUR,) * 4)
"""Seconds before each try: thirteen over 23 hours. After the last, somebody has to ask again."""
MOST_READ = 1024
"""Bytes of an answer that are read."""
ORIGIN, RATE = "webhook-allowed-origin", "webhook-allowed-rate"
_RATE = re.compile(r"0*[1-9][0-9]{0,8}", re.ASCII)
_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
)


class Ownership(NamedTuple):
    """What an application demands of its endpoints; `origin` names the sender to CloudEvents.

    None leaves what was demanded before as it is.
    """

    handshake: Handshake | None = None
    origin: str | None = None


class Proof(NamedTuple):
    """What one handshake came to. `granted_rate` in requests per second, None for any.

    When it failed, `reason` is for whoever registered the endpoint, who is told nothing about the
    network here; `detail` is for the operator.
    """

    proved: bool
    reason: str = ""
    detail: str = ""
    granted_rate: float | None = None


def check(value: object) -> Handshake:
    """Return the handshake of that name; raise InvalidInput naming those there are."""
    try:
        return Handshake(value)  # type: ignore[arg-type] # ValueError for whatever it is
    except ValueError:
        known = ", ".join(Handshake)
        raise InvalidInput(
            Said("handshake: {got} is not one of {known}", got=repr(value), known=known)
        ) from None


def check_origin(text: str) -> str:
    """Return the origin when it is a DNS name or empty; raise InvalidInput otherwise."""
    if text and not _NAME.fullmatch(text):
        raise InvalidInput(
            f"handshake_origin: {text!r} is not a DNS name in lower case, such as "
            "webhooks.example.com (no scheme, no port)"
        )
    return text


def challenge_body(challenge: str, now: int) -> bytes:
    """Return the challenge in the envelope every webhook has; `now` in Unix milliseconds."""
    data = {"challenge": challenge}
    return orjson.dumps({"event": EVENT, "data": data, "timestamp": iso(now)})


def judge_challenge(outcome: Outcome, challenge: str) -> Proof:
    """Return whether a 2xx brought the challenge back: as its body, or as `challenge` in JSON."""
    if not outcome.ok:
        return _failed(outcome)
    if _matches(outcome.body.strip(), challenge):
        return Proof(proved=True)
    try:
        said = orjson.loads(outcome.body)
    except orjson.JSONDecodeError:
        said = None
    returned = said.get("challenge") if isinstance(said, dict) else None
    if isinstance(returned, str) and _matches(returned.encode(), challenge):
        return Proof(proved=True)
    if returned is not None:
        return _refused(f"HTTP {outcome.status}, but the challenge it returned is another one")
    return _refused(f"HTTP {outcome.status}, but the answer does not return the challenge")


def _matches(answer: bytes, challenge: str) -> bool:
    return hmac.compare_digest(answer, challenge.encode())


def judge_cloudevents(outcome: Outcome, origin: str) -> Proof:
    """Return whether the receiver permits this origin (CloudEvents HTTP Webhooks 1.0.2, §4.2).

    The permission is in the headers: a 2xx alone is none, and which 2xx it is says nothing.
    """
    if not outcome.ok:
        return _failed(outcome)
    allowed = outcome.header(ORIGIN)
    if allowed is None:
        return _refused(f"HTTP {outcome.status} without WebHook-Allowed-Origin")
    if allowed != "*" and allowed.lower() != origin:
        return _refused(f"WebHook-Allowed-Origin is not {origin}")
    rate = outcome.header(RATE)
    if rate is None or rate == "*":
        return Proof(proved=True)
    if not _RATE.fullmatch(rate):
        return _refused("WebHook-Allowed-Rate is neither a number of 1 or more nor *")
    return Proof(proved=True, granted_rate=int(rate) / 60)


def _refused(reason: str) -> Proof:
    return Proof(proved=False, reason=reason, detail=reason)


def _failed(outcome: Outcome) -> Proof:
    return Proof(proved=False, reason=public_reason(outcome), detail=describe(outcome))
