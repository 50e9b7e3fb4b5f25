"""API keys as requests show them, remembered for a moment.

A request costs no read of the database when its key was seen within `FRESH`; so a key that is
revoked elsewhere goes on opening for that long. Revoked by this process, it is forgotten at once.
"""

import asyncio
import time
from datetime import UTC, datetime

from hookline import ApiKey, Webhooks
from hookline._domain.api_key import hashed

FRESH = 1.0
"""Seconds a key is remembered."""
MOST = 1024
"""Keys remembered."""


class Keys:
    """The keys that were seen lately."""

    def __init__(self, webhooks: Webhooks) -> None:
        """Take who knows them all."""
        self._webhooks = webhooks
        self._known: dict[bytes, tuple[float, ApiKey]] = {}
        self._asking: dict[bytes, asyncio.Task[ApiKey]] = {}

    async def authenticate(self, token: str) -> ApiKey:
        """Return the key that a token belongs to, or raise InvalidApiKey."""
        name = hashed(token)
        found = self._known.get(name)
        if found is not None and found[0] > time.monotonic():
            key = found[1]
            if key.expires_at is None or key.expires_at > datetime.now(UTC):
                return key
        # Those who ask at the same time share one question.
        asking = self._asking.get(name)
        if asking is None:
            asking = self._asking[name] = asyncio.create_task(self._ask(name, token))
            asking.add_done_callback(lambda done: self._answered(name, done))
        return await asyncio.shield(asking)

    def _answered(self, name: bytes, done: asyncio.Task[ApiKey]) -> None:
        del self._asking[name]
        if not done.cancelled():
            done.exception()  # whoever asked may have gone away

    async def _ask(self, name: bytes, token: str) -> ApiKey:
        until = time.monotonic() + FRESH
        self._known.pop(name, None)
        key = await self._webhooks.authenticate(token)
        while len(self._known) >= MOST:
            self._known.pop(next(iter(self._known)))
        self._known[name] = (until, key)
        return key

    def forget(self, key_id: str) -> None:
        """Forget a key: it was revoked."""
        for name in [n for n, (_, key) in self._known.items() if key.id == key_id]:
            del self._known[name]
