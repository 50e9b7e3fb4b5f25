"""The engine of a process: started when it is needed, stopped gracefully, one for everybody."""

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any, TypeVar
from weakref import WeakSet

from hookline._domain.backlog import Backlog
from hookline._domain.catalogue.described import Declared
from hookline._domain.endpoint import Endpoint
from hookline._engine.engine import Engine
from hookline._engine.errand import Errands
from hookline._engine.publish import EngineStopped
from hookline._engine.service import Home
from hookline._ports import Clock, NewMessage, Observer, Store, Tracer
from hookline._sending.sender import CurlSender
from hookline._settings import Settings
from hookline._storage.database import open_database, parse_url
from hookline.errors import StorageError

log = logging.getLogger("hookline")
T = TypeVar("T")
_UNTRACED = nullcontext()
ANSWER = 10.0
"""Seconds a look at the backlog may take."""
Step = Callable[[Engine], Awaitable[None]]


class Runtime:
    """Opens and closes the engine. Shared by all applications of one `Webhooks`.

    What is declared in code or file belongs to the default application and is kept here until it
    is stored, so that it can be declared before there is anything to store it in.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        observer: Observer,
        tracer: Tracer | None = None,
    ) -> None:
        """Nothing is opened before `start`."""
        self.settings = settings
        self.clock = clock
        self._observer = observer
        self._tracer = tracer
        self.tracing = tracer is not None
        parse_url(settings.database)  # what is wrong with it is said at once
        self.database: Callable[[], str] = lambda: self.settings.database
        """The URL, asked for when the database is opened: Django's tests move it."""
        self._pending: dict[str, Endpoint] = {}
        self._uncatalogued: set[str] = set()
        self._describe: Callable[[Iterable[str]], list[Declared]] = lambda _: []
        self._declaring = threading.Lock()  # guards what is pending, held for moments only
        self._starting = threading.RLock()  # guards home and engine, held while they start or stop
        self._home: Home | None = None
        self._engine: Engine | None = None
        self._pid = 0
        self._left_behind: list[object] = []
        _runtimes.add(self)
        self.opened: Engine | None = None
        """The engine until its database is closed. For what runs on its loop."""
        self.before_closing: Callable[[], Awaitable[None]] = _nothing

    @property
    def engine(self) -> Engine | None:
        """The engine that runs in this process, if one does."""
        return self._engine if self._pid == os.getpid() else None

    def after_fork(self) -> None:
        """Forget what the parent runs: its threads are not here, and somebody may hold its locks.

        It is kept: a loop or a socket that is closed here would be closed for the parent too.
        """
        self._left_behind.append((self._engine, self._home, self.opened))
        self._engine = self._home = self.opened = None
        self._declaring, self._starting = threading.Lock(), threading.RLock()

    # declarations --------------------------------------------------------------------------

    def declare(self, endpoints: Iterable[Endpoint]) -> None:
        """Keep declarations until the engine stores them, which is at once when it runs."""
        with self._declaring:
            for declared in endpoints:
                self._pending[declared.url] = declared
        engine, home = self._engine, self._home
        if engine is not None and home is not None:
            home.run(self._flush(engine))

    def catalogue(
        self, describe: Callable[[Iterable[str]], list[Declared]], names: Iterable[str]
    ) -> None:
        """Keep the names of event types that the database's catalogue is to have.

        They are described when they are stored: their models may refer to what comes later.
        """
        with self._declaring:
            self._describe = describe
            self._uncatalogued |= set(names)

    @property
    def _declared(self) -> bool:
        """Whether something is declared that is not stored yet."""
        return bool(self._pending or self._uncatalogued)

    async def _flush(self, engine: Engine) -> None:
        """Store what was declared since the last flush. Runs on the engine's loop.

        One at a time: routing waits here for a flush that is under way, so that a message never
        overtakes the endpoint that was declared before it.
        """
        if not self._declared and not engine.declaring.locked():
            return
        async with engine.declaring:
            with self._declaring:
                pending, self._pending = self._pending, {}
                names, self._uncatalogued = self._uncatalogued, set()
            try:
                if names:
                    await engine.catalogue(self._describe(sorted(names)))
                    names = set()
                if pending:
                    await engine.declare(pending.values())
            except BaseException:
                with self._declaring:  # not stored: newer declarations win over these
                    self._pending = {**pending, **self._pending}
                    self._uncatalogued |= names
                raise

    # starting and stopping -----------------------------------------------------------------

    def start(self, first: Step | None = None) -> Engine:
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

    async def _settle_in(self, engine: Engine, first: Step | None) -> None:
        await self._flush(engine)
        if first is not None:
            await first(engine)

    def _open(self, first: Step | None) -> Engine:
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

    async def _build(self, first: Step | None) -> Engine:
        settings = self.settings
        database = open_database(parse_url(self.database()), settings)
        engine = Engine(
            store=database.store,
            queue=database.queue,
            sender=CurlSender(response_limit=settings.response_limit),
            errands=Errands(CurlSender(response_limit=settings.response_limit)),
            clock=self.clock,
            observer=self._observer,
            settings=settings,
            before_routing=lambda: self._flush(engine),
            before_closing=self.before_closing,
            tracer=self._tracer,
        )
        self.opened = engine
        await engine.start()
        try:
            await self._settle_in(engine, first)
            await engine.deliver()
        except BaseException:
            await engine.stop()
            raise
        return engine

    def close(self) -> None:
        """Stop gracefully: finish what is in flight, give back the rest. Safe to call twice."""
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

    async def running(self, *, joining: bool = False) -> Engine:
        """Return the engine, started when nobody did, with declarations stored.

        `joining`: the caller has a transaction open, which storing declarations could wait for.
        """
        engine = self._engine
        if engine is None or self._pid != os.getpid():
            return await asyncio.to_thread(self.start)
        if not joining and (self._declared or engine.declaring.locked()):
            await self.on_home(self._flush(engine))
        return engine

    async def on_home(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the engine's loop, from any other; EngineStopped when it is gone."""
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

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the engine's loop and wait for it, on any thread but the engine's.

        Starts the engine when nobody did. Raises EngineStopped when it ends before the coroutine,
        RuntimeError on its own thread.
        """
        try:
            running = self._awaitable_home().run(coroutine)
        except BaseException:
            coroutine.close()
            raise
        try:
            return running.result()
        except CancelledError:
            raise EngineStopped("Hookline was stopped meanwhile") from None
        except BaseException:
            running.cancel()  # Ctrl-C: nobody is going to ask for the result
            raise

    def _awaitable_home(self) -> Home:
        if self.engine is None:
            self.start()
        home = self._home
        if home is None:
            raise EngineStopped("Hookline was stopped meanwhile")
        if asyncio._get_running_loop() is home.loop:  # noqa: SLF001 - it would wait for itself
            raise RuntimeError(
                "the synchronous face was called on Hookline's own thread, where on_event runs: "
                "await the coroutine instead"
            )
        return home

    def publishing(self, messages: Sequence[NewMessage]) -> AbstractContextManager[None]:
        """Publish in a span, where spans are made."""
        return _UNTRACED if self._tracer is None else self._tracer.publishing(messages)

    def in_flight(self) -> int:
        """Return how many deliveries this process holds."""
        engine = self.engine
        return 0 if engine is None else engine.worker.in_flight

    def backlog(self) -> Backlog | None:
        """Return what waits, on any thread but the engine's; None when no engine runs here.

        Raises StorageError, and TimeoutError when there is no answer.
        """
        engine, home = self.engine, self._home
        if engine is None or home is None:
            return None
        try:
            if asyncio._get_running_loop() is home.loop:  # noqa: SLF001 - it would wait for itself
                return None
            asked = home.run(engine.store.backlog(self.clock.now()))
        except RuntimeError:  # it is stopping
            return None
        try:
            return asked.result(ANSWER)
        except CancelledError:
            return None

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[Store]:
        """Give a store of its own on the caller's loop, whether the engine runs or not."""
        store = open_database(parse_url(self.database()), self.settings).store
        try:
            yield store
        finally:
            await store.stop()


_runtimes: WeakSet[Runtime] = WeakSet()


def _after_fork() -> None:
    for runtime in list(_runtimes):
        runtime.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


async def _nothing() -> None:
    """Wait for nothing."""


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's loop where it is installed, asyncio's otherwise."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
