"""The one thread that writes to an SQLite file.

Whatever is waiting when it looks up shares one transaction: concurrent triggers share a commit,
and so do the settlements and claims of a busy worker. Only turns with a durable job wait for the
disk: the others may lose their last log lines to a power cut (never to a crash of the process),
and the deliveries they settled are then sent again.
"""

import asyncio
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from hookline._storage.sqlite.owner import check_not_forked, open_files
from hookline.errors import StorageError

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process's write transaction."""
PEEK_INTERVAL = 0.1
"""Seconds between looks at the file's data version while idle: two microseconds each."""
INCREMENTAL = 2
MOST_JOBS = 64
"""Jobs in one transaction: a bound on how long others wait for the write lock."""


@dataclass(slots=True, eq=False)
class Job:
    """Something to do on the lane's connection.

    `look` reads first, outside the transaction; when it returns None there is nothing to write
    and the result is `nothing`. Otherwise what it found is handed to `run`.
    """

    run: Callable[..., Any]
    future: asyncio.Future[Any]
    durable: bool = False
    look: Callable[[sqlite3.Connection], Any] | None = None
    nothing: Any = None
    found: tuple[Any, ...] = ()


class Lane:
    """A thread with one connection and a queue of jobs."""

    def __init__(self, path: str, on_foreign_write: Callable[[], None]) -> None:
        """`on_foreign_write` is called on the lane's thread when somebody else wrote."""
        self._path = path
        self._on_foreign_write = on_foreign_write
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._main, name="hookline-sqlite", daemon=True)
        self._opened: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        self._synchronous = ""

    async def open(self) -> None:
        """Start the thread and wait for its connection; raise StorageError when it cannot open."""
        check_not_forked(self._path)
        loop = asyncio.get_running_loop()
        self._opened, self._closed = loop.create_future(), loop.create_future()
        self._thread.start()
        await self._opened

    async def close(self) -> None:
        """Finish what is queued and end the thread. Safe to call twice.

        Uses no executor: at the interpreter's exit those are gone before we are.
        """
        if self._closed is None:
            return
        if not self._closed.done():
            self._jobs.put(None)
        await asyncio.shield(self._closed)
        self._thread.join()

    def submit(
        self,
        run: Callable[..., Any],
        *,
        durable: bool = False,
        look: Callable[[sqlite3.Connection], Any] | None = None,
        nothing: Any = None,
    ) -> asyncio.Future[Any]:
        """Queue a job; its future belongs to the running loop."""
        future = asyncio.get_running_loop().create_future()
        if not self._thread.is_alive():
            future.set_exception(StorageError("the database was closed"))
        else:
            self._jobs.put(Job(run, future, durable, look, nothing))
        return future

    def _main(self) -> None:
        try:
            connection = connect(self._path)
        except (sqlite3.Error, OSError) as error:
            _tell(self._closed)
            _tell(self._opened, StorageError(f"{self._path}: {error}"))
            return
        open_files[self._path] += 1
        _tell(self._opened)
        try:
            self._serve(connection)
        finally:
            connection.close()
            open_files[self._path] -= 1
            _tell(self._closed)

    def _serve(self, connection: sqlite3.Connection) -> None:
        seen = 0
        while True:
            try:
                job = self._jobs.get(timeout=PEEK_INTERVAL)
            except Empty:
                with suppress(sqlite3.Error):  # no look this time; a job will say what is wrong
                    version = _data_version(connection)
                    if version != seen:
                        seen = version
                        self._on_foreign_write()
                continue
            jobs: list[Job] = []
            while job is not None and len(jobs) < MOST_JOBS:
                jobs.append(job)
                try:
                    job = self._jobs.get_nowait()
                except Empty:
                    break
            else:
                if job is not None:  # one too many: the next turn's first
                    jobs.append(job)
            if jobs:
                _resolve(self._turn(connection, jobs))
            if job is None:
                return

    def _turn(
        self, connection: sqlite3.Connection, jobs: list[Job]
    ) -> list[tuple[Job, Any, BaseException | None]]:
        """Run the jobs in one transaction; return each with its result or error."""
        results: list[tuple[Job, Any, BaseException | None]] = []
        writing = []
        for job in jobs:
            if job.look is None:
                writing.append(job)
                continue
            try:
                found = job.look(connection)
            except Exception as error:  # noqa: BLE001 - belongs to the job's caller
                results.append((job, None, _translated(error)))
                continue
            if found is None:
                results.append((job, job.nothing, None))
            else:
                job.found = (found,)
                writing.append(job)
        if writing:
            results += self._write(connection, writing)
        return results

    def _write(
        self, connection: sqlite3.Connection, jobs: list[Job]
    ) -> list[tuple[Job, Any, BaseException | None]]:
        results: list[tuple[Job, Any, BaseException | None]] = []
        try:
            self._begin(connection, durable=any(job.durable for job in jobs))
            for job in jobs:
                results.append(_run(connection, job, alone=len(jobs) == 1))
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - every job of the turn fails with it
            with suppress(sqlite3.Error):  # SQLite may have rolled back by itself (a full disk)
                connection.execute("ROLLBACK")
            return [(job, None, _translated(error)) for job in jobs]
        return results

    def _begin(self, connection: sqlite3.Connection, *, durable: bool) -> None:
        synchronous = "FULL" if durable else "NORMAL"
        if synchronous != self._synchronous:
            connection.execute(f"PRAGMA synchronous={synchronous}")
            self._synchronous = synchronous
        # Never a deferred transaction when writing: it would fail half way with BUSY_SNAPSHOT.
        connection.execute("BEGIN IMMEDIATE")


def connect(path: str) -> sqlite3.Connection:
    """Open the file the way the lane wants it."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
    try:
        # Setting it writes, also where it is set: ask first. Of effect in an empty file only.
        if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != INCREMENTAL:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA cache_size=-16000")
    except BaseException:
        connection.close()
        raise
    return connection


def _tell(future: asyncio.Future[None] | None, error: BaseException | None = None) -> None:
    """Resolve a future of another thread's loop."""
    if future is None or future.get_loop().is_closed():
        return
    future.get_loop().call_soon_threadsafe(_settle_futures, [(future, None, error)])


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _run(
    connection: sqlite3.Connection, job: Job, *, alone: bool
) -> tuple[Job, Any, BaseException | None]:
    """Run one job; its failure undoes its own writes and nobody else's."""
    if alone:
        return job, job.run(connection, *job.found), None
    connection.execute("SAVEPOINT job")
    try:
        result = job.run(connection, *job.found)
    except Exception as error:
        if not connection.in_transaction:
            raise  # SQLite undid the whole turn by itself (a full disk): nobody's writes stand
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return job, None, _translated(error)
    connection.execute("RELEASE job")
    return job, result, None


def _translated(error: BaseException) -> BaseException:
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return StorageError(
            f"SQLite: {error} for {BUSY_TIMEOUT:g} s: another connection holds a write transaction "
            "open. When it is the caller's own, hand it over: trigger(..., session=session)"
        )
    if isinstance(error, sqlite3.Error):
        return StorageError(f"SQLite: {error}")
    return error


def _resolve(results: list[tuple[Job, Any, BaseException | None]]) -> None:
    """Hand results to their loops, waking each loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Any]] = defaultdict(list)
    for job, result, error in results:
        by_loop[job.future.get_loop()].append((job.future, result, error))
    for loop, items in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle_futures, items)


def _settle_futures(items: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for future, result, error in items:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
