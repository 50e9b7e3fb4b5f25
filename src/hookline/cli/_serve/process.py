"""One process that serves the API, and delivers unless told otherwise."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket

import uvicorn

from hookline import Webhooks
from hookline._web.api.app import build
from hookline._web.http import Protocol
from hookline.cli._worker.process import MISCONFIGURED, start
from hookline.errors import InvalidWebhooksFile

log = logging.getLogger("hookline")

IDLE = 75
"""Seconds a connection may be idle: longer than the minute that proxies keep theirs for."""


def new_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's loop where it is installed, asyncio's otherwise."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class _Server(uvicorn.Server):
    """Uvicorn, with its signals left to us."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(webhooks: Webhooks, file: str | None, place: socket, stop: asyncio.Event) -> int:
    """Serve on a bound socket until `stop` is set; return the exit code."""
    try:
        if not await start(webhooks, file, stop):
            await webhooks.stop()
            return 0
    except InvalidWebhooksFile as error:
        log.error("%s", error)  # noqa: TRY400 - it says everything
        return MISCONFIGURED
    app = build(webhooks)
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=max(1, round(webhooks.settings.stop_timeout)),
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[place]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    code = 1 if serving.done() else 0  # its log says why it did not start
    if not serving.done():
        log.info("Stopping: requests first, then deliveries")
    app.state.lookout.stopping = True
    server.should_exit = True
    await serving
    await webhooks.stop()
    log.info("Stopped")
    return code
