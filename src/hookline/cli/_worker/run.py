"""`hookline worker`, once its options are read."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hookline import Webhooks
from hookline._domain.backlog import Backlog
from hookline._domain.readiness import Readiness, unreachable
from hookline._engine import open_files
from hookline._webhooks_file import read
from hookline.cli._worker import counting, logs
from hookline.cli._worker.health import Health, Measure
from hookline.cli._worker.process import database_is_there, deliver, stop_on_signals
from hookline.cli._worker.supervisor import Supervisor
from hookline.errors import InvalidSettings, InvalidWebhooksFile

log = logging.getLogger("hookline")

ANSWER = 15.0
"""Seconds until a look at the readiness that does not come back counts as a no."""
INTERRUPTED = 130
"""Exit code after a second Ctrl-C: 128 + SIGINT, as shells have it."""


class Options(NamedTuple):
    """The command's options."""

    processes: int
    file: str | None
    health: tuple[str, int] | None
    log_json: bool


def run(webhooks: Webhooks, options: Options) -> int:
    """Deliver until SIGTERM or Ctrl-C; return the exit code."""
    logs.set_up(as_json=options.log_json)
    try:
        read(Path(options.file or webhooks.settings.webhooks_file))  # wrong: known at once
        allow_open_files(webhooks.settings.max_in_flight)
        several = options.processes > 1 and webhooks.settings.metrics != "off"
        with counting.together(wanted=several):
            return asyncio.run(_run(webhooks, options))
    except (InvalidWebhooksFile, InvalidSettings, _CannotListen) as error:
        log.error("%s", error)  # noqa: TRY400 - it says everything
        return 1


async def _run(webhooks: Webhooks, options: Options) -> int:
    stop = asyncio.Event()
    supervisor = None
    if options.processes > 1:
        child = json.dumps({"file": options.file, "log_json": options.log_json})
        command = [sys.executable, "-m", "hookline.cli._worker.child", child]
        supervisor = Supervisor(webhooks, options.processes, command)

    def end_at_once() -> None:
        if supervisor is not None:
            supervisor.kill()
        os._exit(INTERRUPTED)

    stop_on_signals(stop, end_at_once)
    ask = webhooks.readiness if supervisor is None else supervisor.readiness
    measured = webhooks.settings.metrics != "off"
    if supervisor is not None and measured:
        _ask_here(webhooks)
    with _health(options.health, ask, stop, webhooks.metrics if measured else None):
        if supervisor is None:
            return min(1, await deliver(webhooks, options.file, stop))
        if not await database_is_there(webhooks, stop):
            return 0
        return await supervisor.run(stop)


def _ask_here(webhooks: Webhooks) -> None:
    """Let this process, which delivers nothing, ask for the backlog: on its own loop."""
    loop = asyncio.get_running_loop()

    def ask() -> Backlog:
        future = asyncio.run_coroutine_threadsafe(webhooks.backlog(), loop)
        try:
            return future.result(ANSWER)
        except TimeoutError:
            future.cancel()
            raise

    webhooks._telemetry.otherwise = ask  # noqa: SLF001 - one house


def allow_open_files(max_in_flight: int) -> None:
    """Raise the limit of open files where that is needed; say when it cannot be."""
    before = open_files.raise_limit(max_in_flight)
    allowed = open_files.limits()
    if before is not None and allowed is not None:
        log.info("Raised the limit of open files from %d to %d", before.soft, allowed.soft)
    needed = open_files.needed(max_in_flight)
    if allowed is not None and allowed.soft < needed:
        log.warning(
            "At most %d open files are allowed, max_in_flight=%d needs %d: raise LimitNOFILE= of "
            "the unit or --ulimit nofile= of the container, or lower HOOKLINE_MAX_IN_FLIGHT",
            allowed.soft,
            max_in_flight,
            needed,
        )


class _CannotListen(Exception):
    """The port is taken, or the address not this machine's."""


@contextmanager
def _health(
    where: tuple[str, int] | None,
    ask: Callable[[], Awaitable[Readiness]],
    stop: asyncio.Event,
    measure: Measure | None,
) -> Iterator[None]:
    """Serve `/health`, `/ready` and perhaps `/metrics` meanwhile, when they are wanted."""
    if where is None:
        yield
        return
    loop = asyncio.get_running_loop()

    async def look() -> Readiness:
        return Readiness(share="stopping") if stop.is_set() else await ask()

    def look_from_elsewhere() -> Readiness:
        future = asyncio.run_coroutine_threadsafe(look(), loop)
        try:
            return future.result(ANSWER)
        except TimeoutError:
            future.cancel()
            return unreachable(f"no answer within {ANSWER:g} s")

    try:
        server = Health(*where, look_from_elsewhere, measure)
    except OSError as error:
        host, port = where
        reason = error.strerror or error
        raise _CannotListen(f"--health: cannot listen on {host}:{port}: {reason}") from error
    log.info("Health: %s/health and %s/ready", server.url, server.url)
    try:
        yield
    finally:
        server.close()
