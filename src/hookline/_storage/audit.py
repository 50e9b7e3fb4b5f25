"""The audit log: its lines are written in the transaction of the change they tell of."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._domain import ids
from hookline._domain.audit import Actor, AuditEntry, AuditFilter, acting
from hookline._domain.operational import CHANGED, DISABLED, MANUAL
from hookline._domain.page import Page, Window
from hookline._engine.keys import new_key
from hookline._storage import operational, search
from hookline._storage.part import Part
from hookline._storage.rows import first_key, time
from hookline._storage.schema import audit, endpoint, message

LOOKED_AT = 20_000
"""Entries a page looks at, at most: they are small."""


async def note(
    connection: AsyncConnection,
    action: str,
    target: str,
    now: int,
    *,
    app: bytes | None = None,
    fields: Iterable[str] = (),
    actor: Actor | None = None,
) -> None:
    """Write that the one who is at work did something."""
    who = actor or acting.get()
    await connection.execute(
        audit.insert(),
        {
            "id": new_key(now),
            "app_id": app,
            "actor": who.kind,
            "actor_id": who.id,
            "actor_name": who.name,
            "action": action,
            "target": target,
            "fields": sorted(fields),
        },
    )


async def note_endpoint(
    connection: AsyncConnection,
    action: str,
    key: bytes,
    now: int,
    fields: Iterable[str] = (),
    actor: Actor | None = None,
) -> None:
    """Write that something was done to an endpoint that is there; of another nothing."""
    query = sa.select(endpoint.c.app_id).where(endpoint.c.id == key)
    app: bytes | None = await connection.scalar(query)
    if app is not None:
        name = ids.encode(ids.ENDPOINT, key)
        fields = sorted(fields)
        await note(connection, action, name, now, app=app, fields=fields, actor=actor)
        if action in CHANGED:
            trigger = MANUAL if action == DISABLED else None
            told = {"changed": fields, "trigger": trigger}
            await operational.publish(connection, action, key, now, told)


async def note_message(connection: AsyncConnection, action: str, key: bytes, now: int) -> None:
    """Write that something was done to a message."""
    query = sa.select(message.c.app_id).where(message.c.id == key)
    app: bytes | None = await connection.scalar(query)
    await note(connection, action, ids.encode(ids.MESSAGE, key), now, app=app)


class SqlAudit(Part):
    """`_ports.Audit`."""

    async def secret_read(self, key: bytes, now: int) -> None:
        """Note that an endpoint's secret is being shown."""
        async with self._writing() as connection:
            await note_endpoint(connection, "endpoint.secret_read", key, now)

    async def page(
        self, app: bytes | None, wanted: AuditFilter, window: Window
    ) -> Page[AuditEntry]:
        """Return entries, of one application if it is given."""
        looked_at = sa.select(audit)
        if app is not None:
            looked_at = looked_at.where(audit.c.app_id == app)
        within = search.span(wanted.after, wanted.before)
        async with self._reading() as connection:
            rows, more, last = await search.filtered(
                connection,
                looked_at,
                audit,
                partial(_conditions, wanted),
                window,
                within=within,
                most=LOOKED_AT,
            )
        return Page([_entry(row) for row in rows], more, last)

    async def prune(self, before: int) -> None:
        """Remove what is older, in small batches."""
        await self._prune(audit, audit.c.id < first_key(before))


def _conditions(wanted: AuditFilter, part: Any) -> list[sa.ColumnElement[bool]]:
    found = []
    if wanted.action is not None:
        family = wanted.action.removesuffix("*")
        if family != wanted.action:
            found.append(part.action.startswith(family, autoescape=True))
        else:
            found.append(part.action == wanted.action)
    if wanted.actor is not None:
        named = (part.actor, part.actor_id, part.actor_name)
        found.append(sa.or_(*(column == wanted.actor for column in named)))
    if wanted.target is not None:
        found.append(part.target == wanted.target)
    return found


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        id=ids.encode(ids.AUDIT, row.id),
        at=time(ids.milliseconds(row.id)),
        actor=Actor(row.actor, row.actor_id, row.actor_name),
        action=row.action,
        target=row.target,
        application=None if row.app_id is None else ids.encode(ids.APPLICATION, row.app_id),
        fields=tuple(row.fields),
    )
