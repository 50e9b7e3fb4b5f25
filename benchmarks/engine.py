"""The contestant: an application that publishes, with Hookline's engine inside. A child process.

`main` is given one of the tasks at the end of this file; each answers with one JSON object.
"""

import asyncio
import itertools
import logging
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import uvloop

from benchmarks import child, machine, payload
from benchmarks.databases import Book
from benchmarks.options import Options
from hookline import Webhooks
from hookline._domain import ids

LOOK_INTERVAL = 0.02
"""Seconds between looks whether the last row is settled: the error of what is measured."""


@dataclass(kw_only=True)
class Spec:
    """What a child is asked to do."""

    task: str
    database: str
    endpoints: list[tuple[str, str]] = field(default_factory=list)
    """URL and event type of each healthy endpoint."""
    sick: list[tuple[str, str]] = field(default_factory=list)
    """The same of those that do not answer; nobody waits for their deliveries."""
    events: list[str] = field(default_factory=list)
    """What is triggered, round and round."""
    messages: int = 0
    callers: int = 64
    warm_up: int = 0
    deadline: float = 120
    """Seconds after which a run is cut short: what is settled by then counts."""
    settings: dict[str, Any] = field(default_factory=dict)
    server_pid: int | None = None
    pause: float = 0
    due_at: float | None = None
    """Unix time before which nothing published is due."""


@dataclass
class Contestant:
    """The engine under test and what a task needs beside it."""

    spec: Spec
    hooks: Webhooks
    book: Book

    async def publish(self, messages: int, waits: list[float] | None = None) -> None:
        """Trigger from so many concurrent callers, each waiting for its commit."""
        due = self.spec.due_at
        later = {} if due is None else {"deliver_at": datetime.fromtimestamp(due, UTC)}
        todo = itertools.islice(itertools.cycle(self.spec.events), messages)

        async def caller() -> None:
            for event in todo:
                began = time.perf_counter()
                await self.hooks.trigger(event, payload.DATA, payload.METADATA, **later)
                if waits is not None:
                    waits.append(time.perf_counter() - began)

        await asyncio.gather(*(caller() for _ in range(self.spec.callers)))

    async def settled(self) -> None:
        """Return when no healthy endpoint has an open delivery."""
        keys: list[bytes] = []
        if self.spec.sick:
            stored = await self.keys()
            keys = [stored[url] for url, _ in self.spec.endpoints]
        while await self.book.open(keys):  # noqa: ASYNC110 - other processes have no Event for us
            await asyncio.sleep(LOOK_INTERVAL)

    async def keys(self) -> dict[str, bytes]:
        """Return the key of each endpoint by its URL."""
        stored = await self.hooks.endpoints()
        return {e.url: ids.decode(ids.ENDPOINT, e.id or "") or b"" for e in stored}

    async def deliver(self, messages: int, deadline: float) -> bool:
        """Publish and wait until all is settled; return whether that was before the deadline."""
        try:
            async with asyncio.timeout(deadline):
                await self.publish(messages)
                await self.settled()
        except TimeoutError:
            return False
        return True

    async def measured(self, work: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
        """Say 'ready', wait for the parent, do the work and return what it cost."""
        child.wait_for_go()
        pid = self.spec.server_pid
        server = machine.tree_cpu(pid) if pid else 0.0
        threads, cpu, began = machine.thread_cpu(), time.process_time(), time.monotonic()
        finished = await work()
        seconds, cpu = time.monotonic() - began, time.process_time() - cpu
        spent = {n: round(t - threads.get(n, 0), 4) for n, t in machine.thread_cpu().items()}
        return {
            "finished": finished,
            "seconds": seconds,
            "cpu": cpu,
            "server_cpu": machine.tree_cpu(pid) - server if pid else 0.0,
            "threads": spent,
        }


# Tasks -----------------------------------------------------------------------------------------


async def prepare(it: Contestant) -> dict[str, Any]:
    """Store the endpoints and return their keys, so that rows can be made for them."""
    await it.hooks.start()
    engine = it.hooks._runtime.engine  # noqa: SLF001 - the application's key is nobody's business else
    assert engine is not None
    keys = {url: key.hex() for url, key in (await it.keys()).items()}
    return {"app": engine.app.hex(), "endpoints": keys}


async def deliver(it: Contestant) -> dict[str, Any]:
    """End to end: from the first trigger to the last settled row."""
    await it.hooks.start()
    await it.deliver(it.spec.warm_up, 5)
    memory = [machine.rss()]
    sampling = asyncio.create_task(sample(memory))
    said = await it.measured(lambda: it.deliver(it.spec.messages, it.spec.deadline))
    sampling.cancel()
    return {**said, "rss": [*memory, machine.rss()], "peak_rss": machine.peak_rss()}


async def sample(memory: list[float]) -> None:
    while True:
        await asyncio.sleep(0.5)
        memory.append(machine.rss())


async def publish(it: Contestant) -> dict[str, Any]:
    """Durable publish, nothing else (the settings say `deliver=False`)."""
    await it.hooks.start()
    await it.publish(it.spec.warm_up)
    waits: list[float] = []
    said = await it.measured(lambda: it.publish(it.spec.messages, waits))
    return {**said, "wait_ms": percentiles(waits)}


async def latency(it: Contestant) -> dict[str, Any]:
    """One message at a time on an idle system; return when each was triggered."""
    await it.hooks.start()
    await it.deliver(it.spec.warm_up, 5)
    starts: dict[str, float] = {}

    async def one_by_one() -> None:
        for event in itertools.islice(itertools.cycle(it.spec.events), it.spec.messages):
            began = time.time()
            receipt = await it.hooks.trigger(event, payload.DATA, payload.METADATA)
            starts[receipt.message_id] = began
            await asyncio.sleep(it.spec.pause)

    said = await it.measured(one_by_one)
    await it.settled()
    return {**said, "starts": starts}


async def drain(it: Contestant) -> dict[str, Any]:
    """Deliver what others published, as one of several workers; return when all was settled."""
    await it.hooks.start()
    return {**await it.measured(it.settled), "ended": time.monotonic()}


TASKS = {task.__name__: task for task in (prepare, deliver, publish, latency, drain)}


def percentiles(seconds: Iterable[float]) -> dict[str, float]:
    """Return p50 and p99 in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": round(cuts[49] * 1000, 3), "p99": round(cuts[98] * 1000, 3)}


async def main(spec: Spec) -> None:
    """Do the task and say what it found."""
    options = Options()
    hooks = Webhooks(database=spec.database, **options.settings(spec.settings))
    for url, event in [*spec.endpoints, *spec.sick]:
        hooks.register(url, [event], payload.SECRET, **options.endpoint(len(spec.endpoints)))
    async with Book(spec.database) as book:
        child.say(**await TASKS[spec.task](Contestant(spec, hooks, book)))


if __name__ == "__main__":
    # Its own log goes nowhere: what is measured is the engine, not somebody's handler.
    logging.getLogger("hookline").addHandler(logging.NullHandler())
    uvloop.run(main(Spec(**child.spec())))
