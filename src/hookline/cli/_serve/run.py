"""`hookline serve`, once its options are read."""

import asyncio
import json
import logging
import os
import socket
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import hookline
from hookline import Webhooks
from hookline._settings import masked
from hookline._web.engine import check_settings
from hookline._webhooks_file import read
from hookline.cli._serve.process import new_loop, serve
from hookline.cli._values import is_loopback
from hookline.cli._worker import counting, logs
from hookline.cli._worker.process import database_is_there, stop_on_signals
from hookline.cli._worker.run import INTERRUPTED, allow_open_files
from hookline.cli._worker.supervisor import Supervisor
from hookline.errors import HooklineError, InvalidSettings, InvalidWebhooksFile

log = logging.getLogger("hookline")

BACKLOG = 2048
CLIENTS = 1024
"""Connections beside the deliveries that open files are made room for."""


class Options(NamedTuple):
    """The command's options. `named`: the database was, on the command line."""

    where: tuple[str, int]
    file: str | None
    log_json: bool
    named: bool


class _CannotServe(Exception):
    """The port is taken, the address not this machine's, or nobody could be let in."""


def run(webhooks: Webhooks, options: Options) -> int:
    """Serve until SIGTERM or Ctrl-C; return the exit code."""
    logs.set_up(as_json=options.log_json)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        check_settings(webhooks.settings)
        read(Path(options.file or webhooks.settings.webhooks_file))  # wrong: known at once
        allow_open_files(webhooks.settings.max_in_flight + CLIENTS)
        # The parent of several serves nothing, and uvloop starts no process in a group of its own.
        alone = webhooks.settings.workers == 1
        several = not alone and webhooks.settings.metrics != "off"
        with (
            counting.together(wanted=several),
            asyncio.Runner(loop_factory=new_loop if alone else None) as runner,
        ):
            return runner.run(_run(webhooks, options))
    except (InvalidWebhooksFile, InvalidSettings, _CannotServe) as error:
        log.error("%s", error)  # noqa: TRY400 - it says everything
        return 1


async def _run(webhooks: Webhooks, options: Options) -> int:
    stop = asyncio.Event()
    supervisor: Supervisor | None = None

    def end_at_once() -> None:
        if supervisor is not None:
            supervisor.kill()
        os._exit(INTERRUPTED)

    stop_on_signals(stop, end_at_once)
    if not await database_is_there(webhooks, stop):
        return 0
    with _bound(*options.where) as place:
        await _welcome(webhooks, options, place)
        if webhooks.settings.workers == 1:
            return min(1, await serve(webhooks, options.file, place, stop))
        supervisor = _supervisor(webhooks, options, place)
        closing = asyncio.create_task(_close(place, stop))
        code = await supervisor.run(stop)
        await closing
        return code


async def _close(place: socket.socket, stop: asyncio.Event) -> None:
    """Let nobody in any more once the children stop: a connection would wait for all of them."""
    await stop.wait()
    place.close()


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address; nobody is let in yet."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    place = socket.socket(family, socket.SOCK_STREAM)
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind((host, port))
    except OSError as error:
        place.close()
        reason = error.strerror or error
        raise _CannotServe(f"cannot listen on {host}:{port}: {reason}") from error
    place.setblocking(False)
    return place


async def _welcome(webhooks: Webhooks, options: Options, place: socket.socket) -> None:
    """Say where the API is, and how to make the first key; refuse strangers before there is one."""
    looking = Webhooks(settings=replace(webhooks.settings, deliver=False, metrics="off"))
    try:
        keys = await looking.api_keys()
    except HooklineError as error:
        raise _CannotServe(str(error)) from error
    finally:
        await looking.stop()
    now = datetime.now(UTC)
    usable = any(key.usable(now) is None for key in keys)
    host, port = place.getsockname()[:2]
    make = f"hookline keys create NAME --scope admin{_database(webhooks, options)}"
    if not usable and not is_loopback(host):
        raise _CannotServe(
            f"--host {host}: there is no API key yet, so nobody is let in from other machines. "
            f"Make the first one: {make}"
        )
    name = f"[{host}]" if ":" in host else host
    url = webhooks.settings.public_url.rstrip("/") or f"http://{name}:{port}"
    log.info("Hookline %s on %s", hookline.__version__, masked(webhooks.settings.database))
    log.info("API: %s/api/v1, described at %s/api/docs", url, url)
    log.info("Documentation: %s/docs/", url)
    if not usable:
        log.info("There is no API key yet. Make the first one: %s", make)
    if not webhooks.settings.deliver:
        log.info("Nothing is delivered by this process: hookline worker does")


def _database(webhooks: Webhooks, options: Options) -> str:
    """Return the option that leads another command to the same database."""
    url = webhooks.settings.database
    if not options.named:
        return ""
    return f" --database {url}" if masked(url) == url else " --database …"


def _supervisor(webhooks: Webhooks, options: Options, place: socket.socket) -> Supervisor:
    place.listen(BACKLOG)
    given = {
        "deliver": webhooks.settings.deliver,
        "public_url": webhooks.settings.public_url,
        "workers": 1,
    }
    child = {
        "settings": given,
        "file": options.file,
        "log_json": options.log_json,
        "socket": place.fileno(),
    }
    command = [sys.executable, "-m", "hookline.cli._serve.child", json.dumps(child)]
    return Supervisor(webhooks, webhooks.settings.workers, command, [place.fileno()])
