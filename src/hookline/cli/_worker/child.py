"""A worker process that a supervisor started: `python -m hookline.cli._worker.child OPTIONS`.

It stops on SIGTERM, and when its standard input ends: then its parent is gone.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable

from hookline import Webhooks
from hookline.cli._worker import logs
from hookline.cli._worker.process import deliver, stop_on_signals


def main() -> int:
    """Deliver until told to stop; return the exit code."""
    options = json.loads(sys.argv[1])
    webhooks = Webhooks(deliver=True)
    return run(lambda stop: deliver(webhooks, options["file"], stop), log_json=options["log_json"])


def run(
    work: Callable[[asyncio.Event], Awaitable[int]],
    *,
    log_json: bool,
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> int:
    """Do the work of a child, on a loop, until it is told to stop; return the exit code."""
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    logs.set_up(as_json=log_json)
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(_main(work))


async def _main(work: Callable[[asyncio.Event], Awaitable[int]]) -> int:
    stop = asyncio.Event()
    stop_on_signals(stop, at_once=lambda: os._exit(130))
    loop, parent = asyncio.get_running_loop(), sys.stdin.fileno()

    def heard() -> None:
        if not os.read(parent, 1):
            loop.remove_reader(parent)
            stop.set()

    loop.add_reader(parent, heard)
    return await work(stop)


if __name__ == "__main__":
    sys.exit(main())
