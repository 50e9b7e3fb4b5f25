"""Applications and event types: their rows. SQLAlchemy Core, once for all databases."""

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hookline._domain import ids
from hookline._domain.application import Application
from hookline._domain.audit import CODE
from hookline._domain.catalogue.described import Declared
from hookline._domain.event_type import DEFAULTS, EventType
from hookline._domain.handshake import Ownership
from hookline._domain.operational import OPERATIONAL
from hookline._domain.page import Page, Window
from hookline._engine.keys import new_key
from hookline._said import Said
from hookline._storage import paging
from hookline._storage.audit import note
from hookline._storage.handshake import demands
from hookline._storage.part import Part
from hookline._storage.rows import time
from hookline._storage.schema import (
    application,
    attempt,
    delivery,
    endpoint,
    event_type,
    idempotency,
    message,
    outbox,
)
from hookline.errors import AlreadyExists

BATCH = 500


class SqlApplications(Part):
    """`_ports.Applications`."""

    def __init__(self, engine: AsyncEngine, ownership: Ownership) -> None:
        """`ownership` is what new ones demand of their endpoints."""
        super().__init__(engine)
        self._demands = demands(ownership)

    async def create(
        self,
        values: Mapping[str, Any],
        now: int,
        *,
        get_if_exists: bool = False,
        key: bytes | None = None,
    ) -> tuple[Application, bool]:
        """Store a new application; return it, and whether it is new.

        One that is there under the same `key` was made by an earlier try. Raises AlreadyExists
        when the uid is taken, unless `get_if_exists`.
        """
        key = new_key(now) if key is None else key
        defaults: dict[str, Any] = {"uid": None, "metadata": {}, "rate_limit": None, "revision": 0}
        row = {
            **defaults,
            **self._demands,
            **values,
            "id": key,
            "created_at": now,
            "updated_at": now,
        }
        async with self._writing() as connection:
            made = await connection.execute(self._insert(application).on_conflict_do_nothing(), row)
            own = await self._one(connection, application.c.id == key)
            if made.rowcount:
                named = [name for name, value in values.items() if value]
                await note(connection, "application.created", _id(key), now, app=key, fields=named)
            if made.rowcount or own is not None:
                return _application(own), True
            if not get_if_exists:
                if values.get("uid") is None:
                    name = ids.encode(ids.APPLICATION, key)
                    raise AlreadyExists(
                        Said("id: there is, or was, an application {name!r} already", name=name)
                    )
                raise AlreadyExists(
                    Said("uid: there is an application {uid!r} already", uid=values["uid"])
                )
            return _application(await self._one(connection, application.c.uid == row["uid"])), False

    @staticmethod
    async def _one(connection: AsyncConnection, which: sa.ColumnElement[bool]) -> Any:
        query = sa.select(application).where(which, application.c.deleted_at.is_(None))
        return (await connection.execute(query)).first()

    async def key(self, name: str) -> bytes | None:
        """Return the key of the application with that id or uid."""
        async with self._reading() as connection:
            found = await self._one(connection, _named(name))
            return None if found is None else found.id

    async def get(self, key: bytes) -> Application | None:
        """Return an application."""
        async with self._reading() as connection:
            found = await self._one(connection, application.c.id == key)
            return None if found is None else _application(found)

    async def page(self, window: Window) -> Page[Application]:
        """Return applications in the order they were made."""
        listed = application.c.uid.is_distinct_from(OPERATIONAL)
        query = sa.select(application).where(application.c.deleted_at.is_(None), listed)
        async with self._reading() as connection:
            rows, more = await paging.rows(connection, query, application.c.id, window)
        return Page([_application(row) for row in rows], more, rows[-1].id if rows else None)

    async def update(self, key: bytes, values: Mapping[str, Any], now: int) -> Application | None:
        """Change the fields given; AlreadyExists when the uid is taken."""
        mine = application.c.id == key
        async with self._writing() as connection:
            taken = values.get("uid") is not None and await connection.scalar(
                sa.select(application.c.id).where(application.c.uid == values["uid"], ~mine)
            )
            if taken:
                raise AlreadyExists(
                    Said("uid: there is an application {uid!r} already", uid=values["uid"])
                )
            before = await self._one(connection, mine)
            if before is None:
                return None
            await connection.execute(
                application.update()
                .where(mine, application.c.deleted_at.is_(None))
                .values(**values, updated_at=now, revision=application.c.revision + 1)
            )
            changed = [name for name, value in values.items() if getattr(before, name) != value]
            if "rate_limit" in changed:  # what workers keep of its endpoints has it
                await connection.execute(
                    endpoint.update()
                    .where(endpoint.c.app_id == key)
                    .values(revision=endpoint.c.revision + 1)
                )
            if changed:
                await note(
                    connection, "application.updated", _id(key), now, app=key, fields=changed
                )
            found = await self._one(connection, mine)
            return None if found is None else _application(found)

    async def delete(self, key: bytes, now: int) -> bool:
        """Delete an application with its endpoints; False when it is gone already.

        Nothing is sent from now on. What else it left is removed by `purge`, batch by batch.
        """
        async with self._writing() as connection:
            gone = await connection.execute(
                application.update()
                .where(application.c.id == key, application.c.deleted_at.is_(None))
                .values(deleted_at=now, uid=None, revision=application.c.revision + 1)
            )
            if gone.rowcount:
                await connection.execute(endpoint.delete().where(endpoint.c.app_id == key))
                await note(connection, "application.deleted", _id(key), now, app=key)
            return bool(gone.rowcount)

    async def purge(self) -> int:
        """Remove what deleted applications left: messages, log, queue, keys. Return how many."""
        async with self._reading() as connection:
            query = sa.select(application.c.id).where(application.c.deleted_at.is_not(None))
            gone = (await connection.execute(query)).scalars().all()
        removed = 0
        for key in gone:
            while batch := await self._purge_batch(key):
                removed += batch
            async with self._writing() as connection:
                await connection.execute(idempotency.delete().where(idempotency.c.app_id == key))
                await connection.execute(application.delete().where(application.c.id == key))
        return removed

    async def _purge_batch(self, key: bytes) -> int:
        async with self._writing() as connection:
            query = sa.select(message.c.id).where(message.c.app_id == key).limit(BATCH)
            keys = (await connection.execute(query)).scalars().all()
            if keys:
                for column in (
                    outbox.c.message_id,
                    delivery.c.message_id,
                    attempt.c.message_id,
                    message.c.id,
                ):
                    await connection.execute(column.table.delete().where(column.in_(keys)))
            return len(keys)


