"""The engine looked at by an enemy: lost wake-ups, tasks that die silently, work that gets stuck.

`poll_interval` is a minute here wherever a wake-up must do: what only polling finds comes too late.
"""

import asyncio
import itertools
import logging
import sqlite3
import sys
import threading
import time

import pytest
from tests.crash.support import PATIENCE, Look, Processes, until

from hookline._engine.keys import new_key
from hookline._storage.sqlite import lane
from hookline.errors import HooklineError, StorageError
from hookline.testing import Receiver

MINUTE = {"poll_interval": 60}
QUEUE = "hookline._storage.postgresql.queue"


@pytest.fixture
def start(tmp_path):
    """Return a starter of processes; they end with the test."""
    with Processes(tmp_path) as starter:
        yield starter


def after(webhooks, verb, do):
    """Await `do()` once, after the next call of one of the queue's verbs, before it returns."""
    queue = webhooks._runtime.engine.queue
    original = getattr(queue, verb)

    async def call(*arguments):
        setattr(queue, verb, original)
        result = await original(*arguments)
        await do()
        for _ in range(10):
            await asyncio.sleep(0)  # whom it rang has heard it by then
        return result

    setattr(queue, verb, call)


# wake-ups ---------------------------------------------------------------------------------------


async def test_an_event_published_while_routing_is_on_its_way_back(on_each_database):
    """What is committed after routing looked and before it returned is routed next, not later."""
    webhooks, late = on_each_database(**MINUTE), []
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        await webhooks.start()

        async def publish():
            late.append(await webhooks.trigger("a.b", {"n": 2}))

        after(webhooks, "route", publish)
        await (await webhooks.trigger("a.b", {"n": 1})).delivered(5)
        await late[0].delivered(5)


async def test_work_made_due_while_a_claim_is_on_its_way_back(on_each_database):
    """What is made due after a claim looked and before it returned is claimed next, not later."""
    webhooks = on_each_database(**MINUTE)
    with Receiver() as receiver:
        endpoint = webhooks.register(receiver.url, ["*"])
        receipt = await webhooks.trigger("a.b", {})
        await receipt.delivered(5)

        async def resend():
            assert await webhooks.resend(receipt.message_id, endpoint)

        after(webhooks, "claim", resend)
        webhooks._runtime.engine.ring_due()
        await receiver.arrived(2, 5)


async def test_a_retry_that_falls_due_while_a_claim_is_on_its_way_back(on_each_database, told):
    """An attempt that fails while a claim is under way is tried again when its time comes."""
    webhooks, answer = on_each_database(retry_schedule=[0, 0.05], **MINUTE), threading.Event()
    with Receiver() as receiver:
        receiver.answer(lambda _: 503 if answer.wait(PATIENCE) else 500, times=1)
        webhooks.register(receiver.url, ["*"])
        receipt = await webhooks.trigger("a.b", {})
        await receiver.arrived(1)

        async def fail():
            answer.set()
            await told.wait("HTTP 503")

        after(webhooks, "claim", fail)
        webhooks._runtime.engine.ring_due()
        await receipt.delivered(5)


async def test_the_last_request_lands_while_a_claim_is_on_its_way_back(
    on_each_database, told, monkeypatch
):
    """A claim that found no room, because of requests that have landed since, is made again."""
    monkeypatch.setattr("hookline._engine.limiter.AHEAD", 0)
    webhooks, answer = on_each_database(**MINUTE), threading.Event()
    with Receiver() as receiver:
        receiver.answer(lambda _: 200 if answer.wait(PATIENCE) else 500)
        webhooks.register(receiver.url, ["*"], concurrency=1)
        await webhooks.start()

        async def land():
            answer.set()
            await told.wait("sent successfully")

        after(webhooks, "claim", lambda: asyncio.sleep(0))
        first, second = await webhooks.trigger_many([("a.b", {"n": 1}), ("a.b", {"n": 2})])
        await told.wait("Triggering", 2)
        after(webhooks, "claim", land)
        webhooks._runtime.engine.ring_due()
        await first.delivered(5)
        await second.delivered(5)


