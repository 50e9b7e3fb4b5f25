"""Erasing what messages said and what was answered; that they were sent stays known."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._storage.schema import IN_LINE, attempt, delivery, message, outbox


async def lock_lines(connection: AsyncConnection, keys: Iterable[bytes]) -> None:
    """Let nobody join or leave the lines of ordered endpoints until the transaction ends.

    The hot path's own lock, on PostgreSQL; on SQLite the whole file is locked.
    """
    if connection.dialect.name == "postgresql":
        for key in sorted(set(keys)):
            number = int.from_bytes(key[8:], signed=True)
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))


async def lock_lines_of(connection: AsyncConnection, messages: Sequence[bytes]) -> None:
    """Lock the lines that messages stand in."""
    ordered = await connection.execute(
        sa.select(delivery.c.endpoint_id)
        .where(delivery.c.message_id.in_(messages), delivery.c.line.is_not(None))
        .distinct()
    )
    await lock_lines(connection, ordered.scalars().all())


async def next_in_lines(
    connection: AsyncConnection, left: Iterable[tuple[bytes, str | None]], now: int
) -> None:
    """Make the oldest of each line that somebody left due, if it was waiting."""
    for key, line in dict.fromkeys(left):
        if line is None:
            continue
        mine = sa.and_(delivery.c.endpoint_id == key, delivery.c.line == line)
        oldest = sa.select(delivery.c.message_id).where(mine).order_by(delivery.c.message_id)
        await connection.execute(
            delivery.update()
            .where(
                mine,
                delivery.c.message_id == oldest.limit(1).scalar_subquery(),
                delivery.c.next_attempt_at == IN_LINE,
            )
            .values(next_attempt_at=now)
        )


async def erase(connection: AsyncConnection, messages: Sequence[bytes], now: int) -> int:
    """Erase messages, and stop sending them; return how many had not been erased before."""
    await lock_lines_of(connection, messages)
    mine = message.c.id.in_(messages)
    erased = await connection.execute(
        message.update().where(mine, message.c.body != b"").values(body=b"")
    )
    await connection.execute(
        attempt.update()
        .where(attempt.c.message_id.in_(messages))
        .values(response_body=b"", response_headers=[], detail="")
    )
    await connection.execute(outbox.delete().where(outbox.c.message_id.in_(messages)))
    gone = await connection.execute(
        delivery.delete()
        .where(delivery.c.message_id.in_(messages))
        .returning(delivery.c.endpoint_id, delivery.c.line)
    )
    await next_in_lines(connection, [(row.endpoint_id, row.line) for row in gone], now)
    return int(erased.rowcount)
