"""`WebhookOutbox`: what an application published, asserted and delivered without a network."""

import asyncio
import sqlite3
import warnings
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from enum import StrEnum

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import StaticPool

from hookline import DeliveryState, Event, Webhooks
from hookline.errors import (
    ApplicationNotFound,
    IdempotencyConflict,
    InvalidPayload,
    SessionMismatch,
    UnknownEventType,
)
from hookline.testing import Answer, Receiver, WebhookOutbox

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # httpx serves it as well as what it would rather have
    from fastapi.testclient import TestClient

URL = "https://shop.example/hooks"
SECRET = "your-secret-key"
SCHEDULE = [0, 5, 300, 1800]


class Events(StrEnum):
    """A catalogue."""

    CREATED = "customer.created"
    UPDATED = "customer.updated"


@pytest.fixture
def webhooks(tmp_path):
    """An application's `Webhooks`, on a database that must not come to be."""
    file = tmp_path / "application.db"
    webhooks = Webhooks(
        events=Events, database=f"sqlite:///{file}", retry_schedule=SCHEDULE, development=True
    )
    yield webhooks
    webhooks.close()
    assert not file.exists(), "the outbox let the application's own database be opened"


@pytest.fixture
def outbox(webhooks):
    with WebhookOutbox() as outbox:
        yield outbox


def publish(webhooks, *arguments, **options):
    """Publish as a script does."""
    return asyncio.run(webhooks.trigger(*arguments, **options))


def failure(assertion, *arguments, **lookups):
    """Return what an assertion says that must fail."""
    with pytest.raises(AssertionError) as raised:
        assertion(*arguments, **lookups)
    return str(raised.value)


# asserting ---------------------------------------------------------------------------------------


def test_what_was_published_is_there(webhooks, outbox):
    """A message has everything it was published with."""
    receipt = publish(
        webhooks,
        Events.CREATED,
        {"name": "张三"},
        {"source": "api"},
        tags=["import"],
        channels=["eu"],
        event_id="evt-1",
    )
    sent = outbox.assert_sent("customer.created", data__name="张三", times=1)
    assert sent == outbox.last
    assert (sent.id, sent.event, sent.data) == (
        receipt.message_id,
        "customer.created",
        {"name": "张三"},
    )
    assert (sent.metadata, sent.tags, sent.channels) == ({"source": "api"}, ("import",), ("eu",))
    assert (sent.event_id, sent.application) == ("evt-1", "default")
    assert sent.payload["data"] == sent.data
    assert sent.created_at.timestamp() * 1000 == outbox.clock.now()
    outbox.assert_not_sent(Events.UPDATED)


def test_failures_show_the_nearest_and_the_difference(webhooks, outbox):
    """An assertion that fails says what was sent, and what is different about the nearest."""
    publish(webhooks, Events.UPDATED, {"name": "张三"})
    publish(webhooks, Events.CREATED, {"name": "李四", "age": 41})
    said = failure(outbox.assert_sent, Events.CREATED, data__name="张三", data__age__gt=50)
    assert said == (
        "customer.created with data__name='张三', data__age__gt=50 was sent 0 times, "
        "expected at least once\n"
        'Nearest: customer.created {"name": "李四", "age": 41}\n'
        "  data__name: expected '张三', found '李四'\n"
        "  data__age: expected gt 50, found 41\n"
        "Sent (2):\n"
        '  1. customer.updated {"name": "张三"}\n'
        '  2. customer.created {"name": "李四", "age": 41}'
    )
    said = failure(outbox.assert_sent, Events.CREATED, data__phone="1")
    assert "  data__phone: expected '1', found nothing there" in said
    said = failure(outbox.assert_sent, Events.CREATED, times=2)
    assert said.startswith("customer.created was sent once, expected twice\nSent (2):")
    said = failure(outbox.assert_not_sent, Events.CREATED, data__name="李四")
    assert said.startswith("customer.created with data__name='李四' was sent once, expected not")
    assert failure(outbox.assert_nothing_sent).startswith("expected no webhook\nSent (2):")


def test_another_event_can_be_the_nearest(webhooks, outbox):
    """The data may be right and the event wrong."""
    publish(webhooks, Events.UPDATED, {"name": "张三"})
    said = failure(outbox.assert_sent, Events.CREATED, data__name="张三")
    assert "  event: expected 'customer.created', found 'customer.updated'" in said


