"""Publishing: events in, messages out."""

import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple, TypeAlias, TypedDict, Unpack

from hookline._app.catalogue import DeclaredEvents
from hookline._app.scope import Scope
from hookline._domain import check, ids
from hookline._domain.delivery import DeliveryStatus
from hookline._domain.envelope import Body, as_it_is, envelope
from hookline._domain.instance import MISSING, Instance
from hookline._domain.options import names
from hookline._engine.keys import new_key
from hookline._engine.publish import EngineStopped
from hookline._engine.receipt import Receipt
from hookline._ports import NewMessage
from hookline._storage import joining
from hookline._storage.default import DEFAULT_APPLICATION
from hookline.errors import InvalidInput, StorageError

log = logging.getLogger("hookline")
MAX_IDEMPOTENCY_KEY = 256
MAX_EVENT_ID = 256
MAX_CHANNELS = MAX_TAGS = 5
STOPS_OUTLIVED = 10


class Event(NamedTuple):
    """One event for `trigger_many`; the fields are those of `trigger`."""

    event: str | Enum | Instance
    data: Any = MISSING
    metadata: Any = None
    idempotency_key: str | None = None
    timestamp: datetime | None = None
    deliver_at: datetime | None = None
    ordering_key: str | None = None
    channels: Sequence[str] = ()
    tags: Sequence[str] = ()
    event_id: str | None = None


Publishable: TypeAlias = Event | tuple[Any, ...] | Instance
"""What `trigger_many` takes for one event."""


class TriggerOptions(TypedDict, total=False):
    """The options of `trigger`, beside the transaction."""

    idempotency_key: str | None
    timestamp: datetime | None
    deliver_at: datetime | None
    ordering_key: str | None
    channels: Sequence[str]
    tags: Sequence[str]
    event_id: str | None


class Publisher:
    """Publishes in one transaction of the caller's. Made by `Webhooks.within`."""

    def __init__(self, webhooks: "Publishing", held: Any) -> None:
        """`held` is a session or connection; see `Publishing.trigger`."""
        self._webhooks = webhooks
        self._held = held

    async def trigger(
        self,
        event: str | Enum | Instance,
        data: Any = MISSING,
        metadata: Any = None,
        **options: Unpack[TriggerOptions],
    ) -> Receipt:
        """Publish an event in the transaction; see `Webhooks.trigger`."""
        return await self._webhooks.trigger(event, data, metadata, session=self._held, **options)

    async def trigger_many(self, events: Iterable[Publishable]) -> list[Receipt]:
        """Publish several events in the transaction; see `Webhooks.trigger_many`."""
        return await self._webhooks.trigger_many(events, session=self._held)


