"""A serving process that a supervisor started: `python -m hookline.cli._serve.child OPTIONS`.

Its socket is the parent's. It stops on SIGTERM, and when its standard input ends.
"""

import asyncio
import json
import socket
import sys

from hookline import Webhooks
from hookline.cli._serve.process import new_loop, serve
from hookline.cli._worker.child import run


def main() -> int:
    """Serve until told to stop; return the exit code."""
    options = json.loads(sys.argv[1])
    place = socket.socket(fileno=options["socket"])
    webhooks = Webhooks(**options["settings"])

    async def work(stop: asyncio.Event) -> int:
        return await serve(webhooks, options["file"], place, stop)

    return run(work, log_json=options["log_json"], loop=new_loop)


if __name__ == "__main__":
    sys.exit(main())
