"""Events inside the caller's own transaction: they live and die with it."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from hookline import DeliveryState
from hookline._storage.schema import message
from hookline.errors import IdempotencyConflict, InvalidPayload, SessionMismatch, StorageError


class Base(DeclarativeBase):
    """The application's own tables."""


class Customer(Base):
    """Something the application stores beside its event."""

    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@pytest.fixture
def engine(database_file):
    """The application's own engine, as most applications make it."""
    engine = sa.create_engine(f"sqlite:///{database_file}")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


class Both:
    """One face over Session and AsyncSession, so that both do the same tests."""

    def __init__(self, session):
        self.session = session
        self.asynchronous = isinstance(session, AsyncSession)

    async def call(self, name, *arguments):
        """Call a method of the session, awaiting it where it must be."""
        result = getattr(self.session, name)(*arguments)
        return await result if asyncio.iscoroutine(result) else result


class Transactions:
    """`Webhooks` and sessions on one database."""

    def __init__(self, make_webhooks, url, synchronous):
        self.url, self.synchronous = url, synchronous
        self.make_webhooks = lambda **options: make_webhooks(database=url, **options)

    async def run(self, scenario):
        """Run `scenario(both)` with a fresh session."""
        if self.synchronous:
            engine = sa.create_engine(self.url)
            try:
                with Session(engine) as session:
                    return await scenario(Both(session))
            finally:
                engine.dispose()
        async with self.engine() as engine, AsyncSession(engine) as session:
            return await scenario(Both(session))

    @asynccontextmanager
    async def engine(self):
        """Give an engine of the application's own, disposed of afterwards."""
        engine = create_async_engine(self.url.replace("sqlite:", "sqlite+aiosqlite:"))
        try:
            yield engine
        finally:
            await engine.dispose()

    async def rows(self, table):
        """Return how many rows a table has."""
        async with self.engine() as engine, engine.connect() as connection:
            return await connection.scalar(sa.select(sa.func.count()).select_from(table))

    async def prepare(self):
        """Make the application's own tables."""
        async with self.engine() as engine, engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)


@pytest.fixture(params=["Session", "AsyncSession", "AsyncSession on PostgreSQL"])
def transactions(request, make_webhooks, database_file):
    """Each kind of session, on the database it is for."""
    if "PostgreSQL" not in request.param:
        url = f"sqlite:///{database_file}"
        yield Transactions(make_webhooks, url, request.param == "Session")
        return
    with request.getfixturevalue("postgres").fresh() as url:
        made = Transactions(make_webhooks, url, synchronous=False)
        yield made


async def test_commit_sends_exactly_its_events(transactions, receiver):
    """Two events in a committed transaction are sent once each, after the commit."""
    await transactions.prepare()
    webhooks = transactions.make_webhooks()
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()

    async def scenario(both):
        both.session.add(Customer(name="张三"))
        await both.call("flush")
        receipts = [
            await webhooks.trigger("customer.created", {"n": n}, session=both.session)
            for n in range(2)
        ]
        assert receiver.count == 0
        assert await transactions.rows(message) == 0
        await both.call("commit")
        for receipt in receipts:
            [status] = await receipt.delivered()
            assert status.state is DeliveryState.SUCCEEDED
        assert {each.id for each in receiver.received} == {r.message_id for r in receipts}

    await transactions.run(scenario)
    assert receiver.count == 2
    assert await transactions.rows(Customer) == 1


async def test_rollback_sends_nothing(transactions, receiver):
    """What was triggered in a rolled back transaction never existed, a key included."""
    await transactions.prepare()
    webhooks = transactions.make_webhooks()
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()

    async def scenario(both):
        both.session.add(Customer(name="李四"))
        await both.call("flush")
        await webhooks.trigger("a.b", {"n": 1}, session=both.session, idempotency_key="k")
        await both.call("rollback")
        receipt = await webhooks.trigger("a.b", {"n": 2}, session=both.session, idempotency_key="k")
        assert not receipt.duplicate
        await both.call("commit")
        await receipt.delivered()

    await transactions.run(scenario)
    assert [each.json()["data"] for each in receiver.received] == [{"n": 2}]
    assert await transactions.rows(Customer) == 0
    assert await transactions.rows(message) == 1


