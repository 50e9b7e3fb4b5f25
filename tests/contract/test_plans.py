"""The hot path walks indexes: no statement of a claim reads a backlog."""

import re
import sqlite3

import asyncpg
import pytest
import sqlalchemy as sa

from hookline._storage import backlog
from hookline._storage.postgresql.engine import create_engine
from hookline._storage.sql import load

SQLITE = load("hookline._storage.sqlite")
POSTGRESQL = load("hookline._storage.postgresql")
KEY = bytes(16)

ON_SQLITE = {
    "due_endpoints": {"after": KEY, "most": 1000},
    "due_deliveries": (KEY, 1, 4),
    "next_delivery": (KEY, 1),
    "due_outbox": (1, 256),
    "next_outbox": (),
    "lease_delivery": (1, 1, KEY, KEY),
    "finish_delivery": (KEY, KEY, 1),
    "keep_delivery": (1, 1, KEY, KEY, 1),
    "line_occupied": (KEY, ""),
    "next_in_line": {"now": 1, "endpoint": KEY, "line": "", "in_line": 1},
}
ON_POSTGRESQL = {
    "due_endpoints": (KEY, 1000),
    "due_deliveries": ([KEY], [4], 1),
    "next_deliveries": ([KEY], 1),
    "due_outbox": (1, 256),
    "next_outbox": (),
    "lease_deliveries": ([KEY], [KEY], 1, 1),
    "finish_deliveries": ([KEY], [KEY], [1]),
    "keep_deliveries": ([KEY], [KEY], [1], [1], [1]),
    "lines_occupied": ([KEY], [""]),
    "next_in_line": ([KEY], [""], 1, 1),
}

QUEUE = """
INSERT INTO hookline_delivery (message_id, endpoint_id, next_attempt_at, attempts, step, lease)
SELECT gen_random_uuid(), md5((number % 3)::text)::uuid, number * 7919 % 20011, 0, 0, 0
FROM generate_series(1, 20000) AS number
"""
"""A queue of which everything is for three endpoints: reading all of it looks cheap."""


@pytest.mark.parametrize("name", ON_SQLITE)
def test_sqlite_searches(name, database_file):
    """SQLite's plan for each statement searches tables by index and scans none."""
    connection = sqlite3.connect(database_file)
    plan = [
        row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + SQLITE[name], ON_SQLITE[name])
    ]
    connection.close()
    scans = [step for step in plan if re.match(r"SCAN (hookline_|d$|o$|m$)", step)]
    assert any("SEARCH" in step for step in plan), plan
    assert scans == []


@pytest.mark.parametrize("name", ON_POSTGRESQL)
async def test_postgresql_searches(name, postgres_url):
    """PostgreSQL's plan on the hot path's own connections has no sequential scan of a table."""
    from hookline._storage.postgresql.connections import PLANS, keys_as_bytes
    from hookline._storage.postgresql.engine import dsn

    connection = await asyncpg.connect(dsn(sa.make_url(postgres_url)), server_settings=PLANS)
    await keys_as_bytes(connection)
    rows = await connection.fetch("EXPLAIN " + POSTGRESQL[name], *ON_POSTGRESQL[name])
    await connection.close()
    plan = "\n".join(row[0] for row in rows)
    assert "Index" in plan
    assert "Seq Scan" not in plan


async def test_pages_search_too(postgres_url):
    """What a page asks of an endpoint is looked up, by the plan made for any endpoint, too."""
    engine, asked = create_engine(sa.make_url(postgres_url)), []

    @sa.event.listens_for(engine.sync_engine, "before_cursor_execute")
    def _listen(_, __, statement, *___):
        asked.append(statement)

    async with engine.begin() as connection:
        await connection.exec_driver_sql(QUEUE)
        await connection.exec_driver_sql("ANALYZE hookline_delivery")
        await connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        asked.clear()
        await backlog.queued(connection, KEY, 1)
        [statement] = asked
        await connection.exec_driver_sql(f"PREPARE asked AS {statement}")
        unknown = ", ".join(["NULL"] * len(set(re.findall(r"\$\d+", statement))))
        plan = await connection.exec_driver_sql(f"EXPLAIN EXECUTE asked({unknown})")
        steps = "\n".join(row[0] for row in plan)
    await engine.dispose()
    assert "Index" in steps
    assert "Seq Scan" not in steps
