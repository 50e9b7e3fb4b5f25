"""`kill -9` at the worst moments: nothing is lost, nothing that was settled is sent again."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from textwrap import dedent

import pytest
import sqlalchemy as sa

from hookline import DeliveryState
from hookline._domain import ids
from hookline._storage.schema import attempt
from hookline.testing import Receiver

MESSAGES = 1000


@pytest.fixture
def start_process(tmp_path, database_file):
    """Return a starter of Python code in a process of its own: it gets the database's URL first."""
    running = []

    def start(code, *arguments, url=None):
        script = tmp_path / "script.py"
        script.write_text(dedent(code), "utf-8")
        process = subprocess.Popen(
            [sys.executable, script, url or f"sqlite:///{database_file}", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def kill(process):
    """Kill without warning and return what it had said."""
    os.kill(process.pid, signal.SIGKILL)
    said = process.stdout.read().split()
    assert process.wait() == -signal.SIGKILL
    return said


@pytest.fixture
def read_log(database_file):
    """Return a reader of the whole log: per message id its attempts as (number, state, status)."""
    engine = sa.create_engine(f"sqlite:///{database_file}")

    def read():
        columns = attempt.c.message_id, attempt.c.number, attempt.c.state, attempt.c.status
        found = defaultdict(list)
        with engine.connect() as connection:
            for key, *rest in connection.execute(sa.select(*columns)):
                found[ids.encode(ids.MESSAGE, bytes(key))].append(tuple(rest))
        return dict(found)

    yield read
    engine.dispose()


DELIVER = """
    import asyncio, sys
    from hookline import Webhooks

    webhooks = Webhooks(database=sys.argv[1], lease=1, max_in_flight=64)
    webhooks.register(sys.argv[2], ["order.paid"])

    async def main():
        calls = [webhooks.trigger("order.paid", {"n": n}) for n in range(int(sys.argv[3]))]
        for receipt in await asyncio.gather(*calls):
            print(receipt.message_id)
        print("published", flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
"""


async def test_kill_in_the_middle_of_deliveries(
    start_process, make_webhooks, receiver, read_log, eventually
):
    """Killed in the middle of 1,000 deliveries and started again, the rest is delivered.

    Each message arrives, none that was settled comes again, and the log has every one of them.
    """
    in_the_middle, killed = threading.Event(), threading.Event()

    def answer(received):
        if received.number >= MESSAGES // 3:
            in_the_middle.set()
            killed.wait(20)
        return 200

    receiver.answer(answer)
    process = start_process(DELIVER, receiver.url, str(MESSAGES))
    said = [(await asyncio.to_thread(process.stdout.readline)).strip() for _ in range(MESSAGES + 1)]
    *published, last = said
    assert last == "published"
    assert await asyncio.to_thread(in_the_middle.wait, 20)
    await eventually(lambda: len(read_log()) > 0, "something to be settled")
    assert await asyncio.to_thread(kill, process) == []
    killed.set()
    url, port = receiver.url, int(receiver.base.rpartition(":")[2])
    receiver.close()  # what it got of the dead process is complete now
    first_life = {each.id for each in receiver.received}
    settled = read_log()
    assert 0 < len(settled) < MESSAGES
    assert set(settled) <= first_life
    succeeded = (1, "succeeded", 200)
    assert all(attempts == [succeeded] for attempts in settled.values())

    webhooks = make_webhooks(lease=1, poll_interval=0.1)
    webhooks.register(url, ["order.paid"])
    with Receiver(secret="your-secret-key", port=port) as again:
        webhooks.init()
        await eventually(lambda: len(read_log()) == MESSAGES, "every message to have its row")
        await webhooks.stop()
        second_life = Counter(each.id for each in again.received)

    assert first_life | set(second_life) == set(published)
    assert set(second_life) == set(published) - set(settled)
    assert set(second_life.values()) == {1}
    assert read_log() == {message: [succeeded] for message in published}


PUBLISH = """
    import asyncio, sys
    from hookline import Webhooks

    webhooks = Webhooks(database=sys.argv[1], deliver=False)

    async def main():
        n = 0
        while True:
            receipt = await webhooks.trigger("order.paid", {"n": n})
            print(receipt.message_id, flush=True)
            n += 1

    asyncio.run(main())
"""


async def test_kill_of_a_publisher(start_process, make_webhooks, receiver):
    """Every trigger that returned before the kill is delivered by another process."""
    process = start_process(PUBLISH)
    for _ in range(100):
        assert await asyncio.to_thread(process.stdout.readline)
    published = 100 + len([line for line in await asyncio.to_thread(kill, process) if line])
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["order.paid"])
    webhooks.init()

    def numbers():
        return {each.json()["data"]["n"] for each in receiver.received}

    await asyncio.to_thread(receiver.wait_until, lambda: numbers() >= set(range(published)))
    await webhooks.stop()
    # One more may have been committed whose receipt was never printed.
    assert numbers() <= set(range(published + 1))
    assert len({each.id for each in receiver.received}) == receiver.count == len(numbers())


async def test_kill_between_commit_and_wake_up(start_process, make_webhooks, receiver):
    """A process killed right after its commit, before any delivery, leaves the event for others."""
    process = start_process(
        """
        import asyncio, os, signal, sys
        from hookline import Webhooks
        from hookline._storage.sqlite.queue import SqliteQueue

        publish = SqliteQueue.publish

        async def publish_and_die(self, messages):
            await publish(self, messages)
            os.kill(os.getpid(), signal.SIGKILL)

        SqliteQueue.publish = publish_and_die
        # Routing may share the commit: then the dead process has the lease for a second.
        webhooks = Webhooks(database=sys.argv[1], lease=1)
        webhooks.register(sys.argv[2], ["*"])
        asyncio.run(webhooks.trigger("order.paid", {"n": 1}))
        """,
        receiver.url,
    )
    assert await asyncio.to_thread(process.wait, 20) == -signal.SIGKILL
    webhooks = make_webhooks(poll_interval=0.1)
    webhooks.init()
    [arrived] = await receiver.arrived(1)
    assert arrived.json()["data"] == {"n": 1}
    await webhooks.stop()
    assert receiver.count == 1


async def test_kill_between_answer_and_settle(start_process, make_webhooks, receiver):
    """A process killed after the answer, before it is written, sends that message once more."""
    process = start_process(
        """
        import asyncio, os, signal, sys
        from hookline import Webhooks
        from hookline._storage.sqlite.queue import SqliteQueue

        async def die(*_):
            os.kill(os.getpid(), signal.SIGKILL)

        SqliteQueue.settle = die
        webhooks = Webhooks(database=sys.argv[1], lease=1)
        webhooks.register(sys.argv[2], ["*"])

        async def main():
            await webhooks.trigger("order.paid", {"n": 1})
            await asyncio.Event().wait()

        asyncio.run(main())
        """,
        receiver.url,
    )
    assert await asyncio.to_thread(process.wait, 20) == -signal.SIGKILL
    webhooks = make_webhooks(poll_interval=0.1)
    webhooks.init()
    first, second = await receiver.arrived(2)
    await webhooks.stop()
    assert (first.id, first.body, first.attempt) == (second.id, second.body, second.attempt)
    [only] = await make_webhooks(deliver=False).attempts(first.id)
    assert (only.state, only.number) == (DeliveryState.SUCCEEDED, 1)


async def test_kill_in_a_transaction(start_process, make_webhooks, receiver):
    """A process killed before the commit of its own transaction sends nothing of it."""
    process = start_process(
        """
        import asyncio, os, signal, sys
        import sqlalchemy as sa
        from sqlalchemy.orm import Session
        from hookline import Webhooks

        webhooks = Webhooks(database=sys.argv[1], deliver=False)

        async def main():
            await webhooks.start()
            with Session(sa.create_engine(sys.argv[1])) as session:
                await webhooks.trigger("order.paid", {"n": 1}, session=session)
                session.commit()
                await webhooks.trigger("order.paid", {"n": 2}, session=session)
                session.flush()
                os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(main())
        """
    )
    assert await asyncio.to_thread(process.wait, 20) == -signal.SIGKILL
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    third = await webhooks.trigger("order.paid", {"n": 3})
    await third.delivered()
    await receiver.arrived(2)
    await webhooks.stop()
    assert sorted(each.json()["data"]["n"] for each in receiver.received) == [1, 3]


async def test_kill_in_a_migration(start_process, make_webhooks, receiver, tmp_path):
    """A process killed while it makes the tables leaves a file the next one can migrate."""
    url = f"sqlite:///{tmp_path}/fresh.db"
    process = start_process(
        """
        import asyncio, os, signal, sys
        import sqlalchemy as sa
        from hookline import Webhooks

        @sa.event.listens_for(sa.Engine, "after_cursor_execute")
        def die(connection, cursor, statement, parameters, context, many):
            if "CREATE TABLE hookline_delivery" in statement:
                os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(Webhooks(database=sys.argv[1]).start())
        """,
        url=url,
    )
    assert await asyncio.to_thread(process.wait, 20) == -signal.SIGKILL
    webhooks = make_webhooks(database=url)
    webhooks.register(receiver.url, ["*"])
    await (await webhooks.trigger("order.paid", {"n": 1})).delivered()
    assert receiver.count == 1
