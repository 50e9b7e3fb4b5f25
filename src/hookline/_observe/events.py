"""Operational events for the application: what its operator would want to be woken for."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from hookline._domain import ids
from hookline._domain.delivery import DeliveryState
from hookline._domain.endpoint import Target
from hookline._engine.observers import Silent
from hookline._ports import Settlement

log = logging.getLogger("hookline")


class OperationalEvent(NamedTuple):
    """Something an operator should hear of.

    `type` is `endpoint.failing` (no 2xx for 24 and for 72 hours), `endpoint.disabled`,
    `endpoint.verified` (a pending one is active), `endpoint.unverified` (its last handshake failed,
    it stays pending), `message.exhausted` (its last attempt failed) or `message.recovered` (it
    succeeded after failing). `message_id` and `attempts` are set for messages.
    """

    type: str
    url: str
    endpoint_id: str
    reason: str = ""
    message_id: str | None = None
    attempts: int = 0


DRAIN_SECONDS = 5.0

Listener = Callable[[OperationalEvent], Awaitable[None] | None]


class EventObserver(Silent):
    """`_ports.Observer` that tells a listener of the application.

    Called on the engine's thread: a listener must be quick, or a coroutine function. What it raises
    is logged and harms nothing.
    """

    def __init__(self, listener: Listener) -> None:
        """`listener` is called with each OperationalEvent."""
        self._listener = listener
        self._tasks: set[asyncio.Task[None]] = set()

    def attempted(self, settlement: Settlement) -> None:
        """Tell of messages that were given up, and of those that came through after all."""
        state, delivery = settlement.decision.state, settlement.delivery
        if state is DeliveryState.EXHAUSTED:
            kind, reason = "message.exhausted", settlement.decision.reason
        elif state is DeliveryState.SUCCEEDED and delivery.attempts:
            kind, reason = "message.recovered", ""
        else:
            return
        message_id = ids.encode(ids.MESSAGE, delivery.message)
        self._tell(kind, delivery.target, reason, message_id, delivery.attempts + 1)

    def failing(self, target: Target, milliseconds: int) -> None:
        """Tell that an endpoint fails."""
        self._tell("endpoint.failing", target, f"no 2xx for {milliseconds // 3_600_000} hours")

    def disabled(self, target: Target, reason: str) -> None:
        """Tell that the system disabled an endpoint."""
        self._tell("endpoint.disabled", target, reason)

    def verified(self, target: Target, released: int) -> None:
        """Tell that a pending endpoint is active."""
        self._tell("endpoint.verified", target, f"{released} held webhooks are sent")

    def unverified(self, target: Target, reason: str, next_try_in: int | None) -> None:
        """Tell that the last handshake failed."""
        if next_try_in is None:
            self._tell("endpoint.unverified", target, reason)

    async def drain(self) -> None:
        """Wait until the listener has heard everything, for some seconds at most."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()

    def _tell(
        self,
        kind: str,
        target: Target,
        reason: str,
        message_id: str | None = None,
        attempts: int = 0,
    ) -> None:
        endpoint_id = ids.encode(ids.ENDPOINT, target.key)
        event = OperationalEvent(kind, target.url, endpoint_id, reason, message_id, attempts)
        try:
            answer = self._listener(event)
        except Exception:
            log.exception("The on_event listener failed on %s", kind)
            return
        if inspect.isawaitable(answer):
            task = asyncio.ensure_future(self._wait(answer, kind))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _wait(answer: Awaitable[None], kind: str) -> None:
        try:
            await answer
        except Exception:
            log.exception("The on_event listener failed on %s", kind)
