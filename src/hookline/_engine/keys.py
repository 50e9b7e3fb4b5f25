"""New keys: time-ordered, unique over threads, processes and machines."""

import os
import random
import threading

from hookline._domain import ids

_START_BITS = ids.COUNTER_BITS - 1


class _Source:
    """Counts within a millisecond, so that one process's keys keep the order they were made in."""

    def __init__(self) -> None:
        # An instance of our own: an application that seeds `random` must not repeat our keys.
        self._bits = random.Random().getrandbits  # noqa: S311 - not a secret
        self._lock = threading.Lock()
        self._last = self._counter = 0

    def new(self, now: int) -> bytes:
        with self._lock:
            if now == self._last:
                self._counter += 1
            else:
                self._last, self._counter = now, self._bits(_START_BITS)
            return ids.uuid7(now, self._counter, self._bits(ids.RANDOM_BITS))


_source = _Source()


def _renew() -> None:
    global _source  # noqa: PLW0603 - one per process
    _source = _Source()


# A forked child must not go on with its parent's numbers, nor with a lock another thread held.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def new_key(now: int) -> bytes:
    """Return a new key; `now` in Unix milliseconds."""
    return _source.new(now)
