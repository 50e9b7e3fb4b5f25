"""The seam: what the engine asks of the world, on one page.

`Queue` is the hot path, one implementation per database. `Store` is everything else, once for all
databases. `Sender` makes HTTP requests. `Clock` tells the time. `Observer` is told what happened.
All times are Unix milliseconds, all keys the 16 bytes of `_domain.ids`.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from hookline._domain.address import Policy
from hookline._domain.api_key import ApiKey
from hookline._domain.application import Application
from hookline._domain.audit import AuditEntry, AuditFilter
from hookline._domain.backlog import Backlog
from hookline._domain.breaker import Circuit, Health
from hookline._domain.delivery import Attempt, Decision, DeliveryStatus, Outcome
from hookline._domain.endpoint import Endpoint, Target
from hookline._domain.event_type import EventType
from hookline._domain.handshake import Handshake, Proof
from hookline._domain.history import (
    Attempted,
    AttemptOf,
    EndpointHealth,
    EndpointStats,
    Filter,
    Head,
    Message,
)
from hookline._domain.identity import Identity
from hookline._domain.overview import DeadLetter, Stands, Trouble
from hookline._domain.page import Page, Window
from hookline._domain.replay import REPLAY, Job, JobState, Selection
from hookline._domain.tally import Kind, Tally
from hookline._domain.url import Url
from hookline._domain.usage import Usage
from hookline._domain.vitals import Pulse, Vitals


class Reencrypted(NamedTuple):
    """How many texts were sealed anew, and how many were left because they do not open."""

    written: int
    locked: int


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


class Store(Protocol):
    """Everything off the hot path."""

    async def start(self, now: int) -> bytes:
        """Bring the schema up to date where allowed; return the default application's key."""
        ...

    async def stop(self) -> None:
        """Close the connections. Safe to call twice."""

    async def attempts(self, message: bytes) -> list[Attempt]:
        """Return the log of a message, oldest first."""
        ...

    async def deliveries(self, message: bytes, now: int) -> list[DeliveryStatus] | None:
        """Return where a message stands at each endpoint; None while it is not routed yet."""
        ...

    async def join(self, session: Any, new: NewMessage, on_commit: Callable[[], None]) -> bytes:
        """Publish inside the caller's SQLAlchemy transaction; `on_commit` hears of its commit."""
        ...

    async def cancel(self, message: bytes, now: int) -> int:
        """Stop what has not been sent of a message; return how many deliveries that were."""
        ...

    async def resend(self, message: bytes, endpoint: bytes, now: int) -> bool:
        """Make a manual attempt due now; False while one is being sent."""
        ...

    async def erase(self, message: bytes, now: int) -> None:
        """Erase what a message said and what was answered."""

    async def migrate(self) -> bool:
        """Bring the schema up to date; return whether there was anything to do."""
        ...

    async def reencrypt(
        self, on_progress: Callable[[int, int], None], *, decrypt: bool
    ) -> Reencrypted:
        """Seal secrets with the first key, or store them open; SecretsLocked without their keys."""
        ...

    @property
    def applications(self) -> "Applications":
        """The applications."""
        ...

    @property
    def endpoints(self) -> "Endpoints":
        """The endpoints of all applications."""
        ...

    @property
    def overview(self) -> "Overview":
        """What an operator sees at a glance."""
        ...

    @property
    def tallies(self) -> "Tallies":
        """How many attempts ended how."""
        ...

    @property
    def event_types(self) -> "EventTypes":
        """The event types, as they are catalogued."""
        ...

    @property
    def history(self) -> "History":
        """Looking up what was published, and what became of it."""
        ...

    @property
    def api_keys(self) -> "ApiKeys":
        """The keys of the REST API."""
        ...

    @property
    def answers(self) -> "Answers":
        """Answers to requests that may be sent again."""
        ...

    @property
    def audit(self) -> "Audit":
        """Who changed what, and when."""
        ...

    @property
    def usage(self) -> "Usages":
        """How much was sent."""
        ...

    @property
    def operational(self) -> "Operational":
        """Who is told of what happens here, as webhooks."""
        ...

    async def prune(self, now: int) -> None:
        """Remove what has served its time."""

    # replay

    @property
    def jobs(self) -> "Jobs":
        """Replays, and how far they got."""
        ...

    @property
    def handshakes(self) -> "Handshakes":
        """Pending endpoints, and what came of the tries to verify them."""
        ...

    async def publish_to(self, message: NewMessage, endpoint: bytes) -> None:
        """Publish a message for one endpoint alone, whatever it wants to hear."""

    async def release_held(self, now: int) -> int:
        """Make held deliveries of enabled endpoints due; return how many there were."""
        ...

    # doctor

    async def reach(self) -> None:
        """Raise StorageError, saying what to check, when the database cannot be opened."""
        ...

    async def pulse(self) -> Pulse:
        """Return the schema's version and who is delivering; StorageError when out of reach."""
        ...

    async def backlog(self, now: int, app: bytes | None = None) -> Backlog:
        """Return what waits, in one application or in all; StorageError when out of reach."""
        ...

    async def vitals(self, now: Callable[[], int]) -> Vitals:
        """Return what the doctor judges. Changes nothing, and needs no `start`."""
        ...


