"""Counting what waits, with a bound on what that costs: a monitor asks every few seconds.

Indexes only: a seek per endpoint for its oldest delivery, then counts that stop somewhere.
"""

from typing import Any

import sqlalchemy as sa

from hookline._domain.backlog import MOST_COUNTED, Backlog
from hookline._domain.breaker import CircuitState
from hookline._domain.vitals import Pulse
from hookline._storage.schema import circuit, delivery, endpoint, outbox

MOST_ENDPOINTS = 10_000
"""Endpoints that are looked at."""
MOST_BEHIND = 1000
"""Endpoints with due deliveries whose deliveries are counted."""
LEAST_COUNTED = 100
"""Deliveries of each that are counted at least."""


def read(connection: sa.Connection, pulse: Pulse, now: int) -> Backlog:
    """Return what waits. Milliseconds, whatever the backlog is."""
    oldest = (
        sa.select(sa.func.min(delivery.c.next_attempt_at))
        .where(delivery.c.endpoint_id == endpoint.c.id)
        .scalar_subquery()
    )
    behind = {
        row.id: row.oldest
        for row in connection.execute(
            sa.select(endpoint.c.id, oldest.label("oldest"))
            .where(endpoint.c.disabled_at.is_(None))
            .limit(MOST_ENDPOINTS)
        )
        if row.oldest is not None and row.oldest <= now
    }
    opened = set(
        connection.execute(
            sa.select(circuit.c.endpoint_id).where(circuit.c.state != CircuitState.CLOSED)
        ).scalars()
    )
    unrouted = connection.scalar(_count(outbox.c.due_at <= now, MOST_COUNTED)) or 0
    waits = [at for key, at in behind.items() if key not in opened]
    if unrouted:
        waits.append(connection.scalar(sa.select(sa.func.min(outbox.c.due_at))) or now)
    total, disabled = connection.execute(
        sa.select(sa.func.count(), sa.func.count(endpoint.c.disabled_at))
    ).one()
    return Backlog(
        due=_due(connection, list(behind), now),
        unrouted=unrouted,
        oldest_due_ms=max(0, now - min(waits, default=now)),
        open_circuits=len(opened),
        endpoints=total,
        disabled_endpoints=disabled,
        workers=len(pulse.living) or int(pulse.owned is True),
    )


def _due(connection: sa.Connection, endpoints: list[bytes], now: int) -> int:
    """Count the due deliveries of these endpoints, up to a bound for each."""
    most, total = max(LEAST_COUNTED, MOST_COUNTED // max(1, len(endpoints))), 0
    for key in endpoints[:MOST_BEHIND]:
        due = sa.and_(delivery.c.endpoint_id == key, delivery.c.next_attempt_at <= now)
        total += connection.scalar(_count(due, most)) or 0
        if total >= MOST_COUNTED:
            break
    return total


def _count(condition: sa.ColumnElement[bool], most: int) -> sa.Select[Any]:
    found = sa.select(sa.literal(1)).where(condition).limit(most).subquery()
    return sa.select(sa.func.count()).select_from(found)
