"""What was published and what became of it, as people look it up."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from hookline._domain.breaker import CircuitState
from hookline._domain.delivery import Attempt, DeliveryState
from hookline._domain.endpoint import EndpointState

MOST_QUEUED = 10_000
"""Where counting an endpoint's deliveries stops: what is said then is that there are so many."""


def queued(count: int, most: int = MOST_QUEUED) -> str:
    """Return a count of an endpoint's deliveries as people read it: `3`, or `10,000+`.

    `most` is where counting stopped.
    """
    return f"{count:,}" + "+" * (count >= most)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was published. `body` is empty once it was erased or has expired."""

    id: str
    event_type: str
    created_at: datetime
    body: bytes = field(default=b"", repr=False)
    event_id: str | None = None
    channels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    deliver_at: datetime | None = None
    canceled_at: datetime | None = None
    ordering_key: str | None = None

    @property
    def erased(self) -> bool:
        """Whether what it said is gone."""
        return not self.body


@dataclass(frozen=True, slots=True)
class Filter:
    """What is looked for. Everything given must hold; an empty value asks for nothing.

    `before` and `after` bound the time, the ends left out. `status_class` is one of HTTP:
    200 for 200 to 299, 0 for attempts without an answer. `states` are those of deliveries at an
    endpoint, `succeeded` is about single attempts. `text` is looked for in bodies.
    """

    event_types: Collection[str] = ()
    channel: str | None = None
    tag: str | None = None
    before: datetime | None = None
    after: datetime | None = None
    succeeded: bool | None = None
    states: Collection[DeliveryState] = ()
    status_class: int | None = None
    endpoint: bytes | None = None
    text: str | None = None


class Head(NamedTuple):
    """What a message is about, without what it says."""

    key: bytes
    event_type: str
    channels: tuple[str, ...]


class Followed(NamedTuple):
    """Messages as they came up, and where to go on when this was the last that was heard."""

    messages: list[Message]
    position: str


@dataclass(frozen=True, slots=True)
class Attempted:
    """A message, and where it stands at one endpoint."""

    message: Message
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AttemptOf:
    """An attempt with the message it was made for; None when that is gone."""

    attempt: Attempt
    message: Message | None


@dataclass(frozen=True, slots=True)
class EndpointStats:
    """How many deliveries ended how at an endpoint, or have not yet: to `MOST_QUEUED` each."""

    succeeded: int = 0
    exhausted: int = 0
    pending: int = 0
    sending: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """How an endpoint is doing.

    `failures` are those in a row, `failing_since` when its last 2xx was, both while it is in
    trouble. Nothing is sent to it before `waits_until`. `next_attempt_at` is when it is sent to
    next, if anything waits for it and nothing new is published. What is `pending`, `sending` and
    `held` is counted to `MOST_QUEUED` each.
    """

    state: EndpointState
    circuit: CircuitState
    failures: int
    failing_since: datetime | None
    waits_until: datetime | None
    pending: int
    sending: int
    held: int
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    last_status: int | None
    last_failure: str | None
