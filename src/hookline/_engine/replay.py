"""Replay jobs, made step by step by whichever worker finds one due.

Between two steps nobody has a job: a step is claimed with a lease, and what it did and where it
ended is committed together. So a job survives whatever happens to the process, and several take
turns.
"""

import asyncio
import time
from collections.abc import Callable

from hookline._domain import ids
from hookline._domain.replay import REPLAY, Job, JobState, Selection
from hookline._engine.background import Background, told
from hookline._ports import Clock, Jobs, Observer
from hookline._settings import Settings
from hookline.errors import DeliveryTimeout

REST = 1.0
"""After a step, wait this many times its duration: the database has other work to do."""


class Replayer(Background):
    """Makes the steps of jobs."""

    what = "replaying"

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
        """See `Background`."""
        super().__init__(clock, observer, settings, working=working, ring=ring)
        self._jobs = jobs

    def wake(self) -> None:
        """Look for a step now: a job was added or changed. Call on the engine's loop."""
        super().wake()
        self._tell()

    async def _look(self) -> int:
        """Make the steps that are due; return when to look again unless woken before."""
        while not self._stopping and self._working():
            due = await self._jobs.next_due()
            now = self._clock.now()
            if due is None or due > now:
                return self._at(due, now)
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

    async def change(self, app: bytes, key: bytes, seen: Job | None) -> Job | None:
        """Return the job once it differs from `seen`, or has ended; None when there is none."""
        with self._watching() as changed:
            while True:
                changed.clear()
                job = await self._jobs.get(app, key)
                if job is None or job.state.final or job != seen:
                    return job
                await told(changed)

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
