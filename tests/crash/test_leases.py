"""Leases that are lost or nearly so: who has the delivery then, and what the log says."""

import signal
import threading
from collections import Counter

import pytest
from tests.crash.support import PATIENCE, Look, Processes, each_once, until

from hookline import DeliveryState
from hookline._domain.delivery import Decision, Failure, Outcome
from hookline._engine.clock import SystemClock
from hookline._engine.keys import new_key
from hookline._ports import Settlement
from hookline.testing import Receiver

LEASE = 30_000


@pytest.fixture(autouse=True)
def _quick_beats(monkeypatch):
    """Workers in the test's own process notice each other ten times a second."""
    monkeypatch.setattr("hookline._engine.worker.BEAT_INTERVAL", 0.1)


@pytest.fixture
def start(tmp_path):
    """Return a starter of processes; they end with the test."""
    with Processes(tmp_path) as starter:
        yield starter


async def test_a_worker_frozen_while_the_answer_is_on_its_way(
    postgres_url, make_webhooks, start, told
):
    """A worker that slept longer than its lease finds another one ahead: it reports it as lost.

    The receiver saw the message twice, under the same id; the log has the attempt that counts.
    """
    look, answer = Look(postgres_url), threading.Event()
    with Receiver() as receiver:
        receiver.answer(lambda _: 200 if answer.wait(PATIENCE) else 500)
        sleeper = await start(postgres_url, register=[[receiver.url, {}]], lease=1)
        sleeper.tell("trigger 1")
        await receiver.arrived(1)
        await sleeper.frozen()
        answer.set()
        webhooks = make_webhooks(database=postgres_url, lease=1, poll_interval=0.1)
        await webhooks.start()
        first, second = await receiver.arrived(2)
        await told.wait("sent successfully")
        sleeper.thawed()
        await sleeper.says("was lost")
        assert (first.id, first.body, first.attempt) == (second.id, second.body, second.attempt)
        assert sleeper.said("was lost") == [first.id]
        assert await look.log() == each_once([first.id])
        assert await look.left() == 0
        assert not sleeper.said("sent successfully")
        assert len(receiver.received) == 2


async def test_a_worker_frozen_with_others_waiting_in_it(postgres_url, make_webhooks, start):
    """What waited for its turn in a worker that slept too long is not sent by it any more.

    Only the one request that was in the air when it fell asleep is seen twice.
    """
    look, answer = Look(postgres_url), threading.Event()
    with Receiver() as receiver:
        receiver.answer(lambda _: 200 if answer.wait(PATIENCE) else 500)
        register = [[receiver.url, {"concurrency": 1}]]
        sleeper = await start(postgres_url, register=register, lease=1)
        sleeper.tell("trigger 20")
        await sleeper.says("Triggering", 20)
        [in_the_air] = await receiver.arrived(1)
        await sleeper.frozen()
        answer.set()
        webhooks = make_webhooks(database=postgres_url, lease=1, poll_interval=0.1)
        await webhooks.start()
        await look.rows("UPDATE hookline_worker SET seen_at = 0")  # as if ten seconds had gone by
        await look.all_done()
        sleeper.thawed()
        await sleeper.says("was lost")
        await webhooks.trigger("a.b", {})
        await look.all_done()
        sleeper.send(signal.SIGTERM)
        await sleeper.says("stopped")
        again = [m for m, times in Counter(r.id for r in receiver.received).items() if times > 1]
        assert again == [in_the_air.id]
        log = await look.log()
        assert len(log) == 21
        assert log == each_once(log)


async def test_the_owner_of_a_file_frozen_longer_than_its_lease(database_file, start):
    """On SQLite nobody takes over from a process that sleeps: it goes on when it wakes.

    The one request that was in the air may be made twice; it is settled once.
    """
    url = f"sqlite:///{database_file}"
    look, answer = Look(url), threading.Event()
    with Receiver() as receiver:
        receiver.answer(lambda _: 200 if answer.wait(PATIENCE) else 500)
        register = [[receiver.url, {"concurrency": 1}]]
        sleeper = await start(url, register=register, lease=1)
        sleeper.tell("trigger 20")
        await sleeper.says("Triggering", 20)
        [in_the_air] = await receiver.arrived(1)
        await sleeper.frozen()
        answer.set()

        async def leases_ended():
            [[last]] = await look.rows("SELECT max(next_attempt_at) FROM hookline_delivery")
            return last < SystemClock().now()

        await until(leases_ended, "the leases to end")
        sleeper.thawed()
        await look.all_done()
        sleeper.send(signal.SIGTERM)
        await sleeper.says("stopped")
        log = await look.log()
        assert len(log) == 20
        assert log == each_once(log)
        again = [m for m, times in Counter(r.id for r in receiver.received).items() if times > 1]
        assert again in ([], [in_the_air.id])


async def test_a_lease_is_renewed_while_the_worker_lives(on_each_database):
    """A receiver that takes three leases to answer gets one request, not one per lease."""
    webhooks = on_each_database(lease=1, poll_interval=0.05)
    await on_each_database(lease=1, poll_interval=0.05).start()
    with Receiver() as receiver:
        receiver.answer(200, delay=3)
        webhooks.register(receiver.url, ["*"])
        receipt = await webhooks.trigger("a.b", {})
        [status] = await receipt.delivered(10)
        assert (status.state, status.attempts) == (DeliveryState.SUCCEEDED, 1)
        assert len(receiver.received) == 1


async def test_both_leases_of_a_delivery_settled_at_once(on_each_database, clock):
    """The answer to the lost lease changes nothing, also beside that to the newer one.

    That is what a worker hands in that claimed a delivery again after its own lease had run out.
    """
    webhooks = on_each_database(clock=clock, deliver=False)
    webhooks.register("https://receiver.example/", ["*"])
    receipt = await webhooks.trigger("a.b", {})
    queue, on_home = webhooks._runtime.engine.queue, webhooks._runtime.on_home

    async def take(verb):
        now = clock.now()
        taken = await on_home(verb(10, now, now + LEASE, lambda _: 10))
        return taken.leased[0]

    old = await take(queue.route)
    clock.advance(31)
    new = await take(queue.claim)
    now = clock.now()
    failed = Outcome(503, Failure.STATUS)
    answers = [
        Settlement(old, new_key(now), now, Outcome(200), Decision.succeeded()),
        Settlement(new, new_key(now), now, failed, Decision.retry(now + 5000, "HTTP 503")),
    ]
    settled = await on_home(queue.settle(answers, now))
    assert settled.kept == [False, True]
    assert [a.status for a in await webhooks.attempts(receipt.message_id)] == [503]
