"""What an operator sees at a glance. Every question is bounded, however much there is."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._domain import ids
from hookline._domain.breaker import CircuitState
from hookline._domain.delivery import DeliveryState
from hookline._domain.history import Filter
from hookline._domain.overview import MOST_GLANCED, DeadLetter, Glance, Stands, Trouble
from hookline._domain.page import Page, Window
from hookline._storage import search
from hookline._storage.part import Part
from hookline._storage.rows import attempt_of, live_state, maybe_time, message_of, time
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

LOOKED_AT = 2000
"""Dead letters that a page looks at, at most: each takes a look at its message, and at what came
after it."""
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

    async def glances(self, keys: Collection[bytes], now: int) -> dict[bytes, Glance]:
        """Return how these endpoints are doing, in one question for all of them."""
        newest = (
            sa.select(attempt.c.id)
            .where(attempt.c.endpoint_id == endpoint.c.id)
            .order_by(attempt.c.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        # Materialized: joined at once, PostgreSQL looks for the newest in each partition anew.
        each = (
            sa.select(
                endpoint.c.id,
                circuit.c.state,
                circuit.c.failures,
                circuit.c.blocked_until,
                _waiting().label("waiting"),
                _sending(now).label("sending"),
                newest.label("newest"),
            )
            .select_from(endpoint.outerjoin(circuit, circuit.c.endpoint_id == endpoint.c.id))
            .where(self._among(endpoint.c.id, keys))
            .cte("each")
            .prefix_with("MATERIALIZED")
        )
        tried = sa.and_(attempt.c.endpoint_id == each.c.id, attempt.c.id == each.c.newest)
        query = sa.select(
            each, attempt.c.started_at, attempt.c.status, attempt.c.failure
        ).select_from(each.outerjoin(attempt, tried))
        async with self._reading() as connection:
            return {row.id: _glance(row, now) for row in await connection.execute(query)}

    async def troubled(self, limit: int, app: bytes | None = None) -> list[Trouble]:
        """Return endpoints that fail or are disabled: open circuits first."""
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
        async with self._reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_trouble(row) for row in rows]

    async def dead_letters(
        self, app: bytes | None, wanted: Filter, window: Window
    ) -> Page[DeadLetter]:
        """Return deliveries whose last attempt was the last one, the newest message first."""
        cursor = window.cursor
        edge: Any = None if cursor is None else cursor.item
        rows: Sequence[Any] = ()
        further: bytes | None = None
        async with self._reading() as connection:
            for size in (search.FIRST_LOOK, LOOKED_AT):
                some = _exhausted(wanted, edge, size)
                part = some.subquery("part")
                passing = _dead(part, app, wanted)
                rows = (await connection.execute(passing.limit(window.limit + 1))).all()
                if len(rows) > window.limit:
                    break
                further = await connection.scalar(
                    some.with_only_columns(attempt.c.message_id).limit(1).offset(size - 1)
                )
                if further is None:
                    break
            more = len(rows) > window.limit
            rows = _whole_messages(rows, window.limit)
            last = rows[-1].message_id if rows else None
            if not more and further is not None:
                more, last = True, further
            keys = {row.message_id for row in rows}
            found = await connection.execute(sa.select(message).where(message.c.id.in_(keys)))
            messages = {row.id: row for row in found}
            owners = await _owners(connection, {each.app_id for each in messages.values()})
        letters = []
        for row in rows:
            its = messages.get(row.message_id)
            if its is None:
                letters.append(DeadLetter(attempt_of(row), None, ""))
            else:
                letters.append(DeadLetter(attempt_of(row), message_of(its), *owners[its.app_id]))
        return Page(letters, more, last)

    async def messages(
        self, app: bytes | None, wanted: Filter, window: Window, now: int
    ) -> Page[Stands]:
        """Return messages, of one application or of all, and where they stand.

        `states` narrows it to some.
        """
        looked_at = sa.select(message)
        if app is not None:
            looked_at = looked_at.where(message.c.app_id == app)
        beside = None
        if wanted.states or wanted.endpoint is not None:
            beside = partial(_stand, wanted.states, wanted.endpoint, now)
        async with self._reading() as connection:
            rows, more, last = await search.filtered(
                connection,
                looked_at,
                message,
                search.of_messages(wanted),
                window,
                beside,
                search.span(wanted.after, wanted.before),
            )
            states = await _states(connection, [row.id for row in rows], now)
            owners = await _owners(connection, {row.app_id for row in rows})
        found = [Stands(message_of(row), states[row.id], *owners[row.app_id]) for row in rows]
        return Page(found, more, last)

    async def owner(self, message_key: bytes) -> bytes | None:
        """Return the key of the application whose message it is."""
        query = sa.select(message.c.app_id).where(message.c.id == message_key)
        async with self._reading() as connection:
            found: bytes | None = await connection.scalar(query)
        return found

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


async def _owners(
    connection: AsyncConnection, keys: Collection[bytes]
) -> dict[bytes, tuple[str, str]]:
    """Return the id of each application, and its uid or else its name."""
    query = sa.select(application.c.id, application.c.uid, application.c.name)
    found = await connection.execute(query.where(application.c.id.in_(keys)))
    names = {row.id: row.uid or row.name for row in found}
    return {key: (ids.encode(ids.APPLICATION, key), names.get(key, "")) for key in keys}


def _exhausted(wanted: Filter, before: bytes | None, most: int) -> sa.Select[Any]:
    """Select the attempts that were the last ones, those of the newest messages first."""
    low, high = search.span(wanted.after, wanted.before)
    bounds = [each for each in (before, high) if each is not None]
    some = sa.select(attempt).where(attempt.c.state == _EXHAUSTED)
    if bounds:
        some = some.where(attempt.c.message_id < min(bounds))
    if low is not None:
        some = some.where(attempt.c.message_id >= low)
    return some.order_by(attempt.c.message_id.desc(), attempt.c.id.desc()).limit(most)


def _dead(part: Any, app: bytes | None, wanted: Filter) -> sa.Select[Any]:
    """Select those of them after which nothing came, and that a filter lets through."""
    mine = sa.select(part)
    if wanted.endpoint is not None:  # out here, so that the index of dead letters is walked
        mine = mine.where(part.c.endpoint_id == wanted.endpoint)
    about = search.of_messages(wanted)(message.c)
    if app is not None:
        about.append(message.c.app_id == app)
    if about:
        its = sa.select(sa.literal(1)).where(message.c.id == part.c.message_id, *about)
        mine = mine.where(its.offset(0).exists())
    # Whose they are is cheaper to tell than what came later: the bound keeps the order.
    one = mine.limit(LOOKED_AT).subquery("mine")
    live = sa.select(sa.literal(1)).where(
        delivery.c.message_id == one.c.message_id,
        delivery.c.endpoint_id == one.c.endpoint_id,
    )
    dead = sa.select(one).where(search.is_last(one.c), ~live.offset(0).exists())
    return dead.order_by(one.c.message_id.desc(), one.c.id.desc())


def _whole_messages(rows: Sequence[Any], limit: int) -> Sequence[Any]:
    """Return the rows of a page, which ends between two messages: a page goes on after one."""
    if len(rows) <= limit:
        return rows
    cut = rows[limit].message_id
    kept = [row for row in rows[:limit] if row.message_id != cut]
    return kept or rows[:limit]


def _stand(
    states: Collection[DeliveryState],
    endpoint_key: bytes | None,
    now: int,
    messages: search.Candidates,
) -> list[sa.ColumnElement[bool]]:
    """Return whether messages have a delivery in one of the states, at one endpoint if given."""
    live = sa.select(delivery.c.message_id).where(messages.are(delivery.c.message_id))
    last = sa.select(attempt.c.message_id).where(*messages.attempts())
    if endpoint_key is not None:
        live = live.where(search.unindexed(delivery.c.endpoint_id) == endpoint_key)
        last = last.where(search.unindexed(attempt.c.endpoint_id) == endpoint_key)
    if not states:
        return [sa.or_(messages.are_in(live), messages.are_in(last))]
    at, lease = search.unindexed(delivery.c.next_attempt_at), delivery.c.lease
    sending = sa.and_(lease != 0, at > now, at < IN_LINE)
    kinds = {
        DeliveryState.HELD: at == HELD,
        DeliveryState.SENDING: sending,
        DeliveryState.PENDING: sa.and_(at != HELD, ~sending),
    }
    found = [messages.are_in(live.where(kinds[state])) for state in states if state in kinds]
    final = [state.value for state in states if state not in kinds]
    if final:
        ended = last.where(attempt.c.state.in_(final), search.is_last(attempt.c))
        found.append(messages.are_in(ended))
    return [sa.or_(*found)]


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


def _waiting() -> sa.ScalarSelect[int]:
    """Count what is queued for the endpoint that is looked at and not held, to `MOST_GLANCED`."""
    mine = delivery.c.endpoint_id == endpoint.c.id, delivery.c.next_attempt_at < HELD
    part = sa.select(sa.literal(1)).where(*mine).correlate(endpoint).limit(MOST_GLANCED).subquery()
    return sa.select(sa.func.count()).select_from(part).correlate(endpoint).scalar_subquery()


def _sending(now: int) -> sa.ScalarSelect[int]:
    """Count what is being sent to the endpoint that is looked at.

    Leases end soon: they are among the deliveries whose time comes next, however many wait.
    """
    at = delivery.c.next_attempt_at
    mine = delivery.c.endpoint_id == endpoint.c.id, at > now, at < IN_LINE
    soon = sa.select(delivery.c.lease).where(*mine).correlate(endpoint).order_by(at)
    part = soon.limit(MOST_GLANCED).subquery()
    leased = sa.select(sa.func.count()).select_from(part).where(part.c.lease != 0)
    return leased.correlate(endpoint).scalar_subquery()


def _glance(row: Any, now: int) -> Glance:
    return Glance(
        circuit=CircuitState(row.state) if row.state else CircuitState.CLOSED,
        failures=row.failures or 0,
        waits_until=time(row.blocked_until) if (row.blocked_until or 0) > now else None,
        pending=row.waiting - (row.sending if row.waiting < MOST_GLANCED else 0),
        sending=row.sending,
        last_attempt_at=maybe_time(row.started_at),
        last_status=row.status,
        last_failure=row.failure,
    )


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
