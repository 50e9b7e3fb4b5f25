"""The reference of publishing: the bare driver, 64 rows of the same size in each commit."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterator

import sqlalchemy as sa

from benchmarks import child, payload

SHARED = 64
"""Rows in a commit: as many as there are concurrent callers in the contest."""


def batches(messages: int) -> Iterator[list[tuple[bytes, bytes]]]:
    for _ in range(0, messages, SHARED):
        yield [(os.urandom(16), payload.BODY) for _ in range(SHARED)]


def sqlite(url: sa.URL, messages: int) -> None:
    connection = sqlite3.connect(str(url.database), isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE bare (id BLOB PRIMARY KEY, body BLOB)")
    child.wait_for_go()
    began, cpu = time.monotonic(), time.process_time()
    for rows in batches(messages):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO bare VALUES (?, ?)", rows)
        connection.execute("COMMIT")
    tell(messages, began, cpu)


async def postgresql(url: sa.URL, messages: int) -> None:
    import asyncpg

    connection = await asyncpg.connect(
        host=url.query["host"], user=url.username, database=url.database
    )
    await connection.execute("CREATE TABLE bare (id bytea PRIMARY KEY, body bytea)")
    insert = await connection.prepare(
        "INSERT INTO bare SELECT * FROM unnest($1::bytea[], $2::bytea[])"
    )
    child.wait_for_go()
    began, cpu = time.monotonic(), time.process_time()
    for rows in batches(messages):
        await insert.fetch(*map(list, zip(*rows, strict=True)))
    tell(messages, began, cpu)


def tell(messages: int, began: float, cpu: float) -> None:
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    child.say(done=messages, seconds=seconds, cpu=cpu)


def main(database: str, messages: int) -> None:
    url = sa.make_url(database)
    if url.get_backend_name() == "sqlite":
        sqlite(url, messages)
    else:
        asyncio.run(postgresql(url, messages))


if __name__ == "__main__":
    main(**child.spec())
