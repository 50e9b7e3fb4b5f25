"""Parse, resolve, judge, pin: no request leaves for an address that was not checked.

A name is resolved here, once, and all of its addresses are judged. libcurl is then told the address
to dial, so that what it connects to is what was checked, whatever the name says a moment later.
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, NamedTuple

from hookline._domain.address import (
    Policy,
    Verdict,
    is_local_name,
    judge_all,
    judge_url,
    literal_address,
    local_only,
)
from hookline._domain.url import Url

FRESH = 30.0
"""Seconds an answer of DNS is used for: half of what libcurl itself would."""
FAILED = 5.0
"""Seconds a failed look-up is believed."""
MOST_LOOKUPS = 256
"""Look-ups under way at once, each on a thread of its own: a name server that does not answer must
not keep other names waiting."""
MOST_KNOWN = 10_000

Lookup = Callable[[str], Sequence[str]]
"""Returns the addresses of a host in the order to try them; raises OSError. May block."""


class Unresolved(NamedTuple):
    """The name leads nowhere at the moment."""

    reason: str


@dataclass(frozen=True, slots=True)
class Way:
    """A checked way to an endpoint: the addresses to dial, in this order.

    Where a proxy resolves names, the name is there instead.
    """

    url: Url
    addresses: tuple[str, ...]
    text: str = field(init=False)

    def __post_init__(self) -> None:
        """Keep the URL's text: it is set for every request."""
        object.__setattr__(self, "text", str(self.url))

    def dial(self, number: int) -> str:
        """Return libcurl's `CONNECT_TO` for the nth address."""
        address = self.addresses[number]
        return f"::[{address}]:" if ":" in address else f"::{address}:"


