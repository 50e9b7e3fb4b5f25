"""`hookline endpoints`: where webhooks go, and how that goes."""

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookline.cli._command import Ask, Deliver, Yes, command, confirm
from hookline.cli._lists import After, Limit, read
from hookline.cli._values import duration, pair
from hookline.cli._wait import Timeout, watch

if TYPE_CHECKING:
    from hookline import Endpoint, EndpointHealth, EndpointStats

app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})

OPTIONS = "Options of the endpoint"
CIRCUITS = {"closed": "closed", "open": "open: nothing is sent for a while", "half_open": "trying"}

Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, uid or URL.")]
Event = Annotated[
    list[str] | None,
    typer.Option("--event", "-e", help="An event type, customer.*, or *. Repeatable."),
]
Header = Annotated[
    list[str] | None,
    typer.Option("--header", "-H", metavar="LINE", help="'Name: value', sent along. Repeatable."),
]
SecretFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="A file with the signing secret; - is standard input. A fresh one unless given.",
    ),
]
Uid = Annotated[str | None, typer.Option(help="Your own id for it, unique.")]
Description = Annotated[str | None, typer.Option(help="What it is.", rich_help_panel=OPTIONS)]
Channel = Annotated[
    list[str] | None,
    typer.Option(help="Only what is sent to this channel. Repeatable.", rich_help_panel=OPTIONS),
]
Rate = Annotated[float | None, typer.Option(help="Requests per second.", rich_help_panel=OPTIONS)]
Metadata = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata", metavar="NAME=VALUE", help="Yours. Repeatable.", rich_help_panel=OPTIONS
    ),
]
Option = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="NAME=JSON",
        help="Any other option of an endpoint: timeout=10, ordered=true, "
        "retry_schedule=[0,60,600]. Repeatable.",
        rich_help_panel=OPTIONS,
    ),
]


@app.callback()
def _endpoints() -> None:
    """Endpoints: where webhooks go, what they want to hear, and how they are doing."""


@app.command("list")
@command()
async def list_(ask: Ask, *, limit: Limit = 50, after: After = None) -> None:
    """List the endpoints, in the order they were made. Never their secrets."""
    from hookline._domain import ids  # noqa: PLC0415
    from hookline.cli._show import documents  # noqa: PLC0415
    from hookline.cli._show.out import state  # noqa: PLC0415

    reach, out = await ask.app(), ask.out
    found = await read(reach.endpoint_page, ids.ENDPOINT, limit, after)
    if out.as_json:
        shown = [documents.endpoint(each) for each in found.items]
        out.document({"endpoints": shown, "more_from": found.more_from})
        return
    out.table(
        ("ID", "STATE", "UID", "URL", "EVENTS"),
        [
            [e.id or "", state(e.state.value), e.uid or "", e.url, " ".join(e.events)]
            for e in found.items
        ],
        below=("URL", "EVENTS"),
    )
    found.tell(out)


@app.command()
@command()
async def show(ask: Ask, name: Id) -> None:
    """Show an endpoint: what it is, how it is doing, and how its deliveries ended of late."""
    from hookline.cli._reach.headers import headers_of  # noqa: PLC0415
    from hookline.cli._show import documents  # noqa: PLC0415

    reach = await ask.app()
    found = await reach.endpoint(name)
    found = replace(found, headers=await headers_of(reach, found))
    own = found.id or name
    health, stats = await reach.endpoint_health(own), await reach.endpoint_stats(own)
    if ask.out.as_json:
        about = {"health": documents.health(health), "stats_28_days": documents.stats(stats)}
        ask.out.document({**documents.endpoint(found), **about})
        return
    _show(ask, found)
    _show_health(ask, health, stats)


@app.command()
@command()
async def create(
    ask: Ask,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where webhooks go.")],
    *,
    events: Event = None,
    uid: Uid = None,
    secret_file: SecretFile = None,
    header: Header = None,
    disabled: Annotated[
        bool, typer.Option("--disabled", help="Hold what is for it, until it is enabled.")
    ] = False,
    description: Description = None,
    channel: Channel = None,
    rate_limit: Rate = None,
    metadata: Metadata = None,
    option: Option = None,
) -> None:
    """Make an endpoint, and print its signing secret, this once.

    hookline endpoints create https://example.com/webhook --event 'customer.*'
    """
    from hookline.cli._show import documents  # noqa: PLC0415

    options = _options(description, channel, rate_limit, metadata, option)
    reach = await ask.app()
    made = await reach.create_endpoint(
        url,
        tuple(events or ("*",)),
        secret_from(secret_file),
        _headers(header),
        uid=uid,
        disabled=disabled,
        **options,
    )
    if ask.out.as_json:
        ask.out.document({**documents.endpoint(made), "secret": made.secret})
        return
    fresh = made.secret if secret_file is None else None
    _show(ask, made, secret=fresh or "")
    if fresh:
        ask.out.note("give its receiver the secret; it is not shown in lists")


