"""Usage by application and day. Nothing is counted while sending: the log has it all.

Days that are over are added up once, by upkeep, and kept; of others the log is counted when asked.
Counts use indexes only: messages by application, attempts by endpoint, one after the other.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._domain import ids
from hookline._domain.usage import DAY_MS, Usage, of
from hookline._storage import paging
from hookline._storage.part import Part
from hookline._storage.rows import first_key
from hookline._storage.schema import attempt, endpoint, message, usage

SETTLED_MS = 10 * 60 * 1000
"""How long after its end a day is added up: what began in it has been written by then."""
NOBODY = bytes(16)
"""Stands for an application in the row that says that a day was added up."""
Counts = dict[bytes, tuple[int, int]]


class SqlUsage(Part):
    """`_ports.Usages`."""

    async def days(self, app: bytes | None, days: range) -> list[Usage]:
        """Return what was done on these days, of one application or of all; idle ones left out."""
        async with self._reading() as connection:
            done = await self._added_up(connection)
            inside = (usage.c.day >= days.start, usage.c.day < days.stop)
            rows = await connection.execute(
                sa.select(usage).where(*inside, usage.c.app_id != NOBODY)
                if app is None
                else sa.select(usage).where(*inside, usage.c.app_id == app)
            )
            found = {(row.day, row.app_id): (row.messages, row.attempts) for row in rows}
            open_days = [day for day in days if day > done]
        for day in open_days:
            async with self._reading() as connection:
                counts = await _counted(connection, day)
            found |= {(day, key): count for key, count in counts.items() if app in (None, key)}
        return [
            Usage(ids.encode(ids.APPLICATION, key), of(day), *count)
            for (day, key), count in sorted(found.items())
        ]

    async def _added_up(self, connection: AsyncConnection) -> int:
        """Return the last day that was added up; before the oldest of the log when none was."""
        last: int | None = await connection.scalar(
            sa.select(sa.func.max(usage.c.day)).where(usage.c.app_id == NOBODY)
        )
        if last is not None:
            return last
        oldest: bytes | None = await connection.scalar(
            sa.select(message.c.id).order_by(message.c.id).limit(1)
        )
        return -1 if oldest is None else ids.milliseconds(oldest) // DAY_MS - 1

    async def add_up(self, now: int) -> None:
        """Add up the days that are over and were not yet, the oldest first."""
        async with self._reading() as connection:
            done = await self._added_up(connection)
        if done < 0:
            return
        for day in range(done + 1, (now - SETTLED_MS) // DAY_MS):
            async with self._reading() as connection:
                counts = await _counted(connection, day)
            rows = [_row(key, day, count) for key, count in counts.items()]
            async with self._writing() as connection:
                insert = self._insert(usage).on_conflict_do_nothing()
                await connection.execute(insert, [*rows, _row(NOBODY, day, (0, 0))])


def _row(key: bytes, day: int, count: tuple[int, int]) -> dict[str, Any]:
    return {"app_id": key, "day": day, "messages": count[0], "attempts": count[1]}


async def _counted(connection: AsyncConnection, day: int) -> Counts:
    """Count a day in the log."""
    low, high = first_key(day * DAY_MS), first_key((day + 1) * DAY_MS)
    published = await _by(connection, message.c.app_id, message.c.id, low, high)
    made = await _by(connection, attempt.c.endpoint_id, attempt.c.id, low, high)
    owners = await _owners(connection, made)
    counts: dict[bytes, list[int]] = defaultdict(lambda: [0, 0])
    for app, count in published.items():
        counts[app][0] += count
    for key, count in made.items():
        if key in owners:
            counts[owners[key]][1] += count
    return {app: (messages, attempts) for app, (messages, attempts) in counts.items()}


async def _by(
    connection: AsyncConnection,
    owner: sa.ColumnElement[Any],
    key: sa.ColumnElement[Any],
    low: bytes,
    high: bytes,
) -> dict[bytes, int]:
    """Count rows between two keys by their owner, jumping from one owner to the next."""
    walk = paging.walk(owner)
    inside = sa.select(sa.func.count()).where(owner == walk.c.id, key >= low, key < high)
    rows = await connection.execute(
        sa.select(walk.c.id, inside.scalar_subquery()).where(walk.c.id.is_not(None))
    )
    return {found: count for found, count in rows if count}


async def _owners(connection: AsyncConnection, keys: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return the applications of endpoints; of deleted ones by a message that was sent there."""
    rows = await connection.execute(sa.select(endpoint.c.id, endpoint.c.app_id))
    owners = {row.id: row.app_id for row in rows}
    for key in set(keys) - owners.keys():
        app = await connection.scalar(
            sa.select(message.c.app_id)
            .join(attempt, attempt.c.message_id == message.c.id)
            .where(attempt.c.endpoint_id == key)
            .limit(1)
        )
        if app is not None:
            owners[key] = app
    return owners