async def test_a_slow_claim_does_not_make_the_worker_sleep_long(postgres_url, make_webhooks):
    """After a claim that took half a second, work that nobody told of is still found by polling."""
    webhooks, look = make_webhooks(database=postgres_url, poll_interval=0.1), Look(postgres_url)
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"], retry_schedule=[0, 3600])
        receiver.answer(503, times=1)
        await webhooks.trigger("a.b", {})
        await until(lambda: _failed_once(look), "the first attempt to be settled")
        slow = threading.Event()

        async def dawdle():  # as a database does that is busy with something else
            await asyncio.sleep(0.5)
            slow.set()

        after(webhooks, "claim", dawdle)
        webhooks._runtime.engine.ring_due()
        await asyncio.to_thread(slow.wait, PATIENCE)
        await look.rows("UPDATE hookline_delivery SET next_attempt_at = 0")
        began = time.monotonic()
        await receiver.arrived(2)
        assert time.monotonic() - began < 5


async def _failed_once(look):
    return await look.rows("SELECT 1 FROM hookline_delivery WHERE attempts = 1")


# things that must not stop the worker -----------------------------------------------------------


async def test_a_log_filter_that_raises(on_each_database, told):
    """An application's broken logging filter stops neither settling nor the worker."""
    broken = [True]

    def raises(record):
        if broken and "sent successfully" in record.getMessage():
            broken.clear()
            raise RuntimeError("a bug of the application's")
        return True

    webhooks, log = on_each_database(), logging.getLogger("hookline")
    log.addFilter(raises)
    try:
        with Receiver() as receiver:
            webhooks.register(receiver.url, ["*"])
            for _ in range(3):
                receipts = await webhooks.trigger_many([("a.b", {"n": n}) for n in range(100)])
                for receipt in receipts:
                    await receipt.delivered(5)
            assert len(receiver.received) == 300
            assert not broken
            await asyncio.wait_for(webhooks.stop(), 5)
    finally:
        log.removeFilter(raises)


async def test_a_listener_that_raises(on_each_database):
    """An operational-event listener that raises stops neither settling nor the worker."""

    def on_event(_event):
        raise RuntimeError("a bug of the application's")

    webhooks = on_each_database(retry_schedule=[0, 0.01], on_event=on_event)
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        receiver.answer(500, times=2)
        await (await webhooks.trigger("a.b", {})).delivered(5)
        [status] = await (await webhooks.trigger("a.b", {})).delivered(5)
        assert status.state == "succeeded"


async def test_an_endpoint_that_cannot_be_signed_for(on_each_database, database_url):
    """A secret that was damaged in the database holds up its own endpoint, until it is repaired."""
    options = {"lease": 1, "retry_schedule": [0, *[0.2] * 99], "stop_timeout": 1}
    webhooks, look = on_each_database(**options), Look(database_url)
    with Receiver() as good, Receiver() as bad:
        webhooks.register(good.url, ["*"])
        webhooks.register(bad.url, ["*"], secret="your-secret-key")
        await webhooks.start()
        await _secret(look, "whsec_not!base64")
        receipts = await webhooks.trigger_many([("a.b", {"n": n}) for n in range(50)])
        await good.arrived(50)
        later = await webhooks.trigger("a.b", {})
        await good.arrived(51)
        assert not bad.received
        await _secret(look, "your-secret-key")
        for receipt in [*receipts, later]:
            await receipt.delivered(8)
        assert len(bad.received) == len(good.received) == 51


async def _secret(look, text):
    await look.rows("UPDATE hookline_endpoint_secret SET secret = :text", text=text)
    await look.rows("UPDATE hookline_endpoint SET revision = revision + 1")
    await look.rows("UPDATE hookline_application SET revision = revision + 1")
    await look.rows("DELETE FROM hookline_circuit")  # no test waits for half a minute


