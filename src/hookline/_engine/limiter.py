"""Keeping to each endpoint's limits: so many in flight, so many a second.

A limit holds over all workers; each keeps to its `Share` of it, so that no request costs a look
into the database. What is over the limit waits here, leased, for the next free place.
"""

import math
from collections import deque
from collections.abc import Iterable

from hookline._domain.breaker import Circuit, CircuitState
from hookline._domain.endpoint import Target
from hookline._engine.attempt import Flight
from hookline._ports import Circuits, Share

AHEAD = 128
"""Deliveries of one endpoint leased beyond its places: enough to keep it busy while the database
works on the next batch."""


SET_BACK = 5000
"""Milliseconds a gate's time is ahead of what it can be before the clock is taken for set back."""


class _Bucket:
    """A rate's allowance (a token bucket, kept as a time: GCRA)."""

    __slots__ = ("free_at",)

    def __init__(self) -> None:
        self.free_at = 0.0  # when (Unix ms) the rate allows the next one, a second's worth ahead

    def next_at(self, rate: float, now: int) -> int:
        """Return when the rate allows the next request: now or later."""
        interval = 1000 / (rate or math.inf)
        if self.free_at > now + 1000 + interval + SET_BACK:
            self.free_at = now
        burst = max(0.0, 1000 - interval)  # up to a second's worth at once
        return max(now, round(self.free_at - burst))

    def count(self, rate: float, now: int) -> None:
        """Count one request."""
        self.free_at = max(self.free_at, now) + 1000 / (rate or math.inf)


class _Gate:
    """One endpoint's places and its queue in front of them.

    `shared` is the allowance of its application, for all of its endpoints together. `turn` says
    when it last let somebody through: gates of one application take turns.
    """

    __slots__ = ("circuit", "flying", "own", "shared", "target", "turn", "waiting")

    def __init__(self, target: Target) -> None:
        self.target = target
        self.circuit: Circuit | None = None
        self.flying = 0
        self.waiting: deque[Flight] = deque()
        self.own = _Bucket()
        self.shared: _Bucket | None = None
        self.turn = 0

    def places(self, share: Share, now: int) -> int:
        target, circuit = self.target, self.circuit
        if circuit is not None and circuit.state is CircuitState.HALF_OPEN:
            return 1  # blocked for others: the probe belongs to the worker that claimed it
        admitted = circuit.admits(now) if circuit is not None else None
        limit = target.concurrency if admitted is None else min(admitted, target.concurrency)
        return share.of(limit, _sharing(target)) if _rate(target, share) else 0

    def next_at(self, share: Share, now: int) -> int:
        """Return when the rates allow the next request: now or later."""
        at, target = now, self.target
        if target.rate_limit is not None:
            at = self.own.next_at(_own_rate(target, share), now)
        if self.shared is not None:
            at = max(at, self.shared.next_at(_app_rate(target, share), now))
        return at

    def count(self, share: Share, now: int) -> None:
        """Count one request against the rates."""
        if self.target.rate_limit is not None:
            self.own.count(_own_rate(self.target, share), now)
        if self.shared is not None:
            self.shared.count(_app_rate(self.target, share), now)


def _sharing(target: Target) -> bytes:
    """Return what decides which workers have a part in an endpoint's limits.

    Where the application has a limit, too, they must be the same for both: a worker that has a
    part in one only could send nothing, and nobody else the rest.
    """
    return target.key if target.app_rate is None else target.app


def _own_rate(target: Target, share: Share) -> float:
    """Return the requests per second that the endpoint's limit leaves to this worker."""
    if target.rate_limit is None:
        return math.inf
    places = target.concurrency
    if target.app_rate is not None:  # none for a worker without a part in that
        places = min(places, max(1, int(target.app_rate)))
    return share.of_rate(target.rate_limit, places, _sharing(target))


def _app_rate(target: Target, share: Share) -> float:
    """Return the requests per second that the application's limit leaves to this worker."""
    if target.app_rate is None:
        return math.inf
    return share.of_rate(target.app_rate, share.workers, target.app)


def _rate(target: Target, share: Share) -> float:
    """Return the requests per second this worker may send to an endpoint."""
    if target.app_rate is None:
        return _own_rate(target, share)
    return min(_own_rate(target, share), _app_rate(target, share))


def _is_rated(target: Target) -> bool:
    return target.rate_limit is not None or target.app_rate is not None


