"""The HTTP client: libcurl's multi interface in a thread of its own, fed and emptied in batches.

Why a thread: libcurl lets go of the GIL while it works, and half of the cost of driving it from
an event loop is the hand-over per request. See docs/explanation/decisions/0002.
"""

import logging
import os
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

import pycurl

from hookline._domain.address import Verdict
from hookline._domain.delivery import Failure, Outcome, Timings, judge_status
from hookline._domain.identity import Identity, Proxy
from hookline._domain.url import Url
from hookline._ports import Request, Results
from hookline._sending.guard import Guard, Lookup, Unresolved, Way
from hookline._sending.poller import new_poller

log = logging.getLogger("hookline")

MAX_KEPT_CONNECTIONS = 1024
MAX_HEADERS = 64
MAX_HEADER_BYTES = 8192
"""What is kept of an answer's headers; libcurl itself stops at 300 kB of them."""
IDLE_HANDLES = 512
SHORT_HEAD = 512
"""Bytes of headers that are worth remembering."""
MOST_POOLS = 32
"""Identities whose connections are kept. Each costs two descriptors beside them."""
POOL_IDLE = 120.0
"""Seconds an identity's connections are kept without being used."""

# libcurl has them, pycurl has no name for them.
_SUPPRESS_CONNECT_HEADERS = 265
_E_PROXY = 97
_E_HTTP2_STREAM = 92

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
    _E_HTTP2_STREAM: Failure.RESET,
    pycurl.E_COULDNT_RESOLVE_PROXY: Failure.PROXY,
    _E_PROXY: Failure.PROXY,
}


_NO_WAY_IN = frozenset(
    {
        _E_PROXY,
        pycurl.E_COULDNT_CONNECT,
        pycurl.E_COULDNT_RESOLVE_HOST,
        pycurl.E_COULDNT_RESOLVE_PROXY,
    }
)
"""Failures before there was a way to the receiver."""


_IN_TLS = frozenset({pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR})


class _Lent(socket.socket):
    """A socket that is closed as soon as libcurl has its own descriptor of it."""

    def __del__(self) -> None:
        self.close()


