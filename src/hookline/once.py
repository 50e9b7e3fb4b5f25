"""Run a webhook's handler once per `webhook-id`, however often the message arrives.

    @receive("your-secret-key", once=InMemory())
    def on_webhook(event: Event) -> None: ...

A message is claimed while its handler runs, and remembered when it has succeeded. So a copy that
comes

- after it succeeded is answered with 204, and the handler does not run;
- while it runs is answered with 409, so that the sender tries again and then learns how it went;
- after it failed (it raised, or answered no 2xx) runs it again.

Between the handler's own work and remembering it lies a moment in which a process can die: then the
copy runs again after `lease` seconds. `InTransaction` has no such moment, for it remembers in the
very transaction the handler writes in. Where what a handler does is in a database, use that.

A message without an id (`Event.id` is None: a sender that gives none) always runs.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar, overload

from hookline.receiver import Event
from hookline.receiver._door import Claim, Once

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Engine, MetaData
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
    from sqlalchemy.orm import Session

__all__ = ["Claim", "InDatabase", "InMemory", "InRedis", "InTransaction", "Once"]

TTL = 7 * 24 * 3600.0
"""Seconds a handled message is remembered: longer than the 75 hours a sender tries."""

LEASE = 60.0
"""Seconds a handler may run before a copy may run beside it: a sender waits 30 at most."""

Result = TypeVar("Result")


def _checked(ttl: float, lease: float) -> tuple[float, float]:
    for name, value in (("ttl", ttl), ("lease", lease)):
        if not value > 0:
            raise ValueError(f"{name}: expected seconds above 0, got {value!r}")
    return ttl, lease


# In memory ---------------------------------------------------------------------------------------


class InMemory:
    """Remember in this process: for one process, and for tests. What it knew ends with it.

    At most `limit` messages; over that the oldest is forgotten first. `ttl` and `lease` are in
    seconds, `clock` gives them.
    """

    asynchronous = False
    waits = False

    def __init__(
        self,
        *,
        ttl: float = TTL,
        lease: float = LEASE,
        limit: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ttl, self._lease = _checked(ttl, lease)
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        # By the time of their end, since each kind lives equally long.
        self._done: OrderedDict[str, float] = OrderedDict()
        self._running: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def claim(self, key: str, token: str) -> Claim:
        """Take a message, or say who has it."""
        now = self._clock()
        with self._lock:
            self._forget(now)
            if key in self._done:
                return Claim.DONE
            if key in self._running:
                return Claim.RUNNING
            self._running[key] = now + self._lease, token
            return Claim.FIRST

    def finish(self, key: str, token: str) -> None:
        """Remember that it was handled, unless a later claim has it."""
        with self._lock:
            if self._mine(key, token):
                self._running.pop(key, None)
                self._done[key] = self._clock() + self._ttl

    def release(self, key: str, token: str) -> None:
        """Give it back, unless a later claim has it."""
        with self._lock:
            if self._mine(key, token):
                self._running.pop(key, None)

    def __len__(self) -> int:
        """Return how many messages are known."""
        with self._lock:
            return len(self._done) + len(self._running)

    def _mine(self, key: str, token: str) -> bool:
        held = self._running.get(key)
        return key not in self._done if held is None else held[1] == token

    def _forget(self, now: float) -> None:
        while self._running and next(iter(self._running.values()))[0] <= now:
            self._running.popitem(last=False)
        while self._done and (
            next(iter(self._done.values())) <= now or len(self._done) >= self._limit
        ):
            self._done.popitem(last=False)


# In Redis ----------------------------------------------------------------------------------------

_DONE = "done"
_FINISH = """
local held = redis.call('GET', KEYS[1])
if held == false or held == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class InRedis:
    """Remember in Redis: for any number of processes.

    `client` is a `redis.Redis` or a `redis.asyncio.Redis`; each message is one key that begins with
    `prefix` and ends by itself. `ttl` and `lease` are in seconds. Several receivers on one Redis
    that get the same messages need a `prefix` each.
    """

    waits = True

    def __init__(
        self,
        client: Any,
        *,
        prefix: str = "hookline:once:",
        ttl: float = TTL,
        lease: float = LEASE,
    ) -> None:
        self._ttl, self._lease = _checked(ttl, lease)
        self._client = client
        self._prefix = prefix
        self.asynchronous: bool = iscoroutinefunction(client.execute_command)

    def claim(self, key: str, token: str) -> Claim | Awaitable[Claim]:
        """Take a message, or say who has it."""
        name = self._prefix + key
        lease = max(1, round(self._lease * 1000))
        if self.asynchronous:
            return self._claim_later(name, token, lease)
        taken = self._client.set(name, token, nx=True, px=lease)
        return Claim.FIRST if taken else _held(self._client.get(name))

    async def _claim_later(self, name: str, token: str, lease: int) -> Claim:
        taken = await self._client.set(name, token, nx=True, px=lease)
        return Claim.FIRST if taken else _held(await self._client.get(name))

    def finish(self, key: str, token: str) -> object:
        """Remember that it was handled, unless a later claim has it."""
        ttl = max(1, round(self._ttl * 1000))
        return self._client.eval(_FINISH, 1, self._prefix + key, token, _DONE, ttl)

    def release(self, key: str, token: str) -> object:
        """Give it back, unless a later claim has it."""
        return self._client.eval(_RELEASE, 1, self._prefix + key, token)


