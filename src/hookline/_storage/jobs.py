"""Replay jobs: their rows, and one step of them at a time. SQLAlchemy Core, once for all databases.

A step is claimed like a delivery, reads one page outside of any writing transaction, and then, in
one short transaction fenced by its lease, makes due what the page selects and stores where it
ended. Whatever happens between two steps, the next one begins after the last that was committed.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from time import monotonic
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hookline._domain import ids
from hookline._domain.delivery import DeliveryState
from hookline._domain.page import Page, Window
from hookline._domain.replay import PURGE, REPLAY, Job, JobState, Selection, batch_of, pause_after
from hookline._engine.keys import new_key
from hookline._engine.replay import REST
from hookline._ports import LeasedJob
from hookline._said import Said
from hookline._storage import erasure, paging, replay
from hookline._storage.audit import note
from hookline._storage.part import Part, Transaction
from hookline._storage.replay import Cursor, Walk
from hookline._storage.rows import START, first_key, time
from hookline._storage.schema import delivery, job, message
from hookline.errors import InvalidInput, MessageNotFound

KEPT_MS = 30 * 24 * 3600 * 1000
"""How long jobs that have ended are kept."""
PURGED = 200
"""Messages that one step erases: some milliseconds' worth."""
_OPEN = job.c.state.in_([JobState.QUEUED.value, JobState.RUNNING.value])


