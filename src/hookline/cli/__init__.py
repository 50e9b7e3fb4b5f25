"""The command line.

Each command is a module of its own here; its function is registered below, in one line. What a
command needs it imports when it runs, so that `hookline --help` stays quick.
"""

import io
import sys
from typing import Annotated

import typer

import hookline
from hookline.cli import keys
from hookline.cli.check_receiver import check_receiver
from hookline.cli.check_url import check_url
from hookline.cli.doctor import doctor
from hookline.cli.migrate import migrate
from hookline.cli.serve import serve
from hookline.cli.sink import sink
from hookline.cli.verify import verify
from hookline.cli.worker import worker

__all__ = ["app", "main"]

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


app.command()(sink)
app.command()(serve)
app.command()(worker)
app.command()(migrate)
app.command()(doctor)
app.command("check-url")(check_url)
app.command("check-receiver")(check_receiver)
app.command()(verify)
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Run the command line: the `hookline` console script."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its code, not a crash.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="hookline")
