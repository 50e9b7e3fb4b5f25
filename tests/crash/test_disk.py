"""SQLite in trouble: the disk is full, the file read-only or locked, its owner dies."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest
from tests.crash.support import PATIENCE, Look, Processes, each_once

from hookline.errors import StorageError
from hookline.testing import Receiver

ROOT = os.geteuid() == 0


@pytest.fixture
def start(tmp_path):
    """Return a starter of processes; they end with the test."""
    with Processes(tmp_path) as starter:
        yield starter


# a full disk ------------------------------------------------------------------------------------


class SmallDisk:
    """A file system of a few megabytes, and a migrated database on it."""

    def __init__(self, folder, template):
        self.folder = folder
        self.file = folder / "hookline.db"
        shutil.copy(template, self.file)

    async def shrink(self, _webhooks):
        """Leave little room: the file system is small from the start."""

    async def grow(self, _webhooks):
        """Make room."""
        self._mount("remount,size=64m")

    def _mount(self, options):
        subprocess.run(["mount", "-o", options, self.folder], check=True)


class FewPages:
    """A database whose own limit of pages stands for the end of the disk: needs no privileges."""

    def __init__(self, folder, template):
        self.file = folder / "hookline.db"
        shutil.copy(template, self.file)

    async def shrink(self, webhooks):
        """Leave room for some 200 kB."""
        await self._limit(webhooks, "(SELECT page_count + 50 FROM pragma_page_count)")

    async def grow(self, webhooks):
        """Make room."""
        await self._limit(webhooks, "1000000")

    @staticmethod
    async def _limit(webhooks, pages):
        async def limit():
            def job(connection):
                [[count]] = connection.execute(f"SELECT {pages}")
                connection.execute(f"PRAGMA max_page_count={count}")

            await webhooks._runtime.engine.queue._open.submit(job)

        await webhooks._runtime.on_home(limit())


@pytest.fixture(params=["disk", "pages"])
def small(request, tmp_path, database_file):
    """A database with little room to grow: on a small disk (root only), and by a limit of pages."""
    folder = tmp_path / "small"
    folder.mkdir()
    if request.param == "pages":
        yield FewPages(folder, database_file)
        return
    mounting = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]
    if not ROOT or subprocess.run(mounting, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield SmallDisk(folder, database_file)
    subprocess.run(["umount", "--lazy", folder], check=True)


async def test_a_full_disk(small, make_webhooks):
    """With the disk full a trigger raises StorageError saying so, and nothing is half-written.

    What was published before is delivered once there is room again, and triggers work again.
    """
    database, answer = f"sqlite:///{small.file}", threading.Event()
    webhooks, look = make_webhooks(database=database, lease=5, poll_interval=0.1), Look(database)
    with Receiver() as receiver:
        receiver.answer(lambda _: 200 if answer.wait(PATIENCE) else 500)
        webhooks.register(receiver.url, ["*"], concurrency=2)
        await webhooks.start()
        await small.shrink(webhooks)
        published, errors = [], []
        while len(errors) < 30:
            calls = (webhooks.trigger("a.b", {"x": "x" * 5000}) for _ in range(10))
            for result in await asyncio.gather(*calls, return_exceptions=True):
                (errors if isinstance(result, Exception) else published).append(result)
        assert {type(error) for error in errors} == {StorageError}
        assert [str(error) for error in errors if "full" not in str(error)] == []
        answer.set()  # what is in the air cannot be settled now

        await small.grow(webhooks)
        published.append(await webhooks.trigger("a.b", {}))
        await look.all_done()
        messages = {receipt.message_id for receipt in published}
        assert len(published) > 10
        assert await look.log() == each_once(messages)
        assert Counter(r.id for r in receiver.received) == dict.fromkeys(messages, 1)
        assert await look.rows("PRAGMA integrity_check") == [("ok",)]
        assert await look.rows("SELECT count(*) FROM hookline_message") == [(len(published),)]


async def test_a_start_on_a_full_disk(small, make_webhooks):
    """A worker that starts on a full disk gives up nothing: it delivers once there is room."""
    database = f"sqlite:///{small.file}"
    publisher = make_webhooks(database=database, deliver=False)
    with Receiver() as receiver:
        publisher.register(receiver.url, ["*"])
        await publisher.start()
        await small.shrink(publisher)
        published = []

        async def fill():
            while True:
                published.append(await publisher.trigger("a.b", {"x": "x" * 5000}))

        with pytest.raises(StorageError, match="full"):
            await fill()
        webhooks = make_webhooks(database=database, poll_interval=0.1)
        await webhooks.start()
        await small.grow(publisher)
        await Look(database).all_done()
        assert published
        assert {r.id for r in receiver.received} == {each.message_id for each in published}


# a read-only one --------------------------------------------------------------------------------


@pytest.fixture
def read_only(tmp_path, database_file):
    """A migrated database nobody may write to."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]
    mounted = ROOT and not subprocess.run(mounting, check=False).returncode
    shutil.copy(database_file, folder / "hookline.db")
    if mounted:
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    elif ROOT:
        pytest.skip("root may write everywhere, and cannot mount here")
    else:
        (folder / "hookline.db").chmod(0o444)
        folder.chmod(0o555)
    yield folder / "hookline.db"
    if mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)
    else:
        folder.chmod(0o755)


