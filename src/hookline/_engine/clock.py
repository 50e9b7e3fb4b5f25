"""The time: the real one, and one that tests drive."""

import asyncio
import threading
import time
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, Self


class SystemClock:
    """`_ports.Clock` on the machine's clock."""

    def now(self) -> int:
        """Return Unix milliseconds."""
        return time.time_ns() // 1_000_000

    async def wait(self, signal: Awaitable[Any], until: int | None) -> None:
        """Wait for the signal, or until `until`."""
        timeout = None if until is None else max(0, until - self.now()) / 1000
        try:
            await asyncio.wait_for(signal, timeout)
        except TimeoutError:
            return


class FakeClock:
    """A clock for tests: it stands still until `advance` is called, from any thread.

    `start` in Unix milliseconds (default: 2025-10-17T10:30:00Z, the guide's example).
    """

    def __init__(self, start: int = 1_760_697_000_000) -> None:
        """Begin at `start`."""
        self._now = start
        self._jumps = 0
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @classmethod
    def at_present(cls) -> Self:
        """Return one that stands at the machine's time, so that signatures are not too old."""
        return cls(SystemClock().now())

    def now(self) -> int:
        """Return Unix milliseconds."""
        return self._now

    def advance(self, by: float | timedelta) -> None:
        """Move on by so many seconds; whoever waits for a time that has come wakes up.

        Negative seconds set the clock back, as NTP or an operator may: all who wait wake up, as a
        real wait is a duration and ends whatever the clock shows.
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        with self._lock:
            self._now += round(seconds * 1000)
            self._jumps += seconds < 0
            waiting = list(self._waiting)
        for loop, moved in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(moved.set)

    async def wait(self, signal: Awaitable[Any], until: int | None) -> None:
        """Wait for the signal, or until the clock was advanced to `until`."""
        task = asyncio.ensure_future(signal)
        moved = asyncio.Event()
        entry = asyncio.get_running_loop(), moved
        with self._lock:
            self._waiting.add(entry)
        try:
            jumps = self._jumps
            while not task.done() and (until is None or self._now < until) and jumps == self._jumps:
                moved.clear()
                ticking = asyncio.ensure_future(moved.wait())
                await asyncio.wait({task, ticking}, return_when=asyncio.FIRST_COMPLETED)
                ticking.cancel()
        finally:
            with self._lock:
                self._waiting.discard(entry)
            if not task.done():
                task.cancel()
