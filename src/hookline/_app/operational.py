"""Operational events of the system, made into webhooks after what they tell of was committed."""

import time
from typing import TYPE_CHECKING, Any

from hookline._domain import ids
from hookline._domain.operational import AUTOMATIC, DISABLED
from hookline._domain.times import rfc3339
from hookline._observe.events import OperationalEvent

if TYPE_CHECKING:
    from hookline._app.runtime import Runtime

FRESH = 1.0
"""Seconds for which it is taken as known that nobody is told."""


class Teller:
    """A listener of `EventObserver`: publishes to the operational endpoints, if there are any."""

    def __init__(self) -> None:
        """`runtime` is given later: it is made with the observers."""
        self.runtime: Runtime | None = None
        self._nobody_until = 0.0

    async def tell(self, event: OperationalEvent) -> None:
        """Publish one event. Runs on the engine's loop."""
        engine = self.runtime.opened if self.runtime is not None else None
        key = ids.decode(ids.ENDPOINT, event.endpoint_id)
        if engine is None or key is None or time.monotonic() < self._nobody_until:
            return
        operational = engine.store.operational
        if not await operational.wanted():
            self._nobody_until = time.monotonic() + FRESH
            return
        data: dict[str, Any] = {
            "reason": event.reason,
            "trigger": AUTOMATIC if event.type == DISABLED else None,
        }
        message = None
        if event.message_id is not None and event.attempted_at is not None:
            message = ids.decode(ids.MESSAGE, event.message_id)
            data["attempts"] = event.attempts
            data["lastAttempt"] = {
                "id": event.attempt_id,
                "responseStatusCode": event.status or 0,
                "timestamp": rfc3339(event.attempted_at),
            }
        published = await operational.publish(event.type, key, engine.clock.now(), data, message)
        if published and self.runtime is not None and self.runtime.engine is engine:
            engine.ring()
