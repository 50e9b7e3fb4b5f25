"""`hookline listen`: webhooks on this machine, without a public address."""

import os
import signal
from contextlib import suppress
from datetime import datetime
from typing import Annotated

import typer

from hookline.cli._command import Ask, command
from hookline.cli._values import duration, past

VARIABLE = "HOOKLINE_LISTEN_SECRET"


@command()
async def listen(
    ask: Ask,
    *,
    forward: Annotated[
        str | None,
        typer.Option(
            "--forward",
            "-f",
            metavar="URL",
            help="Where to send each webhook, such as http://localhost:3000/hook; else they are "
            "only shown.",
        ),
    ] = None,
    events: Annotated[
        list[str] | None,
        typer.Option("--events", "-e", help="Only these: a type, or customer.*. Repeatable."),
    ] = None,
    channels: Annotated[
        list[str] | None,
        typer.Option("--channels", help="Only what is sent to this channel. Repeatable."),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=past,
            metavar="TIME",
            help="Begin with what was published since then, such as 10m; else with what comes.",
            show_default=False,
        ),
    ] = None,
    secret_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help=f"A file with the signing secret, else {VARIABLE}, else a fresh one, shown.",
        ),
    ] = None,
    signature: Annotated[
        list[str] | None,
        typer.Option(help="The form to sign in: guide, standard, svix, stripe … Repeatable."),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(parser=duration, metavar="DURATION", help="How long to wait for an answer."),
    ] = "15s",  # type: ignore[assignment]  # the parser makes it seconds
    bodies: Annotated[
        bool, typer.Option("--bodies", "-b", help="Show payloads and all answers.")
    ] = False,
) -> None:
    """Receive an application's webhooks on this machine, and forward them to a local program.

    Needs no public address: they come over a connection of its own, as they are published, beside
    the real endpoints, which notice nothing. Signed as theirs, tried once. A key that only reads
    the application is enough. What is published while the connection is away is not missed. With
    --json, one line of JSON per webhook. Ends with Ctrl-C.

    hookline listen --forward http://localhost:3000/hook --events 'customer.*'
    """
    import asyncio  # noqa: PLC0415

    from hookline.cli._listen.forward import Forwarder  # noqa: PLC0415
    from hookline.cli._listen.session import Session, without_end  # noqa: PLC0415

    out, reach = ask.out, await ask.app()
    forwarder = None
    if forward is not None:
        secret, fresh = _secret(secret_file)
        forwarder = Forwarder(forward, secret, signature, timeout)
        out.note(f"forwarding to {forward}; Ctrl-C ends it")
        out.note(f"signed with {secret}" if fresh else "signed with your secret")
    else:
        out.note("showing webhooks; --forward URL sends them on; Ctrl-C ends it")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    session = Session(out, forwarder, bodies=bodies)
    messages = without_end(reach, out, events or ["*"], channels or [], since)
    listening = asyncio.ensure_future(session.run(messages))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([listening, stopping], return_when=asyncio.FIRST_COMPLETED)
    for task in (listening, stopping):
        if not task.done():
            task.cancel()
    with suppress(asyncio.CancelledError):
        await listening
    session.goodbye()


def _secret(file: str | None) -> tuple[str, bool]:
    """Return the secret, and whether it is a fresh one."""
    from hookline import generate_secret  # noqa: PLC0415
    from hookline.cli.endpoints import secret_from  # noqa: PLC0415

    if file is not None:
        return secret_from(file) or "", False
    if os.environ.get(VARIABLE):
        return os.environ[VARIABLE], False
    return generate_secret(), True
