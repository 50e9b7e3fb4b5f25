"""Events inside the caller's own transaction: they live and die with it."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from hookline import DeliveryState
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


@pytest.fixture(params=["Session", "AsyncSession"])
def on_session(request, engine, database_file):
    """Return a runner of `scenario(both)` with a fresh session of each kind."""

    async def run(scenario):
        if request.param == "Session":
            with Session(engine) as session:
                return await scenario(Both(session))
        other = create_async_engine(f"sqlite+aiosqlite:///{database_file}")
        try:
            async with AsyncSession(other) as session:
                return await scenario(Both(session))
        finally:
            await other.dispose()

    return run


def rows(path, table):
    """Return how many rows a table of the file has."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608


async def test_commit_sends_exactly_its_events(make_webhooks, receiver, on_session, database_file):
    """Two events in a committed transaction are sent once each, after the commit."""
    webhooks = make_webhooks()
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
        assert rows(database_file, "hookline_message") == 0
        await both.call("commit")
        for receipt in receipts:
            [status] = await receipt.delivered()
            assert status.state is DeliveryState.SUCCEEDED
        assert {each.id for each in receiver.received} == {r.message_id for r in receipts}

    await on_session(scenario)
    assert receiver.count == 2
    assert rows(database_file, "customer") == 1


async def test_rollback_sends_nothing(make_webhooks, receiver, on_session, database_file):
    """What was triggered in a rolled back transaction never existed, a key included."""
    webhooks = make_webhooks()
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

    await on_session(scenario)
    assert [each.json()["data"] for each in receiver.received] == [{"n": 2}]
    assert rows(database_file, "customer") == 0
    assert rows(database_file, "hookline_message") == 1


async def test_rollback_to_a_savepoint(make_webhooks, receiver, on_session):
    """An event inside a savepoint goes with the savepoint, the one around it stays."""
    webhooks = make_webhooks()
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

    await on_session(scenario)
    assert [each.json()["data"] for each in receiver.received] == [{"n": 1}]


async def test_a_key_in_a_transaction(make_webhooks, receiver, on_session):
    """The same key with the same event is a repeat, with another event an error; inside too."""
    webhooks = make_webhooks()
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

    await on_session(scenario)
    assert sorted(each.json()["data"]["n"] for each in receiver.received) == [1, 2]


async def test_a_refused_event_leaves_the_transaction_alone(
    make_webhooks, receiver, on_session, database_file
):
    """An event with a bad value is refused, and the caller's own change still commits."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()

    async def scenario(both):
        both.session.add(Customer(name="王五"))
        with pytest.raises(InvalidPayload):
            await webhooks.trigger("a.b", {"x": float("nan")}, session=both.session)
        await both.call("commit")

    await on_session(scenario)
    assert rows(database_file, "customer") == 1
    assert rows(database_file, "hookline_message") == 0


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
    assert rows(database_file, "hookline_message") == 0


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
