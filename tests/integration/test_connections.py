"""Events inside the transaction of a connection that the application made itself."""

import inspect
import re
import secrets
import sqlite3
from contextlib import asynccontextmanager, suppress

import aiosqlite
import asyncpg
import psycopg
import pytest
import sqlalchemy as sa
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from hookline._storage.joined import formatted
from hookline._storage.postgresql.publication import SQL as POSTGRESQL
from hookline._storage.sqlite.publication import SQL as SQLITE
from hookline.errors import IdempotencyConflict, InvalidInput, SessionMismatch, StorageError

CREATE = "CREATE TABLE thing (name text UNIQUE)"
INSERT = "INSERT INTO thing VALUES ('a')"


async def settle(result):
    """Return a result, awaited where it must be."""
    return await result if inspect.isawaitable(result) else result


class Driver:
    """A driver: how a connection is made, and how its transactions begin and end."""

    begin = None
    synchronous = False

    def __init__(self, url):
        self.url = url
        self.file = url.removeprefix("sqlite:///")
        self.dsn = url.replace("postgresql+asyncpg:", "postgresql:")

    async def execute(self, connection, statement):
        """Run a statement of the application's own."""
        await settle(connection.execute(statement))

    @asynccontextmanager
    async def transaction(self, connection):
        """Give a transaction: rolled back when an error leaves it, committed otherwise."""
        try:
            yield
        except BaseException:
            await settle(connection.rollback())
            raise
        await settle(connection.commit())


class Sqlite3(Driver):
    synchronous = True

    @asynccontextmanager
    async def open(self):
        connection = sqlite3.connect(self.file)
        connection.row_factory = lambda *_: "an application's own"
        yield connection
        connection.close()


class AioSqlite(Driver):
    @asynccontextmanager
    async def open(self):
        async with aiosqlite.connect(self.file) as connection:
            connection.row_factory = aiosqlite.Row
            yield connection


class Psycopg(Driver):
    synchronous = True

    @asynccontextmanager
    async def open(self):
        with psycopg.connect(self.dsn, row_factory=dict_row) as connection:
            yield connection


class PsycopgInAutocommit(Psycopg):
    @asynccontextmanager
    async def open(self):
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, connection):
        with connection.transaction():
            yield


class AsyncPsycopg(Driver):
    @asynccontextmanager
    async def open(self):
        async with await psycopg.AsyncConnection.connect(self.dsn) as connection:
            yield connection


class Asyncpg(Driver):
    @asynccontextmanager
    async def open(self):
        connection = await asyncpg.connect(self.dsn)
        yield connection
        await connection.close()

    @asynccontextmanager
    async def transaction(self, connection):
        async with connection.transaction():
            yield


class AsyncpgPool(Asyncpg):
    @asynccontextmanager
    async def open(self):
        pool = asyncpg.create_pool(self.dsn, min_size=1, max_size=1)
        async with pool, pool.acquire() as connection:
            yield connection


class Core(Driver):
    synchronous = True

    async def execute(self, connection, statement):
        connection.execute(sa.text(statement))

    @asynccontextmanager
    async def open(self):
        engine = sa.create_engine(self.url.replace("+asyncpg", "+psycopg"))
        with engine.connect() as connection:
            yield connection
        engine.dispose()


class AsyncCore(Core):
    synchronous = False

    async def execute(self, connection, statement):
        await connection.execute(sa.text(statement))

    @asynccontextmanager
    async def open(self):
        engine = create_async_engine(self.url.replace("sqlite:", "sqlite+aiosqlite:"))
        async with engine.connect() as connection:
            yield connection
        await engine.dispose()


ON_SQLITE = (Sqlite3, AioSqlite, Core, AsyncCore)
ON_POSTGRESQL = (
    Psycopg, PsycopgInAutocommit, AsyncPsycopg, Asyncpg, AsyncpgPool, Core, AsyncCore,
)  # fmt: skip
ALL = [("sqlite", each) for each in ON_SQLITE] + [("postgresql", each) for each in ON_POSTGRESQL]


@pytest.fixture(params=ALL, ids=lambda pair: f"{pair[1].__name__} on {pair[0]}")
def driver(request, database_file):
    """Each driver, on the databases it is for."""
    backend, kind = request.param
    if backend == "sqlite":
        yield kind(f"sqlite:///{database_file}")
        return
    with request.getfixturevalue("postgres").fresh() as url:
        yield kind(url)


