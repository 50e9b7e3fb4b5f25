"""Several workers on one PostgreSQL: each message once, every limit over all of them together."""

import asyncio
import signal
import threading
from collections import Counter

import pytest
from tests.crash.support import PATIENCE, Gauge, Look, Processes, each_once, until

from hookline.testing import Receiver


@pytest.fixture(autouse=True)
def _quick_beats(monkeypatch):
    """Workers in the test's own process notice each other ten times a second."""
    monkeypatch.setattr("hookline._engine.worker.BEAT_INTERVAL", 0.1)


@pytest.fixture
def workers(postgres_url, make_webhooks):
    """Return a starter of workers on one database: it returns them once all know their share."""
    running = []

    async def start(count, **options):
        for _ in range(count):
            running.append(make_webhooks(database=postgres_url, **options))
            await running[-1].start()
        await sharing(running)
        return running[-count:]

    return start


async def sharing(running):
    """Wait until each of the workers takes its own share of the work, and together the whole."""

    def shares():
        inside = [webhooks._runtime.engine.worker for webhooks in running]
        return sorted(w._limiter.share for w in inside if w._working)

    whole = [(rank, len(running)) for rank in range(len(running))]
    await until(lambda: shares() == whole, "all to know their shares")


async def looked(webhooks):
    """Wait until a worker has looked for work twice more."""
    worker, looks = webhooks._runtime.engine.worker, threading.Semaphore(0)
    look = worker._look

    async def look_and_tell():
        try:
            return await look()
        finally:
            looks.release()

    worker._look = look_and_tell
    for _ in range(2):
        assert await asyncio.to_thread(looks.acquire, timeout=PATIENCE)


@pytest.fixture
def start(tmp_path):
    """Return a starter of processes; they end with the test."""
    with Processes(tmp_path) as starter:
        yield starter


@pytest.mark.parametrize("count", [2, 3])
async def test_each_message_once(postgres_url, make_webhooks, start, count):
    """However many processes deliver, each of 1,000 messages arrives once and is logged once."""
    look = Look(postgres_url)
    with Receiver() as receiver:
        register = [[receiver.url, {}]]
        running = [
            await start(postgres_url, register=register, poll_interval=0.1) for _ in range(count)
        ]
        publisher = make_webhooks(database=postgres_url, deliver=False)
        receipts = await publisher.trigger_many([("a.b", {"n": n}) for n in range(1000)])
        await look.all_done()
        published = {receipt.message_id for receipt in receipts}
        assert Counter(r.id for r in receiver.received) == dict.fromkeys(published, 1)
        assert await look.log() == each_once(published)
        assert len(running) == count


@pytest.mark.parametrize(("count", "cap"), [(2, 1), (2, 3), (3, 2), (3, 4)])
async def test_the_concurrency_of_an_endpoint_holds_over_all(workers, count, cap, postgres_url):
    """An endpoint never has more requests at once than it allows, and it gets as many as that."""
    running, hold = await workers(count, poll_interval=0.1), threading.Event()
    gauge = Gauge(hold)
    with Receiver() as receiver:
        receiver.answer(gauge)
        running[0].register(receiver.url, ["*"], concurrency=cap)
        await running[0].trigger_many([("a.b", {"n": n}) for n in range(450)])
        await receiver.arrived(cap)
        for webhooks in running:
            await looked(webhooks)
        hold.set()
        await Look(postgres_url).all_done()
        assert gauge.most == cap
        assert len(receiver.received) == 450


@pytest.mark.parametrize(
    ("count", "rate", "messages"), [(2, 40, 160), (3, 3, 9), (3, 2, 7), (3, 1, 5)]
)
async def test_the_rate_of_an_endpoint_holds_over_all(workers, count, rate, messages, postgres_url):
    """In no stretch of time an endpoint gets more than its rate allows, and a second's worth."""
    running = await workers(count, poll_interval=0.1)
    with Receiver() as receiver:
        running[0].register(receiver.url, ["*"], rate_limit=rate)
        await running[0].trigger_many([("a.b", {"n": n}) for n in range(messages)])
        await Look(postgres_url).all_done()
        at = [r.arrived_at.timestamp() for r in receiver.received]
        assert len(at) == messages
        for first in range(messages):
            for last in range(first + 1, messages):
                most = rate * (at[last] - at[first] + 0.1) + rate
                assert last - first + 1 <= most + 1, (first, last, at)


async def test_an_ordered_endpoint_stays_ordered(workers, postgres_url):
    """Two workers keep each line of an ordered endpoint in order, also when some fail at first."""
    one, two = await workers(2, poll_interval=0.1, retry_schedule=[0, 0.01, 0.01])
    seen, lock, together = [], threading.Lock(), Counter()

    def answer(received):
        data = received.json()["data"]
        with lock:
            together[data["line"]] += 1
            assert together[data["line"]] == 1, "two of a line at once"
            again = (data["line"], data["n"]) in seen
            seen.append((data["line"], data["n"]))
        status = 200 if again or data["n"] % 5 else 503
        with lock:
            together[data["line"]] -= 1
        return status

    with Receiver() as receiver:
        receiver.answer(answer)
        one.register(receiver.url, ["*"], ordered=True)
        await one.start()  # stored, before another process publishes
        for n in range(30):
            for line in "abc":
                webhooks = one if n % 2 else two
                await webhooks.trigger("a.b", {"line": line, "n": n}, ordering_key=line)
        await Look(postgres_url).all_done()
    for line in "abc":
        order = [n for each, n in seen if each == line]
        assert list(dict.fromkeys(order)) == list(range(30))
        assert order == sorted(order)


