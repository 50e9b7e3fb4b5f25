"""What the commands that open a database share."""

from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from hookline import Webhooks

HELP = (
    "The database, else HOOKLINE_DATABASE or hookline.toml says which. A password is better kept "
    "in the variable: others on the machine can read a command line."
)
Database = Annotated[str | None, typer.Option(metavar="URL", help=HELP, show_default=False)]


def opened(command: str, database: str | None, **settings: Any) -> "Webhooks":
    """Return the façade for a command; settings that cannot be used end it."""
    from hookline import Webhooks  # noqa: PLC0415 - loads the engine
    from hookline._domain.audit import CLI, acting  # noqa: PLC0415
    from hookline.errors import InvalidSettings  # noqa: PLC0415

    acting.set(CLI)
    try:
        return Webhooks(database=database, **settings)
    except InvalidSettings as error:
        fail(command, error, code=2)


def fail(command: str, reason: object, *, code: int = 1) -> NoReturn:
    """End the command with a reason, on standard error."""
    typer.echo(f"hookline {command}: {reason}", err=True)
    raise typer.Exit(code)
