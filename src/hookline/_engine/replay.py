"""Replay jobs, made step by step by whichever worker finds one due.

Between two steps nobody has a job: a step is claimed with a lease, and what it did and where it
ended is committed together. So a job survives whatever happens to the process, and several take
turns.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from hookline._domain import ids
from hookline._domain.replay import REPLAY, Job, JobState, Selection
from hookline._engine.lookout import keep_looking
from hookline._ports import Clock, Jobs, Observer
from hookline._settings import Settings
from hookline.errors import DeliveryTimeout

REST = 1.0
"""After a step, wait this many times its duration: the database has other work to do."""
LOOK_INTERVAL = 0.5
"""Seconds between looks at a job another process may be working on."""
STOP_SECONDS = 5.0
"""What a step under way is given when the engine stops: far more than it takes."""


class Replayer:
    """Makes the steps of jobs, and tells who waits for them. Lives on the engine's loop."""

    def __init__(
        self,
        jobs: Jobs,
        clock: Clock,
        observer: Observer,
        settings: Settings,
        *,
        working: Callable[[], bool],
        ring: Callable[[], None],
    ) -> None:
        """`working`: whether deliveries are made here; `ring` is called when some were made due."""
        self._jobs = jobs
        self._clock = clock
        self._observer = observer
        self._poll_ms = int(settings.poll_interval * 1000)
        self._lease_ms = int(settings.lease * 1000)
        self._working = working
        self._ring = ring
        self._wake = asyncio.Event()
        self._watched: set[asyncio.Event] = set()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look for jobs."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Finish the step under way. Safe to call twice."""
        self._stopping = True
        self._wake.set()
        task, self._task = self._task, None
        if task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(task, STOP_SECONDS)

    def wake(self) -> None:
        """Look for a step now: a job was added or changed. Call on the engine's loop."""
        self._wake.set()
        self._tell()

    async def _run(self) -> None:
        await keep_looking(
            self._look,
            "replaying",
            wake=self._wake,
            clock=self._clock,
            observer=self._observer,
            stopping=lambda: self._stopping,
        )

    async def _look(self) -> int:
        """Make the steps that are due; return when to look again unless woken before."""
        while not self._stopping and self._working():
            due = await self._jobs.next_due()
            now = self._clock.now()
            if due is None or due > now:
                return now + self._poll_ms if due is None else min(due, now + self._poll_ms)
            began = time.monotonic()
            await self._step(now)
            await asyncio.sleep((time.monotonic() - began) * REST)
        return self._clock.now() + self._poll_ms

    async def _step(self, now: int) -> None:
        leased = await self._jobs.claim(now, now + self._lease_ms)
        if leased is None:
            return
        try:
            made_due = await self._jobs.step(leased, now)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # Nothing the database did: it would be the same next time, and the other jobs wait.
            self._observer.trouble(f"replaying {ids.encode(ids.JOB, leased.key)}", error)
            await self._jobs.fail(leased, f"{type(error).__name__}: {error}", now)
            made_due = 0
        if made_due:
            self._ring()
        self._tell()

    # asking --------------------------------------------------------------------------------

    async def add(
        self, app: bytes, selection: Selection, rate: float | None, task: str = REPLAY
    ) -> Job:
        """Store a job, and begin with it if it is this worker's turn."""
        job = await self._jobs.add(app, selection, rate, self._clock.now(), task)
        self.wake()
        return job

    async def cancel(self, app: bytes, key: bytes) -> Job | None:
        """Cancel a job and tell who waits for it."""
        job = await self._jobs.cancel(app, key, self._clock.now())
        self.wake()
        return job

    def _tell(self) -> None:
        for signal in self._watched:
            signal.set()

    async def change(self, app: bytes, key: bytes, seen: Job | None) -> Job | None:
        """Return the job once it differs from `seen`, or has ended; None when there is none."""
        changed = asyncio.Event()
        self._watched.add(changed)
        try:
            while True:
                changed.clear()
                job = await self._jobs.get(app, key)
                if job is None or job.state.final or job != seen:
                    return job
                try:
                    await asyncio.wait_for(changed.wait(), LOOK_INTERVAL)
                except TimeoutError:
                    continue
        finally:
            self._watched.discard(changed)

    async def end(self, app: bytes, key: bytes, timeout: float) -> Job | None:
        """Return the job once it has ended; DeliveryTimeout after `timeout` seconds."""
        job = None
        try:
            async with asyncio.timeout(timeout):
                while True:
                    job = await self.change(app, key, job)
                    if job is None or job.state.final:
                        return job
        except TimeoutError:
            name = ids.encode(ids.JOB, key)
            raise DeliveryTimeout(_unfinished(name, timeout, job)) from None


def _unfinished(name: str, timeout: float, job: Job | None) -> str:
    if job is None or job.state is JobState.QUEUED:
        return f"{name}: not begun within {timeout:g} s; is a worker running?"
    far = f"{job.done:,} of {job.total:,} made due"
    return f"{name}: not finished within {timeout:g} s, {far}; it goes on in the background"
