"""ONE delivery, top to bottom: prepare, sign, send, decide, settle.

The worker does these steps for many deliveries at once; this file is how each is done for one.
Sending is the sender's and settling the store's: they take batches.
"""

import random
from dataclasses import dataclass, field

from hookline import __version__
from hookline._domain import ids
from hookline._domain.address import Policy
from hookline._domain.delivery import Outcome, decide
from hookline._domain.identity import Proxying
from hookline._engine.keys import new_key
from hookline._ports import Leased, Request, Settlement
from hookline._settings import Settings
from hookline.errors import SecretsLocked

_FIXED_LINES = (
    "Content-Type: application/json",
    "Accept-Encoding: identity",
    f"User-Agent: hookline/{__version__}",
    "Expect:",  # libcurl would ask '100-continue' before a larger body: one round trip for nothing
)


@dataclass(slots=True, eq=False)
class Flight:
    """A delivery this worker holds: waiting for its turn, in the air, or being settled.

    `token` is the access token it is sent with, where its endpoint needs one.
    """

    delivery: Leased
    started_at: int
    lease_until: int
    sent: bool = False
    token: str | None = field(default=None, repr=False)


def prepare(
    flight: Flight,
    settings: Settings,
    policy: Policy,
    proxying: Proxying,
    *,
    verbatim: bool = False,
) -> Request:
    """Return the request for one delivery, signed as of its start.

    `verbatim`: the endpoint's transformation is for events, and this is none. Raises SecretsLocked
    when the endpoint's secrets do not open, InvalidUrl when its URL was changed by other means,
    ExpressionFailed when its transformation has no result for this body.
    """
    delivery, target = flight.delivery, flight.delivery.target
    if target.locked is not None:
        raise SecretsLocked(target.locked)
    timeout = target.timeout if target.timeout is not None else settings.timeout
    url, allowed, identity = target.destination(policy, proxying)
    body = delivery.body if verbatim else target.body_of(delivery.body, settings.payload_limit)
    lines = sign(delivery, body, flight.started_at)
    if flight.token is not None:
        lines.append(f"Authorization: Bearer {flight.token}")
    return Request(
        tag=flight,
        url=url,
        policy=allowed,
        header_lines=lines,
        body=body,
        connect_timeout_ms=int(min(settings.connect_timeout, timeout) * 1000),
        timeout_ms=int(timeout * 1000),
        identity=identity,
    )


def sign(delivery: Leased, body: bytes, now: int) -> list[str]:
    """Return the header lines of one attempt. Signed when sent: verifiers refuse old timestamps.

    `body` is what is sent.
    """
    target, seconds = delivery.target, now // 1000
    message_id = ids.encode(ids.MESSAGE, delivery.message)
    lines = [
        *_FIXED_LINES,
        *target.header_lines,
        f"webhook-id: {message_id}",
        f"webhook-timestamp: {seconds}",
        f"X-Webhook-Event: {delivery.event_type}",
        f"X-Webhook-Attempt: {delivery.attempts + 1}",
    ]
    signer = target.signer(now)
    if signer is not None:
        lines += signer.lines(message_id, seconds, body)
    return lines


def conclude(flight: Flight, outcome: Outcome, now: int, settings: Settings) -> Settlement:
    """Decide what becomes of a delivery after its attempt, ready to be settled."""
    delivery = flight.delivery
    decision = decide(
        outcome,
        attempts=delivery.step + 1,
        schedule=delivery.target.retry_schedule or settings.retry_schedule,
        now=now,
        resume_at=delivery.resume_at,
        spread=random.uniform(-1, 1),  # noqa: S311 - jitter, not a secret
    )
    return Settlement(delivery, new_key(flight.started_at), flight.started_at, outcome, decision)
