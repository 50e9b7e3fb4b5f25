"""`kill -9` of processes that share one PostgreSQL: the others go on, nothing is lost."""

import signal
import threading
from collections import Counter

import pytest
from tests.crash.support import PATIENCE, Look, Processes, each_once

from hookline.testing import Receiver

MESSAGES = 1000
QUEUE = "hookline._storage.postgresql.queue"


@pytest.fixture
def start(tmp_path):
    """Return a starter of processes; they end with the test."""
    with Processes(tmp_path) as starter:
        yield starter


async def test_kill_of_a_worker_while_another_goes_on(postgres_url, make_webhooks, start):
    """Killed in the middle of 1,000 deliveries, a worker leaves the rest to another one.

    Each message arrives, none that was settled comes again, and the log has every one of them.
    """
    look, killed = Look(postgres_url), threading.Event()
    with Receiver() as receiver:
        # From the 600th on requests hang until the kill: it meets some in the air.
        receiver.answer(lambda r: 200 if r.number < 600 or killed.wait(PATIENCE) else 500)
        options = {"register": [[receiver.url, {}]], "lease": 1, "poll_interval": 0.1}
        doomed = await start(postgres_url, **options)
        other = await start(postgres_url, **options)
        publisher = make_webhooks(database=postgres_url, deliver=False)
        receipts = await publisher.trigger_many([("a.b", {"n": n}) for n in range(MESSAGES)])
        published = {receipt.message_id for receipt in receipts}

        await doomed.says("sent successfully", MESSAGES // 5)
        await receiver.arrived(600)
        await doomed.killed()
        settled, before = await look.log(), receiver.count
        killed.set()
        await look.all_done()

        arrived = Counter(r.id for r in receiver.received)
        assert set(arrived) == published
        assert {r.id for r in receiver.received[before:]}.isdisjoint(settled)
        again = {message for message, times in arrived.items() if times > 1}
        assert again
        assert again.isdisjoint(doomed.said("sent successfully"))
        assert set(arrived.values()) == {1, 2}
        assert await look.log() == each_once(published)
        assert other.said("sent successfully")


async def test_kill_of_a_publisher(postgres_url, make_webhooks, start):
    """Every trigger that returned before the kill is delivered by the worker of another process."""
    webhooks = make_webhooks(database=postgres_url, poll_interval=0.1)
    publisher = await start(postgres_url, deliver=False)
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        await webhooks.start()
        publisher.tell("trigger 5000")
        await publisher.says("published", 100)
        await publisher.killed()
        await Look(postgres_url).all_done()
        arrived = Counter(r.id for r in receiver.received)
        assert set(arrived) >= set(publisher.said("published"))
        assert set(arrived.values()) == {1}


async def test_kill_between_commit_and_wake_up(postgres_url, make_webhooks, start):
    """A publisher killed after its commit and before its NOTIFY leaves the event to be found."""
    webhooks = make_webhooks(database=postgres_url, poll_interval=0.1)
    fault = {"at": f"{QUEUE}:PostgresQueue.announce", "name": "SIGKILL"}
    publisher = await start(postgres_url, deliver=False, fault=fault)
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        await webhooks.start()
        publisher.tell("trigger 1")
        assert await publisher.ended() == -signal.SIGKILL
        assert not publisher.said("published")
        [arrived] = await receiver.arrived(1)
        assert arrived.json()["data"] == {"n": 0}
        await Look(postgres_url).all_done()


async def test_kill_between_answer_and_settle(postgres_url, make_webhooks, start):
    """A worker killed after the answer, before it is written, has that message sent once more."""
    look = Look(postgres_url)
    webhooks = make_webhooks(database=postgres_url, poll_interval=0.1)
    with Receiver() as receiver:
        fault = {"at": f"{QUEUE}:PostgresQueue.settle", "name": "SIGKILL"}
        register = [[receiver.url, {}]]
        doomed = await start(postgres_url, register=register, fault=fault, lease=1)
        doomed.tell("trigger 1")
        assert await doomed.ended() == -signal.SIGKILL
        assert await look.log() == {}
        await webhooks.start()
        first, second = await receiver.arrived(2)
        await look.all_done()
        assert (first.id, first.body, first.attempt) == (second.id, second.body, second.attempt)
        assert await look.log() == each_once([first.id])


@pytest.mark.parametrize("at", ["route", "claim", "settle"])
async def test_kill_in_the_middle_of_a_transaction(postgres_url, make_webhooks, start, at):
    """A worker killed with a transaction open leaves its locks to the others and nothing else."""
    look = Look(postgres_url)
    webhooks = make_webhooks(database=postgres_url, poll_interval=0.1)
    inside = {"route": "_fill", "claim": "_due_rows", "settle": "_move_on"}[at]
    with Receiver() as receiver:
        fault = {"at": f"{QUEUE}:{inside}", "name": "SIGKILL"}
        register = [[receiver.url, {"concurrency": 1}]]
        doomed = await start(postgres_url, register=register, fault=fault, lease=1)
        doomed.tell("trigger 300")
        assert await doomed.ended() == -signal.SIGKILL
        await look.rows("UPDATE hookline_worker SET seen_at = 0")  # as if ten seconds had gone by
        published = {r.message_id for r in await webhooks.trigger_many([("a.b", {})])}
        await look.all_done()
        log = await look.log()
        assert set(log) >= published | set(doomed.said("published"))
        assert set(log) == {r.id for r in receiver.received}
        assert log == each_once(log)
