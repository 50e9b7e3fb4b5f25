"""Keys of the REST API: making, judging and revoking them."""

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from hookline._domain import api_key, ids
from hookline._domain.api_key import ApiKey
from hookline._engine.keys import new_key
from hookline._ports import Clock, Store
from hookline._said import Said
from hookline.errors import ApiKeyNotFound, InvalidInput

NOTED_EVERY = 60.0
"""Seconds between two notes that a key was used."""


class ApiKeys:
    """The keys of one deployment."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Take what keeps them, and the time."""
        self._store = store
        self._clock = clock

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now() / 1000, UTC)

    async def create(self, name: str, scopes: Iterable[str], expires_at: datetime | None) -> ApiKey:
        """Store a new key and return it with its token, which nobody can look up later."""
        milliseconds, now = self._clock.now(), self._now()
        if expires_at is not None and expires_at <= now:
            raise InvalidInput(
                Said("expires_at: {expires_at:%Y-%m-%dT%H:%M:%SZ} is past", expires_at=expires_at)
            )
        key = new_key(milliseconds)
        new = ApiKey(
            name=api_key.checked_name(name),
            scopes=api_key.checked_scopes(scopes),
            id=ids.encode(ids.API_KEY, key),
            created_at=now,
            expires_at=expires_at,
        )
        token = api_key.token(key, os.urandom(api_key.SECRET_BYTES))
        stored = await self._store.api_keys.add(key, api_key.hashed(token), new, milliseconds)
        return replace(stored, token=token)

    async def all(self) -> list[ApiKey]:
        """Return all keys, oldest first; those that were revoked too."""
        return await self._store.api_keys.all()

    async def revoke(self, key_id: str) -> ApiKey:
        """Revoke a key at once and for ever; raise ApiKeyNotFound."""
        key = ids.decode(ids.API_KEY, key_id)
        found = None
        if key is not None:
            found = await self._store.api_keys.revoke(key, self._clock.now())
        if found is None:
            raise ApiKeyNotFound(
                Said("no API key {key_id!r}; see Webhooks.api_keys()", key_id=key_id)
            )
        return found

    async def revoke_portals(self, app: bytes) -> list[str]:
        """Revoke the portal keys of an application that still open; return their ids."""
        found = await self._store.api_keys.revoke_portals(app, self._clock.now())
        return [ids.encode(ids.API_KEY, key) for key in found]

    async def authenticate(self, token: str) -> ApiKey:
        """Return the key a token belongs to; raise InvalidApiKey."""
        key = api_key.key_of(token)
        found = await self._store.api_keys.find(key)
        now = self._now()
        known = api_key.authenticated(token, found, now)
        last = known.last_used_at
        if last is None or (now - last).total_seconds() >= NOTED_EVERY:
            await self._store.api_keys.used(key, self._clock.now())
            return replace(known, last_used_at=now)
        return known
