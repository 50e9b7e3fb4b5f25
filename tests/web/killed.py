"""A server that is killed between what a request committed and its answer, for test_kill.py.

python killed.py DATABASE: prints its port and an administrator's key.
"""

import asyncio
import os
import signal
import socket
import sys

import uvicorn

from hookline import Webhooks
from hookline._web.api import messages, repeats
from hookline._web.api.app import build


def die(*_):
    """End without a word, as a machine does whose power is cut."""
    os.kill(os.getpid(), signal.SIGKILL)


async def die_soon(*_):
    """The same, where it is awaited."""
    die()


async def main(database):
    """Serve until it is over."""
    repeats._remember = die_soon
    messages._created = die
    webhooks = Webhooks(database=database, deliver=False)
    place = socket.socket()
    place.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(build(webhooks), log_level="error"))
    key = await webhooks.create_api_key("test", ["admin"])
    print(place.getsockname()[1], key.token, flush=True)  # noqa: T201
    await server.serve([place])


asyncio.run(main(sys.argv[1]))
