"""Waiting for the deliveries of a message, and telling of each when something happens to it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookline.cli._values import duration

if TYPE_CHECKING:
    from hookline import DeliveryStatus, Endpoint, Receipt
    from hookline.cli._reach.protocol import Reach
    from hookline.cli._show.out import Out

LOOK = 0.25
"""Seconds between looks at where the deliveries stand."""
Timeout = Annotated[
    float,
    typer.Option(
        parser=duration, metavar="DURATION", help="How long to wait at most: 30s, 5m, 1h."
    ),
]


async def watch(
    app: "Reach", receipt: "Receipt", timeout: float, out: "Out", *, first: bool = False
) -> list[Any]:
    """Return where the deliveries ended, or, with `first`, where they are after one attempt.

    Tells of each on the way. Raises DeliveryTimeout.
    """
    import asyncio  # noqa: PLC0415

    from hookline._engine.receipt import unfinished  # noqa: PLC0415
    from hookline.cli._show import documents  # noqa: PLC0415
    from hookline.errors import DeliveryTimeout  # noqa: PLC0415

    now = asyncio.get_running_loop().time
    deadline = now() + timeout
    told: dict[str | None, tuple[Any, ...]] = {}
    places: list[tuple[Endpoint, DeliveryStatus]] = []
    while True:
        last = now() >= deadline
        over = not places and await _has_ended(receipt)  # asked first: it is routed any moment
        places = await app.destinations(receipt.message_id)
        tried = [each for each in places if each[1].attempts or each[1].state.final]
        for endpoint, status in tried:
            stand = (status.state, status.attempts)
            if told.get(endpoint.id) != stand:
                told[endpoint.id] = stand
                _tell(out, endpoint, status)
        ended = tried if first else [each for each in places if each[1].state.final]
        if over or (places and len(ended) == len(places)):
            return [documents.delivery(e.id or "", e.url, status) for e, status in places]
        if last:
            stands = [status for _, status in places]
            raise DeliveryTimeout(unfinished(receipt.message_id, timeout, stands or None))
        await asyncio.sleep(LOOK)


async def _has_ended(receipt: "Receipt") -> bool:
    """Tell whether all is over: also for a message that nobody wants, which has no deliveries."""
    from hookline.errors import DeliveryTimeout  # noqa: PLC0415

    try:
        await receipt.delivered(0)
    except DeliveryTimeout:
        return False
    return True


def _tell(out: "Out", endpoint: "Endpoint", status: "DeliveryStatus") -> None:
    from hookline.cli._show.out import answer  # noqa: PLC0415

    good = status.state.value == "succeeded"
    sign = ("✓ ", "green") if good else ("✗ ", "red") if status.state.final else ("… ", "yellow")
    said = [status.state.value, answer(status.last_status, status.last_error)]
    if status.attempts > 1:
        said.append(f"{status.attempts} attempts")
    if status.next_attempt_at is not None:
        said.append(f"next try {out.when(status.next_attempt_at)}")
    parts = (sign, ", ".join(filter(None, said)), (f"  {endpoint.url}", "dim"))
    if not out.as_json:
        out.line(*parts)
