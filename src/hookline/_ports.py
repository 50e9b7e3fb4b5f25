"""The seam: what the engine asks of the world, on one page.

`Queue` is the hot path, one implementation per database. `Store` is everything else, once for all
databases. `Sender` makes HTTP requests. `Clock` tells the time. `Observer` is told what happened.
All times are Unix milliseconds, all keys the 16 bytes of `_domain.ids`.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hookline._domain.delivery import Attempt, Decision, DeliveryStatus, Outcome
from hookline._domain.endpoint import Endpoint, Target


@dataclass(slots=True)
class NewMessage:
    """A message to publish. `created_at` is the time of the event."""

    key: bytes
    app: bytes
    event_type: str
    body: bytes
    created_at: int
    due_at: int
    idempotency_key: str | None = None
    digest: bytes = b""


@dataclass(slots=True)
class Leased:
    """One delivery this worker may send until its lease runs out. `attempts` were made before."""

    message: bytes
    event_type: str
    body: bytes
    target: Target
    attempts: int
    lease: int


@dataclass(slots=True)
class Routed:
    """What one routing batch did: deliveries leased to the caller, and how many each message got.

    `next_due` is when (Unix ms) the next message falls due, in the past when more are waiting.
    `waiting` says that deliveries beyond the caller's room were written, due at once.
    """

    leased: list[Leased] = field(default_factory=list)
    counts: list[tuple[bytes, str, int]] = field(default_factory=list)
    next_due: int | None = None
    waiting: bool = False


@dataclass(slots=True)
class Claimed:
    """What one claim found, and when (Unix ms) the next delivery that was seen falls due."""

    leased: list[Leased] = field(default_factory=list)
    next_due: int | None = None


@dataclass(slots=True)
class Settlement:
    """The end of one attempt, to be written."""

    delivery: Leased
    key: bytes
    started_at: int
    outcome: Outcome
    decision: Decision


class Queue(Protocol):
    """The hot path, in batches. Every settle is fenced by its lease."""

    async def start(self, on_foreign_write: Callable[[], None]) -> None:
        """Open the database; call back (on the engine's loop) when another process wrote."""

    async def stop(self) -> None:
        """Close the database. Safe to call twice."""

    async def publish(self, messages: Sequence[NewMessage]) -> list[bytes | Exception]:
        """Commit messages durably; per message its key, an older one's, or IdempotencyConflict."""
        ...

    async def route(self, room: int, now: int, lease_until: int) -> Routed:
        """Turn due messages into deliveries; lease up to `room` of them to the caller."""
        ...

    async def claim(self, room: int, now: int, lease_until: int) -> Claimed:
        """Lease up to `room` due deliveries, taking turns between endpoints."""
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Write attempts and move deliveries on; False where the lease was lost."""
        ...

    async def renew(self, deliveries: Iterable[Leased], lease_until: int) -> None:
        """Push the leases of deliveries still in flight further out."""

    async def release(self, deliveries: Iterable[Leased], now: int) -> None:
        """Give deliveries back at once, due again, their attempt count untouched."""


class Store(Protocol):
    """Everything off the hot path."""

    async def start(self, now: int) -> bytes:
        """Bring the schema up to date where allowed; return the default application's key."""
        ...

    async def stop(self) -> None:
        """Close the connections. Safe to call twice."""

    async def declare(self, app: bytes, endpoints: Sequence[Endpoint], now: int) -> None:
        """Store declared endpoints: new ones inserted, changed ones updated, none doubled."""

    async def retire(
        self, app: bytes, source: str, keep: Iterable[str], reason: str, now: int
    ) -> list[str]:
        """Disable the endpoints of a source whose URL is not in `keep`; return those URLs."""
        ...

    async def endpoints(self, app: bytes) -> list[Endpoint]:
        """Return all endpoints, oldest first."""
        ...

    async def rotate_secret(self, endpoint: bytes, secret: str, expires_at: int, now: int) -> None:
        """Make `secret` the newest one; the others sign until `expires_at` (or sooner)."""

    async def enable(self, endpoint: bytes, now: int) -> int:
        """Enable an endpoint and make what was held due now; return how many were held."""
        ...

    async def disable(self, endpoint: bytes, reason: str, now: int) -> None:
        """Disable an endpoint: deliveries for it are held."""

    async def attempts(self, message: bytes) -> list[Attempt]:
        """Return the log of a message, oldest first."""
        ...

    async def deliveries(self, message: bytes, now: int) -> list[DeliveryStatus] | None:
        """Return where a message stands at each endpoint; None while it is not routed yet."""
        ...

    async def join(self, session: Any, new: NewMessage, on_commit: Callable[[], None]) -> bytes:
        """Publish inside the caller's SQLAlchemy transaction; `on_commit` hears of its commit."""
        ...

    async def prune(self, now: int) -> None:
        """Remove what has served its time."""


@dataclass(slots=True)
class Request:
    """One HTTP POST, ready to send. `tag` comes back with the outcome; times in milliseconds."""

    tag: Any
    url: str
    header_lines: list[str]
    body: bytes
    connect_timeout_ms: int
    timeout_ms: int


Results = Sequence[tuple[Any, Outcome]]


class Sender(Protocol):
    """The HTTP client: hand requests over in batches, get outcomes back in batches."""

    def start(self, on_results: Callable[[Results], None]) -> None:
        """Start; outcomes are handed over on the sender's own thread."""

    def send(self, requests: Sequence[Request]) -> None:
        """Start sending; never blocks. Every request gets exactly one outcome."""

    def stop(self) -> None:
        """Stop at once; what is in flight gets no outcome. Safe to call twice."""


class Clock(Protocol):
    """The time, and waiting for it."""

    def now(self) -> int:
        """Return Unix milliseconds."""
        ...

    def wait(self, signal: Awaitable[Any], until: int | None) -> Awaitable[None]:
        """Wait for the signal, or until the clock shows `until` (Unix ms), whichever is first."""
        ...


class Observer(Protocol):
    """Told what happened, after it was committed. Must be quick and must not raise."""

    def routed(self, message: bytes, event_type: str, endpoints: int) -> None:
        """A message was routed to so many endpoints."""

    def attempted(self, settlement: Settlement) -> None:
        """An attempt was made and settled."""

    def lost(self, settlement: Settlement) -> None:
        """An attempt was made, but its lease was lost: nothing was written."""

    def disabled(self, settlement: Settlement) -> None:
        """The receiver's answer disabled its endpoint."""

    def trouble(self, what: str, error: BaseException) -> None:
        """The engine met an error it survives: the database is away, a batch is tried again."""
