"""Several worker processes, and the parent that keeps them running.

New interpreters, not forks: a process with threads must not be forked, and SQLAlchemy, asyncpg and
libcurl have theirs.
"""

import asyncio
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress

from hookline import Webhooks
from hookline._domain.readiness import Readiness
from hookline.cli._worker import counting
from hookline.cli._worker.process import MISCONFIGURED, passes

log = logging.getLogger("hookline")

BACKOFF = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds until one that died is started again: the more often in a row, the longer."""
WELL = 60.0
"""Seconds one must have lived to be started again as if for the first time."""
GRACE = 75.0
"""Seconds beyond `stop_timeout` until one that does not stop is killed: a database that hangs may
keep it for two of its 30 second timeouts."""


class Supervisor:
    """Keeps `processes` workers running until told to stop."""

    def __init__(
        self, webhooks: Webhooks, processes: int, command: Sequence[str], kept: Sequence[int] = ()
    ) -> None:
        """`command` runs one of them, with the open files `kept`. Nothing starts before `run`."""
        self._webhooks = webhooks
        self._processes = processes
        self._command = command
        self._kept = kept
        # Not on the command line, where every account of the machine could read the password.
        self._environment = {**os.environ, "HOOKLINE_DATABASE": webhooks.settings.database}
        self._running: dict[int, Process] = {}
        self._code = 0

    async def run(self, stop: asyncio.Event) -> int:
        """Keep the workers running until `stop` is set; return the exit code."""
        keeping = [
            asyncio.create_task(self._keep(number, stop))
            for number in range(1, self._processes + 1)
        ]
        told = asyncio.create_task(stop.wait())
        # One that cannot be kept running, for a reason of ours, ends them all.
        await asyncio.wait([told, *keeping], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        log.info("Stopping %d workers", len(self._running))
        self._signal(signal.SIGTERM)
        timeout = self._webhooks.settings.stop_timeout + GRACE
        _, late = await asyncio.wait(keeping, timeout=timeout)
        if late:
            log.error("%d workers did not stop within %g s: killed", len(late), timeout)
            self.kill()
            await asyncio.wait(late)
        for task in keeping:
            task.result()
        log.info("All workers stopped")
        return self._code

    async def _keep(self, number: int, stop: asyncio.Event) -> None:
        """Keep one worker running."""
        loop, deaths = asyncio.get_running_loop(), 0
        while not stop.is_set():
            began = loop.time()
            process = await self._start(number)
            if stop.is_set():
                process.terminate()
            code = await process.wait()
            del self._running[number]
            counting.forget(process.pid)
            if stop.is_set():
                self._note_end(process, code)
                return
            if code == MISCONFIGURED:
                log.error("Worker %d cannot run like this: stopping", number)
                self._code = 1
                stop.set()
                return
            deaths = 0 if loop.time() - began > WELL else deaths
            pause = BACKOFF[min(deaths, len(BACKOFF) - 1)]
            deaths += 1
            name = f"Worker {number} of {self._processes} (pid {process.pid})"
            log.error("%s %s; another one is started in %g s", name, _how(code), pause)
            await passes(stop, pause)

    async def _start(self, number: int) -> Process:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,  # held open: its end tells the child that we are gone
            env=self._environment,
            pass_fds=self._kept,
            process_group=0,  # a Ctrl-C on the terminal is ours to pass on
        )
        self._running[number] = process
        log.info("Worker %d of %d started: pid %d", number, self._processes, process.pid)
        return process

    def _note_end(self, process: Process, code: int) -> None:
        if code not in (0, -signal.SIGTERM):  # the latter: before it could listen to it
            log.error("Worker with pid %d %s while it stopped", process.pid, _how(code))
            self._code = 1

    def _signal(self, number: signal.Signals) -> None:
        for process in list(self._running.values()):
            with suppress(ProcessLookupError):
                process.send_signal(number)

    def kill(self) -> None:
        """End the workers at once: what was in flight is sent again when its leases end."""
        self._signal(signal.SIGKILL)

    async def readiness(self) -> Readiness:
        """Return what is ready, over all workers."""
        pids = [process.pid for process in list(self._running.values())]
        found = await self._webhooks.readiness(pids)
        if len(pids) == self._processes:
            return found
        return found._replace(share=f"{len(pids)} of {self._processes} workers are running")


def _how(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was ended by {name}"