@app.command()
@command()
async def update(
    ask: Ask,
    name: Id,
    *,
    url: Annotated[str | None, typer.Option(help="Where webhooks go from now on.")] = None,
    events: Event = None,
    uid: Uid = None,
    description: Description = None,
    channel: Channel = None,
    rate_limit: Rate = None,
    metadata: Metadata = None,
    option: Option = None,
    reset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Back to its default. Repeatable."),
    ] = None,
) -> None:
    """Change what is named; the rest stays. Lists and metadata are replaced whole.

    hookline endpoints update acme-crm --event 'customer.*' --event order.paid --reset rate_limit
    """
    from hookline.cli._show import documents  # noqa: PLC0415

    changes: dict[str, Any] = dict(_options(description, channel, rate_limit, metadata, option))
    changes |= {k: v for k, v in (("url", url), ("events", events), ("uid", uid)) if v is not None}
    changes |= dict.fromkeys(field.replace("-", "_") for field in reset or ())
    if not changes:
        raise typer.BadParameter("nothing to change; see --help for what can be")
    found = await (await ask.app()).update_endpoint(name, **changes)
    if ask.out.as_json:
        ask.out.document(documents.endpoint(found))
    else:
        _show(ask, found)


@app.command()
@command()
async def delete(ask: Ask, name: Id, *, yes: Yes = False) -> None:
    """Delete an endpoint and cancel what waits for it; what was sent stays in the log."""
    reach = await ask.app()
    found = await reach.endpoint(name)
    confirm(f"Delete {found.url} ({found.id}), and cancel what waits for it?", yes=yes)
    if found.source != "api":
        ask.out.note(
            f"it is declared in {found.source}: the next start brings it back. To stop it: "
            "hookline endpoints disable"
        )
    await reach.delete_endpoint(found.id or name)
    _done(ask, found, "deleted")


@app.command()
@command()
async def pause(ask: Ask, name: Id) -> None:
    """Hold an endpoint's deliveries for a while; resume sends what was held."""
    reach = await ask.app()
    found = await reach.endpoint(name)
    await reach.pause(found.id or name)
    _done(ask, found, "paused")


@app.command()
@command()
async def disable(
    ask: Ask,
    name: Id,
    *,
    reason: Annotated[str | None, typer.Option(help="Why, for whoever looks.")] = None,
) -> None:
    """Hold an endpoint's deliveries; nothing is lost, enable sends what was held."""
    from hookline.cli._reach.protocol import BY_HAND  # noqa: PLC0415

    reach = await ask.app()
    found = await reach.endpoint(name)
    await reach.disable(found.id or name, reason or BY_HAND)
    _done(ask, found, "disabled")


@app.command()
@command()
async def enable(ask: Ask, name: Id) -> None:
    """Send to an endpoint again, what was held meanwhile too."""
    await _enable(ask, name, "enabled")


@app.command()
@command()
async def resume(ask: Ask, name: Id) -> None:
    """End a pause: send to an endpoint again, what was held meanwhile too."""
    await _enable(ask, name, "resumed")


async def _enable(ask: Ask, name: str, word: str) -> None:
    reach = await ask.app()
    found = await reach.endpoint(name)
    released = await reach.enable(found.id or name)
    _done(ask, found, word, released=released)
    if released:
        await ask.warn_if_idle()


