"""A connection of the caller's, inside its transaction: one face over all that can hold one.

Drivers are recognised and never imported: whoever hands over a connection has.
"""

import re
import sqlite3
import sys
from collections.abc import Callable, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from hookline._storage.steps import Row, Statement
from hookline.errors import SessionMismatch

EXPECTED = (
    "expected a SQLAlchemy Session, AsyncSession, Connection or AsyncConnection, or a connection "
    "of sqlite3, aiosqlite, psycopg, asyncpg or Django"
)
_COMMENT = re.compile(r"^\s*--.*\n", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\$\d+|\?")
_memos: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


@lru_cache(maxsize=64)
def formatted(sql: str) -> str:
    """Return a statement with `%s` for its placeholders, which come in order and once each."""
    return _PLACEHOLDER.sub("%s", _COMMENT.sub("", sql))


def _first(rows: Any) -> Row:
    # All are fetched: a statement that is not finished would be in the way of a rollback.
    return rows[0] if rows else None


class Joined:
    """A connection that runs statements inside the caller's transaction. Never commits."""

    asynchronous: ClassVar[bool] = False
    """Whether `run` is to be awaited."""
    backend = "postgresql"
    """`postgresql` or `sqlite`."""
    calls_back = False
    """Whether `after_commit` does anything."""

    def __init__(self, connection: Any) -> None:
        """Raises SessionMismatch when it can be seen that no transaction is open, or begins."""
        self.connection = connection

    def run(self, statement: Statement) -> Any:
        """Run one statement and return its first row, or an awaitable of it."""
        raise NotImplementedError

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call after each commit of the session, once however often it is asked for."""

    def around(self) -> AbstractContextManager[Any]:
        """Return what the statements are to run in."""
        return nullcontext()

    @property
    def memo(self) -> MutableMapping[str, Any] | None:
        """A place for what is known of the driver's connection, for as long as it lives."""
        try:
            return _memos.setdefault(self.connection, {})
        except TypeError:  # some cannot be referred to weakly
            return None


def _autocommits(what: str, remedy: str) -> SessionMismatch:
    return SessionMismatch(
        f"connection: {what} commits each statement by itself, and no transaction is open; {remedy}"
    )


# SQLAlchemy --------------------------------------------------------------------------------------


class Core(Joined):
    """A SQLAlchemy Connection, and perhaps the Session it belongs to."""

    def __init__(self, connection: Any, session: Session | None = None) -> None:
        """See `Joined`."""
        super().__init__(connection)
        self._session = session
        self.calls_back = session is not None
        self.backend = connection.dialect.name
        self._native = connection.dialect.paramstyle in {"qmark", "numeric_dollar"}
        self._core = connection.sync_connection if self.asynchronous else connection
        if self._core is None:
            raise SessionMismatch("connection: is not open; use async with engine.begin()")
        if self._core.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            raise _autocommits(
                "a SQLAlchemy connection with isolation_level='AUTOCOMMIT'",
                "use one with another isolation level",
            )

    def _arguments(self, statement: Statement) -> tuple[Any, ...]:
        sql = statement.sql if self._native else formatted(statement.sql)
        return (sql, statement.values) if statement.values else (sql,)

    def run(self, statement: Statement) -> Any:
        """Run one statement."""
        result = self.connection.exec_driver_sql(*self._arguments(statement))
        return _first(result.fetchall()) if result.returns_rows else None

    @property
    def memo(self) -> MutableMapping[str, Any] | None:
        """SQLAlchemy keeps a dictionary with each connection of its pool."""
        memo: MutableMapping[str, Any] = self._core.info
        return memo

    def after_commit(self, call: Callable[[], None]) -> None:
        """Listen once per session."""
        session = self._session
        if session is None or session.info.get("hookline") == call:
            return
        session.info["hookline"] = call
        sa.event.listen(session, "after_commit", lambda _session: call())


class AsyncCore(Core):
    """An AsyncConnection, and perhaps the session it belongs to."""

    asynchronous = True

    async def run(self, statement: Statement) -> Row:
        """Run one statement."""
        result = await self.connection.exec_driver_sql(*self._arguments(statement))
        return _first(result.fetchall()) if result.returns_rows else None


# drivers -----------------------------------------------------------------------------------------


class Sqlite(Joined):
    """A connection of Python's own driver."""

    backend = "sqlite"

    def __init__(self, connection: Any) -> None:
        """See `Joined`: the driver begins a transaction by itself where it was told to."""
        super().__init__(connection)
        begins = connection.isolation_level is not None
        if (mode := getattr(connection, "autocommit", None)) in {True, False}:  # Python 3.12
            begins = not mode
        if not begins and not connection.in_transaction:
            raise _autocommits(
                "this connection", 'begin one first: connection.execute("BEGIN IMMEDIATE")'
            )

    def run(self, statement: Statement) -> Any:
        """Run one statement."""
        cursor = self.connection.cursor()
        cursor.row_factory = None  # the caller's own would make something else of rows
        if statement.many:
            cursor.executemany(statement.sql, statement.values)
            return None
        return _first(cursor.execute(statement.sql, statement.values).fetchall())

    @property
    def memo(self) -> None:
        """Asking costs nothing here."""


class AioSqlite(Sqlite):
    """A connection of aiosqlite."""

    asynchronous = True

    async def run(self, statement: Statement) -> Row:
        """Run one statement."""
        async with self.connection.cursor() as cursor:
            cursor.row_factory = None
            if statement.many:
                await cursor.executemany(statement.sql, statement.values)
                return None
            await cursor.execute(statement.sql, statement.values)
            return _first(list(await cursor.fetchall()))


class Asyncpg(Joined):
    """A connection of asyncpg, from a pool or not."""

    asynchronous = True

    def __init__(self, connection: Any) -> None:
        """See `Joined`."""
        super().__init__(connection)
        if not connection.is_in_transaction():
            raise _autocommits(
                "asyncpg", "open one around the call: async with connection.transaction():"
            )

    async def run(self, statement: Statement) -> Row:
        """Run one statement."""
        row: Row = await self.connection.fetchrow(statement.sql, *statement.values)
        return row

    @property
    def memo(self) -> MutableMapping[str, Any] | None:
        """What a pool lends is a proxy, new each time."""
        return _memos.setdefault(getattr(self.connection, "_con", self.connection), {})


class Psycopg(Joined):
    """A connection of psycopg 3."""

    def __init__(self, connection: Any) -> None:
        """See `Joined`."""
        super().__init__(connection)
        if connection.autocommit and connection.info.transaction_status == 0:  # idle
            raise _autocommits(
                "a psycopg connection with autocommit",
                "open one around the call: with connection.transaction():",
            )

    def _cursor(self, kind: str) -> Any:
        psycopg: Any = sys.modules["psycopg"]
        return getattr(psycopg, kind)(self.connection, row_factory=psycopg.rows.tuple_row)

    def run(self, statement: Statement) -> Any:
        """Run one statement."""
        with self._cursor("Cursor") as cursor:
            cursor.execute(formatted(statement.sql), statement.values or None)
            return cursor.fetchone() if cursor.description else None


class AsyncPsycopg(Psycopg):
    """An asynchronous connection of psycopg 3."""

    asynchronous = True

    async def run(self, statement: Statement) -> Row:
        """Run one statement."""
        async with self._cursor("AsyncCursor") as cursor:
            await cursor.execute(formatted(statement.sql), statement.values or None)
            row: Row = await cursor.fetchone() if cursor.description else None
            return row


class Django(Joined):
    """One of `django.db.connections`."""

    def __init__(self, connection: Any) -> None:
        """See `Joined`: outside of `atomic()` it commits by itself, as Django's ORM does."""
        super().__init__(connection)
        self.backend = connection.vendor

    def run(self, statement: Statement) -> Any:
        """Run one statement."""
        with self.connection.cursor() as cursor:
            sql = formatted(statement.sql)
            if statement.many:
                cursor.executemany(sql, statement.values)
                return None
            cursor.execute(sql, statement.values or None)
            return _first(cursor.fetchall()) if cursor.description else None

    def around(self) -> AbstractContextManager[Any]:
        """Return a transaction where there is none: message and outbox, or neither."""
        if self.connection.in_atomic_block or not self.connection.get_autocommit():
            return nullcontext()
        atomic: Any = sys.modules["django.db.transaction"]
        return atomic.atomic(using=self.connection.alias)  # type: ignore[no-any-return]

    @property
    def memo(self) -> MutableMapping[str, Any] | None:
        """Of the connection behind it, which Django replaces now and then."""
        try:
            return _memos.setdefault(self.connection.connection, {})
        except TypeError:
            return None


# which is which ----------------------------------------------------------------------------------


def is_asynchronous(connection: object) -> bool:
    """Return whether a connection or session has to be awaited. Raises SessionMismatch."""
    if isinstance(connection, AsyncSession | async_scoped_session | AsyncConnection):
        return True
    if isinstance(connection, Session | scoped_session | sa.Connection):
        return False
    return _kind(connection).asynchronous


def joined(connection: object) -> Joined:
    """Return the one face of a synchronous session or connection. Raises SessionMismatch."""
    if isinstance(connection, scoped_session):
        connection = connection()
    if isinstance(connection, Session):
        return Core(connection.connection(), connection)
    if isinstance(connection, sa.Connection):
        return Core(connection)
    return _kind(connection)(connection)


async def ajoined(connection: object) -> Joined:
    """Return the one face of any session or connection. Raises SessionMismatch."""
    if isinstance(connection, async_scoped_session):
        connection = connection()
    if isinstance(connection, AsyncSession):
        return AsyncCore(await connection.connection(), connection.sync_session)
    if isinstance(connection, AsyncConnection):
        return AsyncCore(connection)
    return joined(connection)


def _kind(connection: object) -> type[Joined]:
    """Return the face of a driver's connection."""
    if isinstance(connection, sqlite3.Connection):
        return Sqlite
    for module, name, kind in _KINDS:
        loaded = sys.modules.get(module)
        if loaded is not None and isinstance(connection, getattr(loaded, name)):
            return kind
    if hasattr(connection, "in_atomic_block") and hasattr(connection, "settings_dict"):
        return Django  # a proxy, such as django.db.connection
    what = f"{type(connection).__module__}.{type(connection).__qualname__}"
    raise SessionMismatch(f"connection: is a {what}; {EXPECTED}")


_KINDS: tuple[tuple[str, str, type[Joined]], ...] = (
    ("aiosqlite", "Connection", AioSqlite),
    ("asyncpg", "Connection", Asyncpg),
    ("asyncpg.pool", "PoolConnectionProxy", Asyncpg),
    ("psycopg", "Connection", Psycopg),
    ("psycopg", "AsyncConnection", AsyncPsycopg),
)
