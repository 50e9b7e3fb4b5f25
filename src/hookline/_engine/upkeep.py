"""What is done now and then: removing what has served its time, finding what was left behind."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from hookline._ports import Clock, Observer, Store

PRUNE_INTERVAL = 60.0
"""Seconds."""
OVERTAKEN = 1.0
"""Seconds after which it is looked once more for what is held at an endpoint that was released.

A message that was being routed meanwhile, by another process, may have been held just after.
"""


async def keep_house(
    store: Store,
    clock: Clock,
    observer: Observer,
    ring_due: Callable[[], None],
    released: asyncio.Event,
) -> None:
    """Release and prune for ever, until canceled. `released` is set when an endpoint was."""
    prune_at = time.monotonic() + PRUNE_INTERVAL
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, prune_at - time.monotonic())):
                await released.wait()
                await asyncio.sleep(OVERTAKEN)
        released.clear()
        try:
            if await store.release_held(clock.now()):
                ring_due()
            if time.monotonic() >= prune_at:
                prune_at = time.monotonic() + PRUNE_INTERVAL
                await store.prune(clock.now())
        except Exception as error:  # noqa: BLE001 - next time, then
            observer.trouble("pruning", error)
            prune_at = time.monotonic() + PRUNE_INTERVAL