async def test_a_worker_that_joins_leaves_nothing_stuck_in_the_first(workers, postgres_url):
    """What a worker holds for an endpoint whose only place another one gets is delivered too."""
    [first], hold = await workers(1, poll_interval=0.1), threading.Event()
    with Receiver() as receiver:
        receiver.answer(Gauge(hold))
        for n in range(8):  # about half of them get their place at the second worker
            first.register(f"{receiver.base}/{n}", ["*"], concurrency=1)
        await first.trigger_many([("a.b", {"n": n}) for n in range(10)])
        await receiver.arrived(8)
        await workers(1, poll_interval=0.1)
        hold.set()
        await Look(postgres_url).all_done()
        assert len(receiver.received) == 80


async def test_a_worker_that_joins_while_all_places_are_taken(workers, postgres_url):
    """One that joins takes its share at once, beside the requests that are in the air.

    Until those have landed, an endpoint may have up to twice the requests it allows.
    """
    [first], hold = await workers(1, poll_interval=0.1), threading.Event()
    gauge = Gauge(hold)
    with Receiver() as receiver:
        receiver.answer(gauge)
        first.register(receiver.url, ["*"], concurrency=4)
        await first.trigger_many([("a.b", {"n": n}) for n in range(300)])
        await receiver.arrived(4)
        [second] = await workers(1, poll_interval=0.1)
        await looked(second)
        hold.set()
        await receiver.arrived(20)
        after = Gauge()
        receiver.answer(after)
        await Look(postgres_url).all_done()
        assert 4 <= gauge.most <= 8
        assert after.most <= 4


async def test_a_worker_that_leaves_gives_its_work_back_at_once(postgres_url, make_webhooks, start):
    """On SIGTERM a worker finishes what is in the air; what waits in it another one sends at once.

    Leases of an hour show that none had to run out; nothing is sent twice.
    """
    look, hold = Look(postgres_url), threading.Event()
    with Receiver() as receiver:
        receiver.answer(lambda _: 200 if hold.wait(PATIENCE) else 500)
        register = [[receiver.url, {"concurrency": 2}]]
        leaving = await start(postgres_url, register=register, lease=3600)
        leaving.tell("trigger 100")
        await receiver.arrived(2)
        await leaving.says("Triggering", 100)
        staying = make_webhooks(database=postgres_url, poll_interval=0.1)
        await staying.start()
        leaving.send(signal.SIGTERM)
        await until(lambda: given_back(look), "the waiting ones to be given back")
        hold.set()
        await leaving.says("stopped")
        assert await leaving.ended() == 0
        await look.all_done()
        log = await look.log()
        assert Counter(r.id for r in receiver.received) == dict.fromkeys(log, 1)
        assert len(log) == 100
        assert log == each_once(log)
        assert len(leaving.said("sent successfully")) == 2


async def given_back(look):
    """Whether all that a worker has left are the two in the air."""
    return len(await look.rows("SELECT 1 FROM hookline_delivery WHERE lease = 0")) == 98


async def test_work_given_back_wakes_the_others(workers, postgres_url):
    """What a leaving worker gives back is taken up when it is told of, not at the next poll."""
    [leaving], hold = await workers(1, poll_interval=60), threading.Event()
    with Receiver() as receiver:
        receiver.answer(lambda _: 200 if hold.wait(PATIENCE) else 500)
        leaving.register(receiver.url, ["*"], concurrency=2)
        await leaving.trigger_many([("a.b", {"n": n}) for n in range(50)])
        await receiver.arrived(2)
        await workers(1, poll_interval=60)
        stopping = asyncio.create_task(leaving.stop())
        hold.set()
        await stopping
        await Look(postgres_url).all_done()
        assert Counter(Counter(r.id for r in receiver.received).values()) == {1: 50}


async def test_an_endpoint_recovers_at_several_workers(workers, postgres_url, clock):
    """After its circuit was open, an endpoint gets everything that waited, from all workers."""
    options = {"clock": clock, "retry_schedule": [0] + [1] * 20, "lease": 3600}
    one, _ = await workers(2, **options)
    look = Look(postgres_url)
    with Receiver() as receiver:
        receiver.answer(503)
        for n in range(4):  # whose the only place of the slow start is depends on their keys
            one.register(f"{receiver.base}/{n}", ["*"], concurrency=4)
        receipts = await one.trigger_many([("a.b", {"n": n}) for n in range(30)])

        async def open_():
            found = await look.rows("SELECT state FROM hookline_circuit")
            return found == [("open",)] * 4

        await until(open_, "the circuits to open")
        receiver.answer(200)

        async def done():
            clock.advance(5)
            return await look.left() == 0

        await until(done, "everything to be delivered")
        log = await look.log()
        assert set(log) == {receipt.message_id for receipt in receipts}
        # One success at each of the endpoints.
        states = [Counter(state for _, state, _ in attempts) for attempts in log.values()]
        assert [count["succeeded"] for count in states] == [4] * 30


async def test_the_share_of_a_dead_worker_is_taken_over(postgres_url, make_webhooks, start):
    """The only place of an endpoint that a killed worker had goes to the one that is left."""
    look = Look(postgres_url)
    dead = [await start(postgres_url) for _ in range(2)]
    await look.workers(2)
    for process in dead:
        await process.killed()
    webhooks = make_webhooks(database=postgres_url, poll_interval=0.1)
    with Receiver() as receiver:
        for n in range(8):
            webhooks.register(f"{receiver.base}/{n}", ["*"], concurrency=1)
        await webhooks.trigger("a.b", {})
        await receiver.arrived(1)  # a third of the places is its own
        await look.rows(
            "UPDATE hookline_worker SET seen_at = seen_at - 10000 WHERE pid IN (:a, :b)",
            a=dead[0].pid,
            b=dead[1].pid,
        )
        await look.all_done()
        assert len(receiver.received) == 8
