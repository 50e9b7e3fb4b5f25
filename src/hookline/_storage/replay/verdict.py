"""Judging candidates: whether one is selected, from its live row and its last attempt."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._domain import ids
from hookline._domain.delivery import DeliveryState
from hookline._domain.endpoint import Target
from hookline._storage.replay.terms import SKEW, Candidate, Chosen, Frame, Walk, padded
from hookline._storage.rows import first_key
from hookline._storage.schema import HELD, IN_LINE, attempt, delivery, message, outbox


async def judge(
    connection: AsyncConnection,
    f: Frame,
    candidates: Sequence[Candidate],
    now: int,
    *,
    locked: bool = False,
) -> list[Chosen]:
    """Return those of one page that are selected as things stand, in their order.

    `locked`: lock their live rows until the transaction ends.
    """
    if not candidates:
        return []
    messages = await _messages(connection, f, {c.message for c in candidates})
    candidates = [c for c in candidates if c.message in messages]
    if not candidates:
        return []
    walk = candidates[0].at.walk
    live = await _live_rows(connection, candidates, locked=locked)
    if walk is Walk.LIVE:
        states = f.selection.live
        kept = [c for c in candidates if _waits_as(live.get(c[1:3]), now) in states]
        if kept and f.selection.status_class is not None:
            said = await _last_classes(connection, kept)
            kept = [c for c in kept if said.get(c[1:3]) == f.selection.status_class]
    elif walk is Walk.LOG:
        last = await _last_numbers(connection, candidates, min(c.at.second for c in candidates))
        kept = [c for c in candidates if c[1:3] not in live and last.get(c[1:3]) == c.number]
    else:
        last = await _last_numbers(connection, candidates, min(c.message for c in candidates))
        unrouted = await _unrouted(connection, messages.values(), now)
        kept = [
            c
            for c in candidates
            if c[1:3] not in live and c[1:3] not in last and c.message not in unrouted
        ]
    return [
        Chosen(c, live.get(c[1:3]), _line(f.audience.targets[c.endpoint], messages[c.message]))
        for c in kept
        if c.endpoint in f.audience.targets
    ]


def _line(target: Target, row: Any) -> str | None:
    return (row.ordering_key or "") if target.ordered else None


def _waits_as(row: Any, now: int) -> DeliveryState | None:
    """Return what a live row waits for; None for one that is sent, due, or in line anyway."""
    if row is None or (row.lease and row.next_attempt_at != HELD):
        return None
    if row.next_attempt_at == HELD:
        return DeliveryState.HELD
    return DeliveryState.PENDING if now < row.next_attempt_at < IN_LINE else None


async def _messages(
    connection: AsyncConnection, f: Frame, keys: Collection[bytes]
) -> dict[bytes, Any]:
    """Return the messages that can be sent: not canceled, and not erased."""
    columns = message.c
    found = await connection.execute(
        sa.select(
            columns.id,
            columns.event_type,
            columns.ordering_key,
            columns.deliver_at,
            columns.channels,
            columns.tags,
        ).where(
            columns.id.in_(padded(keys)),
            columns.app_id == f.app,
            columns.canceled_at.is_(None),
            sa.func.length(columns.body) > 0,
        )
    )
    return {row.id: row for row in found if f.wants(row)}


def _among(table: sa.Table, candidates: Sequence[Candidate]) -> sa.ColumnElement[bool]:
    """Return the condition for rows of these messages, at these endpoints.

    By the messages' keys: the CASE hides the endpoints from the planners, which would take them for
    a reason to read all that an endpoint has (SQLite: 300 ms instead of 1).
    """
    owners = table.c.endpoint_id.in_(padded({c.endpoint for c in candidates}))
    return sa.and_(
        table.c.message_id.in_(padded({c.message for c in candidates})),
        sa.case((owners, 1), else_=0) == 1,
    )


async def _live_rows(
    connection: AsyncConnection, candidates: Sequence[Candidate], *, locked: bool
) -> dict[tuple[Any, ...], Any]:
    rows = sa.select(delivery).where(_among(delivery, candidates))
    if locked:
        rows = rows.order_by(delivery.c.message_id, delivery.c.endpoint_id).with_for_update()
    return {(row.message_id, row.endpoint_id): row for row in await connection.execute(rows)}


async def _last_numbers(
    connection: AsyncConnection, candidates: Sequence[Candidate], oldest: bytes
) -> dict[tuple[Any, ...], int]:
    """Return the number of the last attempt of each; nothing of them is older than `oldest`.

    The bound spares PostgreSQL the partitions of the days before.
    """
    bound = first_key(ids.milliseconds(oldest) - SKEW)
    rows = await connection.execute(
        sa.select(attempt.c.message_id, attempt.c.endpoint_id, sa.func.max(attempt.c.number))
        .where(_among(attempt, candidates), attempt.c.id >= bound)
        .group_by(attempt.c.message_id, attempt.c.endpoint_id)
    )
    return {(key, owner): number for key, owner, number in rows}


async def _last_classes(
    connection: AsyncConnection, candidates: Sequence[Candidate]
) -> dict[tuple[Any, ...], int]:
    """Return what was answered last to each; those never tried are left out."""
    bound = first_key(ids.milliseconds(min(c.message for c in candidates)) - SKEW)
    columns = attempt.c
    rows = await connection.execute(
        sa.select(columns.message_id, columns.endpoint_id, columns.status)
        .where(_among(attempt, candidates), columns.id >= bound)
        .order_by(columns.number)
    )
    return {(key, owner): (status or 0) // 100 * 100 for key, owner, status in rows}


async def _unrouted(connection: AsyncConnection, rows: Iterable[Any], now: int) -> set[bytes]:
    """Return those of the messages that are still to be routed: they come by themselves.

    Those that are to wait say so. For the rest it is enough to look at what is due: the outbox has
    no key by message, but hardly any rows in that range.
    """
    soon = now + SKEW
    later = {row.id for row in rows if row.deliver_at is not None and row.deliver_at > soon}
    found = await connection.execute(
        sa.select(outbox.c.message_id).where(
            outbox.c.due_at <= soon, outbox.c.message_id.in_(padded(row.id for row in rows))
        )
    )
    return later | set(found.scalars())
