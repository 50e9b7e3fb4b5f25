"""`hookline attempts`: the log of every request that was made."""

from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli._command import Ask, command
from hookline.cli._filters import Channel, Events, Since, StatusClass, Succeeded, Tag, Until, wanted
from hookline.cli._lists import After, Limit, read

if TYPE_CHECKING:
    from hookline import Attempt, Page, Window
    from hookline._domain.history import AttemptOf
    from hookline.cli._show.out import Out

app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})


@app.callback()
def _attempts() -> None:
    """Attempts: every request that was made, and what came back."""


@app.command("list")
@command()
async def list_(
    ask: Ask,
    *,
    message: Annotated[
        str | None, typer.Option(metavar="ID", help="Made for this message.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="ID", help="Made at this endpoint.")
    ] = None,
    events: Events = None,
    channel: Channel = None,
    tag: Tag = None,
    since: Since = None,
    until: Until = None,
    succeeded: Succeeded = None,
    status_class: StatusClass = None,
    limit: Limit = 20,
    after: After = None,
) -> None:
    """List the attempts for a message or at an endpoint, the newest first.

    hookline attempts list --endpoint acme-crm --failed --since 1d
    """
    from hookline._domain import ids  # noqa: PLC0415
    from hookline.cli._show import documents  # noqa: PLC0415
    from hookline.cli._show.out import answer, state  # noqa: PLC0415

    if message is None and endpoint is None:
        raise typer.BadParameter("name a message or an endpoint: --message ID, --endpoint ID")
    app, out = await ask.app(), ask.out
    place = None if endpoint is None else await app.endpoint(endpoint)
    own = "" if place is None else place.id or ""
    which = wanted(
        events,
        channel=channel,
        tag=tag,
        since=since,
        until=until,
        succeeded=succeeded,
        status_class=status_class,
        endpoint=ids.decode(ids.ENDPOINT, own) if message is not None else None,
    )

    async def page(window: "Window") -> "Page[AttemptOf]":
        if message is not None:
            return await app.attempts_of(message, which, window)
        return await app.attempts_at(own, which, window)

    found = await read(page, ids.ATTEMPT, limit, after, descending=True)
    if out.as_json:
        shown = [documents.attempt_of(each) for each in found.items]
        out.document({"attempts": shown, "more_from": found.more_from})
        return
    other = "ENDPOINT" if message is not None else "MESSAGE"
    out.table(
        ("STATE", "ANSWER", "AT", "TOOK", "ID", other),
        [
            [
                state(a.state.value),
                answer(a.status, a.failure),
                out.when(a.started_at),
                took(a),
                a.id,
                a.endpoint_id if message is not None else a.message_id,
            ]
            for each in found.items
            for a in [each.attempt]
        ],
        below=("ID", other),
    )
    found.tell(out)


def took(made: "Attempt") -> str:
    """Return how long an attempt took."""
    return f"{made.timings.total / 1000:,.0f} ms"


@app.command()
@command()
async def show(
    ask: Ask,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="Its id, or your event id.")],
    attempt: Annotated[str, typer.Argument(metavar="ATTEMPT", help="Its id, atmpt_…")],
) -> None:
    """Show an attempt: the answer with its headers, and where the time went."""
    from hookline.cli._show import documents  # noqa: PLC0415

    found = await (await ask.app()).attempt(message, attempt)
    if ask.out.as_json:
        ask.out.document(documents.attempt_of(found, content=True))
        return
    _show(ask.out, found)


def _show(out: "Out", found: "AttemptOf") -> None:
    from hookline.cli._show.out import answer, state  # noqa: PLC0415

    made, times = found.attempt, found.attempt.timings
    steps = [(name, getattr(times, name)) for name in ("dns", "connect", "tls", "first_byte")]
    out.facts(
        [
            ("id", made.id),
            ("message", made.message_id),
            ("event", found.message.event_type if found.message else ""),
            ("endpoint", made.endpoint_id),
            ("url", made.url),
            ("number", str(made.number) if made.number else ""),
            ("state", state(made.state.value)),
            ("answer", answer(made.status, made.failure)),
            ("detail", made.detail),
            ("at", out.when(made.started_at)),
            ("took", took(made)),
            ("until", ", ".join(f"{n.replace('_', ' ')} {t / 1000:g} ms" for n, t in steps if t)),
            ("next try", out.when(made.next_attempt_at)),
        ]
    )
    out.line()
    for name, value in made.response_headers:
        out.line("  ", (f"{name}: ", "dim"), value)
    if made.response_headers:
        out.line()
    for line in made.response_body.decode(errors="replace").splitlines():
        out.line("  ", line)
