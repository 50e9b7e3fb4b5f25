"""A real receiver: HTTP/1.1 on loopback, as much of it as senders may try."""

import selectors
import socket
import socketserver
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self
from weakref import WeakSet

from hookline._engine.clock import FakeClock
from hookline.receiver import TOLERANCE
from hookline.testing._received import Received
from hookline.testing._recorder import Recorder


class Receiver(Recorder):
    """A real HTTP/1.1 receiver on loopback that records what arrives and answers as told.

    Takes POST and PUT on any path, over as many connections as come, each in a thread.
    `secret` (one or several) verifies each request; InvalidSecret when it cannot. `port` 0 takes a
    free one, `keep` bounds how many requests are remembered, and `on_received` is called for each
    before it is answered. `clock` is the sender's, where that is a `FakeClock`.

    What a callable answer or `on_received` raises is raised again at the end of the `with`.
    """

    def __init__(
        self,
        secret: str | Sequence[str] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str = "/webhook",
        tolerance: float | timedelta | None = TOLERANCE,
        clock: FakeClock | None = None,
        keep: int | None = None,
        on_received: Callable[[Received], None] | None = None,
    ) -> None:
        super().__init__(
            secret, tolerance=tolerance, clock=clock, keep=keep, on_received=on_received
        )
        self._address = (host, port)
        self._path = path
        self._server: _Server | None = None

    def start(self) -> Self:
        """Bind and listen; raises OSError when the port is taken. Safe to call twice."""
        if self._server is None:
            self._server = _Server(self._address, self.handler, self)
            self._server.start()
        return self

    def close(self) -> None:
        """Stop at once: delays are cut short, connections closed, threads ended. Safe twice."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()
        super().__exit__(kind, error, trace)

    @property
    def base(self) -> str:
        """The address without a path: `http://127.0.0.1:54321`."""
        if self._server is None:
            raise RuntimeError("the receiver is not running: use it in a `with`, or call start()")
        host, port = self._server.server_address[:2]
        name = str(host)
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    @property
    def url(self) -> str:
        """The URL to register: `http://127.0.0.1:54321/webhook`."""
        return self.base + self._path

    handler: ClassVar[type["Handler"]]


# The server --------------------------------------------------------------------------------------

BODY_LIMIT = 32 * 1024 * 1024
"""Bytes of the largest body a receiver takes; more is answered with 413."""


class Handler(BaseHTTPRequestHandler):
    """One connection. `hookline sink` adds its pages to it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def do_POST(self) -> None:
        """Take a webhook."""
        try:
            body = self._read_body()
        except _Refused as refused:
            self.close_connection = True
            self.respond(refused.status, str(refused).encode())
            return
        answer = self.server.receiver.take(self.command, self.path, self.headers.items(), body)
        # An event, not a sleep: closing the receiver cuts the delay short.
        if answer.delay and self.server.closing.wait(answer.delay):
            self.close_connection = True
        elif answer.drop:
            # Lingering for 0 s makes close() send a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        else:
            self.respond(answer.status, answer.body, answer.headers)

    do_PUT = do_POST  # noqa: N815 - the standard library's naming

    def respond(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Write a whole answer in one piece."""
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Unknown"
        if self.server.closing.is_set():
            self.close_connection = True
        lines = {"Date": self.date_time_string(), **(headers or {})}
        if status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            lines.setdefault("Content-Length", str(len(body)))
        if self.close_connection:
            lines.setdefault("Connection", "close")
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        start = f"HTTP/1.1 {status} {phrase}\r\n{head}\r\n".encode("latin-1")
        self.wfile.write(start if self.command == "HEAD" else start + body)

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = self.headers.get("Content-Length", "0").strip()
        if not (length.isascii() and length.isdigit()):
            raise _Refused(HTTPStatus.BAD_REQUEST, "Content-Length: expected a whole number")
        if len(length) > len("99999999") or int(length) > BODY_LIMIT:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {BODY_LIMIT} bytes")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionAbortedError("the sender went away in the middle of the body")
        return body

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while True:
            size = self.rfile.readline(64).split(b";")[0].strip()
            try:
                length = int(size, 16)
            except ValueError:
                raise _Refused(HTTPStatus.BAD_REQUEST, "chunk size: expected hex") from None
            if not 0 <= length <= BODY_LIMIT - len(body):
                raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {BODY_LIMIT} bytes")
            body += self.rfile.read(length)
            if not length:
                # Trailers, if any, up to the empty line.
                while self.rfile.readline(65536).strip():
                    pass
                return bytes(body)
            self.rfile.readline(64)

    def log_message(self, *args: object) -> None:
        """Log nothing: what arrived is in `received`."""


Receiver.handler = Handler


class _Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Server(ThreadingHTTPServer):
    """The standard library's server, made quick to stop and free of name look-ups."""

    request_queue_size = 1024

    def __init__(
        self, address: tuple[str, int], handler: type[Handler], receiver: Receiver
    ) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.receiver = receiver
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._serving: WeakSet[threading.Thread] = WeakSet()  # also those about to end
        self._accepting = threading.Thread(target=self._accept, name="receiver", daemon=True)
        super().__init__(address, handler)
        self._wake, self._waker = socket.socketpair()

    def server_bind(self) -> None:
        """Bind without asking DNS for the machine's name, as HTTPServer would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def start(self) -> None:
        self._accepting.start()

    def stop(self) -> None:
        self.closing.set()
        self._waker.send(b"x")
        self._accepting.join()
        # First no more requests, so that answers under way still go out; then no more anything,
        # for senders that do not read and functions that do not return.
        for how in (socket.SHUT_RD, socket.SHUT_RDWR):
            with self._lock:
                still_open, serving = list(self._open), list(self._serving)
            for connection in still_open:
                with suppress(OSError):
                    connection.shutdown(how)
            patience = time.monotonic() + 1
            for thread in serving:
                thread.join(max(0, patience - time.monotonic()))
        self.server_close()
        self._wake.close()
        self._waker.close()

    def _accept(self) -> None:
        # Not serve_forever(): it notices a stop only at its next poll.
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while not self.closing.is_set():
                selector.select()
                if not self.closing.is_set():
                    self.handle_request()

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="receiver-connection",
            daemon=True,
        )
        with self._lock:
            self._open.add(request)
            self._serving.add(thread)
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """Close; without the orderly shutdown that would undo a drop."""
        with self._lock:
            self._open.discard(request)
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Keep what the test's own code raised; senders may go away as they like."""
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, ConnectionError | TimeoutError):
            self.receiver.failed(error)