def _held(value: bytes | str | None) -> Claim:
    # None: it ended between the two commands. Whoever had it failed; the next copy will run.
    return Claim.DONE if value in (_DONE, _DONE.encode()) else Claim.RUNNING


# In a database -----------------------------------------------------------------------------------


class _Table:
    """The table of messages, and its statements, on SQLite and PostgreSQL."""

    def __init__(self, metadata: "MetaData | None", name: str) -> None:
        import sqlalchemy as sa  # noqa: PLC0415 - whoever uses memory or Redis need not load it

        self.table = sa.Table(
            name,
            sa.MetaData() if metadata is None else metadata,
            sa.Column("id", sa.String(256), primary_key=True),
            sa.Column("token", sa.String(16), nullable=False),
            sa.Column("done", sa.Boolean, nullable=False),
            sa.Column("ends_at", sa.BigInteger, nullable=False, index=True),
        )
        self.metadata = self.table.metadata

    def take(
        self, connection: "Connection", key: str, token: str, *, done: bool, ms: float
    ) -> bool:
        """Write the row; tell whether it was free. Also deletes two rows that have ended."""
        now = time.time_ns() // 1_000_000
        taken = self._write(connection, key, token, done, now + ms, self.table.c.ends_at <= now)
        if taken:
            self._prune(connection, now)
        return taken

    def finish(self, connection: "Connection", key: str, token: str, ms: float) -> None:
        """Write that it was handled, unless another claim has it; also where the row has ended."""
        ends_at = time.time_ns() // 1_000_000 + ms
        self._write(connection, key, token, True, ends_at, self.table.c.token == token)  # noqa: FBT003

    def _write(
        self,
        connection: "Connection",
        key: str,
        token: str,
        done: bool,
        ends_at: float,
        where: "ColumnElement[bool]",
    ) -> bool:
        """Write a row where there is none, or where the one there is `where`; tell whether."""
        values = {"id": key, "token": token, "done": done, "ends_at": math.ceil(ends_at)}
        statement = self._insert(connection).values(values)
        statement = statement.on_conflict_do_update(
            index_elements=["id"],
            set_={name: statement.excluded[name] for name in ("token", "done", "ends_at")},
            where=where,
        )
        written: bool = connection.execute(statement).rowcount == 1
        return written

    def _insert(self, connection: "Connection") -> Any:
        from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415

        dialects = {"postgresql": postgresql, "sqlite": sqlite}
        dialect = dialects.get(connection.dialect.name)
        if dialect is None:
            raise NotImplementedError(
                f"hookline.once: no statement for {connection.dialect.name}; "
                "expected SQLite or PostgreSQL"
            )
        return dialect.insert(self.table)

    def _prune(self, connection: "Connection", now: int) -> None:
        # Two for each one written, so the table cannot outgrow what `ttl` asks for. Rows that
        # another transaction holds are left to it: waiting for them could be a deadlock.
        from sqlalchemy import delete, select  # noqa: PLC0415

        c = self.table.c
        ended = select(c.id).where(c.ends_at <= now).order_by(c.ends_at).limit(2)
        ended = ended.with_for_update(skip_locked=True)
        connection.execute(delete(self.table).where(c.id.in_(ended.scalar_subquery())))


