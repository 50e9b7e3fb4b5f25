"""What the parts of the store stand on: transactions, the dialect's INSERT, change by batches."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hookline._storage.schema import Key
from hookline._storage.unreachable import explain
from hookline.errors import StorageError

Transaction = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
PRUNED = 2000
"""Rows that one transaction removes: few enough that nobody waits long for its lock."""


class Part:
    """A part of the store, on the engine that all of them share."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Take an engine whose transactions hold the write lock from their start on SQLite."""
        self._engine = engine
        self._is_postgresql = engine.dialect.name == "postgresql"

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        with self._translated():
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        with self._translated():
            async with self._engine.connect() as connection:
                yield await connection.execution_options(hookline_reading=True)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise what the database refuses as StorageError."""
        try:
            yield
        except (sa.exc.DBAPIError, OSError) as error:
            hint = ""
            if "locked" in str(error):
                hint = (
                    ". When it is a transaction of the caller's own, start before it begins: "
                    "webhooks.init(), or await webhooks.start()"
                )
            raise StorageError(explain(self._engine.url, error) + hint) from error

    def _among(
        self, column: sa.ColumnElement[bytes], keys: Iterable[bytes]
    ) -> sa.ColumnElement[bool]:
        """Return whether a column has one of these keys.

        In one parameter where there are arrays: the statement and its plan are the same for any
        number, and keys are looked up, not compared one by one.
        """
        wanted = list(keys)
        if self._is_postgresql:
            return column == sa.any_(sa.literal(wanted, postgresql.ARRAY(Key)))
        return column.in_(wanted)

    def _insert(self, table: sa.Table) -> Any:
        """Return the dialect's own INSERT, which knows ON CONFLICT."""
        return (postgresql if self._is_postgresql else sqlite).insert(table)

    async def _prune(self, table: sa.Table, *which: sa.ColumnElement[bool]) -> None:
        """Remove rows in small batches, which never block sending."""
        key = list(table.primary_key.columns)
        # Rows that another process is removing are left to it: nobody waits. With a lock the CTE is
        # read once, where PostgreSQL may read a subquery anew for every row: more than the limit.
        some = sa.select(*key).where(*which).limit(PRUNED).with_for_update(skip_locked=True)
        batch = some.cte("batch", nesting=True)  # (sqlite3 counts no rows of WITH … DELETE)
        await self._in_batches(table.delete().where(sa.tuple_(*key).in_(sa.select(batch))))

    async def _in_batches(self, change: sa.Update | sa.Delete) -> None:
        """Make a change of at most `PRUNED` rows anew until it finds fewer.

        In between, SQLite is told to give back the space that removed rows took.
        """
        while True:
            async with self._writing() as connection:
                changed = (await connection.execute(change)).rowcount
            if not self._is_postgresql:
                async with self._writing() as connection:
                    await connection.exec_driver_sql("PRAGMA incremental_vacuum(500)")
            if changed < PRUNED:
                return
