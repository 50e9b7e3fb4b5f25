"""One run of `hookline bench`: as fast as it goes, then at a pace that leaves room."""

import asyncio
import json
import math
import os
import platform
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hookline
from hookline import ApplicationWebhooks, Webhooks
from hookline.cli._reach.local import is_delivered
from hookline.errors import HooklineError, StorageError

EVENT = "hookline.bench"
SILENCE = 20.0
"""Seconds without any arrival after which a run has failed."""
BUSY = 0.5
"""Load per core, before the run, from which on the figures are too low."""
Progress = Callable[[str, int, int], None]


class BenchFailed(HooklineError):
    """The run came to no figures."""


@dataclass(frozen=True)
class Plan:
    """What to do: so many messages of a size, `publishers` at once; then `paced` at a rate."""

    messages: int
    size: int
    publishers: int
    rate: float
    paced: int


@dataclass
class Figures:
    """What came of it. Times in milliseconds, from the call that publishes to the arrival."""

    messages: int
    payload_bytes: int
    published_per_second: float
    delivered_per_second: float
    full_load_p50_ms: float
    full_load_p99_ms: float
    paced_per_second: float
    paced_p50_ms: float
    paced_p99_ms: float
    database: str
    machine: dict[str, Any] = field(default_factory=dict)


async def run(database: str | None, plan: Plan, progress: Progress) -> Figures:
    """Run on a database, or on a temporary SQLite file, and return the figures."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    with TemporaryDirectory(prefix="hookline-bench-") as folder:
        url = database or f"sqlite:///{Path(folder) / 'bench.db'}"
        webhooks = Webhooks(database=url, development=True, deliver=True)
        if database is not None and await _shared(webhooks):
            raise BenchFailed(
                "other processes deliver from this database, and could not reach the receiver, "
                "which is on this machine only: stop them, or take another database"
            )
        try:
            figures = await _measured(webhooks, plan, progress)
        finally:
            await webhooks.stop()
    figures.machine = machine(load)
    return figures


async def _shared(webhooks: Webhooks) -> bool:
    schema = await webhooks.schema()
    if schema.found is None:
        raise StorageError("there is no Hookline in this database; make it: hookline migrate")
    return await is_delivered(webhooks)


def machine(load: float) -> dict[str, Any]:
    """Return what it ran on; `load` was the load before."""
    cores = os.cpu_count() or 1
    return {
        "cores": cores,
        "load_before": round(load, 2),
        "busy": load / cores > BUSY,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "hookline": hookline.__version__,
    }


async def _measured(webhooks: Webhooks, plan: Plan, progress: Progress) -> Figures:
    uid = f"hookline-bench-{secrets.token_hex(6)}"
    made = await webhooks.applications.create("A benchmark, deleted after it", uid=uid)
    receiver = _Receiver()
    try:
        await receiver.start()
        app = await webhooks.for_application(made.id)
        await app.create_endpoint(receiver.url, concurrency=256)
        await _publish(app, 1, 64, 1)  # the first one pays for connections and caches
        await receiver.wait(1, lambda _: None)
        receiver.clear()
        began = time.time_ns()
        published = await _publish(
            app,
            plan.messages,
            plan.size,
            plan.publishers,
            lambda n: progress("publishing", n, plan.messages),
        )
        await receiver.wait(plan.messages, lambda n: progress("delivering", n, plan.messages))
        whole = (receiver.last - began) / 1e9
        full = sorted(receiver.took)
        receiver.clear()
        await _pace(app, plan, lambda n: progress("at a pace", n, plan.paced))
        await receiver.wait(plan.paced, lambda _: None)
        paced = sorted(receiver.took)
    finally:
        await receiver.stop()
        with suppress(HooklineError):
            await webhooks.applications.delete(made.id)
    return Figures(
        messages=plan.messages,
        payload_bytes=plan.size,
        published_per_second=round(plan.messages / published, 1),
        delivered_per_second=round(plan.messages / whole, 1),
        full_load_p50_ms=percentile(full, 50),
        full_load_p99_ms=percentile(full, 99),
        paced_per_second=plan.rate,
        paced_p50_ms=percentile(paced, 50),
        paced_p99_ms=percentile(paced, 99),
        database=webhooks.settings.database.partition(":")[0].partition("+")[0],
    )


def percentile(ordered: Sequence[int], share: float) -> float:
    """Return a percentile (nearest rank) of microseconds in order, in milliseconds."""
    at = max(0, math.ceil(share / 100 * len(ordered)) - 1)
    return round(ordered[at] / 1000, 2)


async def _publish(
    app: ApplicationWebhooks,
    count: int,
    size: int,
    publishers: int,
    told: Callable[[int], None] = lambda _: None,
) -> float:
    """Publish as fast as it goes; return the seconds it took."""
    fill, numbers, done = "x" * size, iter(range(count)), 0
    began = time.monotonic()

    async def publisher() -> None:
        nonlocal done
        for n in numbers:
            await app.trigger(EVENT, {"n": n, "published": time.time_ns(), "fill": fill})
            done += 1
            told(done)

    await asyncio.gather(*(publisher() for _ in range(min(publishers, count))))
    return time.monotonic() - began


async def _pace(app: ApplicationWebhooks, plan: Plan, told: Callable[[int], None]) -> None:
    """Publish at a rate, each at its time whether or not the one before is through."""
    loop, fill = asyncio.get_running_loop(), "x" * plan.size
    began, tasks = loop.time(), []
    for n in range(plan.paced):
        await asyncio.sleep(max(0.0, began + n / plan.rate - loop.time()))
        data = {"n": n, "published": time.time_ns(), "fill": fill}
        tasks.append(asyncio.ensure_future(app.trigger(EVENT, data)))
        told(n + 1)
    await asyncio.gather(*tasks)


class _Receiver:
    """The receiver's process, and what it told."""

    def __init__(self) -> None:
        self.took: list[int] = []
        self.last = 0
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "hookline.cli._bench.receiver",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 26,
        )
        self._port = int(await self._line())

    async def _line(self) -> bytes:
        process = self._process
        if process is None or process.stdout is None:
            raise BenchFailed("the receiver is not running")
        try:
            line = await asyncio.wait_for(process.stdout.readline(), SILENCE)
        except TimeoutError:
            raise BenchFailed(
                f"nothing arrived for {SILENCE:g} s ({len(self.took)} did before); see hookline "
                "doctor"
            ) from None
        if not line:
            raise BenchFailed("the receiver ended")
        return line

    async def wait(self, count: int, told: Callable[[int], None]) -> None:
        """Wait until so many arrived."""
        while len(self.took) < count:
            found = json.loads(await self._line())
            self.took += found["took"]
            self.last = found["last"]
            told(len(self.took))

    def clear(self) -> None:
        self.took = []

    async def stop(self) -> None:
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if process.stdout is not None:
            await process.stdout.read()
        await process.wait()