async def test_the_lane_survives_a_failed_look(database_file, monkeypatch):
    """An error while the SQLite thread idles ends neither the thread nor those who wait for it."""
    failed, data_version = threading.Event(), lane._data_version

    def fail(connection):
        if not failed.is_set():
            failed.set()
            raise sqlite3.OperationalError("disk I/O error")
        return data_version(connection)

    one = lane.Lane(str(database_file), lambda: None)
    await one.open()
    monkeypatch.setattr(lane, "_data_version", fail)
    try:
        assert await asyncio.to_thread(failed.wait, PATIENCE)
        done = one.submit(lambda connection: connection.execute("SELECT 1").fetchone())
        assert await asyncio.wait_for(done, 5) == (1,)
    finally:
        await one.close()


# freezing at the worst place --------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [False, True], ids=["unordered", "ordered"])
@pytest.mark.parametrize("at", ["_fill", "_due_rows", "_judge"])
async def test_a_worker_frozen_with_a_transaction_open(
    postgres_url, make_webhooks, start, at, ordered
):
    """A worker that stands still while it routes, claims or settles stops no other for long."""
    with Receiver() as receiver:
        register = [[receiver.url, {"ordered": ordered, "concurrency": 1}]]
        fault = {"at": f"{QUEUE}:{at}", "name": "SIGSTOP"}
        frozen = await start(postgres_url, register=register, fault=fault)
        frozen.tell("trigger 200")
        await frozen.says("fault")
        webhooks = make_webhooks(database=postgres_url)
        await webhooks.start()
        await Look(postgres_url).rows("UPDATE hookline_worker SET seen_at = 0")  # long ago
        receipt = await webhooks.trigger("a.b", {}, ordering_key="another line")
        await receipt.delivered(15)


async def test_a_message_somebody_else_is_at_is_waited_for_calmly(postgres_url, make_webhooks):
    """While another transaction has the oldest message, routing looks now and then; it never spins.

    What was published after it is delivered meanwhile.
    """
    webhooks, look, looks = make_webhooks(database=postgres_url), Look(postgres_url), []
    publisher = make_webhooks(database=postgres_url, deliver=False)
    with Receiver() as receiver:
        publisher.register(receiver.url, ["*"])
        first = await publisher.trigger("a.b", {"n": 1})
        async with look.transaction() as connection:
            await connection.exec_driver_sql("SELECT 1 FROM hookline_outbox FOR UPDATE")
            await webhooks.start()
            route = webhooks._runtime.engine.queue.route

            async def count(*arguments):
                looks.append(arguments)
                return await route(*arguments)

            webhooks._runtime.engine.queue.route = count
            for n in range(10):
                await (await webhooks.trigger("a.b", {"n": n})).delivered(5)
            before = len(looks)
            await asyncio.sleep(1)  # a measurement: how often in one second
            assert len(looks) - before < 100
        await first.delivered(5)


async def test_a_head_canceled_while_the_next_is_routed(postgres_url, make_webhooks):
    """Of an ordered endpoint, whoever is routed while the head is canceled is not left in line."""
    webhooks = make_webhooks(database=postgres_url, retry_schedule=[0, 3600])
    look = Look(postgres_url)
    # Whoever is put in line waits for the test: routing has looked at the line by then.
    await look.rows(
        "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.next_attempt_at = (1::bigint << 61) THEN PERFORM pg_advisory_xact_lock(42); END IF;"
        " RETURN NEW; END $$"
    )
    await look.rows(
        "CREATE TRIGGER pause BEFORE INSERT ON hookline_delivery FOR EACH ROW "
        "EXECUTE FUNCTION pause()"
    )
    with Receiver() as receiver:
        receiver.answer(503, times=1)
        webhooks.register(receiver.url, ["*"], ordered=True)
        head = await webhooks.trigger("a.b", {"n": 0})
        await until(lambda: _failed_once(look), "the head to have failed")
        async with look.transaction() as connection:
            await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(42)")
            second = await webhooks.trigger("a.b", {"n": 1})

            async def routing_waits():
                return await look.rows("SELECT 1 FROM pg_locks WHERE objid = 42 AND NOT granted")

            await until(routing_waits, "routing to have looked at the line")
            canceling = asyncio.create_task(webhooks.cancel(head.message_id))
            await asyncio.wait({canceling}, timeout=1)  # it may rightly wait for routing
        assert await canceling == 1
        await second.delivered(5)


