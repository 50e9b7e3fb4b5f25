"""What trigger gives back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from hookline._domain.delivery import DeliveryStatus


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a message is published: committed, or part of the caller's transaction."""

    message_id: str
    """`msg_…`, what receivers see as `webhook-id`."""
    event: str
    duplicate: bool = False
    """The idempotency key had been used for this very event: nothing new was published."""
    _delivered: Callable[[float], Awaitable[list[DeliveryStatus]]] | None = field(
        default=None, repr=False, compare=False
    )

    async def delivered(self, timeout: float = 30.0) -> list[DeliveryStatus]:
        """Wait until every delivery is final and return where each ended, one per endpoint.

        `timeout` in seconds. Raises DeliveryTimeout when it runs out; the deliveries go on. For
        scripts and tests: an application has no reason to wait. With `session=`, commit first.
        """
        if self._delivered is None:
            raise RuntimeError("this receipt has no engine to ask")
        return await self._delivered(timeout)
