"""The façade: class Webhooks. The only place that names concrete adapters."""

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
)
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar, Unpack

from hookline._domain import check, forms, ids
from hookline._domain import headers as header_policy
from hookline._domain import url as url_parser
from hookline._domain.address import judge_url, remedy
from hookline._domain.api_key import ApiKey
from hookline._domain.delivery import Attempt, DeliveryState, DeliveryStatus
from hookline._domain.endpoint import Catalogue, Endpoint, SigningSecret, Target
from hookline._domain.envelope import envelope
from hookline._domain.finding import Finding
from hookline._domain.handshake import Handshake
from hookline._domain.options import KNOWN, MAX_RATE, MIN_RATE, EndpointOptions, checked
from hookline._domain.readiness import Readiness
from hookline._domain.receiver_check import EVENT as TEST_EVENT
from hookline._domain.receiver_check import ReceiverCheck
from hookline._domain.replay import EVERYTHING, FAILED, Job, Selection
from hookline._domain.signature import SecretKind, check_secret, kind_of
from hookline._domain.vitals import Schema
from hookline._engine import check_receiver, doctor
from hookline._engine.api_keys import ApiKeys
from hookline._engine.clock import SystemClock
from hookline._engine.engine import Engine
from hookline._engine.errand import Errands
from hookline._engine.keys import generate_secret, new_key
from hookline._engine.publish import EngineStopped
from hookline._engine.receipt import Receipt
from hookline._engine.service import Home
from hookline._observe.events import EventObserver, Listener, Observers
from hookline._observe.logs import LogObserver
from hookline._ports import Clock, NewMessage, Observer, Reencrypted, Store
from hookline._sending import certificates
from hookline._sending.probe import probe as probe_hosts
from hookline._sending.sender import CurlSender, unsupported
from hookline._settings import Settings
from hookline._storage.database import open_database, parse_url
from hookline._storage.store import LEFT_FILE
from hookline._webhooks_file import Declaration, read
from hookline.errors import (
    BlockedDestination,
    EndpointDisabled,
    EndpointNotFound,
    InvalidHeader,
    InvalidInput,
    InvalidSettings,
    InvalidUrl,
    InvalidWebhooksFile,
    JobNotFound,
    StorageError,
)

log = logging.getLogger("hookline")
T = TypeVar("T")

MAX_IDEMPOTENCY_KEY = 256
STOPS_OUTLIVED = 10
MAX_JOBS = 1000


class Event(NamedTuple):
    """One event for `trigger_many`; the fields are those of `trigger`."""

    event: str | Enum
    data: Any
    metadata: Any = None
    idempotency_key: str | None = None
    timestamp: datetime | None = None
    deliver_at: datetime | None = None
    ordering_key: str | None = None


