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
        self._door = threading.Lock()

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
        self._thread = threading.Thread(
            target=self._main, args=(self._loop,), name="hookline", daemon=True
        )
        self._thread.start()

    def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(_end_all())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop, from any thread; RuntimeError when it is stopping.

        Its future is canceled when the loop ends before the coroutine does.
        """
        with self._door:
            return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def stop(self) -> None:
        """End the loop and the thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._door:  # whoever got in is run or canceled, nobody is left waiting
            loop, self._loop = self.loop, None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _end_all() -> None:
    """Cancel what is left on the loop, and let transports close."""
    await asyncio.sleep(0)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
