"""Looking for work in the database, again and again, whatever the database does."""

import asyncio
from collections.abc import Awaitable, Callable

from hookline._ports import Clock, Observer

BACKOFF = (1000, 2000, 5000)
"""Milliseconds between looks while the database is away."""


async def keep_looking(
    look: Callable[[], Awaitable[int]],
    what: str,
    *,
    wake: asyncio.Event,
    clock: Clock,
    observer: Observer,
    stopping: Callable[[], bool],
) -> None:
    """Call `look`, which returns when (Unix ms) to look again unless woken before, until stopping.

    What it raises is told as trouble with `what`, and tried again with growing pauses.
    """
    failures = 0
    while not stopping():
        wake.clear()
        try:
            look_again = await look()
            failures = 0
        except Exception as error:  # noqa: BLE001 - outlives whatever the database does
            observer.trouble(what, error)
            look_again = clock.now() + BACKOFF[min(failures, len(BACKOFF) - 1)]
            failures += 1
        if not stopping():
            await clock.wait(wake.wait(), look_again)
