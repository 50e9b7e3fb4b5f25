"""Looking up messages, attempts and where deliveries stand: pages of them, newest first.

A filter that few rows pass would make a page read a whole table. So a page looks at 5,000 rows at
most: it may come back short, or empty, and says where to go on.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles

from hookline._domain import ids
from hookline._domain.delivery import DeliveryState
from hookline._domain.history import Attempted, AttemptOf, EndpointStats, Filter, Head, Message
from hookline._domain.page import Page, Window
from hookline._storage.audit import note_message
from hookline._storage.part import Part
from hookline._storage.rows import attempt_of, first_key, live_state, maybe_time, milliseconds, time
from hookline._storage.schema import HELD, IN_LINE, attempt, delivery, message

LOOKED_AT = 5000
"""Rows a page looks at, at most, for the ones that a filter lets through."""


class SqlHistory(Part):
    """`_ports.History`."""

    # messages ------------------------------------------------------------------------------

    async def message_key(self, app: bytes, name: str) -> bytes | None:
        """Return the key of the message with that id, or with that event id, the newest one."""
        key = ids.decode(ids.MESSAGE, name)
        own = message.c.event_id == name if key is None else message.c.id == key
        query = sa.select(message.c.id).where(message.c.app_id == app, own)
        async with self._reading() as connection:
            found: bytes | None = await connection.scalar(query.order_by(message.c.id.desc()))
            return found

    async def read(self, app: bytes, keys: Sequence[bytes]) -> list[Message]:
        """Return those of these messages that an application has, oldest first."""
        query = sa.select(message).where(message.c.id.in_(keys), message.c.app_id == app)
        async with self._reading() as connection:
            rows = await connection.execute(query.order_by(message.c.id))
            return [_message(row) for row in rows]

    async def heads(self, app: bytes, after: bytes, limit: int) -> list[Head]:
        """Return what messages after a key are about, the oldest first; not tests of endpoints."""
        columns = (message.c.id, message.c.event_type, message.c.channels)
        mine = (message.c.app_id == app, message.c.id > after, message.c.only_endpoint.is_(None))
        query = sa.select(*columns).where(*mine).order_by(message.c.id).limit(limit)
        async with self._reading() as connection:
            rows = (await connection.execute(query)).all()
        return [Head(r.id, r.event_type, tuple(json.loads(r.channels or "[]"))) for r in rows]

    async def messages(self, app: bytes, wanted: Filter, window: Window) -> Page[Message]:
        """Return messages of an application."""
        looked_at = sa.select(message).where(
            message.c.app_id == app, *_between(message.c.id, wanted)
        )
        async with self._reading() as connection:
            rows, more, last = await _filtered(
                connection, looked_at, message, _message_conditions(wanted), window
            )
        return Page([_message(row) for row in rows], more, last)

    async def attempted(
        self, app: bytes, endpoint: bytes, wanted: Filter, window: Window, now: int
    ) -> Page[Attempted]:
        """Return the messages that were sent to an endpoint, or are to be, with their states."""
        looked_at = sa.select(message).where(
            message.c.app_id == app, *_between(message.c.id, wanted)
        )

        def at_endpoint(part: Any) -> list[sa.ColumnElement[bool]]:
            live = sa.exists().where(
                delivery.c.message_id == part.id, delivery.c.endpoint_id == endpoint
            )
            made = sa.exists().where(
                attempt.c.message_id == part.id, attempt.c.endpoint_id == endpoint
            )
            return [sa.or_(live, made), *_message_conditions(wanted)(part)]

        async with self._reading() as connection:
            rows, more, last = await _filtered(connection, looked_at, message, at_endpoint, window)
            states = await self._states(connection, endpoint, [row.id for row in rows], now)
        found = [Attempted(_message(row), *states[row.id]) for row in rows]
        if wanted.states:
            found = [each for each in found if each.state in wanted.states]
        return Page(found, more, last)

    @staticmethod
    async def _states(
        connection: AsyncConnection, endpoint: bytes, keys: Sequence[bytes], now: int
    ) -> dict[bytes, tuple[DeliveryState, int, datetime | None]]:
        """Return state, attempts made and next attempt of messages at an endpoint."""
        mine = (attempt.c.endpoint_id == endpoint, attempt.c.message_id.in_(keys))
        tries = await connection.execute(
            sa.select(attempt.c.message_id, attempt.c.state, attempt.c.number)
            .where(*mine)
            .order_by(attempt.c.number, attempt.c.id)
        )
        states: dict[bytes, tuple[DeliveryState, int, datetime | None]] = {
            row.message_id: (DeliveryState(row.state), row.number, None) for row in tries
        }
        live = await connection.execute(
            sa.select(delivery).where(
                delivery.c.endpoint_id == endpoint, delivery.c.message_id.in_(keys)
            )
        )
        for row in live:
            state = live_state(row, now)
            at = row.next_attempt_at
            due = time(at) if state is DeliveryState.PENDING and at < IN_LINE else None
            states[row.message_id] = (state, row.attempts, due)
        return states

    # attempts ------------------------------------------------------------------------------

    async def attempt(self, message_key: bytes, key: bytes) -> AttemptOf | None:
        """Return one attempt of a message."""
        query = sa.select(attempt).where(attempt.c.message_id == message_key, attempt.c.id == key)
        async with self._reading() as connection:
            row = (await connection.execute(query)).first()
            if row is None:
                return None
            [found] = await self._with_messages(connection, [row])
            return found

    async def attempts_of_message(
        self, message_key: bytes, wanted: Filter, window: Window
    ) -> Page[AttemptOf]:
        """Return the attempts that were made for a message."""
        looked_at = sa.select(attempt).where(
            attempt.c.message_id == message_key, *_between(attempt.c.id, wanted)
        )
        return await self._attempts(looked_at, wanted, window)

    async def attempts_at_endpoint(
        self, endpoint: bytes, wanted: Filter, window: Window
    ) -> Page[AttemptOf]:
        """Return the attempts that were made at an endpoint."""
        looked_at = sa.select(attempt).where(
            attempt.c.endpoint_id == endpoint, *_between(attempt.c.id, wanted)
        )
        return await self._attempts(looked_at, wanted, window)

    async def _attempts(
        self, looked_at: sa.Select[Any], wanted: Filter, window: Window
    ) -> Page[AttemptOf]:
        async with self._reading() as connection:
            rows, more, last = await _filtered(
                connection, looked_at, attempt, _attempt_conditions(wanted), window
            )
            return Page(await self._with_messages(connection, rows), more, last)

    @staticmethod
    async def _with_messages(connection: AsyncConnection, rows: Sequence[Any]) -> list[AttemptOf]:
        keys = {row.message_id for row in rows}
        found = await connection.execute(sa.select(message).where(message.c.id.in_(keys)))
        messages = {row.id: _message(row) for row in found}
        return [AttemptOf(attempt_of(row), messages.get(row.message_id)) for row in rows]

    async def forget_answer(self, message_key: bytes, key: bytes, now: int) -> bool:
        """Erase what was answered to one attempt; False when there is no such attempt."""
        async with self._writing() as connection:
            mine = (attempt.c.message_id == message_key, attempt.c.id == key)
            erased = {"response_body": b"", "response_headers": [], "detail": ""}
            changed = await connection.execute(attempt.update().where(*mine).values(**erased))
            if changed.rowcount:
                await note_message(connection, "message.answer_erased", message_key, now)
            return bool(changed.rowcount)

    # figures -------------------------------------------------------------------------------

    async def stats(self, endpoint: bytes, since: int, until: int, now: int) -> EndpointStats:
        """Count how deliveries of an endpoint ended between two times, and those under way."""
        low, high = first_key(since), first_key(until)
        states = sa.select(attempt.c.state, sa.func.count()).where(
            attempt.c.endpoint_id == endpoint, attempt.c.id >= low, attempt.c.id < high
        )
        at, lease, count = delivery.c.next_attempt_at, delivery.c.lease, sa.func.count()
        sending = sa.and_(lease != 0, at > now, at < IN_LINE)
        live = sa.select(
            count,
            count.filter(at == HELD).label("held"),
            count.filter(sending).label("sending"),
        ).where(delivery.c.endpoint_id == endpoint)
        async with self._reading() as connection:
            ended = dict(
                tuple(row) for row in await connection.execute(states.group_by(attempt.c.state))
            )
            total, held, flying = (await connection.execute(live)).one()
        return EndpointStats(
            succeeded=ended.get(DeliveryState.SUCCEEDED.value, 0),
            exhausted=ended.get(DeliveryState.EXHAUSTED.value, 0),
            pending=total - held - flying,
            sending=flying,
            held=held,
        )


# pages ------------------------------------------------------------------------------------------

Conditions = Callable[[Any], list[sa.ColumnElement[bool]]]
"""Given the columns of what is looked at, what a row must be like to be on the page."""


async def _filtered(
    connection: AsyncConnection,
    looked_at: sa.Select[Any],
    table: sa.Table,
    conditions: Conditions,
    window: Window,
) -> tuple[list[Any], bool, bytes | None]:
    """Return a page of the rows that pass, whether there may be more, and where to go on."""
    cursor, key = window.cursor, table.c.id
    ascending = window.descending == (cursor is not None and cursor.backwards)
    if cursor is not None:
        looked_at = looked_at.where(key > cursor.item if ascending else key < cursor.item)
    looked_at = looked_at.order_by(key.asc() if ascending else key.desc()).limit(LOOKED_AT)
    part = looked_at.subquery("part")
    passing = sa.select(part).where(*conditions(part.c)).limit(window.limit + 1)
    ordered = passing.order_by(part.c.id.asc() if ascending else part.c.id.desc())
    rows = list((await connection.execute(ordered)).all())
    more, rows = len(rows) > window.limit, rows[: window.limit]
    last = rows[-1].id if rows else None
    if not more:  # perhaps not the list ended, but the search
        edge = await connection.scalar(
            looked_at.with_only_columns(key).limit(1).offset(LOOKED_AT - 1)
        )
        if edge is not None:
            more, last = True, edge
    if cursor is not None and cursor.backwards:
        rows.reverse()
    return rows, more, last


def _between(key: sa.ColumnElement[Any], wanted: Filter) -> Iterator[sa.ColumnElement[bool]]:
    """Give the bounds of time: keys begin with their milliseconds."""
    if wanted.after is not None:
        yield key >= first_key(milliseconds(wanted.after) + 1)
    if wanted.before is not None:
        yield key < first_key(milliseconds(wanted.before))


def _message_conditions(wanted: Filter) -> Conditions:
    def conditions(part: Any) -> list[sa.ColumnElement[bool]]:
        found = []
        if wanted.event_types:
            found.append(part.event_type.in_(sorted(wanted.event_types)))
        for column, value in ((part.channels, wanted.channel), (part.tags, wanted.tag)):
            if value is not None:
                found.append(
                    column.contains(json.dumps(value, ensure_ascii=False), autoescape=True)
                )
        if wanted.text:
            found.append(_Contains(part.body, wanted.text.encode()))
        return found

    return conditions


def _attempt_conditions(wanted: Filter) -> Conditions:
    about_message = _message_conditions(wanted)(message.c)

    def conditions(part: Any) -> list[sa.ColumnElement[bool]]:
        found = []
        if wanted.succeeded is not None:
            success = part.state == DeliveryState.SUCCEEDED.value
            found.append(success if wanted.succeeded else ~success)
        if wanted.status_class == 0:
            found.append(part.status.is_(None))
        elif wanted.status_class is not None:
            found.append(part.status >= wanted.status_class)
            found.append(part.status < wanted.status_class + 100)
        if wanted.endpoint is not None:
            found.append(part.endpoint_id == wanted.endpoint)
        if about_message:
            own = sa.exists().where(message.c.id == part.message_id, *about_message)
            found.append(own)
        return found

    return conditions


class _Contains(sa.ColumnElement[bool]):
    """Whether bytes contain others: each database has its own word for it."""

    inherit_cache = False
    type = sa.Boolean()

    def __init__(self, column: Any, part: bytes) -> None:
        self.column, self.part = column, sa.literal(part, sa.LargeBinary)


@compiles(_Contains, "sqlite")
def _in_sqlite(element: _Contains, compiler: Any, **kw: Any) -> str:
    column, part = (compiler.process(each, **kw) for each in (element.column, element.part))
    return f"instr({column}, {part}) > 0"


@compiles(_Contains, "postgresql")
def _in_postgresql(element: _Contains, compiler: Any, **kw: Any) -> str:
    column, part = (compiler.process(each, **kw) for each in (element.column, element.part))
    return f"position({part} IN {column}) > 0"


def _message(row: Any) -> Message:
    return Message(
        id=ids.encode(ids.MESSAGE, row.id),
        event_type=row.event_type,
        created_at=time(row.created_at),
        body=bytes(row.body),
        event_id=row.event_id,
        channels=tuple(json.loads(row.channels or "[]")),
        tags=tuple(json.loads(row.tags or "[]")),
        deliver_at=maybe_time(row.deliver_at),
        canceled_at=maybe_time(row.canceled_at),
        ordering_key=row.ordering_key,
    )
