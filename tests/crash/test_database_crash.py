"""PostgreSQL ends at once and comes back, or cuts connections: the workers go on by themselves."""

import asyncio
import threading
import time
from collections import Counter

import pytest
from tests.crash.support import PATIENCE, Look, each_once, until
from tools.databases import PostgresDatabases
from tools.postgres import Server

from hookline import Event
from hookline._storage.postgresql.connections import ConnectionLost
from hookline.errors import StorageError
from hookline.testing import Receiver


@pytest.fixture(scope="module")
def cluster():
    """A PostgreSQL that syncs what it commits, for these tests alone: they crash it."""
    server = Server(fsync="on").start()
    yield server, PostgresDatabases(server.url())
    server.stop()


@pytest.fixture
def server(cluster):
    """The server, running.

    Launched by the main thread only: it ends with the thread that launched it.
    """
    server, _ = cluster
    yield server
    server.kill()  # whatever state the test left it in
    server.launch()


@pytest.fixture
def crash_url(cluster, server):
    """The URL of a migrated database of the server."""
    _, databases = cluster
    with databases.fresh() as url:
        yield url


class Publishing:
    """Triggers without a pause and notes what came of it: receipts, or errors of ours."""

    def __init__(self, webhooks):
        self._webhooks = webhooks
        self.published = []
        self.errors = []
        self._tasks = []

    async def __aenter__(self):
        self._tasks = [asyncio.create_task(self._publish()) for _ in range(5)]
        return self

    async def __aexit__(self, *_):
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            assert isinstance(result, asyncio.CancelledError), result

    async def _publish(self):
        while True:
            # Shielded: what is committed although its caller went away would confuse the count.
            trigger = asyncio.ensure_future(self._webhooks.trigger("a.b", {}))
            try:
                self.published.append((await asyncio.shield(trigger)).message_id)
            except StorageError as error:
                self.errors.append(error)
            except asyncio.CancelledError:
                self.published.append((await trigger).message_id)
                raise

    async def until(self, condition):
        """Wait for something of what is noted."""
        await until(lambda: condition(self), "more to be published")


async def test_the_database_crashes_in_the_middle(server, crash_url, make_webhooks):
    """Whatever was committed before, during and after a crash of the database is delivered.

    Meanwhile a trigger succeeds late or raises StorageError; afterwards all goes on by itself.
    """
    webhooks, look = make_webhooks(database=crash_url, lease=1, poll_interval=0.1), Look(crash_url)
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        async with Publishing(webhooks) as publishing:
            await publishing.until(lambda p: len(p.published) > 300)
            server.kill()
            await publishing.until(lambda p: len(p.errors) > 3)
            before = len(publishing.published)
            server.launch()
            await publishing.until(lambda p: len(p.published) > before + 300)
        await look.all_done()
        arrived, published = {r.id for r in receiver.received}, set(publishing.published)
        assert published <= arrived
        # Some may have been committed whose answer never came: their callers were told of an error.
        assert len(arrived - published) <= len(publishing.errors)
        assert await look.log() == each_once(arrived)


async def test_settled_durably_is_not_sent_again(server, crash_url, make_webhooks, told):
    """With `settle_durable`, what was settled before a crash of the database stays so."""
    options = {"settle_durable": True, "lease": 1, "poll_interval": 0.1}
    webhooks, look = make_webhooks(database=crash_url, **options), Look(crash_url)
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        receipts = await webhooks.trigger_many([("a.b", {"n": n}) for n in range(1000)])
        await told.wait("sent successfully", 200)
        server.kill()
        settled = [r.message_id for r in list(told.records) if "successfully" in r.getMessage()]
        assert len(settled) < 1000
        server.launch()
        await look.all_done()
        arrived = Counter(r.id for r in receiver.received)
        assert set(arrived) == {receipt.message_id for receipt in receipts}
        assert {arrived[message] for message in settled} == {1}
        assert await look.log() == each_once(arrived)