def test_long_lists_and_messages_are_cut(webhooks, outbox):
    """A failure stays readable, however much was sent."""

    async def many():
        await webhooks.trigger_many(
            [Event("customer.updated", {"n": i, "text": "x" * 1000}) for i in range(30)]
        )

    asyncio.run(many())
    lines = failure(outbox.assert_sent, Events.CREATED).splitlines()
    assert lines[-1].startswith('  30. customer.updated {"n": 29,')
    assert "  …" in lines
    assert len(lines) < 30
    assert max(map(len, lines)) < 320


def test_nothing_was_sent(webhooks, outbox):
    """An empty outbox says so."""
    outbox.assert_nothing_sent()
    outbox.assert_not_sent(Events.CREATED)
    assert outbox.messages == []
    assert failure(outbox.assert_sent, Events.CREATED).endswith("Nothing was sent.")
    with pytest.raises(AssertionError, match="no webhook was sent"):
        _ = outbox.last


def test_mistakes_in_assertions_are_errors(webhooks):
    """An event that no catalogue has would never be sent; a lookup without a root never hold."""
    with WebhookOutbox(webhooks) as outbox:  # no other's, which may take any event
        _mistakes(outbox)


def _mistakes(outbox):
    with pytest.raises(UnknownEventType, match=r"customer\.created"):
        outbox.assert_not_sent("customer.craeted")
    with pytest.raises(TypeError, match="name: a message has no 'name'"):
        outbox.assert_not_sent(Events.CREATED, name="张三")
    with pytest.raises(ValueError, match="use assert_not_sent"):
        outbox.assert_sent(Events.CREATED, times=0)
    with pytest.raises(RuntimeError, match="not open"):
        WebhookOutbox().assert_nothing_sent()


def test_what_cannot_be_published_is_refused_as_ever(webhooks, outbox):
    """The checks are the real ones."""
    with pytest.raises(InvalidPayload):
        publish(webhooks, Events.CREATED, {"x": float("nan")})
    with pytest.raises(UnknownEventType):
        publish(webhooks, "customer.gone", {})
    outbox.assert_nothing_sent()


def test_a_repeat_is_no_message(webhooks, outbox):
    """Idempotency keys work, and conflict, as in the application."""
    first = publish(webhooks, Events.CREATED, {"n": 1}, idempotency_key="k")
    again = publish(webhooks, Events.CREATED, {"n": 1}, idempotency_key="k")
    assert again.message_id == first.message_id
    with pytest.raises(IdempotencyConflict):
        publish(webhooks, Events.CREATED, {"n": 2}, idempotency_key="k")
    outbox.assert_sent(Events.CREATED, times=1)


def test_clear_forgets(webhooks, outbox):
    """What was published before `clear` does not count any more."""
    publish(webhooks, Events.CREATED, {"n": 1})
    outbox.clear()
    outbox.assert_nothing_sent()
    publish(webhooks, Events.CREATED, {"n": 2})
    outbox.assert_sent(Events.CREATED, times=1, data__n=2)


def test_applications_are_told_apart(webhooks, outbox):
    """Messages of all applications are there, each with whose it is."""

    async def publish():
        await webhooks.applications.create("Acme", uid="acme")
        acme = await webhooks.for_application("acme")
        await acme.trigger(Events.CREATED, {"n": 1})
        await webhooks.trigger(Events.CREATED, {"n": 2})
        await acme.publish(Events.CREATED, b'{"raw": true}')

    asyncio.run(publish())
    assert outbox.assert_sent(Events.CREATED, application="acme", data__n=1, times=1)
    assert outbox.assert_sent(Events.CREATED, application="acme", data__raw=True, times=1)
    assert outbox.assert_sent(Events.CREATED, application="default", times=1).data == {"n": 2}
    assert "application='acme'" in failure(outbox.assert_nothing_sent)


# transactions ------------------------------------------------------------------------------------


@pytest.fixture
def sessions():
    """The application's sessions, on a database in memory that Hookline could not even use."""
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    yield sessionmaker(engine)
    engine.dispose()


