"""Counting what waits, with a bound on what that costs: a monitor asks every few seconds.

Indexes only: a seek per endpoint for its oldest delivery, then counts that stop somewhere.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._domain.backlog import MOST_COUNTED, Backlog
from hookline._domain.breaker import CircuitState
from hookline._domain.history import MOST_QUEUED
from hookline._domain.vitals import Pulse
from hookline._storage.schema import HELD, IN_LINE, circuit, delivery, endpoint, message, outbox

MOST_ENDPOINTS = 10_000
"""Endpoints that are looked at."""
MOST_BEHIND = 1000
"""Endpoints with due deliveries whose deliveries are counted."""


class Queued(NamedTuple):
    """What is queued for one endpoint, each counted to `MOST_QUEUED`, and when the next is due."""

    pending: int
    sending: int
    held: int
    next_due: int | None


def read(connection: sa.Connection, pulse: Pulse, now: int, app: bytes | None = None) -> Backlog:
    """Return what waits, in one application or in all. Milliseconds, whatever the backlog is."""
    mine = sa.true() if app is None else endpoint.c.app_id == app
    oldest = (
        sa.select(sa.func.min(delivery.c.next_attempt_at))
        .where(delivery.c.endpoint_id == endpoint.c.id)
        .scalar_subquery()
    )
    behind = {
        row.id: row.oldest
        for row in connection.execute(
            sa.select(endpoint.c.id, oldest.label("oldest"))
            .where(endpoint.c.disabled_at.is_(None), mine)
            .limit(MOST_ENDPOINTS)
        )
        if row.oldest is not None and row.oldest <= now
    }
    broken = sa.select(circuit.c.endpoint_id).where(circuit.c.state != CircuitState.CLOSED)
    if app is not None:
        broken = broken.join(endpoint, endpoint.c.id == circuit.c.endpoint_id).where(mine)
    opened = set(connection.execute(broken).scalars())
    unrouted, oldest_unrouted = connection.execute(_unrouted(now, app)).one()
    waits = [at for key, at in behind.items() if key not in opened]
    waits += [] if oldest_unrouted is None else [oldest_unrouted]
    total, disabled = connection.execute(
        sa.select(sa.func.count(), sa.func.count(endpoint.c.disabled_at)).where(mine)
    ).one()
    return Backlog(
        due=sum(due(connection, list(behind)[:MOST_BEHIND], now).values()),
        unrouted=unrouted,
        oldest_due_ms=max(0, now - min(waits, default=now)),
        open_circuits=len(opened),
        endpoints=total,
        disabled_endpoints=disabled,
        workers=len(pulse.living) or int(pulse.owned is True),
    )


def _unrouted(now: int, app: bytes | None) -> sa.Select[int, Any]:
    """Count the oldest messages nobody has looked at, those of one application among them."""
    late = sa.select(outbox).where(outbox.c.due_at <= now).order_by(outbox.c.due_at)
    part = late.limit(MOST_COUNTED).subquery()
    found = sa.select(sa.func.count(), sa.func.min(part.c.due_at)).select_from(part)
    if app is None:
        return found
    return found.join(message, message.c.id == part.c.message_id).where(message.c.app_id == app)


def due(connection: sa.Connection, endpoints: Iterable[bytes], now: int) -> dict[bytes, int]:
    """Count the due deliveries of these endpoints, up to `MOST_COUNTED` in all."""
    counts: dict[bytes, int] = {}
    left, at = MOST_COUNTED, delivery.c.next_attempt_at
    for key in endpoints:
        mine = _count(left, delivery.c.endpoint_id == key, at <= now)
        counts[key] = (connection.scalar(sa.select(mine)) or 0) if left else 0
        left -= counts[key]
    return counts


async def queued(connection: AsyncConnection, key: bytes, now: int) -> Queued:
    """Count what is queued for an endpoint."""
    own, at = delivery.c.endpoint_id == key, delivery.c.next_attempt_at
    sending = sa.and_(delivery.c.lease != 0, at > now, at < IN_LINE)
    idle = sa.select(at).where(own, at < IN_LINE, ~sending).order_by(at).limit(1)
    found = await connection.execute(
        sa.select(
            _count(MOST_QUEUED, own, at != HELD, ~sending),
            _count(MOST_QUEUED, own, sending),
            _count(MOST_QUEUED, own, at == HELD),
            idle.scalar_subquery(),
        )
    )
    return Queued(*found.one())


def _count(most: int, *conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    part = sa.select(sa.literal(1)).select_from(delivery).where(*conditions).limit(most).subquery()
    return sa.select(sa.func.count()).select_from(part).scalar_subquery()