@dataclass(slots=True)
class LeasedJob:
    """The next step of a job, this worker's to make until its lease runs out.

    `walk` and `after` say where the last step ended; what they mean is the store's business.
    """

    key: bytes
    app: bytes
    selection: Selection
    rate: float | None
    counted: bool
    walk: int
    after: tuple[bytes, bytes]
    lease: int
    task: str = REPLAY


class Overview(Protocol):
    """What an operator sees at a glance. Every question is bounded, however much there is."""

    async def due(self, keys: Collection[bytes], now: int) -> dict[bytes, int]:
        """Return how many deliveries are due at each of these endpoints."""
        ...

    async def troubled(
        self, limit: int, app: bytes | None = None, keys: Collection[bytes] | None = None
    ) -> list[Trouble]:
        """Return endpoints that fail or are disabled, of these or of all: open circuits first."""
        ...

    async def dead_letters(
        self, app: bytes | None, endpoint_key: bytes | None, window: Window
    ) -> Page[DeadLetter]:
        """Return deliveries whose last attempt was the last one, the newest message first."""
        ...

    async def messages(self, app: bytes, wanted: Filter, window: Window, now: int) -> Page[Stands]:
        """Return messages of an application and where they stand."""
        ...

    async def listening(self, limit: int) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """Return application, endpoint, URL and subscriptions of enabled endpoints."""
        ...


class Applications(Protocol):
    """Applications. A deleted one is gone at once; what it left is removed in the background."""

    async def create(
        self,
        values: Mapping[str, Any],
        now: int,
        *,
        get_if_exists: bool = False,
        key: bytes | None = None,
    ) -> tuple[Application, bool]:
        """Store an application; return it and whether it is new. AlreadyExists for its uid.

        With a `key` that is there already an earlier try is returned, as new.
        """
        ...

    async def key(self, name: str) -> bytes | None:
        """Return the key of the application with that id or uid."""
        ...

    async def get(self, key: bytes) -> Application | None:
        """Return an application."""
        ...

    async def page(self, window: Window) -> Page[Application]:
        """Return applications in the order they were made."""
        ...

    async def update(self, key: bytes, values: Mapping[str, Any], now: int) -> Application | None:
        """Change the fields given; AlreadyExists when the uid is taken."""
        ...

    async def delete(self, key: bytes, now: int) -> bool:
        """Delete an application with its endpoints; False when it is gone already."""
        ...


class EventTypes(Protocol):
    """Event types, by name."""

    async def create(self, values: Mapping[str, Any], now: int) -> EventType:
        """Store an event type; AlreadyExists when there is one with that name."""
        ...

    async def get(self, name: str) -> EventType | None:
        """Return an event type."""
        ...

    async def page(self, window: Window, *, archived: bool) -> Page[EventType]:
        """Return event types by name; archived ones only if asked for."""
        ...

    async def update(self, name: str, values: Mapping[str, Any], now: int) -> EventType | None:
        """Change the fields given; None when there is no such event type."""
        ...

    async def delete(self, name: str, now: int, *, expunge: bool) -> bool:
        """Archive an event type, or remove it; False when there is none."""
        ...


