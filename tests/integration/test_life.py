"""Starting, stopping, sharing and surviving: loops, threads, forks, exits and locks."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from textwrap import dedent

import pytest

from hookline import DeliveryState
from hookline._storage.sqlite.queue import SqliteQueue
from hookline.errors import StorageError


@pytest.fixture
def run_script(tmp_path, database_file):
    """Return a runner of Python code in a process of its own; it must end well and be silent."""

    def run(code, *arguments, url=f"sqlite:///{database_file}", timeout=30):
        script = tmp_path / "script.py"
        script.write_text(dedent(code), "utf-8")
        done = subprocess.run(
            [sys.executable, "-W", "error", script, url, *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=tmp_path,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return run


async def test_nothing_is_opened_before_it_is_needed(make_webhooks, tmp_path):
    """Making a `Webhooks` and registering with it touches no file."""
    path = tmp_path / "none.db"
    webhooks = make_webhooks(database=f"sqlite:///{path}")
    webhooks.register("https://example.com/", ["*"])
    await webhooks.stop()
    assert not path.exists()


async def test_used_without_init(make_webhooks, receiver, tmp_path):
    """A trigger starts the engine, makes the file and its tables, and is delivered."""
    webhooks = make_webhooks(database=f"sqlite:///{tmp_path}/fresh.db")
    webhooks.register(receiver.url, ["*"])
    [status] = await (await webhooks.trigger("a.b", {})).delivered()
    assert status.state is DeliveryState.SUCCEEDED


def test_init_needs_no_loop(make_webhooks, receiver):
    """`init` works in plain code, and what it starts delivers while no loop runs there."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    webhooks.init()
    asyncio.run(webhooks.trigger("a.b", {"n": 1}))
    asyncio.run(webhooks.trigger("a.b", {"n": 2}))
    assert {each.json()["data"]["n"] for each in receiver.wait_for(2)} == {1, 2}
    webhooks.close()


async def test_init_inside_a_loop(make_webhooks, receiver):
    """`init` may be called in a coroutine, as the guide's startup event does."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    webhooks.init()
    await (await webhooks.trigger("a.b", {})).delivered()
    assert receiver.count == 1


async def test_start_and_stop_may_be_repeated(make_webhooks, receiver):
    """Starting and stopping twice is harmless, stopping what never ran too."""
    webhooks = make_webhooks()
    await webhooks.stop()
    webhooks.register(receiver.url, ["*"])
    for _ in range(3):
        await webhooks.start()
        await webhooks.start()
        await webhooks.stop()
        await webhooks.stop()
    assert receiver.count == 0


async def test_a_trigger_after_stop_starts_again(make_webhooks, receiver):
    """After `stop` a trigger starts the engine anew, with the endpoints declared before."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    for n in range(3):
        [status] = await (await webhooks.trigger("a.b", {"n": n})).delivered()
        assert status.state is DeliveryState.SUCCEEDED
        await webhooks.stop()
    assert receiver.count == 3


async def test_as_a_context_manager(make_webhooks, receiver):
    """`async with` starts and stops."""
    async with make_webhooks() as webhooks:
        webhooks.register(receiver.url, ["*"])
        await (await webhooks.trigger("a.b", {})).delivered()
    assert webhooks._runtime.engine is None


async def test_no_threads_are_left(make_webhooks, receiver):
    """After `stop` no thread of the engine is alive."""
    before = set(threading.enumerate())
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    await (await webhooks.trigger("a.b", {})).delivered()
    await webhooks.stop()
    left = {t.name for t in set(threading.enumerate()) - before if t.is_alive()}
    assert not {name for name in left if "hookline" in name or "sqlite" in name.lower()}, left


async def test_stop_finishes_what_is_in_flight(make_webhooks, receiver):
    """`stop` waits for answers under way and settles them."""
    gate = threading.Event()

    def answer(_):
        gate.wait(10)
        return 200

    receiver.answer(answer)
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    receipts = [await webhooks.trigger("a.b", {"n": n}) for n in range(5)]
    await receiver.arrived(5)
    stopping = asyncio.create_task(webhooks.stop())
    done, _ = await asyncio.wait({stopping}, timeout=0.1)
    assert not done
    gate.set()
    await stopping
    reader = make_webhooks(deliver=False)
    for receipt in receipts:
        [attempt] = await reader.attempts(receipt.message_id)
        assert attempt.state is DeliveryState.SUCCEEDED
    assert receiver.count == 5