class Handle:
    """One reusable easy handle and what arrives on it. Serves one identity for all its life."""

    __slots__ = (
        "_body",
        "_dialled",
        "_header_bytes",
        "_headers",
        "_limit",
        "_method",
        "_proxied",
        "_refused",
        "_room",
        "_through",
        "_timeouts",
        "_whole",
        "curl",
        "cut",
        "flight",
        "way",
    )

    def __init__(self, limit: int, identity: Identity | None = None) -> None:
        """`limit`: bytes of an answer's body that are read."""
        self._limit = limit
        self._proxied = identity.proxy if identity is not None else None
        self._through: tuple[str, ...] = ()
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
        curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        _trust(curl)
        if identity is not None:
            _assume(curl, identity)
        self.way = Way(Url("https", "", 0, ""), ("",))
        self._dialled = -1
        self._timeouts = (0, 0)
        self._method = "POST"
        self._clear()

    def _clear(self) -> None:
        self.cut = False
        self._refused = ""
        self._body: list[bytes] = []
        self._room = self._limit
        self._headers: list[bytes] = []
        self._header_bytes = 0
        self._whole = False

    def load(self, flight: "_Flight", way: Way) -> None:
        """Set the handle up for one request, to be sent to one checked address."""
        self._clear()
        self.flight = flight
        curl, request = self.curl, flight.request
        # What the last request had already is left alone: most often it went to the same endpoint.
        if way is not self.way or flight.address != self._dialled:
            self._dialled = -1
            curl.setopt(pycurl.URL, way.text)
            # Also the key of libcurl's pool: a kept connection serves this name and address only.
            curl.setopt(pycurl.CONNECT_TO, [way.dial(flight.address)])
            self.way, self._dialled = way, flight.address
        if request.limit is not None:
            self._room = request.limit
        if flight.through != self._through:
            self._proxy(flight.through)
        timeouts = request.connect_timeout_ms, max(1, request.timeout_ms - flight.spent_ms)
        if timeouts != self._timeouts:
            curl.setopt(pycurl.CONNECTTIMEOUT_MS, timeouts[0])
            curl.setopt(pycurl.TIMEOUT_MS, timeouts[1])
            self._timeouts = timeouts
        if request.method != self._method:  # a body as with POST, if only an empty one
            curl.setopt(pycurl.CUSTOMREQUEST, request.method)
            self._method = request.method
        curl.setopt(pycurl.HTTPHEADER, request.header_lines)
        curl.setopt(pycurl.POSTFIELDS, request.body)

    def _proxy(self, addresses: tuple[str, ...]) -> None:
        """Dial the proxy at these addresses, under the name it has for TLS."""
        proxy, self._through = self._proxied, addresses
        if proxy is not None and addresses:
            listed = ",".join(f"[{a}]" if ":" in a else a for a in addresses)
            self.curl.setopt(pycurl.RESOLVE, [f"{proxy.host}:{proxy.port}:{listed}"])

    def _open_socket(self, _purpose: int, address: Any) -> socket.socket | int:
        """Open a socket for the checked address, and for no other, whatever libcurl thinks.

        Behind a proxy that is one of the proxy's own.
        """
        family, kind, protocol, (host, *_) = address
        proxied = self._proxied is not None
        checked = self._through if proxied else (self.way.addresses[self._dialled],)
        if ip_address(host) not in {ip_address(each.partition("%")[0]) for each in checked}:
            self._refused = f"{host} is not the address that was checked"
            return pycurl.SOCKET_BAD  # type: ignore[no-any-return]
        return _Lent(family, kind, protocol)

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

    def _blamed(self, failure: Failure, error: int, message: str) -> Failure:
        """Return whose failure it was: the proxy's, before it opened the way to the receiver."""
        info = self.curl.getinfo
        if info(pycurl.NUM_CONNECTS) == 0 and error not in _NO_WAY_IN:
            return failure  # on a kept connection, through the proxy long ago
        if self._proxied is not None and self._proxied.socks:
            if error in _NO_WAY_IN:
                return Failure.PROXY
            # With the proxy, or in the TLS handshake behind it: libcurl does not tell.
            early = failure is Failure.TIMEOUT and info(pycurl.REQUEST_SIZE) == 0
            return Failure.CONNECT_TIMEOUT if early else failure
        opened = int(info(pycurl.HTTP_CONNECTCODE)) // 100 == 2  # noqa: PLR2004
        return failure if opened and not message.startswith("CONNECT ") else Failure.PROXY

    def outcome(self, error: int = 0, message: str = "") -> Outcome:
        """Return what came back."""
        info, flight = self.curl.getinfo, self.flight
        status: int | None = info(pycurl.RESPONSE_CODE) or None
        timings = Timings(
            dns=flight.lookup_us,
            connect=_microseconds(info(pycurl.CONNECT_TIME)),
            tls=_microseconds(info(pycurl.APPCONNECT_TIME)),
            first_byte=_microseconds(info(pycurl.STARTTRANSFER_TIME)),
            total=_microseconds(info(pycurl.TOTAL_TIME)),
        )
        if flight.spent_ms:  # before libcurl had it
            timings = timings.later(flight.spent_ms * 1000)
        failure, detail = judge_status(status), ""
        if self._refused:
            failure, detail = Failure.BLOCKED, self._refused
        elif error and not self.cut:
            failure, detail = _failure(error, message, connected=timings.connect > 0)
            if self._proxied is not None:
                failure = self._blamed(failure, error, message)
            if failure is Failure.PROXY:
                # Whatever the proxy said, it is not the receiver that said it.
                return Outcome(
                    failure=failure,
                    detail=detail or "it opened no way to the receiver within the timeout",
                    timings=timings._replace(tls=0, first_byte=0),
                    peer=info(pycurl.PRIMARY_IP) or "",
                )
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


@dataclass(slots=True)
class _Flight:
    """A request on its way, and how far it has come."""

    request: Request
    began: float  # monotonic seconds
    address: int = 0
    spent_ms: int = 0
    lookup_us: int = 0
    way: Way | None = None  # found while the proxy is looked for
    through: tuple[str, ...] = ()  # the proxy's addresses