@app.command("rotate-secret")
@command()
async def rotate_secret(
    ask: Ask,
    name: Id,
    *,
    secret_file: SecretFile = None,
    ed25519: Annotated[
        bool, typer.Option("--ed25519", help="A fresh key of this kind, not a shared secret.")
    ] = False,
    overlap: Annotated[
        float,
        typer.Option(
            parser=duration, metavar="DURATION", help="How long the old secret signs along."
        ),
    ] = "24h",  # type: ignore[assignment]  # the parser makes it seconds
) -> None:
    """Give an endpoint a new signing secret, and print it, this once.

    During the overlap both secrets sign, so that its receiver can change at any time.
    """
    if ed25519 and secret_file is not None:
        raise typer.BadParameter(
            "is for a fresh key; with your own, leave it out", param_hint="--ed25519"
        )
    reach = await ask.app()
    found = await reach.endpoint(name)
    kind: Any = "ed25519" if ed25519 else None
    new = await reach.rotate_secret(
        found.id or name, secret_from(secret_file), kind=kind, overlap=timedelta(seconds=overlap)
    )
    if ask.out.as_json:
        ask.out.document({"id": found.id, "secret": new, "overlap_seconds": overlap})
        return
    ask.out.line(new)
    until = datetime.now(UTC) + timedelta(seconds=overlap)
    ask.out.note(
        f"the old secret signs along until {ask.out.when(until)}"
        if overlap
        else "the old secret signs no more"
    )


@app.command()
@command()
async def secret(ask: Ask, name: Id) -> None:
    """Print an endpoint's signing secret. The audit log notes that."""
    text = await (await ask.app()).show_secret(name)
    if ask.out.as_json:
        ask.out.document({"endpoint": name, "secret": text})
    elif text is None:
        ask.out.note("it has none: its webhooks are not signed")
    else:
        ask.out.line(text)


@app.command()
@command()
async def headers(
    ask: Ask,
    name: Id,
    *,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="LINE", help="'Name: value'. Repeatable."),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Take it away. Repeatable.")
    ] = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show values: they are often credentials.")
    ] = False,
) -> None:
    """Show or change the headers that an endpoint's webhooks carry beside ours.

    hookline endpoints headers acme-crm --set 'X-Team: billing' --remove X-Old
    """
    from hookline.cli._reach.headers import change_headers, headers_of  # noqa: PLC0415

    reach = await ask.app()
    found = await reach.endpoint(name)
    if set_ or remove:
        await change_headers(reach, found, _headers(set_, option="--set"), remove or ())
        found = await reach.endpoint(found.id or name)
    told = await headers_of(reach, found)
    shown = {key: value if reveal else "***" for key, value in told.items()}
    if ask.out.as_json:
        ask.out.document({"id": found.id, "headers": shown})
        return
    for key, value in shown.items():
        ask.out.line((f"{key}: ", "dim"), value)
    if reveal and "***" in shown.values():
        ask.out.note("a server shows no values that look secret; on its machine they are shown")
    if not shown:
        ask.out.note("none beside those that every webhook has")


@app.command()
@command()
async def verify(
    ask: Ask,
    name: Id,
    *,
    timeout: Timeout = "60s",  # type: ignore[assignment]  # the parser makes it seconds
    deliver: Deliver = False,  # noqa: ARG001 - the decorator reads it
) -> None:
    """Try now to verify a pending endpoint: see that its receiver expects webhooks."""
    from hookline.cli._show import documents  # noqa: PLC0415

    await ask.warn_if_idle()
    found = await (await ask.app()).verify_endpoint(name, timeout=timeout)
    if ask.out.as_json:
        ask.out.document(documents.endpoint(found))
    else:
        _show(ask, found)
    if found.pending_since is not None:
        raise typer.Exit(1)


@app.command("test")
@command()
async def try_(
    ask: Ask,
    name: Id,
    *,
    event: Annotated[
        str | None, typer.Option(help="The event type to send, else webhook.test.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", metavar="JSON", help="What it says, else that it is a test."),
    ] = None,
    timeout: Timeout = "30s",  # type: ignore[assignment]  # the parser makes it seconds
    deliver: Deliver = False,  # noqa: ARG001 - the decorator reads it
) -> None:
    """Send one event to this endpoint alone, and show what came of its first attempt.

    Exits 0 when it succeeded, 1 when not. To try a receiver's checks: hookline check-receiver.
    """
    from hookline.cli.send import parsed  # noqa: PLC0415

    content = None if data is None else parsed(data.encode(), "--data")
    reach = await ask.app()
    receipt = await reach.send_test(name, event, content)
    if not ask.out.as_json:
        ask.out.line(receipt.message_id)
    await ask.warn_if_idle()
    deliveries = await watch(reach, receipt, timeout, ask.out, first=True)
    if ask.out.as_json:
        ask.out.document({"id": receipt.message_id, "deliveries": deliveries})
    if any(each["state"] != "succeeded" for each in deliveries):
        ask.out.note(f"see what came back: hookline attempts list --message {receipt.message_id}")
        raise typer.Exit(1)


