"""Routing and claiming, decided: what the hot paths of all databases share."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hookline._domain.breaker import Circuit, CircuitState
from hookline._domain.endpoint import Target
from hookline._domain.expression import Document
from hookline._ports import Circuits, Leased, RoomOf, Routed
from hookline._storage.schema import HELD, IN_LINE

ROUTE_MESSAGES = 256
ROUTE_ROWS = 1000
"""Most messages read and deliveries written in one routing batch: a message with more endpoints
is routed in steps, so that nobody waits long for the write lock."""
SCAN_ENDPOINTS = 1000
"""Endpoints one claim looks at."""
MOST_STEPS = 200_000
"""Steps that filters make in one routing batch, or one page of a replay: 100 ms at worst. What is
over that is for the next one, so that no customer's filter makes others wait."""
FAIR_SHARE = 4
"""Deliveries an endpoint gets per claim at least, before the next endpoint has its turn."""


def new_lease() -> int:
    """Return a claim's own number: never 0, never used before, so no row can be mistaken."""
    return secrets.randbits(62) + 1


def narrowed(target: Target, admitted: int) -> Target:
    """Return an endpoint as it is while its circuit admits only so many in flight."""
    return replace(target, concurrency=min(admitted, target.concurrency))


@dataclass(slots=True)
class RouteBatch:
    """One routing transaction: the rows to write, and what the caller may send at once.

    `rows` are (message, endpoint, lease, next_attempt_at, line). `occupied` are the lines of
    ordered endpoints that somebody stands in, those of this batch added to them as it goes.
    `steps` is what filters have cost.
    """

    room: int
    now: int
    lease_until: int
    room_of: RoomOf
    circuits: Circuits = field(default_factory=dict)
    occupied: set[tuple[bytes, str]] = field(default_factory=set)
    rows: list[tuple[bytes, bytes, int, int, str | None]] = field(default_factory=list)
    routed: Routed = field(default_factory=Routed)
    lease: int = field(default_factory=new_lease)
    steps: int = 0
    _rooms: dict[bytes, int] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Whether the transaction is as large as it may get."""
        return len(self.rows) >= ROUTE_ROWS or self.steps >= MOST_STEPS

    def add(
        self,
        wanted: Sequence[Target],
        after: bytes | None,
        message: bytes,
        event_type: str,
        body: bytes,
        ordering_key: str | None,
        traceparent: str | None = None,
    ) -> bytes | None:
        """Add a message's deliveries; return the last endpoint served when some are left over.

        `after` is that endpoint of the step before, None in the first one.
        """
        filtered = any(target.filter is not None for target in wanted)
        if after is not None:
            wanted = [target for target in wanted if target.key > after]
        step = wanted[: ROUTE_ROWS - len(self.rows)]
        last = step[-1].key if len(step) < len(wanted) else None
        if filtered:
            step, last = self._let_through(step, last, message, body)
        if filtered or after is None:
            told_of = step if filtered else wanted
            active = sum(1 for target in told_of if target.disabled_reason is None)
            self.routed.counts.append((message, event_type, active))
            if traceparent is not None:
                self.routed.traces[message] = traceparent
        for target in step:
            line = (ordering_key or "") if target.ordered else None
            if line is not None and not self._is_head(target.key, line):
                self.rows.append((message, target.key, 0, IN_LINE, line))
            elif target.disabled_reason is not None:
                self.rows.append((message, target.key, 0, HELD, line))
            elif self._take(target):
                self.rows.append((message, target.key, self.lease, self.lease_until, line))
                leased = Leased(message, event_type, body, target, self.lease, line=line)
                leased.traceparent = traceparent
                self.routed.leased.append(leased)
            else:
                self.rows.append((message, target.key, 0, self.now, line))
                self.routed.waiting = True
        return last

    def _let_through(
        self, step: Sequence[Target], last: bytes | None, message: bytes, body: bytes
    ) -> tuple[list[Target], bytes | None]:
        """Return those endpoints of a step whose filters let the message through.

        And the last one that was asked, when some are left for the next step.
        """
        document, through = Document(body), []
        for position, target in enumerate(step, 1):
            verdict = target.judges(document)
            if verdict.problem is not None:
                self.routed.unfiltered.append((message, target, verdict.problem))
            if verdict.passes:
                through.append(target)
            self.steps += verdict.steps
            if self.steps >= MOST_STEPS and position < len(step):
                return through, target.key
        return through, last

    def _is_head(self, endpoint: bytes, line: str) -> bool:
        """Return whether nobody stands in the line; from now on somebody does."""
        if (endpoint, line) in self.occupied:
            return False
        self.occupied.add((endpoint, line))
        return True

    def _take(self, target: Target) -> bool:
        """Return whether the caller takes one more delivery of this endpoint."""
        if len(self.routed.leased) >= self.room:
            return False
        left = self._rooms.get(target.key)
        if left is None:
            left = self.room_of(target)
            circuit = self.circuits.get(target.key)
            if circuit is not None:
                admitted = circuit.admits(self.now)
                # A circuit that is not closed is probed by a claim, which is exclusive.
                probe = circuit.state is not CircuitState.CLOSED
                left = 0 if probe else self._within(target, admitted, left)
        self._rooms[target.key] = left - 1
        return left > 0

    def _within(self, target: Target, admitted: int | None, room: int) -> int:
        return room if admitted is None else min(admitted, self.room_of(narrowed(target, admitted)))


@dataclass(slots=True)
class ClaimBatch:
    """One claiming transaction."""

    room: int
    now: int
    lease_until: int
    room_of: RoomOf
    next_due: int | None = None
    leased: list[Leased] = field(default_factory=list)
    lease: int = field(default_factory=new_lease)
    saturated: bool = False
    _bounded: set[bytes] = field(default_factory=set)

    def found(self, endpoint: bytes, rows: int, want: int, next_due: int | None) -> None:
        """Note that an endpoint gave `rows` of the `want` asked for; its next falls due then.

        One with more to give is asked again at once, unless it is its own limit that bounded it:
        then a landing says when.
        """
        if rows < want:
            self.again(next_due)
        elif endpoint not in self._bounded:
            self.again(self.now)

    def again(self, at: int | None) -> None:
        """Note that something falls due at `at` (held ones and those in line never do)."""
        if at is not None and at < IN_LINE:
            self.next_due = at if self.next_due is None else min(self.next_due, at)

    def want(self, target: Target, circuit: Circuit | None, share: int) -> int:
        """Return how many deliveries of an endpoint to take now, `share` at most.

        An endpoint without room does not make the claim come again: a landing does.
        """
        if circuit is None:
            return self._within(share, target)
        admitted = circuit.admits(self.now)
        if admitted == 0:
            self.again(circuit.blocked_until)
            return 0
        if circuit.state is not CircuitState.CLOSED:
            return 1  # the probe
        if admitted is None:
            return self._within(share, target)
        return self._within(min(share, admitted), narrowed(target, admitted))

    def _within(self, share: int, target: Target) -> int:
        room = self.room_of(target)
        if room < share:
            self.saturated = True
            self._bounded.add(target.key)
        return max(0, min(share, room))

    def take(self, target: Target, rows: Sequence[Sequence[Any]]) -> None:
        """Lease rows of (message, event type, body, attempts, step, resume_at, line, span)."""
        self.leased += [
            Leased(bytes(message), event_type, bytes(body), target, self.lease, *rest)
            for message, event_type, body, *rest in rows
        ]
