"""Server-sent events, read as they come."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from http.client import HTTPException, HTTPResponse

from hookline.cli._reach.http import Refused

LINE = 1 << 27
"""Bytes of a line: more than the largest payload as JSON text."""
Event = tuple[str, str, str]


async def events(answer: HTTPResponse) -> AsyncIterator[Event]:
    """Yield kind, id and data of each event; raise Refused when the stream breaks off.

    A thread reads: it outlives the generator until the next event, at most, and is no reason for
    the process to stay.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
    left = threading.Event()

    def put(item: Event | Exception | None) -> None:
        if not left.is_set():
            try:
                loop.call_soon_threadsafe(arrived.put_nowait, item)
            except RuntimeError:  # the loop is closed
                left.set()

    def read() -> None:
        with answer:
            try:
                for event in _events(answer):
                    put(event)
                    if left.is_set():
                        return
            except (OSError, HTTPException, ValueError) as error:
                put(Refused(f"the stream broke off: {error or type(error).__name__}"))
            put(None)

    threading.Thread(target=read, name="hookline-listen", daemon=True).start()
    try:
        while (item := await arrived.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        left.set()


def _events(answer: HTTPResponse) -> Iterator[Event]:
    """Read events (HTML Living Standard, §9.2.6), of which each is a block of lines."""
    kind, name = "message", ""
    data: list[str] = []
    while line := answer.readline(LINE):
        text = line.decode().rstrip("\r\n")
        if not text:
            if data:
                yield kind, name, "\n".join(data)
            kind, data = "message", []
            continue
        field, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            kind = value
        elif field == "id":
            name = value
        elif field == "data":
            data.append(value)