async def test_a_read_only_database(read_only, make_webhooks):
    """On a file that cannot be written a start raises StorageError that names it; nothing stays."""
    webhooks = make_webhooks(database=f"sqlite:///{read_only}")
    for begin in (webhooks.start, lambda: webhooks.trigger("a.b", {})):
        with pytest.raises(StorageError, match=str(read_only)):
            await begin()
    assert [t.name for t in threading.enumerate() if t.name.startswith("hookline")] == []


# a locked one -----------------------------------------------------------------------------------

LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


@pytest.fixture
def locker(database_file):
    """Return a process that has the write lock of the file, until it is written a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOCKER, database_file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


async def test_another_process_holds_the_write_lock(make_webhooks, request, told, monkeypatch):
    """While another process holds the write lock too long, a trigger raises an error saying so.

    The worker survives it: what is answered meanwhile is settled afterwards, and sent once.
    """
    for module in ("lane", "engine"):
        monkeypatch.setattr(f"hookline._storage.sqlite.{module}.BUSY_TIMEOUT", 0.2)
    webhooks, answer = make_webhooks(), threading.Event()
    with Receiver() as receiver:
        receiver.answer(lambda _: 200 if answer.wait(PATIENCE) else 500)
        webhooks.register(receiver.url, ["*"], concurrency=5)
        receipts = await webhooks.trigger_many([("a.b", {"n": n}) for n in range(20)])
        await receiver.arrived(5)
        locker = request.getfixturevalue("locker")
        assert await asyncio.to_thread(locker.stdout.readline) == "locked\n"
        with pytest.raises(StorageError, match=r"locked.*another connection holds a write"):
            await webhooks.trigger("a.b", {})
        answer.set()
        await told.wait("Trouble while settling")
        locker.communicate("go\n")
        receipts.append(await webhooks.trigger("a.b", {}))
        for receipt in receipts:
            await receipt.delivered(PATIENCE)
        arrived = Counter(r.id for r in receiver.received)
        assert arrived == {receipt.message_id: 1 for receipt in receipts}


# two processes on one file ----------------------------------------------------------------------


async def test_the_owner_of_the_file_is_killed(database_file, start):
    """Of two processes on one file one delivers; when it is killed the other takes over.

    Each message arrives, none that was settled comes again, and the log has every one of them.
    """
    url, killed = f"sqlite:///{database_file}", threading.Event()
    look = Look(url)
    with Receiver() as receiver:
        receiver.answer(lambda r: 200 if r.number < 300 or killed.wait(PATIENCE) else 500)
        options = {"register": [[receiver.url, {}]], "lease": 1, "poll_interval": 0.1}
        owner = await start(url, **options)
        other = await start(url, **options)
        other.tell("trigger 500")
        await other.says("published", 500)
        await owner.says("sent successfully", 100)
        await receiver.arrived(300)
        assert not other.said("sent successfully")
        await owner.killed()
        settled, before = await look.log(), receiver.count
        killed.set()
        await look.all_done()
        arrived = Counter(r.id for r in receiver.received)
        assert set(arrived) == set(other.said("published"))
        assert {r.id for r in receiver.received[before:]}.isdisjoint(settled)
        assert set(arrived.values()) == {1, 2}
        assert await look.log() == each_once(arrived)


async def test_the_owner_of_the_file_leaves(database_file, start):
    """When the process that delivers from a file stops, the other one takes over at once."""
    url, hold = f"sqlite:///{database_file}", threading.Event()
    look = Look(url)
    with Receiver() as receiver:
        receiver.answer(lambda _: 200 if hold.wait(PATIENCE) else 500)
        options = {"register": [[receiver.url, {"concurrency": 2}]], "lease": 3600}
        owner = await start(url, **options)
        await start(url, **options)
        owner.tell("trigger 50")
        await receiver.arrived(2)
        owner.send(signal.SIGTERM)
        hold.set()
        await owner.says("stopped")
        assert await owner.ended() == 0
        await look.all_done()
        arrived = Counter(r.id for r in receiver.received)
        assert len(arrived) == 50
        assert set(arrived.values()) == {1}
        assert await look.log() == each_once(arrived)
