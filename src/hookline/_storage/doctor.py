"""Looking at a database without changing anything: for the doctor, and for readiness."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hookline._domain import ids
from hookline._domain.backlog import Backlog
from hookline._domain.breaker import Circuit, CircuitState
from hookline._domain.checks_delivery import PATIENCE
from hookline._domain.vitals import EndpointSigns, Pulse, Schema, Vitals
from hookline._storage import backlog as waiting
from hookline._storage import migrate, sealed
from hookline._storage.rows import opened_credentials, options_of
from hookline._storage.schema import (
    HELD,
    circuit,
    delivery,
    endpoint,
    endpoint_secret,
    handshake,
    outbox,
)
from hookline._storage.unreachable import explain, name
from hookline._storage.vault import Vault
from hookline.errors import SecretsLocked, StorageError

REACH = 5.0
"""Seconds until a database that does not answer counts as unreachable."""
MOST_LATE, MOST_STUCK = 100, 10_000
"""Endpoints, and deliveries of each, that are looked at for leases nobody took again."""

SIGNS = frozenset({"allowed_networks", "ca", "client_certificate", "proxy"})
"""Options the doctor looks at."""

Now = Callable[[], int]


async def reach(engine: AsyncEngine) -> None:
    """Raise StorageError, saying what to check, when the database cannot be opened."""
    if engine.url.get_backend_name() == "sqlite":
        from hookline._storage.sqlite import doctor as sqlite  # noqa: PLC0415 - one of the two

        sqlite.check_openable(str(engine.url.database))
        return
    async with _looking(engine):
        pass


async def pulse(engine: AsyncEngine) -> Pulse:
    """Return the schema's version and who is delivering; StorageError when out of reach.

    An SQLite file that is not there yet counts as one without our tables.
    """
    if engine.url.get_backend_name() == "sqlite":
        from hookline._storage.sqlite import doctor as sqlite  # noqa: PLC0415

        path = str(engine.url.database)
        sqlite.check_openable(path)
        if not sqlite.exists(path):
            return Pulse(Schema(None, migrate.HEAD), owned=sqlite.owned(path))
    async with _looking(engine) as connection, asyncio.timeout(REACH):
        return await _pulse(engine.url, connection)


async def vitals(engine: AsyncEngine, now: Now, vault: Vault) -> Vitals:
    """Return everything the doctor wants to know; StorageError when the database is out of reach.

    What waits for an endpoint is counted to `MOST_QUEUED`, so that a large queue costs no more.
    """
    async with _looking(engine) as connection:
        trip = await _trip(connection)
        found = await _pulse(engine.url, connection)
        signs = await connection.run_sync(_own_signs, engine.url, now)
        if found.schema.current:
            signs |= await connection.run_sync(_queue_signs, now(), vault)
        return Vitals(now(), name(engine.url), trip, found, **signs)


async def backlog(engine: AsyncEngine, now: int, app: bytes | None) -> Backlog:
    """Return what waits, in one application or in all.

    Raises StorageError when the database is out of reach, or of another schema.
    """
    async with _looking(engine) as connection, asyncio.timeout(REACH):
        found = await _pulse(engine.url, connection)
        if not found.schema.current:
            raise StorageError(found.schema.trouble)
        return await connection.run_sync(waiting.read, found, now, app)


@asynccontextmanager
async def _looking(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Connect for reading only; what goes wrong is raised with what to check."""
    try:
        if engine.url.get_backend_name() == "sqlite":
            from hookline._storage.sqlite import doctor as sqlite  # noqa: PLC0415

            async with sqlite.looking(str(engine.url.database)) as connection:
                yield connection
        else:
            connection = await _connected(engine)
            try:
                yield connection
            finally:
                await connection.close()
    except (sa.exc.DBAPIError, OSError) as error:
        raise StorageError(explain(engine.url, error)) from error


async def _connected(engine: AsyncEngine) -> AsyncConnection:
    try:
        async with asyncio.timeout(REACH):
            connection = await engine.connect()
    except TypeError as error:  # a parameter of the URL that the driver does not know
        raise StorageError(explain(engine.url, error)) from error
    # Each statement by itself: one that is not allowed does not spoil the others.
    return await connection.execution_options(isolation_level="AUTOCOMMIT")