class _Pool:
    """libcurl's connections of one identity, and the handles that use them.

    libcurl compares what a connection was made with before it lends it out; what it compares is
    not the same in every version, and was too little at times (CVE-2022-27782). Here nothing of one
    identity is within the reach of another: not a connection, a TLS session, or a handle.
    """

    __slots__ = ("busy", "deadline", "idle", "multi", "used")

    def __init__(self, on_socket: Callable[..., None]) -> None:
        self.idle: list[Handle] = []
        self.busy: dict[pycurl.Curl, Handle] = {}
        self.deadline: float | None = None
        self.used = 0.0
        self.multi = multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_SOCKETFUNCTION, on_socket)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        multi.setopt(pycurl.M_MAXCONNECTS, MAX_KEPT_CONNECTIONS)

    def _on_timer(self, milliseconds: int) -> None:
        self.deadline = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def tick(self) -> None:
        """Let libcurl see to its timer if that is due."""
        if self.deadline is not None and self.deadline <= time.monotonic():
            self.deadline = None
            self.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def close(self) -> None:
        """Drop everything."""
        for curl in self.busy:
            self.multi.remove_handle(curl)
            curl.close()
        for handle in self.idle:
            handle.curl.close()
        self.multi.close()


class CurlSender:
    """`_ports.Sender` on libcurl. Answers are read up to `response_limit` bytes."""

    def __init__(self, *, response_limit: int = 16_384, lookup: Lookup | None = None) -> None:
        """Nothing is started before `start`. `lookup` resolves names instead of the system."""
        self._limit = response_limit
        self._lookup = lookup
        self._door = threading.Lock()
        self._open = False
        self._inbox: deque[Request] = deque()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._awake = False

    def start(self, on_results: Callable[[Results], None]) -> None:
        """Start the thread; outcomes are handed to `on_results` on it."""
        self._stopping = False
        self._awake = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._open = True
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
            with self._door:  # a name may be found later than that
                self._open = False
                os.close(self._wake_read)
                os.close(self._wake_write)

    def _wake(self) -> None:
        # `_awake` spares the system call while the thread has not looked yet. A race here only
        # costs a byte: the thread clears it before it looks into the inbox.
        if self._awake:
            return
        with self._door:
            if self._open:
                self._awake = True
                os.write(self._wake_write, b"!")

    def _main(self, on_results: Callable[[Results], None]) -> None:
        guard = Guard(self._wake, self._lookup)
        loop = _Loop(self._wake_read, self._limit, guard)
        while not self._stopping:
            try:
                loop.wait()
                self._awake = False
                results = loop.add(self._inbox)
                results += loop.found()
                results += loop.finished()
            except Exception as error:
                # Nobody may wait for an outcome that never comes: all in flight fail.
                log.exception("The sender failed; what was in flight is tried again")
                results = loop.abandon(f"internal error: {type(error).__name__}: {error}")
                loop.close()
                loop = _Loop(self._wake_read, self._limit, guard)
            if results:
                on_results(results)
        loop.close()


