"""`hookline messages`: what was published, and what became of it."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli._command import Ask, Yes, command, confirm
from hookline.cli._filters import Channel, Events, Since, Tag, Text, Until, wanted
from hookline.cli._lists import After, Limit, Listed, read

if TYPE_CHECKING:
    from hookline import DeliveryStatus, Endpoint, Filter, Message

app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})

Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, msg_…, or your event id.")]


@app.callback()
def _messages() -> None:
    """Messages: what was published, and where each stands."""


@app.command("list")
@command()
async def list_(
    ask: Ask,
    *,
    events: Events = None,
    channel: Channel = None,
    tag: Tag = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="ID", help="For this endpoint, and where each stands there."),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(help="With --endpoint: succeeded, exhausted, pending, held, canceled."),
    ] = None,
    limit: Limit = 20,
    after: After = None,
) -> None:
    """List messages, the newest first.

    hookline messages list --event customer.created --since 2h
    """
    which = wanted(
        events,
        channel=channel,
        tag=tag,
        since=since,
        until=until,
        text=text,
        state=state,
    )
    if endpoint is not None:
        await _list_at(ask, endpoint, which, limit, after)
        return
    if state is not None:
        raise typer.BadParameter(
            "a message stands somewhere at an endpoint: name it with --endpoint",
            param_hint="--state",
        )
    from hookline._domain import ids  # noqa: PLC0415
    from hookline.cli._show import documents  # noqa: PLC0415

    app = await ask.app()
    found = await read(
        lambda window: app.messages(which, window), ids.MESSAGE, limit, after, descending=True
    )
    out = ask.out
    if out.as_json:
        shown = [documents.message(each) for each in found.items]
        out.document({"messages": shown, "more_from": found.more_from})
        return
    out.table(
        ("ID", "EVENT", "PUBLISHED", "EVENT ID"),
        [[m.id, m.event_type, out.when(m.created_at), m.event_id or ""] for m in found.items],
        below=("EVENT ID",),
    )
    found.tell(out)


async def _list_at(ask: Ask, endpoint: str, which: "Filter", limit: int, after: str | None) -> None:
    from hookline._domain import ids  # noqa: PLC0415
    from hookline.cli._show import documents  # noqa: PLC0415
    from hookline.cli._show.out import state  # noqa: PLC0415

    app, out = await ask.app(), ask.out
    own = (await app.endpoint(endpoint)).id or endpoint
    found: Listed = await read(
        lambda window: app.attempted(own, which, window),
        ids.MESSAGE,
        limit,
        after,
        descending=True,
    )
    if out.as_json:
        shown = [documents.attempted(each) for each in found.items]
        out.document({"messages": shown, "more_from": found.more_from})
        return
    out.table(
        ("ID", "STATE", "EVENT", "PUBLISHED", "NEXT TRY"),
        [
            [
                each.message.id,
                state(each.state.value),
                each.message.event_type,
                out.when(each.message.created_at),
                out.when(each.next_attempt_at) if each.next_attempt_at else "",
            ]
            for each in found.items
        ],
        below=("PUBLISHED", "NEXT TRY"),
    )
    found.tell(out)


@app.command()
@command()
async def show(ask: Ask, name: Id) -> None:
    """Show a message: what it says, and where it stands at each endpoint."""
    from hookline.cli._show import documents  # noqa: PLC0415

    app = await ask.app()
    found = await app.message(name)
    places = await app.destinations(found.id)
    if ask.out.as_json:
        stands = [documents.delivery(e.id or "", e.url, status) for e, status in places]
        ask.out.document({**documents.message(found, content=True), "deliveries": stands})
        return
    _show(ask, found, places)


def _show(ask: Ask, found: "Message", places: "list[tuple[Endpoint, DeliveryStatus]]") -> None:
    from hookline.cli._show.out import answer, state  # noqa: PLC0415

    out = ask.out
    out.facts(
        [
            ("id", found.id),
            ("event", found.event_type),
            ("event id", found.event_id or ""),
            ("published", out.when(found.created_at)),
            ("to be sent", out.when(found.deliver_at)),
            ("canceled", out.when(found.canceled_at)),
            ("channels", ", ".join(found.channels)),
            ("tags", ", ".join(found.tags)),
            ("ordering key", found.ordering_key or ""),
        ]
    )
    out.line()
    for endpoint, status in places:
        said = answer(status.last_status, status.last_error)
        more = f", {said}" if said else ""
        if status.next_attempt_at is not None:
            more += f", next try {out.when(status.next_attempt_at)}"
        tries = f", {status.attempts} attempt{'s' * (status.attempts != 1)}"
        out.line("  ", state(status.state.value), f"{tries * bool(status.attempts)}{more}")
        out.line(("    ", ""), (f"{endpoint.id}  {endpoint.url}", "dim"))
    if not places:
        out.line(("  for no endpoint, or not routed yet", "dim"))
    out.line()
    if found.erased:
        out.line(("  what it said was erased, or is past retention_payloads", "dim"))
        return
    for line in json.dumps(json.loads(found.body), indent=2, ensure_ascii=False).splitlines():
        out.line("  ", line)


@app.command()
@command()
async def resend(
    ask: Ask,
    name: Id,
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Its id, uid or URL.")],
) -> None:
    """Send a message to an endpoint once more, now; `hookline replay` does it for many."""
    app = await ask.app()
    if await app.resend(name, endpoint):
        ask.out.note("due now")
        await ask.warn_if_idle()
    else:
        ask.out.note("it is just being sent, or waits in its line: nothing was changed")
    if ask.out.as_json:
        found = await app.message(name)
        ask.out.document({"message_id": found.id, "endpoint": endpoint})


@app.command()
@command()
async def cancel(ask: Ask, name: Id) -> None:
    """Cancel what has not been sent of a message."""
    stopped = await (await ask.app()).cancel(name)
    if ask.out.as_json:
        ask.out.document({"canceled": stopped})
    else:
        ask.out.line(f"{stopped} {'delivery' if stopped == 1 else 'deliveries'} canceled")


@app.command()
@command()
async def erase(ask: Ask, name: Id, *, yes: Yes = False) -> None:
    """Erase what a message said and what was answered; that it was sent stays known."""
    app = await ask.app()
    found = await app.message(name)
    confirm(f"Erase what {found.id} ({found.event_type}) said, for ever?", yes=yes)
    await app.erase(found.id)
    if ask.out.as_json:
        ask.out.document({"id": found.id, "erased": True})
    else:
        ask.out.line(f"erased {found.id}")