async def _trip(connection: AsyncConnection) -> float:
    """Return how long (ms) one question and its answer take, at best."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        await connection.execute(sa.select(1))
        times.append(time.perf_counter() - began)
    return min(times) * 1000


async def _pulse(url: sa.URL, connection: AsyncConnection) -> Pulse:
    found = Schema(await connection.run_sync(migrate.version), migrate.HEAD)
    if url.get_backend_name() == "sqlite":
        from hookline._storage.sqlite import doctor as sqlite  # noqa: PLC0415

        return Pulse(found, owned=sqlite.owned(str(url.database)))
    from hookline._storage.postgresql import doctor as postgresql  # noqa: PLC0415

    workers = await connection.run_sync(postgresql.workers) if found.current else ()
    return Pulse(found, tuple(workers))


def _own_signs(connection: sa.Connection, url: sa.URL, now: Now) -> dict[str, Any]:
    """Return what only this kind of database has."""
    if url.get_backend_name() == "sqlite":
        from hookline._storage.sqlite import doctor as sqlite  # noqa: PLC0415

        return {"sqlite": sqlite.signs(connection, str(url.database))}
    from hookline._storage.postgresql import doctor as postgresql  # noqa: PLC0415

    return {"postgres": postgresql.signs(connection, now)}


def _queue_signs(connection: sa.Connection, now: int, vault: Vault) -> dict[str, Any]:
    """Return what our tables say."""
    unrouted, oldest = connection.execute(
        sa.select(sa.func.count(), sa.func.min(outbox.c.due_at)).where(outbox.c.due_at <= now)
    ).one()
    return {
        "unrouted": unrouted,
        "oldest_unrouted": oldest,
        "secrets": sealed.census(connection),
        "endpoints": _endpoints(connection, now, vault),
    }


def _endpoints(connection: sa.Connection, now: int, vault: Vault) -> list[EndpointSigns]:
    queues = {row.endpoint_id: row for row in connection.execute(waiting.waiting(now))}
    late = [key for key, q in queues.items() if q.due and q.oldest_due <= now - PATIENCE]
    stuck = {key: _stuck(connection, key, now) for key in late[:MOST_LATE]}
    circuits = {
        row.endpoint_id: Circuit(CircuitState(row.state), *tuple(row)[2:])
        for row in connection.execute(sa.select(circuit))
    }
    signed = set(connection.execute(sa.select(endpoint_secret.c.endpoint_id)).scalars())
    pending = {row.endpoint_id: row for row in connection.execute(sa.select(handshake))}
    found = []
    for row in connection.execute(sa.select(endpoint).order_by(endpoint.c.id)):
        asked = pending.get(row.id)
        queue, credentials = queues.get(row.id), {}
        with suppress(SecretsLocked):  # then it is not known, which another check tells of
            credentials = opened_credentials(vault, row.credentials, row.id)
        options = options_of(row.options, credentials)
        found.append(
            EndpointSigns(
                id=ids.encode(ids.ENDPOINT, row.id),
                url=row.url,
                signed=row.id in signed,
                disabled_at=row.disabled_at,
                disabled_reason=row.disabled_reason,
                pending_since=asked.since if asked else None,
                pending_detail=asked.detail if asked else "",
                next_try_at=asked.next_try_at if asked and asked.next_try_at < HELD else None,
                circuit=circuits.get(row.id),
                due=queue.due if queue else 0,
                oldest_due=queue.oldest_due if queue and queue.due else None,
                held=queue.held if queue else 0,
                stuck=stuck.get(row.id, 0),
                **{name: value for name, value in options.items() if name in SIGNS},
            )
        )
    return found


def _stuck(connection: sa.Connection, key: bytes, now: int) -> int:
    """Count the deliveries of an endpoint whose lease ran out long ago, the oldest ones."""
    oldest = (
        sa.select(delivery.c.lease)
        .where(delivery.c.endpoint_id == key, delivery.c.next_attempt_at <= now - PATIENCE)
        .order_by(delivery.c.next_attempt_at)
        .limit(MOST_STUCK)
        .subquery()
    )
    leased = sa.select(sa.func.count()).select_from(oldest).where(oldest.c.lease != 0)
    return connection.scalar(leased) or 0