async def test_stop_gives_back_what_does_not_finish(make_webhooks, receiver):
    """What is not answered within `stop_timeout` is due again at once, its count untouched."""
    gate = threading.Event()

    def hang(_):
        gate.wait(10)
        return 200

    receiver.answer(hang, times=2)
    webhooks = make_webhooks(stop_timeout=0.05)
    webhooks.register(receiver.url, ["*"])
    receipts = [await webhooks.trigger("a.b", {"n": n}) for n in range(2)]
    await receiver.arrived(2)
    await webhooks.stop()
    other = make_webhooks(lease=3600)
    await other.start()
    arrived = await receiver.arrived(4, timeout=5)
    gate.set()
    assert [each.attempt for each in arrived] == [1, 1, 1, 1]
    other_receipts = {each.id for each in arrived[2:]}
    assert other_receipts == {each.message_id for each in receipts}


async def test_stop_commits_what_was_handed_in(make_webhooks):
    """Triggers racing with `stop` return or raise; none hangs, and what returned is stored."""
    webhooks = make_webhooks()
    stored = []
    for pause in range(12):
        await webhooks.start()
        tasks = [asyncio.create_task(webhooks.trigger("a.b", {"n": n})) for n in range(20)]
        for _ in range(pause):
            await asyncio.sleep(0)
        await webhooks.stop()
        done, pending = await asyncio.wait(tasks, timeout=5)
        assert not pending
        stored += [task.result().message_id for task in done if task.exception() is None]
        for task in done:
            assert task.exception() is None or isinstance(task.exception(), StorageError)
    for message_id in stored[::20]:
        assert await webhooks.trigger("a.b", {}) is not None
        assert await webhooks.attempts(message_id) == []
    await webhooks.stop()


def test_triggers_from_threads_racing_with_stop(make_webhooks):
    """Threads that trigger while another stops and starts lose no call and never hang."""
    webhooks = make_webhooks()
    enough = threading.Event()
    counts = []

    def triggering():
        async def go():
            n = 0
            while not enough.is_set():
                async with asyncio.timeout(10):
                    await webhooks.trigger("a.b", {"n": n})
                n += 1
            counts.append(n)

        asyncio.run(go())

    threads = [threading.Thread(target=triggering) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        webhooks.close()
    enough.set()
    for thread in threads:
        thread.join(20)
    assert len(counts) == 3, "a trigger hung or raised"


def test_several_loops_in_several_threads(make_webhooks, receiver):
    """Coroutines of many loops share one engine: each gets its own receipt and event."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    webhooks.init()
    receipts = []

    def work(thread):
        async def go():
            calls = [webhooks.trigger("a.b", {"thread": thread, "n": n}) for n in range(25)]
            receipts.extend(await asyncio.gather(*calls))
            await receipts[-1].delivered()

        asyncio.run(go())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    arrived = receiver.wait_for(100)
    assert {each.id for each in arrived} == {r.message_id for r in receipts}
    told = sorted((each.json()["data"]["thread"], each.json()["data"]["n"]) for each in arrived)
    assert told == [(thread, n) for thread in range(4) for n in range(25)]


async def test_concurrent_triggers_share_commits(make_webhooks, monkeypatch):
    """A thousand triggers at once take a handful of commits; one after the other takes one each."""
    batches = []
    publish = SqliteQueue.publish

    async def counted(self, messages):
        batches.append(len(messages))
        return await publish(self, messages)

    monkeypatch.setattr(SqliteQueue, "publish", counted)
    webhooks = make_webhooks(deliver=False)
    await webhooks.start()
    receipts = await asyncio.gather(*(webhooks.trigger("a.b", {"n": n}) for n in range(1000)))
    assert len({r.message_id for r in receipts}) == 1000
    assert sum(batches) == 1000
    assert len(batches) <= 20
    del batches[:]
    for n in range(3):
        await webhooks.trigger("a.b", {"n": n})
    assert batches == [1, 1, 1]


async def test_one_conflict_in_a_shared_commit(make_webhooks):
    """Of many triggers in one commit, only the one whose key is taken gets the error."""
    webhooks = make_webhooks(deliver=False)
    await webhooks.trigger("a.b", {"n": 0}, idempotency_key="k")
    results = await asyncio.gather(
        *(
            webhooks.trigger("a.b", {"n": n}, idempotency_key="k" if n == 3 else None)
            for n in range(6)
        ),
        return_exceptions=True,
    )
    assert [type(r).__name__ for r in results] == [
        "IdempotencyConflict" if n == 3 else "Receipt" for n in range(6)
    ]


async def test_a_cancelled_trigger_harms_nobody(make_webhooks, receiver):
    """A caller that goes away before its commit leaves the others' events alone."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()
    tasks = [asyncio.create_task(webhooks.trigger("a.b", {"n": n})) for n in range(10)]
    await asyncio.sleep(0)
    tasks[4].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(r, asyncio.CancelledError) for r in results].count(True) == 1
    for result in results:
        if not isinstance(result, BaseException):
            await result.delivered()
    assert receiver.count in (9, 10)


