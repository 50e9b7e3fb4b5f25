"""Keys of the REST API: their rows."""

from typing import Any

import sqlalchemy as sa

from hookline._domain import ids
from hookline._domain.api_key import APPLICATION, PORTAL, ApiKey, with_ids
from hookline._domain.page import Page, Window
from hookline._storage import paging
from hookline._storage.audit import note
from hookline._storage.part import Part
from hookline._storage.rows import maybe_time, milliseconds, time
from hookline._storage.schema import api_key, application


class SqlApiKeys(Part):
    """`_ports.ApiKeys`."""

    async def add(self, key: bytes, hashed: bytes, new: ApiKey, now: int) -> ApiKey:
        """Store a key; InvalidInput when it is scoped to an application that does not exist."""
        wanted = [s.removeprefix(APPLICATION) for s in new.scopes if s.startswith(APPLICATION)]
        async with self._writing() as connection:
            known = {}
            for name in wanted:
                own = ids.decode(ids.APPLICATION, name)
                query = sa.select(application.c.id).where(
                    application.c.uid == name if own is None else application.c.id == own
                )
                found = await connection.scalar(query)
                if found is not None:
                    known[name] = ids.encode(ids.APPLICATION, found)
            values = {
                "id": key,
                "name": new.name,
                "hash": hashed,
                "scopes": list(with_ids(new.scopes, known)),
                "created_at": now,
                "expires_at": None if new.expires_at is None else milliseconds(new.expires_at),
            }
            await connection.execute(api_key.insert(), values)
            name = ids.encode(ids.API_KEY, key)
            await note(connection, "api_key.created", name, now, fields=["name", "scopes"])
            row = (await connection.execute(_select(key))).one()
        return _api_key(row)

    async def all(self) -> list[ApiKey]:
        """Return all keys, oldest first."""
        async with self._reading() as connection:
            rows = await connection.execute(sa.select(api_key).order_by(api_key.c.id))
            return [_api_key(row) for row in rows]

    async def page(self, window: Window, *, portal: bool) -> Page[ApiKey]:
        """Return keys in the order they were made; those of portals only if asked for."""
        query = sa.select(api_key)
        if not portal:
            query = query.where(~sa.cast(api_key.c.scopes, sa.Text).contains(f'"{PORTAL}"'))
        async with self._reading() as connection:
            rows, more = await paging.rows(connection, query, api_key.c.id, window)
        return Page([_api_key(row) for row in rows], more, rows[-1].id if rows else None)

    async def find(self, key: bytes) -> tuple[bytes, ApiKey] | None:
        """Return the hash of a key's token, and the key."""
        async with self._reading() as connection:
            row = (await connection.execute(_select(key))).first()
            return None if row is None else (row.hash, _api_key(row))

    async def used(self, key: bytes, now: int) -> None:
        """Note that a key was used."""
        async with self._writing() as connection:
            await connection.execute(
                api_key.update().where(api_key.c.id == key).values(last_used_at=now)
            )

    async def revoke(self, key: bytes, now: int) -> ApiKey | None:
        """Revoke a key unless it is already; None when there is no such key."""
        async with self._writing() as connection:
            revoked = await connection.execute(
                api_key.update()
                .where(api_key.c.id == key, api_key.c.revoked_at.is_(None))
                .values(revoked_at=now)
            )
            if revoked.rowcount:
                await note(connection, "api_key.revoked", ids.encode(ids.API_KEY, key), now)
            row = (await connection.execute(_select(key))).first()
            return None if row is None else _api_key(row)

    async def revoke_portals(self, app: bytes, now: int) -> list[bytes]:
        """Revoke the portal keys of an application that still open; return which."""
        scopes = sa.cast(api_key.c.scopes, sa.Text)
        owner = f'"{APPLICATION}{ids.encode(ids.APPLICATION, app)}"'
        opening = (
            scopes.contains(f'"{PORTAL}"'),
            scopes.contains(owner, autoescape=True),
            api_key.c.revoked_at.is_(None),
            sa.or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > now),
        )
        async with self._writing() as connection:
            revoked = await connection.scalars(
                api_key.update().where(*opening).values(revoked_at=now).returning(api_key.c.id)
            )
            found = list(revoked)
            for key in found:
                await note(connection, "api_key.revoked", ids.encode(ids.API_KEY, key), now)
        return found


def _select(key: bytes) -> sa.Select[Any]:
    return sa.select(api_key).where(api_key.c.id == key)


def _api_key(row: Any) -> ApiKey:
    return ApiKey(
        id=ids.encode(ids.API_KEY, row.id),
        name=row.name,
        scopes=tuple(row.scopes),
        created_at=time(row.created_at),
        expires_at=maybe_time(row.expires_at),
        last_used_at=maybe_time(row.last_used_at),
        revoked_at=maybe_time(row.revoked_at),
    )
