"""Tools for testing what sends webhooks: a real receiver on loopback.

    with Receiver(secret="your-secret-key") as receiver:
        receiver.answer(503, times=3)
        webhooks.register(receiver.url, ["customer.created"], secret="your-secret-key")
        ...
        *_, last = receiver.wait_for(4)
        assert last.verified and last.attempt == 4

Needs no test framework. In a coroutine use `await receiver.arrived(4)`, which leaves the loop free.
"""

import asyncio
import json
import selectors
import socket
import socketserver
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self, TypeAlias
from weakref import WeakSet

from hookline._domain.handshake import EVENT as CHALLENGE
from hookline._domain.signature import check_receiver_secret
from hookline._engine.clock import FakeClock
from hookline.receiver import TOLERANCE, Cause, Reason, VerificationError, diagnose, verify

__all__ = [
    "Answer",
    "FakeClock",
    "Handler",
    "Received",
    "ReceivedHeaders",
    "Receiver",
    "agree",
]


class ReceivedHeaders(Mapping[str, str]):
    """Headers as they came: names in any case, repeated ones kept apart.

    A lookup joins repeated values with ", " (RFC 9110 §5.3); `get_all` returns them one by one.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = tuple(pairs)

    def __getitem__(self, name: str) -> str:
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self._pairs))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._pairs})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._pairs)!r})"

    def get_all(self, name: str) -> list[str]:
        """Return every value of a header, in the order they came."""
        return [value for each, value in self._pairs if each.lower() == name.lower()]

    def multi_items(self) -> list[tuple[str, str]]:
        """Return all pairs, names as written, in the order they came."""
        return list(self._pairs)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver answers, see `Receiver.answer`."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False


@dataclass(slots=True)
class Received:
    """One request that arrived."""

    number: int
    """1, 2, 3 … in the order of arrival."""
    method: str
    path: str
    """The request target as sent, query included."""
    headers: ReceivedHeaders
    body: bytes = field(repr=False)
    arrived_at: datetime
    verified: bool | None = None
    """Whether the signature fits; None when the receiver has no secret."""
    problem: str | None = None
    """Why it is not verified, or what is wrong with a verified body."""
    answer: int | None = None
    """The status given in answer; None when the connection was dropped."""

    def json(self) -> Any:
        """Return the parsed body; raises ValueError when it is not JSON."""
        return json.loads(self.body)

    @property
    def event(self) -> str:
        """The event type by header, else by the body's `event`, else ""."""
        if named := self.headers.get("x-webhook-event"):
            return named
        try:
            payload = self.json()
        except (ValueError, RecursionError):
            return ""
        named = payload.get("event") if isinstance(payload, dict) else None
        return named if isinstance(named, str) else ""

    @property
    def id(self) -> str | None:
        """The message id, the same on every retry."""
        return self.headers.get("webhook-id") or self.headers.get("svix-id")

    @property
    def attempt(self) -> int | None:
        """The number of the attempt, from 1; None where the sender does not say."""
        text = self.headers.get("x-webhook-attempt", "")
        return (
            int(text) if text.isascii() and text.isdigit() and len(text) < len("10000000") else None
        )

    def __str__(self) -> str:
        verdict = {True: "verified", False: f"NOT verified: {self.problem}", None: "no secret"}
        answer = "dropped" if self.answer is None else f"answered {self.answer}"
        return (
            f"{self.number}. {self.method} {self.path} {self.event or '(no event)'} "
            f"id={self.id} attempt={self.attempt} {verdict[self.verified]}, {answer}"
        )


Responder: TypeAlias = Callable[[Received], Answer | int]
"""Decides the answer to one request; runs in the thread of its connection."""


