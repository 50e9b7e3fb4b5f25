"""Signing in: sessions of API keys, form tokens, and brakes for those who guess.

A session is a cookie with the key's id, an end, a random number and a MAC over them. The MAC's
secret is what is stored of the key's token, and the deployment's encryption key where there is one:
so sessions work on every process, end when their key is revoked or expires, and are worth nothing
to someone who has only a copy of the database.
"""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from hookline import ApiKey, Webhooks
from hookline._domain import ids
from hookline._domain.api_key import hashed
from hookline._web.engine import on_engine

LASTS = 12 * 3600
"""Seconds a session lasts."""
FRESH = 1.0
"""Seconds a key is remembered."""
MOST = 10_000
GUESSES, WINDOW = 10, 60.0
"""Wrong keys from one address within so many seconds; then it has to wait."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in."""

    key: ApiKey
    nonce: str
    ends: int
    form_token: str

    @property
    def may_write(self) -> bool:
        """Whether forms are shown, and taken."""
        return self.key.allows(None, write=True)


class Sessions:
    """Makes sessions, and recognises them."""

    def __init__(
        self,
        webhooks: Webhooks,
        fits: Callable[[ApiKey], bool] = lambda key: key.allows(None, write=False),
    ) -> None:
        """Keys are looked up through the façade; `fits` says which may have a session."""
        self._fits = fits
        self._webhooks = webhooks
        self._peppers = list(webhooks.settings.encryption_key) or [""]
        self._known: OrderedDict[str, tuple[float, tuple[bytes, ApiKey] | None]] = OrderedDict()
        self._ended: OrderedDict[str, int] = OrderedDict()

    def begin(self, token: str, key: ApiKey) -> str:
        """Return the cookie of a new session of the key with this token."""
        ends, nonce = int(time.time()) + LASTS, secrets.token_urlsafe(16)
        text = f"{key.id}.{ends}.{nonce}"
        return f"{text}.{_mac(self._secret(hashed(token), 0), 'session', text)}"

    async def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie; None when it is none, has ended, or its key has."""
        text, _, mac = cookie.rpartition(".")
        parts = text.split(".")
        if len(parts) != 3 or not parts[1].isdigit() or not cookie.isascii():  # noqa: PLR2004
            return None
        name, ends, nonce = parts[0], int(parts[1][:12]), parts[2]
        if ends <= time.time() or nonce in self._ended:
            return None
        found = await self._key(name)
        if found is None:
            return None
        stored, key = found
        for number in range(len(self._peppers)):
            secret = self._secret(stored, number)
            if hmac.compare_digest(_mac(secret, "session", text), mac):
                if key.usable(datetime.now(UTC)) or not self._fits(key):
                    return None
                return Session(key, nonce, ends, _mac(secret, "form", nonce))
        return None

    def end(self, session: Session) -> None:
        """End a session for good in this process; its cookie is gone besides."""
        now = int(time.time())
        while self._ended and (len(self._ended) >= MOST or next(iter(self._ended.values())) <= now):
            self._ended.popitem(last=False)
        self._ended[session.nonce] = session.ends

    def forget(self) -> None:
        """Look all keys up again: one was revoked."""
        self._known.clear()

    def _secret(self, stored: bytes, number: int) -> bytes:
        return hmac.digest(stored, self._peppers[number].encode(), hashlib.sha256)

    async def _key(self, name: str) -> tuple[bytes, ApiKey] | None:
        known = self._known.get(name)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        key = ids.decode(ids.API_KEY, name)
        if key is None:
            return None
        until = time.monotonic() + FRESH
        found = await on_engine(self._webhooks, lambda e: e.store.api_keys.find(key))
        while len(self._known) >= MOST:
            self._known.popitem(last=False)
        self._known[name] = (until, found)
        return found


def _mac(secret: bytes, what: str, text: str) -> str:
    return hmac.new(secret, f"{what}\0{text}".encode(), hashlib.sha256).hexdigest()


class Brakes:
    """Counts wrong keys by address."""

    def __init__(self) -> None:
        """Nobody has guessed yet."""
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, address: str) -> int:
        """Return the seconds an address has to wait; 0 for one that may try."""
        now = time.monotonic()
        recent = [at for at in self._wrong.get(address, ()) if at > now - WINDOW]
        if len(recent) < GUESSES:
            return 0
        return max(1, round(recent[-GUESSES] + WINDOW - now))

    def wrong(self, address: str) -> None:
        """Count a wrong key."""
        now = time.monotonic()
        recent = [at for at in self._wrong.pop(address, ()) if at > now - WINDOW]
        self._wrong[address] = [*recent, now][-GUESSES:]
        while len(self._wrong) > MOST:
            self._wrong.popitem(last=False)
