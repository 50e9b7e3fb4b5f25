"""The HTTP client: libcurl's multi interface in a thread of its own, fed and emptied in batches.

Why a thread: libcurl lets go of the GIL while it works, and half of the cost of driving it from
an event loop is the hand-over per request. See docs/explanation/decisions/0002.
"""

import logging
import os
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import pycurl

from hookline._domain.delivery import Failure, Outcome, Timings
from hookline._ports import Request, Results
from hookline._sending.poller import new_poller

log = logging.getLogger("hookline")

MAX_KEPT_CONNECTIONS = 1024
MAX_HEADERS = 64
MAX_HEADER_BYTES = 8192
"""What is kept of an answer's headers; libcurl itself stops at 300 kB of them."""
IDLE_HANDLES = 512
SHORT_HEAD = 512
"""Bytes of headers that are worth remembering."""

_FAILURES = {
    pycurl.E_COULDNT_RESOLVE_HOST: Failure.DNS,
    pycurl.E_COULDNT_CONNECT: Failure.CONNECT,
    pycurl.E_SSL_CONNECT_ERROR: Failure.TLS,
    pycurl.E_PEER_FAILED_VERIFICATION: Failure.TLS,
    pycurl.E_SSL_CERTPROBLEM: Failure.TLS,
    pycurl.E_SSL_CIPHER: Failure.TLS,
    pycurl.E_SSL_CACERT_BADFILE: Failure.TLS,
    pycurl.E_SSL_ISSUER_ERROR: Failure.TLS,
    pycurl.E_GOT_NOTHING: Failure.RESET,
    pycurl.E_SEND_ERROR: Failure.RESET,
    pycurl.E_RECV_ERROR: Failure.RESET,
    pycurl.E_PARTIAL_FILE: Failure.RESET,
    pycurl.E_UNSUPPORTED_PROTOCOL: Failure.PROTOCOL,
    pycurl.E_FTP_WEIRD_SERVER_REPLY: Failure.PROTOCOL,
    pycurl.E_BAD_CONTENT_ENCODING: Failure.PROTOCOL,
    pycurl.E_HTTP2: Failure.PROTOCOL,
}


class Handle:
    """One reusable easy handle and what arrives on it."""

    __slots__ = (
        "_body",
        "_header_bytes",
        "_headers",
        "_limit",
        "_room",
        "_timeouts",
        "_url",
        "_whole",
        "curl",
        "cut",
        "tag",
    )

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of an answer's body that are read."""
        self._limit = limit
        self.curl = curl = pycurl.Curl()
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        # Neither the environment nor a .netrc has a say in where a webhook goes.
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.NOPROXY, "*")
        curl.setopt(pycurl.NETRC, pycurl.NETRC_IGNORED)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.WRITEFUNCTION, self._on_body)
        curl.setopt(pycurl.HEADERFUNCTION, self._on_header)
        _trust(curl)
        self._url = ""
        self._timeouts = (0, 0)
        self._clear(None)

    def _clear(self, tag: Any) -> None:
        self.tag = tag
        self.cut = False
        self._body: list[bytes] = []
        self._room = self._limit
        self._headers: list[bytes] = []
        self._header_bytes = 0
        self._whole = False

    def load(self, request: Request) -> None:
        """Set the handle up for one request."""
        self._clear(request.tag)
        curl = self.curl
        # What the last request had already is left alone: most often it went to the same endpoint.
        if request.url != self._url:
            self._url = ""
            curl.setopt(pycurl.URL, request.url)
            self._url = request.url
        timeouts = request.connect_timeout_ms, request.timeout_ms
        if timeouts != self._timeouts:
            curl.setopt(pycurl.CONNECTTIMEOUT_MS, timeouts[0])
            curl.setopt(pycurl.TIMEOUT_MS, timeouts[1])
            self._timeouts = timeouts
        curl.setopt(pycurl.HTTPHEADER, request.header_lines)
        curl.setopt(pycurl.POSTFIELDS, request.body)

    def _on_body(self, data: bytes) -> int | None:
        if len(data) > self._room:
            # Returning less than was given ends the transfer: the rest is never read.
            self.cut = True
            self._body.append(data[: self._room])
            self._room = 0
            return 0
        self._body.append(data)
        self._room -= len(data)
        return None

    def _on_header(self, line: bytes) -> None:
        if line in {b"\r\n", b"\n"}:
            self._whole = True
            return
        if line.startswith(b"HTTP/"):  # a new head, after a 100 Continue for example
            self._whole = False
            self._headers.clear()
            self._header_bytes = 0
            return
        self._header_bytes += len(line)
        if len(self._headers) < MAX_HEADERS and self._header_bytes <= MAX_HEADER_BYTES:
            self._headers.append(line)

    def outcome(self, error: int = 0, message: str = "") -> Outcome:
        """Return what came back."""
        info = self.curl.getinfo
        status: int | None = info(pycurl.RESPONSE_CODE) or None
        timings = Timings(
            dns=_microseconds(info(pycurl.NAMELOOKUP_TIME)),
            connect=_microseconds(info(pycurl.CONNECT_TIME)),
            tls=_microseconds(info(pycurl.APPCONNECT_TIME)),
            first_byte=_microseconds(info(pycurl.STARTTRANSFER_TIME)),
            total=_microseconds(info(pycurl.TOTAL_TIME)),
        )
        failure, detail = _judge_status(status), ""
        if error and not self.cut:
            failure, detail = _failure(error, message, connected=timings.connect > 0)
        elif not self._whole:  # libcurl takes a head without its end for an answer
            failure, detail = Failure.RESET, "the answer ended inside its headers"
        return Outcome(
            status=status,
            failure=failure,
            detail=detail,
            headers=_parsed(b"".join(self._headers)),
            body=b"".join(self._body),
            timings=timings,
            peer=info(pycurl.PRIMARY_IP) or "",
        )


