"""What `hookline serve` and `hookline worker` are told in the same words."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli._database import fail

if TYPE_CHECKING:
    from hookline import Webhooks

WebhooksFile = Annotated[
    Path | None,
    typer.Option(
        help="File with endpoints, else HOOKLINE_WEBHOOKS_FILE or webhooks.json where there "
        "is one.",
        exists=True,
        dir_okay=False,
        readable=True,
        show_default=False,
    ),
]
LogJson = Annotated[bool, typer.Option("--log-json", help="Log one JSON object per line.")]


def check(command: str, option: str, processes: int, webhooks: "Webhooks") -> None:
    """End the command when several processes would deliver from an SQLite file."""
    if processes > 1 and webhooks.settings.database.startswith("sqlite"):
        fail(
            command,
            f"{option} {processes}: one process delivers from an SQLite file, more would only "
            "wait for each other. Leave the option out, or use PostgreSQL",
            code=2,
        )


def named(file: Path | None) -> str | None:
    """Return the name of the file of endpoints, as other processes are told it."""
    return None if file is None else str(file)
