"""Operational events: messages of a hidden application, published beside what they tell of."""

from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._domain import ids
from hookline._domain.operational import DISABLED, NAME, OPERATIONAL, payload
from hookline._domain.times import rfc3339
from hookline._engine.keys import new_key
from hookline._ports import NewMessage
from hookline._storage.part import Part
from hookline._storage.rows import message_row, time
from hookline._storage.schema import application, circuit, endpoint, message, outbox

_OWN = sa.select(application.c.id).where(application.c.uid == OPERATIONAL)


async def publish(
    connection: AsyncConnection,
    kind: str,
    key: bytes,
    now: int,
    data: dict[str, Any],
    about_message: bytes | None = None,
) -> bool:
    """Publish what happened to an endpoint, unless nobody is told; never about those who are."""
    own: bytes | None = await connection.scalar(_OWN)
    if own is None:
        return False
    found = (
        await connection.execute(
            sa.select(
                endpoint.c.app_id,
                endpoint.c.uid,
                application.c.uid.label("app_uid"),
                circuit.c.failing_since,
            )
            .join(application)
            .outerjoin(circuit, circuit.c.endpoint_id == endpoint.c.id)
            .where(endpoint.c.id == key)
        )
    ).first()
    listening = await connection.scalar(
        sa.select(endpoint.c.id).where(endpoint.c.app_id == own).limit(1)
    )
    if found is None or found.app_id == own or listening is None:
        return False
    about = {
        "appId": ids.encode(ids.APPLICATION, found.app_id),
        "appUid": found.app_uid,
        "endpointId": ids.encode(ids.ENDPOINT, key),
        "endpointUid": found.uid,
    }
    if about_message is not None:
        query = sa.select(message.c.event_id).where(message.c.id == about_message)
        about["msgId"] = ids.encode(ids.MESSAGE, about_message)
        about["msgEventId"] = await connection.scalar(query)
    if kind == DISABLED:  # a person may do that to one that does not fail
        since = found.failing_since or now
        about["failSince"] = rfc3339(time(since))
    body = orjson.dumps(payload(kind, {**about, **data}))
    new = NewMessage(new_key(now), own, kind, body, now, now)
    await connection.execute(message.insert(), message_row(new))
    await connection.execute(outbox.insert(), {"due_at": now, "message_id": new.key})
    return True


class SqlOperational(Part):
    """`_ports.Operational`."""

    async def application(self, now: int) -> bytes:
        """Return the key of the application whose endpoints are told; made when there is none."""
        async with self._reading() as connection:
            own: bytes | None = await connection.scalar(_OWN)
        if own is None:
            row = {
                "id": new_key(now),
                "uid": OPERATIONAL,
                "name": NAME,
                "metadata": {},
                "revision": 0,
                "created_at": now,
                "updated_at": now,
            }
            async with self._writing() as connection:
                insert = self._insert(application).on_conflict_do_nothing()
                await connection.execute(insert, row)
                own = (await connection.execute(_OWN)).scalar_one()
        return own

    async def wanted(self) -> bool:
        """Tell whether anybody is told."""
        query = sa.select(endpoint.c.id).join(application).where(application.c.uid == OPERATIONAL)
        async with self._reading() as connection:
            return await connection.scalar(query.limit(1)) is not None

    async def publish(
        self,
        kind: str,
        key: bytes,
        now: int,
        data: dict[str, Any],
        message: bytes | None = None,
    ) -> bool:
        """Publish what happened to an endpoint, or to a message there; False: nobody is told."""
        async with self._writing() as connection:
            return await publish(connection, kind, key, now, data, message)