class Publishing(Scope):
    """What one application publishes."""

    def within(self, held: Any) -> Publisher:
        """Return what publishes in the transaction of a session or connection, and nowhere else.

        For handing to code that should not have to know of the transaction. See `trigger` for what
        it may be.
        """
        return Publisher(self, held)

    def enclose(
        self,
        connection: Any,
        events: Iterable[Publishable],
        *,
        application: str = DEFAULT_APPLICATION,
    ) -> list[Receipt]:
        """Publish in the transaction of a synchronous connection, and open nothing else.

        For a process that never delivers: no thread is started and no database opened, not even
        to store what was declared here, which is for the process that does. `application` is the
        id or uid of whose events they are. Raises what `trigger_many` raises, ApplicationNotFound
        among it.
        """
        messages = self._messages(events)
        with self._runtime.publishing(messages):
            return self._receipts(messages, joining.enclose(connection, messages, application))

    async def trigger(
        self,
        event: str | Enum | Instance,
        data: Any = MISSING,
        metadata: Any = None,
        *,
        session: Any = None,
        connection: Any = None,
        idempotency_key: str | None = None,
        timestamp: datetime | None = None,
        deliver_at: datetime | None = None,
        ordering_key: str | None = None,
        channels: Sequence[str] = (),
        tags: Sequence[str] = (),
        event_id: str | None = None,
    ) -> Receipt:
        """Publish an event. Returns once it is committed, long before it is delivered.

        `event` is an event type with its `data`, or, alone, an instance of the model that one was
        declared with (see `event`). `data` and `metadata` are objects: dicts, pydantic models or
        dataclasses; the data of an event type with a model are checked against it and sent as it
        writes them. With `session=` (a SQLAlchemy or SQLModel session) or `connection=` (of
        SQLAlchemy, sqlite3, aiosqlite, psycopg, asyncpg or Django), on the same database, the event
        becomes part of the caller's transaction: sent when it commits, never when it rolls back.
        `idempotency_key` (1 to 256 characters) makes a repeat within 24 hours a no-op. `timestamp`
        is when the event happened, now by default. `deliver_at` delays delivery; see `cancel`.
        `ordering_key` (to 256 characters) is for ordered endpoints: events wait for those of the
        same key. Endpoints that name channels get what is sent to one of the `channels` (5 at
        most); `tags` (5) and your own `event_id` are for looking it up.

        Raises UnknownEventType, InvalidInput, InvalidPayload, PayloadTooLarge, IdempotencyConflict,
        SessionMismatch or StorageError; nothing is published then.
        """
        event_ = Event(
            event,
            data,
            metadata,
            idempotency_key=idempotency_key,
            timestamp=timestamp,
            deliver_at=deliver_at,
            ordering_key=ordering_key,
            channels=channels,
            tags=tags,
            event_id=event_id,
        )
        message = self._message(event_)
        held = _held(session, connection)
        if held is not None:
            [key] = await self._join(held, [message])
        elif self._runtime.tracing:
            with self._runtime.publishing((message,)):
                key = await self._publish(message)
        else:
            key = await self._publish(message)
        return self._receipt(message, key)

    async def publish(
        self,
        event: str | Enum,
        body: bytes,
        *,
        idempotency_key: str | None = None,
        deliver_at: datetime | None = None,
        ordering_key: str | None = None,
        channels: Sequence[str] = (),
        tags: Sequence[str] = (),
        event_id: str | None = None,
        once: bytes | None = None,
    ) -> Receipt:
        """Publish a body of your own making, a JSON object in UTF-8, and send it byte for byte.

        Otherwise as `trigger`, which wraps what it is given in an envelope; where the event type
        has a model, it is that of the body's `data`. `once`, if given, is
        what a repeat with the same idempotency key must have in common, instead of the event.
        """
        event_ = Event(
            event,
            data=None,
            idempotency_key=idempotency_key,
            deliver_at=deliver_at,
            ordering_key=ordering_key,
            channels=channels,
            tags=tags,
            event_id=event_id,
        )
        name = self._admission.catalogue.published(event)
        content = as_it_is(name, body, limit=self._runtime.settings.payload_limit)
        self._admission.catalogue.check_body(name, content.content)
        message = self._addressed(event_, name, content, self._runtime.clock.now())
        if once is not None:
            message.digest = once
        with self._runtime.publishing((message,)):
            return self._receipt(message, await self._publish(message))

    async def _publish(self, message: NewMessage) -> bytes:
        """Publish; start again when a stop came in between, as any later trigger would."""
        for _ in range(STOPS_OUTLIVED):
            engine = await self._runtime.running()
            message.app = self._app(engine)
            with suppress(EngineStopped):
                return await engine.publisher.publish(message)
        raise StorageError("Hookline is being stopped again and again; nothing was published")

    async def _join(self, held: Any, messages: list[NewMessage]) -> list[bytes]:
        """Publish in the transaction that the caller holds."""
        engine = await self._runtime.running(joining=True)
        for message in messages:
            message.app = self._app(engine)
        with self._runtime.publishing(messages):
            return await engine.join(held, messages)

    async def trigger_many(
        self,
        events: Iterable[Publishable],
        *,
        session: Any = None,
        connection: Any = None,
    ) -> list[Receipt]:
        """Publish several events in one commit: all of them, or none.

        Each is an `Event`, a tuple of its first fields (`("customer.created", {"id": "1"})`), or an
        instance of a declared model. `session` and `connection` are those of `trigger`. Raises what
        `trigger` raises, for the first event that cannot be published.
        """
        messages = self._messages(events)
        if not messages:
            return []
        held = _held(session, connection)
        if held is not None:
            keys = await self._join(held, messages)
        else:
            engine = await self._runtime.running()
            for message in messages:
                message.app = self._app(engine)
            with self._runtime.publishing(messages):
                keys = await self._runtime.on_home(engine.publish_together(messages))
        return self._receipts(messages, keys)

    def _messages(self, events: Iterable[Publishable]) -> list[NewMessage]:
        return [self._message(_event(each)) for each in events]

    def _message(self, event: Event, catalogue: DeclaredEvents | None = None) -> NewMessage:
        """Return the message of an event, everything about it checked; its application is open."""
        known = self._admission.catalogue if catalogue is None else catalogue
        name, data = known.shaped(event.event, event.data)
        now = self._runtime.clock.now()
        at = now if event.timestamp is None else check.milliseconds("timestamp", event.timestamp)
        limit = self._runtime.settings.payload_limit
        body = envelope(name, data, at, event.metadata, limit=limit)
        return self._addressed(event, name, body, now, at)

    @staticmethod
    def _addressed(
        event: Event, name: str, body: Body, now: int, created_at: int | None = None
    ) -> NewMessage:
        """Return the message with the body, for whom and when the event says."""
        if event.idempotency_key is not None:
            check.text("idempotency_key", event.idempotency_key, 1, MAX_IDEMPOTENCY_KEY)
        if event.ordering_key is not None:
            check.text("ordering_key", event.ordering_key, 1, MAX_IDEMPOTENCY_KEY)
        if event.event_id is not None:
            check.text("event_id", event.event_id, 1, MAX_EVENT_ID)
        deliver_at = None
        if event.deliver_at is not None:
            deliver_at = check.milliseconds("deliver_at", event.deliver_at)
        for note in body.notes:
            log.warning("Event %s: %s", name, note)
        return NewMessage(
            key=new_key(now),
            app=b"",
            event_type=name,
            body=body.content,
            created_at=now if created_at is None else created_at,
            due_at=max(now, now if deliver_at is None else deliver_at),
            deliver_at=deliver_at,
            idempotency_key=event.idempotency_key,
            digest=body.digest,
            ordering_key=event.ordering_key,
            event_id=event.event_id,
            channels=names("channels", event.channels, MAX_CHANNELS) if event.channels else (),
            tags=names("tags", event.tags, MAX_TAGS) if event.tags else (),
        )

    def _receipt(self, message: NewMessage, key: bytes) -> Receipt:
        return Receipt(
            ids.encode(ids.MESSAGE, key), message.event_type, key != message.key, self._waiter(key)
        )

    def _receipts(self, messages: list[NewMessage], keys: list[bytes]) -> list[Receipt]:
        return [self._receipt(m, key) for m, key in zip(messages, keys, strict=True)]

    async def cancel(self, message_id: str) -> int:
        """Cancel what has not been sent of a message; return how many deliveries were stopped.

        Requests in flight are not called back. A message that was not routed yet (`deliver_at`)
        counts as one.
        """
        key = await self._message_key(message_id)
        return await self._ask(lambda e, _: e.store.cancel(key, e.clock.now()))

    def _waiter(self, key: bytes) -> Callable[[float], Coroutine[Any, Any, list[DeliveryStatus]]]:
        async def wait(timeout: float) -> list[DeliveryStatus]:
            return await self._ask(lambda e, _: e.delivered(key, timeout))

        return wait


def _held(session: Any, connection: Any) -> Any:
    """Return what holds the caller's transaction, None when nothing was handed over."""
    if session is not None and connection is not None:
        raise InvalidInput("session: give either a session or a connection, not both")
    return connection if session is None else session


def _event(given: Publishable) -> Event:
    if isinstance(given, Event):
        return given
    return Event(*given) if isinstance(given, tuple | list) else Event(given)