def agree(received: Received) -> Answer:
    """Answer the handshake's question as a receiver should, and everything else with 200.

    `receiver.answer(agree)`. A question whose signature does not fit is not answered.
    """
    if received.event != CHALLENGE or received.verified is False:
        return Answer()
    try:
        text = received.json()["data"]["challenge"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return Answer()
    body = json.dumps({"challenge": text}).encode()
    return Answer(body=body, headers={"Content-Type": "application/json"})


@dataclass(slots=True)
class _Rule:
    answer: Answer | Responder
    left: int


class Receiver:
    """A real HTTP/1.1 receiver on loopback that records what arrives and answers as told.

    Takes POST and PUT on any path, over as many connections as come, each in a thread.
    `secret` (one or several) verifies each request; InvalidSecret when it cannot. `port` 0 takes a
    free one, `keep` bounds how many requests are remembered, and `on_received` is called for each
    before it is answered.

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
        keep: int | None = None,
        on_received: Callable[[Received], None] | None = None,
    ) -> None:
        for each in [secret] if isinstance(secret, str) else secret or ():
            check_receiver_secret(each)
        self.secret = secret
        self.tolerance = tolerance
        self._address = (host, port)
        self._path = path
        self._on_received = on_received
        self._changed = threading.Condition()
        self._received: deque[Received] = deque(maxlen=keep)
        self._count = 0
        self._rules: deque[_Rule] = deque()
        self._standing: Answer | Responder = Answer()
        self._errors: list[Exception] = []
        self._server: _Server | None = None

    # Life ----------------------------------------------------------------------------------------

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
        if self._errors and error is None:
            raise self._errors[0]

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

    # What arrived --------------------------------------------------------------------------------

    @property
    def received(self) -> list[Received]:
        """What arrived so far, oldest first: a copy."""
        with self._changed:
            return list(self._received)

    @property
    def count(self) -> int:
        """How many requests arrived, forgotten ones included."""
        with self._changed:
            return self._count

    def clear(self) -> None:
        """Forget what arrived; `count` and the numbering start anew."""
        with self._changed:
            self._received.clear()
            self._count = 0

    def wait_for(self, n: int, timeout: float = 10.0) -> list[Received]:
        """Return what arrived once there are `n` requests; AssertionError lists what is there.

        `timeout` is in seconds. Blocks: in a coroutine use `arrived`.
        """
        return self.wait_until(lambda: self._count >= n, timeout, f"{n} webhook(s)")

    def wait_until(
        self, condition: Callable[[], bool], timeout: float = 10.0, what: str = "the condition"
    ) -> list[Received]:
        """Return what arrived once `condition()` holds, which is asked after each arrival."""
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                last = list(self._received)[-20:]
                lines = "".join(f"\n  {each}" for each in last) or "\n  nothing"
                raise AssertionError(
                    f"waited {timeout:g} s for {what}, {self._count} arrived, the last:{lines}"
                )
            return list(self._received)

    async def arrived(self, n: int, timeout: float = 10.0) -> list[Received]:
        """Wait like `wait_for`, in a thread, so that the running loop goes on."""
        return await asyncio.to_thread(self.wait_for, n, timeout)

    # What is answered ----------------------------------------------------------------------------

    def answer(
        self,
        status: int | Responder = 200,
        *,
        body: bytes | str = b"",
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
        drop: bool = False,
        times: int | None = None,
    ) -> Self:
        """Say how to answer from now on, or the next `times` requests.

        Answers with `times` are used up first, in the order they were given; after them the last
        one without `times` stands (200 until told otherwise). `delay` is in seconds before the
        answer; `drop` resets the connection instead of answering. `status` may be a function that
        gets the `Received` and returns a status or an `Answer`.
        """
        content = body.encode() if isinstance(body, str) else body
        answer = status if callable(status) else Answer(status, content, headers or {}, delay, drop)
        with self._changed:
            if times is None:
                self._standing = answer
            elif times > 0:
                self._rules.append(_Rule(answer, times))
        return self

    def take(self, request: "Handler", body: bytes) -> Answer:
        """Record a request and return what to answer: for `Handler`."""
        verified, problem = self._verify(request, body)
        with self._changed:
            self._count += 1
            received = Received(
                number=self._count,
                method=request.command,
                path=request.path,
                headers=ReceivedHeaders(request.headers.items()),
                body=body,
                arrived_at=datetime.now(UTC),
                verified=verified,
                problem=problem,
            )
            chosen = self._choose()
            if isinstance(chosen, Answer):
                received.answer = None if chosen.drop else chosen.status
            self._received.append(received)
            self._changed.notify_all()
        # Outside the lock, and after the request is visible: a test's function may wait for
        # the test, which may wait for the request.
        answer = chosen if isinstance(chosen, Answer) else self._ask(chosen, received)
        if self._on_received:
            self._on_received(received)
        return answer

    def failed(self, error: Exception) -> None:
        """Remember an error of the test's own code, to raise it in the test's own thread."""
        with self._changed:
            self._errors.append(error)

    def _choose(self) -> Answer | Responder:
        if not self._rules:
            return self._standing
        rule = self._rules[0]
        rule.left -= 1
        if not rule.left:
            self._rules.popleft()
        return rule.answer

    def _ask(self, responder: Responder, received: Received) -> Answer:
        try:
            said = responder(received)
        except Exception as error:  # noqa: BLE001 - it is the test's, and is raised there
            self.failed(error)
            said = Answer(500, f"the answer raised {error!r}".encode())
        answer = Answer(said) if isinstance(said, int) else said
        received.answer = None if answer.drop else answer.status
        return answer

    def _verify(self, request: "Handler", body: bytes) -> tuple[bool | None, str | None]:
        if self.secret is None:
            return None, None
        headers = ReceivedHeaders(request.headers.items())
        try:
            verify(body, headers, self.secret, tolerance=self.tolerance)
        except VerificationError as error:
            if error.reason == Reason.BAD_BODY:
                return True, str(error)
            found = diagnose(body, headers, self.secret, tolerance=self.tolerance)
            return False, str(error) if found.cause is Cause.UNKNOWN else str(found)
        return True, None

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
        answer = self.server.receiver.take(self, body)
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
