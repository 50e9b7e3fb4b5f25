"""What the crash tests share: processes to kill, the database read directly, requests counted."""

import asyncio
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from hookline._domain import ids
from hookline._storage.schema import attempt, delivery, outbox

PATIENCE = 15.0
"""Seconds after which a process or a database that was waited for has failed the test."""


def each_once(messages):
    """Return what `Look.log` finds when each message was delivered by its first attempt."""
    return {message: [(1, "succeeded", 200)] for message in messages}


async def until(condition, what):
    """Wait until a condition (awaitable or not) holds; for what has no signal to wait for."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = condition()
                if await found if inspect.isawaitable(found) else found:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited for {what}") from None


class Process:
    """One `process.py`, and what it said."""

    def __init__(self, folder, options):
        script = Path(__file__).with_name("process.py")
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", script, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,  # no webhooks.json or hookline.toml of somebody else
        )
        self._changed = threading.Condition()
        self._lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._lines.append("ended")
            self._changed.notify_all()

    @property
    def pid(self):
        """Its process id."""
        return self._process.pid

    def said(self, text):
        """Return the first words of the lines with that text: message ids, mostly."""
        with self._changed:
            return [line.partition(" ")[0] for line in self._lines if text in line]

    async def says(self, text, n=1):
        """Wait until it has said something `n` times."""

        def wait():
            with self._changed:
                enough = self._changed.wait_for(lambda: self._count(text) >= n, PATIENCE)
                assert enough, f"waited for {n} lines with {text!r}, the last: {self._lines[-20:]}"

        await asyncio.to_thread(wait)

    def _count(self, text):
        return sum(text in line for line in self._lines)

    def tell(self, command):
        """Write a line to its standard input."""
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def send(self, number):
        """Send it a signal."""
        os.kill(self.pid, number)

    async def killed(self):
        """Kill it without warning, or wait for it to be; what it had said is complete then."""
        self.send(signal.SIGKILL)
        assert await self.ended() == -signal.SIGKILL

    async def ended(self):
        """Wait for its end and return its exit status."""
        status = await asyncio.to_thread(self._process.wait, PATIENCE)
        await asyncio.to_thread(self._reader.join, PATIENCE)
        return status

    async def frozen(self):
        """Stop it in its tracks, and return once it stands still."""
        self.send(signal.SIGSTOP)
        await asyncio.to_thread(os.waitid, os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def thawed(self):
        """Let it go on."""
        self.send(signal.SIGCONT)

    def close(self):
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._process.stdin.close()
        self._process.stdout.close()


class Processes:
    """A starter of processes that ends them with the test: `with Processes(folder) as start`."""

    def __init__(self, folder):
        self._folder = folder
        self._running = []

    def __enter__(self):
        return self.start

    def __exit__(self, *_):
        for process in self._running:
            process.close()

    async def start(self, database, *, ready=True, **options):
        """Start one on a database; return it once it is ready."""
        process = Process(self._folder, {"database": database, **options})
        self._running.append(process)
        if ready:
            await process.says("ready")
        return process


class Gauge:
    """An answer for a receiver that counts the requests it has at once."""

    def __init__(self, hold=None):
        self.now = self.most = 0
        self._hold = hold
        self._lock = threading.Lock()

    def __call__(self, _received):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        if self._hold is not None:
            self._hold.wait(PATIENCE)
        with self._lock:
            self.now -= 1
        return 200


class Look:
    """Reads a database directly, and changes it the way an operator at a console would."""

    def __init__(self, url):
        url = sa.make_url(url)
        driver = "aiosqlite" if url.get_backend_name() == "sqlite" else "asyncpg"
        url = url.set(drivername=f"{url.get_backend_name()}+{driver}")
        self._engine = create_async_engine(url, poolclass=NullPool)

    def transaction(self):
        """Return a transaction of its own: `async with look.transaction() as connection`."""
        return self._engine.begin()

    async def rows(self, statement, **values):
        """Run one statement and return its rows, of which there may be none."""
        statement = sa.text(statement) if isinstance(statement, str) else statement
        async with self.transaction() as connection:
            result = await connection.execute(statement, values)
            return [tuple(row) for row in result] if result.returns_rows else []

    async def log(self):
        """Return the whole log: per message its attempts as (number, state, status)."""
        found = defaultdict(list)
        columns = attempt.c.message_id, attempt.c.number, attempt.c.state, attempt.c.status
        for key, *rest in await self.rows(sa.select(*columns)):
            found[ids.encode(ids.MESSAGE, bytes(key))].append(tuple(rest))
        return dict(found)

    async def left(self):
        """Return how much is still to be done: messages to route and deliveries to send."""
        count = sa.func.count()
        [[messages]] = await self.rows(sa.select(count).select_from(outbox))
        [[deliveries]] = await self.rows(sa.select(count).select_from(delivery))
        return messages + deliveries

    async def all_done(self):
        """Wait until nothing is left to be done."""

        async def done():
            return await self.left() == 0

        await until(done, "the queue to be empty")

    async def workers(self, count):
        """Wait until so many workers have signed on."""

        async def signed_on():
            return len(await self.rows("SELECT 1 FROM hookline_worker")) == count

        await until(signed_on, f"{count} workers")
