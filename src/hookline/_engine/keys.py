"""New keys: of rows, time-ordered and unique everywhere; and signing secrets."""

import os
import random
import secrets
import threading

from hookline._domain import ed25519, ids
from hookline._domain.signature import SecretKind, secret_from
from hookline.errors import InvalidInput

_START_BITS = ids.COUNTER_BITS - 1
_REMEMBERED = 256


class _Source:
    """Counts within a millisecond, so that one process's keys keep the order they were made in."""

    def __init__(self) -> None:
        # An instance of our own: an application that seeds `random` must not repeat our keys.
        self._bits = random.Random().getrandbits  # noqa: S311 - not a secret
        self._lock = threading.Lock()
        self._counters: dict[int, int] = {}  # of the last milliseconds, oldest first

    def new(self, now: int) -> bytes:
        with self._lock:
            counter = self._counters.get(now)
            if counter is None:
                # Several are remembered: an attempt's key has the time of its start, and must
                # not begin this millisecond's count anew.
                if len(self._counters) >= _REMEMBERED:
                    del self._counters[next(iter(self._counters))]
                counter = self._bits(_START_BITS)
            self._counters[now] = counter + 1
            return ids.uuid7(now, counter, self._bits(ids.RANDOM_BITS))


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


def generate_secret(kind: SecretKind = "hmac") -> str:
    """Return a new signing secret: `whsec_…` (24 random bytes), or `whsk_…` for "ed25519".

    An ed25519 key signs for receivers that must not be able to sign themselves, and needs
    `cryptography`: InvalidSecret says so. `Endpoint.public_key` is what they verify with.
    """
    if kind == "hmac":
        return secret_from(secrets.token_bytes(24))
    if kind == "ed25519":
        return ed25519.from_seed(secrets.token_bytes(ed25519.SEED))
    raise InvalidInput(f"kind: expected 'hmac' or 'ed25519', got {kind!r}")