class _Loop:
    """libcurl's sockets and timers on a selector. Lives on the sender's thread."""

    def __init__(self, wake_fd: int, limit: int, guard: Guard) -> None:
        self._limit = limit
        self._guard = guard
        self._waiting: dict[str, list[_Flight]] = {}  # by the name that is being looked up
        self._wake_fd = wake_fd
        self._poller = new_poller()
        self._poller.watch(wake_fd, read=True, write=False)
        self._plain = _Pool(self._on_socket)
        self._special: dict[Identity, _Pool] = {}  # the one used last at the end
        self._owners: dict[int, _Pool] = {}  # of sockets that are not the plain pool's

    def _on_socket(self, what: int, fd: int, _multi: Any, _data: Any) -> None:
        if self._owners:
            self._owners.pop(fd, None)  # another pool's of that number is closed
        if what == pycurl.POLL_REMOVE:
            self._poller.park(fd)
        else:
            self._poller.watch(
                fd,
                read=what in (pycurl.POLL_IN, pycurl.POLL_INOUT),
                write=what in (pycurl.POLL_OUT, pycurl.POLL_INOUT),
            )

    def _pool(self, identity: Identity | None) -> _Pool:
        """Return the pool of an identity, made when there is none."""
        if identity is None:
            return self._plain
        pool, now = self._special.pop(identity, None), time.monotonic()
        if pool is None:
            self._drop_idle(now)
            made = _Pool(lambda *told: self._on_socket_of(made, *told))
            pool = made
        pool.used = now
        self._special[identity] = pool
        return pool

    def _on_socket_of(self, pool: _Pool, what: int, fd: int, *rest: Any) -> None:
        self._on_socket(what, fd, *rest)
        if what != pycurl.POLL_REMOVE:
            self._owners[fd] = pool

    def _drop_idle(self, now: float) -> None:
        """Make room for a pool, and close those that nobody used for long: of old certificates."""
        idle = [key for key, pool in self._special.items() if not pool.busy]
        full = len(self._special) - MOST_POOLS + 1
        for number, key in enumerate(idle):
            if number < full or self._special[key].used + POOL_IDLE < now:
                gone = self._special.pop(key)
                self._owners = {fd: pool for fd, pool in self._owners.items() if pool is not gone}
                gone.close()

    def _pools(self) -> Iterable[_Pool]:
        return (self._plain, *self._special.values()) if self._special else (self._plain,)

    def wait(self) -> None:
        """Wait for sockets, a timer or a wake-up, and let libcurl work on them."""
        deadlines = [pool.deadline for pool in self._pools() if pool.deadline is not None]
        if self._waiting:
            deadlines += [_patience(f) for flights in self._waiting.values() for f in flights]
        timeout = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        plain, owners = self._plain.multi.socket_action, self._owners
        for fd, mask in self._poller.poll(timeout):
            if fd == self._wake_fd:
                os.read(fd, 4096)
            elif fd in owners:
                owners[fd].multi.socket_action(fd, mask)
            else:
                plain(fd, mask)
        for pool in self._pools():
            pool.tick()

    def add(self, inbox: deque[Request]) -> list[tuple[Any, Outcome]]:
        """Start what was queued; return outcomes for what could not even be started."""
        failed: list[tuple[Any, Outcome]] = []
        now = time.monotonic() if inbox else 0.0
        while inbox:
            self._begin(_Flight(inbox.popleft(), now), failed)
        return failed

    def found(self) -> list[tuple[Any, Outcome]]:
        """Start what waited for a name; return outcomes for what waited in vain."""
        failed: list[tuple[Any, Outcome]] = []
        hosts = self._guard.take_found()
        if not self._waiting:
            return failed
        now = time.monotonic()
        for host in hosts:
            for flight in self._waiting.pop(host, ()):
                waited = now - flight.began
                flight.lookup_us, flight.spent_ms = _microseconds(waited), int(waited * 1000)
                self._begin(flight, failed, awaited=host)
        for host, flights in list(self._waiting.items()):
            late = [flight for flight in flights if _patience(flight) <= now]
            failed += [(flight.request.tag, _not_resolved(host, flight)) for flight in late]
            if len(late) == len(flights):
                del self._waiting[host]
            elif late:
                self._waiting[host] = [f for f in flights if _patience(f) > now]
        return failed

    def _begin(
        self, flight: _Flight, failed: list[tuple[Any, Outcome]], awaited: str | None = None
    ) -> None:
        """Start a request if the guard knows a way for it.

        `awaited` is the name it waited for, whose answer it takes however old that is.
        """
        request = flight.request
        proxy = request.identity.proxy if request.identity is not None else None
        way: Way | Verdict | Unresolved | None
        if flight.way is not None:
            way = flight.way
        elif proxy is not None and proxy.resolves:
            way = self._guard.delegated(request.url, request.policy)
        else:
            found = awaited is not None
            way = self._guard.way(request.url, request.policy, awaited=found)
        if way is None:
            self._waiting.setdefault(request.url.host, []).append(flight)
        elif not isinstance(way, Way):
            failed.append((request.tag, _no_way(way, flight)))
        elif proxy is None or self._find_proxy(flight, proxy, failed, awaited):
            self._fly(flight, way, failed)
        else:
            flight.way = way

    def _find_proxy(
        self,
        flight: _Flight,
        proxy: Proxy,
        failed: list[tuple[Any, Outcome]],
        awaited: str | None,
    ) -> bool:
        """Return whether it is known where the proxy is; see to it that it will be, or fail."""
        found = self._guard.addresses(proxy.host, awaited=awaited == proxy.host)
        if isinstance(found, Unresolved):
            failed.append((flight.request.tag, _no_proxy(found.reason, flight)))
        elif found is None:
            self._waiting.setdefault(proxy.host, []).append(flight)
        else:
            flight.through = found
        return bool(flight.through)

    def _fly(self, flight: _Flight, way: Way, failed: list[tuple[Any, Outcome]]) -> None:
        identity = flight.request.identity
        pool = self._plain if identity is None else self._pool(identity)
        try:
            handle = pool.idle.pop() if pool.idle else Handle(self._limit, identity)
            handle.load(flight, way)
            pool.multi.add_handle(handle.curl)
        except (pycurl.error, UnicodeError, ValueError) as error:
            outcome = Outcome(failure=Failure.OTHER, detail=str(error)[:200])
            failed.append((flight.request.tag, outcome))
        else:
            pool.busy[handle.curl] = handle

    def finished(self) -> list[tuple[Any, Outcome]]:
        """Return the outcomes of the transfers that ended."""
        results: list[tuple[Any, Outcome]] = []
        for pool in self._pools():
            left = 1 if pool.busy else 0
            while left:
                left, good, bad = pool.multi.info_read(256)
                for curl in good:
                    self._take(pool, curl, results)
                for curl, error, message in bad:
                    self._take(pool, curl, results, error, message)
        return results

    def _take(
        self,
        pool: _Pool,
        curl: pycurl.Curl,
        results: list[tuple[Any, Outcome]],
        error: int = 0,
        message: str = "",
    ) -> None:
        handle = pool.busy.pop(curl)
        pool.multi.remove_handle(curl)
        flight, way, outcome = handle.flight, handle.way, handle.outcome(error, message)
        if len(pool.idle) < IDLE_HANDLES:
            pool.idle.append(handle)
        else:
            curl.close()
        if outcome.failure in _NOBODY_THERE:
            again = outcome.failure is not Failure.CONNECT_TIMEOUT
            if (
                again
                and not outcome.detail.endswith(_REFUSED_US)
                and flight.address + 1 < len(way.addresses)
            ):
                # Nobody there: the next address, as browsers do (a host without IPv6, mostly).
                flight.address += 1
                flight.spent_ms = outcome.timings.total // 1000
                self._fly(flight, way, results)
                return
            self._guard.forget(_dialled_name(flight.request))
        results.append((flight.request.tag, outcome))

    def abandon(self, detail: str) -> list[tuple[Any, Outcome]]:
        """Return an outcome for everything in flight: it failed here, not at its receiver."""
        outcome = Outcome(failure=Failure.OTHER, detail=detail[:200])
        flights = [handle.flight for pool in self._pools() for handle in pool.busy.values()]
        for waiting in self._waiting.values():
            flights += waiting
        return [(flight.request.tag, outcome) for flight in flights]

    def close(self) -> None:
        """Drop everything."""
        for pool in self._pools():
            pool.close()
        self._poller.close()


