"""What was sent with an attempt: the headers of its request, made again the way they were made.

The log keeps no request headers: all of them follow from the message, the endpoint and the time.
So an endpoint that has changed since shows those of today, and after its secret was rotated the
signature of today's. Values of an endpoint's own headers are secrets, and are not shown.
"""

from collections.abc import Sequence
from dataclasses import replace

from hookline import Attempt, Message
from hookline._domain import ids
from hookline._domain.endpoint import Target
from hookline._domain.expression.meter import ExpressionFailed
from hookline._engine.attempt import sign
from hookline._ports import Leased
from hookline._web.dashboard.view import View
from hookline._web.engine import on_engine
from hookline.errors import HooklineError

HIDDEN = "••••••••"
"""Stands where a secret is."""
MOST = 20
"""Attempts whose headers are made again, the newest: each takes a look at the whole body."""


Pairs = list[tuple[str, str]]


async def headers(view: View, message: Message, attempts: Sequence[Attempt]) -> dict[str, Pairs]:
    """Return the request headers of attempts, by their ids; none where they cannot be known."""
    found: dict[str, Pairs] = {}
    if message.erased:
        return found
    newest = attempts[-MOST:]
    for name in {attempt.endpoint_id for attempt in newest}:
        target = await target_of(view, name)
        if target is not None and target.locked is None:
            mine = [attempt for attempt in newest if attempt.endpoint_id == name]
            found |= _of_each(message, mine, target, view.webhooks.settings.payload_limit)
    return found


async def target_of(view: View, endpoint_id: str) -> Target | None:
    """Return what sending to an endpoint needs, its header values hidden; None when it is gone."""
    key = ids.decode(ids.ENDPOINT, endpoint_id) or b""
    found = await on_engine(view.webhooks, lambda e: e.store.handshakes.target(key))
    if found is None:
        return None
    names = (line.partition(":")[0] for line in found.header_lines)
    return replace(found, header_lines=tuple(f"{name}: {HIDDEN}" for name in names))


def _of_each(
    message: Message, attempts: Sequence[Attempt], target: Target, limit: int
) -> dict[str, Pairs]:
    leased = Leased(
        message=ids.decode(ids.MESSAGE, message.id) or b"",
        event_type=message.event_type,
        body=message.body,
        target=target,
        lease=0,
    )
    found = {}
    try:
        body = target.body_of(message.body, limit)
        for attempt in attempts:
            leased.attempts = attempt.number - 1
            lines = sign(leased, body, round(attempt.started_at.timestamp() * 1000))
            pairs = [(name, value.strip()) for name, _, value in (x.partition(":") for x in lines)]
            found[attempt.id] = [pair for pair in pairs if pair[1]]
    except (ExpressionFailed, HooklineError):  # neither was there a request
        return {}
    return found