def test_what_was_committed_counts(webhooks, outbox, sessions):
    """Before the commit it is not there, and an assertion says where it is."""
    with sessions() as session:
        publish(webhooks, Events.CREATED, {"n": 1}, session=session)
        outbox.assert_nothing_sent()
        said = failure(outbox.assert_sent, Events.CREATED)
        assert "; 1 in a transaction that is not committed (customer.created)" in said
        session.commit()
        outbox.assert_sent(Events.CREATED, times=1)
        publish(webhooks, Events.UPDATED, {"n": 2}, session=session)
        session.commit()
    outbox.assert_sent(Events.UPDATED, times=1)


@pytest.mark.parametrize("how", ["rollback", "close"])
def test_what_was_rolled_back_does_not(webhooks, outbox, sessions, how):
    """Rolled back, or closed without a commit, it is gone; an assertion says so."""
    with sessions() as session:
        publish(webhooks, Events.CREATED, {"n": 1}, session=session)
        getattr(session, how)()
        assert "; 1 rolled back (customer.created)" in failure(outbox.assert_sent, Events.CREATED)
        publish(webhooks, Events.UPDATED, {"n": 2}, session=session)
        session.commit()
    outbox.assert_not_sent(Events.CREATED)
    outbox.assert_sent(Events.UPDATED, times=1)


def test_savepoints(webhooks, outbox, sessions):
    """What a savepoint rolls back is gone, what it releases waits for the commit around it."""
    with sessions() as session:
        publish(webhooks, Events.CREATED, {"n": "outer"}, session=session)
        inner = session.begin_nested()
        publish(webhooks, Events.CREATED, {"n": "undone"}, session=session)
        inner.rollback()
        with session.begin_nested():
            publish(webhooks, Events.CREATED, {"n": "kept"}, session=session)
            with session.begin_nested():
                publish(webhooks, Events.CREATED, {"n": "deeper"}, session=session)
        outbox.assert_nothing_sent()
        session.commit()
    assert [m.data["n"] for m in outbox.messages] == ["outer", "kept", "deeper"]
    with sessions() as session:
        with session.begin_nested():
            publish(webhooks, Events.UPDATED, {"n": "released"}, session=session)
        session.rollback()
    outbox.assert_not_sent(Events.UPDATED)


def test_a_session_inside_a_transaction_of_the_test(webhooks, outbox, sessions):
    """Where the test rolls everything back in the end, what the application commits counts."""
    with sessions.kw["bind"].connect() as connection:
        around = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            publish(webhooks, Events.CREATED, {"n": 1}, session=session)
            session.commit()
            publish(webhooks, Events.CREATED, {"n": 2}, session=session)
        around.rollback()
    outbox.assert_sent(Events.CREATED, times=1, data__n=1)


def test_scoped_sessions(webhooks, outbox, sessions):
    """A scoped session is the session it stands for."""
    scoped = scoped_session(sessions)
    publish(webhooks, Events.CREATED, {}, session=scoped)
    outbox.assert_nothing_sent()
    scoped.commit()
    scoped.remove()
    outbox.assert_sent(Events.CREATED, times=1)


async def test_asynchronous_sessions(webhooks, outbox):
    """An AsyncSession counts by its commit, also for several events in one."""
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    async with AsyncSession(engine) as session:
        await webhooks.trigger_many([(Events.CREATED, {}), (Events.UPDATED, {})], session=session)
        outbox.assert_nothing_sent()
        await session.commit()
        await webhooks.trigger(Events.CREATED, {}, session=session)
        await session.rollback()
    await engine.dispose()
    assert [m.event for m in outbox.messages] == ["customer.created", "customer.updated"]


async def test_idempotency_inside_a_transaction(webhooks, outbox, sessions):
    """Two in one transaction under a key are one; something else under it is a conflict."""
    with sessions() as session:
        options = {"session": session, "idempotency_key": "k"}
        first = await webhooks.trigger(Events.CREATED, {"n": 1}, **options)
        again = await webhooks.trigger(Events.CREATED, {"n": 1}, **options)
        assert again.message_id == first.message_id
        with pytest.raises(IdempotencyConflict):
            await webhooks.trigger(Events.CREATED, {"n": 2}, **options)
        session.commit()
    outbox.assert_sent(Events.CREATED, times=1)


