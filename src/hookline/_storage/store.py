"""The Store: everything off the hot path, SQLAlchemy Core, once for all databases."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hookline._domain import ids
from hookline._domain.backlog import Backlog
from hookline._domain.delivery import Attempt, DeliveryState, DeliveryStatus
from hookline._domain.handshake import Ownership
from hookline._domain.vitals import Pulse, Vitals
from hookline._ports import NewMessage, Reencrypted
from hookline._said import Said
from hookline._storage import default, doctor, erasure, joining, migrate, replay, sealed
from hookline._storage import handshake as pending
from hookline._storage.answers import SqlAnswers
from hookline._storage.api_keys import SqlApiKeys
from hookline._storage.applications import SqlApplications, SqlEventTypes
from hookline._storage.audit import SqlAudit, note_message
from hookline._storage.endpoints import SqlEndpoints
from hookline._storage.handshake import SqlHandshakes
from hookline._storage.history import SqlHistory
from hookline._storage.jobs import SqlJobs
from hookline._storage.joining import Place
from hookline._storage.operational import SqlOperational
from hookline._storage.overview import SqlOverview
from hookline._storage.part import PRUNED, Part
from hookline._storage.postgresql import partitions
from hookline._storage.rows import (
    attempt_of,
    first_key,
    live_state,
    maybe_time,
    message_row,
)
from hookline._storage.schema import (
    HELD,
    IN_LINE,
    attempt,
    delivery,
    endpoint,
    idempotency,
    message,
    outbox,
)
from hookline._storage.steps import Row, Statement, adrive
from hookline._storage.tallies import SqlTallies
from hookline._storage.usage import SqlUsage
from hookline._storage.vault import Vault
from hookline.errors import (
    InvalidInput,
    MessageNotFound,
    StorageError,
)

log = logging.getLogger("hookline")

ENDS = frozenset({DeliveryState.SUCCEEDED, DeliveryState.EXHAUSTED, DeliveryState.CANCELED})


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept, in milliseconds; 0 keeps them for ever."""

    messages_ms: int = 0
    payloads_ms: int = 0
    attempts_ms: int = 0
    audit_ms: int = 0


