"""`manage.py hookline …`: the command line of Hookline, on Django's database and settings."""

import sys
from importlib import import_module
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hookline._app.hosted import Host, host
from hookline.django._publish import configured


class Command(BaseCommand):
    """Run Hookline's command line."""

    help = "Hookline: worker, doctor, endpoints, messages, replay, … (manage.py hookline --help)"

    def run_from_argv(self, argv: list[str]) -> None:
        """Hand everything over: the options are Hookline's own."""
        sys.exit(_run(argv[2:]))

    def handle(self, *args: str, **_: Any) -> None:
        """Run for `call_command("hookline", "doctor")`."""
        if code := _run(args):
            raise CommandError(f"hookline {' '.join(args)} exited {code}", returncode=code)

    def add_arguments(self, parser: Any) -> None:
        """Take anything."""
        parser.add_argument("args", nargs="*")


def _run(arguments: Any) -> int:
    # By name: the command line stands above every door.
    cli = import_module("hookline.cli")
    token = host.set(Host("manage.py hookline", lambda: configured().webhooks))
    try:
        cli.app(list(arguments), prog_name="manage.py hookline")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        host.reset(token)
    return 0