class InDatabase:
    """Remember in a table of your database, in transactions of its own.

    `engine` is an SQLAlchemy `Engine` or `AsyncEngine` on SQLite or PostgreSQL. With `metadata` the
    table becomes part of yours, for `create_all` and Alembic; otherwise
    `once.metadata.create_all(engine)` makes it. `ttl` and `lease` are in seconds.
    """

    waits = True

    def __init__(
        self,
        engine: "Engine | AsyncEngine",
        *,
        metadata: "MetaData | None" = None,
        table: str = "hookline_once",
        ttl: float = TTL,
        lease: float = LEASE,
    ) -> None:
        self._ttl, self._lease = _checked(ttl, lease)
        self._table = _Table(metadata, table)
        self._engine: Any = engine
        self.asynchronous: bool = hasattr(engine, "sync_engine")
        self.metadata = self._table.metadata

    def claim(self, key: str, token: str) -> Claim | Awaitable[Claim]:
        """Take a message, or say who has it."""
        return self._run(lambda connection: self._claim(connection, key, token))

    def finish(self, key: str, token: str) -> object:
        """Remember that it was handled, unless a later claim has it."""
        ms = self._ttl * 1000
        return self._run(lambda connection: self._table.finish(connection, key, token, ms))

    def release(self, key: str, token: str) -> object:
        """Give it back, unless a later claim has it."""
        c = self._table.table.c
        mine = (c.id == key, c.token == token, c.done.is_(False))
        statement = self._table.table.delete().where(*mine)
        return self._run(lambda connection: connection.execute(statement))

    def _claim(self, connection: "Connection", key: str, token: str) -> Claim:
        if self._table.take(connection, key, token, done=False, ms=self._lease * 1000):
            return Claim.FIRST
        c = self._table.table.c
        query = self._table.table.select().with_only_columns(c.done).where(c.id == key)
        return Claim.DONE if connection.execute(query).scalar() else Claim.RUNNING

    def _run(self, work: Callable[["Connection"], Result]) -> Result | Awaitable[Result]:
        if self.asynchronous:
            return self._run_later(work)
        with self._engine.begin() as connection:
            return work(connection)

    async def _run_later(self, work: Callable[["Connection"], Result]) -> Result:
        async with self._engine.begin() as connection:
            result: Result = await connection.run_sync(work)
            return result


class InTransaction:
    """Remember in the handler's own transaction: what it writes happens exactly once.

        once = InTransaction(Base.metadata)

        @receive("your-secret-key")
        def on_webhook(event: Event) -> None:
            with Session.begin() as session:
                if once.first(session, event):
                    session.add(Customer(**event.data))

    Rolled back, the message counts as never seen. Two copies at the same moment wait for one
    another: the second learns how the first one ended. SQLite or PostgreSQL. With `metadata` the
    table becomes part of yours, for `create_all` and Alembic. `ttl` is in seconds.
    """

    def __init__(
        self,
        metadata: "MetaData | None" = None,
        *,
        table: str = "hookline_once",
        ttl: float = TTL,
    ) -> None:
        self._ttl, _ = _checked(ttl, LEASE)
        self._table = _Table(metadata, table)
        self.metadata = self._table.metadata

    @overload
    def first(self, session: "Session | Connection", event: Event | str) -> bool: ...

    @overload
    def first(
        self, session: "AsyncSession | AsyncConnection", event: Event | str
    ) -> Awaitable[bool]: ...

    def first(self, session: Any, event: Event | str) -> bool | Awaitable[bool]:
        """Tell whether the message (or its id) is new, and remember it with this transaction.

        To be called first in the transaction, and awaited for an `AsyncSession` or
        `AsyncConnection`. An event without an id is always new.
        """
        key = event.id if isinstance(event, Event) else event
        if hasattr(session, "run_sync"):
            awaited: Awaitable[bool] = session.run_sync(self._first, key)
            return awaited
        return self._first(session, key)

    def _first(self, session: "Session | Connection", key: str | None) -> bool:
        if key is None:
            return True
        connection = session.connection
        # A method of a Session; of a Connection, the driver's own.
        sql: Connection = connection() if callable(connection) else session  # type: ignore[assignment]
        return self._table.take(sql, key, "", done=True, ms=self._ttl * 1000)