_REFUSED_US = "response 407"
"""How libcurl's words end when a proxy wants another password, whatever the address."""
_NOBODY_THERE = frozenset({Failure.CONNECT, Failure.CONNECT_TIMEOUT, Failure.PROXY})


def _dialled_name(request: Request) -> str:
    proxy = request.identity.proxy if request.identity is not None else None
    return request.url.host if proxy is None else proxy.host


def _patience(flight: _Flight) -> float:
    """Return until when (monotonic seconds) a request waits for its name."""
    return flight.began + flight.request.connect_timeout_ms / 1000


def _not_resolved(host: str, flight: _Flight) -> Outcome:
    seconds = flight.request.connect_timeout_ms / 1000
    waited = Timings(dns=_microseconds(seconds), total=_microseconds(seconds))
    detail = f"no answer within {seconds:g} s"
    if host != flight.request.url.host:
        return _no_proxy(detail, flight)._replace(timings=waited)
    return Outcome(failure=Failure.DNS, detail=detail, timings=waited)


def _no_proxy(reason: str, flight: _Flight) -> Outcome:
    spent = Timings(dns=flight.lookup_us, total=flight.lookup_us)
    detail = f"its name cannot be resolved: {reason}"[:200]
    return Outcome(failure=Failure.PROXY, detail=detail, timings=spent)