class SqlJobs(Part):
    """`_ports.Jobs`."""

    def __init__(self, engine: AsyncEngine, *, log_kept_ms: int) -> None:
        """The log is kept for `log_kept_ms`, 0 for ever."""
        super().__init__(engine)
        self._log_kept_ms = log_kept_ms
        self._audiences = replay.Audiences()

    @asynccontextmanager
    async def _walking(self, transaction: Transaction) -> AsyncIterator[AsyncConnection]:
        async with transaction() as connection:
            await replay.along_indexes(connection)
            yield connection

    # what people see -----------------------------------------------------------------------

    async def preview(self, app: bytes, selection: Selection, now: int) -> Job:
        """Count page by page, each in a reading transaction of its own, resting as a job does."""
        fence, total = new_key(now), 0
        async with self._reading() as connection:
            await self._check_message(connection, app, selection)
            cursor = (await self._frame(connection, app, selection, fence, now)).start
        while cursor is not None:
            began = monotonic()
            async with self._walking(self._reading) as connection:
                f = await self._frame(connection, app, selection, fence, now)
                page = await replay.page(connection, f, cursor)
                total += len(await replay.judge(connection, f, page.candidates, now))
            cursor = page.end
            if cursor is not None:
                await asyncio.sleep((monotonic() - began) * REST)
        return Job(
            id=None,
            state=JobState.FINISHED,
            selection=selection,
            rate=None,
            total=total,
            counted=True,
            done=0,
            created_at=time(now),
            updated_at=time(now),
        )

    async def add(
        self,
        app: bytes,
        selection: Selection,
        rate: float | None,
        now: int,
        task: str = REPLAY,
    ) -> Job:
        """Store a job, due at once."""
        key = new_key(now)
        async with self._writing() as connection:
            await self._check_message(connection, app, selection)
            await connection.execute(
                job.insert(),
                {
                    "id": key,
                    "app_id": app,
                    "task": task,
                    "state": JobState.QUEUED.value,
                    "selection": _to_json(selection),
                    "rate": rate,
                    "counted": False,
                    "total": 0,
                    "done": 0,
                    "walk": Walk.LIVE,
                    "after_first": START,
                    "after_second": START,
                    "lease": 0,
                    "next_step_at": now,
                    "created_at": now,
                    "updated_at": now,
                },
            )
            await note(connection, f"{task}.started", ids.encode(ids.JOB, key), now, app=app)
            row = (await connection.execute(sa.select(job).where(job.c.id == key))).one()
            return _job(row)

    @staticmethod
    async def _check_message(connection: AsyncConnection, app: bytes, selection: Selection) -> None:
        if selection.message is None:
            return
        key = ids.decode(ids.MESSAGE, selection.message)
        size = await connection.scalar(
            sa.select(sa.func.length(message.c.body)).where(
                message.c.id == key, message.c.app_id == app
            )
        )
        if size is None:
            raise MessageNotFound(Said("no message {name!r} (any more)", name=selection.message))
        if size == 0:
            raise InvalidInput(
                Said("message: what {message} said was erased", message=selection.message)
            )

    async def get(self, app: bytes, key: bytes) -> Job | None:
        """Return a job as it is now."""
        async with self._reading() as connection:
            row = (await connection.execute(sa.select(job).where(*_one(app, key)))).first()
            return None if row is None else _job(row)

    async def find(self, key: bytes) -> tuple[bytes, Job] | None:
        """Return a job of any application, and whose it is."""
        async with self._reading() as connection:
            row = (await connection.execute(sa.select(job).where(job.c.id == key))).first()
            return None if row is None else (row.app_id, _job(row))

    async def page(
        self, app: bytes | None, states: Collection[JobState], window: Window
    ) -> Page[tuple[bytes, Job]]:
        """Return jobs in these states (any by default), of one application or all, with whose."""
        query = sa.select(job)
        if app is not None:
            query = query.where(job.c.app_id == app)
        if states:
            query = query.where(job.c.state.in_([state.value for state in states]))
        async with self._reading() as connection:
            rows, more = await paging.rows(connection, query, job.c.id, window)
        found = [(row.app_id, _job(row)) for row in rows]
        return Page(found, more, rows[-1].id if rows else None)

    async def newest(self, app: bytes, limit: int, before: bytes | None) -> list[Job]:
        """Return jobs, newest first."""
        rows = sa.select(job).where(job.c.app_id == app).order_by(job.c.id.desc()).limit(limit)
        if before is not None:
            rows = rows.where(job.c.id < before)
        async with self._reading() as connection:
            return [_job(row) for row in await connection.execute(rows)]

    async def cancel(self, app: bytes, key: bytes, now: int) -> Job | None:
        """End an open job; the step under way, if any, loses its lease and writes nothing."""
        async with self._writing() as connection:
            ended = await connection.execute(
                job.update()
                .where(*_one(app, key), _OPEN)
                .values(state=JobState.CANCELED.value, lease=0, updated_at=now)
            )
            row = (await connection.execute(sa.select(job).where(*_one(app, key)))).first()
            if ended.rowcount and row is not None:
                action = f"{row.task}.canceled"
                await note(connection, action, ids.encode(ids.JOB, key), now, app=app)
            return None if row is None else _job(row)

    # one step ------------------------------------------------------------------------------

    async def next_due(self) -> int | None:
        """Return when the next step may be made."""
        async with self._reading() as connection:
            due: int | None = await connection.scalar(
                sa.select(sa.func.min(job.c.next_step_at)).where(_OPEN)
            )
            return due

    async def claim(self, now: int, lease_until: int) -> LeasedJob | None:
        """Lease the step that has been due longest: so several jobs take turns."""
        async with self._writing() as connection:
            due = await connection.execute(
                sa.select(job)
                .where(_OPEN, job.c.next_step_at <= now)
                .order_by(job.c.next_step_at)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            row = due.first()
            if row is None:
                return None
            lease = secrets.randbits(62) + 1
            await connection.execute(
                job.update()
                .where(job.c.id == row.id)
                .values(lease=lease, next_step_at=lease_until, state=JobState.RUNNING.value)
            )
        return LeasedJob(
            key=row.id,
            app=row.app_id,
            selection=_selection(row.selection),
            rate=row.rate,
            counted=row.counted,
            walk=row.walk,
            after=(row.after_first, row.after_second),
            lease=lease,
            task=row.task,
        )

    async def step(self, leased: LeasedJob, now: int) -> int | None:
        """Count one page, or make due what it selects; None when the lease was lost.

        Or erase one page.
        """
        if leased.task == PURGE:
            return await self._purge(leased, now)
        async with self._walking(self._reading) as connection:
            f = await self._frame(connection, leased.app, leased.selection, leased.key, now)
            if f.audience.refusal is None and f.start is not None:
                at = Cursor(Walk(leased.walk), *leased.after)
                if at.walk not in f.walks:
                    at = f.start
                page = await replay.page(connection, f, at)
                chosen = await replay.judge(connection, f, page.candidates, now)
        if f.audience.refusal is not None:
            await self.fail(leased, f.audience.refusal, now)
            return 0
        if f.start is None:
            chosen, page = [], replay.Page([], None)
        if not leased.counted:
            return await self._count(leased, f, page.end, len(chosen), now)
        most = batch_of(leased.rate, replay.PAGE)
        end = page.end if len(chosen) <= most else chosen[most - 1].candidate.at
        return await self._replay(leased, f, end, chosen[:most], now)

    async def _frame(
        self, connection: AsyncConnection, app: bytes, selection: Selection, fence: bytes, now: int
    ) -> replay.Frame:
        audience = await self._audiences.of(connection, app, selection.endpoint)
        begins = first_key(now - self._log_kept_ms) if self._log_kept_ms else START
        return replay.frame(app, selection, audience, fence, begins)

    async def _count(
        self, leased: LeasedJob, f: replay.Frame, end: Cursor | None, found: int, now: int
    ) -> int | None:
        async with self._writing() as connection:
            if not await _still_ours(connection, leased):
                return None
            values = {"total": job.c.total + found, "counted": end is None}
            await _store(connection, leased, values, end or f.start, now, 0)
        return 0

    async def _replay(
        self,
        leased: LeasedJob,
        f: replay.Frame,
        end: Cursor | None,
        chosen: list[replay.Chosen],
        now: int,
    ) -> int | None:
        async with self._walking(self._writing) as connection:
            if not await _still_ours(connection, leased):
                return None
            await replay.lock(connection, leased.app, chosen)
            again = [each.candidate for each in chosen]
            chosen = await replay.judge(connection, f, again, now, locked=True)
            await replay.make_due(connection, self._insert(delivery), chosen, now)
            values: dict[str, Any] = {"done": job.c.done + len(chosen)}
            if end is None:
                values["state"] = JobState.FINISHED.value
            await _store(
                connection, leased, values, end, now, pause_after(len(chosen), leased.rate)
            )
        return len(chosen)

    async def _purge(self, leased: LeasedJob, now: int) -> int | None:
        """Erase one page of the messages that were there when the job was made."""
        page = (
            sa.select(message.c.id)
            .where(
                message.c.app_id == leased.app,
                message.c.id > leased.after[0],
                message.c.id < leased.key,
            )
            .order_by(message.c.id)
            .limit(PURGED)
        )
        async with self._writing() as connection:
            if not await _still_ours(connection, leased):
                return None
            keys = (await connection.execute(page)).scalars().all()
            erased = await erasure.erase(connection, keys, now) if keys else 0
            values: dict[str, Any] = {"done": job.c.done + erased, "total": job.c.total + erased}
            if len(keys) < PURGED:
                values |= {"state": JobState.FINISHED.value, "counted": True}
            end = Cursor(Walk.LIVE, keys[-1], START) if keys else None
            await _store(connection, leased, values, end, now, 0)
        return 0

    async def fail(self, leased: LeasedJob, reason: str, now: int) -> None:
        """End a job, saying why."""
        async with self._writing() as connection:
            if await _still_ours(connection, leased):
                values = {"state": JobState.FAILED.value, "reason": reason}
                await _store(connection, leased, values, None, now, 0)

    async def prune(self, now: int) -> None:
        """Remove jobs that ended long ago."""
        await self._prune(job, ~_OPEN, job.c.updated_at < now - KEPT_MS)


async def _still_ours(connection: AsyncConnection, leased: LeasedJob) -> bool:
    """Lock the job's row; False when somebody else has it now, or it was canceled."""
    found = await connection.scalar(
        sa.select(job.c.lease).where(job.c.id == leased.key).with_for_update()
    )
    return bool(found == leased.lease)


async def _store(
    connection: AsyncConnection,
    leased: LeasedJob,
    values: dict[str, Any],
    end: Cursor | None,
    now: int,
    pause: int,
) -> None:
    """Write a step's result, and let go of the job."""
    if end is not None:
        values |= {"walk": end.walk, "after_first": end.first, "after_second": end.second}
    await connection.execute(
        job.update()
        .where(job.c.id == leased.key)
        .values(lease=0, next_step_at=now + pause, updated_at=now, **values)
    )


def _one(app: bytes, key: bytes) -> tuple[sa.ColumnElement[bool], ...]:
    return job.c.app_id == app, job.c.id == key


def _job(row: Any) -> Job:
    return Job(
        id=ids.encode(ids.JOB, row.id),
        state=JobState(row.state),
        selection=_selection(row.selection),
        rate=row.rate,
        total=row.total,
        counted=row.counted,
        done=row.done,
        created_at=time(row.created_at),
        updated_at=time(row.updated_at),
        reason=row.reason,
        task=row.task,
    )


def _to_json(selection: Selection) -> dict[str, Any]:
    since, until = (
        None if t is None else t.isoformat() for t in (selection.since, selection.until)
    )
    return {
        "since": since,
        "until": until,
        "endpoint": selection.endpoint,
        "message": selection.message,
        "states": [state.value for state in selection.states],
        "event_types": list(selection.event_types),
        "missing": selection.missing,
        "channel": selection.channel,
        "tag": selection.tag,
        "status_class": selection.status_class,
    }


def _selection(stored: dict[str, Any]) -> Selection:
    since, until = (t and datetime.fromisoformat(t) for t in (stored["since"], stored["until"]))
    return Selection(
        since=since,
        until=until,
        endpoint=stored["endpoint"],
        message=stored["message"],
        states=tuple(DeliveryState(state) for state in stored["states"]),
        event_types=tuple(stored["event_types"]),
        missing=stored["missing"],
        channel=stored.get("channel"),
        tag=stored.get("tag"),
        status_class=stored.get("status_class"),
    )