@pytest.fixture
def started(driver, make_webhooks, receiver):
    """`Webhooks` on the driver's database, that look for work only when they are told."""
    webhooks = make_webhooks(database=driver.url, poll_interval=60)
    webhooks.register(receiver.url, ["*"])
    webhooks.sync.start()
    return webhooks


def data(receiver):
    return sorted(each.json()["data"]["n"] for each in receiver.received)


async def test_a_commit_sends_and_wakes(driver, started, receiver):
    """What is published in a transaction is sent after its commit, without waiting for a look."""
    async with driver.open() as connection:
        async with driver.transaction(connection):
            await driver.execute(connection, CREATE)
            await driver.execute(connection, INSERT)
            receipts = await started.trigger_many(
                [("a.b", {"n": 1}), ("a.b", {"n": 2})], connection=connection
            )
            last = await started.trigger("a.b", {"n": 3}, connection=connection)
            assert receiver.count == 0
        for receipt in [*receipts, last]:
            await receipt.delivered(timeout=10)
    assert data(receiver) == [1, 2, 3]


async def test_a_rollback_takes_everything_away(driver, started, receiver):
    """A rollback takes the event away, its idempotency key included."""
    async with driver.open() as connection:
        async with driver.transaction(connection):
            await driver.execute(connection, CREATE)
        with suppress(ZeroDivisionError):
            async with driver.transaction(connection):
                await driver.execute(connection, INSERT)
                await started.trigger("a.b", {"n": 1}, connection=connection, idempotency_key="k")
                raise ZeroDivisionError
        async with driver.transaction(connection):
            await driver.execute(connection, INSERT)  # it is the only one: it was rolled back
            second = await started.trigger(
                "a.b", {"n": 2}, connection=connection, idempotency_key="k"
            )
        assert not second.duplicate
        await second.delivered(timeout=10)
    assert data(receiver) == [2]


async def test_keys_in_a_transaction(driver, started, receiver):
    """A key is a repeat for the same event, an error for another, and the transaction goes on."""
    outside = await started.trigger("a.b", {"n": 1}, idempotency_key="order 1")
    async with driver.open() as connection:
        async with driver.transaction(connection):
            again = await started.trigger(
                "a.b", {"n": 1}, connection=connection, idempotency_key="order 1"
            )
            assert (again.duplicate, again.message_id) == (True, outside.message_id)
            with pytest.raises(IdempotencyConflict, match="'order 1'"):
                await started.trigger(
                    "a.b", {"n": 2}, connection=connection, idempotency_key="order 1"
                )
            fresh = await started.trigger(
                "a.b", {"n": 3}, connection=connection, idempotency_key="order 3", tags=["t"]
            )
        await fresh.delivered(timeout=10)
    assert data(receiver) == [1, 3]


@pytest.fixture
def elsewhere(driver, tmp_path, postgres):
    """The same driver on another database of its kind."""
    if driver.url.startswith("sqlite"):
        yield type(driver)(f"sqlite:///{tmp_path}/other.db")
        return
    with postgres.fresh() as url:
        yield type(driver)(url)


async def test_another_database(elsewhere, started, receiver):
    """A connection to another database is refused, by name, before anything is written."""
    async with elsewhere.open() as connection, elsewhere.transaction(connection):
        with pytest.raises(SessionMismatch, match=r"session: is on \w+ .*, but Hookline uses"):
            await started.trigger("a.b", {"n": 1}, connection=connection)
        await elsewhere.execute(connection, CREATE)  # it still works
    assert receiver.count == 0


async def test_synchronous_connections_have_the_synchronous_face(driver, started, receiver):
    """A synchronous connection publishes without a loop; an asynchronous one is told how to."""
    async with driver.open() as connection:
        if not driver.synchronous:
            with pytest.raises(SessionMismatch, match=r"asynchronous; use await webhooks\.trigger"):
                started.sync.trigger("a.b", {"n": 1}, connection=connection)
            return
        async with driver.transaction(connection):
            receipt = started.sync.trigger("a.b", {"n": 1}, connection=connection)
        assert receipt.delivered(timeout=10)[0].url == receiver.url


async def test_without_a_transaction(started_on_postgresql, make_webhooks, postgres_url):
    """A connection that would commit each statement by itself is refused, saying what to do."""
    webhooks, dsn = started_on_postgresql
    plain = await asyncpg.connect(dsn)
    with pytest.raises(SessionMismatch, match=r"async with connection\.transaction\(\):"):
        await webhooks.trigger("a.b", {}, connection=plain)
    await plain.close()
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        pytest.raises(SessionMismatch, match=r"with connection\.transaction\(\):"),
    ):
        await webhooks.trigger("a.b", {}, connection=connection)
    engine = create_async_engine(postgres_url)
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(SessionMismatch, match="AUTOCOMMIT"):
            await webhooks.trigger("a.b", {}, connection=connection)
    await engine.dispose()