class DjangoConnection:
    """What Django's connections have for this: callbacks for after the commit."""

    def __init__(self):
        self.callbacks = []

    def on_commit(self, callback):
        self.callbacks.append(callback)


async def test_on_commit_callbacks(webhooks, outbox):
    """Where a connection calls back after its commit, as Django's do, that is when it counts."""
    connection = DjangoConnection()
    await webhooks.trigger(Events.CREATED, {}, session=connection)
    outbox.assert_nothing_sent()
    [commit] = connection.callbacks
    await asyncio.to_thread(commit)
    outbox.assert_sent(Events.CREATED, times=1)


def test_published_without_an_engine(webhooks, outbox):
    """`enclose`, which is Django's `trigger`, is heard too, for the application it names."""
    webhooks.sync.applications.create("Acme", uid="acme")
    connection = DjangoConnection()
    events = [(Events.CREATED, {"n": 1})]
    webhooks.enclose(connection, events, application="acme")
    outbox.assert_nothing_sent()
    connection.callbacks[0]()
    outbox.assert_sent(Events.CREATED, application="acme", times=1)
    with pytest.raises(ApplicationNotFound):
        webhooks.enclose(connection, events, application="nobody")


async def test_a_connection_that_does_not_tell(webhooks, outbox):
    """Where nobody tells of the commit, nothing is counted on a guess."""
    with (
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(SessionMismatch, match="does not tell when it commits"),
    ):
        await webhooks.trigger(Events.CREATED, {}, connection=connection)
    outbox.assert_nothing_sent()


# delivering --------------------------------------------------------------------------------------


def test_nothing_is_delivered_by_itself(webhooks, outbox):
    """Publishing sends nothing; `drain` does, signed and verified, without a network."""
    webhooks.register(URL, ["customer.*"], secret=SECRET)
    shop = outbox.receive(URL, secret=SECRET)
    receipt = publish(webhooks, Events.CREATED, {"name": "张三"})
    assert shop.received == []
    outbox.drain()
    [received] = shop.received
    assert (received.id, received.attempt, received.verified) == (receipt.message_id, 1, True)
    assert received.json()["data"] == {"name": "张三"}
    [status] = asyncio.run(receipt.delivered(timeout=5))
    assert status.state is DeliveryState.SUCCEEDED
    outbox.drain()
    assert shop.count == 1


def test_hours_of_retries(webhooks, outbox):
    """`advance` lets time pass: each retry is made at its time, and no later one."""
    webhooks.register(URL, ["*"], secret=SECRET)
    shop = outbox.receive(URL, 503, secret=SECRET)
    began = outbox.clock.now()
    publish(webhooks, Events.CREATED, {})
    outbox.advance(60)
    assert [r.attempt for r in shop.received] == [1, 2]
    outbox.advance(timedelta(hours=1))
    assert [r.attempt for r in shop.received] == [1, 2, 3, 4]
    assert outbox.clock.now() == began + 3_660_000
    waits = [r.arrived_at.timestamp() - began / 1000 for r in shop.received]
    assert waits == pytest.approx([0, 5, 305, 2105], rel=0.3)
    assert all(r.verified for r in shop.received)
    with pytest.raises(ValueError, match="past"):
        outbox.advance(-1)


def test_a_receiver_that_recovers(webhooks, outbox):
    """Answers are given in turn: 503, a dropped connection, a time-out, then success."""
    webhooks.register(URL, ["*"], secret=SECRET)
    shop = outbox.receive(URL).answer(503, times=1).answer(drop=True, times=1)
    shop.answer(200, delay=3600, times=1)
    receipt = publish(webhooks, Events.CREATED, {})
    outbox.advance(3600)
    [status] = asyncio.run(receipt.delivered(timeout=5))
    assert status.state is DeliveryState.SUCCEEDED
    found = asyncio.run(webhooks.attempts(receipt.message_id))
    assert [a.failure for a in found] == ["status", "reset", "timeout", None]


def test_nobody_outside_is_called(webhooks, outbox):
    """A URL that no receiver stands for fails, and says what to do."""
    webhooks.register(URL, ["*"], secret=SECRET)
    receipt = publish(webhooks, Events.CREATED, {})
    outbox.drain()
    [attempt] = asyncio.run(webhooks.attempts(receipt.message_id))
    assert attempt.failure == "other"
    assert f"webhook_outbox.receive('{URL}')" in attempt.detail


