"""Pending endpoints: one row each until their receivers have proved that they expect webhooks.

A try is claimed with a lease and made outside of any transaction; what it came to is written in
another, fenced by the lease. A URL that changes meanwhile takes the lease away.
"""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hookline._domain.endpoint import Target
from hookline._domain.handshake import Handshake, Ownership, Proof
from hookline._ports import LeasedHandshake
from hookline._storage import replay
from hookline._storage import rows as row_of
from hookline._storage.batch import new_lease
from hookline._storage.part import Part
from hookline._storage.schema import HELD, application, endpoint, endpoint_secret, handshake
from hookline._storage.vault import Vault

NEVER = HELD
"""`next_try_at` after the last try."""
_TEXT = [sa.cast(endpoint.c[name], sa.Text).label(name) for name in ("options", "retry_schedule")]
_owner = application.alias()
_ROW = [
    endpoint.c.id,
    endpoint.c.app_id,
    endpoint.c.revision,
    endpoint.c.url,
    *_TEXT,
    endpoint.c.headers,
    endpoint.c.credentials,
    endpoint.c.timeout,
    endpoint.c.concurrency,
    endpoint.c.rate_limit,
    endpoint.c.ordered,
    endpoint.c.disabled_at,
    endpoint.c.disabled_reason,
    endpoint.c.granted_origin,
    endpoint.c.granted_rate,
    sa.select(_owner.c.rate_limit)
    .where(_owner.c.id == endpoint.c.app_id)
    .scalar_subquery()
    .label("app_rate"),
    handshake.c.endpoint_id.is_not(None).label("pending"),
]
"""What `rows.target` wants, JSON as the text it is."""


class SqlHandshakes(Part):
    """`_ports.Handshakes`."""

    def __init__(self, engine: AsyncEngine, *, vault: Vault) -> None:
        """`vault` opens the secrets of endpoints."""
        super().__init__(engine)
        self._vault = vault

    async def next_due(self) -> int | None:
        """Return when (Unix ms) the next try may be made."""
        enabled = handshake.join(endpoint).select().where(endpoint.c.disabled_at.is_(None))
        first = (
            enabled.with_only_columns(handshake.c.next_try_at)
            .where(handshake.c.next_try_at < NEVER)
            .order_by(handshake.c.next_try_at)
            .limit(1)
        )
        async with self._reading() as connection:
            due: int | None = await connection.scalar(first)
            return due

    async def claim(
        self, room: int, now: int, lease_ms: int, timeout_ms: int
    ) -> list[LeasedHandshake]:
        """Lease due tries, each for its own timeout and `lease_ms` beyond."""
        due = (
            sa.select(
                *_ROW,
                handshake.c.step,
                handshake.c.tries,
                application.c.handshake.label("application_handshake"),
                application.c.handshake_origin,
            )
            .join(handshake)
            .join(application, application.c.id == endpoint.c.app_id)
            .where(handshake.c.next_try_at <= now, endpoint.c.disabled_at.is_(None))
            .order_by(handshake.c.next_try_at)
            .limit(room)
            .with_for_update(of=handshake, skip_locked=True)
        )
        async with self._writing() as connection:
            rows = (await connection.execute(due)).mappings().all()
            targets = await _targets(connection, rows, self._vault)
            claimed = [_leased(row, targets[row["id"]], new_lease()) for row in rows]
            for each in claimed:
                timeout = each.target.timeout
                patience = timeout_ms if timeout is None else int(timeout * 1000)
                await connection.execute(
                    handshake.update()
                    .where(handshake.c.endpoint_id == each.target.key)
                    .values(lease=each.lease, next_try_at=now + patience + lease_ms)
                )
            return claimed

    async def succeed(self, leased: LeasedHandshake, proof: Proof, now: int) -> int | None:
        """Make the endpoint active; return how many held deliveries are due, None: lease lost."""
        key = leased.target.key
        async with self._writing() as connection:
            await _lock_application(connection, leased.app)
            if not await _still_ours(connection, leased):
                return None
            cloudevents = leased.handshake is Handshake.CLOUDEVENTS
            await lift(connection, key)
            await connection.execute(
                endpoint.update()
                .where(endpoint.c.id == key)
                .values(
                    granted_origin=leased.origin if cloudevents else None,
                    granted_rate=proof.granted_rate,
                    revision=endpoint.c.revision + 1,
                )
            )
            await connection.execute(
                application.update()
                .where(application.c.id == leased.app)
                .values(revision=application.c.revision + 1)
            )
        return await replay.release_all(self._writing, key, now)

    async def fail(self, leased: LeasedHandshake, proof: Proof, next_try_at: int | None) -> bool:
        """Note why a try failed, and when the next is made; False when the lease was lost."""
        async with self._writing() as connection:
            if not await _still_ours(connection, leased):
                return False
            await connection.execute(
                handshake.update()
                .where(handshake.c.endpoint_id == leased.target.key)
                .values(
                    lease=0,
                    step=handshake.c.step + 1,
                    tries=handshake.c.tries + 1,
                    next_try_at=NEVER if next_try_at is None else next_try_at,
                    reason=proof.reason,
                    detail=proof.detail,
                )
            )
            return True

    async def give_back(self, leased: LeasedHandshake, now: int) -> None:
        """Leave a try that was not made to another worker, due at once."""
        async with self._writing() as connection:
            await connection.execute(
                handshake.update()
                .where(
                    handshake.c.endpoint_id == leased.target.key, handshake.c.lease == leased.lease
                )
                .values(lease=0, next_try_at=now)
            )

    async def ask(self, endpoint_key: bytes, now: int) -> int | None:
        """Make a try due now, the first of a fresh schedule, unless one is under way."""
        async with self._writing() as connection:
            mine = handshake.c.endpoint_id == endpoint_key
            row = (
                await connection.execute(sa.select(handshake).where(mine).with_for_update())
            ).first()
            if row is None:
                return None
            if not row.lease or row.next_try_at <= now:
                await _again(connection, endpoint_key, now)
            return int(row.tries)

    async def tries(self, endpoint_key: bytes) -> int | None:
        """Return how many tries were made; None when the endpoint is not pending."""
        async with self._reading() as connection:
            made: int | None = await connection.scalar(
                sa.select(handshake.c.tries).where(handshake.c.endpoint_id == endpoint_key)
            )
            return made

    async def target(self, endpoint_key: bytes) -> Target | None:
        """Return what sending to an endpoint needs, as it is now."""
        async with self._reading() as connection:
            found = await connection.execute(
                sa.select(*_ROW).join(handshake, isouter=True).where(endpoint.c.id == endpoint_key)
            )
            rows = found.mappings().all()
            return (await _targets(connection, rows, self._vault)).get(endpoint_key)


