"""The synchronous face: the same engine, from threads, forks and scripts."""

import inspect
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from hookline import ApplicationWebhooks, SyncWebhooks, Webhooks
from hookline._app.applications import Applications
from hookline._app.event_types import EventTypes
from hookline._app.sync import SyncApplication, SyncApplications, SyncEventTypes
from hookline.errors import EndpointNotFound, MessageNotFound, SessionMismatch

ASYNCHRONOUS = {"start", "stop", "follow", "lifespan"}
"""What has another name there: start and close, or is for loops."""


def public_coroutines(kind):
    names = {name for name in dir(kind) if not name.startswith("_")} - ASYNCHRONOUS
    waited = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    return {name for name in names if any(is_(getattr(kind, name)) for is_ in waited)}


@pytest.mark.parametrize(
    ("kind", "face"),
    [
        (Webhooks, SyncWebhooks),
        (ApplicationWebhooks, SyncApplication),
        (Applications, SyncApplications),
        (EventTypes, SyncEventTypes),
    ],
)
def test_nothing_is_missing(kind, face):
    """Whatever is awaited has its twin that waits."""
    assert public_coroutines(kind) - set(dir(face)) == set()


def test_the_life_of_an_endpoint(make_webhooks, receiver):
    """Endpoints, messages, attempts and replays are there without a loop."""
    with make_webhooks().sync as webhooks:
        made = webhooks.create_endpoint(receiver.url, ["a.*"])
        receipt = webhooks.trigger("a.b", {"n": 1}, idempotency_key="k")
        [status] = receipt.delivered()
        assert status.endpoint_id == made.id
        assert webhooks.trigger("a.b", {"n": 1}, idempotency_key="k").duplicate
        assert [a.status for a in webhooks.attempts(receipt.message_id)] == [200]
        job = webhooks.replay(made, since=webhooks.message(receipt.message_id).created_at)
        assert [each.state.final for each in webhooks.watch_job(job.id)][-1]
        assert webhooks.wait(job.finished()).state == "finished"
        webhooks.delete_endpoint(made)
        with pytest.raises(EndpointNotFound):
            webhooks.endpoint(made.id)
        with pytest.raises(MessageNotFound):
            webhooks.cancel("msg_nothing")


def test_applications_without_a_loop(make_webhooks, receiver):
    """So are other applications."""
    webhooks = make_webhooks().sync
    webhooks.applications.create("Acme", uid="acme")
    acme = webhooks.for_application("acme")
    acme.create_endpoint(receiver.url, ["*"])
    first, second = acme.trigger_many([("a.b", {"n": 1}), ("a.b", {"n": 2})])
    assert len(first.delivered()) == len(second.delivered()) == 1
    assert webhooks.messages().items == []


def test_without_an_engine(make_webhooks):
    """Looking after the database needs no engine, and starts none."""
    webhooks = make_webhooks().sync
    assert webhooks.migrate() is False
    assert webhooks.schema().found == webhooks.schema().needed
    assert [f for f in webhooks.diagnose() if f.check == "database"]
    assert webhooks.webhooks._runtime.engine is None


def test_threads_share_it(make_webhooks, receiver):
    """Many threads publish at once, the first of them starts the engine."""
    webhooks = make_webhooks().sync
    webhooks.register(receiver.url, ["*"])
    with ThreadPoolExecutor(16) as pool:
        receipts = list(pool.map(lambda n: webhooks.trigger("a.b", {"n": n}), range(64)))
        assert all(pool.map(lambda receipt: receipt.delivered(), receipts))
    assert sorted(each.json()["data"]["n"] for each in receiver.received) == list(range(64))


def test_on_its_own_thread(make_webhooks, receiver):
    """Called where it would wait for itself, it says so."""
    webhooks = make_webhooks().sync
    webhooks.start()

    async def callback():
        return webhooks.trigger("a.b", {})

    with pytest.raises(RuntimeError, match="own thread"):
        webhooks.wait(callback())


async def test_inside_a_loop(make_webhooks, receiver):
    """In a coroutine it works too: that loop waits meanwhile, as for any blocking call."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    receipt = webhooks.sync.trigger("a.b", {})
    assert receipt.delivered()


async def test_an_asynchronous_session(make_webhooks, database_file):
    """It refuses an asynchronous session, before anything happens."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{database_file}")
    async with AsyncSession(engine) as session:
        with pytest.raises(SessionMismatch, match=r"AsyncSession is asynchronous; use await"):
            make_webhooks().sync.trigger("a.b", {}, session=session)
    await engine.dispose()


def run(code, **environment):
    """Run a script in an interpreter of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_script_ends(database_file, receiver):
    """What a script triggered last is sent before the interpreter is gone."""
    code = """
        import os
        from hookline import Webhooks
        webhooks = Webhooks(database=os.environ["URL"]).sync
        webhooks.register(os.environ["TO"], ["*"])
        for n in range(20):
            webhooks.trigger("a.b", {"n": n})
    """
    run(code, URL=f"sqlite:///{database_file}", TO=receiver.url)
    receiver.wait_for(20, timeout=0)


FORKING = """
    import os, sys
    from hookline import Webhooks
    webhooks = Webhooks(database=os.environ["URL"], migrate="never").sync
    webhooks.register(os.environ["TO"], ["*"])
    webhooks.trigger("a.b", {"n": 0}).delivered()
    children = []
    for n in (1, 2, 3):
        pid = os.fork()
        if not pid:
            webhooks.trigger("a.b", {"n": n}).delivered(20)
            webhooks.close()
            os._exit(0)
        children.append(pid)
    webhooks.trigger("a.b", {"n": 4}).delivered(20)
    print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children])
    webhooks.trigger("a.b", {"n": 5}).delivered(20)
"""


def test_forks(postgres_url, receiver):
    """Children of a process that delivers have engines of their own, and leave its alone."""
    printed = run(FORKING, URL=postgres_url, TO=receiver.url)
    assert printed.strip() == "[0, 0, 0]"
    assert sorted(each.json()["data"]["n"] for each in receiver.received) == [0, 1, 2, 3, 4, 5]


def test_a_fork_while_somebody_holds_the_locks(make_webhooks, postgres_url):
    """A child forked while a thread starts the engine starts one itself: no lock is inherited."""
    code = """
        import os, threading
        from hookline import Webhooks
        webhooks = Webhooks(database=os.environ["URL"], migrate="never", deliver=False)
        runtime = webhooks._runtime
        held, done = threading.Event(), threading.Event()
        def hold():
            with runtime._starting, runtime._declaring:
                held.set()
                done.wait()
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        pid = os.fork()
        if not pid:
            webhooks.sync.trigger("a.b", {})
            os._exit(7)
        done.set()
        thread.join()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    assert run(code, URL=postgres_url).strip() == "7"


def test_a_stop_in_between(make_webhooks, receiver):
    """Closed by one thread while others publish, it starts again and loses nothing."""
    webhooks = make_webhooks().sync
    webhooks.register(receiver.url, ["*"])
    stopping = threading.Thread(target=lambda: [webhooks.close() for _ in range(3)])
    webhooks.trigger("a.b", {"n": 0})
    stopping.start()
    for n in range(1, 10):
        webhooks.trigger("a.b", {"n": n})
    stopping.join()
    webhooks.trigger("a.b", {"n": 10}).delivered()
    receiver.wait_for(11)
