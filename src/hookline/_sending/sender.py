"""The HTTP client: libcurl's multi interface in a thread of its own, fed and emptied in batches.

Why a thread: libcurl lets go of the GIL while it works, and half of the cost of driving it from
an event loop is the hand-over per request. See docs/explanation/decisions/0002.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pycurl

from hookline._domain.address import Verdict
from hookline._domain.delivery import Failure, Outcome, Timings
from hookline._domain.identity import Identity, Proxy
from hookline._ports import Request, Results
from hookline._sending.curl import microseconds
from hookline._sending.guard import Guard, Lookup, Unresolved, Way
from hookline._sending.handle import Flight, Handle
from hookline._sending.poller import new_poller

log = logging.getLogger("hookline")
MAX_KEPT_CONNECTIONS = 1024
IDLE_HANDLES = 512
MOST_POOLS = 32
"""Identities whose connections are kept. Each costs two descriptors beside them."""
POOL_IDLE = 120.0
"""Seconds an identity's connections are kept without being used."""


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
        self._waiting: dict[str, list[Flight]] = {}  # by the name that is being looked up
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
            self._begin(Flight(inbox.popleft(), now), failed)
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
                flight.lookup_us, flight.spent_ms = microseconds(waited), int(waited * 1000)
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
        self, flight: Flight, failed: list[tuple[Any, Outcome]], awaited: str | None = None
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
        flight: Flight,
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

    def _fly(self, flight: Flight, way: Way, failed: list[tuple[Any, Outcome]]) -> None:
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


def _patience(flight: Flight) -> float:
    """Return until when (monotonic seconds) a request waits for its name."""
    return flight.began + flight.request.connect_timeout_ms / 1000


def _not_resolved(host: str, flight: Flight) -> Outcome:
    seconds = flight.request.connect_timeout_ms / 1000
    waited = Timings(dns=microseconds(seconds), total=microseconds(seconds))
    detail = f"no answer within {seconds:g} s"
    if host != flight.request.url.host:
        return _no_proxy(detail, flight)._replace(timings=waited)
    return Outcome(failure=Failure.DNS, detail=detail, timings=waited)


def _no_proxy(reason: str, flight: Flight) -> Outcome:
    spent = Timings(dns=flight.lookup_us, total=flight.lookup_us)
    detail = f"its name cannot be resolved: {reason}"[:200]
    return Outcome(failure=Failure.PROXY, detail=detail, timings=spent)


def _no_way(why: Verdict | Unresolved, flight: Flight) -> Outcome:
    failure = Failure.BLOCKED if isinstance(why, Verdict) else Failure.DNS
    detail = str(why) if isinstance(why, Verdict) else why.reason
    spent = Timings(dns=flight.lookup_us, total=flight.lookup_us)
    return Outcome(failure=failure, detail=detail[:200], timings=spent)