async def test_answers_that_come_while_the_database_is_away(server, crash_url, make_webhooks, told):
    """What was in the air when the database went is settled when it is back, not sent again."""
    webhooks = make_webhooks(database=crash_url, settle_durable=True)
    answer = threading.Event()
    with Receiver() as receiver:
        receiver.answer(lambda _: 200 if answer.wait(PATIENCE) else 500)
        webhooks.register(receiver.url, ["*"])
        receipts = await webhooks.trigger_many([("a.b", {"n": n}) for n in range(20)])
        await receiver.arrived(20)
        server.kill()
        answer.set()
        await told.wait("Trouble while settling")
        server.launch()
        for receipt in receipts:
            await receipt.delivered(PATIENCE)
        assert len(receiver.received) == 20
        assert await Look(crash_url).log() == each_once(r.message_id for r in receipts)


async def test_answers_that_could_not_be_written_for_long(
    server, crash_url, make_webhooks, told, monkeypatch
):
    """After an outage that outlasts its patience, a worker sends again what it could not settle."""
    monkeypatch.setattr("hookline._engine.worker.BACKOFF", (10, 20))
    webhooks, answer = make_webhooks(database=crash_url, lease=1), threading.Event()
    with Receiver() as receiver:
        receiver.answer(lambda _: 200 if answer.wait(PATIENCE) else 500)
        webhooks.register(receiver.url, ["*"])
        receipt = await webhooks.trigger("a.b", {})
        await receiver.arrived(1)
        server.kill()
        answer.set()
        await told.wait("lost")
        server.launch()
        await receipt.delivered(PATIENCE)
        assert [r.id for r in receiver.received] == [receipt.message_id] * 2
        assert await Look(crash_url).log() == each_once([receipt.message_id])


async def test_what_is_asked_while_the_database_is_away(server, crash_url, make_webhooks):
    """While the database is away everything raises StorageError, and works again afterwards."""
    webhooks = make_webhooks(database=crash_url, deliver=False)
    with Receiver() as receiver:
        endpoint = webhooks.register(receiver.url, ["*"])
        receipt = await webhooks.trigger("a.b", {})
        questions = {
            "trigger": lambda: webhooks.trigger("a.b", {}),
            "trigger_many": lambda: webhooks.trigger_many([("a.b", {})]),
            "attempts": lambda: webhooks.attempts(receipt.message_id),
            "endpoints": webhooks.endpoints,
            "disable": lambda: webhooks.disable(endpoint, "a test"),
            "enable": lambda: webhooks.enable(endpoint),
            "rotate_secret": lambda: webhooks.rotate_secret(endpoint),
            "resend": lambda: webhooks.resend(receipt.message_id, endpoint),
            "cancel": lambda: webhooks.cancel(receipt.message_id),
            "erase": lambda: webhooks.erase(receipt.message_id),
            "delivered": lambda: receipt.delivered(1),
        }
        server.kill()
        answers = await asyncio.gather(*(q() for q in questions.values()), return_exceptions=True)
        wrong = {
            name: answer
            for name, answer in zip(questions, answers, strict=True)
            if not isinstance(answer, StorageError)
        }
        assert wrong == {}
        server.launch()
        assert [e.url for e in await webhooks.endpoints()] == [receiver.url]
        await webhooks.trigger("a.b", {})


async def test_a_start_while_the_database_is_away(server, crash_url, make_webhooks):
    """A start without a database raises StorageError and leaves nothing; a later one works."""
    webhooks = make_webhooks(database=crash_url)
    server.kill()
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        for begin in (webhooks.start, lambda: webhooks.trigger("a.b", {})):
            with pytest.raises(StorageError):
                await begin()
        assert [t.name for t in threading.enumerate() if t.name.startswith("hookline")] == []
        server.launch()
        await (await webhooks.trigger("a.b", {})).delivered(5)