def _id(key: bytes) -> str:
    return ids.encode(ids.APPLICATION, key)


def _named(name: str) -> sa.ColumnElement[bool]:
    key = ids.decode(ids.APPLICATION, name)
    return application.c.uid == name if key is None else application.c.id == key


def _application(row: Any) -> Application:
    return Application(
        id=ids.encode(ids.APPLICATION, row.id),
        uid=row.uid,
        name=row.name,
        rate_limit=row.rate_limit,
        metadata=row.metadata,
        created_at=time(row.created_at),
        updated_at=time(row.updated_at),
    )


class SqlEventTypes(Part):
    """`_ports.EventTypes`."""

    async def create(self, values: Mapping[str, Any], now: int) -> EventType:
        """Store a new event type; AlreadyExists when there is one with that name.

        An archived one counts as gone: it comes back as the new one says.
        """
        row = {**DEFAULTS, **values, "created_at": now, "updated_at": now}
        async with self._writing() as connection:
            insert = self._insert(event_type)
            again = {name: insert.excluded[name] for name in row if name != "name"}
            made = await connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["name"], set_=again, where=event_type.c.archived
                ),
                row,
            )
            if not made.rowcount:
                raise AlreadyExists(
                    Said("name: there is an event type {name!r} already", name=values["name"])
                )
            named = [name for name, value in values.items() if value]
            await note(connection, "event_type.created", values["name"], now, fields=named)
        return _event_type_of(row)

    async def declare(self, declared: Sequence[Declared], now: int) -> dict[str, list[str]]:
        """Make new ones; apply what the code changed since it was declared last.

        A field that the code did not change stays as it is, whatever was made of it by hand. So
        does an event type that was archived. Of one that was made by hand before any code declared
        it, only empty fields are filled.
        """
        digests = {each.name: _digests(each) for each in declared}
        async with self._reading() as connection:
            found = await _rows(connection, digests)
        if any(name not in found or found[name]["declared"] != digests[name] for name in digests):
            async with self._writing() as connection:
                for each in sorted(declared, key=lambda each: each.name):
                    await self._declare(connection, each, digests[each.name], now)
                found = await _rows(connection, digests)
        return {
            each.name: kept
            for each in declared
            if each.name in found
            and (kept := [f for f in _FIELDS if found[each.name][f] != _value(each, f)])
        }

    async def _declare(
        self, connection: AsyncConnection, declared: Declared, digests: dict[str, str], now: int
    ) -> None:
        values = {field: _value(declared, field) for field in _FIELDS}
        row = {**DEFAULTS, **values, "name": declared.name, "declared": digests}
        made = await connection.execute(
            self._insert(event_type).on_conflict_do_nothing(index_elements=["name"]),
            {**row, "created_at": now, "updated_at": now},
        )
        if made.rowcount:
            named = ["name", *(field for field, value in values.items() if value)]
            await note(
                connection, "event_type.created", declared.name, now, fields=named, actor=CODE
            )
            return
        mine = event_type.c.name == declared.name
        query = sa.select(event_type).where(mine).with_for_update()
        before = (await connection.execute(query)).mappings().first()
        if before is None:
            return  # somebody removed it just now
        last = before["declared"]
        changed = {
            field: value
            for field, value in values.items()
            if before[field] != value
            and (not before[field] if last is None else last.get(field) != digests[field])
        }
        await connection.execute(
            event_type.update()
            .where(mine)
            .values(**changed, declared=digests, **({"updated_at": now} if changed else {}))
        )
        if changed:
            await note(
                connection, "event_type.updated", declared.name, now, fields=changed, actor=CODE
            )

    async def get(self, name: str) -> EventType | None:
        """Return an event type."""
        async with self._reading() as connection:
            query = sa.select(event_type).where(event_type.c.name == name)
            row = (await connection.execute(query)).mappings().first()
            return None if row is None else _event_type_of(row)

    async def page(self, window: Window, *, archived: bool) -> Page[EventType]:
        """Return event types by name; archived ones only if asked for."""
        query = sa.select(event_type)
        if not archived:
            query = query.where(~event_type.c.archived)
        async with self._reading() as connection:
            rows, more = await paging.rows(connection, query, event_type.c.name, window)
        last = rows[-1].name if rows else None
        return Page([_event_type_of(row._asdict()) for row in rows], more, last)

    async def update(self, name: str, values: Mapping[str, Any], now: int) -> EventType | None:
        """Change the fields given; None when there is no such event type."""
        async with self._writing() as connection:
            mine = event_type.c.name == name
            before = (await connection.execute(sa.select(event_type).where(mine))).first()
            if before is None:
                return None
            changed = {**values, "updated_at": now}
            await connection.execute(event_type.update().where(mine).values(**changed))
            told = [field for field, value in values.items() if getattr(before, field) != value]
            if told:
                await note(connection, "event_type.updated", name, now, fields=told)
            row = (await connection.execute(sa.select(event_type).where(mine))).mappings().first()
            return None if row is None else _event_type_of(row)

    async def delete(self, name: str, now: int, *, expunge: bool) -> bool:
        """Archive an event type, or remove it; False when there is none."""
        async with self._writing() as connection:
            mine = event_type.c.name == name
            archive = event_type.update().where(mine).values(archived=True, updated_at=now)
            done = await connection.execute(event_type.delete().where(mine) if expunge else archive)
            if done.rowcount:
                action = "event_type.deleted" if expunge else "event_type.archived"
                await note(connection, action, name, now)
            return bool(done.rowcount)


_FIELDS = ("description", "schemas", "deprecated", "group_name")
"""What code declares of an event type."""


def _value(declared: Declared, field: str) -> Any:
    value = getattr(declared, field)
    return dict(value) if field == "schemas" and value is not None else value


def _digests(declared: Declared) -> dict[str, str]:
    texts = {
        field: json.dumps(_value(declared, field), sort_keys=True).encode() for field in _FIELDS
    }
    return {field: sha256(text).hexdigest()[:32] for field, text in texts.items()}


async def _rows(connection: AsyncConnection, names: Iterable[str]) -> dict[str, Mapping[Any, Any]]:
    query = sa.select(event_type).where(event_type.c.name.in_(list(names)))
    return {row["name"]: row for row in (await connection.execute(query)).mappings()}


def _event_type_of(row: Mapping[Any, Any]) -> EventType:
    return EventType(
        name=row["name"],
        description=row["description"],
        schemas=row["schemas"],
        archived=row["archived"],
        deprecated=row["deprecated"],
        group_name=row["group_name"],
        feature_flags=tuple(row["feature_flags"] or ()),
        created_at=time(row["created_at"]),
        updated_at=time(row["updated_at"]),
    )
