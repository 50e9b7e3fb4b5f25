"""`hookline send`: publish an event."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookline.cli._command import Ask, Deliver, command
from hookline.cli._values import coming, past
from hookline.cli._wait import Timeout, watch

if TYPE_CHECKING:
    from hookline._domain.envelope import Body

NOTHING_DELIVERED = 1
ROOM = 1 << 26
"""Bytes of a body that is left to the deployment to refuse."""


@command()
async def send(
    ask: Ask,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Such as customer.created.")],
    source: Annotated[
        str | None, typer.Argument(metavar="-", help="- reads the data from standard input.")
    ] = None,
    *,
    data: Annotated[
        str | None, typer.Option("--data", "-d", metavar="JSON", help="What happened: an object.")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", "-f", metavar="FILE", help="A file with it; - is standard input."),
    ] = None,
    metadata: Annotated[
        str | None, typer.Option(metavar="JSON", help="The envelope's metadata: an object.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Send the object as it is, byte for byte, no envelope.")
    ] = False,
    channel: Annotated[
        list[str] | None, typer.Option(help="For endpoints with this channel. Repeatable.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="To find it by. Repeatable.")] = None,
    event_id: Annotated[str | None, typer.Option(help="Your own id for it.")] = None,
    ordering_key: Annotated[
        str | None, typer.Option(help="At ordered endpoints it waits for those of the same key.")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="A repeat with this key within 24 hours does nothing.")
    ] = None,
    timestamp: Annotated[
        datetime | None,
        typer.Option(
            parser=past, metavar="TIME", help="When it happened, else now.", show_default=False
        ),
    ] = None,
    deliver_at: Annotated[
        datetime | None,
        typer.Option(
            parser=coming,
            metavar="TIME",
            help="When to send it: in 10m or 2h, or 2025-10-17T10:30 (local; Z for UTC).",
            show_default=False,
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait, and show deliveries as they end.")
    ] = False,
    timeout: Timeout = "30s",  # type: ignore[assignment]  # the parser makes it seconds
    deliver: Deliver = False,
) -> None:
    """Publish an event to the endpoints that want it.

    With --wait it exits 0 when every delivery succeeded, 1 when not.

    hookline send customer.created --data '{"id": 1}' --wait
    """
    text = _content(data, file, source)
    body = _body(event, text, metadata, timestamp, raw=raw)
    app = await ask.app()
    receipt = await app.publish(
        event,
        body.content,
        idempotency_key=idempotency_key,
        deliver_at=deliver_at,
        ordering_key=ordering_key,
        channels=channel or (),
        tags=tag or (),
        event_id=event_id,
        once=None if raw else body.digest,
    )
    out = ask.out
    document = {
        "id": receipt.message_id,
        "event_type": receipt.event,
        "duplicate": receipt.duplicate,
    }
    if not out.as_json:
        out.line(receipt.message_id)
        if receipt.duplicate:
            out.note("it was published before, under this idempotency key: nothing was done")
    if not deliver:
        await ask.warn_if_idle()
    if not wait and not deliver:
        if out.as_json:
            out.document(document)
        return
    deliveries = await watch(app, receipt, timeout, out)
    if out.as_json:
        out.document({**document, "deliveries": deliveries})
    elif not deliveries:
        out.note("no endpoint wants it")
    if any(each["state"] != "succeeded" for each in deliveries):
        raise typer.Exit(NOTHING_DELIVERED)


def _content(data: str | None, file: str | None, source: str | None) -> bytes:
    if source not in (None, "-"):
        raise typer.BadParameter(f"{source!r}: expected - ; a file is given with --file")
    given = [data is not None, file is not None, source is not None]
    if sum(given) != 1:
        raise typer.BadParameter("give the data once: --data JSON, --file FILE, or - for stdin")
    if data is not None:
        return data.encode()
    if file in ("-", None):
        return sys.stdin.buffer.read()
    try:
        return Path(str(file)).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="--file") from None


def _body(
    event: str, text: bytes, metadata: str | None, timestamp: datetime | None, *, raw: bool
) -> "Body":
    from hookline._domain.envelope import as_it_is, envelope  # noqa: PLC0415

    if raw:
        if metadata is not None or timestamp is not None:
            raise typer.BadParameter("are part of the envelope, which --raw leaves out")
        return as_it_is(event, text, limit=ROOM)
    at = timestamp or datetime.now(UTC)
    about = None if metadata is None else parsed(metadata.encode(), "--metadata")
    data = parsed(text, "--data")
    return envelope(event, data, round(at.timestamp() * 1000), about, limit=ROOM)


def parsed(text: bytes, option: str) -> Any:
    """Return what JSON says; BadParameter for what is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"is no JSON: {error}", param_hint=option) from None
