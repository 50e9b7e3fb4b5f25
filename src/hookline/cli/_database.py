"""What the commands that open a database share."""

from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from hookline import Webhooks
    from hookline._app.hosted import Host

HELP = (
    "The database, else HOOKLINE_DATABASE or hookline.toml says which. A password is better kept "
    "in the variable: others on the machine can read a command line."
)
Database = Annotated[str | None, typer.Option(metavar="URL", help=HELP, show_default=False)]


def opened(command: str, database: str | None, **settings: Any) -> "Webhooks":
    """Return the façade for a command; settings that cannot be used end it."""
    from hookline import Webhooks  # noqa: PLC0415 - loads the engine
    from hookline._app.hosted import host  # noqa: PLC0415
    from hookline._domain.audit import CLI, acting  # noqa: PLC0415
    from hookline.errors import InvalidSettings  # noqa: PLC0415

    acting.set(CLI)
    hosted = host.get()
    if hosted is not None and database is None:
        return _of_host(command, hosted, settings)
    try:
        return Webhooks(database=database, **settings)
    except InvalidSettings as error:
        fail(command, error, code=2)


def fail(command: str, reason: object, *, code: int = 1) -> NoReturn:
    """End the command with a reason, on standard error."""
    typer.echo(f"hookline {command}: {reason}", err=True)
    raise typer.Exit(code)


def _of_host(command: str, hosted: "Host", settings: dict[str, Any]) -> "Webhooks":
    """Return the framework's façade, with what the command's options say."""
    given = {name: value for name, value in settings.items() if value is not None}
    if command == "serve":
        given.setdefault("deliver", True)  # whatever the framework's own processes do
    if given.get("workers", 1) > 1:
        fail(command, f"--workers: inside {hosted.command} there is one process", code=2)
    webhooks = hosted.webhooks()
    webhooks._configure(**given)  # noqa: SLF001 - one house
    return webhooks


def hosted_by() -> str | None:
    """Return the framework's command that this one runs inside, if it does."""
    from hookline._app.hosted import host  # noqa: PLC0415 - loads the engine

    hosted = host.get()
    return None if hosted is None else hosted.command