async def test_a_stop_while_the_database_is_away(server, crash_url, make_webhooks):
    """A worker stops soon also when it cannot write any more; what it held is sent by the next."""
    webhooks, answer = make_webhooks(database=crash_url, lease=1, stop_timeout=1), threading.Event()
    with Receiver() as receiver:
        receiver.answer(lambda _: 200 if answer.wait(PATIENCE) else 500)
        webhooks.register(receiver.url, ["*"], concurrency=5)
        receipts = await webhooks.trigger_many([("a.b", {"n": n}) for n in range(20)])
        await receiver.arrived(5)
        server.kill()
        began = time.monotonic()
        await webhooks.stop()
        assert time.monotonic() - began < 5
        answer.set()
        server.launch()
        await make_webhooks(database=crash_url, poll_interval=0.1).start()
        look = Look(crash_url)
        await look.all_done()
        assert await look.log() == each_once(r.message_id for r in receipts)


CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


async def test_connections_cut_again_and_again(postgres_url, make_webhooks):
    """An administrator who ends all connections, five times over, costs nothing but errors.

    Each message arrives, those that were settled once only, and the log has every one.
    """
    webhooks = make_webhooks(database=postgres_url, lease=1, poll_interval=0.1)
    look, settled = Look(postgres_url), []
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        async with Publishing(webhooks) as publishing:
            for n in range(1, 6):
                await publishing.until(lambda p, n=n: len(p.published) > 100 * n)
                await look.rows(CUT)
                settled.append((await look.log(), receiver.count))
        await look.all_done()
        arrived = Counter(r.id for r in receiver.received)
        assert set(publishing.published) <= set(arrived)
        assert len(set(arrived) - set(publishing.published)) <= len(publishing.errors)
        assert await look.log() == each_once(arrived)
        for log, count in settled:
            assert {r.id for r in receiver.received[count:]}.isdisjoint(log)


async def test_the_listening_connection_is_cut(postgres_url, make_webhooks):
    """When its LISTEN connection is ended a worker makes a new one: it is still told of events."""
    webhooks, look = make_webhooks(database=postgres_url, poll_interval=60), Look(postgres_url)
    publisher = make_webhooks(database=postgres_url, deliver=False)
    listening = "FROM pg_stat_activity WHERE datname = current_database() AND query ~ '^LISTEN'"

    async def both():
        found = await look.rows(f"SELECT 1 {listening}")
        return len(found) == 2

    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        await (await webhooks.trigger("a.b", {})).delivered(5)
        await publisher.start()
        await until(both, "both to listen")
        await look.rows(f"SELECT pg_terminate_backend(pid) {listening}")
        # What falls into the gap is found as soon as the worker listens again.
        await publisher.trigger("a.b", {})
        await receiver.arrived(2)
        await until(both, "both to listen again")
        await publisher.trigger("a.b", {})
        await receiver.arrived(3)


@pytest.mark.parametrize("key", [None, "order-1"], ids=["plain", "idempotent"])
async def test_the_answer_to_a_commit_is_lost(postgres_url, make_webhooks, key):
    """A trigger whose commit went through though its answer did not is repeated and adds nothing.

    It is no duplicate in its caller's eyes either.
    """
    webhooks = make_webhooks(database=postgres_url)
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        await webhooks.start()
        queue = webhooks._runtime.engine.queue
        publish = queue._publish

        async def commit_and_break(*arguments, **options):
            queue._publish = publish
            await publish(*arguments, **options)
            raise ConnectionLost("the connection broke after the commit")

        queue._publish = commit_and_break
        receipt = await webhooks.trigger("a.b", {}, idempotency_key=key)
        assert not receipt.duplicate
        await receipt.delivered(5)
        queue._publish = commit_and_break
        events = [Event("a.b", {"n": n}, idempotency_key=key and f"{key}-{n}") for n in range(3)]
        receipts = await webhooks.trigger_many(events)
        for each in receipts:
            assert not each.duplicate
            await each.delivered(5)
        assert Counter(r.id for r in receiver.received) == {
            each.message_id: 1 for each in [receipt, *receipts]
        }
