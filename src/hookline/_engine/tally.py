"""Counting attempts as they end, and writing the counts every few seconds.

Nothing is added to what a delivery writes: the counts of a few seconds are one small batch.
"""

import asyncio

from hookline._domain.delivery import DeliveryState
from hookline._domain.tally import MINUTE, Tally
from hookline._engine.observers import Silent
from hookline._ports import Clock, Observer, Settlement, Tallies

INTERVAL = 5.0
"""Seconds between writes: what a process that is killed forgets of its counts."""


class Counter(Silent):
    """`_ports.Observer` that counts, and a task that writes. Lives on the engine's loop."""

    def __init__(self, tallies: Tallies, clock: Clock, observer: Observer) -> None:
        """Write to `tallies`; what goes wrong is told to `observer`, and tried again."""
        self._tallies = tallies
        self._clock = clock
        self._observer = observer
        self._counted: dict[tuple[bytes, int], Tally] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._keep_writing())

    async def stop(self) -> None:
        """Write what was counted last."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            await self.write()

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            await self.write()

    async def write(self) -> None:
        """Write what was counted since the last time; keep it for the next time when that fails."""
        counted, self._counted = self._counted, {}
        if not counted:
            return
        try:
            await self._tallies.add(counted)
        except Exception as error:  # noqa: BLE001 - the counts wait for the next time
            self._observer.trouble("writing tallies", error)
            for key, tally in counted.items():
                newer = self._counted.get(key)
                self._counted[key] = tally if newer is None else tally.plus(newer)

    def attempted(self, settlement: Settlement) -> None:
        """Count an attempt."""
        key = (settlement.delivery.target.key, settlement.started_at // 1000 // MINUTE * MINUTE)
        tally = self._counted.get(key)
        if tally is None:
            tally = self._counted[key] = Tally()
        outcome, state = settlement.outcome, settlement.decision.state
        tally.count(
            ok=state is DeliveryState.SUCCEEDED,
            final=state is DeliveryState.EXHAUSTED,
            milliseconds=None if outcome.status is None else outcome.timings.total / 1000,
        )
