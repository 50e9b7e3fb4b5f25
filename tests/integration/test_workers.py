"""Several workers on one PostgreSQL: each message once, every limit over all of them together."""

import asyncio
import signal
import threading
import time
from collections import Counter

import pytest

from hookline.testing import Receiver
from tests.crash.support import PATIENCE, SUCCEEDED, Gauge, Look, Processes


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
        inside = [webhooks._engine.worker for webhooks in running]
        return sorted(w._limiter.share for w in inside if w._working)

    async with asyncio.timeout(PATIENCE):
        while shares() != [(rank, len(running)) for rank in range(len(running))]:
            await asyncio.sleep(0.01)


@pytest.fixture
def start(tmp_path):
    """Return a starter of processes; they end with the test."""
    with Processes(tmp_path) as starter:
        yield starter


@pytest.mark.parametrize("count", [2, 3])
async def test_each_message_once(workers, count, postgres_url):
    """However many workers there are, each of 1,000 messages arrives once and is logged once."""
    running = await workers(count)
    with Receiver() as receiver:
        running[0].register(receiver.url, ["*"])
        receipts = await running[0].trigger_many([("a.b", {"n": n}) for n in range(1000)])
        await Look(postgres_url).all_done()
        published = {receipt.message_id for receipt in receipts}
        assert Counter(r.id for r in receiver.received) == dict.fromkeys(published, 1)
        assert await Look(postgres_url).log() == {m: [SUCCEEDED] for m in published}


@pytest.mark.parametrize(("count", "cap"), [(2, 1), (2, 3), (3, 1), (3, 2), (3, 4)])
async def test_the_concurrency_of_an_endpoint_holds_over_all(workers, count, cap, postgres_url):
    """An endpoint never has more requests at once than it allows, and it gets as many as that."""
    running, hold = await workers(count, poll_interval=0.1), threading.Event()
    gauge = Gauge(hold)
    with Receiver() as receiver:
        receiver.answer(gauge)
        for webhooks in running:
            webhooks.register(receiver.url, ["*"], concurrency=cap)
        await running[0].trigger_many([("a.b", {"n": n}) for n in range(60)])
        await receiver.arrived(cap)
        hold.set()
        await Look(postgres_url).all_done()
        assert gauge.most == cap
        assert len(receiver.received) == 60


async def test_a_worker_that_joins_leaves_nothing_stuck_in_the_first(workers, postgres_url):
    """What a worker holds for an endpoint whose only place another one gets is delivered too."""
    for _ in range(4):  # which of the two gets the place depends on their keys
        first, hold = (await workers(1, poll_interval=0.1))[0], threading.Event()
        break
    with Receiver() as receiver:
        receiver.answer(Gauge(hold))
        for n in range(4):  # half of them get their place at the second worker
            first.register(f"{receiver.base}/{n}", ["*"], concurrency=1)
        await first.trigger_many([("a.b", {"n": n}) for n in range(20)])
        await receiver.arrived(4)
        await workers(1, poll_interval=0.1)
        hold.set()
        await Look(postgres_url).all_done()
        assert len(receiver.received) == 80
