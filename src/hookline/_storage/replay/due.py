"""Making due what was selected, or held."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._storage.part import Transaction
from hookline._storage.replay.audience import SENT_TO
from hookline._storage.replay.terms import Chosen, along_indexes, padded
from hookline._storage.schema import HELD, IN_LINE, delivery, endpoint

LOCK = 0x7265706C
"""PostgreSQL's advisory lock around what a step writes, beside the application's own number."""
RELEASED = 1024
"""Held deliveries that `release` makes due, at most."""


async def make_due(
    connection: AsyncConnection, insert: Any, chosen: Sequence[Chosen], now: int
) -> None:
    """Make a manual attempt of each due now, as `Store.resend` does for one.

    At an ordered endpoint what has ended stands in its line again, and takes its turn there.
    `insert` is the dialect's INSERT into the live queue.
    """
    waiting = [each for each in chosen if each.live is not None]
    ended = [each for each in chosen if each.live is None]
    if waiting:
        resume = sa.case(
            (delivery.c.resume_at.is_not(None), delivery.c.resume_at),
            (delivery.c.next_attempt_at == HELD, 0),
            else_=delivery.c.next_attempt_at,
        )
        await connection.execute(
            delivery.update()
            .where(
                delivery.c.message_id == sa.bindparam("of_message"),
                delivery.c.endpoint_id == sa.bindparam("of_endpoint"),
            )
            .values(next_attempt_at=now, resume_at=resume, lease=0),
            [
                {"of_message": c.candidate.message, "of_endpoint": c.candidate.endpoint}
                for c in waiting
            ],
        )
    if ended:
        await connection.execute(
            insert.on_conflict_do_nothing(),
            [
                {
                    "message_id": each.candidate.message,
                    "endpoint_id": each.candidate.endpoint,
                    "attempts": each.candidate.number,
                    "step": 0,
                    "lease": 0,
                    "next_attempt_at": now if each.line is None else IN_LINE,
                    "resume_at": 0,
                    "line": each.line,
                }
                for each in ended
            ],
        )
    lines: dict[bytes, set[str]] = {}
    for each in ended:
        if each.line is not None:
            lines.setdefault(each.candidate.endpoint, set()).add(each.line)
    for key, mine in lines.items():
        await _lead(connection, key, mine, now)


async def lock(connection: AsyncConnection, app: bytes, chosen: Iterable[Chosen]) -> None:
    """Let no other job of the application make anything due until the transaction ends.

    Two that select the same would both find it as it was. Let nobody join or leave the lines of
    ordered endpoints either: with the hot path's own lock.
    """
    if connection.dialect.name != "postgresql":
        return  # the whole file is locked
    number = int.from_bytes(app[12:], signed=True)
    await connection.execute(
        sa.select(
            sa.func.pg_advisory_xact_lock(sa.cast(LOCK, sa.Integer), sa.cast(number, sa.Integer))
        )
    )
    for key in sorted({each.candidate.endpoint for each in chosen if each.line is not None}):
        number = int.from_bytes(key[8:], signed=True)
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))


async def _lead(connection: AsyncConnection, key: bytes, lines: set[str], now: int) -> None:
    """Make the oldest of each line due where nobody leads it."""
    mine = delivery.c.endpoint_id == key
    active = sa.or_(delivery.c.next_attempt_at < IN_LINE, delivery.c.next_attempt_at == HELD)
    led = await connection.execute(
        sa.select(delivery.c.line).where(mine, active, delivery.c.line.in_(lines)).distinct()
    )
    for line in sorted(lines - set(led.scalars())):
        behind = sa.and_(mine, delivery.c.line == line)
        oldest = sa.select(delivery.c.message_id).where(behind).order_by(delivery.c.message_id)
        await connection.execute(
            delivery.update()
            .where(behind, delivery.c.message_id == oldest.limit(1).scalar_subquery())
            .values(next_attempt_at=now)
        )


async def release(connection: AsyncConnection, key: bytes, now: int) -> int:
    """Make some of what an enabled endpoint has held due, as if it had just been routed.

    In two statements: in one, PostgreSQL may read the batch anew for every row of it.
    """
    await along_indexes(connection)
    enabled = sa.select(endpoint.c.id).where(endpoint.c.id == key, SENT_TO)
    held = sa.and_(delivery.c.endpoint_id == key, delivery.c.next_attempt_at == HELD)
    some = await connection.execute(
        sa.select(delivery.c.message_id).where(held, enabled.exists()).limit(RELEASED)
    )
    batch = some.scalars().all()
    if batch:
        await connection.execute(
            delivery.update()
            .where(delivery.c.message_id.in_(padded(batch)), sa.case((held, 1), else_=0) == 1)
            .values(next_attempt_at=now)
        )
    return len(batch)


async def release_all(writing: Transaction, key: bytes, now: int) -> int:
    """Make all of it due, in batches, for as long as the endpoint is enabled."""
    released = 0
    while True:
        async with writing() as connection:
            batch = await release(connection, key, now)
        released += batch
        if batch < RELEASED:
            return released
