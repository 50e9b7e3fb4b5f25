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

    from hookline.cli._show import documents  # noqa: PLC0415

    ending = asyncio.ensure_future(receipt.delivered(timeout))
    told: dict[str | None, tuple[Any, ...]] = {}
    try:
        while True:
            ended = ending.done()
            places = await app.destinations(receipt.message_id)
            tried = [each for each in places if each[1].attempts or each[1].state.final]
            for endpoint, status in tried:
                stand = (status.state, status.attempts)
                if told.get(endpoint.id) != stand:
                    told[endpoint.id] = stand
                    _tell(out, endpoint, status)
            if ended or (first and places and len(tried) == len(places)):
                break
            await asyncio.wait([ending], timeout=LOOK)
        if ended:
            ending.result()
    finally:
        ending.cancel()
    return [documents.delivery(e.id or "", e.url, status) for e, status in places]


def _tell(out: "Out", endpoint: "Endpoint", status: "DeliveryStatus") -> None:
    good = status.state.value == "succeeded"
    sign = ("✓ ", "green") if good else ("✗ ", "red") if status.state.final else ("… ", "yellow")
    answered = f"HTTP {status.last_status}" if status.last_status else ""
    said = [status.state.value, status.last_error or answered]
    if status.attempts > 1:
        said.append(f"{status.attempts} attempts")
    if status.next_attempt_at is not None:
        said.append(f"next try {out.when(status.next_attempt_at)}")
    parts = (sign, ", ".join(filter(None, said)), (f"  {endpoint.url}", "dim"))
    if not out.as_json:
        out.line(*parts)
