"""`hookline audit`: who changed what, and when."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli._command import Ask, command
from hookline.cli._lists import After, Limit, read

if TYPE_CHECKING:
    from hookline import AuditEntry
    from hookline.cli._show.out import Out


@command(app=False)
async def audit(
    ask: Ask,
    *,
    of_app: Annotated[
        str | None,
        typer.Option("--app", metavar="APP", help="Of one application: its id or uid."),
    ] = None,
    action: Annotated[
        str | None,
        typer.Option(help="Such as endpoint.updated, or a family: 'endpoint.*'."),
    ] = None,
    actor: Annotated[
        str | None,
        typer.Option(help="A key's id or name, or a kind: api_key, cli, code, file."),
    ] = None,
    days: Annotated[
        float | None,
        typer.Option("--days", min=0.001, max=36500, help="Of the last days only."),
    ] = None,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """List who changed what, the newest first: over the REST API, here, and in code.

    Secrets that were shown are in it, too. Values never are, only the names of fields.
    """
    from hookline import AuditFilter  # noqa: PLC0415
    from hookline._domain import ids  # noqa: PLC0415
    from hookline.cli._show import documents  # noqa: PLC0415

    begin = None if days is None else datetime.now(UTC) - timedelta(days=days)
    wanted = AuditFilter(of_app, action, actor, after=begin)
    found = await read(
        lambda window: ask.deployment.audit(wanted, window),
        ids.AUDIT,
        limit,
        after,
        descending=True,
    )
    if ask.out.as_json:
        shown = [documents.audited(each) for each in found.items]
        ask.out.document({"entries": shown, "more_from": found.more_from})
        return
    for entry in found.items:
        _show(ask.out, entry)
    if not found.items:
        ask.out.line("nothing was changed, as far as that was asked for")
        return
    found.tell(ask.out)


def _show(out: "Out", entry: "AuditEntry") -> None:
    who = entry.actor.name or entry.actor.id or entry.actor.kind
    fields = f" ({', '.join(entry.fields)})" if entry.fields else ""
    out.line(
        (f"{entry.at:%Y-%m-%d %H:%M:%SZ}  ", "dim"),
        (entry.action, "bold"),
        f" {entry.target}{fields}",
        (f"  {who}", "cyan"),
    )