# What is given -----------------------------------------------------------------------------------


def _options(
    description: str | None,
    channel: list[str] | None,
    rate_limit: float | None,
    metadata: list[str] | None,
    option: list[str] | None,
) -> Any:
    import json  # noqa: PLC0415

    found: dict[str, Any] = {}
    for text in option or ():
        name, value = pair(text, "--option", "=", "--option timeout=10")
        try:
            found[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            found[name.replace("-", "_")] = value  # a bare word: a proxy, a handshake
    given = {
        "description": description,
        "channels": channel,
        "rate_limit": rate_limit,
        "metadata": _pairs(metadata),
    }
    return found | {name: value for name, value in given.items() if value is not None}


def _pairs(texts: list[str] | None) -> dict[str, str] | None:
    if texts is None:
        return None
    return dict(pair(text, "--metadata", "=", "--metadata plan=gold") for text in texts)


def _headers(lines: list[str] | None, option: str = "--header") -> dict[str, str]:
    return dict(pair(line, option, ":", f"{option} 'Name: value'") for line in lines or ())


def secret_from(file: str | None) -> str | None:
    """Return the secret in a file, less its last line break."""
    if file is None:
        return None
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file}: {error}", param_hint="--secret-file") from None
    return text.removesuffix("\n").removesuffix("\r")


# What is said ------------------------------------------------------------------------------------


def _done(ask: Ask, found: "Endpoint", word: str, *, released: int | None = None) -> None:
    if ask.out.as_json:
        more = {} if released is None else {"released": released}
        ask.out.document({"id": found.id, "url": found.url, word: True, **more})
        return
    held = f", {released:,} held deliveries are due" if released else ""
    ask.out.line(f"{word} {found.id}{held}", (f"  {found.url}", "dim"))


def _show(ask: Ask, found: "Endpoint", *, secret: str = "") -> None:
    from rich.text import Text  # noqa: PLC0415

    from hookline.cli._show import documents  # noqa: PLC0415
    from hookline.cli._show.out import state  # noqa: PLC0415

    out, document = ask.out, documents.endpoint(found)
    apart = ("id", "uid", "url", "state", "reason", "events", "header_names", "set", "source")
    told = {*apart, "created_at", "updated_at", "metadata", "channels", "rate_limit"}
    out.facts(
        [
            ("id", found.id or ""),
            ("uid", found.uid or ""),
            ("url", found.url),
            ("state", state(found.state.value)),
            ("because", document["reason"] or found.locked or ""),
            ("events", " ".join(found.events)),
            ("channels", " ".join(found.channels)),
            ("rate limit", f"{found.rate_limit:g} per second" if found.rate_limit else ""),
            *((name, _text(value)) for name, value in document.items() if name not in told),
            *((f"metadata.{name}", value) for name, value in found.metadata.items()),
            ("headers", " ".join(document["header_names"])),
            ("also set", " ".join(document["set"])),
            ("from", found.source),
            ("created", out.when(found.created_at)),
            ("updated", out.when(found.updated_at)),
            ("secret", Text(secret, "bold")),
        ]
    )


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _show_health(ask: Ask, health: "EndpointHealth", stats: "EndpointStats") -> None:
    from hookline._domain.history import queued  # noqa: PLC0415
    from hookline.cli._show.out import answer, state  # noqa: PLC0415

    out, circuit = ask.out, health.circuit.value
    counts = (queued(n) for n in (health.pending, health.sending, health.held))
    now = "{} pending, {} being sent, {} held".format(*counts)
    row = f"{health.failures} in a row" if health.failures else ""
    out.line()
    out.facts(
        [
            ("circuit", state(circuit) if circuit == "closed" else CIRCUITS.get(circuit, circuit)),
            ("failures", row),
            ("failing since", out.when(health.failing_since)),
            ("waits until", out.when(health.waits_until)),
            ("now", now),
            ("next attempt", out.when(health.next_attempt_at)),
            ("last attempt", out.when(health.last_attempt_at)),
            ("last answer", answer(health.last_status, health.last_failure)),
            ("28 days", f"{stats.succeeded:,} succeeded, {stats.exhausted:,} exhausted"),
        ]
    )
