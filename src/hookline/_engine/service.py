"""Where the engine lives: a thread with an event loop of its own.

Not the application's loop: a handler that blocks it must not let leases run out, and `register`,
`trigger` and `init` are called from any loop, from several, and from none.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Home:
    """A daemon thread running one event loop. Start and stop may be called twice."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        """`new_loop` makes the loop: asyncio's, or uvloop's."""
        self._new_loop = new_loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        if self._loop is None:
            raise RuntimeError("the engine's thread is not running")
        return self._loop

    def start(self) -> None:
        """Start the thread."""
        if self._thread is not None:
            return
        self._loop = self._new_loop()
        self._thread = threading.Thread(target=self._main, name="hookline", daemon=True)
        self._thread.start()

    def _main(self) -> None:
        loop = self.loop
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop, from any thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def stop(self) -> None:
        """End the loop and the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self.loop.call_soon_threadsafe(self.loop.stop)
            thread.join()
            self._loop = None
