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
from hookline._storage import paging
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
        due=_due_in_all(connection, list(behind)[:MOST_BEHIND], now),
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


def _due_in_all(connection: sa.Connection, endpoints: Iterable[bytes], now: int) -> int:
    """Count the due deliveries of these endpoints, up to `MOST_COUNTED` in all."""
    own, due = delivery.c.endpoint_id.in_(list(endpoints)), delivery.c.next_attempt_at <= now
    return connection.scalar(sa.select(_count(MOST_COUNTED, own, due))) or 0


async def queued(connection: AsyncConnection, key: bytes, now: int) -> Queued:
    """Count what is queued for an endpoint."""
    own, at = delivery.c.endpoint_id == key, delivery.c.next_attempt_at
    sending = sa.and_(delivery.c.lease != 0, at > now, at < IN_LINE)
    idle = sa.select(at).where(own, at < IN_LINE, ~sending).order_by(at).limit(1)
    # Leases end soon: they are among those whose time comes next, however many retries wait.
    next_ones = sa.select(delivery.c.lease).where(own, at > now, at < IN_LINE).order_by(at)
    soon = next_ones.limit(MOST_QUEUED).subquery()
    leased = sa.select(sa.func.count()).where(soon.c.lease != 0)
    found = await connection.execute(
        sa.select(
            _count(MOST_QUEUED, own, at < HELD, ~sending),
            leased.scalar_subquery(),
            _count(MOST_QUEUED, own, at == HELD),
            idle.scalar_subquery(),
        )
    )
    return Queued(*found.one())


def _count(most: int, *conditions: sa.ColumnElement[bool], of: Any = None) -> sa.ScalarSelect[int]:
    """Count deliveries up to a number; `of` is the table around it that the conditions speak of."""
    some = sa.select(sa.literal(1)).select_from(delivery).where(*conditions).limit(most)
    part = some.correlate(of).subquery()
    return sa.select(sa.func.count()).select_from(part).scalar_subquery()


def waiting(now: int) -> sa.Select[Any, Any, Any, Any]:
    """Select what waits by endpoint: the oldest, and how many are due and held, to `MOST_QUEUED`.

    Endpoints of the queue, also those that are gone.
    """
    each = paging.walk(delivery.c.endpoint_id)
    at, own = delivery.c.next_attempt_at, delivery.c.endpoint_id == each.c.id
    oldest = sa.select(sa.func.min(at)).where(own).correlate(each).scalar_subquery()
    return sa.select(
        each.c.id.label("endpoint_id"),
        _count(MOST_QUEUED, own, at <= now, of=each).label("due"),
        oldest.label("oldest_due"),
        _count(MOST_QUEUED, own, at == HELD, of=each).label("held"),
    ).where(each.c.id.is_not(None))
