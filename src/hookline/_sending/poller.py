"""Waiting for many sockets at once, for libcurl: epoll where there is one, selectors elsewhere.

Events come back as libcurl's `CSELECT_*` masks.
"""

import select
import selectors
from collections.abc import Iterable
from typing import Protocol

import pycurl


class Poller(Protocol):
    """What the sender's loop needs."""

    def watch(self, fd: int, *, read: bool, write: bool) -> None:
        """Report these events of `fd` from now on, and no others."""

    def park(self, fd: int) -> None:
        """Report nothing of `fd` for now."""

    def poll(self, timeout: float | None) -> Iterable[tuple[int, int]]:
        """Wait up to `timeout` seconds (None: for ever); return descriptors and masks."""
        ...

    def close(self) -> None:
        """Let go of everything."""


class EpollPoller:
    """epoll, lazily: a parked socket stays registered, because it is most likely used again.

    libcurl parks a connection after each answer and takes it up for the next request: two system
    calls less per delivery. A parked one that stirs (its peer closed it) is taken out then. A
    closed one leaves epoll by itself, and its number may come back as another socket: `watch`
    finds that out from the kernel's answer, not from a memory of its own.
    """

    def __init__(self) -> None:
        """Open the epoll descriptor."""
        self._epoll = select.epoll()
        self._parked: set[int] = set()

    def watch(self, fd: int, *, read: bool, write: bool) -> None:
        """Register or change `fd`."""
        events = (select.EPOLLIN if read else 0) | (select.EPOLLOUT if write else 0)
        self._parked.discard(fd)
        try:
            self._epoll.modify(fd, events)
        except FileNotFoundError:
            self._epoll.register(fd, events)

    def park(self, fd: int) -> None:
        """Remember that nobody asks for `fd` now."""
        self._parked.add(fd)

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        """Wait; errors and hang-ups are reported as readable, where libcurl finds out more."""
        found = []
        for fd, events in self._epoll.poll(timeout):
            if fd in self._parked:
                self._forget(fd)
                continue
            mask = 0
            if events & ~select.EPOLLOUT:
                mask = pycurl.CSELECT_IN
            if events & select.EPOLLOUT:
                mask |= pycurl.CSELECT_OUT
            found.append((fd, mask))
        return found

    def _forget(self, fd: int) -> None:
        self._parked.discard(fd)
        try:
            self._epoll.unregister(fd)
        except (FileNotFoundError, OSError):  # closed meanwhile
            return

    def close(self) -> None:
        """Close the epoll descriptor."""
        self._epoll.close()


class SelectorPoller:
    """The standard library's selectors: kqueue on macOS and the BSDs."""

    def __init__(self) -> None:
        """Open the selector."""
        self._selector = selectors.DefaultSelector()

    def watch(self, fd: int, *, read: bool, write: bool) -> None:
        """Register or change `fd`."""
        events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        if fd in self._selector.get_map():
            self._selector.modify(fd, events)
        else:
            self._selector.register(fd, events)

    def park(self, fd: int) -> None:
        """Unregister `fd`."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        """Wait."""
        found = []
        for key, events in self._selector.select(timeout):
            mask = pycurl.CSELECT_IN if events & selectors.EVENT_READ else 0
            if events & selectors.EVENT_WRITE:
                mask |= pycurl.CSELECT_OUT
            found.append((key.fd, mask))
        return found

    def close(self) -> None:
        """Close the selector."""
        self._selector.close()


def new_poller() -> Poller:
    """Return the best poller of this platform."""
    return EpollPoller() if hasattr(select, "epoll") else SelectorPoller()