def test_a_real_receiver(webhooks, outbox):
    """What is on this machine's loopback is really called."""
    with Receiver(SECRET, clock=outbox.clock) as receiver:
        webhooks.register(receiver.url, ["*"], secret=SECRET)
        publish(webhooks, Events.CREATED, {})
        outbox.drain()
        [received] = receiver.received
    assert received.verified


async def test_inline(webhooks, outbox):
    """Inline, `trigger` returns when the receivers have answered."""
    webhooks.register(URL, ["*"], secret=SECRET)
    shop = outbox.inline().receive(URL, secret=SECRET)
    await webhooks.trigger(Events.CREATED, {})
    assert shop.count == 1
    await webhooks.trigger_many([(Events.CREATED, {}), (Events.UPDATED, {})])
    assert shop.count == 3
    await asyncio.gather(*(webhooks.trigger(Events.UPDATED, {"n": n}) for n in range(20)))
    assert shop.count == 23
    outbox.inline(on=False)
    await webhooks.trigger(Events.CREATED, {})
    assert shop.count == 23


def test_inline_inside_a_transaction(webhooks, outbox, sessions):
    """With `session=` the commit is when it is delivered."""
    webhooks.register(URL, ["*"], secret=SECRET)
    shop = outbox.inline().receive(URL, secret=SECRET)
    with sessions() as session:
        publish(webhooks, Events.CREATED, {}, session=session)
        assert shop.count == 0
        session.commit()
        assert shop.count == 1


def test_a_receiver_that_publishes(webhooks, outbox):
    """What a receiver publishes while it answers is delivered by the same drain."""
    webhooks.register(URL, ["customer.created"], secret=SECRET)
    webhooks.register(URL + "/2", ["customer.updated"], secret=SECRET)

    async def answer(received):
        await webhooks.trigger(Events.UPDATED, received.json()["data"])
        return Answer(202)

    outbox.inline().receive(URL, answer, secret=SECRET)
    second = outbox.receive(URL + "/2", lambda _: 204, secret=SECRET)
    publish(webhooks, Events.CREATED, {"n": 7})
    [received] = second.received
    assert received.json()["data"] == {"n": 7}


def test_what_a_receiver_raises_is_raised_in_the_test(webhooks, outbox):
    """A failing assertion inside a receiver fails the test that drains."""
    webhooks.register(URL, ["*"], secret=SECRET)

    def broken(_received):
        raise KeyError("in the receiver")

    outbox.receive(URL, broken)
    publish(webhooks, Events.CREATED, {})
    with pytest.raises(KeyError, match="in the receiver"):
        outbox.drain()


def test_a_replay_is_drained(webhooks, outbox):
    """What a replay makes due is delivered, and the replay is done."""
    webhooks.register(URL, ["*"], secret=SECRET)
    shop = outbox.receive(URL, secret=SECRET).answer(410, times=1)
    publish(webhooks, Events.CREATED, {})
    outbox.drain()

    async def again():
        [endpoint] = await webhooks.endpoints()
        await webhooks.enable(endpoint)

    asyncio.run(again())
    outbox.drain()
    assert [r.attempt for r in shop.received] == [1, 2]


def test_limits_hold_by_the_clock(webhooks, outbox):
    """What a rate limit holds back is sent as the clock goes on, and drain does not wait for it."""
    webhooks.register(URL, ["*"], secret=SECRET, rate_limit=1)
    shop = outbox.receive(URL, secret=SECRET)

    async def many():
        await webhooks.trigger_many([("customer.created", {"n": n}) for n in range(5)])

    asyncio.run(many())
    outbox.drain()
    sent = shop.count
    assert 0 < sent < 5
    outbox.advance(600)
    assert shop.count == 5


async def test_in_a_coroutine(webhooks, outbox):
    """`drained` and `advanced` leave the loop free, for receivers that run on it."""
    loop = asyncio.get_running_loop()
    webhooks.register(URL, ["*"], secret=SECRET)

    async def status():
        return 503

    outbox.receive(URL, lambda _: asyncio.run_coroutine_threadsafe(status(), loop).result(5))
    await webhooks.trigger(Events.CREATED, {})
    await outbox.drained()
    await outbox.advanced(10)
    assert [m.event for m in outbox.messages] == ["customer.created"]


