"""What is done now and then: removing what has served its time, finding what was left behind."""

import asyncio
from collections.abc import Callable

from hookline._ports import Clock, Observer, Store

PRUNE_INTERVAL = 60.0
"""Seconds."""


async def keep_house(
    store: Store, clock: Clock, observer: Observer, ring_due: Callable[[], None]
) -> None:
    """Release and prune for ever, until canceled."""
    while True:
        await asyncio.sleep(PRUNE_INTERVAL)
        try:
            if await store.release_held(clock.now()):
                ring_due()
            await store.prune(clock.now())
        except Exception as error:  # noqa: BLE001 - next time, then
            observer.trouble("pruning", error)
