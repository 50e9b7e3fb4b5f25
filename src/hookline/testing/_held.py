"""An engine that delivers when it is told to: what a test publishes goes nowhere by itself."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from hookline._engine.engine import Engine
from hookline._engine.errand import Errands
from hookline._engine.publish import Publisher
from hookline._ports import Clock, NewMessage
from hookline._sending.sender import CurlSender
from hookline._storage.sessions import begin
from hookline.testing._joined import Joined
from hookline.testing._local import LocalReceiver, LocalSender

PATIENCE = 10.0
"""Seconds (of real time) a drain may take."""
BLINK = 0.02
"""Seconds between looks at what has no signal of its own: replays and handshakes."""


class HeldEngine(Engine):
    """An engine whose worker runs during `drain` only, and reaches nobody outside."""

    def __init__(
        self, *, receivers: dict[str, LocalReceiver], joined: Joined, inline: bool, **parts: Any
    ) -> None:
        """`inline`: each publishing drains before it returns. The other parts are an engine's."""
        parts["sender"] = LocalSender(parts["sender"], receivers)
        parts["errands"] = Errands(LocalSender(CurlSender(response_limit=1 << 16), receivers))
        super().__init__(**parts)
        self._rest = self.worker._clock = Resting(self.clock)  # noqa: SLF001 - to see it wait
        self.inline = inline
        self._joined = joined
        self._asked = 0
        self._draining = False

    async def start(self) -> None:
        """Open the database; publishing is told to drain where that is wanted."""
        await super().start()
        self.publisher = InlinePublisher(self.publisher, self)  # type: ignore[assignment]

    async def deliver(self) -> None:
        """Start what the worker's work needs, without the worker, and without any upkeep."""
        self.counter.start()
        self.replayer.start()
        self.handshaker.start()

    async def publish_together(self, messages: list[NewMessage]) -> list[bytes]:
        """Publish messages in one commit, and drain where that is wanted."""
        keys = await super().publish_together(messages)
        if self.inline:
            await self.drain()
        return keys

    async def join(self, session: object, messages: list[NewMessage]) -> list[bytes]:
        """Publish once the session commits, which may be on any database."""
        begun = begin(session)
        if begun is not None:
            await begun
        return self.enclose(session, messages)

    def enclose(self, session: object, messages: Sequence[NewMessage]) -> list[bytes]:
        """Publish once a session or connection commits whose transaction has begun."""
        return [self._joined.join(session, each, self._commit) for each in messages]

    def _commit(self, messages: list[NewMessage]) -> None:
        """Publish what a session committed; runs where its commit is, and waits."""
        asyncio.run_coroutine_threadsafe(self.publish_together(messages), self.home).result()

    async def drain(self) -> None:
        """Send all that is due by the clock, and what that makes due, until there is nothing more.

        Returns at once when a drain is under way, as it is for what a receiver publishes: that one
        does not end before it has looked again. AssertionError when it takes too long.
        """
        self._asked += 1
        if self._draining:
            self.worker.wake_due()
            return
        self._draining = True
        try:
            seen = 0
            while seen != self._asked:
                seen = self._asked
                await self._round()
        finally:
            self._draining = False

    async def _round(self) -> None:
        await self.worker.start()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._until_done()
        except TimeoutError:
            raise AssertionError(
                f"drain: not done after {PATIENCE:g} s, {self.worker.in_flight} in flight; a "
                "receiver does not answer, or waits for what this drain keeps from running"
            ) from None
        finally:
            await self.worker.stop()

    async def _until_done(self) -> None:
        self.worker.wake_due()
        self.replayer.wake()
        self.handshaker.wake()
        unrouted = None
        while True:
            if await self._is_done():
                left = (await self.store.backlog(self.clock.now())).unrouted
                if not left or left == unrouted:
                    return
                # Routing pauses by the clock, which may stand still.
                unrouted, self.worker._route_rest = left, 0  # noqa: SLF001
                self.worker.wake_due()
                continue
            self._rest.changed.clear()
            try:
                await asyncio.wait_for(self._rest.changed.wait(), BLINK)
            except TimeoutError:
                continue

    async def _is_done(self) -> bool:
        now = self.clock.now()
        for due in (await self.store.jobs.next_due(), await self.store.handshakes.next_due()):
            if due is not None and due <= now:
                return False
        return self._rest.resting and not self.worker.busy


class InlinePublisher:
    """A publisher whose callers wait for the deliveries too, where that is wanted."""

    def __init__(self, real: Publisher, engine: HeldEngine) -> None:
        self._real = real
        self._engine = engine

    async def publish(self, message: NewMessage) -> bytes:
        """Return the message's key once it is committed and, inline, sent."""
        key = await self._real.publish(message)
        if self._engine.inline:
            draining = asyncio.run_coroutine_threadsafe(self._engine.drain(), self._engine.home)
            await asyncio.wrap_future(draining)
        return key

    async def drain(self) -> None:
        """Take no more messages."""
        await self._real.drain()


class Resting:
    """The worker's clock, which tells whether it waits there for a time that has not come."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.resting = False
        self.changed = asyncio.Event()

    def now(self) -> int:
        """Return Unix milliseconds."""
        return self._clock.now()

    async def wait(self, signal: Awaitable[Any], until: int | None) -> None:
        """Wait for the signal or the time, and tell of it."""
        self.resting = until is None or until > self.now()
        self.changed.set()
        try:
            await self._clock.wait(signal, until)
        finally:
            self.resting = False