class SqlStore(Part):
    """`_ports.Store` on a SQLAlchemy engine."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        migrates: bool = True,
        retention: Retention | None = None,
        vault: Vault | None = None,
        ownership: Ownership | None = None,
    ) -> None:
        """Take an engine whose transactions hold the write lock from their start on SQLite.

        `migrates`: whether `start` brings the schema up to date, or only checks it. `vault` seals
        and opens secrets. `ownership` is what applications demand of their endpoints.
        """
        super().__init__(engine)
        self._vault = vault or Vault()
        self._migrates = migrates
        self._retention = retention or Retention()
        self._ownership = ownership or Ownership()
        self.jobs = SqlJobs(engine, log_kept_ms=self._retention.attempts_ms)
        self.audit = SqlAudit(engine)
        self.operational = SqlOperational(engine)
        self.usage = SqlUsage(engine)
        self.api_keys = SqlApiKeys(engine)
        self.answers = SqlAnswers(engine)
        self.applications = SqlApplications(engine, self._ownership)
        self.event_types = SqlEventTypes(engine)
        self.history = SqlHistory(engine)
        self.overview = SqlOverview(engine)
        self.tallies = SqlTallies(engine)
        self.endpoints = SqlEndpoints(engine, vault=self._vault)
        self.handshakes = SqlHandshakes(engine, vault=self._vault)

    async def start(self, now: int) -> bytes:
        """Check or migrate; return the key of the default application, made when there is none.

        Raises SecretsLocked when secrets are sealed with a key that is not at hand.
        """
        async with self._writing() as connection:
            await connection.run_sync(migrate.upgrade if self._migrates else migrate.check)
            await connection.run_sync(sealed.check, self._vault)
            if self._is_postgresql:
                await self._make_partitions(connection, now)
            key = await connection.run_sync(default.ensure, now)
            if await pending.adopt(connection, self._ownership, now):
                log.info("What endpoints have to prove is another handshake from now on")
        self._place = await self._look_where()
        return key

    async def migrate(self) -> bool:
        """Bring the schema up to date; return whether there was anything to do."""
        async with self._writing() as connection:
            return await connection.run_sync(migrate.upgrade)

    async def reencrypt(
        self, on_progress: Callable[[int, int], None], *, decrypt: bool
    ) -> Reencrypted:
        """Seal secrets with the first key, or store them open; SecretsLocked without their keys."""
        vault = self._vault.opening() if decrypt else self._vault
        return await sealed.reencrypt(self._writing, vault, on_progress)

    @staticmethod
    async def _make_partitions(connection: AsyncConnection, now: int) -> None:
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(migrate.LOCK)))
        await connection.run_sync(partitions.make, now)

    async def stop(self) -> None:
        """Close the connections."""
        await self._engine.dispose()

    # history -------------------------------------------------------------------------------

    async def attempts(self, message_key: bytes) -> list[Attempt]:
        """Return the log of a message, oldest first."""
        async with self._reading() as connection:
            rows = await connection.execute(
                sa.select(attempt)
                .where(attempt.c.message_id == message_key)
                .order_by(attempt.c.number, attempt.c.id)
            )
            return [attempt_of(row) for row in rows]

    async def deliveries(self, message_key: bytes, now: int) -> list[DeliveryStatus] | None:
        """Return where a message stands, by endpoint; None while it is not routed completely."""
        async with self._reading() as connection:
            waiting = await connection.scalar(
                sa.select(sa.func.count())
                .select_from(outbox)
                .where(outbox.c.message_id == message_key)
            )
            if waiting:
                return None
            live = await connection.execute(
                sa.select(delivery, endpoint.c.url)
                .join(endpoint, endpoint.c.id == delivery.c.endpoint_id)
                .where(delivery.c.message_id == message_key)
            )
            tries = await connection.execute(
                sa.select(attempt)
                .where(attempt.c.message_id == message_key)
                .order_by(attempt.c.number, attempt.c.id)
            )
            canceled = await connection.scalar(
                sa.select(message.c.canceled_at).where(message.c.id == message_key)
            )
            last = {row.endpoint_id: row for row in tries}
            found = {row.endpoint_id: _live_status(row, last, now) for row in live}
            for key, row in last.items():
                state = DeliveryState(row.state)
                if canceled is not None and state not in ENDS:
                    state = DeliveryState.CANCELED
                found.setdefault(key, _status(row.url, key, state, row, None))
            return [found[key] for key in sorted(found)]

    async def cancel(self, message_key: bytes, now: int) -> int:
        """Take a message out of outbox and queue, except what is being sent; count that."""
        async with self._writing() as connection:
            await erasure.lock_lines_of(connection, [message_key])
            waiting = await connection.execute(
                outbox.delete().where(outbox.c.message_id == message_key)
            )
            queued = await connection.execute(
                delivery.delete()
                .where(
                    delivery.c.message_id == message_key,
                    sa.or_(delivery.c.lease == 0, delivery.c.next_attempt_at <= now),
                )
                .returning(delivery.c.endpoint_id, delivery.c.line)
            )
            left = [(row.endpoint_id, row.line) for row in queued]
            await erasure.next_in_lines(connection, left, now)
            stopped = int(waiting.rowcount) + len(left)
            if stopped:
                await connection.execute(
                    message.update().where(message.c.id == message_key).values(canceled_at=now)
                )
                await note_message(connection, "message.canceled", message_key, now)
            return stopped

    async def resend(self, message_key: bytes, endpoint_key: bytes, now: int) -> bool:
        """Make a manual attempt due now; False when one is being sent, or waits for its turn.

        A schedule that is running goes on afterwards as if nothing had happened. Raises
        MessageNotFound, or InvalidInput when what it said was erased.
        """
        mine = sa.and_(delivery.c.message_id == message_key, delivery.c.endpoint_id == endpoint_key)
        async with self._writing() as connection:
            found = (
                await connection.execute(
                    sa.select(
                        sa.func.length(message.c.body).label("size"),
                        message.c.ordering_key,
                        endpoint.c.ordered,
                    ).where(
                        message.c.id == message_key,
                        endpoint.c.id == endpoint_key,
                        endpoint.c.app_id == message.c.app_id,
                    )
                )
            ).first()
            if found is None:
                raise MessageNotFound(
                    Said(
                        "no message {name!r} (any more)", name=ids.encode(ids.MESSAGE, message_key)
                    )
                )
            if not found.size:
                raise InvalidInput(Said("message_id: what the message said was erased"))
            line = (found.ordering_key or "") if found.ordered else None
            await erasure.lock_lines(connection, [endpoint_key] if line is not None else [])
            live = (await connection.execute(sa.select(delivery).where(mine))).first()
            if live is None:
                made = await connection.scalar(
                    sa.select(sa.func.max(attempt.c.number)).where(
                        attempt.c.message_id == message_key, attempt.c.endpoint_id == endpoint_key
                    )
                )
                ended = replay.Chosen(
                    replay.Candidate(replay.HERE, message_key, endpoint_key, made or 0), None, line
                )
                await replay.make_due(connection, self._insert(delivery), [ended], now)
                await note_message(connection, "message.resent", message_key, now)
                return True
            if live.next_attempt_at == IN_LINE or (live.lease and live.next_attempt_at > now):
                return False
            resume = live.resume_at if live.resume_at is not None else live.next_attempt_at
            await connection.execute(
                delivery.update()
                .where(mine, delivery.c.lease == live.lease)
                .values(next_attempt_at=now, resume_at=0 if resume >= IN_LINE else resume)
            )
            await note_message(connection, "message.resent", message_key, now)
            return True

    async def publish_to(self, new: NewMessage, endpoint_key: bytes) -> None:
        """Publish a message for one endpoint alone: it is routed already, whatever others want."""
        async with self._writing() as connection:
            ordered = await connection.scalar(
                sa.select(endpoint.c.ordered).where(endpoint.c.id == endpoint_key)
            )
            line = (new.ordering_key or "") if ordered else None
            await erasure.lock_lines(connection, [endpoint_key] if ordered else [])
            await connection.execute(
                message.insert(), {**message_row(new), "only_endpoint": endpoint_key}
            )
            once = replay.Chosen(replay.Candidate(replay.HERE, new.key, endpoint_key), None, line)
            await replay.make_due(connection, self._insert(delivery), [once], new.due_at)

    async def erase(self, message_key: bytes, now: int) -> None:
        """Erase what a message said and what was answered; that it was sent stays known."""
        async with self._writing() as connection:
            await erasure.erase(connection, [message_key], now)
            await note_message(connection, "message.erased", message_key, now)

    # replay --------------------------------------------------------------------------------

    async def release_held(self, now: int) -> int:
        """Make due what is held at enabled endpoints: an `enable` was cut off, or overtaken."""
        held = sa.select(delivery.c.message_id).where(
            delivery.c.endpoint_id == endpoint.c.id, delivery.c.next_attempt_at == HELD
        )
        async with self._reading() as connection:
            found = await connection.execute(
                sa.select(endpoint.c.id).where(replay.SENT_TO, held.exists())
            )
            left_behind = found.scalars().all()
        return sum([await replay.release_all(self._writing, key, now) for key in left_behind])

    # retention -----------------------------------------------------------------------------

    async def prune(self, now: int) -> None:
        """Remove what has served its time, in small batches that never block sending."""
        if self._is_postgresql:
            async with self._writing() as connection:
                await self._make_partitions(connection, now)
        await self._prune(idempotency, idempotency.c.expires_at <= now)
        await self.jobs.prune(now)
        await self.answers.prune(now)
        await self.applications.purge()
        await self.tallies.prune(now, self._retention.attempts_ms)
        await self.endpoints.sweep()
        await self.usage.add_up(now)
        keep = self._retention
        if keep.audit_ms:
            await self.audit.prune(now - keep.audit_ms)
        if keep.attempts_ms:
            await self._prune_attempts(now - keep.attempts_ms)
        if keep.payloads_ms:
            old = (message.c.id < first_key(now - keep.payloads_ms), message.c.body != b"")
            await self._in_batches(message.update().where(_old(*old)).values(body=b""))
        if keep.messages_ms:
            old_id = message.c.id < first_key(now - keep.messages_ms)
            await self._in_batches(message.delete().where(_old(old_id)))

    async def _prune_attempts(self, before: int) -> None:
        if self._is_postgresql:
            async with self._writing() as connection:
                await connection.run_sync(partitions.drop, before)
            return
        # An attempt is never older than its message: a range of the primary key holds them all.
        cut = first_key(before)
        await self._prune(attempt, attempt.c.message_id < cut, attempt.c.id < cut)

    # doctor --------------------------------------------------------------------------------

    async def reach(self) -> None:
        """Raise StorageError, saying what to check, when the database cannot be opened."""
        await doctor.reach(self._engine)

    async def pulse(self) -> Pulse:
        """Return the schema's version and who is delivering; StorageError when out of reach."""
        return await doctor.pulse(self._engine)

    async def backlog(self, now: int, app: bytes | None = None) -> Backlog:
        """Return what waits, in one application or in all."""
        return await doctor.backlog(self._engine, now, app)

    async def vitals(self, now: Callable[[], int]) -> Vitals:
        """Return what the doctor judges. Changes nothing, and needs no `start`."""
        return await doctor.vitals(self._engine, now, self._vault)

    # the caller's transaction --------------------------------------------------------------

    async def join(
        self, session: Any, new: Sequence[NewMessage], on_commit: Callable[[], None]
    ) -> list[bytes]:
        """Publish inside the caller's transaction; see `joining.join`."""
        shown = self._engine.url.render_as_string()
        return await joining.join(session, new, self._place, shown, on_commit)

    async def _look_where(self) -> Place:
        """Return which database this is; the server need not tell."""
        backend = self._engine.url.get_backend_name()

        async def run(statement: Statement) -> Row:
            async with self._reading() as connection:
                return (await connection.exec_driver_sql(statement.sql)).first()

        try:
            return await adrive(joining.where(backend), run)
        except (StorageError, sa.exc.DBAPIError):
            return Place(backend, self._engine.url.database or "", None)


def _old(*which: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return a condition that some old messages meet which nothing waits for."""
    waiting = sa.select(delivery.c.message_id).where(delivery.c.message_id == message.c.id)
    unrouted = sa.select(outbox.c.message_id).where(outbox.c.message_id == message.c.id)
    some = sa.select(message.c.id).where(*which, ~waiting.exists(), ~unrouted.exists())
    return message.c.id.in_(some.order_by(message.c.id).limit(PRUNED))


def _live_status(row: Any, last: dict[bytes, Any], now: int) -> DeliveryStatus:
    state = live_state(row, now)
    waits = state is DeliveryState.PENDING and row.next_attempt_at < IN_LINE
    due = row.next_attempt_at if waits else None
    return _status(row.url, row.endpoint_id, state, last.get(row.endpoint_id), due)


def _status(
    url: str, key: bytes, state: DeliveryState, tried: Any, next_attempt_at: int | None
) -> DeliveryStatus:
    return DeliveryStatus(
        endpoint_id=ids.encode(ids.ENDPOINT, key),
        url=url,
        state=state,
        attempts=tried.number if tried else 0,
        next_attempt_at=maybe_time(next_attempt_at),
        last_status=tried.status if tried else None,
        last_error=tried.failure if tried else None,
    )