class Endpoints(Protocol):
    """Endpoints, each of one application; what is asked of another's finds nothing."""

    async def declare(self, app: bytes, endpoints: Sequence[Endpoint], now: int) -> None:
        """Store declared endpoints: new ones inserted, changed ones updated, none doubled."""

    async def retire(
        self, app: bytes, source: str, keep: Iterable[str], reason: str, now: int
    ) -> list[str]:
        """Disable the endpoints of a source whose URL is not in `keep`; return those URLs."""
        ...

    async def create(
        self, app: bytes, new: Endpoint, now: int, key: bytes | None = None
    ) -> Endpoint:
        """Store an endpoint, unless there is one with this `key`; AlreadyExists for its uid."""
        ...

    async def all(self, app: bytes) -> list[Endpoint]:
        """Return all endpoints, oldest first."""
        ...

    async def page(self, app: bytes, window: Window) -> Page[Endpoint]:
        """Return endpoints in the order they were made."""
        ...

    async def find(self, app: bytes, names: Iterable[str]) -> Endpoint | None:
        """Return the oldest endpoint with one of these ids, uids or URLs."""
        ...

    async def get(self, app: bytes, keys: Iterable[bytes]) -> dict[bytes, Endpoint]:
        """Return those endpoints that exist, by key."""
        ...

    async def health(self, app: bytes, key: bytes, now: int) -> EndpointHealth | None:
        """Return how an endpoint is doing."""
        ...

    async def update(
        self, app: bytes, key: bytes, changes: Mapping[str, Any], now: int
    ) -> tuple[Endpoint, int]:
        """Change the fields given; return it and how many held deliveries are due now."""
        ...

    async def delete(self, app: bytes, key: bytes, now: int) -> bool:
        """Delete an endpoint and cancel what waits for it; False when it is gone already."""
        ...

    async def rotate_secret(self, endpoint: bytes, secret: str, expires_at: int, now: int) -> None:
        """Make `secret` the newest one; the others sign until `expires_at` (or sooner)."""

    async def enable(self, endpoint: bytes, now: int) -> int:
        """Enable an endpoint and make what was held due now; return how many were held."""
        ...

    async def disable(self, endpoint: bytes, reason: str, now: int) -> None:
        """Disable an endpoint: deliveries for it are held."""

    async def change_url(self, endpoint: bytes, url: str, now: int) -> None:
        """Send an endpoint's deliveries elsewhere; pending again where a handshake is demanded."""


class History(Protocol):
    """What was published and what became of it, page by page, the newest first."""

    async def message_key(self, app: bytes, name: str) -> bytes | None:
        """Return the key of the message with that id, or with that event id, the newest one."""
        ...

    async def read(self, app: bytes, keys: Sequence[bytes]) -> list[Message]:
        """Return those of these messages that an application has, oldest first."""
        ...

    async def heads(self, app: bytes, after: bytes, limit: int) -> list[Head]:
        """Return what messages after a key are about, the oldest first; not tests of endpoints."""
        ...

    async def messages(self, app: bytes, wanted: Filter, window: Window) -> Page[Message]:
        """Return messages of an application."""
        ...

    async def attempted(
        self, app: bytes, endpoint: bytes, wanted: Filter, window: Window, now: int
    ) -> Page[Attempted]:
        """Return the messages that were sent to an endpoint, or are to be, with their states."""
        ...

    async def attempt(self, message_key: bytes, key: bytes) -> AttemptOf | None:
        """Return one attempt of a message."""
        ...

    async def attempts_of_message(
        self, message_key: bytes, wanted: Filter, window: Window
    ) -> Page[AttemptOf]:
        """Return the attempts that were made for a message."""
        ...

    async def attempts_at_endpoint(
        self, endpoint: bytes, wanted: Filter, window: Window
    ) -> Page[AttemptOf]:
        """Return the attempts that were made at an endpoint."""
        ...

    async def forget_answer(self, message_key: bytes, key: bytes, now: int) -> bool:
        """Erase what was answered to one attempt; False when there is no such attempt."""
        ...

    async def stats(self, endpoint: bytes, since: int, until: int, now: int) -> EndpointStats:
        """Count how deliveries of an endpoint ended between two times, and those under way."""
        ...


class Audit(Protocol):
    """Who changed what. The lines of changes are written by the methods that make them."""

    async def secret_read(self, key: bytes, now: int) -> None:
        """Note that an endpoint's secret is being shown."""

    async def page(
        self, app: bytes | None, wanted: AuditFilter, window: Window
    ) -> Page[AuditEntry]:
        """Return entries, of one application if it is given."""
        ...


class Operational(Protocol):
    """Operational events, published to the endpoints of a hidden application."""

    async def application(self, now: int) -> bytes:
        """Return the key of the application whose endpoints are told; made when there is none."""
        ...

    async def wanted(self) -> bool:
        """Tell whether anybody is told."""
        ...

    async def publish(
        self,
        kind: str,
        key: bytes,
        now: int,
        data: dict[str, Any],
        message: bytes | None = None,
    ) -> bool:
        """Publish what happened to an endpoint, or to a message there; False: nobody is told."""
        ...


