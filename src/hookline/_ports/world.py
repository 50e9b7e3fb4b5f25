"""What lies outside of databases: HTTP, time, and who is told."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from hookline._domain.address import Policy
from hookline._domain.delivery import Outcome
from hookline._domain.endpoint import Target
from hookline._domain.identity import Identity
from hookline._domain.url import Url
from hookline._ports.queue import Leased, NewMessage, Settlement


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
