"""Blocking work beside the event loop, on a thread that is no reason for the process to stay."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def aside(work: Callable[..., T], *arguments: Any) -> T:
    """Return what the work gives, or raise what it raises.

    `asyncio.to_thread` would let a Ctrl-C wait until a silent peer has timed out.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def tell(result: Any, error: Exception | None) -> None:
        if ended.cancelled():
            return
        if error is None:
            ended.set_result(result)
        else:
            ended.set_exception(error)

    def run() -> None:
        try:
            outcome: tuple[Any, Exception | None] = work(*arguments), None
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised there
            outcome = None, error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, *outcome)

    threading.Thread(target=run, name="hookline-aside", daemon=True).start()
    return await ended
