"""Looking up messages, attempts and where deliveries stand: pages of them, newest first."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._domain import ids
from hookline._domain.delivery import DeliveryState
from hookline._domain.history import Attempted, AttemptOf, EndpointStats, Filter, Head, Message
from hookline._domain.page import Page, Window
from hookline._domain.tally import HOUR, Kind
from hookline._storage import backlog, search
from hookline._storage.audit import note_message
from hookline._storage.part import Part
from hookline._storage.rows import attempt_of, first_key, live_state, message_of, time
from hookline._storage.schema import IN_LINE, attempt, delivery, message, tally


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
            return [message_of(row) for row in rows]

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
        looked_at = sa.select(message).where(message.c.app_id == app)
        within = search.span(wanted.after, wanted.before)
        async with self._reading() as connection:
            rows, more, last = await search.filtered(
                connection,
                looked_at,
                message,
                search.of_messages(wanted),
                window,
                within=within,
            )
        return Page([message_of(row) for row in rows], more, last)

    async def attempted(
        self, app: bytes, endpoint: bytes, wanted: Filter, window: Window, now: int
    ) -> Page[Attempted]:
        """Return the messages that were sent to an endpoint, or are to be, with their states."""
        looked_at = sa.select(message).where(message.c.app_id == app)
        within = search.span(wanted.after, wanted.before)

        def at_endpoint(messages: search.Candidates) -> list[sa.ColumnElement[bool]]:
            live = sa.select(delivery.c.message_id).where(
                messages.are(delivery.c.message_id),
                search.unindexed(delivery.c.endpoint_id) == endpoint,
            )
            made = sa.select(attempt.c.message_id).where(
                *messages.attempts(),
                search.unindexed(attempt.c.endpoint_id) == endpoint,
            )
            return [sa.or_(messages.are_in(live), messages.are_in(made))]

        async with self._reading() as connection:
            rows, more, last = await search.filtered(
                connection,
                looked_at,
                message,
                search.of_messages(wanted),
                window,
                at_endpoint,
                within,
            )
            states = await self._states(connection, endpoint, [row.id for row in rows], now)
        found = [Attempted(message_of(row), *states[row.id]) for row in rows]
        if wanted.states:
            found = [each for each in found if each.state in wanted.states]
        return Page(found, more, last)

    @staticmethod
    async def _states(
        connection: AsyncConnection, endpoint: bytes, keys: Sequence[bytes], now: int
    ) -> dict[bytes, tuple[DeliveryState, int, datetime | None]]:
        """Return state, attempts made and next attempt of messages at an endpoint."""
        at_it = search.unindexed(attempt.c.endpoint_id) == endpoint
        mine = (at_it, attempt.c.message_id.in_(keys))
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
        looked_at = sa.select(attempt).where(attempt.c.message_id == message_key)
        return await self._attempts(looked_at, wanted, window)

    async def attempts_at_endpoint(
        self, endpoint: bytes, wanted: Filter, window: Window
    ) -> Page[AttemptOf]:
        """Return the attempts that were made at an endpoint."""
        looked_at = sa.select(attempt).where(attempt.c.endpoint_id == endpoint)
        return await self._attempts(looked_at, wanted, window)

    async def _attempts(
        self, looked_at: sa.Select[Any], wanted: Filter, window: Window
    ) -> Page[AttemptOf]:
        async with self._reading() as connection:
            rows, more, last = await search.filtered(
                connection,
                looked_at,
                attempt,
                search.of_attempts(wanted),
                window,
                within=search.span(wanted.after, wanted.before),
            )
            return Page(await self._with_messages(connection, rows), more, last)

    @staticmethod
    async def _with_messages(connection: AsyncConnection, rows: Sequence[Any]) -> list[AttemptOf]:
        keys = {row.message_id for row in rows}
        found = await connection.execute(sa.select(message).where(message.c.id.in_(keys)))
        messages = {row.id: message_of(row) for row in found}
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
        """Count how deliveries of an endpoint ended between two times, and those under way.

        Whole hours that are over come from tallies, the rest from the log.
        """
        begin, end = _hours(since, until, now)
        ended: Counter[str] = Counter()
        async with self._reading() as connection:
            for low, high in ((since, begin), (end, until)):
                if low < high:
                    ended.update(await _ended(connection, endpoint, low, high))
            if begin < end:
                ended.update(await _tallied(connection, endpoint, begin // 1000, end // 1000))
            queued = await backlog.queued(connection, endpoint, now)
        return EndpointStats(
            succeeded=ended[DeliveryState.SUCCEEDED.value],
            exhausted=ended[DeliveryState.EXHAUSTED.value],
            pending=queued.pending,
            sending=queued.sending,
            held=queued.held,
        )


SETTLED_MS = 10 * 60 * 1000
"""How long after its end an hour's tallies are complete: attempts end, and tallies are written."""


def _hours(since: int, until: int, now: int) -> tuple[int, int]:
    """Return the whole hours between two times whose tallies are complete; `until` twice if none.

    Tallies of days ago are of hours.
    """
    hour = HOUR * 1000
    begin, end = -(-since // hour) * hour, min(until, now - SETTLED_MS) // hour * hour
    return (begin, end) if begin < end else (until, until)


async def _ended(
    connection: AsyncConnection, endpoint: bytes, low: int, high: int
) -> dict[str, int]:
    """Count in the log how attempts at an endpoint ended."""
    count = sa.func.count().label("number")
    states = sa.select(attempt.c.state, count).where(
        attempt.c.endpoint_id == endpoint,
        attempt.c.id >= first_key(low),
        attempt.c.id < first_key(high),
    )
    found = await connection.execute(states.group_by(attempt.c.state))
    return {row.state: row.number for row in found}


async def _tallied(
    connection: AsyncConnection, endpoint: bytes, begin: int, end: int
) -> dict[str, int]:
    """Add up the same from tallies, between two times in seconds."""
    sums = [sa.cast(sa.func.sum(c), sa.BigInteger) for c in (tally.c.succeeded, tally.c.exhausted)]
    found = await connection.execute(
        sa.select(*sums).where(
            tally.c.kind == Kind.ENDPOINT.value,
            tally.c.subject == endpoint,
            tally.c.at >= begin,
            tally.c.at < end,
        )
    )
    row = found.one()
    return {
        DeliveryState.SUCCEEDED.value: row[0] or 0,
        DeliveryState.EXHAUSTED.value: row[1] or 0,
    }