async def test_a_locked_database_is_said_and_survived(make_webhooks, database_file, monkeypatch):
    """While somebody holds the write lock a trigger raises StorageError; afterwards all is well."""
    monkeypatch.setattr("hookline._storage.sqlite.lane.BUSY_TIMEOUT", 0.05)
    webhooks = make_webhooks()
    await webhooks.start()
    with closing(sqlite3.connect(database_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match=r"locked.*session=session"):
            await webhooks.trigger("a.b", {})
        other.execute("ROLLBACK")
    assert await (await webhooks.trigger("a.b", {})).delivered() == []


async def test_store_errors_are_hooklines_own(make_webhooks, database_file, monkeypatch):
    """What the database refuses while looking after endpoints is a StorageError too."""
    monkeypatch.setattr("hookline._storage.sqlite.lane.BUSY_TIMEOUT", 0.05)
    monkeypatch.setattr("hookline._storage.sqlite.engine.BUSY_TIMEOUT", 0.05)
    webhooks = make_webhooks()
    webhooks.register("https://example.com/", ["*"], secret="a secret of mine")
    await webhooks.start()
    with closing(sqlite3.connect(database_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for call in (
            webhooks.disable("https://example.com/", "why not"),
            webhooks.enable("https://example.com/"),
            webhooks.rotate_secret("https://example.com/", "another secret"),
        ):
            with pytest.raises(StorageError) as caught:
                await call
            assert "secret" not in str(caught.value)
        other.execute("ROLLBACK")


async def test_reading_beside_a_writer(make_webhooks, database_file, monkeypatch):
    """Looking at endpoints needs no write lock, not even on connections that are new."""
    monkeypatch.setattr("hookline._storage.sqlite.engine.BUSY_TIMEOUT", 0.05)
    webhooks = make_webhooks(deliver=False)
    await webhooks.start()
    with closing(sqlite3.connect(database_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await asyncio.gather(*(webhooks.endpoints() for _ in range(5))) == [[]] * 5
        other.execute("ROLLBACK")


async def test_a_database_that_cannot_be_opened(make_webhooks, tmp_path):
    """A folder that does not exist, a folder as file, and a file that is no database are said."""
    (tmp_path / "text.db").write_text("this is no database, but it is long enough to be read\n" * 9)
    for path in (tmp_path / "no" / "such" / "folder.db", tmp_path, tmp_path / "text.db"):
        webhooks = make_webhooks(database=f"sqlite:///{path}")
        with pytest.raises(StorageError, match=str(path)):
            await webhooks.trigger("a.b", {})
        assert webhooks._runtime.engine is None


async def test_two_engines_share_one_file(make_webhooks, receiver):
    """What one process publishes another delivers; both may deliver, and nothing comes twice."""
    publisher = make_webhooks(deliver=False)
    publisher.register(receiver.url, ["*"])
    workers = [make_webhooks() for _ in range(2)]
    for each in workers:
        await each.start()
    receipts = await asyncio.gather(*(publisher.trigger("a.b", {"n": n}) for n in range(100)))
    for receipt in receipts:
        [status] = await receipt.delivered()
        assert status.state is DeliveryState.SUCCEEDED
    assert sorted(each.json()["data"]["n"] for each in receiver.received) == list(range(100))


def test_a_script_may_simply_end(run_script, receiver):
    """A process that ends without `stop` finishes what is in flight, in silence."""
    receiver.answer(delay=0.2)
    run_script(
        """
        import asyncio, sys
        from hookline import Webhooks

        webhooks = Webhooks(database=sys.argv[1])
        webhooks.register(sys.argv[2], ["*"])

        async def main():
            for n in range(3):
                await webhooks.trigger("a.b", {"n": n})

        asyncio.run(main())
        """,
        receiver.url,
    )
    assert receiver.count == 3


def test_a_publisher_may_simply_end(run_script, make_webhooks, receiver):
    """A process that only publishes and ends at once leaves events for the next to deliver."""
    out = run_script(
        """
        import asyncio, sys
        from hookline import Webhooks

        webhooks = Webhooks(database=sys.argv[1], deliver=False)
        webhooks.register(sys.argv[2], ["*"])
        for n in range(3):
            print(asyncio.run(webhooks.trigger("a.b", {"n": n})).message_id)
        """,
        receiver.url,
    )
    assert receiver.count == 0
    make_webhooks().init()
    assert {each.id for each in receiver.wait_for(3)} == set(out.split())


FORK = """
    import asyncio, os, sys, warnings
    from hookline import Webhooks
    from hookline.errors import StorageError

    warnings.simplefilter("ignore", DeprecationWarning)  # Python's own about fork and threads
    webhooks = Webhooks(database=sys.argv[1])
    webhooks.register(sys.argv[2], ["*"])

    async def send(who):
        try:
            receipt = await webhooks.trigger("a.b", {"who": who})
            print(who, *[s.state.value for s in await receipt.delivered(10)], flush=True)
        except StorageError as error:
            print(who, "refused:", error, flush=True)

    if sys.argv[3] == "started":
        asyncio.run(send("before"))
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        asyncio.run(send("child"))
        os.read(reading, 1)
        asyncio.run(send("orphan"))
        os._exit(0)  # as multiprocessing ends its children
    asyncio.run(send("parent"))
    webhooks.close()
    os.write(writing, b"x")
    print("status", os.waitpid(child, 0)[1], flush=True)
    asyncio.run(send("after"))
    webhooks.close()
"""


def test_a_fork_of_a_running_engine_on_sqlite(run_script, receiver):
    """SQLite does not survive a fork: the child is refused and told what to do, and only it."""
    lines = run_script(FORK, receiver.url, "started").splitlines()
    refused = {line.split()[0] for line in lines if "refused" in line}
    assert refused == {"child", "orphan"}
    assert all("Start it after the fork" in line for line in lines if "refused" in line)
    others = {line for line in lines if "refused" not in line}
    assert others == {"before succeeded", "parent succeeded", "status 0", "after succeeded"}
    senders = [each.json()["data"]["who"] for each in receiver.received]
    assert senders == ["before", "parent", "after"]


def test_a_fork_before_the_start(run_script, receiver):
    """Parent and child that start after the fork both publish, and every event arrives once."""
    lines = run_script(FORK, receiver.url, "not started").splitlines()
    assert set(lines) == {
        *(f"{who} succeeded" for who in ("parent", "child", "orphan", "after")),
        "status 0",
    }
    senders = [each.json()["data"]["who"] for each in receiver.received]
    assert sorted(senders) == ["after", "child", "orphan", "parent"]


def test_a_fork_of_a_running_engine_on_postgresql(run_script, receiver, postgres):
    """On PostgreSQL the child starts an engine of its own; parent and child both deliver."""
    with postgres.fresh() as url:
        lines = run_script(FORK, receiver.url, "started", url=url).splitlines()
    assert set(lines) == {
        *(f"{who} succeeded" for who in ("before", "parent", "child", "orphan", "after")),
        "status 0",
    }
    senders = [each.json()["data"]["who"] for each in receiver.received]
    assert sorted(senders) == ["after", "before", "child", "orphan", "parent"]
