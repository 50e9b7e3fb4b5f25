"""`hookline audit`: who changed what, and when."""

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookline.cli._database import Database, opened
from hookline.cli._work import run

if TYPE_CHECKING:
    from hookline import AuditEntry


def audit(
    *,
    application: Annotated[
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
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=250, help="How many.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one entry a line.")] = False,
    database: Database = None,
) -> None:
    """List who changed what, the newest first: over the REST API, here, and in code.

    Secrets that were shown are in it, too. Values never are, only the names of fields.
    """
    from hookline import AuditFilter, Window  # noqa: PLC0415

    after = None if days is None else datetime.now(UTC) - timedelta(days=days)
    wanted = AuditFilter(application, action, actor, after=after)
    webhooks = opened("audit", database, deliver=False)
    page = run("audit", webhooks, webhooks.audit(wanted, Window(limit, descending=True)))
    if as_json:
        for entry in page.items:
            typer.echo(json.dumps(_document(entry), ensure_ascii=False))
        return
    if not page.items:
        typer.echo("nothing was changed, as far as that was asked for")
        return
    _show(page.items)
    if page.more:
        typer.echo(f"and older ones: --limit {min(250, limit * 2)}, or narrow it", err=True)


def _show(entries: "list[AuditEntry]") -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)
    for entry in entries:
        who = entry.actor.name or entry.actor.id or entry.actor.kind
        fields = f" ({', '.join(entry.fields)})" if entry.fields else ""
        line = Text.assemble(
            (f"{entry.at:%Y-%m-%d %H:%M:%SZ}  ", "dim"),
            (entry.action, "bold"),
            f" {entry.target}{fields}",
            (f"  {who}", "cyan"),
        )
        console.print(line)


def _document(entry: "AuditEntry") -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at.isoformat(),
        "actor": entry.actor._asdict(),
        "action": entry.action,
        "target": entry.target,
        "application": entry.application,
        "fields": list(entry.fields),
    }
