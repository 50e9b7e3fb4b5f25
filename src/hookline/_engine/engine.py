"""The engine: one store, one queue, one sender, put to work together on one loop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hookline._domain import ids
from hookline._domain.catalogue.described import Declared
from hookline._domain.delivery import DeliveryStatus
from hookline._domain.endpoint import Endpoint
from hookline._engine.errand import Errands
from hookline._engine.handshake import Handshaker
from hookline._engine.observers import Observers
from hookline._engine.publish import Publisher
from hookline._engine.receipt import unfinished
from hookline._engine.replay import Replayer
from hookline._engine.tally import Counter
from hookline._engine.upkeep import keep_house
from hookline._engine.worker import Worker
from hookline._ports import Clock, NewMessage, Observer, Queue, Sender, Store, Tracer
from hookline._settings import Settings
from hookline.errors import DeliveryTimeout

log = logging.getLogger("hookline")
LOOK_INTERVAL = 0.5
"""Seconds between looks at a message another process may be delivering."""


class Engine:
    """Lives on the home loop; only `publisher.publish` and `ring` may be called from elsewhere."""

    def __init__(
        self,
        store: Store,
        queue: Queue,
        sender: Sender,
        errands: Errands,
        clock: Clock,
        observer: Observer,
        settings: Settings,
        before_routing: Callable[[], Awaitable[None]],
        before_closing: Callable[[], Awaitable[None]],
        tracer: Tracer | None = None,
    ) -> None:
        """Nothing is opened before `start`.

        `before_routing` is awaited before each look for messages: it stores what was declared.
        `before_closing` is awaited once nothing is delivered any more, with the database open.
        `errands` sends what is no delivery.
        """
        self.store = store
        self.queue = queue
        self.clock = clock
        self.counter = Counter(store.tallies, clock, observer)
        observer = Observers(observer, self.counter)
        self._observer = observer
        self._before_closing = before_closing
        self._settings = settings
        self.worker = Worker(queue, sender, clock, observer, settings, before_routing, tracer)
        self.replayer = Replayer(
            store.jobs,
            clock,
            observer,
            settings,
            working=lambda: self.worker.working,
            ring=self.worker.wake_due,
        )
        self._errands = errands
        self.handshaker = Handshaker(
            store.handshakes,
            errands,
            clock,
            observer,
            settings,
            working=lambda: self.worker.working,
            ring=self._released,
        )
        self._upkeep: asyncio.Task[None] | None = None
        self._announcing: set[asyncio.Task[None]] = set()
        self._publishing: set[asyncio.Task[Any]] = set()
        self._held_released = asyncio.Event()
        self.declaring = asyncio.Lock()

    async def start(self) -> None:
        """Open the database, then start publishing and (unless told otherwise) delivering."""
        self.home = asyncio.get_running_loop()
        try:
            # The driver first: it says most plainly why a database cannot be opened.
            await self.queue.start(self.worker.wake_due)
            self.app = await self.store.start(self.clock.now())
        except BaseException:
            await self.queue.stop()
            await self.store.stop()
            raise
        self.publisher = Publisher(self.queue, self.home, self.worker.wake)

    async def deliver(self) -> None:
        """Start the worker. Called once the endpoints declared so far are stored."""
        if self._settings.deliver:
            await self.worker.start()
            self.counter.start()
            self.replayer.start()
            self.handshaker.start()
        self._upkeep = asyncio.create_task(
            keep_house(
                self.store,
                self.clock,
                self._observer,
                self.worker.wake_due,
                self._held_released,
            )
        )

    async def stop(self) -> None:
        """Commit what was handed in, finish what is in flight, close the database."""
        try:
            if self._publishing:
                await asyncio.wait(self._publishing)
            await self.publisher.drain()
            await self.handshaker.stop()
            self._errands.stop()
            await self.replayer.stop()
            await self.worker.stop()
            await self.counter.stop()
            await self._before_closing()
        finally:
            if self._upkeep is not None:
                self._upkeep.cancel()
            await self.queue.stop()
            await self.store.stop()

    def ring(self) -> None:
        """Say that something was published, from any thread: the workers look."""
        if not self.home.is_closed():
            self.home.call_soon_threadsafe(self._ring, self.worker.wake)

    def ring_due(self) -> None:
        """Say that deliveries were made due, from any thread."""
        if not self.home.is_closed():
            self.home.call_soon_threadsafe(self._ring, self.worker.wake_due)

    def _ring(self, wake: Callable[[], None]) -> None:
        wake()
        task = self.home.create_task(self.queue.announce())
        self._announcing.add(task)
        task.add_done_callback(self._announcing.discard)

    async def declare(self, endpoints: Iterable[Endpoint]) -> None:
        """Store declared endpoints."""
        await self.store.endpoints.declare(self.app, list(endpoints), self.clock.now())
        self.handshaker.wake()
        self._held_released.set()  # one that is back in its file, perhaps

    async def catalogue(self, event_types: Sequence[Declared]) -> None:
        """Have declared event types in the catalogue; say what was changed there by hand."""
        kept = await self.store.event_types.declare(event_types, self.clock.now())
        for name, fields in kept.items():
            log.info(
                "Event type %s: %s of the catalogue differ from the code and are kept, as they "
                "were changed since; hookline event-types delete --expunge %s and a restart take "
                "the code's",
                name,
                " and ".join(fields),
                name,
            )

    def ring_released(self) -> None:
        """Say that what was held for an endpoint is due, from any thread."""
        if not self.home.is_closed():
            self.home.call_soon_threadsafe(self._released)

    def _released(self) -> None:
        self._ring(self.worker.wake_due)
        self._held_released.set()

    async def change_url(self, endpoint: bytes, url: str) -> None:
        """Send an endpoint's deliveries elsewhere."""
        await self.store.endpoints.change_url(endpoint, url, self.clock.now())
        self.handshaker.wake()

    async def publish_together(self, messages: list[NewMessage]) -> list[bytes]:
        """Publish messages in one commit, all or none; return the keys they are known by."""
        with self._awaited_by_stop():
            keys = await self.queue.publish(messages, atomic=True)
        self.worker.wake()
        return [key for key in keys if isinstance(key, bytes)]

    @contextmanager
    def _awaited_by_stop(self) -> Iterator[None]:
        """Have `stop` wait for what the present task does: a commit's answer must not be lost."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be waited for")
        self._publishing.add(task)
        try:
            yield
        finally:
            self._publishing.discard(task)

    async def join(self, session: object, messages: list[NewMessage]) -> list[bytes]:
        """Publish inside a caller's transaction; runs on the caller's loop, or on none."""
        return await self.store.join(session, messages, self.ring)

    async def delivered(self, message: bytes, timeout: float) -> list[DeliveryStatus]:
        """Return once every delivery of the message is final; DeliveryTimeout after `timeout` s."""
        changed = asyncio.Event()
        forget = self.worker.watch(message, changed)
        deadline = self.home.time() + timeout
        try:
            while True:
                changed.clear()
                statuses = await self.store.deliveries(message, self.clock.now())
                if statuses is not None and all(s.state.final for s in statuses):
                    return statuses
                left = deadline - self.home.time()
                if left <= 0:
                    name = ids.encode(ids.MESSAGE, message)
                    raise DeliveryTimeout(unfinished(name, timeout, statuses))
                try:
                    await asyncio.wait_for(changed.wait(), min(left, LOOK_INTERVAL))
                except TimeoutError:
                    continue
        finally:
            forget()
