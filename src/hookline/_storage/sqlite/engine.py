"""A SQLAlchemy engine for the same file, for everything off the hot path."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hookline._storage.quiet import quiet
from hookline._storage.sqlite.lane import BUSY_TIMEOUT
from hookline._storage.sqlite.owner import check_not_forked, open_files


def create_engine(path: str) -> AsyncEngine:
    """Return an engine whose writing transactions take the write lock at their start.

    SQLite's own default, a deferred transaction, fails half way when somebody else wrote.
    """
    url = sa.URL.create("sqlite+aiosqlite", database=path)
    engine = create_async_engine(
        url, connect_args={"timeout": BUSY_TIMEOUT}, hide_parameters=True, logging_name=quiet()
    )
    sa.event.listen(engine.sync_engine, "connect", lambda conn, _: _on_connect(path, conn))
    sa.event.listen(engine.sync_engine, "close", lambda *_: open_files.subtract({path: 1}))
    sa.event.listen(engine.sync_engine, "begin", _on_begin)
    return engine


def _on_connect(path: str, connection: Any) -> None:
    check_not_forked(path)
    open_files[path] += 1
    connection.isolation_level = None  # transactions are begun below, not by the driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _on_begin(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("hookline_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
