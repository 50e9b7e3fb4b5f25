"""Single requests beside the deliveries: handshakes, and looks at a receiver.

They have a sender of their own, guarded like the other, so that nothing of them is ever counted
among deliveries. Its thread begins with the first request.
"""

import asyncio
from dataclasses import replace

from hookline._domain.delivery import Outcome
from hookline._ports import Request, Results, Sender


class Errands:
    """Sends a request and waits for what comes back. Lives on the loop that first used it."""

    def __init__(self, sender: Sender) -> None:
        """Nothing is started before the first request."""
        self._sender = sender
        self._home: asyncio.AbstractEventLoop | None = None

    async def send(self, request: Request) -> Outcome:
        """Return what came of the request; its own timeout bounds it."""
        if self._home is None:
            self._home = asyncio.get_running_loop()
            self._sender.start(self._on_results)
        landed: asyncio.Future[Outcome] = self._home.create_future()
        self._sender.send([replace(request, tag=landed)])
        return await landed

    def stop(self) -> None:
        """Drop what is under way: whoever waits for it is to be canceled. Safe to call twice."""
        if self._home is not None:
            self._home = None
            self._sender.stop()

    def _on_results(self, results: Results) -> None:
        home = self._home
        if home is not None and not home.is_closed():
            home.call_soon_threadsafe(_land, results)


def _land(results: Results) -> None:
    for landed, outcome in results:
        if not landed.done():  # nobody waits any more
            landed.set_result(outcome)
