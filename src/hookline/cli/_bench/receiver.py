"""The receiver of a benchmark, in a process of its own: it must not share the sender's core.

`python -m hookline.cli._bench.receiver`: prints its port, then, ten times a second while something
arrives, a line of JSON with what arrived since: how long each took from its publication, in
microseconds. Ends when its standard input does.
"""

import asyncio
import json
import re
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
PERIOD = 0.1
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_ID = re.compile(rb"(?i)\r\nwebhook-id: *(\S+)")
_PUBLISHED = re.compile(rb'"published":(\d+)')


class Counter:
    """What arrived: each message once, however often it came."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.seen: set[bytes] = set()
        self.fresh: list[int] = []
        self.last = 0

    def take(self, head: bytes, body: bytes) -> None:
        """Note a request."""
        now = time.time_ns()
        name, published = _ID.search(head), _PUBLISHED.search(body)
        if name is None or published is None or name[1] in self.seen:
            return
        self.seen.add(name[1])
        self.fresh.append((now - int(published[1])) // 1000)
        self.last = now

    def tell(self) -> None:
        """Print what arrived since the last time."""
        if self.fresh:
            print(json.dumps({"took": self.fresh, "last": self.last}), flush=True)
            self.fresh = []


class Connection(asyncio.Protocol):
    """One connection: requests with a length, one after another."""

    def __init__(self, counter: Counter) -> None:
        """Count here."""
        self._counter = counter
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is there whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end])
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            self._counter.take(head, bytes(self._buffer[end + 4 : whole]))
            del self._buffer[:whole]
            if self._transport is not None:
                self._transport.write(ANSWER)


async def main() -> None:
    """Receive until standard input ends."""
    loop, counter = asyncio.get_running_loop(), Counter()
    server = await loop.create_server(lambda: Connection(counter), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = loop.run_in_executor(None, sys.stdin.buffer.read)
    while not ended.done():
        await asyncio.wait([ended], timeout=PERIOD)
        counter.tell()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
