"""The HTTP protocol of the server: uvicorn's on httptools, with bounds it leaves to a proxy.

A request's head has a size and a time to arrive in; an answer nobody reads is given up. What is no
HTTP is answered in JSON as well.
"""

import asyncio
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from hookline._web.errors import CODES, GENERIC

HEAD_SECONDS = 15.0
"""Seconds within which the head of a request has to arrive; the rest of one answered early, too."""
HEAD_BYTES = 64 << 10
"""Bytes of a head: the request line and all headers."""
LINGER_SECONDS = 1.0
"""Seconds that are left to a refused client to read why; what it sends meanwhile is dropped."""
UNREAD_SECONDS = 30.0
"""Seconds an answer may stay unread when its connection is to be closed."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    _arriving = False
    _refused = False
    _size = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin: the first head is waited for."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what arrived; nothing is timed that arrives in one piece."""
        if self._refused:
            return
        super().data_received(data)
        if self._refused or self.transport.is_closing():
            return
        if self._arriving:
            self._size += len(data)
            if self._size > HEAD_BYTES:
                self._refuse(431, f"the head is larger than {HEAD_BYTES:,} bytes")
                return
            self._arm()
        elif self._is_unwanted():
            self._arm()

    def _is_unwanted(self) -> bool:
        """Tell whether what arrives belongs to a request that was answered before its end."""
        cycle = self.cycle
        return cycle is not None and cycle.response_complete and cycle.more_body

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._arriving, self._size = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is there."""
        self._arriving = False
        self._disarm()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the request is there."""
        self._disarm()
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, for certain."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, msg)

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._expire)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        if self._arriving and self._size:
            self._refuse(408, f"the head did not arrive within {HEAD_SECONDS:g} s")
        else:
            self.transport.close()
        self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def _refuse(self, status: int, detail: str) -> None:
        """Answer without a route, and close."""
        self._refused = True
        self._disarm()
        document: dict[str, Any] = {"code": CODES.get(status, GENERIC), "detail": detail}
        body = orjson.dumps(document)
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        if self.cycle is None or self.cycle.response_complete:  # never into another answer
            self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        if self.transport.can_write_eof():
            # Whoever is still sending would get a reset instead of the answer.
            self.transport.write_eof()
            self.loop.call_later(LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()
