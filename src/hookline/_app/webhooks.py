"""Class Webhooks: the whole façade of a process."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, Unpack
from weakref import WeakSet

from hookline._app.admission import Admission
from hookline._app.application import ApplicationWebhooks
from hookline._app.applications import Applications
from hookline._app.catalogue import DeclaredEvents, Documents
from hookline._app.event_types import EventTypes
from hookline._app.operating import Operating
from hookline._app.operational import Teller
from hookline._app.overview import Overview
from hookline._app.runtime import Runtime
from hookline._app.telemetry import Telemetry
from hookline._domain import check, ids
from hookline._domain.api_key import ApiKey
from hookline._domain.backlog import Backlog
from hookline._domain.endpoint import Endpoint
from hookline._domain.finding import Finding
from hookline._domain.options import KNOWN, EndpointOptions
from hookline._domain.page import Page, Window
from hookline._domain.readiness import Readiness
from hookline._domain.replay import Job, JobState
from hookline._domain.tally import Kind, Series, series
from hookline._domain.vitals import Schema
from hookline._engine import doctor
from hookline._engine.api_keys import ApiKeys
from hookline._engine.clock import SystemClock
from hookline._engine.engine import Engine
from hookline._engine.observers import Observers
from hookline._observe.events import EventObserver, Listener
from hookline._observe.logs import LogObserver
from hookline._ports import Clock, Observer, Reencrypted
from hookline._said import Said
from hookline._sending import certificates
from hookline._sending.probe import probe as probe_hosts
from hookline._settings import Settings
from hookline._storage.endpoints import LEFT_FILE
from hookline._webhooks_file import Declaration, read
from hookline.errors import (
    ApplicationNotFound,
    InvalidInput,
    InvalidSettings,
    InvalidWebhooksFile,
    JobNotFound,
)
from hookline.events import EventDeclaration, event

if TYPE_CHECKING:
    from hookline._app.sync_webhooks import SyncWebhooks

log = logging.getLogger("hookline")
Model = TypeVar("Model", bound=type)
Events: TypeAlias = (
    type[Enum]
    | ModuleType
    | EventDeclaration
    | Iterable[str | Enum | type | ModuleType | EventDeclaration]
)
"""What `events=` takes."""
living: "WeakSet[Webhooks]" = WeakSet()
"""Those of this process, for tests that look at what the whole application publishes."""
newcomers: "list[Callable[[Webhooks], None]]" = []
"""Called with each that is made: such a test may have begun before it."""


class Webhooks(Operating, ApplicationWebhooks):
    """Outbound webhooks: of the application it runs in, and of as many others as you like.

    `events` is the catalogue: an Enum class, a module of declared event types (see
    `hookline.events`), or a list of names and declared classes; without it any well-formed event
    type is accepted. `on_event` is called with each `OperationalEvent`. `metrics` is a
    `CollectorRegistry` of prometheus_client to count in, such as its `REGISTRY`, or the setting of
    that name. Other arguments are settings (see `Settings`), `database=` first among them. Nothing
    is opened before the first `init`, `start` or `trigger`. What is published and registered here
    belongs to the application `default`; for the others see `applications` and `for_application`.
    `catalogue` has the documents of what is declared, `event_types` is the database's catalogue.
    """

    def __init__(
        self,
        *,
        events: Events | None = None,
        database: str | None = None,
        settings: Settings | None = None,
        clock: Clock | None = None,
        on_event: Listener | None = None,
        metrics: Any = None,
        **overrides: Any,
    ) -> None:
        """Raises InvalidSettings when a setting cannot be used, or an extra is not installed."""
        registry = None if metrics is None or isinstance(metrics, str) else metrics
        if registry is None and metrics is not None:
            overrides["metrics"] = metrics
        if settings is not None and (database is not None or overrides):
            raise InvalidSettings("settings: give either a Settings object or single settings")
        self.settings = settings or Settings.load(database=database, **overrides)
        told: list[Observer] = [LogObserver()]
        if on_event is not None:
            told.append(EventObserver(on_event))
        teller = Teller()
        telling = EventObserver(teller.tell)
        telemetry = self._telemetry = Telemetry.of(self.settings, registry)
        observer = Observers(*told, *telemetry.observers, telling)
        runtime = teller.runtime = telemetry.runtime = Runtime(
            self.settings, clock or SystemClock(), observer, telemetry.tracer
        )
        runtime.before_closing = telling.drain
        self._events = DeclaredEvents(events)
        super().__init__(runtime, Admission(self.settings, self._events))
        self.catalogue = Documents(self._events)
        self._runtime.catalogue(self._events.described, {d.name for d in self._events.declarations})
        self.applications = Applications(runtime)
        self.event_types = EventTypes(runtime)
        self.overview = Overview(runtime)
        self._sync: SyncWebhooks | None = None
        living.add(self)
        for met in newcomers:
            met(self)

    async def for_application(self, name: str) -> ApplicationWebhooks:
        """Return what belongs to the application with that id (`app_…`) or uid.

        Raises ApplicationNotFound.
        """
        key = await self._ask(lambda e, _: e.store.applications.key(name))
        if key is None:
            raise ApplicationNotFound(Said("no application {name!r}", name=name))
        return ApplicationWebhooks(self._runtime, self._admission, key)

    async def all_jobs(
        self, window: Window | None = None, states: Collection[JobState] = ()
    ) -> Page[Job]:
        """Return the replays of all applications, in these states; the oldest first unless told."""
        part = window or Window()
        found = await self._ask(lambda e, _: e.store.jobs.page(None, states, part))
        return Page([job for _, job in found.items], found.more, found.last)

    async def any_job(self, job_id: str) -> tuple[Job, ApplicationWebhooks]:
        """Return a replay of any application, and whose it is; raise JobNotFound."""
        key = ids.decode(ids.JOB, job_id)
        found = None if key is None else await self._ask(lambda e, _: e.store.jobs.find(key))
        if found is None:
            raise JobNotFound(Said("no job {name!r}", name=job_id))
        owner, job = found
        return job, ApplicationWebhooks(self._runtime, self._admission, owner)

    async def all_figures(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        step: int | None = None,
    ) -> Series:
        """Return how attempts ended over all applications: see `figures`."""
        start, end, step = self._range(Kind.ALL, since, until, step)
        rows = await self._ask(lambda e, _: e.store.tallies.read(Kind.ALL, None, start, end, step))
        return series(start, end, step, rows)

    def _configure(self, **changes: Any) -> None:
        """Change settings before anything is started."""
        self.settings = self._runtime.settings = replace(self.settings, **changes)

    # declaring -----------------------------------------------------------------------------

    def event(
        self,
        name: str | Enum,
        *,
        version: int = 1,
        description: str | None = None,
        example: Any = None,
        group: str | None = None,
        deprecated: bool | date = False,
        sunset: date | None = None,
        successor: str | Enum | None = None,
        enforce: bool = True,
    ) -> Callable[[Model], Model]:
        """Declare an event type here, with the class below it as its model, which is returned.

            @webhooks.event("customer.created")
            class CustomerCreated(BaseModel): ...

        The options are those of `hookline.events.event`, which declares without a `Webhooks`. What
        is declared is known at once, and in the database's catalogue before the next message is
        routed. Raises InvalidInput, also for a version that is declared already, and ImportError
        without pydantic.
        """
        declaration = event(
            name,
            version=version,
            description=description,
            example=example,
            group=group,
            deprecated=deprecated,
            sunset=sunset,
            successor=successor,
            enforce=enforce,
        )

        def declare(model: Model) -> Model:
            own = declaration.of(model)
            if self._runtime.engine is not None:
                _ = own.schema  # an unusable model is refused here, not when it is to be stored
            self._events.declare(own)
            self._runtime.catalogue(self._events.described, {declaration.name})
            return model

        return declare

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
        declared = self._admission.endpoint("code", url, events, secret, headers, options)
        self._runtime.declare([declared])
        return declared

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
        self._runtime.declare(found)

        async def retire(engine: Engine) -> None:
            if declarations is not None:
                await self._retire(engine, file, [e.url for e in found])
                log.info("%d webhooks loaded from %s", len(found), file)

        self._runtime.start(retire)

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
            return self._admission.endpoint("file", d.url, d.events, d.secret, d.headers, d.options)
        except InvalidInput as error:
            raise InvalidWebhooksFile(f"{file}: webhooks[{d.position}].{error}") from error

    async def _retire(self, engine: Engine, file: Path, keep: list[str]) -> None:
        now = engine.clock.now()
        for url in await engine.store.endpoints.retire(engine.app, "file", keep, LEFT_FILE, now):
            log.warning(
                "Endpoint %s is no longer in %s: disabled, its webhooks are held", url, file
            )

    async def start(self) -> None:
        """Start the engine without loading a file. Safe to call twice."""
        await asyncio.to_thread(self._runtime.start)

    async def stop(self) -> None:
        """Stop gracefully: finish what is in flight (`stop_timeout` at most), give back the rest.

        Safe to call twice; a later `trigger` starts again.
        """
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """`stop` for code without an event loop. Also runs when the interpreter exits."""
        self._runtime.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:  # noqa: ARG002 - ASGI's
        """Load and start, and drain at the end: a lifespan for FastAPI, Starlette and Litestar.

        `FastAPI(lifespan=webhooks.lifespan)`, or within the application's own:
        `async with webhooks.lifespan(app):`. Calls `init` before and `stop` after.
        """
        await asyncio.to_thread(self.init)
        try:
            yield
        finally:
            await self.stop()

    @property
    def sync(self) -> "SyncWebhooks":
        """The same for code without an event loop: `webhooks.sync.trigger(…)`."""
        if self._sync is None:
            from hookline._app.sync_webhooks import SyncWebhooks  # noqa: PLC0415 - stands on this

            self._sync = SyncWebhooks(self)
        return self._sync

    def dashboard(self) -> Any:
        """Return the operator's pages, for a FastAPI application or any other.

        `app.include_router(webhooks.dashboard())` has them at `/hookline`, below a prefix if one is
        given. They are an ASGI application, too, to be mounted under any path:
        `app.mount("/webhooks", webhooks.dashboard())`. Whoever comes signs in with an API key that
        has the scope `admin` or `read`. Raises ImportError without `hookline[server]`.
        """
        try:
            # By name: a façade does not depend on what is built on it.
            pages = import_module("hookline._web.dashboard.app")
            router = import_module("hookline._web.dashboard.router")
        except ImportError as error:
            raise ImportError(
                f"dashboard() needs {error.name or error}: pip install 'hookline[server]'",
                name=error.name,
            ) from error
        return router.DashboardRouter(pages.Dashboard(self))

    # keys of the REST API ------------------------------------------------------------------

    async def create_api_key(
        self, name: str, scopes: Iterable[str], *, expires_at: datetime | None = None
    ) -> ApiKey:
        """Make a key for the REST API; its `token` is shown this once and stored as a hash only.

        `scopes` are `admin`, `read`, or `application:<id or uid>` once or several times; `read`
        beside those makes them read-only. Raises InvalidInput.
        """
        expires_at = check.whole_moment("expires_at", expires_at)
        return await self._ask(lambda e, _: _keys(e).create(name, scopes, expires_at))

    async def api_keys(self) -> list[ApiKey]:
        """Return all keys, oldest first, expired and revoked ones too."""
        return await self._ask(lambda e, _: _keys(e).all())

    async def api_key_page(
        self, window: Window | None = None, *, portal: bool = False
    ) -> Page[ApiKey]:
        """Return a part of the keys, in the order they were made; of portals only if asked for."""
        part = window or Window()
        return await self._ask(lambda e, _: e.store.api_keys.page(part, portal=portal))

    async def revoke_api_key(self, key_id: str) -> ApiKey:
        """Revoke a key, at once and for ever. Safe to call twice; raises ApiKeyNotFound."""
        return await self._ask(lambda e, _: _keys(e).revoke(key_id))

    async def revoke_portal_keys(self, application: str) -> list[str]:
        """Revoke the keys of an application's portal, all at once; return their ids.

        Those that were revoked before or have expired are left out. Raises ApplicationNotFound.
        """
        app = await self.for_application(application)
        return await app._ask(lambda e, key: _keys(e).revoke_portals(key))  # noqa: SLF001 - its own

    async def authenticate(self, token: str) -> ApiKey:
        """Return the key that a token belongs to, or raise InvalidApiKey.

        When it was used last is noted once a minute.
        """
        return await self._ask(lambda e, _: _keys(e).authenticate(token))

    # looking after the deployment ----------------------------------------------------------

    async def migrate(self) -> bool:
        """Bring the schema up to date; return whether there was anything to do.

        Waits for a migration under way elsewhere. Needs no running engine, as do the four below.
        Raises StorageError, saying what to check, when the database is out of reach.
        """
        async with self._runtime.beside() as store:
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
        async with self._runtime.beside() as store:
            return await store.reencrypt(on_progress or (lambda *_: None), decrypt=decrypt)

    async def schema(self) -> Schema:
        """Return the schema version found and the one needed. Raises StorageError as `migrate`."""
        async with self._runtime.beside() as store:
            return (await store.pulse()).schema

    async def readiness(self, pids: Iterable[int] | None = None) -> Readiness:
        """Return, part by part, whether webhooks are being delivered: for a readiness probe.

        Asks about this process, or about the processes `pids` of this machine. Connects anew each
        time, so that it knows whether that is possible.
        """
        engine = self._runtime.engine
        worker = engine.worker if engine is not None and self.settings.deliver else None
        async with self._runtime.beside() as store:
            asked = [os.getpid()] if pids is None and worker is not None else pids or ()
            found = await doctor.ready(store, asked, worker)
        if pids is None and engine is None:
            return found._replace(share="not started in this process")
        return found

    async def backlog(self) -> Backlog:
        """Return what waits and for how long, at a bounded cost. Raises StorageError."""
        async with self._runtime.beside() as store:
            return await store.backlog(self._runtime.clock.now())

    def metrics(self) -> bytes:
        """Return the metrics of this process in Prometheus' text format, to serve at `/metrics`.

        Asks the database, which may take some milliseconds: in asynchronous code,
        `await asyncio.to_thread(webhooks.metrics)`. Raises InvalidSettings when they are off.
        """
        return self._telemetry.exposition()

    async def diagnose(self, *, probe: bool = False) -> list[Finding]:
        """Return what a look at the whole deployment finds, and what to do about it.

        Changes nothing. `probe` also connects to every endpoint's host, without sending anything.
        """
        hosts = probe_hosts if probe else None
        async with self._runtime.beside() as store:
            terms = certificates.terms
            return await doctor.examine(store, self.settings, self._runtime.clock.now, hosts, terms)


def _keys(engine: Engine) -> ApiKeys:
    return ApiKeys(engine.store, engine.clock)
