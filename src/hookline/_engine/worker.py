"""The loop: route and claim, keep N in flight, settle in batches, stop gracefully."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable

from hookline._engine.attempt import Flight, conclude, prepare
from hookline._engine.batcher import Batcher
from hookline._ports import Clock, Leased, Observer, Queue, Results, Sender, Settlement
from hookline._settings import Settings

MOST_SETTLED = 1000
"""Settlements in one transaction."""
LOW_WATER = 0.5
"""Part of `max_in_flight` that must be free before a busy worker looks for more: fetching one at a
time would cost a transaction each."""
SWEEP_SHARE = 20
"""An empty look over all endpoints is repeated after this many times its own duration at least."""
BACKOFF = (100, 200, 500, 1000, 2000, 5000)
"""Milliseconds between tries while the database is away."""


class Worker:
    """Delivers what is due. Lives on the engine's loop; the sender calls in from its thread."""

    def __init__(
        self, queue: Queue, sender: Sender, clock: Clock, observer: Observer, settings: Settings
    ) -> None:
        """Nothing is started before `start`."""
        self._queue = queue
        self._sender = sender
        self._clock = clock
        self._observer = observer
        self._settings = settings
        self._lease_ms = int(settings.lease * 1000)
        self._poll_ms = int(settings.poll_interval * 1000)
        self._flying: set[Flight] = set()
        self._arrived: deque[Results] = deque()
        self._collecting = False
        self._wake = asyncio.Event()
        self._landed = asyncio.Event()
        self._settler: Batcher[tuple[Flight, Settlement]] = Batcher(self._settle, MOST_SETTLED)
        self._claim_at = 0
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._watched: dict[bytes, set[asyncio.Event]] = defaultdict(set)
        self.lost = 0

    @property
    def in_flight(self) -> int:
        """Deliveries leased by this worker and not settled yet."""
        return len(self._flying)

    def wake(self) -> None:
        """Look for work now. Call on the engine's loop."""
        self._wake.set()

    def watch(self, message: bytes, signal: asyncio.Event) -> Callable[[], None]:
        """Set `signal` whenever something of the message was routed or settled here."""
        self._watched[message].add(signal)

        def forget() -> None:
            self._watched[message].discard(signal)
            if not self._watched[message]:
                del self._watched[message]

        return forget

    async def start(self) -> None:
        """Begin delivering."""
        self._home = asyncio.get_running_loop()
        self._sender.start(self._on_results)
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._keep_leases())]

    async def stop(self) -> None:
        """Take no more work, finish what is in flight, give the rest back."""
        self._stopping = True
        self._wake.set()
        if not self._tasks:
            return
        run, *others = self._tasks
        self._tasks = []
        await run
        self._landed.clear()
        try:
            async with asyncio.timeout(self._settings.stop_timeout):
                while self._flying:
                    await self._landed.wait()
                    self._landed.clear()
        except TimeoutError:
            pass
        for task in others:
            task.cancel()
        self._sender.stop()
        await self._settler.drain()
        if self._flying:
            await self._queue.release([f.delivery for f in self._flying], self._clock.now())
            self._flying.clear()

    # taking work ---------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while not self._stopping:
            self._wake.clear()
            try:
                look_again = await self._look()
                failures = 0
            except Exception as error:  # noqa: BLE001 - the loop outlives whatever the database does
                self._observer.trouble("looking for work", error)
                look_again = self._clock.now() + BACKOFF[min(failures, len(BACKOFF) - 1)]
                failures += 1
                self._wake.clear()
            if not self._wake.is_set() and not self._stopping:
                await self._clock.wait(self._wake.wait(), look_again)

    async def _look(self) -> int:
        """Take what there is room for; return when to look again unless woken before."""
        most, now = self._settings.max_in_flight, self._clock.now()
        room = most - len(self._flying)
        if room < max(1, int(most * LOW_WATER)):
            return now + self._poll_ms  # an answer wakes it long before
        routed = await self._queue.route(room, now, now + self._lease_ms)
        self._launch(routed.leased)
        for message, event_type, endpoints in routed.counts:
            self._observer.routed(message, event_type, endpoints)
            self._notify(message)
        if routed.waiting:
            self._claim_at = now
        room -= len(routed.leased)
        if room > 0 and self._claim_at <= now:
            await self._claim(room, now)
        return min(self._claim_at, now + self._poll_ms, routed.next_due or self._claim_at)

    async def _claim(self, room: int, now: int) -> None:
        began = time.monotonic()
        claimed = await self._queue.claim(room, now, now + self._lease_ms)
        self._launch(claimed.leased)
        if claimed.next_due is not None and claimed.next_due <= now:
            self._claim_at = now
            return
        # Retries settled here are remembered as they are made; a look finds what others left.
        pause = max(self._poll_ms, int((time.monotonic() - began) * 1000 * SWEEP_SHARE))
        self._claim_at = min(now + pause, claimed.next_due or now + pause)

    def _launch(self, leased: Iterable[Leased]) -> None:
        now = self._clock.now()
        flights = [Flight(delivery, now) for delivery in leased]
        if flights:
            self._flying.update(flights)
            self._sender.send([prepare(flight, self._settings) for flight in flights])

    # landing -------------------------------------------------------------------------------

    def _on_results(self, results: Results) -> None:
        """Take outcomes over from the sender's thread, waking the loop once per gathering."""
        self._arrived.append(results)
        if not self._collecting and not self._home.is_closed():
            self._collecting = True
            self._home.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        self._collecting = False
        now, settled = self._clock.now(), []
        while self._arrived:
            for flight, outcome in self._arrived.popleft():
                settled.append((flight, conclude(flight, outcome, now, self._settings)))
        self._settler.add(settled)

    async def _settle(self, batch: list[tuple[Flight, Settlement]]) -> None:
        """Write the batch; try again until the database takes it."""
        settlements = [settlement for _, settlement in batch]
        kept = await self._persist(settlements)
        self._flying.difference_update(flight for flight, _ in batch)
        for settlement, ours in zip(settlements, kept, strict=True):
            self._report(settlement, ours=ours)
        self._landed.set()
        self._wake.set()

    async def _persist(self, settlements: list[Settlement]) -> list[bool]:
        for wait in (*BACKOFF, None):
            try:
                return await self._queue.settle(settlements)
            except Exception as error:  # noqa: BLE001 - the deliveries are due again when leases end
                self._observer.trouble("settling", error)
                if wait is None:
                    break
                await asyncio.sleep(wait / 1000)
        return [False] * len(settlements)

    def _report(self, settlement: Settlement, *, ours: bool) -> None:
        if not ours:
            self.lost += 1
            self._observer.lost(settlement)
            return
        decision = settlement.decision
        if decision.next_attempt_at is not None:
            self._claim_at = min(self._claim_at, decision.next_attempt_at)
        self._observer.attempted(settlement)
        if decision.disable_endpoint is not None:
            self._observer.disabled(settlement)
        self._notify(settlement.delivery.message)

    def _notify(self, message: bytes) -> None:
        for signal in self._watched.get(message, ()):
            signal.set()

    # leases --------------------------------------------------------------------------------

    async def _keep_leases(self) -> None:
        """Renew the leases of what is still in flight, a third of a lease before it matters."""
        pause = self._settings.lease / 3
        while True:
            await asyncio.sleep(pause)
            now = self._clock.now()
            old = now - int(pause * 1000)
            slow = [f.delivery for f in self._flying if f.started_at <= old]
            if not slow:
                continue
            try:
                await self._queue.renew(slow, now + self._lease_ms)
            except Exception as error:  # noqa: BLE001 - a lost lease is an ordinary result
                self._observer.trouble("renewing leases", error)
