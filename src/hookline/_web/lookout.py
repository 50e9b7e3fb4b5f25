"""Readiness, looked at once a second at most, however often it is asked for."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from hookline._domain.readiness import FRESH, Readiness


class Lookout:
    """Asks, and remembers the answer for a moment."""

    def __init__(self, ask: Callable[[], Awaitable[Readiness]]) -> None:
        """`ask` may take its time."""
        self._ask = ask
        self._answer: Readiness | None = None
        self._asked_at = 0.0
        self._asking = asyncio.Lock()
        self.stopping = False
        """Set once the server takes no more work."""

    async def ask(self) -> Readiness:
        """Return what is ready."""
        if self.stopping:
            return Readiness(share="stopping")
        async with self._asking:
            if self._answer is None or time.monotonic() - self._asked_at > FRESH:
                self._answer = await self._ask()
                self._asked_at = time.monotonic()
            return self._answer