async def test_rollback_to_a_savepoint(transactions, receiver):
    """An event inside a savepoint goes with the savepoint, the one around it stays."""
    await transactions.prepare()
    webhooks = transactions.make_webhooks()
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()

    async def scenario(both):
        kept = await webhooks.trigger("a.b", {"n": 1}, session=both.session)
        nested = both.session.begin_nested()
        nested = await nested if both.asynchronous else nested
        await webhooks.trigger("a.b", {"n": 2}, session=both.session)
        undone = nested.rollback()
        if both.asynchronous:
            await undone
        await both.call("commit")
        await kept.delivered()

    await transactions.run(scenario)
    assert [each.json()["data"] for each in receiver.received] == [{"n": 1}]


async def test_a_key_in_a_transaction(transactions, receiver):
    """The same key with the same event is a repeat, with another event an error; inside too."""
    await transactions.prepare()
    webhooks = transactions.make_webhooks()
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()
    outside = await webhooks.trigger("a.b", {"n": 1}, idempotency_key="order 1")

    async def scenario(both):
        session = both.session
        again = await webhooks.trigger("a.b", {"n": 1}, session=session, idempotency_key="order 1")
        assert (again.duplicate, again.message_id) == (True, outside.message_id)
        first = await webhooks.trigger("a.b", {"n": 2}, session=session, idempotency_key="order 2")
        second = await webhooks.trigger("a.b", {"n": 2}, session=session, idempotency_key="order 2")
        assert (first.duplicate, second.duplicate) == (False, True)
        assert first.message_id == second.message_id
        with pytest.raises(IdempotencyConflict, match="'order 2'"):
            await webhooks.trigger("a.b", {"n": 3}, session=session, idempotency_key="order 2")
        await both.call("commit")
        await first.delivered()
        afterwards = await webhooks.trigger("a.b", {"n": 2}, idempotency_key="order 2")
        assert (afterwards.duplicate, afterwards.message_id) == (True, first.message_id)

    await transactions.run(scenario)
    assert sorted(each.json()["data"]["n"] for each in receiver.received) == [1, 2]


async def test_a_key_of_a_delayed_event(transactions, receiver):
    """A key counts from its trigger for a day, however late the event is to be delivered."""
    webhooks = transactions.make_webhooks()
    await webhooks.start()
    later = datetime.now(UTC) + timedelta(days=3)

    async def scenario(both):
        options = {"session": both.session, "idempotency_key": "k", "deliver_at": later}
        first = await webhooks.trigger("a.b", {"n": 1}, **options)
        again = await webhooks.trigger("a.b", {"n": 1}, **options)
        await both.call("commit")
        assert (again.duplicate, again.message_id) == (True, first.message_id)

    await transactions.run(scenario)
    assert await transactions.rows(message) == 1


async def test_a_refused_event_leaves_the_transaction_alone(transactions, receiver):
    """An event with a bad value is refused, and the caller's own change still commits."""
    await transactions.prepare()
    webhooks = transactions.make_webhooks()
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()

    async def scenario(both):
        both.session.add(Customer(name="王五"))
        with pytest.raises(InvalidPayload):
            await webhooks.trigger("a.b", {"x": float("nan")}, session=both.session)
        await both.call("commit")

    await transactions.run(scenario)
    assert await transactions.rows(Customer) == 1
    assert await transactions.rows(message) == 0