class Webhooks:
    """Outbound webhooks of one application.

    `events` is the catalogue: an Enum class or names; without it any well-formed event type is
    accepted. `on_event` is called with each `OperationalEvent`. Other arguments are settings (see
    `Settings`), `database=` first among them. Nothing is opened before the first `init`, `start` or
    `trigger`.
    """

    def __init__(
        self,
        *,
        events: type[Enum] | Iterable[str | Enum] | None = None,
        database: str | None = None,
        settings: Settings | None = None,
        clock: Clock | None = None,
        on_event: Listener | None = None,
        **overrides: Any,
    ) -> None:
        """Raises InvalidSettings when a setting cannot be used."""
        if settings is not None and (database is not None or overrides):
            raise InvalidSettings("settings: give either a Settings object or single settings")
        self.settings = settings or Settings.load(database=database, **overrides)
        self._url = parse_url(self.settings.database)
        self._policy = self.settings.policy()
        self._catalogue = Catalogue(events)
        self._clock = clock or SystemClock()
        told: list[Observer] = [LogObserver()]
        if on_event is not None:
            told.append(EventObserver(on_event))
        self._observer = told[0] if len(told) == 1 else Observers(*told)
        self._declared: dict[str, Endpoint] = {}
        self._pending: dict[str, Endpoint] = {}
        self._declaring = threading.Lock()  # guards the two dicts, held for moments only
        self._starting = threading.RLock()  # guards home and engine, held while they start or stop
        self._home: Home | None = None
        self._engine: Engine | None = None
        self._pid = 0

    # declaring -----------------------------------------------------------------------------

    def register(
        self,
        url: str,
        events: Iterable[str | Enum],
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[EndpointOptions],
    ) -> Endpoint:
        """Declare an endpoint. The same URL again updates it, also over restarts and processes.

        Callable at import time, before any loop or database, and inside a running loop; what was
        declared is stored before the next message is routed. `events` are event types, prefixes
        such as `customer.*`, or `*`. The options are those of `EndpointOptions`. Raises InvalidUrl,
        BlockedDestination, InvalidHeader, InvalidSecret, UnknownEventType or InvalidInput; nothing
        is declared then.
        """
        unknown = [name for name in options if name not in KNOWN]
        if unknown:
            raise TypeError(f"register() got an unexpected keyword argument {unknown[0]!r}")
        declared = self._endpoint("code", url, events, secret, headers, options)
        self._declare([declared])
        return declared

    def _endpoint(
        self,
        source: str,
        url: str,
        events: Iterable[str | Enum],
        secret: str | None,
        headers: Mapping[str, str] | None,
        options: Mapping[str, Any],
    ) -> Endpoint:
        given = checked(options)
        if given.get("handshake") == Handshake.CLOUDEVENTS and not self.settings.handshake_origin:
            raise InvalidInput(
                "handshake: 'cloudevents' needs the setting handshake_origin, the name receivers "
                "are to know this sender by, such as webhooks.example.com"
            )
        signatures = given.get("signatures")
        secret = None if secret is None else check_secret(secret)
        forms.check(signatures, secret)
        networks = given.get("allowed_networks", ())
        declared = Endpoint(
            url=self._allowed(url, networks),
            events=self._catalogue.subscriptions(events),
            secret=secret,
            headers=header_policy.check(headers or {}, forms.reserved(signatures)),
            source=source,
            **given,
        )
        self._check_identity(declared)
        return declared

    def _check_identity(self, declared: Endpoint) -> None:
        """Check by whom, as whom and by which way an endpoint is reached; warn of what expired."""
        lacking = unsupported(
            ca=declared.ca is not None,
            certificate=declared.client_certificate is not None,
            http2=declared.http2,
        )
        if lacking is not None:
            raise InvalidInput(lacking)
        certificates.check(declared.ca, declared.client_certificate, declared.client_key)
        if declared.oauth2 is not None:
            self._check_oauth2(declared, declared.oauth2)
        for name in ("ca", "client_certificate"):
            pem = getattr(declared, name)
            for expired in certificates.expired(pem, datetime.now(UTC)) if pem else ():
                log.warning("Endpoint %s: %s: %s", declared.url, name, expired)

    def _check_oauth2(self, declared: Endpoint, oauth2: Mapping[str, Any]) -> None:
        try:
            self._allowed(oauth2["token_url"], declared.allowed_networks)
        except BlockedDestination as error:
            raise BlockedDestination(f"oauth2.token_{error}", error.verdict) from None
        certificates.check(oauth2.get("ca"), None, None, name="oauth2.ca")
        if any(name.lower() == "authorization" for name in declared.headers):
            raise InvalidHeader(
                "header 'Authorization': is set by oauth2; leave out one of the two"
            )

    def _allowed(self, text: str, networks: Iterable[str]) -> str:
        """Return the normalised URL; raise InvalidUrl, or BlockedDestination when it may not be."""
        url = url_parser.parse(text)
        verdict = judge_url(url, self._policy.widened(networks))
        if verdict is not None:
            raise BlockedDestination(f"url: {verdict}. {remedy(verdict)}", verdict)
        return str(url)

    def _declare(self, endpoints: Iterable[Endpoint]) -> None:
        with self._declaring:
            for declared in endpoints:
                self._declared[declared.url] = declared
                self._pending[declared.url] = declared
        engine, home = self._engine, self._home
        if engine is not None and home is not None:
            home.run(self._flush(engine))

    async def _flush(self, engine: Engine) -> None:
        """Store what was declared since the last flush. Runs on the engine's loop.

        One at a time: routing waits here for a flush that is under way, so that a message never
        overtakes the endpoint that was declared before it.
        """
        if not self._pending and not engine.declaring.locked():
            return
        async with engine.declaring:
            with self._declaring:
                pending, self._pending = self._pending, {}
            if not pending:
                return
            try:
                await engine.declare(pending.values())
            except BaseException:
                with self._declaring:  # not stored: newer declarations win over these
                    self._pending = {**pending, **self._pending}
                raise

    # starting and stopping -----------------------------------------------------------------

    def init(self, path: str | os.PathLike[str] | None = None) -> None:
        """Load the webhooks file and start delivering, as the guide's startup event does.

        The file is `path`, else `HOOKLINE_WEBHOOKS_FILE`, else `./webhooks.json`. A missing one is
        fine and said in the log; a wrong one raises InvalidWebhooksFile with file, position and
        reason, and nothing is started. Endpoints that left the file are disabled, not deleted.
        Returns when the database is open and the endpoints are stored.
        """
        file = Path(path if path is not None else self.settings.webhooks_file)
        declarations = read(file)
        if declarations is None:
            log.info("No webhooks file at %s: endpoints come from code and database", file)
        found = self._from_file(file, declarations or ())
        self._declare(found)

        async def retire(engine: Engine) -> None:
            if declarations is not None:
                await self._retire(engine, file, [e.url for e in found])
                log.info("%d webhooks loaded from %s", len(found), file)

        self._start(retire)

    def _from_file(self, file: Path, declarations: Iterable[Declaration]) -> list[Endpoint]:
        found: dict[str, Endpoint] = {}
        for d in declarations:
            declared = self._file_entry(file, d)
            if declared.url in found:
                first = list(found).index(declared.url)
                raise InvalidWebhooksFile(
                    f"{file}: webhooks[{d.position}].url: {d.url} is already webhooks[{first}]; "
                    "put all its events into one entry"
                )
            found[declared.url] = declared
        return list(found.values())

    def _file_entry(self, file: Path, d: Declaration) -> Endpoint:
        try:
            return self._endpoint("file", d.url, d.events, d.secret, d.headers, d.options)
        except InvalidInput as error:
            raise InvalidWebhooksFile(f"{file}: webhooks[{d.position}].{error}") from error

    async def _retire(self, engine: Engine, file: Path, keep: list[str]) -> None:
        now = engine.clock.now()
        for url in await engine.store.retire(engine.app, "file", keep, LEFT_FILE, now):
            log.warning(
                "Endpoint %s is no longer in %s: disabled, its webhooks are held", url, file
            )

    async def start(self) -> None:
        """Start the engine without loading a file. Safe to call twice."""
        await asyncio.to_thread(self._start)

    def _start(self, first: Callable[[Engine], Awaitable[None]] | None = None) -> Engine:
        """Start the engine in this process unless it runs; return it with declarations stored.

        `first` is awaited before anything is delivered.
        """
        with self._starting:
            running = self._engine is not None and self._pid == os.getpid()
            engine, home = self._engine, self._home
            if not running or engine is None or home is None:
                # After a fork the objects are here, but not their threads.
                return self._open(first)
        home.run(self._settle_in(engine, first)).result()
        return engine

    async def _settle_in(
        self, engine: Engine, first: Callable[[Engine], Awaitable[None]] | None
    ) -> None:
        await self._flush(engine)
        if first is not None:
            await first(engine)

    def _open(self, first: Callable[[Engine], Awaitable[None]] | None) -> Engine:
        home = Home(_new_loop)
        home.start()
        try:
            engine = home.run(self._build(first)).result()
        except BaseException:
            home.stop()
            raise
        if self._pid == 0:
            atexit.register(self.close)
        self._home, self._engine, self._pid = home, engine, os.getpid()
        return engine

    async def _build(self, first: Callable[[Engine], Awaitable[None]] | None) -> Engine:
        settings = self.settings
        database = open_database(self._url, settings)
        engine = Engine(
            store=database.store,
            queue=database.queue,
            sender=CurlSender(response_limit=settings.response_limit),
            errands=Errands(CurlSender(response_limit=settings.response_limit)),
            clock=self._clock,
            observer=self._observer,
            settings=settings,
            before_routing=lambda: self._flush(engine),
        )
        await engine.start()
        try:
            await self._settle_in(engine, first)
            await engine.deliver()
        except BaseException:
            await engine.stop()
            raise
        return engine

    async def stop(self) -> None:
        """Stop gracefully: finish what is in flight (`stop_timeout` at most), give back the rest.

        Safe to call twice; a later `trigger` starts again.
        """
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """`stop` for code without an event loop. Also runs when the interpreter exits."""
        with self._starting:
            engine, home = self._engine, self._home
            self._engine = self._home = None
            if engine is None or home is None or self._pid != os.getpid():
                return
            if engine.worker.in_flight:
                log.info("Finishing %d deliveries in flight", engine.worker.in_flight)
            try:
                home.run(self._wind_up(engine)).result()
            finally:
                home.stop()

    async def _wind_up(self, engine: Engine) -> None:
        try:
            await self._flush(engine)
        except StorageError as error:  # declared again at the next start
            log.warning("What was declared last could not be stored: %s", error)
        await engine.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # publishing ----------------------------------------------------------------------------

    async def trigger(
        self,
        event: str | Enum,
        data: Any,
        metadata: Any = None,
        *,
        session: Any = None,
        idempotency_key: str | None = None,
        timestamp: datetime | None = None,
        deliver_at: datetime | None = None,
        ordering_key: str | None = None,
    ) -> Receipt:
        """Publish an event. Returns once it is committed, long before it is delivered.

        `data` and `metadata` are objects: dicts, pydantic models or dataclasses. With `session=`
        (a SQLAlchemy Session or AsyncSession on the same database) the event becomes part of the
        caller's transaction: sent when it commits, never when it rolls back. `idempotency_key`
        (1 to 256 characters) makes a repeat within 24 hours a no-op. `timestamp` is when the event
        happened, now by default. `deliver_at` delays delivery; see `cancel`. `ordering_key` (to
        256 characters) is for ordered endpoints: events wait for those of the same key. Raises
        UnknownEventType, InvalidPayload, PayloadTooLarge, IdempotencyConflict, SessionMismatch or
        StorageError; nothing is published then.
        """
        event_ = Event(event, data, metadata, idempotency_key, timestamp, deliver_at, ordering_key)
        message = self._message(event_, self._catalogue)
        if session is not None:
            engine = await self._running(session)
            message.app = engine.app
            key = await engine.join(session, message)
        else:
            key = await self._publish(message)
        return self._receipt(message, key)

    async def _publish(self, message: NewMessage) -> bytes:
        """Publish; start again when a stop came in between, as any later trigger would."""
        for _ in range(STOPS_OUTLIVED):
            engine = await self._running(None)
            message.app = engine.app
            with suppress(EngineStopped):
                return await engine.publisher.publish(message)
        raise StorageError("Hookline is being stopped again and again; nothing was published")

    async def trigger_many(
        self, events: Iterable[Event | tuple[Any, ...]], *, session: Any = None
    ) -> list[Receipt]:
        """Publish several events in one commit: all of them, or none.

        Each is an `Event`, or a tuple of its first fields: `("customer.created", {"id": "1"})`.
        Raises what `trigger` raises, for the first event that cannot be published.
        """
        shaped = [e if isinstance(e, Event) else Event(*e) for e in events]
        messages = [self._message(event, self._catalogue) for event in shaped]
        if not messages:
            return []
        engine = await self._running(session)
        for message in messages:
            message.app = engine.app
        if session is not None:
            keys = [await engine.join(session, message) for message in messages]
        else:
            keys = await self._on_home(engine.publish_together(messages))
        return [self._receipt(m, key) for m, key in zip(messages, keys, strict=True)]

    def _message(self, event: Event, catalogue: Catalogue) -> NewMessage:
        """Return the message of an event, everything about it checked; its application is open."""
        event_type = catalogue.event_type(event.event)
        if event.idempotency_key is not None:
            check.text("idempotency_key", event.idempotency_key, 1, MAX_IDEMPOTENCY_KEY)
        if event.ordering_key is not None:
            check.text("ordering_key", event.ordering_key, 1, MAX_IDEMPOTENCY_KEY)
        now = self._clock.now()
        created_at = now if event.timestamp is None else _milliseconds("timestamp", event.timestamp)
        deliver_at = None
        if event.deliver_at is not None:
            deliver_at = _milliseconds("deliver_at", event.deliver_at)
        limit = self.settings.payload_limit
        body = envelope(event_type, event.data, created_at, event.metadata, limit=limit)
        for note in body.notes:
            log.warning("Event %s: %s", event_type, note)
        return NewMessage(
            key=new_key(now),
            app=b"",
            event_type=event_type,
            body=body.content,
            created_at=created_at,
            due_at=max(now, now if deliver_at is None else deliver_at),
            deliver_at=deliver_at,
            idempotency_key=event.idempotency_key,
            digest=body.digest,
            ordering_key=event.ordering_key,
        )

    def _receipt(self, message: NewMessage, key: bytes) -> Receipt:
        return Receipt(
            ids.encode(ids.MESSAGE, key), message.event_type, key != message.key, self._waiter(key)
        )

    async def cancel(self, message_id: str) -> int:
        """Cancel what has not been sent of a message; return how many deliveries were stopped.

        Requests in flight are not called back. A message that was not routed yet (`deliver_at`)
        counts as one.
        """
        key = _message_key(message_id)
        engine = await self._running(None)
        return await self._on_home(engine.store.cancel(key, engine.clock.now()))

    async def _running(self, session: Any) -> Engine:
        """Return the engine, started when nobody did, with declarations stored."""
        engine = self._engine
        if engine is None or self._pid != os.getpid():
            return await asyncio.to_thread(self._start)
        if session is None and (self._pending or engine.declaring.locked()):
            await self._on_home(self._flush(engine))
        return engine

    def _waiter(self, key: bytes) -> Callable[[float], Coroutine[Any, Any, list[DeliveryStatus]]]:
        async def wait(timeout: float) -> list[DeliveryStatus]:
            engine = await self._running(None)
            return await self._on_home(engine.delivered(key, timeout))

        return wait

    async def _on_home(self, coroutine: Coroutine[Any, Any, T]) -> T:
        home = self._home
        if home is None:
            coroutine.close()
            raise EngineStopped("Hookline was stopped meanwhile")
        try:
            running = home.run(coroutine)
        except RuntimeError as error:  # it is stopping
            coroutine.close()
            raise EngineStopped("Hookline was stopped meanwhile") from error
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise  # it is the caller that was canceled
            raise EngineStopped("Hookline was stopped meanwhile") from None

    # looking after endpoints ---------------------------------------------------------------

    async def endpoints(self) -> list[Endpoint]:
        """Return every endpoint, oldest first: from code, file and API, disabled ones too."""
        engine = await self._running(None)
        return await self._on_home(engine.store.endpoints(engine.app))

    async def endpoint(self, url_or_id: str) -> Endpoint:
        """Return one endpoint by id (`ep_…`) or URL; raise EndpointNotFound."""
        wanted = {url_or_id}
        with suppress(InvalidUrl):
            wanted.add(str(url_parser.parse(url_or_id)))  # as it is stored
        for found in await self.endpoints():
            if wanted & {found.id, found.url}:
                return found
        raise EndpointNotFound(f"no endpoint {url_or_id!r}; see Webhooks.endpoints()")

    async def rotate_secret(
        self,
        endpoint: str | Endpoint,
        secret: str | None = None,
        *,
        kind: SecretKind | None = None,
        overlap: timedelta = timedelta(hours=24),
    ) -> str:
        """Give an endpoint a new signing secret, a fresh one unless given; return it, shown once.

        A fresh one is of the `kind` "hmac" (`whsec_…`) or "ed25519" (`whsk_…`), by default of the
        kind it replaces. During the overlap both secrets sign: headers that carry several values
        (`webhook-signature`, `svix-signature`, `Stripe-Signature`) have both, newest first, and the
        others, `X-Webhook-Signature` among them, stay with the old one until the overlap ends.
        `overlap` of zero ends an overlap at once. Raises EndpointNotFound, or InvalidSecret.
        """
        if secret is not None and kind is not None:
            raise InvalidInput("kind: is for a fresh secret; with one of your own, leave it out")
        found = await self._found(endpoint)
        new = generate_secret(kind or kind_of(found.secret)) if secret is None else secret
        check_secret(new)
        forms.check(found.signatures, new)
        key = _stored_key(found)
        engine = await self._running(None)
        now = engine.clock.now()
        until = now + round(overlap.total_seconds() * 1000)
        await self._on_home(engine.store.rotate_secret(key, new, until, now))
        return new

    async def disable(self, endpoint: str | Endpoint, reason: str) -> None:
        """Hold an endpoint's deliveries from now on. Nothing is lost: see `enable`."""
        key = await self._endpoint_key(endpoint)
        engine = await self._running(None)
        await self._on_home(engine.store.disable(key, reason, engine.clock.now()))

    async def enable(self, endpoint: str | Endpoint) -> int:
        """Enable an endpoint and send what was held meanwhile; return how many deliveries."""
        key = await self._endpoint_key(endpoint)
        engine = await self._running(None)
        held = await self._on_home(engine.store.enable(key, engine.clock.now()))
        engine.ring_released()
        return held

    async def change_url(self, endpoint: str | Endpoint, url: str) -> Endpoint:
        """Send an endpoint's webhooks to another URL from now on, retries and held ones too.

        Where a handshake is demanded, it is pending until the new place has answered. One that was
        declared in code or file keeps the URL it is declared with as its name there, and moves
        again when that declaration changes. Raises InvalidUrl, BlockedDestination, or InvalidInput
        when another endpoint has the URL.
        """
        found = await self._found(endpoint)
        moved = self._allowed(url, found.allowed_networks)
        key = await self._endpoint_key(found)
        engine = await self._running(None)
        await self._on_home(engine.change_url(key, moved))
        return await self._found(found)

    async def verify_endpoint(self, endpoint: str | Endpoint, *, timeout: float = 60.0) -> Endpoint:
        """Try now to verify a pending endpoint, and return it as it is then: see `Endpoint.state`.

        The schedule begins anew with this try, which a process that delivers makes. `timeout` in
        seconds until it is made; DeliveryTimeout afterwards. Raises EndpointNotFound or
        EndpointDisabled. An endpoint that is not pending is returned as it is.
        """
        found = await self._found(endpoint)
        if found.disabled:
            raise EndpointDisabled(f"endpoint {found.url} is disabled: enable it first")
        if found.pending_since is None:
            return found
        key, engine = await self._endpoint_key(found), await self._running(None)
        await self._on_home(engine.handshaker.ask(key, timeout))
        return await self._found(found)

    async def send_test(
        self, endpoint: str | Endpoint, event: str | Enum | None = None, data: Any = None
    ) -> Receipt:
        """Send one event to this endpoint alone, whatever it listens to, and return its receipt.

        As any other it is stored, signed, logged, and tried again when it fails; to a disabled or
        pending endpoint it is held. `event` is `webhook.test` unless you name another of the
        catalogue; `data` says that this is a test unless you have something better. Raises
        EndpointNotFound, UnknownEventType, InvalidPayload or PayloadTooLarge.
        """
        key = await self._endpoint_key(endpoint)
        content = check_receiver.TEST_DATA if data is None else data
        catalogue = Catalogue() if event is None else self._catalogue
        message = self._message(Event(event or TEST_EVENT, content), catalogue)
        engine = await self._running(None)
        message.app = engine.app
        await self._on_home(engine.store.publish_to(message, key))
        engine.ring_due()
        return self._receipt(message, message.key)

    async def check_receiver(
        self,
        endpoint: str | Endpoint,
        *,
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[ReceiverCheck]:
        """Return how a receiver treats test events, rightly and wrongly signed, check by check.

        `endpoint` is one of yours; or, with its `secret`, any URL. Up to six events of the type
        `webhook.test` are sent to it directly, one after another: nothing is stored, counted or
        tried again. Raises EndpointNotFound, EndpointDisabled for a pending one, InvalidUrl or
        BlockedDestination.
        """
        if secret is not None:
            declared = self._endpoint("code", _url(endpoint), ["*"], secret, headers, {})
            target = _target(declared, self._clock.now())
        else:
            target = await self._stored_target(endpoint)
        errands = Errands(CurlSender(response_limit=self.settings.response_limit))
        try:
            return await check_receiver.examine(target, errands, self._clock, self.settings)
        finally:
            await asyncio.to_thread(errands.stop)

    async def _stored_target(self, endpoint: str | Endpoint) -> Target:
        found = await self._found(endpoint)
        self._check_verified(found)
        key, engine = await self._endpoint_key(found), await self._running(None)
        target = await self._on_home(engine.store.handshakes.target(key))
        if target is None:
            raise EndpointNotFound(f"no endpoint {found.url!r} (any more)")
        return target

    async def resend(self, message_id: str, endpoint: str | Endpoint) -> bool:
        """Send a message to an endpoint once more, now; False when it is just being sent.

        (Or when it waits for its turn at an ordered endpoint.)

        A manual attempt that fails leaves the automatic schedule as it was; when none was running,
        a fresh one starts. Raises MessageNotFound, EndpointNotFound, or InvalidInput when what
        the message said was erased.
        """
        message, key = _message_key(message_id), await self._endpoint_key(endpoint)
        engine = await self._running(None)
        done = await self._on_home(engine.store.resend(message, key, engine.clock.now()))
        engine.ring_due()
        return done

    async def erase(self, message_id: str) -> None:
        """Erase what a message said and what was answered to it; that it was sent stays known."""
        key = _message_key(message_id)
        engine = await self._running(None)
        await self._on_home(engine.store.erase(key, engine.clock.now()))

    async def attempts(self, message_id: str) -> list[Attempt]:
        """Return the log of a message, oldest attempt first; empty for an unknown message."""
        key = _message_key(message_id)
        engine = await self._running(None)
        return await self._on_home(engine.store.attempts(key))

    # replay --------------------------------------------------------------------------------

    async def replay(
        self,
        endpoint: str | Endpoint | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        message: str | None = None,
        states: Iterable[str | DeliveryState] | None = None,
        event_types: Iterable[str | Enum] | None = None,
        missing: bool = False,
        rate: float | None = None,
        dry_run: bool = False,
    ) -> Job:
        """Send again what failed, as a job in the background; return it at once.

        Selected is what stands at one endpoint (id or URL), or at every enabled one, of messages
        published from `since` until before `until` (now by default), or of one `message`. `states`
        are `exhausted` and `held` unless told otherwise, `succeeded` or `pending` if you like (for
        one message: all four); `pending` are retries that wait for their time. `event_types`
        narrows it to some, `customer.*` for a family. `missing` adds what the endpoint wants today
        and never got, messages from before it existed among them.

        Each selected delivery is due at once, as with `resend`; `rate` makes it so many per second
        at most. `dry_run` counts, and changes nothing. Raises EndpointNotFound, EndpointDisabled,
        UnknownEventType, InvalidInput, or MessageNotFound.
        """
        check.number("rate", rate, MIN_RATE, MAX_RATE)
        key = None if endpoint is None else await self._replayable(endpoint)
        default = FAILED if message is None else EVERYTHING
        selection = Selection(
            since=_moment("since", since),
            until=_moment("until", until),
            endpoint=key,
            message=None if message is None else ids.encode(ids.MESSAGE, _message_key(message)),
            states=default if states is None else _states(states),
            event_types=self._catalogue.subscriptions(event_types) if event_types else (),
            missing=missing,
        )
        engine = await self._running(None)
        self._check_log(selection, engine.clock.now())
        if dry_run:
            preview = engine.store.jobs.preview(engine.app, selection, engine.clock.now())
            return await self._on_home(preview)
        job = await self._on_home(engine.replayer.add(engine.app, selection, rate))
        log.info("Replay %s: %s", job.id, selection)
        return self._waitable(job)

    async def _replayable(self, endpoint: str | Endpoint) -> str | None:
        found = await self._found(endpoint)
        if found.disabled:
            raise EndpointDisabled(
                f"endpoint {found.url} is disabled ({found.disabled_reason}): enable it first, "
                "with await webhooks.enable(…), which also sends what is held"
            )
        self._check_verified(found)
        return found.id

    @staticmethod
    def _check_verified(endpoint: Endpoint) -> None:
        """Refuse to send anything but its challenge to a pending endpoint."""
        if endpoint.pending_since is not None:
            why = f" ({endpoint.pending_reason})" if endpoint.pending_reason else ""
            raise EndpointDisabled(
                f"endpoint {endpoint.url} is pending{why}: verify it first, with "
                "await webhooks.verify_endpoint(…), which also sends what is held"
            )

    def _check_log(self, selection: Selection, now: int) -> None:
        """Refuse to look for missing messages where the log is not complete any more."""
        days = self.settings.retention_attempts
        if not selection.missing or not days:
            return
        begins = datetime.fromtimestamp(now / 1000, UTC) - timedelta(days=days)
        oldest = selection.since
        if selection.message is not None:
            at = ids.milliseconds(_message_key(selection.message))
            oldest = datetime.fromtimestamp(at / 1000, UTC)
        if oldest is not None and oldest < begins:
            raise InvalidInput(
                f"missing: the log is kept for {days:g} days (retention_attempts); of what is "
                f"older than {begins:%Y-%m-%dT%H:%M:%SZ} nobody knows whether it was delivered"
            )

    async def job(self, job_id: str) -> Job:
        """Return a replay as it is now; raise JobNotFound."""
        engine = await self._running(None)
        job = await self._on_home(engine.store.jobs.get(engine.app, _job_key(job_id)))
        return self._waitable(_found(job, job_id))

    async def jobs(self, *, limit: int = 100, before: str | None = None) -> list[Job]:
        """Return replays, newest first: `limit` of them, older than the job `before` if given.

        Those that have ended are kept for 30 days.
        """
        check.number("limit", limit, 1, MAX_JOBS)
        engine = await self._running(None)
        older_than = None if before is None else _job_key(before)
        found = await self._on_home(engine.store.jobs.newest(engine.app, limit, older_than))
        return [self._waitable(job) for job in found]

    async def cancel_job(self, job_id: str) -> Job:
        """Stop a replay, unless it has ended; what it made due until now is delivered."""
        engine = await self._running(None)
        job = await self._on_home(engine.replayer.cancel(engine.app, _job_key(job_id)))
        return _found(job, job_id)

    async def watch_job(self, job_id: str) -> AsyncIterator[Job]:
        """Yield a replay as it is, and again whenever it got further, until it has ended."""
        key, seen = _job_key(job_id), None
        while seen is None or not seen.state.final:
            engine = await self._running(None)
            change = engine.replayer.change(engine.app, key, seen)
            seen = _found(await self._on_home(change), job_id)
            yield seen

    def _waitable(self, job: Job) -> Job:
        key = _job_key(job.id or "")

        async def wait(timeout: float) -> Job:
            engine = await self._running(None)
            ended = await self._on_home(engine.replayer.end(engine.app, key, timeout))
            return _found(ended, job.id or "")

        return replace(job, _wait=wait)

    async def _found(self, endpoint: str | Endpoint) -> Endpoint:
        wanted = (endpoint.id or endpoint.url) if isinstance(endpoint, Endpoint) else endpoint
        return await self.endpoint(wanted)

    async def _endpoint_key(self, endpoint: str | Endpoint) -> bytes:
        return _stored_key(await self._found(endpoint))

    # keys of the REST API ------------------------------------------------------------------

    async def create_api_key(
        self, name: str, scopes: Iterable[str], *, expires_at: datetime | None = None
    ) -> ApiKey:
        """Make a key for the REST API; its `token` is shown this once and stored as a hash only.

        `scopes` are `admin`, `read`, or `application:<id or uid>` once or several times; `read`
        beside those makes them read-only. Raises InvalidInput.
        """
        expires_at = _moment("expires_at", expires_at)
        return await self._on_home((await self._keys()).create(name, scopes, expires_at))

    async def api_keys(self) -> list[ApiKey]:
        """Return all keys, oldest first, expired and revoked ones too."""
        return await self._on_home((await self._keys()).all())

    async def revoke_api_key(self, key_id: str) -> ApiKey:
        """Revoke a key, at once and for ever. Safe to call twice; raises ApiKeyNotFound."""
        return await self._on_home((await self._keys()).revoke(key_id))

    async def authenticate(self, token: str) -> ApiKey:
        """Return the key that a token belongs to, or raise InvalidApiKey.

        When it was used last is noted once a minute.
        """
        return await self._on_home((await self._keys()).authenticate(token))

    async def _keys(self) -> ApiKeys:
        engine = await self._running(None)
        return ApiKeys(engine.store, engine.clock)

    # looking after the deployment ----------------------------------------------------------

    async def migrate(self) -> bool:
        """Bring the schema up to date; return whether there was anything to do.

        Waits for a migration under way elsewhere. Needs no running engine, as do the four below.
        Raises StorageError, saying what to check, when the database is out of reach.
        """
        async with self._beside() as store:
            await store.reach()  # it says best what is wrong
            return await store.migrate()

    async def reencrypt(
        self, *, decrypt: bool = False, on_progress: Callable[[int, int], None] | None = None
    ) -> Reencrypted:
        """Encrypt stored secrets with the first of the keys: those under older ones, or under none.

        `decrypt` stores them open instead. Goes on beside running workers, in small transactions;
        `on_progress` is told how many of how many rows were seen. Raises SecretsLocked when
        secrets are encrypted with a key that is not in `Settings.encryption_key`, InvalidSettings
        when there is none to encrypt with.
        """
        if not self.settings.encryption_key:
            raise InvalidSettings(
                "encryption_key: is not set; make a key with hookline keys generate, and set "
                "HOOKLINE_ENCRYPTION_KEY"
            )
        async with self._beside() as store:
            return await store.reencrypt(on_progress or (lambda *_: None), decrypt=decrypt)

    async def schema(self) -> Schema:
        """Return the schema version found and the one needed. Raises StorageError as `migrate`."""
        async with self._beside() as store:
            return (await store.pulse()).schema

    async def readiness(self, pids: Iterable[int] | None = None) -> Readiness:
        """Return, part by part, whether webhooks are being delivered: for a readiness probe.

        Asks about this process, or about the processes `pids` of this machine. Connects anew each
        time, so that it knows whether that is possible.
        """
        engine = self._engine if self._pid == os.getpid() else None
        worker = engine.worker if engine is not None and self.settings.deliver else None
        async with self._beside() as store:
            asked = [os.getpid()] if pids is None and worker is not None else pids or ()
            found = await doctor.ready(store, asked, worker)
        if pids is None and engine is None:
            return found._replace(share="not started in this process")
        return found

    async def diagnose(self, *, probe: bool = False) -> list[Finding]:
        """Return what a look at the whole deployment finds, and what to do about it.

        Changes nothing. `probe` also connects to every endpoint's host, without sending anything.
        """
        hosts = probe_hosts if probe else None
        async with self._beside() as store:
            terms = certificates.terms
            return await doctor.examine(store, self.settings, self._clock.now, hosts, terms)

    @asynccontextmanager
    async def _beside(self) -> AsyncIterator[Store]:
        """Give a store of its own on the caller's loop, whether the engine runs or not."""
        store = open_database(self._url, self.settings).store
        try:
            yield store
        finally:
            await store.stop()


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's loop where it is installed, asyncio's otherwise."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _url(endpoint: str | Endpoint) -> str:
    return endpoint.url if isinstance(endpoint, Endpoint) else endpoint


def _target(declared: Endpoint, now: int) -> Target:
    """Return what sending to an endpoint needs that is stored nowhere."""
    return Target(
        key=new_key(now),
        revision=0,
        url=declared.url,
        header_lines=tuple(f"{name}: {value}" for name, value in declared.headers.items()),
        secrets=(SigningSecret(declared.secret),) if declared.secret else (),
    )


def _message_key(message_id: str) -> bytes:
    key = ids.decode(ids.MESSAGE, message_id)
    if key is None:
        raise InvalidInput(f"message_id: {message_id!r} is not a message id (msg_…)")
    return key


def _stored_key(endpoint: Endpoint) -> bytes:
    key = ids.decode(ids.ENDPOINT, endpoint.id or "")
    if key is None:
        raise EndpointNotFound(f"no endpoint {endpoint.url!r}")
    return key


def _job_key(job_id: str) -> bytes:
    key = ids.decode(ids.JOB, job_id)
    if key is None:
        raise JobNotFound(f"no job {job_id!r}; see Webhooks.jobs()")
    return key


def _found(job: Job | None, job_id: str) -> Job:
    if job is None:
        raise JobNotFound(f"no job {job_id!r}; see Webhooks.jobs()")
    return job


def _states(states: Iterable[str | DeliveryState]) -> tuple[DeliveryState, ...]:
    if isinstance(states, str):
        raise InvalidInput(f"states: expected a list, got the single value {states!r}")
    try:
        return tuple(dict.fromkeys(DeliveryState(state) for state in states))
    except ValueError as error:
        raise InvalidInput(f"states: {error}") from None


def _moment(name: str, moment: datetime | None) -> datetime | None:
    """Return a time as the database keeps it: UTC, in whole milliseconds."""
    if moment is None:
        return None
    return datetime.fromtimestamp(_milliseconds(name, moment) / 1000, UTC)


def _milliseconds(name: str, moment: datetime) -> int:
    if not isinstance(moment, datetime):
        raise InvalidInput(f"{name}: expected a datetime, got {type(moment).__name__}")
    if moment.tzinfo is None:
        raise InvalidInput(f"{name}: has no time zone; use datetime.now(UTC)")
    return round(moment.astimezone(UTC).timestamp() * 1000)
