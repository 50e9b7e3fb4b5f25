"""Batches that form by themselves: while one is being written, the next one gathers."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Batcher(Generic[T]):
    """Calls `write` with what gathered since the last call; one call at a time.

    Lives on one event loop. `write` must not raise.
    """

    def __init__(self, write: Callable[[list[T]], Awaitable[None]], most: int) -> None:
        """`most`: items in one batch."""
        self._write = write
        self._most = most
        self._waiting: deque[T] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether something is waiting or being written."""
        return self._task is not None

    def add(self, items: list[T]) -> None:
        """Gather items; they are written soon."""
        self._waiting.extend(items)
        if self._task is None and self._waiting:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._waiting:
                size = min(self._most, len(self._waiting))
                await self._write([self._waiting.popleft() for _ in range(size)])
        finally:
            self._task = None

    async def drain(self) -> None:
        """Return when nothing is waiting or being written."""
        while self._task is not None:
            await asyncio.wait([self._task])
