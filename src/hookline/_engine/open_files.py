"""How many files and connections a process may have open, and needs."""

import sys
from contextlib import suppress
from typing import NamedTuple

try:
    import resource
except ImportError:  # not POSIX: no such limit
    resource = None  # type: ignore[assignment]

BESIDES = 128
"""Open files beside requests: the database, the log, what the application has."""
KEPT = 1024
"""Connections to receivers that the sender keeps for the next time."""


class Limits(NamedTuple):
    """What is allowed now, and what a process may raise that to."""

    soft: int
    hard: int


def needed(max_in_flight: int) -> int:
    """Return how many files must be allowed for so many requests in flight."""
    return max_in_flight + BESIDES


def limits() -> Limits | None:
    """Return this process's limits, None where there are none."""
    if resource is None:
        return None
    found = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Limits(*(sys.maxsize if n == resource.RLIM_INFINITY else n for n in found))


def raise_limit(max_in_flight: int) -> Limits | None:
    """Raise this process's limit for so many requests in flight and as many kept connections.

    Return the limits before when that was done, None when there was nothing to do or no way to.
    """
    before = limits()
    if resource is None or before is None:
        return None
    wanted = min(needed(max_in_flight) + KEPT, before.hard)
    if before.soft >= wanted:
        return None
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, OSError):  # some systems allow less than their hard limit says
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return before
    return None