def _no_way(why: Verdict | Unresolved, flight: _Flight) -> Outcome:
    failure = Failure.BLOCKED if isinstance(why, Verdict) else Failure.DNS
    detail = str(why) if isinstance(why, Verdict) else why.reason
    spent = Timings(dns=flight.lookup_us, total=flight.lookup_us)
    return Outcome(failure=failure, detail=detail[:200], timings=spent)


def _trust(curl: pycurl.Curl) -> None:
    """Trust the certificate authorities Python trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` too)."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        curl.setopt(pycurl.CAINFO, paths.cafile)
    if paths.capath:
        curl.setopt(pycurl.CAPATH, paths.capath)


def _assume(curl: pycurl.Curl, identity: Identity) -> None:
    """Set up a new handle for an identity."""
    if identity.ca is not None:
        # Instead of the system's, in a file and in a folder.
        curl.unsetopt(pycurl.CAINFO)
        curl.unsetopt(pycurl.CAPATH)
        curl.setopt(pycurl.CAINFO_BLOB, identity.ca)
    if identity.certificate is not None and identity.key is not None:
        curl.setopt(pycurl.SSLCERT_BLOB, identity.certificate)
        curl.setopt(pycurl.SSLKEY_BLOB, identity.key)
    if identity.http2:
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        curl.setopt(pycurl.PIPEWAIT, 1)  # rather share a connection than open another
    if identity.proxy is not None:
        _use_proxy(curl, identity.proxy)


def _use_proxy(curl: pycurl.Curl, proxy: Proxy) -> None:
    """Go through a proxy, by a tunnel always: it sees an address and a port, no request."""
    by_name = proxy.socks and proxy.resolves
    curl.setopt(pycurl.PROXY, str(proxy).replace("socks5:", "socks5h:") if by_name else str(proxy))
    curl.setopt(pycurl.NOPROXY, "")
    curl.setopt(pycurl.HTTPPROXYTUNNEL, 1)
    curl.setopt(_SUPPRESS_CONNECT_HEADERS, 1)
    if proxy.user:
        curl.setopt(pycurl.PROXYAUTH, pycurl.HTTPAUTH_BASIC)
        curl.setopt(pycurl.PROXYUSERNAME, proxy.user)
        curl.setopt(pycurl.PROXYPASSWORD, proxy.password)
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        curl.setopt(pycurl.PROXY_CAINFO, paths.cafile)
    if paths.capath:
        curl.setopt(pycurl.PROXY_CAPATH, paths.capath)


def unsupported(*, ca: bool, certificate: bool, http2: bool) -> str | None:
    """Return what libcurl and pycurl, as they are installed here, lack of what is asked for."""
    if http2 and not pycurl.version_info()[4] & pycurl.VERSION_HTTP2:
        return f"http2: the installed libcurl has no HTTP/2: {pycurl.version}"
    for name, wanted, option in (
        ("ca", ca, "CAINFO_BLOB"),
        ("client_certificate", certificate, "SSLCERT_BLOB"),
    ):
        if wanted and not hasattr(pycurl, option):
            return f"{name}: the installed libcurl is too old, 7.77 is needed: {pycurl.version}"
    return None


def _microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _failure(error: int, message: str, *, connected: bool) -> tuple[Failure, str]:
    if error == pycurl.E_OPERATION_TIMEDOUT:
        return (Failure.TIMEOUT if connected else Failure.CONNECT_TIMEOUT), ""
    if error in _IN_TLS and " alert " in message:
        error = pycurl.E_SSL_CONNECT_ERROR  # TLS 1.3 tells of a refused client after the handshake
    elif error == pycurl.E_RECV_ERROR and not message.startswith("Recv failure"):
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
