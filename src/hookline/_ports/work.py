"""What goes on in the background in steps: replays and other jobs, handshakes."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from hookline._domain.endpoint import Target
from hookline._domain.handshake import Handshake, Proof
from hookline._domain.page import Page, Window
from hookline._domain.replay import REPLAY, Job, JobState, Selection


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
