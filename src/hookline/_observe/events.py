"""Operational events for the application: what its operator would want to be woken for."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hookline._domain import ids
from hookline._domain.delivery import DeliveryState
from hookline._domain.endpoint import Target
from hookline._domain.operational import FAILING_AT
from hookline._engine.observers import Silent
from hookline._ports import Settlement

log = logging.getLogger("hookline")


class OperationalEvent(NamedTuple):
    """Something an operator should hear of.

    `type` is `endpoint.failing` (no 2xx for 24 and for 72 hours), `endpoint.disabled`,
    `endpoint.verified` (a pending one is active), `endpoint.unverified` (its last handshake failed,
    it stays pending), `message.attempt.failing` (its fourth attempt failed, more are to come),
    `message.attempt.exhausted` (its last attempt failed) or `message.attempt.recovered` (it
    succeeded after failing). What follows `reason` is set for messages: how many `attempts` there
    were, and of the last one its id, when it began and the HTTP `status`, None without an answer.
    """

    type: str
    url: str
    endpoint_id: str
    reason: str = ""
    message_id: str | None = None
    attempts: int = 0
    attempt_id: str | None = None
    attempted_at: datetime | None = None
    status: int | None = None


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
        """Tell of messages that fail or were given up, and that came through after all."""
        state, delivery = settlement.decision.state, settlement.delivery
        attempts, reason = delivery.attempts + 1, settlement.decision.reason
        if state is DeliveryState.EXHAUSTED:
            kind = "message.attempt.exhausted"
        elif state is DeliveryState.SUCCEEDED and delivery.attempts:
            kind, reason = "message.attempt.recovered", ""
        elif state is DeliveryState.PENDING and attempts == FAILING_AT:
            kind = "message.attempt.failing"
        else:
            return
        self._tell(
            kind,
            delivery.target,
            reason,
            message_id=ids.encode(ids.MESSAGE, delivery.message),
            attempts=attempts,
            attempt_id=ids.encode(ids.ATTEMPT, settlement.key),
            attempted_at=datetime.fromtimestamp(settlement.started_at / 1000, UTC),
            status=settlement.outcome.status,
        )

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

    def _tell(self, kind: str, target: Target, reason: str, **of_message: Any) -> None:
        endpoint_id = ids.encode(ids.ENDPOINT, target.key)
        event = OperationalEvent(kind, target.url, endpoint_id, reason, **of_message)
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
