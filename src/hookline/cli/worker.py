"""`hookline worker`: deliver webhooks, without an application."""

from pathlib import Path
from typing import Annotated

import typer

from hookline.cli._database import Database, fail, hosted_by, opened
from hookline.cli._values import address


def worker(
    *,
    database: Database = None,
    processes: Annotated[
        int,
        typer.Option("--processes", "-p", help="Processes that share the work.", min=1, max=256),
    ] = 1,
    webhooks_file: Annotated[
        Path | None,
        typer.Option(
            help="File with endpoints, else HOOKLINE_WEBHOOKS_FILE or webhooks.json where there "
            "is one.",
            exists=True,
            dir_okay=False,
            readable=True,
            show_default=False,
        ),
    ] = None,
    health: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Serve GET /health, GET /ready and, with HOOKLINE_METRICS, GET /metrics here; "
            "on 127.0.0.1 unless a host is given.",
            show_default=False,
        ),
    ] = None,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log one JSON object per line.")
    ] = False,
) -> None:
    """Deliver what applications publish into the database, until SIGTERM or Ctrl-C.

    Waits for a database that is not there yet, and outlives one that goes away.
    On SIGTERM it takes no more work, finishes what is in flight, and exits 0.

    hookline worker --processes 4 --health 8081
    """
    from hookline.cli._worker.run import Options, run  # noqa: PLC0415 - loads the engine

    # Whatever the application's settings say of itself: this process is here to deliver.
    webhooks = opened("worker", database, deliver=True)
    if processes > 1 and webhooks.settings.database.startswith("sqlite"):
        fail(
            "worker",
            f"--processes {processes}: one process delivers from an SQLite file, more would only "
            "wait for each other. Leave the option out, or use PostgreSQL",
            code=2,
        )
    if processes > 1 and (command := hosted_by()) is not None:
        fail(
            "worker",
            f"--processes {processes}: inside a framework each process is started by itself; run "
            f"{command} worker {processes} times, as a service with {processes} instances does",
            code=2,
        )
    file = None if webhooks_file is None else str(webhooks_file)
    where = None if health is None else address(health, "--health")
    raise typer.Exit(run(webhooks, Options(processes, file, where, log_json)))
