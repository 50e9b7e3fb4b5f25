"""`hookline worker`: deliver webhooks, without an application."""

from typing import Annotated

import typer

from hookline.cli import _processes
from hookline.cli._database import Database, fail, hosted_by, opened
from hookline.cli._values import address


def worker(
    *,
    database: Database = None,
    processes: Annotated[
        int,
        typer.Option("--processes", "-p", help="Processes that share the work.", min=1, max=256),
    ] = 1,
    webhooks_file: _processes.WebhooksFile = None,
    health: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Serve GET /health, GET /ready and, with HOOKLINE_METRICS, GET /metrics here; "
            "on 127.0.0.1 unless a host is given.",
            show_default=False,
        ),
    ] = None,
    log_json: _processes.LogJson = False,
) -> None:
    """Deliver what applications publish into the database, until SIGTERM or Ctrl-C.

    Waits for a database that is not there yet, and outlives one that goes away.
    On SIGTERM it takes no more work, finishes what is in flight, and exits 0.

    hookline worker --processes 4 --health 8081
    """
    from hookline.cli._worker.run import Options, run  # noqa: PLC0415 - loads the engine

    # Whatever the application's settings say of itself: this process is here to deliver.
    webhooks = opened("worker", database, deliver=True)
    _processes.check("worker", "--processes", processes, webhooks)
    if processes > 1 and (command := hosted_by()) is not None:
        fail(
            "worker",
            f"--processes {processes}: inside a framework each process is started by itself; run "
            f"{command} worker {processes} times, as a service with {processes} instances does",
            code=2,
        )
    file = _processes.named(webhooks_file)
    where = None if health is None else address(health, "--health")
    raise typer.Exit(run(webhooks, Options(processes, file, where, log_json)))