def demands(wanted: Ownership) -> dict[str, str]:
    """Return the columns that hold what an application demands of its endpoints."""
    told = {"handshake": wanted.handshake, "handshake_origin": wanted.origin}
    return {name: str(value) for name, value in told.items() if value is not None}


async def adopt(connection: AsyncConnection, wanted: Ownership, now: int) -> bool:
    """Store what applications demand; return whether that changed.

    Whatever is pending then is tried anew, in the new way. What is active stays so.
    """
    values = demands(wanted)
    if not values:
        return False
    other = sa.or_(*(application.c[name] != value for name, value in values.items()))
    found = await connection.execute(sa.select(application.c.id).where(other).with_for_update())
    changed = found.scalars().all()
    if not changed:
        return False
    await connection.execute(application.update().where(other).values(values))
    pending = sa.select(endpoint.c.id).where(endpoint.c.app_id.in_(changed))
    await connection.execute(
        handshake.update()
        .where(handshake.c.endpoint_id.in_(pending))
        .values(lease=0, step=0, next_try_at=now)
    )
    return True


async def demanded(connection: AsyncConnection, app: bytes, own: str | None) -> Handshake:
    """Return what an endpoint has to do: its own option, else what its application demands."""
    if own is not None:
        return Handshake(own)
    stored = await connection.scalar(
        sa.select(application.c.handshake).where(application.c.id == app)
    )
    return Handshake(stored or Handshake.NONE)


async def require(connection: AsyncConnection, insert: Any, key: bytes, now: int) -> None:
    """Make an endpoint pending, with a try due now; one under way has lost its lease."""
    fresh = {"since": now, "step": 0, "lease": 0, "next_try_at": now, "reason": "", "detail": ""}
    await connection.execute(
        insert.values(endpoint_id=key, tries=0, **fresh).on_conflict_do_update(
            index_elements=["endpoint_id"], set_=fresh
        )
    )


async def lift(connection: AsyncConnection, key: bytes) -> bool:
    """End an endpoint's being pending; return whether it was."""
    gone = await connection.execute(handshake.delete().where(handshake.c.endpoint_id == key))
    return bool(gone.rowcount)


async def changed(
    connection: AsyncConnection,
    insert: Any,
    key: bytes,
    handshake_: Handshake,
    now: int,
    *,
    elsewhere: bool,
) -> bool:
    """Do what a new or changed endpoint calls for; return whether a pending one is active now.

    `elsewhere`: it is new, or its URL is another than before. Otherwise something else was
    changed, and if it is pending, that may have been what was missing.
    """
    if handshake_ is Handshake.NONE:
        return await lift(connection, key)
    if elsewhere:
        await require(connection, insert, key, now)
    else:
        await _again(connection, key, now)
    return False


async def _again(connection: AsyncConnection, key: bytes, now: int) -> None:
    await connection.execute(
        handshake.update()
        .where(handshake.c.endpoint_id == key)
        .values(lease=0, step=0, next_try_at=now)
    )


async def _lock_application(connection: AsyncConnection, app: bytes) -> None:
    """Lock in the order in which endpoints are declared: application, endpoint, handshake."""
    mine = application.c.id == app
    await connection.execute(sa.select(application.c.id).where(mine).with_for_update())


async def _still_ours(connection: AsyncConnection, leased: LeasedHandshake) -> bool:
    """Lock the row; False when somebody else has it now, or the endpoint is pending no more."""
    found = await connection.scalar(
        sa.select(handshake.c.lease)
        .where(handshake.c.endpoint_id == leased.target.key)
        .with_for_update()
    )
    return bool(found == leased.lease)


async def _targets(
    connection: AsyncConnection, rows: Sequence[Any], vault: Vault
) -> dict[bytes, Target]:
    stored = endpoint_secret.c
    secrets = await connection.execute(
        sa.select(stored.endpoint_id, stored.id, stored.secret, stored.expires_at)
        .where(stored.endpoint_id.in_([row["id"] for row in rows]))
        .order_by(stored.id.desc())
    )
    keys = [(owner, own, secret, ends) for owner, own, secret, ends in secrets]
    return {row["id"]: row_of.target(row, keys, vault) for row in rows}


def _leased(row: Any, target: Target, lease: int) -> LeasedHandshake:
    own = json.loads(row["options"]).get("handshake")
    return LeasedHandshake(
        app=row["app_id"],
        target=target,
        handshake=Handshake(own or row["application_handshake"]),
        origin=row["handshake_origin"],
        own_rate=row["rate_limit"],
        step=row["step"],
        tries=row["tries"],
        lease=lease,
    )