class Usages(Protocol):
    """How much was sent, by application and day."""

    async def days(self, app: bytes | None, days: range) -> list[Usage]:
        """Return what was done on these days (since 1970), of one application or of all."""
        ...

    async def add_up(self, now: int) -> None:
        """Add up the days that are over and were not yet."""


class Tallies(Protocol):
    """How many attempts ended how, minute by minute: what is drawn of the log. Times in seconds."""

    async def add(self, counted: Mapping[tuple[bytes, int], Tally]) -> None:
        """Add counts, by endpoint and the minute (Unix s) they are of."""

    async def read(
        self, kind: Kind, subject: bytes | None, start: int, end: int
    ) -> list[tuple[int, Tally]]:
        """Return what was counted from `start` until before `end`, each with its time."""
        ...

    async def read_each(
        self, kind: Kind, subjects: Iterable[bytes], start: int, end: int
    ) -> dict[bytes, list[tuple[int, Tally]]]:
        """Return the same for several endpoints or applications."""
        ...


class ApiKeys(Protocol):
    """The keys of the REST API. What is stored of a token is its hash."""

    async def add(self, key: bytes, hashed: bytes, new: ApiKey, now: int) -> ApiKey:
        """Store a key; InvalidInput when it is scoped to an application that does not exist."""
        ...

    async def all(self) -> list[ApiKey]:
        """Return all keys, oldest first."""
        ...

    async def page(self, window: Window, *, portal: bool) -> Page[ApiKey]:
        """Return keys in the order they were made; those of portals only if asked for."""
        ...

    async def find(self, key: bytes) -> tuple[bytes, ApiKey] | None:
        """Return the hash of a key's token, and the key."""
        ...

    async def used(self, key: bytes, now: int) -> None:
        """Note that a key was used."""

    async def revoke(self, key: bytes, now: int) -> ApiKey | None:
        """Revoke a key unless it is already; None when there is no such key."""
        ...

    async def revoke_portals(self, app: bytes, now: int) -> list[bytes]:
        """Revoke the portal keys of an application that still open, all or none; return which."""
        ...


class Claim(NamedTuple):
    """What a request that may have been sent before is to do.

    `mine`: do it, and tell what came of it. Otherwise it was done (`status` is set), is being done
    right now, or is another request under the same name (`same` is False). `resource` is the id
    for what it makes: the same in every try, so that what an earlier one made is found.
    """

    resource: bytes
    mine: bool = False
    same: bool = True
    status: int | None = None
    body: bytes | None = None


class Answers(Protocol):
    """Answers to requests that may be sent again. Every write after a claim is fenced by it."""

    async def claim(
        self,
        name: bytes,
        digest: bytes,
        resource: bytes,
        lease: int,
        now: int,
        until: int,
        end: int,
    ) -> Claim:
        """Claim a request (`lease`) until a time, or return what became of it.

        `name` is its own for as long as it is remembered, to `end`; `digest` is that of its body.
        """
        ...

    async def keep(self, name: bytes, lease: int, status: int, body: bytes | None) -> bool:
        """Store what was answered, or that it may not be stored; False when the lease was lost."""
        ...

    async def give_back(self, name: bytes, lease: int, now: int) -> bool:
        """Leave a request whose outcome is not known to whoever sends it again."""
        ...

    async def forget(self, name: bytes, lease: int) -> None:
        """Forget a request that was refused: sent again, it is judged anew."""

    async def prune(self, now: int) -> None:
        """Remove what has expired."""


class Jobs(Protocol):
    """Replays, as jobs made in bounded steps. Every step is fenced by its lease."""

    async def preview(self, app: bytes, selection: Selection, now: int) -> Job:
        """Count what a replay would make due now; nothing is written."""
        ...

    async def add(
        self,
        app: bytes,
        selection: Selection,
        rate: float | None,
        now: int,
        task: str = REPLAY,
    ) -> Job:
        """Store a job; MessageNotFound for a message that does not exist."""
        ...

    async def get(self, app: bytes, key: bytes) -> Job | None:
        """Return a job as it is now."""
        ...

    async def find(self, key: bytes) -> tuple[bytes, Job] | None:
        """Return a job of any application, and whose it is."""
        ...

    async def page(
        self, app: bytes | None, states: Collection[JobState], window: Window
    ) -> Page[tuple[bytes, Job]]:
        """Return jobs in these states, of one application or of all, each with whose it is."""
        ...

    async def newest(self, app: bytes, limit: int, before: bytes | None) -> list[Job]:
        """Return the newest jobs, of those older than `before` if it is given."""
        ...

    async def cancel(self, app: bytes, key: bytes, now: int) -> Job | None:
        """Stop a job unless it ended already; what it made due stays due."""
        ...

    async def next_due(self) -> int | None:
        """Return when (Unix ms) the next step of any job may be made."""
        ...

    async def claim(self, now: int, lease_until: int) -> LeasedJob | None:
        """Lease the step that has been due longest, if any is."""
        ...

    async def step(self, job: LeasedJob, now: int) -> int | None:
        """Make one step; return how many deliveries it made due, None when its lease was lost."""
        ...

    async def fail(self, job: LeasedJob, reason: str, now: int) -> None:
        """End a job that cannot go on."""


