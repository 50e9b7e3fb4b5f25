"""What the engine does beside delivering: found in the database, whatever that does meanwhile."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar

from hookline._ports import Clock, Observer
from hookline._settings import Settings

BACKOFF = (1000, 2000, 5000)
"""Milliseconds between looks while the database is away."""
LOOK_INTERVAL = 0.5
"""Seconds between looks at something that another process may be working on."""
STOP_SECONDS = 5.0
"""What a look under way is given when the engine stops: far more than it takes."""


class Background(ABC):
    """Looks for work that is due, does it, and tells who waits for it. On the engine's loop."""

    what: ClassVar[str]
    """What is being done, as trouble is told."""

    def __init__(
        self,
        clock: Clock,
        observer: Observer,
        settings: Settings,
        *,
        working: Callable[[], bool],
        ring: Callable[[], None],
    ) -> None:
        """`working`: whether deliveries are made here; `ring` is called when some were made due."""
        self._clock = clock
        self._observer = observer
        self._working = working
        self._ring = ring
        self._poll_ms = int(settings.poll_interval * 1000)
        self._lease_ms = int(settings.lease * 1000)
        self._wake = asyncio.Event()
        self._watched: set[asyncio.Event] = set()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Finish the look under way. Safe to call twice."""
        self._stopping = True
        self._wake.set()
        task, self._task = self._task, None
        if task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(task, STOP_SECONDS)

    def wake(self) -> None:
        """Look now: there is something to do. Call on the engine's loop."""
        self._wake.set()

    @abstractmethod
    async def _look(self) -> int:
        """Do what is due; return when (Unix ms) to look again unless woken before."""

    async def _run(self) -> None:
        failures = 0
        while not self._stopping:
            self._wake.clear()
            try:
                look_again = await self._look()
                failures = 0
            except Exception as error:  # noqa: BLE001 - outlives whatever the database does
                self._observer.trouble(self.what, error)
                look_again = self._clock.now() + BACKOFF[min(failures, len(BACKOFF) - 1)]
                failures += 1
            if not self._stopping:
                await self._clock.wait(self._wake.wait(), look_again)

    def _at(self, due: int | None, now: int) -> int:
        """Return when to look again if nothing is due before `due`: sooner, by the poll."""
        return now + self._poll_ms if due is None else min(due, now + self._poll_ms)

    # whoever waits -------------------------------------------------------------------------

    def _tell(self) -> None:
        """Let everybody who waits look at what became of it."""
        for signal in self._watched:
            signal.set()

    @contextmanager
    def _watching(self) -> Iterator[asyncio.Event]:
        """Give a signal that is set whenever something was done here."""
        signal = asyncio.Event()
        self._watched.add(signal)
        try:
            yield signal
        finally:
            self._watched.discard(signal)


async def told(signal: asyncio.Event) -> None:
    """Return when something was done here, or may have been in another process."""
    with suppress(TimeoutError):
        await asyncio.wait_for(signal.wait(), LOOK_INTERVAL)
