"""The hot path walks indexes: no statement of a claim reads a backlog."""

import re
import sqlite3

import asyncpg
import pytest
import sqlalchemy as sa

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
    from hookline._storage.postgresql.engine import dsn
    from hookline._storage.postgresql.queue import PLANS, _keys_as_bytes

    connection = await asyncpg.connect(dsn(sa.make_url(postgres_url)), server_settings=PLANS)
    await _keys_as_bytes(connection)
    rows = await connection.fetch("EXPLAIN " + POSTGRESQL[name], *ON_POSTGRESQL[name])
    await connection.close()
    plan = "\n".join(row[0] for row in rows)
    assert "Index" in plan
    assert "Seq Scan" not in plan