@pytest.fixture
def started_on_postgresql(make_webhooks, postgres_url):
    webhooks = make_webhooks(database=postgres_url)
    webhooks.sync.start()
    return webhooks, postgres_url.replace("postgresql+asyncpg:", "postgresql:")


async def test_sqlite_without_a_transaction(make_webhooks, database_file):
    """So is one of sqlite3 that begins none, until the caller has."""
    webhooks = make_webhooks()
    await webhooks.start()
    connection = sqlite3.connect(database_file, isolation_level=None)
    with pytest.raises(SessionMismatch, match="BEGIN IMMEDIATE"):
        await webhooks.trigger("a.b", {}, connection=connection)
    connection.execute("BEGIN IMMEDIATE")
    await webhooks.trigger("a.b", {}, connection=connection)
    connection.execute("ROLLBACK")
    connection.close()


async def test_a_schema_it_does_not_look_into(started_on_postgresql):
    """A connection whose search_path hides our tables is told of it."""
    webhooks, dsn = started_on_postgresql
    with psycopg.connect(dsn) as connection:
        connection.execute("SET search_path TO pg_catalog")
        with pytest.raises(StorageError, match="search_path"):
            await webhooks.trigger("a.b", {}, connection=connection)


@pytest.mark.parametrize("what", [object(), "a string", sa.create_engine("sqlite://"), 1])
async def test_what_is_no_connection(make_webhooks, what):
    """Something else is refused, with what it is and what is expected."""
    webhooks = make_webhooks()
    with pytest.raises(SessionMismatch, match=r"is a \w+[.\w]*; expected a SQLAlchemy Session"):
        await webhooks.trigger("a.b", {}, connection=what)
    with pytest.raises(SessionMismatch, match="expected a SQLAlchemy Session"):
        webhooks.sync.trigger("a.b", {}, session=what)


async def test_both_is_too_much(make_webhooks, database_file):
    """A session and a connection at once are refused."""
    connection = sqlite3.connect(database_file)
    with pytest.raises(InvalidInput, match="not both"):
        await make_webhooks().trigger("a.b", {}, session=connection, connection=connection)
    connection.close()


async def test_a_scoped_session(make_webhooks, database_file, receiver):
    """Flask-SQLAlchemy's kind of session is as good as the session in it."""
    webhooks = make_webhooks(poll_interval=60)
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()
    engine = sa.create_engine(f"sqlite:///{database_file}")
    session = scoped_session(sessionmaker(engine, class_=Session))
    receipt = webhooks.sync.trigger("a.b", {"n": 1}, session=session)
    session.commit()
    assert receipt.delivered(timeout=10)
    session.remove()
    engine.dispose()


@pytest.mark.parametrize("sql", [POSTGRESQL[n] for n in ("publish", "remember_key", "find_key")])
def test_placeholders_come_in_order(sql):
    """A statement can be said with `%s`: its placeholders come in order, once each, and no `%`."""
    numbers = [int(n) for n in re.findall(r"\$(\d+)", sql)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert "%" not in sql
    assert formatted(sql).count("%s") == len(numbers)


def test_placeholders_of_sqlite():
    """So can those of SQLite."""
    for name in ("insert_message", "insert_outbox", "find_key"):
        assert formatted(SQLITE[name]).count("%s") == SQLITE[name].count("?")
        assert "%" not in SQLITE[name]


async def test_a_role_with_few_rights(started_on_postgresql, receiver):
    """The application's role needs to insert into three tables, and no more than that."""
    webhooks, dsn = started_on_postgresql
    role = f"shop_{secrets.token_hex(4)}"
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role}")
        owner.execute(f"GRANT INSERT, SELECT ON hookline_message, hookline_outbox TO {role}")
        owner.execute(f"GRANT INSERT, SELECT, UPDATE ON hookline_idempotency TO {role}")
        try:
            with psycopg.connect(dsn) as connection:
                connection.execute(f"SET ROLE {role}")
                receipt = webhooks.sync.trigger(
                    "a.b", {}, connection=connection, idempotency_key="k"
                )
                assert not receipt.duplicate
        finally:
            owner.execute(f"DROP OWNED BY {role}")
            owner.execute(f"DROP ROLE {role}")
    assert len(webhooks.sync.messages().items) == 1
