"""The loop: route and claim, keep N in flight, settle in batches, stop gracefully."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from hookline._domain.delivery import Decision, Failure, Outcome
from hookline._domain.expression.meter import ExpressionFailed
from hookline._engine.attempt import Flight, conclude, prepare
from hookline._engine.batcher import Batcher
from hookline._engine.keys import new_key
from hookline._engine.limiter import Limiter
from hookline._engine.tokens import Fetch, Tokens
from hookline._ports import (
    Circuits,
    Clock,
    Leased,
    Observer,
    Queue,
    Request,
    Results,
    Sender,
    Settled,
    Settlement,
    Share,
    Tracer,
)
from hookline._settings import Settings

MOST_SETTLED = 1000
"""Settlements in one transaction."""
LOW_WATER = 0.5
"""Part of `max_in_flight` that must be free before a busy worker looks for more: fetching one at a
time would cost a transaction each."""
MOST_HELD = 16
"""Times `max_in_flight` a worker holds at most, waiting for their turn and to be settled."""
UNDECIDED = 60_000
"""Milliseconds until a delivery is tried again whose answer could not be judged."""
ROUTE_PAUSE = 5
"""Milliseconds until more messages are routed when none of the last ones could be taken at once."""
SWEEP_SHARE = 20
"""An empty look over all endpoints is repeated after this many times its own duration at least."""
LONGEST_SWEEP = 5000
"""Milliseconds such a pause lasts at most: one slow look may have had another reason."""
BEAT_INTERVAL = 2.0
"""Seconds between signs of life; one that joins waits for one, so that all know their share."""
FAREWELL = 5.0
"""Seconds a stopping worker spends on telling a database that does not answer."""
TRANSFORMED = 8
"""Bodies transformed in one turn of the loop: each may take 100 ms of it, at worst."""
UNAUTHORIZED = 401
NEVER = 1 << 62
BACKOFF = (100, 200, 500, 1000, 2000, 5000)
"""Milliseconds between tries while the database is away."""


class Worker:
    """Delivers what is due. Lives on the engine's loop; the sender calls in from its thread."""

    def __init__(
        self,
        queue: Queue,
        sender: Sender,
        clock: Clock,
        observer: Observer,
        settings: Settings,
        before_routing: Callable[[], Awaitable[None]],
        tracer: Tracer | None = None,
    ) -> None:
        """Nothing is started before `start`; `before_routing` is awaited before each look."""
        self._queue = queue
        self._sender = sender
        self._clock = clock
        self._observer = observer
        self._settings = settings
        self._policy = settings.policy()
        self._proxying = settings.proxying()
        self._tokens = Tokens(settings, self._policy, self._proxying)
        self._before_routing = before_routing
        self._tracer = tracer
        self._lease_ms = int(settings.lease * 1000)
        self._poll_ms = int(settings.poll_interval * 1000)
        self._key = new_key(clock.now())
        self._limiter = Limiter()
        self._working = False  # whether this worker has a share of the work
        self._held: set[Flight] = set()  # leased and not settled
        self._ready: deque[Flight] = deque()  # allowed by their endpoint, waiting for a place
        self._airborne = 0
        self._arrived: deque[Results] = deque()
        self._collecting = False
        self._wake = asyncio.Event()
        self._landed = asyncio.Event()
        self._settler: Batcher[tuple[Flight, Settlement]] = Batcher(self._settle, MOST_SETTLED)
        self._looked_at = 0
        self._claim_at = 0
        self._settled = 0  # batches
        self._saturated = False  # an endpoint has more due than its limits let us take
        self._route_at = 0
        self._route_rest = 0
        self._route_blocked = 0  # looks in a row that found only what others were routing
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._errands: set[asyncio.Task[None]] = set()
        self._watched: dict[bytes, set[asyncio.Event]] = defaultdict(set)
        self.lost = 0

    @property
    def in_flight(self) -> int:
        """Deliveries leased by this worker and not settled yet."""
        return len(self._held)

    @property
    def working(self) -> bool:
        """Whether this worker has a share of the work."""
        return self._working

    @property
    def busy(self) -> bool:
        """Whether there is something to do, in the air, landing, being settled or given back.

        What waits for its endpoint's limits is not: only time moves that on.
        """
        under_way = self._airborne or self._arrived or self._settler.busy or self._errands
        return bool(under_way) or self._wake.is_set()

    def wake(self) -> None:
        """Look for work now: something was published. Call on the engine's loop."""
        self._route_at = min(self._route_at, self._route_rest)
        self._wake.set()

    def wake_due(self) -> None:
        """Look for everything now: deliveries became due by other means than time.

        Also what another process wants to say: it does not say what it did.
        """
        self._claim_at = 0
        self.wake()

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
        self._stopping = False
        self._sender.start(self._on_results)
        share = await self._beat()
        # With others about, wait for a beat: by then they all keep to their new share.
        self._working = share is not None and share.workers == 1
        self._tasks = [
            asyncio.create_task(self._run()),
            asyncio.create_task(self._keep_alive()),
            asyncio.create_task(self._keep_leases()),
        ]

    async def stop(self) -> None:
        """Take no more work, finish what is in flight, give the rest back."""
        self._stopping = True
        self._wake.set()
        if not self._tasks:
            self._sender.stop()  # it was started when the start failed half way
            return
        run, *others = self._tasks
        self._tasks = []
        await run
        self._working = False
        await self._give_back([*self._limiter.empty(), *self._ready])
        self._ready.clear()
        self._landed.clear()
        try:
            async with asyncio.timeout(self._settings.stop_timeout):
                while self._held:
                    await self._landed.wait()
                    self._landed.clear()
        except TimeoutError:
            pass
        for task in others:
            task.cancel()
        self._sender.stop()
        await self._settler.drain()
        await self._give_back(list(self._held))
        await asyncio.gather(*self._errands)
        try:
            async with asyncio.timeout(FAREWELL):
                await self._queue.leave(self._key)
        except Exception as error:  # noqa: BLE001 - the others notice by its silence
            self._observer.trouble("leaving", error)

    # taking work ---------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while not self._stopping:
            self._wake.clear()
            try:
                look_again = await self._look()
                failures = 0
            except Exception as error:  # noqa: BLE001 - outlives whatever the database does
                self._observer.trouble("looking for work", error)
                look_again = self._clock.now() + BACKOFF[min(failures, len(BACKOFF) - 1)]
                failures += 1
                self._wake.clear()
            if not self._wake.is_set() and not self._stopping:
                await self._clock.wait(self._wake.wait(), look_again)

    async def _look(self) -> int:
        """Take what there is room for; return when to look again unless woken before."""
        await self._before_routing()
        now, most = self._clock.now(), self._settings.max_in_flight
        if now < self._looked_at:  # the clock was set back: times remembered are of another day
            self._claim_at = self._route_at = self._route_rest = 0
        self._looked_at = now
        self._send(self._limiter.due(now))
        soon = now + self._poll_ms
        if not self._working or len(self._held) > MOST_HELD * most:
            return soon
        room = self._room()
        if room < max(1, int(most * LOW_WATER)):
            return soon  # an answer wakes it long before
        if self._claim_at <= now:
            await self._claim(room, now)
        if self._room() > 0 and self._route_at <= now:
            await self._route(self._room(), now)
        rated = self._limiter.next_due(self._clock.now())
        return min(t for t in (self._claim_at, self._route_at, rated, soon) if t is not None)

    def _room(self) -> int:
        return self._settings.max_in_flight - self._airborne - len(self._ready)

    async def _route(self, room: int, now: int) -> None:
        # Whoever wakes the worker during the look sets an earlier time, which must stand.
        self._route_at = NEVER
        try:
            room_of, lease_until = self._limiter.room_of, now + self._lease_ms
            routed = await self._queue.route(room, now, lease_until, room_of)
        except BaseException:
            self._route_at = 0
            raise
        self._launch(routed.leased, routed.circuits, lease_until)
        for message, event_type, endpoints in routed.counts:
            self._observer.routed(message, event_type, endpoints)
            self._notify(message)
        if self._tracer is not None:
            for message, _, endpoints in routed.counts:
                self._tracer.route(message, endpoints, routed.traces.get(message))
        for message, target, problem in routed.unfiltered:
            self._observer.unfiltered(message, target, problem)
        if routed.waiting:
            self._claim_at = now
            self._later(self._queue.announce())  # others may have room for what is due
        # Routing ahead of what can be sent only costs: others get their turn meanwhile. And what
        # another process is routing at this moment cannot be had.
        blocked = not routed.counts and routed.next_due is not None and routed.next_due <= now
        self._route_blocked = self._route_blocked + 1 if blocked else 0
        pause = ROUTE_PAUSE if routed.waiting and not routed.leased else 0
        if blocked:
            pause = min(ROUTE_PAUSE << min(self._route_blocked, 10), self._poll_ms)
        self._route_rest = now + pause
        due = NEVER if routed.next_due is None else max(routed.next_due, self._route_rest)
        self._route_at = min(self._route_at, due, now + self._poll_ms)

    async def _claim(self, room: int, now: int) -> None:
        began, settled = time.monotonic(), self._settled
        self._claim_at = NEVER
        try:
            room_of, lease_until = self._limiter.room_of, now + self._lease_ms
            claimed = await self._queue.claim(room, now, lease_until, room_of)
        except BaseException:
            self._claim_at = 0
            raise
        self._launch(claimed.leased, claimed.circuits, lease_until)
        self._saturated = claimed.saturated
        due = NEVER if claimed.next_due is None else claimed.next_due
        if claimed.saturated and settled != self._settled:
            due = now  # what landed during the look has made room that it did not see
        # Retries settled here are remembered as they are made; a look finds what others left.
        took = int((time.monotonic() - began) * 1000 * SWEEP_SHARE)
        pause = max(self._poll_ms, min(took, LONGEST_SWEEP))
        self._claim_at = min(self._claim_at, due, now + pause)

    def _launch(self, leased: Iterable[Leased], circuits: Circuits, lease_until: int) -> None:
        now = self._clock.now()
        flights = [Flight(delivery, now, lease_until) for delivery in leased]
        if flights:
            self._held.update(flights)
            self._send(self._limiter.admit(flights, now, circuits))

    def _send(self, flights: Iterable[Flight]) -> None:
        """Send what its endpoint allows, as far as there is a place for it."""
        self._ready.extend(flights)
        now, most = self._clock.now(), self._settings.max_in_flight
        going: list[Flight] = []
        back = self._limiter.take_back()
        transforms = 0
        while self._ready and self._airborne + len(going) < most:
            if transforms >= TRANSFORMED:
                self._home.call_soon(self._send, ())
                break
            flight = self._ready.popleft()
            if flight.lease_until <= now:
                # This process slept: somebody else may have sent it meanwhile.
                back.append(flight)
                self._ready.extend(self._limiter.landed([flight], now))
                continue
            flight.started_at, flight.sent = now, True
            going.append(flight)
            transforms += flight.delivery.target.transform is not None
        if going:
            self._airborne += len(going)
            self._sender.send(self._prepare(going))
        back += self._limiter.take_back()
        if back:
            self._later(self._give_back(back))

    def _prepare(self, flights: Iterable[Flight]) -> list[Request]:
        """Return the requests; what cannot be prepared has failed like any other attempt.

        What needs an access token first waits for it, in flight like what waits for its answer.
        """
        requests = []
        for flight in flights:
            try:
                if flight.delivery.target.oauth2 is not None and flight.token is None:
                    fetch = self._fetch_token(flight)
                    if fetch is not None:
                        requests.append(fetch)
                    if flight.token is None:
                        continue
                request = prepare(flight, self._settings, self._policy, self._proxying)
                if self._tracer is not None:
                    self._tracer.sending(flight.delivery, request, flight.started_at)
                requests.append(request)
            except ExpressionFailed as error:
                self._on_results(
                    [(flight, Outcome(failure=Failure.TRANSFORM, detail=str(error)[:200]))]
                )
            except Exception as error:  # noqa: BLE001 - one endpoint's damage is not the others'
                detail = f"could not be prepared: {error}"[:200]
                self._on_results([(flight, Outcome(failure=Failure.OTHER, detail=detail))])
        return requests

    def _fetch_token(self, flight: Flight) -> Request | None:
        """Give a flight its access token, or have it wait; return the request that fetches it."""
        grant = flight.delivery.target.grant()
        return None if grant is None else self._tokens.take(flight, grant, self._clock.now())

    def _later(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._home.create_task(coroutine)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _give_back(self, flights: list[Flight]) -> None:
        """Return deliveries that were not sent, due at once, their attempts uncounted."""
        if not flights:
            return
        self._held.difference_update(flights)
        self._landed.set()
        try:
            async with asyncio.timeout(FAREWELL if self._stopping else None):
                await self._queue.release([f.delivery for f in flights], self._clock.now())
        except Exception as error:  # noqa: BLE001 - they are due again when their leases end
            self._observer.trouble("giving deliveries back", error)

    # landing -------------------------------------------------------------------------------

    def _on_results(self, results: Results) -> None:
        """Take outcomes over from the sender's thread, waking the loop once per gathering."""
        self._arrived.append(results)
        if not self._collecting and not self._home.is_closed():
            self._collecting = True
            self._home.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        self._collecting = False
        now = self._clock.now()
        landed = [result for _ in range(len(self._arrived)) for result in self._arrived.popleft()]
        if self._tokens.fetching:
            landed = self._take_tokens(landed, now)
        self._airborne -= len(landed)
        self._send(self._limiter.landed([flight for flight, _ in landed], now))
        self._settler.add([(f, self._conclude(f, outcome, now)) for f, outcome in landed])

    def _take_tokens(
        self, landed: list[tuple[Any, Outcome]], now: int
    ) -> list[tuple[Any, Outcome]]:
        """Return what landed without the access tokens; send what waited for those."""
        flights = [each for each in landed if not isinstance(each[0], Fetch)]
        for fetch, outcome in landed:
            if not isinstance(fetch, Fetch):
                continue
            failed = self._tokens.landed(fetch, outcome, now)
            if failed is not None:
                flights += [(flight, failed) for flight in fetch.waiting]
            else:  # they are sent with what has its turn now
                self._airborne -= len(fetch.waiting)
                self._ready.extendleft(reversed(fetch.waiting))
        return flights

    def _conclude(self, flight: Flight, outcome: Outcome, now: int) -> Settlement:
        if outcome.status == UNAUTHORIZED and flight.token is not None:
            self._tokens.refused(flight)
        try:
            return conclude(flight, outcome, now, self._settings)
        except Exception as error:  # noqa: BLE001 - a delivery must not be lost over its schedule
            self._observer.trouble("deciding about an answer", error)
            again = Decision.retry(now + UNDECIDED, f"undecided: {error}"[:200])
            key = new_key(flight.started_at)
            return Settlement(flight.delivery, key, flight.started_at, outcome, again)

    async def _settle(self, batch: list[tuple[Flight, Settlement]]) -> None:
        """Write the batch; try again until the database takes it."""
        settlements = [settlement for _, settlement in batch]
        settled = await self._persist(settlements)
        self._held.difference_update(flight for flight, _ in batch)
        for settlement, ours in zip(settlements, settled.kept, strict=True):
            self._report(settlement, ours=ours)
        self._heed(settlements, settled)
        self._settled += 1
        if self._saturated:
            self._claim_at = 0
        self._landed.set()
        self._wake.set()

    async def _persist(self, settlements: list[Settlement]) -> Settled:
        for wait in (*BACKOFF, None):
            try:
                return await self._queue.settle(settlements, self._clock.now())
            except Exception as error:  # noqa: BLE001 - they are due again when their leases end
                self._observer.trouble("settling", error)
                if wait is None:
                    break
                await asyncio.sleep(wait / 1000)
        return Settled([False] * len(settlements))

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
            self._observer.disabled(settlement.delivery.target, decision.disable_endpoint)
        self._notify(settlement.delivery.message)

    def _heed(self, settlements: list[Settlement], settled: Settled) -> None:
        """Act on what the batch said about endpoints in trouble."""
        if not settled.health:
            return
        targets = {s.delivery.target.key: s.delivery.target for s in settlements}
        for key, health in settled.health.items():
            self._send(self._limiter.judged(key, health.circuit, self._clock.now()))
            # What waits behind a circuit is due when it lets something through again.
            opens_at = health.circuit.blocked_until if health.circuit is not None else 0
            self._claim_at = min(self._claim_at, opens_at)
            if health.warning is not None:
                self._observer.failing(targets[key], health.warning)
            if health.disable is not None:
                self._observer.disabled(targets[key], health.disable)

    def _notify(self, message: bytes) -> None:
        for signal in self._watched.get(message, ()):
            signal.set()

    # staying alive -------------------------------------------------------------------------

    async def _beat(self) -> Share | None:
        """Give a sign of life; return this worker's share, None when there is no work for it."""
        share = await self._queue.beat(self._key, self._clock.now())
        if share is not None and share != self._limiter.share:
            self._send(self._limiter.rebalance(share, self._clock.now()))
        return share

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(BEAT_INTERVAL)
            try:
                share = await self._beat()
            except Exception as error:  # noqa: BLE001 - the next beat may get through
                self._observer.trouble("giving a sign of life", error)
                continue
            if share is not None and not self._working:
                self._wake.set()
            self._working = share is not None

    async def _keep_leases(self) -> None:
        """Renew the leases of what is still held, a third of a lease before it matters."""
        pause = self._settings.lease / 3
        while True:
            await asyncio.sleep(pause)
            now = self._clock.now()
            old = now - int(pause * 1000)
            slow = [
                f for f in self._held if (f.started_at <= old if f.sent else f.lease_until > now)
            ]
            if not slow:
                continue
            try:
                await self._queue.renew([f.delivery for f in slow], now + self._lease_ms)
                for flight in slow:
                    flight.lease_until = now + self._lease_ms
            except Exception as error:  # noqa: BLE001 - a lost lease is an ordinary result
                self._observer.trouble("renewing leases", error)
