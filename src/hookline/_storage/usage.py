"""Usage by application and day. Nothing is counted while sending: the log has it all.

Days that are over are added up once, by upkeep, and kept; of others the log is counted when asked.
What a process has counted of today it remembers, and counts only what came since.
Counts use indexes only: messages by application, attempts by endpoint, one after the other.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

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

    def __init__(self, engine: AsyncEngine) -> None:
        """Nothing is counted yet."""
        super().__init__(engine)
        self._so_far: dict[int, tuple[int, Counts]] = {}
        """Of today, and of yesterday until it is added up: until when (Unix ms) it was counted."""

    async def days(self, app: bytes | None, days: range, now: int) -> list[Usage]:
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
            counts = await self._of_open(day, now)
            found |= {(day, key): count for key, count in counts.items() if app in (None, key)}
        names = {key: ids.encode(ids.APPLICATION, key) for key in {key for _, key in found}}
        return [Usage(names[key], of(day), *count) for (day, key), count in sorted(found.items())]

    async def _of_open(self, day: int, now: int) -> Counts:
        """Count a day that is not over, or was not added up yet."""
        begin, end = day * DAY_MS, (day + 1) * DAY_MS
        until, counted = self._so_far.get(day, (begin, {}))
        settled = min(end, now - SETTLED_MS)
        async with self._reading() as connection:
            if settled >= until + SETTLED_MS and day >= now // DAY_MS - 1:
                counted = _plus(counted, await _counted(connection, day, until, settled))
                until = settled
                younger = {d: c for d, c in self._so_far.items() if d >= day - 1}
                self._so_far = younger | {day: (until, counted)}
            return _plus(counted, await _counted(connection, day, until, end))

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
                counts = await _counted(connection, day, day * DAY_MS, (day + 1) * DAY_MS)
            rows = [_row(key, day, count) for key, count in counts.items()]
            async with self._writing() as connection:
                insert = self._insert(usage).on_conflict_do_nothing()
                await connection.execute(insert, [*rows, _row(NOBODY, day, (0, 0))])


def _row(key: bytes, day: int, count: tuple[int, int]) -> dict[str, Any]:
    return {"app_id": key, "day": day, "messages": count[0], "attempts": count[1]}


def _plus(one: Counts, other: Counts) -> Counts:
    both = dict(one)
    for app, (messages, attempts) in other.items():
        before = both.get(app, (0, 0))
        both[app] = (before[0] + messages, before[1] + attempts)
    return both


async def _counted(connection: AsyncConnection, day: int, begin: int, end: int) -> Counts:
    """Count a part of a day in the log, between two times in milliseconds."""
    low, high = first_key(begin), first_key(end)
    published = await _by(connection, sa.true(), message.c.app_id, message.c.id, low, high)
    today: sa.ColumnElement[bool] = sa.true()
    if connection.dialect.name == "postgresql":  # that day's partition of the log, and no other
        today = attempt.c.id.between(first_key(day * DAY_MS), first_key((day + 1) * DAY_MS))
    made = await _by(connection, today, attempt.c.endpoint_id, attempt.c.id, low, high)
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
    among: sa.ColumnElement[bool],
    owner: sa.ColumnElement[Any],
    key: sa.ColumnElement[Any],
    low: bytes,
    high: bytes,
) -> dict[bytes, int]:
    """Count rows between two keys by their owner, jumping from one owner to the next."""
    walk = paging.walk(owner, among)
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
