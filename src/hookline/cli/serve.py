"""`hookline serve`: the REST API, its documentation, and workers."""

from typing import Annotated

import typer

from hookline.cli import _processes
from hookline.cli._database import Database, fail, opened
from hookline.cli._values import address


def serve(
    *,
    database: Database = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Where to listen, else HOOKLINE_LISTEN or 127.0.0.1. Others than this machine "
            "are only let in when there is an API key.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port to listen on, else HOOKLINE_LISTEN or 8080; 0 takes any.",
            min=0,
            max=65535,
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            "-w",
            help="Processes, each with API and deliveries, else HOOKLINE_WORKERS or 1.",
            min=1,
            max=256,
            show_default=False,
        ),
    ] = None,
    no_deliver: Annotated[
        bool,
        typer.Option(
            "--no-deliver", "--api-only", help="Serve the API alone: hookline worker delivers."
        ),
    ] = False,
    public_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where people reach it, such as https://hooks.example.com, else "
            "HOOKLINE_PUBLIC_URL.",
            show_default=False,
        ),
    ] = None,
    webhooks_file: _processes.WebhooksFile = None,
    log_json: _processes.LogJson = False,
) -> None:
    """Serve the REST API at /api/v1 and the documentation at /docs/, and deliver webhooks.

    Waits for a database that is not there yet, and outlives one that goes away. On SIGTERM it
    finishes the requests it has, then the deliveries in flight, and exits 0.

    hookline serve --port 8080
    """
    try:
        import hookline.server  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        fail("serve", error, code=2)
    from hookline.cli._serve.run import Options, run  # noqa: PLC0415 - loads the engine

    settings = {
        "deliver": False if no_deliver else None,
        "workers": workers,
        "public_url": public_url,
    }
    webhooks = opened("serve", database, **settings)
    own_host, own_port = address(webhooks.settings.listen, "HOOKLINE_LISTEN")
    where = (own_host if host is None else host, own_port if port is None else port)
    processes = webhooks.settings.workers
    _processes.check("serve", "--workers", processes, webhooks)
    file = _processes.named(webhooks_file)
    raise typer.Exit(run(webhooks, Options(where, file, log_json, database is not None)))
