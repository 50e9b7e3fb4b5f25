"""The command line.

Each command is a module of its own here; its function is registered below, in one line. What a
command needs it imports when it runs, so that `hookline --help` stays quick.
"""

import io
import sys
from typing import Annotated

import typer

import hookline
from hookline.cli import apps, attempts, endpoints, event_types, keys, messages, replay
from hookline.cli.audit import audit
from hookline.cli.bench import bench
from hookline.cli.check_receiver import check_receiver
from hookline.cli.check_url import check_url
from hookline.cli.doctor import doctor
from hookline.cli.export import export
from hookline.cli.import_ import import_
from hookline.cli.listen import listen
from hookline.cli.migrate import migrate
from hookline.cli.send import send
from hookline.cli.serve import serve
from hookline.cli.sink import sink
from hookline.cli.try_expression import try_expression
from hookline.cli.usage import usage
from hookline.cli.verify import verify
from hookline.cli.worker import worker

__all__ = ["app", "main"]

RUN, USE, TRY = "Run it", "Use what runs, by its database or its server", "Try and check"

app = typer.Typer(
    name="hookline",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hookline {hookline.__version__}")
        raise typer.Exit


@app.callback()
def _hookline(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Outbound webhooks: published in your transaction, signed, delivered for certain."""


app.command(rich_help_panel=RUN)(serve)
app.command(rich_help_panel=RUN)(worker)
app.command(rich_help_panel=RUN)(migrate)
app.command(rich_help_panel=RUN)(doctor)
app.add_typer(keys.app, name="keys", rich_help_panel=RUN)
app.command(rich_help_panel=USE)(send)
app.add_typer(endpoints.app, name="endpoints", rich_help_panel=USE)
app.add_typer(messages.app, name="messages", rich_help_panel=USE)
app.add_typer(attempts.app, name="attempts", rich_help_panel=USE)
app.add_typer(replay.app, name="replay", rich_help_panel=USE)
app.add_typer(event_types.app, name="event-types", rich_help_panel=USE)
app.add_typer(apps.app, name="apps", rich_help_panel=USE)
app.command(rich_help_panel=USE)(export)
app.command("import", rich_help_panel=USE)(import_)
app.command(rich_help_panel=USE)(audit)
app.command(rich_help_panel=USE)(usage)
app.command(rich_help_panel=TRY)(listen)
app.command(rich_help_panel=TRY)(sink)
app.command(rich_help_panel=TRY)(verify)
app.command("check-url", rich_help_panel=TRY)(check_url)
app.command("check-receiver", rich_help_panel=TRY)(check_receiver)
app.command("try-expression", rich_help_panel=TRY)(try_expression)
app.command(rich_help_panel=TRY)(bench)


def main() -> None:
    """Run the command line: the `hookline` console script."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its code, not a crash.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="hookline")
