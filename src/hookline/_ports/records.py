"""What was published, what became of it, who changed what: looked up and counted."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from hookline._domain.audit import AuditEntry, AuditFilter
from hookline._domain.history import Attempted, AttemptOf, EndpointStats, Filter, Head, Message
from hookline._domain.overview import DeadLetter, Glance, Stands, Trouble
from hookline._domain.page import Page, Window
from hookline._domain.tally import MINUTE, Kind, Tally
from hookline._domain.usage import Usage


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


class Overview(Protocol):
    """What an operator sees at a glance. Every question is bounded, however much there is."""

    async def next_due(self, after: int) -> int | None:
        """Return when the next message or delivery falls due, later than a time (Unix ms)."""
        ...

    async def glances(self, keys: Collection[bytes], now: int) -> dict[bytes, Glance]:
        """Return how these endpoints are doing, in one question for all of them."""
        ...

    async def troubled(self, limit: int, app: bytes | None = None) -> list[Trouble]:
        """Return endpoints that fail or are disabled: open circuits first."""
        ...

    async def dead_letters(
        self, app: bytes | None, wanted: Filter, window: Window
    ) -> Page[DeadLetter]:
        """Return deliveries whose last attempt was the last one, the newest message first.

        Of the filter count times, event types and the endpoint.
        """
        ...

    async def messages(
        self, app: bytes | None, wanted: Filter, window: Window, now: int
    ) -> Page[Stands]:
        """Return messages, of one application or of all, and where they stand."""
        ...

    async def owner(self, message_key: bytes) -> bytes | None:
        """Return the key of the application whose message it is."""
        ...

    async def listening(self, limit: int) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """Return application, endpoint, URL and subscriptions of enabled endpoints."""
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

    async def days(self, app: bytes | None, days: range, now: int) -> list[Usage]:
        """Return what was done on these days (since 1970), of one application or of all."""
        ...

    async def add_up(self, now: int) -> None:
        """Add up the days that are over and were not yet."""


class Tallies(Protocol):
    """How many attempts ended how, minute by minute: what is drawn of the log. Times in seconds."""

    async def add(self, counted: Mapping[tuple[bytes, int], Tally]) -> None:
        """Add counts, by endpoint and the minute (Unix s) they are of."""

    async def read(
        self, kind: Kind, subject: bytes | None, start: int, end: int, step: int = MINUTE
    ) -> list[tuple[int, Tally]]:
        """Return what was counted from `start` until before `end`, in spans of `step`."""
        ...

    async def read_each(
        self,
        kind: Kind,
        subjects: Iterable[bytes],
        start: int,
        end: int,
        step: int = MINUTE,
        *,
        latencies: bool = True,
    ) -> dict[bytes, list[tuple[int, Tally]]]:
        """Return the same for several endpoints or applications; without buckets if told so."""
        ...
