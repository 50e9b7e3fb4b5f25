"""One process that delivers: start when the database is there, stop gracefully."""

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress

from hookline import Webhooks
from hookline._engine.doctor import migrates
from hookline._settings import masked
from hookline.errors import InvalidWebhooksFile, StorageError

log = logging.getLogger("hookline")

MISCONFIGURED = 78
"""Exit code (EX_CONFIG of sysexits.h): starting it again would not help."""
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between looks for a database that is not there yet; the last one repeats."""
REMIND = 60.0
"""Seconds until the same reason for waiting is logged again."""


def stop_on_signals(stop: asyncio.Event, at_once: Callable[[], None]) -> None:
    """Set `stop` on SIGTERM and SIGINT; a second Ctrl-C calls `at_once`.

    A second SIGTERM changes nothing: systemd sends one to every process of a unit, and so does a
    parent.
    """
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if stop.is_set():
            at_once()
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupted)


async def passes(stop: asyncio.Event, seconds: float) -> bool:
    """Wait; return False when `stop` was set meanwhile."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return not stop.is_set()


async def deliver(webhooks: Webhooks, file: str | None, stop: asyncio.Event) -> int:
    """Deliver until `stop` is set; return the exit code."""
    try:
        started = await start(webhooks, file, stop)
    except InvalidWebhooksFile as error:
        log.error("%s", error)  # noqa: TRY400 - it says everything
        return MISCONFIGURED
    if started:
        log.info("Delivering from %s", masked(webhooks.settings.database))
        await _mention_standing_by(webhooks)
        await stop.wait()
    log.info("Stopping: no more work is taken")
    await webhooks.stop()
    log.info("Stopped")
    return 0


async def start(webhooks: Webhooks, file: str | None, stop: asyncio.Event) -> bool:
    """Start the engine as soon as the database lets it; return whether it was started."""
    waiting = _Waiting()
    for pause in _pauses():
        try:
            if await _is_there(webhooks, waiting):
                await asyncio.to_thread(webhooks.init, file)
                return not stop.is_set()
        except (StorageError, OSError) as error:
            waiting.log(str(error))
        if not await passes(stop, pause):
            break
    return False


async def database_is_there(webhooks: Webhooks, stop: asyncio.Event) -> bool:
    """Wait until workers could start; return False when `stop` came first."""
    waiting = _Waiting()
    for pause in _pauses():
        try:
            if await _is_there(webhooks, waiting):
                return True
        except (StorageError, OSError) as error:
            waiting.log(str(error))
        if not await passes(stop, pause):
            break
    return False


async def _is_there(webhooks: Webhooks, waiting: "_Waiting") -> bool:
    """Return whether the database answers and has the schema, or will get it at the start."""
    schema = await webhooks.schema()
    if schema.current or (migrates(webhooks.settings) and not schema.ahead):
        return True
    waiting.log(schema.trouble)
    return False


async def _mention_standing_by(webhooks: Webhooks) -> None:
    with suppress(StorageError, OSError):
        share = (await webhooks.readiness()).share
        if share.startswith("another process"):
            log.info("Standing by: %s", share)


def _pauses() -> Iterator[float]:
    yield from PAUSES
    while True:
        yield PAUSES[-1]


class _Waiting:
    """Says why it waits: once, and again now and then."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reason = ""
        self._said_at = 0.0

    def log(self, reason: str) -> None:
        now = self._loop.time()
        if reason != self._reason or now - self._said_at > REMIND:
            log.warning("Waiting for the database: %s", reason)
            self._reason, self._said_at = reason, now
