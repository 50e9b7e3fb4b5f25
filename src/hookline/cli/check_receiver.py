"""`hookline check-receiver`: send test events to a receiver, and say what it makes of them."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli._database import Database, fail, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hookline import ReceiverCheck, Webhooks

UNUSABLE = 3
_SIGNS = {
    "passed": ("✓", "green"),
    "warning": ("!", "yellow"),
    "failed": ("✗", "red"),
    "not_checked": ("–", "dim"),
}


def check_receiver(
    endpoint: Annotated[
        str, typer.Argument(metavar="URL|ID", help="A registered endpoint, or any URL.")
    ],
    *,
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="HOOKLINE_CHECK_SECRET",
            help="The secret of a receiver that is registered nowhere; no database is opened then. "
            "Better kept in HOOKLINE_CHECK_SECRET: others can read a command line.",
            show_default=False,
            show_envvar=False,
        ),
    ] = None,
    database: Database = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Send test events to a receiver, rightly and wrongly signed, and judge its answers.

    Up to six requests, one after another, of the type webhook.test. Nothing is stored or counted.
    Exits 0 when all is well, 1 with warnings, 2 when a check failed, 3 when it could not be made.

    hookline check-receiver https://example.com/webhook --secret your-secret-key
    """
    import asyncio  # noqa: PLC0415

    from hookline.errors import HooklineError  # noqa: PLC0415

    webhooks = opened("check-receiver", database, deliver=False)
    try:
        checks = asyncio.run(_checks(webhooks, endpoint, secret))
    except HooklineError as error:
        fail("check-receiver", error, code=UNUSABLE)
    if as_json:
        document = {"checks": [asdict(check) for check in checks]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _print(checks)
    verdicts = {check.verdict.value for check in checks}
    raise typer.Exit(2 if "failed" in verdicts else 1 if "warning" in verdicts else 0)


async def _checks(webhooks: "Webhooks", endpoint: str, secret: str | None) -> "list[ReceiverCheck]":
    from hookline.errors import EndpointNotFound  # noqa: PLC0415

    if secret is None and not (await webhooks.schema()).current:
        raise EndpointNotFound(
            "no endpoints in this database; name it with --database or HOOKLINE_DATABASE, or give "
            "the --secret of a receiver that is registered nowhere"
        )
    try:
        return await webhooks.check_receiver(endpoint, secret=secret)
    finally:
        await webhooks.stop()


def _print(checks: "Sequence[ReceiverCheck]") -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        sign, color = _SIGNS[check.verdict.value]
        advice = f"\n→ {check.advice}" if check.advice else ""
        said = Text.assemble(_printable(check.summary), (_printable(advice), "cyan"))
        table.add_row(Text(sign, color), Text(check.check, "bold" if advice else "dim"), said)
    console.print(table)


def _printable(text: str) -> str:
    """Return a text without what could play tricks on a terminal: some of it is the receiver's."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
