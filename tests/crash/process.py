"""A process of its own, for tests that kill, freeze and stop it: `process.py '{"database": …}'`.

Its argument is JSON: the settings, and beside them `register` (a list of arguments for `register`)
and `fault` (a signal it sends itself when it comes to a function, once; see `support.Fault`).
It says what it does on standard output, one line each; `trigger 100` on its standard input
publishes a hundred events. SIGTERM stops it gracefully.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from importlib import import_module

from hookline import Webhooks


def say(*words):
    """Write one line."""
    # One write for one line: several threads speak, and a kill cuts between lines only.
    os.write(sys.stdout.fileno(), (" ".join(map(str, words)) + "\n").encode())


class Log(logging.Handler):
    """Says what Hookline logs, with the message it is about."""

    def emit(self, record):
        """Write one line."""
        say(getattr(record, "message_id", "-"), record.getMessage())


def arm(at, name):
    """Send this process a signal the first time it comes to `module:function`."""
    path, _, attributes = at.partition(":")
    *owners, last = attributes.split(".")
    owner = import_module(path)
    for each in owners:
        owner = getattr(owner, each)
    original = getattr(owner, last)

    def fall(*arguments, **options):
        setattr(owner, last, original)
        say("fault", name)
        os.kill(os.getpid(), getattr(signal, name))
        time.sleep(0.5)  # a signal to all threads takes a moment: nothing goes beyond this point
        return original(*arguments, **options)

    setattr(owner, last, fall)


async def publish(webhooks, count):
    """Trigger events at once and say the id of each once it is committed."""

    async def one(n):
        receipt = await webhooks.trigger("a.b", {"n": n})
        say(receipt.message_id, "published")

    await asyncio.gather(*map(one, range(count)))


async def main(register=(), fault=None, **settings):
    """Run until told to stop."""
    if fault is not None:
        arm(**fault)
    webhooks = Webhooks(**settings)
    for url, options in register:
        webhooks.register(url, ["*"], **options)
    await webhooks.start()
    loop, stopped, reader = asyncio.get_running_loop(), asyncio.Event(), asyncio.StreamReader()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def obey():
        async for line in reader:
            await publish(webhooks, int(line.split()[1]))

    obeying = asyncio.create_task(obey())
    say("ready")
    await stopped.wait()
    obeying.cancel()
    await webhooks.stop()
    say("stopped")


if __name__ == "__main__":
    log = logging.getLogger("hookline")
    log.addHandler(Log())
    log.setLevel(logging.INFO)
    asyncio.run(main(**json.loads(sys.argv[1])))