class Limiter:
    """All gates of one worker. Lives on the engine's loop; `room_of` may be asked anywhere."""

    def __init__(self) -> None:
        """Begin with the whole of every limit."""
        self.share = Share(0, 1)
        self._gates: dict[bytes, _Gate] = {}
        self._shared: dict[bytes, _Bucket] = {}
        self._turns = 0
        self._rated: set[bytes] = set()
        self._back: list[Flight] = []

    def room_of(self, target: Target) -> int:
        """Return how many more deliveries of an endpoint this worker can take."""
        gate = self._gates.get(target.key)
        held = gate.flying + len(gate.waiting) if gate is not None else 0
        sharing = _sharing(target)
        own = self.share.of(target.concurrency, sharing) if _rate(target, self.share) else 0
        if own and _is_rated(target):  # it is the rate that decides, not the places
            return self._ahead(target) - held
        return own + self._ahead(target) - held if own else 0

    def _ahead(self, target: Target) -> int:
        """Return how many may wait at a gate: what waits here, no other worker can send."""
        if _is_rated(target):  # two seconds' worth
            return min(AHEAD, max(1, int(2 * _rate(target, self.share))))
        return max(1, AHEAD // self.share.workers)

    def take_back(self) -> list[Flight]:
        """Return the flights to give back to the database: nothing lets them pass here."""
        back, self._back = self._back, []
        return back

    def admit(self, flights: Iterable[Flight], now: int, circuits: Circuits) -> list[Flight]:
        """Queue flights at their gates; return those that may go at once."""
        touched = {}
        for flight in flights:
            target = flight.delivery.target
            gate = self._gates.get(target.key)
            if gate is None:
                gate = self._gates[target.key] = _Gate(target)
            gate.target = target
            if target.app_rate is None:
                gate.shared = None
            elif gate.shared is None:
                gate.shared = self._shared.setdefault(target.app, _Bucket())
            gate.waiting.append(flight)
            touched[target.key] = gate
        for key, gate in touched.items():
            gate.circuit = circuits.get(key)
        return [f for gate in touched.values() for f in self._pass(gate, now)]

    def landed(self, flights: Iterable[Flight], now: int) -> list[Flight]:
        """Free the places of flights that ended; return those that may go now."""
        touched = {}
        for flight in flights:
            gate = self._gates[flight.delivery.target.key]
            gate.flying -= 1
            touched[gate.target.key] = gate
        return [f for gate in touched.values() for f in self._pass(gate, now)]

    def due(self, now: int) -> list[Flight]:
        """Return the flights that waited for the rate and may go now."""
        gates = [self._gates[key] for key in self._rated]
        if self._shared:  # those of one application take turns
            gates.sort(key=lambda gate: gate.turn)
        return [f for gate in gates for f in self._pass(gate, now)]

    def next_due(self, now: int) -> int | None:
        """Return when (Unix ms) the next flight waiting for the rate may go."""
        times = (self._gates[key].next_at(self.share, now) for key in self._rated)
        return min(times, default=None)

    def rebalance(self, share: Share, now: int) -> list[Flight]:
        """Take over a new share of the limits; return the flights that may go now.

        What waits beyond a smaller share is for the others.
        """
        self.share = share
        gates = list(self._gates.values())
        for gate in gates:
            while len(gate.waiting) > self._ahead(gate.target):
                self._back.append(gate.waiting.pop())
        return [f for gate in gates for f in self._pass(gate, now)]

    def judged(self, key: bytes, circuit: Circuit | None, now: int) -> list[Flight]:
        """Note an endpoint's health; return the flights that may go.

        What waits in front of a circuit that is not closed, or of a receiver that asked for a
        pause, goes back to the database: waiting is not failing.
        """
        gate = self._gates.get(key)
        if gate is None:
            return []
        gate.circuit = circuit
        if circuit is not None and circuit.state is not CircuitState.CLOSED:
            self._back += self._empty(gate)
            return []
        return self._pass(gate, now)

    def empty(self) -> list[Flight]:
        """Return everything that waits: the worker stops."""
        return [f for gate in list(self._gates.values()) for f in self._empty(gate)]

    def _empty(self, gate: _Gate) -> list[Flight]:
        waiting = list(gate.waiting)
        gate.waiting.clear()
        self._tidy(gate)
        return waiting

    def _pass(self, gate: _Gate, now: int) -> list[Flight]:
        """Let through what the places and the rate allow; give back where there is no place."""
        going: list[Flight] = []
        places = gate.places(self.share, now)
        if places == 0:
            self._back += self._empty(gate)
            return going
        while gate.waiting and gate.flying < places and gate.next_at(self.share, now) <= now:
            gate.count(self.share, now)
            gate.flying += 1
            self._turns += 1
            gate.turn = self._turns
            going.append(gate.waiting.popleft())
        self._tidy(gate)
        if gate.waiting and gate.flying < places:
            self._rated.add(gate.target.key)
        return going

    def _tidy(self, gate: _Gate) -> None:
        """Forget a gate nothing stands at, unless its rate still has to be remembered."""
        self._rated.discard(gate.target.key)
        if not gate.flying and not gate.waiting and gate.target.rate_limit is None:
            self._gates.pop(gate.target.key, None)
