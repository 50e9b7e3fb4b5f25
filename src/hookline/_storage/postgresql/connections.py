"""Connections to PostgreSQL of the hot path: two pools, and one that listens."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg

from hookline._storage.postgresql.engine import INDEXED
from hookline._storage.postgresql.publication import CHANNEL
from hookline.errors import StorageError

RECONNECT = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries to get the listening connection back."""
PLANS = INDEXED | {
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # A frozen process must not keep others waiting for its locks.
    "idle_in_transaction_session_timeout": "5000",
}
"""Every statement here walks an index by key. Statistics of a queue are out of date as soon as they
are made: a plan chosen while it was nearly empty must not scan a million rows a minute later."""
TIMEOUT = 30.0
"""Seconds for one statement, and to get a connection."""

_LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)


class ConnectionLost(StorageError):
    """The connection broke: what was asked may or may not have happened."""


class Connections:
    """Two pools: commits of the one are synced to the disk, those of the other need not be.

    And a connection of its own that hears what other processes write.
    """

    def __init__(self, dsn: str, *, settle_durable: bool) -> None:
        """`dsn` is asyncpg's; `settle_durable` syncs the commits of both pools."""
        self._dsn = dsn
        self._settle_durable = settle_durable
        self._durable: asyncpg.Pool | None = None
        self._quick: asyncpg.Pool | None = None
        self._listener: asyncio.Task[None] | None = None

    async def start(self, on_foreign_write: Callable[[], None]) -> None:
        """Open the pools, and listen for other processes."""
        try:
            self._durable = await self._pool(3, durable=True)
            self._quick = await self._pool(4, durable=self._settle_durable)
        except (*_LOST, asyncpg.PostgresError) as error:
            await self.stop()
            raise StorageError(f"PostgreSQL: {error}") from error
        self._listener = asyncio.create_task(self._listen(on_foreign_write))

    async def _pool(self, most: int, *, durable: bool) -> asyncpg.Pool:
        settings = PLANS | {
            "application_name": "hookline",
            "synchronous_commit": "on" if durable else "off",
        }
        return await asyncpg.create_pool(
            self._dsn,
            min_size=0,  # asyncpg logs a traceback whenever it cannot keep a floor
            max_size=most,
            init=keys_as_bytes,
            server_settings=settings,
            command_timeout=TIMEOUT,
            timeout=TIMEOUT,
        )

    async def stop(self) -> None:
        """Close everything. Safe to call twice."""
        await ended(self._listener)
        self._listener = None
        pools, self._durable, self._quick = (self._durable, self._quick), None, None
        for pool in pools:
            if pool is not None:
                pool.terminate()  # every batch was awaited before: nothing is under way

    @asynccontextmanager
    async def transaction(self, *, durable: bool = False) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection with a transaction that is committed at the end."""
        async with self.lend(durable=durable) as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def lend(self, *, durable: bool = False) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection on which each statement is a transaction of its own.

        Raises ConnectionLost when it breaks, StorageError for what the database refuses.
        """
        pool = self._durable if durable else self._quick
        if pool is None:
            raise StorageError("the database was closed")
        try:
            async with pool.acquire(timeout=TIMEOUT) as connection:
                try:
                    yield connection
                except _LOST:
                    connection.terminate()  # in no state to be used again
                    raise
        except _LOST as error:
            words = str(error) or type(error).__name__
            raise ConnectionLost(f"PostgreSQL: connection lost: {words}") from error
        except asyncpg.PostgresError as error:
            raise StorageError(f"PostgreSQL: {error}") from error
        except AttributeError as error:
            if not pool.is_closing():
                raise
            # What the driver raises for a connection that was terminated while it was asked.
            raise StorageError("the database was closed") from error

    async def _listen(self, on_foreign_write: Callable[[], None]) -> None:
        """Listen for ever, reconnecting; what was missed meanwhile is found by looking."""
        tries = 0
        while True:
            try:
                connection = await asyncpg.connect(self._dsn, timeout=TIMEOUT)
                try:
                    lost = asyncio.Event()
                    connection.add_termination_listener(lambda _, lost=lost: lost.set())
                    await connection.add_listener(CHANNEL, lambda *_: on_foreign_write())
                    tries = 0
                    on_foreign_write()
                    await lost.wait()
                finally:
                    connection.terminate()
            except (*_LOST, asyncpg.PostgresError):
                tries += 1
            await asyncio.sleep(RECONNECT[min(tries, len(RECONNECT) - 1)])


async def ended(task: asyncio.Task[None] | None) -> None:
    """Cancel a task, if there is one, and wait for its end."""
    # Asked until it ends: a driver may turn a cancel into an error of its own.
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1)


async def keys_as_bytes(connection: asyncpg.Connection) -> None:
    """Have a connection take and give keys as they are in memory."""
    await connection.set_type_codec(
        "uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
    )
