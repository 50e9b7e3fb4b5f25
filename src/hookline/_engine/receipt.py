"""What trigger gives back."""

from collections.abc import Awaitable, Callable, Sequence
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


def unfinished(name: str, timeout: float, statuses: Sequence[DeliveryStatus] | None) -> str:
    """Say why the wait for a message ended: None where it is not routed yet."""
    if statuses is None:
        return f"{name}: not routed within {timeout:g} s; is a worker running?"
    open_ones = ", ".join(
        f"{s.url} is {s.state} after {s.attempts} attempts"
        + (f" (last: {s.last_status or s.last_error})" if s.attempts else "")
        for s in statuses
        if not s.state.final
    )
    return f"{name}: not delivered within {timeout:g} s, it goes on in the background: {open_ones}"