def lookup(host: str) -> list[str]:
    """Return the addresses of a host, asking the system's resolver.

    As an absolute name: a search list must not turn a customer's name into one of ours. Names for
    local use are the exception, which the search list and the hosts file may be there for.
    """
    name = host if is_local_name(host) else host + "."
    found = socket.getaddrinfo(name.encode(), None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def check(url: Url, policy: Policy, find: Lookup | None = None) -> Way | Verdict | Unresolved:
    """Resolve and judge one URL. Blocks while the name is looked up."""
    verdict = judge_url(url, policy)
    if verdict is not None:
        return verdict
    literal = literal_address(url)
    if literal is not None:
        return Way(url, (literal,))
    try:
        addresses = (find or lookup)(url.host)
    except (OSError, UnicodeError) as error:
        return Unresolved(_reason(error))
    return _judged(url, addresses, policy)


def delegated(url: Url, policy: Policy) -> Way | Verdict:
    """Judge a URL whose name a proxy resolves: all that is known of it is the name itself.

    So what must lead into an allowed local network is refused.
    """
    literal = literal_address(url)
    verdict = judge_url(url, policy) or (local_only(url, policy) if literal is None else None)
    return verdict or Way(url, (url.host if literal is None else literal,))


def _judged(url: Url, addresses: Sequence[str], policy: Policy) -> Way | Verdict | Unresolved:
    if not addresses:
        return Unresolved("the name has no address")
    verdict = judge_url(url, policy) or judge_all(url, addresses, policy)
    return verdict or Way(url, tuple(addresses))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


Ways = dict[tuple[Url, Policy], Way | Verdict | Unresolved]


@dataclass(slots=True)
class _Known:
    """What a look-up said, until when (monotonic seconds) it is believed, and what follows."""

    answer: tuple[str, ...] | Unresolved
    until: float
    ways: Ways = field(default_factory=dict)


class Guard:
    """Remembers answers, and looks names up on threads. Belongs to the sender's thread.

    `on_found` is called on any thread when a look-up ended; `take_found` then names the host.
    """

    def __init__(self, on_found: Callable[[], None], find: Lookup | None = None) -> None:
        """`find` looks a name up; the system's resolver unless told."""
        self._find = find
        self._on_found = on_found
        self._settled: Ways = {}  # those that no look-up changes
        self._delegated: dict[tuple[Url, Policy], Way | Verdict] = {}
        self._known: dict[str, _Known] = {}
        self._asked: set[str] = set()
        self._queued: deque[str] = deque()
        self._found: deque[tuple[str, tuple[str, ...] | Unresolved]] = deque()

    def delegated(self, url: Url, policy: Policy) -> Way | Verdict:
        """Return the way to a URL through a proxy that resolves names, or why there is none."""
        way = self._delegated.get((url, policy))
        if way is None:
            way = _bounded(self._delegated)[url, policy] = delegated(url, policy)
        return way

    def addresses(self, host: str, *, awaited: bool = False) -> tuple[str, ...] | Unresolved | None:
        """Return the addresses of a proxy, which is the operator's word and not judged.

        None while its name is being looked up.
        """
        if _is_address(host):
            return (host,)
        known = self._known.get(host)
        if known is None or not (awaited or known.until > time.monotonic()):
            self._ask(host)
            return None
        return known.answer or Unresolved("the name has no address")

    def way(
        self, url: Url, policy: Policy, *, awaited: bool = False
    ) -> Way | Verdict | Unresolved | None:
        """Return the way to a URL or why there is none; None while its name is being looked up.

        `awaited`: this request waited for the look-up, and takes its answer however old it is.
        """
        known = self._known.get(url.host)
        if known is None:
            way = self._settle(url, policy)
            if way is None:
                self._ask(url.host)
            return way
        if not awaited and known.until <= time.monotonic():
            self._ask(url.host)
            return None
        way = known.ways.get((url, policy))
        if way is None:
            answer = known.answer
            way = answer if isinstance(answer, Unresolved) else _judged(url, answer, policy)
            _bounded(known.ways)[url, policy] = way
        return way

    def _settle(self, url: Url, policy: Policy) -> Way | Verdict | Unresolved | None:
        """Return what can be said without a look-up."""
        way = self._settled.get((url, policy))
        if way is None:
            literal = literal_address(url)
            way = judge_url(url, policy) or (None if literal is None else Way(url, (literal,)))
            if way is not None:
                _bounded(self._settled)[url, policy] = way
        return way

    def forget(self, host: str) -> None:
        """Look a name up anew for the next request: nobody answered where it led."""
        self._known.pop(host, None)

    # looking up ----------------------------------------------------------------------------

    def _ask(self, host: str) -> None:
        if host not in self._asked:
            self._asked.add(host)
            self._queued.append(host)
            self._start()

    def _start(self) -> None:
        while self._queued and len(self._asked) - len(self._queued) < MOST_LOOKUPS:
            host = self._queued.popleft()
            thread = threading.Thread(
                target=self._look_up, args=(host,), name="hookline-dns", daemon=True
            )
            thread.start()

    def _look_up(self, host: str) -> None:
        answer: tuple[str, ...] | Unresolved
        try:
            answer = tuple((self._find or lookup)(host))
        except Exception as error:  # noqa: BLE001 - whoever waits for the name is told
            answer = Unresolved(_reason(error))
        self._found.append((host, answer))
        with suppress(Exception):  # the sender may have stopped meanwhile
            self._on_found()

    def take_found(self) -> list[str]:
        """Return the hosts whose look-up ended since the last call."""
        hosts = []
        while self._found:
            host, answer = self._found.popleft()
            until = time.monotonic() + (FAILED if isinstance(answer, Unresolved) else FRESH)
            _bounded(self._known)[host] = _Known(answer, until)
            self._asked.discard(host)
            hosts.append(host)
        self._start()
        return hosts


def _bounded(cache: dict[Any, Any]) -> dict[Any, Any]:
    """Return a cache that has room for one more."""
    if len(cache) >= MOST_KNOWN:
        cache.clear()
    return cache