async def test_another_database_is_refused(make_webhooks, tmp_path, database_file):
    """A session on another database is refused by name of both, and nothing is written."""
    webhooks = make_webhooks()
    await webhooks.start()
    other = sa.create_engine(f"sqlite:///{tmp_path}/other.db")
    with Session(other) as session:
        with pytest.raises(SessionMismatch) as caught:
            await webhooks.trigger("a.b", {}, session=session)
        assert str(tmp_path / "other.db") in str(caught.value)
        assert str(database_file) in str(caught.value)
        session.commit()
    other.dispose()
    memory = sa.create_engine("sqlite://")
    with Session(memory) as session, pytest.raises(SessionMismatch):
        await webhooks.trigger("a.b", {}, session=session)
    memory.dispose()
    here = Transactions(make_webhooks, f"sqlite:///{database_file}", synchronous=True)
    assert await here.rows(message) == 0


async def test_the_same_file_by_another_path(make_webhooks, receiver, database_file, tmp_path):
    """A session that reaches the same file through a link or a relative path is the same."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()
    (tmp_path / "link.db").symlink_to(database_file)
    for path in ("link.db", "hookline.db"):  # the fixture changed into tmp_path
        engine = sa.create_engine(f"sqlite:///{path}")
        with Session(engine) as session:
            receipt = await webhooks.trigger("a.b", {}, session=session)
            session.commit()
            await receipt.delivered()
        engine.dispose()
    assert receiver.count == 2


async def test_first_trigger_of_a_process_in_a_session(make_webhooks, receiver, engine):
    """Used without init, a trigger with a session starts the engine, also after a flush."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    with Session(engine) as session:
        receipt = await webhooks.trigger("a.b", {"n": 1}, session=session)
        session.commit()
        await receipt.delivered()
    assert receiver.count == 1


async def test_first_trigger_after_the_callers_own_write(
    make_webhooks, receiver, engine, monkeypatch
):
    """An engine cannot start beside the caller's own write lock: the error says what to do."""
    monkeypatch.setattr("hookline._storage.sqlite.engine.BUSY_TIMEOUT", 0.05)
    monkeypatch.setattr("hookline._storage.sqlite.lane.BUSY_TIMEOUT", 0.05)
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    with Session(engine) as session:
        session.add(Customer(name="赵六"))
        session.flush()
        with pytest.raises(StorageError, match=r"locked.*webhooks\.init\(\)"):
            await webhooks.trigger("a.b", {"n": 1}, session=session)
        session.commit()
        receipt = await webhooks.trigger("a.b", {"n": 2}, session=session)
        session.commit()
        await receipt.delivered()
    assert [each.json()["data"] for each in receiver.received] == [{"n": 2}]


async def test_registered_inside_the_callers_transaction(make_webhooks, receiver, engine):
    """An endpoint declared while a transaction is open gets the event of that transaction."""
    webhooks = make_webhooks()
    await webhooks.start()
    with Session(engine) as session:
        session.add(Customer(name="孙七"))
        session.flush()
        webhooks.register(receiver.url, ["*"])
        receipt = await webhooks.trigger("a.b", {"n": 1}, session=session)
        session.commit()
        statuses = await receipt.delivered()
    assert [s.url for s in statuses] == [receiver.url]


async def test_many_triggers_listen_once(make_webhooks, engine):
    """A session that triggers a hundred events calls back once per commit, not a hundred times."""
    webhooks = make_webhooks()
    await webhooks.start()
    with Session(engine) as session:
        for n in range(100):
            await webhooks.trigger("a.b", {"n": n}, session=session)
        assert len(list(session.dispatch.after_commit)) == 1
        session.commit()


async def test_a_session_without_waiting_for_the_poll(make_webhooks, receiver, engine):
    """The commit itself wakes the worker: no need to wait for the next look."""
    webhooks = make_webhooks(poll_interval=60)
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()
    with Session(engine) as session:
        receipt = await webhooks.trigger("a.b", {}, session=session)
        session.commit()
        await receipt.delivered(timeout=5)
    assert receiver.count == 1
