"""trigger → message, durable. Callers that arrive together share a commit."""

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hookline._engine.batcher import Batcher
from hookline._ports import NewMessage, Queue
from hookline.errors import IdempotencyConflict, StorageError

MOST_MESSAGES = 1000
"""Messages in one commit."""
IDEMPOTENCY_WINDOW = 24 * 3600 * 1000
"""Milliseconds a key is remembered."""


def conflict(key: str | None) -> IdempotencyConflict:
    """Return the error for an idempotency key that stands for something else."""
    return IdempotencyConflict(
        f"idempotency_key {key!r} was used within 24 hours for another event, data or metadata; "
        "use a key that names this event"
    )


class EngineStopped(StorageError):
    """The engine stopped between being asked and being able to act; another one may be started."""


@dataclass(slots=True, eq=False)
class _Waiting:
    message: NewMessage
    future: asyncio.Future[bytes]


class Publisher:
    """Group commit: takes messages from any thread and loop, writes them on the engine's loop."""

    def __init__(
        self, queue: Queue, home: asyncio.AbstractEventLoop, on_commit: Callable[[], None]
    ) -> None:
        """`home` is the engine's loop; `on_commit` is called on it after each commit."""
        self._queue = queue
        self._home = home
        self._on_commit = on_commit
        self._arrived: deque[_Waiting] = deque()
        self._door = threading.Lock()
        self._closed = False
        self._scheduled = False
        self._batcher = Batcher(self._commit, MOST_MESSAGES)

    def publish(self, message: NewMessage) -> asyncio.Future[bytes]:
        """Return a future of the caller's loop: the message's key once it is committed.

        Raises EngineStopped when the door is shut: nothing was published.
        """
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        # Whoever gets in is served: `drain` shuts the door before it serves the last ones.
        with self._door:
            if self._closed:
                raise EngineStopped("Hookline was stopped meanwhile")
            self._arrived.append(_Waiting(message, future))
            # The flag is cleared on the home loop before it looks: at worst it wakes for nothing.
            if not self._scheduled:
                self._scheduled = True
                self._home.call_soon_threadsafe(self._gather)
        return future

    def _gather(self) -> None:
        self._scheduled = False
        self._batcher.add([self._arrived.popleft() for _ in range(len(self._arrived))])

    async def _commit(self, batch: list[_Waiting]) -> None:
        results: list[bytes | Exception]
        try:
            results = await self._queue.publish([w.message for w in batch])
        except Exception as error:  # noqa: BLE001 - every caller of the batch is told
            results = [error] * len(batch)
        else:
            self._on_commit()
        by_loop: dict[asyncio.AbstractEventLoop, list[Any]] = defaultdict(list)
        for waiting, result in zip(batch, results, strict=True):
            by_loop[waiting.future.get_loop()].append((waiting.future, result))
        for loop, items in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, items)

    async def drain(self) -> None:
        """Take no more messages; return when every one handed in is committed."""
        with self._door:
            self._closed = True
        self._gather()
        await self._batcher.drain()


def _resolve(items: list[tuple[asyncio.Future[bytes], bytes | Exception]]) -> None:
    for future, result in items:
        if future.done():  # its caller went away
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