# starting and stopping --------------------------------------------------------------------------


async def test_a_start_that_fails_leaves_no_threads(make_webhooks, database_file):
    """When the worker cannot start, that is a StorageError, and all threads are gone again."""
    lock = database_file.with_name(f"{database_file.name}-worker")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    webhooks = make_webhooks()
    with pytest.raises(StorageError):
        await webhooks.start()
    left = [t.name for t in threading.enumerate() if t.name.startswith("hookline")]
    assert left == []
    lock.rmdir()
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        await (await webhooks.trigger("a.b", {})).delivered(5)


@pytest.fixture
def _restless():
    """Threads take turns as often as they can: what may come between two lines does."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


async def test_a_stop_waits_for_what_is_published_together(on_each_database):
    """A commit that is under way when the engine is stopped is made, and its caller told so."""
    webhooks, begun, released = on_each_database(deliver=False), asyncio.Event(), threading.Event()
    await webhooks.start()
    queue = webhooks._runtime.engine.queue
    publish, loop = queue.publish, asyncio.get_running_loop()

    async def late(*arguments, **options):
        loop.call_soon_threadsafe(begun.set)
        await asyncio.to_thread(released.wait, PATIENCE)
        return await publish(*arguments, **options)

    queue.publish = late
    triggering = asyncio.create_task(webhooks.trigger_many([("a.b", {"n": n}) for n in range(3)]))
    await begun.wait()
    closing = asyncio.create_task(asyncio.to_thread(webhooks.close))

    async def stopping():
        return webhooks._runtime.engine is None

    await until(stopping, "the stop to have begun")
    released.set()
    receipts = await triggering
    await closing
    ids = [each.message_id for each in receipts]
    assert len(ids) == 3
    assert [(await webhooks.message(each)).id for each in ids] == ids


@pytest.mark.usefixtures("_restless")
def test_triggers_that_meet_a_stop(on_each_database):
    """A trigger that meets a stop publishes or raises an error of ours; it never hangs."""
    webhooks, over, wrong = on_each_database(deliver=False), threading.Event(), []
    calls = itertools.cycle(
        [lambda: webhooks.trigger("a.b", {}), lambda: webhooks.trigger_many([("a.b", {})])]
    )

    async def trigger():
        try:
            async with asyncio.timeout(8):
                await next(calls)()
        except HooklineError:
            return
        except Exception as error:  # noqa: BLE001 - listed at the end
            wrong.append(repr(error))

    async def keep_triggering():
        while not over.is_set() and not wrong:
            await asyncio.gather(*(trigger() for _ in range(5)))

    threads = [threading.Thread(target=asyncio.run, args=[keep_triggering()]) for _ in range(4)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline and not wrong:
        webhooks.close()
        over.wait(0.01)  # they start it again meanwhile
    over.set()
    for thread in threads:
        thread.join()
    assert wrong == []


async def test_a_stop_meets_answers(on_each_database, database_url):
    """However a stop and the answers of the last requests meet, each is settled or given back.

    Leases of an hour show that nothing is left behind in one.
    """
    with Receiver() as receiver:
        for n in range(1, 6):
            webhooks = on_each_database(stop_timeout=0, lease=3600)
            webhooks.register(receiver.url, ["*"])
            await webhooks.trigger_many([("a.b", {"n": n}) for n in range(100)])
            await receiver.arrived(100 * n - 50)
            await webhooks.stop()
            again = on_each_database(poll_interval=0.1)
            await again.start()
            await Look(database_url).all_done()
            await again.stop()
        assert len(await Look(database_url).log()) == 500


# keys -------------------------------------------------------------------------------------------


def test_keys_keep_their_order_beside_older_ones():
    """Messages of one millisecond keep their order, though keys of older attempts come between.

    Ordered endpoints and the outbox go by it.
    """
    for _ in range(50):
        now = 1_760_697_000_000
        keys = []
        for _ in range(10):
            keys.append(new_key(now))
            new_key(now - 40)  # an attempt that began a little earlier
        assert keys == sorted(keys)
