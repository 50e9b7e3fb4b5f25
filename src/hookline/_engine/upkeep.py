"""What is done now and then: removing what has served its time."""

import asyncio

from hookline._ports import Clock, Observer, Store

PRUNE_INTERVAL = 60.0
"""Seconds."""


async def keep_house(store: Store, clock: Clock, observer: Observer) -> None:
    """Prune for ever, until canceled."""
    while True:
        await asyncio.sleep(PRUNE_INTERVAL)
        try:
            await store.prune(clock.now())
        except Exception as error:  # noqa: BLE001 - next time, then
            observer.trouble("pruning", error)
