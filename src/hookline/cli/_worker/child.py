"""A worker process that a supervisor started: `python -m hookline.cli._worker.child OPTIONS`.

It stops on SIGTERM, and when its standard input ends: then its parent is gone.
"""

import asyncio
import json
import os
import sys

from hookline import Webhooks
from hookline.cli._worker import logs
from hookline.cli._worker.process import deliver, stop_on_signals


def main() -> int:
    """Deliver until told to stop; return the exit code."""
    options = json.loads(sys.argv[1])
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    logs.set_up(as_json=options["log_json"])
    return asyncio.run(_main(Webhooks(deliver=True), options["file"]))


async def _main(webhooks: Webhooks, file: str | None) -> int:
    stop = asyncio.Event()
    stop_on_signals(stop, at_once=lambda: os._exit(130))
    loop, parent = asyncio.get_running_loop(), sys.stdin.fileno()

    def heard() -> None:
        if not os.read(parent, 1):
            loop.remove_reader(parent)
            stop.set()

    loop.add_reader(parent, heard)
    return await deliver(webhooks, file, stop)


if __name__ == "__main__":
    sys.exit(main())