class CurlSender:
    """`_ports.Sender` on libcurl. Answers are read up to `response_limit` bytes."""

    def __init__(self, *, response_limit: int = 16_384) -> None:
        """Nothing is started before `start`."""
        self._limit = response_limit
        self._inbox: deque[Request] = deque()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._awake = False

    def start(self, on_results: Callable[[Results], None]) -> None:
        """Start the thread; outcomes are handed to `on_results` on it."""
        self._stopping = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._thread = threading.Thread(
            target=self._main, args=(on_results,), name="hookline-curl", daemon=True
        )
        self._thread.start()

    def send(self, requests: Sequence[Request]) -> None:
        """Queue requests and wake the thread."""
        self._inbox.extend(requests)
        self._wake()

    def stop(self) -> None:
        """End the thread; requests in flight are dropped without an outcome."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopping = True
            self._wake()
            thread.join()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _wake(self) -> None:
        # `_awake` spares the system call while the thread has not looked yet. A race here only
        # costs a byte: the thread clears it before it looks into the inbox.
        if not self._awake:
            self._awake = True
            os.write(self._wake_write, b"!")

    def _main(self, on_results: Callable[[Results], None]) -> None:
        loop = _Loop(self._wake_read, self._limit)
        while not self._stopping:
            try:
                loop.wait()
                self._awake = False
                results = loop.add(self._inbox)
                results += loop.finished()
            except Exception as error:
                # Nobody may wait for an outcome that never comes: all in flight fail.
                log.exception("The sender failed; what was in flight is tried again")
                results = loop.abandon(f"internal error: {type(error).__name__}: {error}")
                loop.close()
                loop = _Loop(self._wake_read, self._limit)
            if results:
                on_results(results)
        loop.close()


class _Loop:
    """libcurl's sockets and timer on a selector. Lives on the sender's thread."""

    def __init__(self, wake_fd: int, limit: int) -> None:
        self._limit = limit
        self._wake_fd = wake_fd
        self._poller = new_poller()
        self._poller.watch(wake_fd, read=True, write=False)
        self._idle: list[Handle] = []
        self._busy: dict[pycurl.Curl, Handle] = {}
        self._deadline: float | None = None
        self._multi = multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        multi.setopt(pycurl.M_MAXCONNECTS, MAX_KEPT_CONNECTIONS)

    def _on_socket(self, what: int, fd: int, _multi: Any, _data: Any) -> None:
        if what == pycurl.POLL_REMOVE:
            self._poller.park(fd)
        else:
            self._poller.watch(
                fd,
                read=what in (pycurl.POLL_IN, pycurl.POLL_INOUT),
                write=what in (pycurl.POLL_OUT, pycurl.POLL_INOUT),
            )

    def _on_timer(self, milliseconds: int) -> None:
        self._deadline = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def wait(self) -> None:
        """Wait for sockets, the timer or a wake-up, and let libcurl work on them."""
        timeout = None
        if self._deadline is not None:
            timeout = max(0.0, self._deadline - time.monotonic())
        act = self._multi.socket_action
        for fd, mask in self._poller.poll(timeout):
            if fd == self._wake_fd:
                os.read(fd, 4096)
            else:
                act(fd, mask)
        if self._deadline is not None and self._deadline <= time.monotonic():
            self._deadline = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def add(self, inbox: deque[Request]) -> list[tuple[Any, Outcome]]:
        """Start what was queued; return outcomes for what could not even be started."""
        failed = []
        while inbox:
            request = inbox.popleft()
            handle = self._idle.pop() if self._idle else Handle(self._limit)
            try:
                handle.load(request)
                self._multi.add_handle(handle.curl)
            except (pycurl.error, UnicodeError, ValueError) as error:
                detail = str(error)[:200]
                failed.append((request.tag, Outcome(failure=Failure.OTHER, detail=detail)))
                continue
            self._busy[handle.curl] = handle
        return failed

    def finished(self) -> list[tuple[Any, Outcome]]:
        """Return the outcomes of the transfers that ended."""
        results: list[tuple[Any, Outcome]] = []
        left = 1
        while left:
            left, good, bad = self._multi.info_read(256)
            results += [self._take(curl) for curl in good]
            results += [self._take(curl, error, message) for curl, error, message in bad]
        return results

    def _take(self, curl: pycurl.Curl, error: int = 0, message: str = "") -> tuple[Any, Outcome]:
        handle = self._busy.pop(curl)
        self._multi.remove_handle(curl)
        result = handle.tag, handle.outcome(error, message)
        if len(self._idle) < IDLE_HANDLES:
            self._idle.append(handle)
        else:
            curl.close()
        return result

    def abandon(self, detail: str) -> list[tuple[Any, Outcome]]:
        """Return an outcome for everything in flight: it failed here, not at its receiver."""
        outcome = Outcome(failure=Failure.OTHER, detail=detail[:200])
        return [(handle.tag, outcome) for handle in self._busy.values()]

    def close(self) -> None:
        """Drop everything."""
        for curl in self._busy:
            self._multi.remove_handle(curl)
            curl.close()
        for handle in self._idle:
            handle.curl.close()
        self._multi.close()
        self._poller.close()


def _trust(curl: pycurl.Curl) -> None:
    """Trust the certificate authorities Python trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` too)."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        curl.setopt(pycurl.CAINFO, paths.cafile)
    if paths.capath:
        curl.setopt(pycurl.CAPATH, paths.capath)


def _microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _judge_status(status: int | None) -> Failure | None:
    if status is None:
        return Failure.PROTOCOL
    if 200 <= status <= 299:  # noqa: PLR2004 - RFC 9110 §15.3, the only success
        return None
    return Failure.REDIRECT if 300 <= status <= 399 else Failure.STATUS  # noqa: PLR2004


def _failure(error: int, message: str, *, connected: bool) -> tuple[Failure, str]:
    if error == pycurl.E_OPERATION_TIMEDOUT:
        return (Failure.TIMEOUT if connected else Failure.CONNECT_TIMEOUT), ""
    if error == pycurl.E_RECV_ERROR and not message.startswith("Recv failure"):
        error = pycurl.E_FTP_WEIRD_SERVER_REPLY  # libcurl's word for what it cannot parse
    printable = "".join(c if c.isprintable() else "?" for c in message)
    return _FAILURES.get(error, Failure.OTHER), printable[:200]


def _parsed(head: bytes) -> tuple[tuple[str, str], ...]:
    """Return names and values; short heads are remembered, as a receiver's answers are alike."""
    return _parsed_short(head) if len(head) <= SHORT_HEAD else _split_all(head)


def _split_all(head: bytes) -> tuple[tuple[str, str], ...]:
    return tuple(filter(None, map(_split, head.split(b"\n"))))


_parsed_short = lru_cache(maxsize=1024)(_split_all)


def _split(line: bytes) -> tuple[str, str] | None:
    name, colon, value = line.decode("latin-1").partition(":")
    return (name.strip().lower(), value.strip()) if colon else None
