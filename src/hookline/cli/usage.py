"""`hookline usage`: how much was sent, by application."""

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli._command import Ask, command
from hookline.cli._lists import read

if TYPE_CHECKING:
    from hookline import Usage


@command(app=False)
async def usage(
    ask: Ask,
    *,
    of_app: Annotated[
        str | None,
        typer.Option("--app", metavar="APP", help="One application, day by day: id or uid."),
    ] = None,
    days: Annotated[
        int, typer.Option("--days", min=1, max=366, help="How many, today among them.")
    ] = 30,
) -> None:
    """Count messages published and attempts made, by application.

    Days are those of UTC. With --app or --json day by day.
    """
    from hookline.cli._show import documents  # noqa: PLC0415

    since = datetime.now(UTC) - timedelta(days=days - 1)
    if of_app is None:
        found = await ask.deployment.all_usage(since=since)
    else:
        found = await (await ask.deployment.for_application(of_app)).usage(since=since)
    if ask.out.as_json:
        ask.out.document([documents.usage(each) for each in found])
    elif not found:
        ask.out.line(f"nothing was published in the last {days} days")
    elif of_app is None:
        names = await _names(ask)
        keys = [each.application for each in found]
        _show(ask, "application", [f"{names.get(key, '(deleted)')}  {key}" for key in keys], found)
    else:
        _show(ask, "day", [each.day.isoformat() for each in found], found)


async def _names(ask: Ask) -> dict[str, str]:
    """Return what the applications are called, by id."""
    from hookline._domain import ids  # noqa: PLC0415

    known = await read(ask.deployment.applications.page, ids.APPLICATION, sys.maxsize, None)
    return {each.id: each.uid or each.name for each in known.items}


def _show(ask: Ask, title: str, names: list[str], found: "list[Usage]") -> None:
    totals: dict[str, list[int]] = {}
    for name, each in zip(names, found, strict=True):
        total = totals.setdefault(name, [0, 0])
        total[0] += each.messages
        total[1] += each.attempts
    ask.out.table(
        (title, "messages", "attempts"),
        [(name, f"{sent:>8,}", f"{tried:>8,}") for name, (sent, tried) in totals.items()],
    )
