"""The database: one engine, and the two ways to use it, `reading()` and `transaction()`.

The sessions are asynchronous on purpose. SQLite has one writer at a time; with a blocking session
a request that waits for its turn would stop the event loop, and with it the one it waits for.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from app.models import Base
from app.settings import settings

ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


def async_url(address: str) -> URL:
    """Return the address with the asynchronous driver, where none was named."""
    url = make_url(address)
    return url.set(drivername=ASYNC_DRIVERS.get(url.drivername, url.drivername))


def build_engine(address: str) -> AsyncEngine:
    """Return an engine whose transactions begin as they should, also on SQLite."""
    built = create_async_engine(async_url(address))
    if built.dialect.name == "sqlite":
        event.listen(built.sync_engine, "connect", _prepare_sqlite)
        event.listen(built.sync_engine, "begin", _begin_sqlite)
    return built


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin every transaction deferred: it stays out of it, _begin_sqlite does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 10000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later fails when somebody wrote in between,
    # and no timeout helps. One that is going to write takes its turn at the beginning.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


engine = build_engine(settings.database_url)
_writing_engine = engine.execution_options(writes=True)
# Objects stay readable after the commit: they become the answer of the request.
_readers = async_sessionmaker(engine, expire_on_commit=False)
_writers = async_sessionmaker(_writing_engine, expire_on_commit=False)


def reading() -> AbstractAsyncContextManager[AsyncSession]:
    """Open a session that only reads."""
    return _readers()


@asynccontextmanager
async def transaction() -> AsyncIterator[AsyncSession]:
    """Open a session that writes: committed at the end of the block, rolled back on any exception.

    Pass it to `trigger_webhook(..., session=session)`: then the event shares the change's fate.
    """
    async with _writers() as session, session.begin():
        yield session


async def lock_content(session: AsyncSession, digest: str) -> None:
    """Until the end of the transaction nobody else adds or removes a document with this content.

    On SQLite there is nothing to do: a writing transaction is alone already.
    """
    if engine.dialect.name == "postgresql":
        statement = text("SELECT pg_advisory_xact_lock(hashtext(:digest))")
        await session.execute(statement, {"digest": digest})


async def create_tables() -> None:
    """Create the application's tables where they are missing; Hookline sees to its own."""
    async with _writing_engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
