"""What an operator sees at a glance. Every question is bounded, however much there is."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._domain import ids
from hookline._domain.breaker import CircuitState
from hookline._domain.delivery import DeliveryState
from hookline._domain.history import Filter
from hookline._domain.overview import DeadLetter, Stands, Trouble
from hookline._domain.page import Page, Window
from hookline._storage import backlog, search
from hookline._storage.part import Part
from hookline._storage.rows import attempt_of, live_state, maybe_time, message_of
from hookline._storage.schema import (
    HELD,
    IN_LINE,
    application,
    attempt,
    circuit,
    delivery,
    endpoint,
    message,
    outbox,
)

_EXHAUSTED: sa.ColumnElement[str] = sa.literal_column(f"'{DeliveryState.EXHAUSTED.value}'")
"""Literally: only so is the index of dead letters made use of."""


class SqlOverview(Part):
    """`_ports.Overview`."""

    async def next_due(self, after: int) -> int | None:
        """Return when the next message or delivery falls due, later than a time (Unix ms)."""
        queued, unrouted = delivery.c.next_attempt_at, outbox.c.due_at
        firsts = (
            sa.select(sa.func.min(queued)).where(queued > after, queued < IN_LINE),
            sa.select(sa.func.min(unrouted)).where(unrouted > after),
        )
        async with self._reading() as connection:
            found = [await connection.scalar(first) for first in firsts]
        return min((due for due in found if due is not None), default=None)

    async def due(self, keys: Collection[bytes], now: int) -> dict[bytes, int]:
        """Return how many deliveries are due at each of these endpoints."""
        async with self._reading() as connection:
            return await connection.run_sync(backlog.due, keys, now)

    async def troubled(
        self, limit: int, app: bytes | None = None, keys: Collection[bytes] | None = None
    ) -> list[Trouble]:
        """Return endpoints that fail or are disabled, of these or of all: open circuits first."""
        order = sa.case(
            (circuit.c.state == CircuitState.OPEN.value, 0),
            (circuit.c.state == CircuitState.HALF_OPEN.value, 1),
            (endpoint.c.disabled_at.is_not(None), 3),
            else_=2,
        )
        query = (
            sa.select(endpoint, circuit)
            .select_from(endpoint.outerjoin(circuit, circuit.c.endpoint_id == endpoint.c.id))
            .where(sa.or_(circuit.c.failures > 0, endpoint.c.disabled_at.is_not(None)))
            .order_by(order, endpoint.c.id)
            .limit(limit)
        )
        if app is not None:
            query = query.where(endpoint.c.app_id == app)
        if keys is not None:
            query = query.where(endpoint.c.id.in_(keys))
        async with self._reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_trouble(row) for row in rows]

    async def dead_letters(
        self, app: bytes | None, endpoint_key: bytes | None, window: Window
    ) -> Page[DeadLetter]:
        """Return deliveries whose last attempt was the last one, the newest message first."""
        looked_at = sa.select(attempt).where(attempt.c.state == _EXHAUSTED)
        cursor = window.cursor
        if cursor is not None:
            looked_at = looked_at.where(attempt.c.message_id < cursor.item)
        looked_at = looked_at.order_by(attempt.c.message_id.desc(), attempt.c.id.desc())
        part = looked_at.limit(search.LOOKED_AT).subquery("part")
        later, live = attempt.alias("later"), delivery
        passing = (
            sa.select(part)
            .where(
                ~sa.exists().where(
                    later.c.message_id == part.c.message_id,
                    later.c.endpoint_id == part.c.endpoint_id,
                    later.c.id > part.c.id,
                ),
                ~sa.exists().where(
                    live.c.message_id == part.c.message_id,
                    live.c.endpoint_id == part.c.endpoint_id,
                ),
            )
            .order_by(part.c.message_id.desc(), part.c.id.desc())
            .limit(window.limit + 1)
        )
        if endpoint_key is not None:  # out here, so that the index of dead letters is walked
            passing = passing.where(part.c.endpoint_id == endpoint_key)
        if app is not None:
            mine = sa.exists().where(message.c.id == part.c.message_id, message.c.app_id == app)
            passing = passing.where(mine)
        async with self._reading() as connection:
            rows: Sequence[Any] = (await connection.execute(passing)).all()
            more = len(rows) > window.limit
            rows = _whole_messages(rows, window.limit)
            last = rows[-1].message_id if rows else None
            if not more:
                edge = await connection.scalar(
                    looked_at.with_only_columns(attempt.c.message_id)
                    .limit(1)
                    .offset(search.LOOKED_AT - 1)
                )
                if edge is not None:
                    more, last = True, edge
            keys = {row.message_id for row in rows}
            found = await connection.execute(sa.select(message).where(message.c.id.in_(keys)))
            messages = {row.id: row for row in found}
        letters = []
        for row in rows:
            its = messages.get(row.message_id)
            owner = "" if its is None else ids.encode(ids.APPLICATION, its.app_id)
            letters.append(
                DeadLetter(attempt_of(row), None if its is None else message_of(its), owner)
            )
        return Page(letters, more, last)

    async def messages(self, app: bytes, wanted: Filter, window: Window, now: int) -> Page[Stands]:
        """Return messages of an application and where they stand; `states` narrows it to some."""
        looked_at = sa.select(message).where(
            message.c.app_id == app, *search.between(message.c.id, wanted)
        )
        about = search.of_messages(wanted)

        def conditions(part: Any) -> list[sa.ColumnElement[bool]]:
            found = about(part)
            if wanted.states or wanted.endpoint is not None:
                found.append(_stands(part.id, wanted.states, wanted.endpoint, now))
            return found

        async with self._reading() as connection:
            rows, more, last = await search.filtered(
                connection, looked_at, message, conditions, window
            )
            states = await _states(connection, [row.id for row in rows], now)
        return Page([Stands(message_of(row), states[row.id]) for row in rows], more, last)

    async def listening(self, limit: int) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """Return application, endpoint, URL and subscriptions of enabled endpoints."""
        query = (
            sa.select(endpoint.c.app_id, endpoint.c.id, endpoint.c.url, endpoint.c.events)
            .join(application, application.c.id == endpoint.c.app_id)
            .where(endpoint.c.disabled_at.is_(None), application.c.deleted_at.is_(None))
            .order_by(endpoint.c.id)
            .limit(limit)
        )
        async with self._reading() as connection:
            return [
                (
                    ids.encode(ids.APPLICATION, row.app_id),
                    ids.encode(ids.ENDPOINT, row.id),
                    row.url,
                    tuple(row.events),
                )
                for row in await connection.execute(query)
            ]


def _whole_messages(rows: Sequence[Any], limit: int) -> Sequence[Any]:
    """Return the rows of a page, which ends between two messages: a page goes on after one."""
    if len(rows) <= limit:
        return rows
    cut = rows[limit].message_id
    kept = [row for row in rows[:limit] if row.message_id != cut]
    return kept or rows[:limit]


def _stands(
    key: Any, states: Collection[DeliveryState], endpoint_key: bytes | None, now: int
) -> sa.ColumnElement[bool]:
    """Return whether a message has a delivery in one of the states, at one endpoint if given."""
    at, lease = delivery.c.next_attempt_at, delivery.c.lease
    live = [delivery.c.message_id == key]
    last = [attempt.c.message_id == key]
    if endpoint_key is not None:
        live.append(delivery.c.endpoint_id == endpoint_key)
        last.append(attempt.c.endpoint_id == endpoint_key)
    if not states:
        return sa.or_(sa.exists().where(*live), sa.exists().where(*last))
    sending = sa.and_(lease != 0, at > now, at < IN_LINE)
    kinds = {
        DeliveryState.HELD: at == HELD,
        DeliveryState.SENDING: sending,
        DeliveryState.PENDING: sa.and_(at != HELD, ~sending),
    }
    found = [sa.exists().where(*live, kinds[state]) for state in states if state in kinds]
    final = [state.value for state in states if state not in kinds]
    if final:
        later = attempt.alias("later_one")
        superseded = sa.exists().where(
            later.c.message_id == attempt.c.message_id,
            later.c.endpoint_id == attempt.c.endpoint_id,
            later.c.id > attempt.c.id,
        )
        found.append(sa.exists().where(*last, attempt.c.state.in_(final), ~superseded))
    return sa.or_(*found)


async def _states(
    connection: AsyncConnection, keys: Sequence[bytes], now: int
) -> dict[bytes, Counter[DeliveryState]]:
    """Return how many deliveries of messages stand where, as far as so many rows tell."""
    ended = await connection.execute(
        sa.select(attempt.c.message_id, attempt.c.endpoint_id, attempt.c.state)
        .where(attempt.c.message_id.in_(keys))
        .order_by(attempt.c.message_id, attempt.c.id)
        .limit(search.LOOKED_AT)
    )
    stands: dict[tuple[bytes, bytes], DeliveryState] = {
        (row.message_id, row.endpoint_id): DeliveryState(row.state) for row in ended
    }
    live = await connection.execute(
        sa.select(delivery).where(delivery.c.message_id.in_(keys)).limit(search.LOOKED_AT)
    )
    for row in live:
        stands[row.message_id, row.endpoint_id] = live_state(row, now)
    counts: dict[bytes, Counter[DeliveryState]] = defaultdict(Counter)
    for (key, _), state in stands.items():
        counts[key][state] += 1
    return counts


def _trouble(row: Any) -> Trouble:
    now_open = row[circuit.c.state]
    return Trouble(
        endpoint_id=ids.encode(ids.ENDPOINT, row[endpoint.c.id]),
        application_id=ids.encode(ids.APPLICATION, row[endpoint.c.app_id]),
        url=row[endpoint.c.url],
        circuit=CircuitState(now_open) if now_open else CircuitState.CLOSED,
        failures=row[circuit.c.failures] or 0,
        failing_since=maybe_time(row[circuit.c.failing_since]),
        waits_until=maybe_time(row[circuit.c.blocked_until] or None),
        disabled_at=maybe_time(row[endpoint.c.disabled_at]),
        disabled_reason=row[endpoint.c.disabled_reason],
    )
