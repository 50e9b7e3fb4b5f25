"""The hot path: publishing, routing, claiming and settling, in batches."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from hookline._domain.breaker import Circuit, Health
from hookline._domain.delivery import Decision, Outcome
from hookline._domain.endpoint import Target

Circuits = dict[bytes, Circuit]
"""The circuits that restrict endpoints now, by endpoint."""
RoomOf = Callable[[Target], int]
"""How many more deliveries the caller can take for an endpoint. Called on any thread."""


@dataclass(slots=True)
class NewMessage:
    """A message to publish. `created_at` is the time of the event."""

    key: bytes
    app: bytes
    event_type: str
    body: bytes
    created_at: int
    due_at: int
    deliver_at: int | None = None
    idempotency_key: str | None = None
    digest: bytes = b""
    ordering_key: str | None = None
    event_id: str | None = None
    channels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    traceparent: str | None = None


@dataclass(slots=True)
class Leased:
    """One delivery this worker may send until its lease runs out.

    `attempts` were made before, `step` of them by the schedule. `resume_at` is set for a manual
    attempt: when the automatic schedule goes on should it fail, 0 when there was none. `line` is
    set for ordered endpoints: the next in it waits for this one to end. `traceparent` names the
    span that published, `span` is the tracer's own for this attempt.
    """

    message: bytes
    event_type: str
    body: bytes
    target: Target
    lease: int
    attempts: int = 0
    step: int = 0
    resume_at: int | None = None
    line: str | None = None
    traceparent: str | None = None
    span: Any = None


@dataclass(slots=True)
class Routed:
    """What one routing batch did: deliveries leased to the caller, and how many each message got.

    `next_due` is when (Unix ms) the next message falls due, in the past when more are waiting.
    `waiting` says that deliveries beyond the caller's room were written, due at once. `unfiltered`
    are messages and the endpoints that get them because their filter failed, with the reason.
    `traces` has the `traceparent` of those messages that were published in a span.
    """

    leased: list[Leased] = field(default_factory=list)
    counts: list[tuple[bytes, str, int]] = field(default_factory=list)
    next_due: int | None = None
    waiting: bool = False
    circuits: Circuits = field(default_factory=dict)
    unfiltered: list[tuple[bytes, Target, str]] = field(default_factory=list)
    traces: dict[bytes, str] = field(default_factory=dict)


@dataclass(slots=True)
class Claimed:
    """What one claim found, and when (Unix ms) the next delivery that was seen falls due.

    `saturated` says that an endpoint had more due than the caller had room for: come again when
    one of its requests has landed.
    """

    leased: list[Leased] = field(default_factory=list)
    next_due: int | None = None
    saturated: bool = False
    circuits: Circuits = field(default_factory=dict)


@dataclass(slots=True)
class Settlement:
    """The end of one attempt, to be written."""

    delivery: Leased
    key: bytes
    started_at: int
    outcome: Outcome
    decision: Decision


@dataclass(slots=True)
class Settled:
    """Which settlements were kept (False: the lease was lost), and the health of the endpoints.

    `health` has those that are or were in trouble.
    """

    kept: list[bool]
    health: dict[bytes, Health] = field(default_factory=dict)


class Share(NamedTuple):
    """This worker's place among the workers of a database: number `rank` (from 0) of `workers`."""

    rank: int
    workers: int

    def of(self, limit: int, key: bytes) -> int:
        """Return this worker's part of an endpoint's limit; all parts together are the limit.

        What cannot be divided goes to workers that differ from endpoint to endpoint.
        """
        whole, rest = divmod(limit, self.workers)
        return whole + (self._turn(key) < rest)

    def of_rate(self, rate: float, places: int, key: bytes) -> float:
        """Return this worker's part of an endpoint's requests per second; all parts are the rate.

        Never less than one a second each: parts below it would all begin with a request at the
        same moment. So a low rate is kept by fewer workers, and by none without a place.
        """
        sharing = max(1, min(self.workers, places, int(rate)))
        return rate / sharing if self._turn(key) < sharing else 0.0

    def _turn(self, key: bytes) -> int:
        return (self.rank + key[-1]) % self.workers


class Queue(Protocol):
    """The hot path, in batches. Every settle is fenced by its lease."""

    async def start(self, on_foreign_write: Callable[[], None]) -> None:
        """Open the database; call back (on the engine's loop) when another process wrote."""

    async def stop(self) -> None:
        """Close the database. Safe to call twice."""

    async def beat(self, worker: bytes, now: int) -> Share | None:
        """Say that a worker is alive; return its share of the work, None when it has none."""
        ...

    async def leave(self, worker: bytes) -> None:
        """Say that a worker is gone: the others take its share."""

    async def announce(self) -> None:
        """Tell the workers of other processes that there is work, where they need to be told."""

    async def publish(
        self, messages: Sequence[NewMessage], *, atomic: bool = False
    ) -> list[bytes | Exception]:
        """Commit messages durably; per message its key, an older one's, or IdempotencyConflict.

        `atomic`: raise the first conflict instead, and publish none of them.
        """
        ...

    async def route(self, room: int, now: int, lease_until: int, room_of: RoomOf) -> Routed:
        """Turn due messages into deliveries; lease up to `room` of them to the caller."""
        ...

    async def claim(self, room: int, now: int, lease_until: int, room_of: RoomOf) -> Claimed:
        """Lease up to `room` due deliveries, taking turns between endpoints."""
        ...

    async def settle(self, settlements: Sequence[Settlement], now: int) -> Settled:
        """Write attempts, move deliveries on, and judge the health of their endpoints."""
        ...

    async def renew(self, deliveries: Iterable[Leased], lease_until: int) -> None:
        """Push the leases of deliveries still in flight further out."""

    async def release(self, deliveries: Iterable[Leased], now: int) -> None:
        """Give deliveries back at once, due again, their attempt count untouched."""
