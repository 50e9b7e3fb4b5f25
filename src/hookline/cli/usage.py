"""`hookline usage`: how much was sent, by application."""

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli._database import Database, opened
from hookline.cli._work import run

if TYPE_CHECKING:
    from hookline import Usage, Webhooks


def usage(
    *,
    application: Annotated[
        str | None,
        typer.Option("--app", metavar="APP", help="One application, day by day: id or uid."),
    ] = None,
    days: Annotated[
        int, typer.Option("--days", min=1, max=366, help="How many, today among them.")
    ] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, day by day.")] = False,
    database: Database = None,
) -> None:
    """Count messages published and attempts made, by application.

    Days are those of UTC. With --app or --json day by day.
    """
    webhooks = opened("usage", database, deliver=False)
    since = datetime.now(UTC) - timedelta(days=days - 1)
    found, names = run("usage", webhooks, _ask(webhooks, application, since))
    if as_json:
        rows = [
            {
                "application": each.application,
                "day": each.day.isoformat(),
                "messages": each.messages,
                "attempts": each.attempts,
            }
            for each in found
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    if not found:
        typer.echo(f"nothing was published in the last {days} days")
        return
    _show(found, names, by_day=application is not None)


async def _ask(
    webhooks: "Webhooks", application: str | None, since: datetime
) -> "tuple[list[Usage], dict[str, str]]":
    if application is not None:
        scoped = await webhooks.for_application(application)
        return await scoped.usage(since=since), {}
    found = await webhooks.all_usage(since=since)
    names = {}
    for key in {each.application for each in found}:
        try:
            known = await webhooks.applications.get(key)
            names[key] = known.uid or known.name
        except LookupError:
            names[key] = "(deleted)"
    return found, names


def _show(found: "list[Usage]", names: dict[str, str], *, by_day: bool) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    totals: dict[str, list[int]] = {}
    for each in found:
        key = each.day.isoformat() if by_day else each.application
        total = totals.setdefault(key, [0, 0])
        total[0] += each.messages
        total[1] += each.attempts
    table = Table("day" if by_day else "application", box=None, pad_edge=False)
    table.add_column("messages", justify="right")
    table.add_column("attempts", justify="right")
    for key, (messages, attempts) in totals.items():
        name = Text(f"{names[key]}  {key}" if names else key)
        table.add_row(name, f"{messages:,}", f"{attempts:,}")
    Console(highlight=False).print(table)
