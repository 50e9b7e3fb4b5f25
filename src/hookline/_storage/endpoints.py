"""Endpoints: their secrets, and what changing one means for what waits for it."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hookline._domain import ids
from hookline._domain.audit import CODE, FILE, acting
from hookline._domain.breaker import CircuitState
from hookline._domain.endpoint import Endpoint
from hookline._domain.history import EndpointHealth
from hookline._domain.page import Page, Window
from hookline._engine.keys import new_key
from hookline._said import Said
from hookline._storage import backlog, endpoint_rows, paging, replay, sealed
from hookline._storage import handshake as pending
from hookline._storage.audit import note_endpoint
from hookline._storage.part import Part
from hookline._storage.rows import (
    SECRET,
    maybe_time,
    time,
)
from hookline._storage.schema import (
    application,
    attempt,
    circuit,
    delivery,
    endpoint,
    endpoint_secret,
    handshake,
)
from hookline._storage.vault import Vault
from hookline.errors import AlreadyExists, EndpointNotFound, InvalidInput, SecretsLocked

NOTHING_GRANTED = {"granted_origin": None, "granted_rate": None}
HALF = 32
"""Where the secret's half of a declaration's digest begins."""
LEFT_FILE = "removed from the webhooks file"

BATCH = 1000
_WITH_STATE = sa.select(endpoint, handshake.c.since, handshake.c.reason).join(
    handshake, isouter=True
)


class SqlEndpoints(Part):
    """`_ports.Endpoints`."""

    def __init__(self, engine: AsyncEngine, *, vault: Vault) -> None:
        """`vault` seals and opens secrets."""
        super().__init__(engine)
        self._vault = vault

    # declared in code and file -------------------------------------------------------------

    async def declare(self, app: bytes, endpoints: Sequence[Endpoint], now: int) -> None:
        """Insert new declarations, apply changed ones, leave unchanged ones alone.

        An unchanged declaration does not undo what was changed since by other means, such as a
        rotated secret. One that is back in the file it had left is enabled again, and what was
        held for it meanwhile is sent.
        """
        async with self._writing() as connection:
            # Processes that start together declare the same endpoints: one after the other.
            await self._lock(connection, app)
            back = [await self._declare(connection, app, each, now) for each in endpoints]
        for key in filter(None, back):
            await replay.release_all(self._writing, key, now)

    async def _declare(
        self, connection: AsyncConnection, app: bytes, declared: Endpoint, now: int
    ) -> bytes | None:
        """Store one declaration; return its key when what is held for it may be sent.

        It is back in the file it had left, or need not prove any more that it expects webhooks.
        """
        digest = endpoint_rows.digest(declared)
        found = (
            await connection.execute(
                sa.select(endpoint).where(
                    endpoint.c.app_id == app, endpoint.c.declared_url == declared.url
                )
            )
        ).first()
        back, moved, before = False, True, None
        key = new_key(now) if found is None else found.id
        values = endpoint_rows.columns(self._vault, declared, key, now)
        del values["uid"]  # given by people, not by a declaration
        values["declared_digest"] = sealed.digest(self._vault, digest, key)
        if found is None:
            fixed = {"id": key, "app_id": app, "declared_url": declared.url, "created_at": now}
            await connection.execute(endpoint.insert(), {**fixed, **values, "revision": 0})
        else:
            before = sealed.opened_digest(self._vault, found.declared_digest, key)
            moved = found.url != declared.url
            back = found.disabled_at is not None and found.disabled_reason == LEFT_FILE
            if before == digest and found.source == declared.source and not back:
                return None
            if back:
                values |= {"disabled_at": None, "disabled_reason": None}
            if moved:
                values |= NOTHING_GRANTED
            await connection.execute(endpoint.update().where(endpoint.c.id == key), values)
        if (before or b"")[HALF:] != digest[HALF:]:
            await self._replace_secrets(connection, key, declared.secret, now)
        lifted = await self._demand(connection, app, key, declared.handshake, now, elsewhere=moved)
        await self._touch(connection, key)
        given = endpoint_rows.given(declared)
        given["uid"] = found.uid if found is not None else None
        told = endpoint_rows.told(self._vault, found, given)
        signed = found is not None or declared.secret is not None
        if signed and (before or b"")[HALF:] != digest[HALF:]:
            told.add("secret")
        action = "endpoint.created" if found is None else "endpoint.updated"
        actor = FILE if declared.source == "file" else acting.get()
        await note_endpoint(connection, action, key, now, told, actor)
        return key if back or lifted else None

    async def _replace_secrets(
        self, connection: AsyncConnection, key: bytes, secret: str | None, now: int
    ) -> None:
        mine = endpoint_secret.c.endpoint_id == key
        newest = (
            await connection.execute(
                sa.select(endpoint_secret).where(mine).order_by(endpoint_secret.c.id.desc())
            )
        ).first()
        if newest is not None and secret is not None:
            with suppress(SecretsLocked):
                if self._vault.open(newest.secret, SECRET, newest.id) == secret:
                    return  # what overlaps it goes on overlapping
        await connection.execute(endpoint_secret.delete().where(mine))
        if secret is not None:
            await self._add_secret(connection, key, secret, now)

    async def _add_secret(
        self, connection: AsyncConnection, key: bytes, secret: str, now: int
    ) -> None:
        row = new_key(now)
        text = self._vault.seal(secret, SECRET, row)
        values = {"id": row, "endpoint_id": key, "secret": text}
        await connection.execute(endpoint_secret.insert(), values)

    @staticmethod
    async def _touch(connection: AsyncConnection, key: bytes) -> None:
        """Make every worker read the endpoint again before its next delivery."""
        await connection.execute(
            endpoint.update().where(endpoint.c.id == key).values(revision=endpoint.c.revision + 1)
        )
        owner = sa.select(endpoint.c.app_id).where(endpoint.c.id == key).scalar_subquery()
        await connection.execute(
            application.update()
            .where(application.c.id == owner)
            .values(revision=application.c.revision + 1)
        )

    async def retire(
        self, app: bytes, source: str, keep: Iterable[str], reason: str, now: int
    ) -> list[str]:
        """Disable the enabled endpoints of `source` whose declared URL is not in `keep`."""
        keep = set(keep)
        async with self._writing() as connection:
            rows = await connection.execute(
                sa.select(endpoint.c.id, endpoint.c.declared_url).where(
                    endpoint.c.app_id == app,
                    endpoint.c.source == source,
                    endpoint.c.disabled_at.is_(None),
                )
            )
            gone = [(key, url) for key, url in rows if url not in keep]
            actor = FILE if source == "file" else CODE
            for key, _ in gone:
                await self._set_disabled(connection, key, now, reason)
                await note_endpoint(connection, "endpoint.disabled", key, now, actor=actor)
            return [url for _, url in gone]

    # looking up ----------------------------------------------------------------------------

    async def all(self, app: bytes) -> list[Endpoint]:
        """Return all endpoints, oldest first, with their newest secret."""
        async with self._reading() as connection:
            rows = await connection.execute(_WITH_STATE.where(_of(app)).order_by(endpoint.c.id))
            return await self._endpoints(connection, rows.all())

    async def page(self, app: bytes, window: Window) -> Page[Endpoint]:
        """Return endpoints in the order they were made."""
        async with self._reading() as connection:
            query = _WITH_STATE.where(_of(app))
            rows, more = await paging.rows(connection, query, endpoint.c.id, window)
            found = await self._endpoints(connection, rows)
        return Page(found, more, rows[-1].id if rows else None)

    async def find(self, app: bytes, names: Iterable[str]) -> Endpoint | None:
        """Return the oldest endpoint with one of these ids, uids or URLs."""
        names = list(names)
        keys = [key for name in names if (key := ids.decode(ids.ENDPOINT, name)) is not None]
        named = sa.or_(
            endpoint.c.id.in_(keys), endpoint.c.uid.in_(names), endpoint.c.url.in_(names)
        )
        async with self._reading() as connection:
            query = _WITH_STATE.where(_of(app), named).order_by(endpoint.c.id).limit(1)
            rows = await connection.execute(query)
            return next(iter(await self._endpoints(connection, rows.all())), None)

    async def get(self, app: bytes, keys: Iterable[bytes]) -> dict[bytes, Endpoint]:
        """Return those endpoints that exist, by key."""
        async with self._reading() as connection:
            query = _WITH_STATE.where(_of(app), endpoint.c.id.in_(list(keys)))
            rows = (await connection.execute(query)).all()
            found = await self._endpoints(connection, rows)
            return {row.id: each for row, each in zip(rows, found, strict=True)}

    async def _endpoints(self, connection: AsyncConnection, rows: Sequence[Any]) -> list[Endpoint]:
        mine = endpoint_secret.c.endpoint_id.in_([row.id for row in rows])
        secrets = await connection.execute(
            sa.select(endpoint_secret).where(mine).order_by(endpoint_secret.c.id)
        )
        newest = {row.endpoint_id: row for row in secrets}
        return [endpoint_rows.endpoint_of(self._vault, row, newest.get(row.id)) for row in rows]

    async def health(self, app: bytes, key: bytes, now: int) -> EndpointHealth | None:
        """Return how an endpoint is doing: its circuit, what waits for it, what was tried last."""
        last = (
            sa.select(attempt.c.started_at, attempt.c.state, attempt.c.status, attempt.c.failure)
            .where(attempt.c.endpoint_id == key)
            .order_by(attempt.c.id.desc())
            .limit(1)
        )
        async with self._reading() as connection:
            found = (
                await connection.execute(_WITH_STATE.where(_of(app), endpoint.c.id == key))
            ).first()
            if found is None:
                return None
            [seen] = await self._endpoints(connection, [found])
            broken = sa.select(circuit).where(circuit.c.endpoint_id == key)
            trouble = (await connection.execute(broken)).first()
            queued = await backlog.queued(connection, key, now)
            tried = (await connection.execute(last)).first()
        blocked = trouble.blocked_until if trouble is not None else 0
        due = queued.next_due
        return EndpointHealth(
            state=seen.state,
            circuit=CircuitState.CLOSED if trouble is None else CircuitState(trouble.state),
            failures=0 if trouble is None else trouble.failures,
            failing_since=maybe_time(trouble.failing_since) if trouble is not None else None,
            waits_until=time(blocked) if blocked > now else None,
            pending=queued.pending,
            sending=queued.sending,
            held=queued.held,
            next_attempt_at=None if due is None else time(max(due, blocked)),
            last_attempt_at=time(tried.started_at) if tried is not None else None,
            last_status=tried.status if tried is not None else None,
            last_failure=tried.failure if tried is not None else None,
        )

    # made and changed by people ------------------------------------------------------------

    async def create(
        self, app: bytes, new: Endpoint, now: int, key: bytes | None = None
    ) -> Endpoint:
        """Store an endpoint; AlreadyExists when the uid is taken in its application.

        One that is there under the same `key` was made by an earlier try.
        """
        if key is not None and (made := await self.get(app, [key])):
            return made[key]
        key = new_key(now) if key is None else key
        async with self._writing() as connection:
            await self._lock(connection, app)
            await self._check_uid(connection, app, key, new.uid)
            row = endpoint_rows.columns(self._vault, new, key, now)
            fixed = {"id": key, "app_id": app, "created_at": now, "revision": 0}
            disabled = {"disabled_at": now, "disabled_reason": new.disabled_reason}
            held = disabled if new.disabled_reason else {}
            await connection.execute(endpoint.insert(), {**fixed, **row, **held})
            if new.secret is not None:
                await self._add_secret(connection, key, new.secret, now)
            await self._demand(connection, app, key, new.handshake, now, elsewhere=True)
            await self._touch(connection, key)
            told = endpoint_rows.told(self._vault, None, endpoint_rows.given(new))
            await note_endpoint(connection, "endpoint.created", key, now, told)
        return (await self.get(app, [key]))[key]

    async def update(
        self, app: bytes, key: bytes, changes: Mapping[str, Any], now: int
    ) -> tuple[Endpoint, int]:
        """Change the fields given, by `Endpoint`'s names; `disabled_reason` None enables.

        Returns the endpoint and how many held deliveries are due now. What is not named stays as
        it is. Raises EndpointNotFound, AlreadyExists for a uid that is taken, or SecretsLocked.
        """
        async with self._writing() as connection:
            await self._lock(connection, app)
            mine = endpoint.c.id == key
            query = sa.select(endpoint).where(mine, _of(app)).with_for_update()
            row = (await connection.execute(query)).first()
            if row is None:
                raise EndpointNotFound(
                    Said("no endpoint {name!r}", name=ids.encode(ids.ENDPOINT, key))
                )
            if "uid" in changes:
                await self._check_uid(connection, app, key, changes["uid"])
            freed = await self._change(connection, row, changes, now)
        released = await replay.release_all(self._writing, key, now) if freed else 0
        return (await self.get(app, [key]))[key], released

    async def _change(
        self, connection: AsyncConnection, row: Any, changes: Mapping[str, Any], now: int
    ) -> bool:
        """Change the fields given; return whether what is held may have to be sent."""
        values = endpoint_rows.changed(self._vault, row, changes, now)
        if "disabled_reason" in changes:
            reason = changes["disabled_reason"]
            off = None if reason is None else now
            values |= {"disabled_at": off, "disabled_reason": reason}
        moved = changes.get("url", row.url) != row.url
        if moved:
            values |= NOTHING_GRANTED
        await connection.execute(endpoint.update().where(endpoint.c.id == row.id), values)
        own = values.get("options", row.options).get("handshake")
        lifted = await self._demand(connection, row.app_id, row.id, own, now, elsewhere=moved)
        await self._touch(connection, row.id)
        if told := endpoint_rows.told(self._vault, row, changes):
            await note_endpoint(connection, "endpoint.updated", row.id, now, told)
        return lifted or "disabled_reason" in changes

    async def _demand(
        self,
        connection: AsyncConnection,
        app: bytes,
        key: bytes,
        own: str | None,
        now: int,
        *,
        elsewhere: bool,
    ) -> bool:
        """Demand the handshake that is due, or none; return whether a pending one is active now."""
        demanded = await pending.demanded(connection, app, own)
        insert = self._insert(handshake)
        return await pending.changed(connection, insert, key, demanded, now, elsewhere=elsewhere)

    @staticmethod
    async def _lock(connection: AsyncConnection, app: bytes) -> None:
        """Change the endpoints of an application one after the other."""
        mine = application.c.id == app
        await connection.execute(sa.select(application.c.id).where(mine).with_for_update())

    @staticmethod
    async def _check_uid(
        connection: AsyncConnection, app: bytes, key: bytes, uid: str | None
    ) -> None:
        taken = sa.select(endpoint.c.id).where(
            _of(app), endpoint.c.uid == uid, endpoint.c.id != key
        )
        if uid is not None and await connection.scalar(taken):
            raise AlreadyExists(Said("uid: there is an endpoint {uid!r} already", uid=uid))

    async def delete(self, app: bytes, key: bytes, now: int) -> bool:
        """Delete an endpoint and cancel what waits for it; False when it is gone already.

        What was sent stays in the log. The queue is emptied in batches, before the row goes.
        """
        mine = sa.and_(endpoint.c.id == key, _of(app))
        async with self._writing() as connection:
            await self._lock(connection, app)
            if await connection.scalar(sa.select(endpoint.c.id).where(mine)) is None:
                return False
            await note_endpoint(connection, "endpoint.deleted", key, now)
            await connection.execute(
                endpoint.update()
                .where(mine)
                .values(disabled_at=now, disabled_reason="deleted", declared_url=None, uid=None)
            )
            await self._touch(connection, key)
        await self._empty(key)
        async with self._writing() as connection:
            await self._lock(connection, app)
            await self._touch(connection, key)
            await connection.execute(endpoint.delete().where(mine))
            await connection.execute(circuit.delete().where(circuit.c.endpoint_id == key))
            return True

    async def sweep(self) -> int:
        """Remove what was still routed to endpoints while they were deleted; return how much."""
        walk = paging.walk(delivery.c.endpoint_id)
        known = sa.exists().where(endpoint.c.id == walk.c.id)
        async with self._reading() as connection:
            orphans = await connection.execute(
                sa.select(walk.c.id).where(walk.c.id.is_not(None), ~known)
            )
            gone = orphans.scalars().all()
        return sum([await self._empty(key) for key in gone])

    async def _empty(self, key: bytes) -> int:
        """Take everything that waits for an endpoint out of the queue, batch by batch."""
        removed = 0
        mine = delivery.c.endpoint_id == key
        while True:
            async with self._writing() as connection:
                some = sa.select(delivery.c.message_id).where(mine).limit(BATCH)
                batch = (await connection.execute(some)).scalars().all()
                await connection.execute(
                    delivery.delete().where(mine, delivery.c.message_id.in_(batch))
                )
            removed += len(batch)
            if len(batch) < BATCH:
                return removed

    # secrets and states ---------------------------------------------------------------------

    async def rotate_secret(self, key: bytes, secret: str, expires_at: int, now: int) -> None:
        """Make `secret` the newest; the others sign until `expires_at` at the latest."""
        async with self._writing() as connection:
            mine = endpoint_secret.c.endpoint_id == key
            ends = endpoint_secret.c.expires_at
            await connection.execute(
                endpoint_secret.delete().where(mine, ends.is_not(None), ends <= now)
            )
            await connection.execute(
                endpoint_secret.update()
                .where(mine, sa.or_(ends.is_(None), ends > expires_at))
                .values(expires_at=expires_at)
            )
            await self._add_secret(connection, key, secret, now)
            await self._touch(connection, key)
            await note_endpoint(connection, "endpoint.secret_rotated", key, now)

    async def enable(self, key: bytes, now: int) -> int:
        """Enable an endpoint; make what was held due now and return how many that were."""
        async with self._writing() as connection:
            await self._set_disabled(connection, key, None, None)
            await note_endpoint(connection, "endpoint.enabled", key, now)
        return await replay.release_all(self._writing, key, now)

    async def disable(self, key: bytes, reason: str, now: int) -> None:
        """Disable an endpoint."""
        async with self._writing() as connection:
            await self._set_disabled(connection, key, now, reason)
            await note_endpoint(connection, "endpoint.disabled", key, now)

    async def change_url(self, key: bytes, url: str, now: int) -> None:
        """Send an endpoint's deliveries elsewhere; pending again where a handshake is demanded.

        Raises InvalidInput when another endpoint of the application has that URL.
        """
        async with self._writing() as connection:
            one = endpoint.c.id == key
            app = await connection.scalar(sa.select(endpoint.c.app_id).where(one))
            if app is None:
                return
            await self._lock(connection, app)
            urls = sa.or_(endpoint.c.url == url, endpoint.c.declared_url == url)
            taken = sa.select(endpoint.c.id).where(endpoint.c.app_id == app, urls)
            if await connection.scalar(taken.where(endpoint.c.id != key)):
                raise InvalidInput(Said("url: {url} is that of another endpoint", url=url))
            row = (await connection.execute(sa.select(endpoint).where(one))).first()
            if row is None or row.url == url:
                return
            freed = await self._change(connection, row, {"url": url}, now)
        if freed:
            await replay.release_all(self._writing, key, now)

    async def _set_disabled(
        self, connection: AsyncConnection, key: bytes, at: int | None, reason: str | None
    ) -> None:
        await connection.execute(
            endpoint.update()
            .where(endpoint.c.id == key)
            .values(disabled_at=at, disabled_reason=reason)
        )
        await self._touch(connection, key)


def _of(app: bytes) -> sa.ColumnElement[bool]:
    return endpoint.c.app_id == app