@dataclass(slots=True)
class LeasedHandshake:
    """One try to verify a pending endpoint, this worker's to make until its lease runs out.

    `step` tries of the schedule were made before, `tries` in all. `own_rate` is the rate limit that
    the endpoint has itself.
    """

    app: bytes
    target: Target
    handshake: Handshake
    origin: str
    own_rate: float | None
    step: int
    tries: int
    lease: int


class Handshakes(Protocol):
    """Pending endpoints. Every write after a claim is fenced by its lease."""

    async def next_due(self) -> int | None:
        """Return when (Unix ms) the next try may be made."""
        ...

    async def claim(
        self, room: int, now: int, lease_ms: int, timeout_ms: int
    ) -> list[LeasedHandshake]:
        """Lease due tries, each for its endpoint's timeout (or `timeout_ms`) and `lease_ms`."""
        ...

    async def succeed(self, leased: LeasedHandshake, proof: Proof, now: int) -> int | None:
        """Make the endpoint active; return how many held deliveries are due, None: lease lost."""
        ...

    async def fail(self, leased: LeasedHandshake, proof: Proof, next_try_at: int | None) -> bool:
        """Note why a try failed; the next is never when it is None. False: lease lost."""
        ...

    async def give_back(self, leased: LeasedHandshake, now: int) -> None:
        """Leave a try that was not made to another worker, due at once."""

    async def ask(self, endpoint: bytes, now: int) -> int | None:
        """Make a try due now; return how many were made so far, None when it is not pending."""
        ...

    async def tries(self, endpoint: bytes) -> int | None:
        """Return how many tries were made; None when the endpoint is not pending."""
        ...

    async def target(self, endpoint: bytes) -> Target | None:
        """Return what sending to an endpoint needs, as it is now."""
        ...


@dataclass(slots=True)
class Request:
    """One HTTP request, ready to send. `tag` comes back with the outcome; times in milliseconds.

    `policy` says where it may go, `identity` how it is reached. `limit` are the bytes of the answer
    that are read, where it is not the sender's.
    """

    tag: Any
    url: Url
    policy: Policy
    header_lines: list[str]
    body: bytes
    connect_timeout_ms: int
    timeout_ms: int
    identity: Identity | None = None
    limit: int | None = None
    method: str = "POST"


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

    def unfiltered(self, message: bytes, target: Target, problem: str) -> None:
        """An endpoint's filter failed on a message, which it therefore gets."""

    def lost(self, settlement: Settlement) -> None:
        """An attempt was made, but its lease was lost: nothing was written."""

    def failing(self, target: Target, milliseconds: int) -> None:
        """An endpoint had no 2xx for so long: a warning, given twice before it is disabled."""

    def disabled(self, target: Target, reason: str) -> None:
        """The system disabled an endpoint: its receiver asked for it, or has long been failing."""

    def verified(self, target: Target, released: int) -> None:
        """A pending endpoint proved that it expects webhooks; so many held ones are due."""

    def unverified(self, target: Target, reason: str, next_try_in: int | None) -> None:
        """A pending endpoint did not; the next try is so many ms away, None: it was the last."""

    def trouble(self, what: str, error: BaseException) -> None:
        """The engine met an error it survives: the database is away, a batch is tried again."""


class Tracer(Protocol):
    """Follows events from the span that published them to the attempts. Must not raise."""

    def publishing(self, messages: Sequence[NewMessage]) -> AbstractContextManager[None]:
        """Publish in a span, which the messages are given the name of."""
        ...

    def route(self, message: bytes, endpoints: int, traceparent: str | None) -> None:
        """A message was routed to so many endpoints."""

    def sending(self, delivery: Leased, request: Request, started_at: int) -> None:
        """An attempt begins (Unix ms): give it a span, and the request its headers."""