# around it ---------------------------------------------------------------------------------------


def test_an_engine_that_runs_goes_on_afterwards(make_webhooks, receiver):
    """What ran before is not touched: its database has nothing of the test, and its engine runs."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"], secret=SECRET)

    async def go():
        await webhooks.start()
        with WebhookOutbox() as outbox:
            await webhooks.trigger("customer.created", {"n": 1})
            outbox.assert_sent("customer.created", times=1)
            shop = outbox.receive("https://other.example/", secret=SECRET)
            webhooks.register(shop.url, ["*"], secret=SECRET)
            await outbox.drained()
            assert receiver.count == shop.count == 1  # declared before, and meanwhile
        receipt = await webhooks.trigger("customer.created", {"n": 2})
        await receipt.delivered(timeout=10)
        assert [m.body for m in (await webhooks.messages()).items if b'"n":1' in m.body] == []
        assert [e.url for e in await webhooks.endpoints()] == [receiver.url]

    asyncio.run(go())
    assert [r.json()["data"]["n"] for r in receiver.received] == [1, 2]


async def test_an_engine_set_aside_takes_nothing(make_webhooks, receiver):
    """What is declared during a test does not get into the database of the engine behind it."""
    webhooks = make_webhooks()
    await webhooks.start()
    real, home = webhooks._runtime.engine, webhooks._runtime._home
    with WebhookOutbox():
        webhooks.register(receiver.url, ["*"], secret=SECRET)
        await asyncio.wrap_future(home.run(real.worker._before_routing()))  # as at every poll
        await webhooks.trigger("customer.created", {})
        assert [e.url for e in await webhooks.endpoints()] == [receiver.url]
    assert await webhooks.endpoints() == []


def test_webhooks_that_are_made_meanwhile(tmp_path):
    """An application that is made or imported during the test is caught too."""
    with WebhookOutbox() as outbox:
        webhooks = Webhooks(database=f"sqlite:///{tmp_path}/late.db")
        webhooks.register(URL, ["*"], secret=SECRET)
        publish(webhooks, "order.paid", {})
        outbox.assert_sent("order.paid", times=1)
    assert not (tmp_path / "late.db").exists()
    with WebhookOutbox() as outbox:  # what it declared as it was made is declared again
        outbox.assert_nothing_sent()
        shop = outbox.receive(URL, secret=SECRET)
        publish(webhooks, "order.paid", {})
        outbox.drain()
        assert shop.count == 1


def test_only_those_that_are_given(make_webhooks, webhooks, receiver):
    """Others go on as ever."""
    other = make_webhooks()
    other.register(receiver.url, ["*"], secret=SECRET)
    with WebhookOutbox(webhooks) as outbox:
        publish(webhooks, Events.CREATED, {})
        publish(other, "order.paid", {})
        receiver.wait_for(1)
        assert [m.event for m in outbox.messages] == ["customer.created"]


def test_under_fastapi(webhooks, outbox, tmp_path, monkeypatch):
    """Under TestClient, with the application's life cycle, during it and after it."""
    monkeypatch.chdir(tmp_path)

    @asynccontextmanager
    async def lifespan(_app):
        webhooks.init()
        yield
        await webhooks.stop()

    app = FastAPI(lifespan=lifespan)

    @app.post("/customers")
    async def create(name: str):
        await webhooks.trigger(Events.CREATED, {"name": name})

    with TestClient(app) as client:
        client.post("/customers", params={"name": "张三"})
        outbox.assert_sent(Events.CREATED, data__name="张三", times=1)
    outbox.assert_sent(Events.CREATED, times=1)
    with TestClient(app) as client:
        client.post("/customers", params={"name": "李四"})
    outbox.assert_sent(Events.CREATED, times=2)


def test_an_outbox_can_be_opened_and_closed_twice(webhooks):
    """Starting and closing again do nothing."""
    outbox = WebhookOutbox()
    outbox.start().start()
    publish(webhooks, Events.CREATED, {})
    outbox.close()
    outbox.close()
    with outbox:
        outbox.assert_nothing_sent()
