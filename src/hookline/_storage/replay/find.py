"""Finding candidates page by page, along the keys there are."""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._domain import ids
from hookline._domain.delivery import DeliveryState
from hookline._domain.endpoint import Target
from hookline._domain.expression import Document
from hookline._storage.batch import MOST_STEPS
from hookline._storage.replay.terms import (
    SKEW,
    Candidate,
    Cursor,
    Frame,
    Page,
    Walk,
    padded,
)
from hookline._storage.rows import END, START, first_key
from hookline._storage.schema import HELD, Key, attempt, delivery, message

PAGE = 500
"""Candidates on one page, and so deliveries made due in one step, at most."""
SCAN = 2000
"""Rows that a page reads of an index, at most; of each of its endpoints in the log."""
BODIES = 16
"""Bodies that filters look at, in memory at a time."""
PAGE_ENDPOINTS = 10
"""Endpoints whose log a page looks at, at most."""


async def page(connection: AsyncConnection, f: Frame, cursor: Cursor) -> Page:
    """Return the page after the cursor."""
    if cursor.walk is Walk.LIVE:
        return await _live_page(connection, f, cursor)
    if cursor.walk is Walk.MISSING:
        return await _missing_page(connection, f, cursor)
    if f.message is not None:
        return await _log_page_of_message(connection, f, cursor)
    return await _log_page(connection, f, cursor)


async def _part(
    connection: AsyncConnection,
    keys: Sequence[sa.Column[Any]],
    others: Sequence[sa.Column[Any]],
    where: Sequence[sa.ColumnElement[bool]],
    keep: Callable[[Any], Sequence[sa.ColumnElement[bool]]],
    most: int = PAGE,
) -> tuple[Sequence[Any], Any]:
    """Return what to keep of the next `SCAN` rows, in the order of their keys; `most` at most.

    And the keys of the row at which this ended, None when there were no more rows.
    """
    part = sa.select(*keys, *others).where(*where).order_by(*keys).limit(SCAN).subquery()
    order = [part.c[key.name] for key in keys]
    kept = sa.select(part).where(*keep(part.c)).order_by(*order).limit(most)
    rows = (await connection.execute(kept)).all()
    if len(rows) == most:
        return rows, rows[-1]
    last = sa.select(*keys).where(*where).order_by(*keys).offset(SCAN - 1).limit(1)
    return rows, (await connection.execute(last)).first()


async def _live_page(connection: AsyncConnection, f: Frame, cursor: Cursor) -> Page:
    """Read the live queue."""
    columns, one = delivery.c, f.audience.keys if len(f.audience.keys) == 1 else None
    held_only = f.selection.live == {DeliveryState.HELD}

    def keep(part: Any) -> list[sa.ColumnElement[bool]]:
        mine = [part.endpoint_id == one[0]] if one else []
        return [*mine, part.next_attempt_at == HELD] if held_only else mine

    after = sa.tuple_(*max((cursor.first, cursor.second), (f.low, START)), types=[Key, Key])
    rows, end = await _part(
        connection,
        [columns.message_id, columns.endpoint_id],
        [columns.next_attempt_at],
        [
            sa.tuple_(columns.message_id, columns.endpoint_id) > after,
            columns.message_id < f.high,
        ],
        keep,
    )
    places = [Cursor(Walk.LIVE, row.message_id, row.endpoint_id) for row in rows]
    candidates = [Candidate(at, *at[1:]) for at in places if at.second in f.audience.targets]
    if end is None:
        return Page(candidates, f.after(Walk.LIVE))
    return Page(candidates, Cursor(Walk.LIVE, end.message_id, end.endpoint_id))


async def _log_page(connection: AsyncConnection, f: Frame, cursor: Cursor) -> Page:
    """Read the log of one endpoint after the other."""
    begin = first_key(ids.milliseconds(f.low) - SKEW)
    keys, first = f.audience.keys, bisect_left(f.audience.keys, cursor.first)
    candidates: list[Candidate] = []
    for key in keys[first : first + PAGE_ENDPOINTS]:
        after = max(begin, cursor.second if key == cursor.first else START)
        where = attempt.c.endpoint_id == key, attempt.c.id > after
        rows, end = await _attempts(connection, f, where, PAGE - len(candidates))
        candidates += [
            Candidate(Cursor(Walk.LOG, key, row.id), row.message_id, key, row.number)
            for row in rows
        ]
        if end is not None:
            return Page(candidates, Cursor(Walk.LOG, key, end.id))
    if first + PAGE_ENDPOINTS < len(keys):
        return Page(candidates, Cursor(Walk.LOG, keys[first + PAGE_ENDPOINTS], START))
    return Page(candidates, f.after(Walk.LOG))


async def _log_page_of_message(connection: AsyncConnection, f: Frame, cursor: Cursor) -> Page:
    """Read the log of the one message."""
    where = attempt.c.message_id == f.message, attempt.c.id > cursor.second
    rows, end = await _attempts(connection, f, where, PAGE)
    candidates = [
        Candidate(Cursor(Walk.LOG, START, row.id), row.message_id, row.endpoint_id, row.number)
        for row in rows
        if row.endpoint_id in f.audience.targets
    ]
    return Page(candidates, Cursor(Walk.LOG, START, end.id) if end else f.after(Walk.LOG))


async def _attempts(
    connection: AsyncConnection, f: Frame, where: Sequence[sa.ColumnElement[bool]], most: int
) -> tuple[Sequence[Any], Any]:
    columns, states = attempt.c, sorted(f.selection.final)
    return await _part(
        connection,
        [columns.id],
        [columns.message_id, columns.endpoint_id, columns.number, columns.state, columns.status],
        [*where, columns.id < f.fence],
        lambda part: [
            f.answered(part.status),
            part.state.in_(states),
            part.message_id >= f.low,
            part.message_id < f.high,
        ],
        most,
    )


async def _missing_page(connection: AsyncConnection, f: Frame, cursor: Cursor) -> Page:
    """Read the messages; each is a candidate for every endpoint that wants it.

    The page ends early when filters have had enough to do.
    """
    columns = message.c
    rows, end = await _part(
        connection,
        [columns.id],
        [columns.app_id, columns.event_type, columns.channels, columns.only_endpoint],
        [columns.id >= max(f.low, f.log_begins, cursor.first), columns.id < f.high],
        lambda part: [part.app_id == f.app, part.only_endpoint.is_(None)],
    )
    candidates: list[Candidate] = []
    asked = [row for row in rows if f.wants_type(row.event_type)]
    sieve = _Sieve(connection, [(row.id, _wanted(f, row)) for row in asked])
    for row in asked:
        for target in _wanted(f, row):
            at = Cursor(Walk.MISSING, row.id, target.key)
            if at <= cursor:
                continue
            if target.filter is None or await sieve.passes(row.id, target):
                candidates.append(Candidate(at, row.id, target.key))
            if len(candidates) == PAGE or sieve.full:
                return Page(candidates, at)
    return Page(candidates, Cursor(Walk.MISSING, end.id, END) if end else f.after(Walk.MISSING))


def _wanted(f: Frame, row: Any) -> Sequence[Target]:
    return f.audience.table.wanted(row.event_type, row.channels)


class _Sieve:
    """The filters of endpoints, applied to stored messages as routing applies them."""

    def __init__(
        self, connection: AsyncConnection, wanted: Iterable[tuple[bytes, Sequence[Target]]]
    ) -> None:
        """Take the messages in their order, each with the endpoints that want it."""
        self._connection = connection
        self._ahead = deque(
            key for key, targets in wanted if any(target.filter is not None for target in targets)
        )
        self._documents: dict[bytes, Document] = {}
        self._steps = 0

    @property
    def full(self) -> bool:
        """Whether filters made as many steps as one page may take."""
        return self._steps >= MOST_STEPS

    async def passes(self, key: bytes, target: Target) -> bool:
        """Return whether an endpoint's filter lets a message through."""
        if key not in self._documents:
            self._documents = await self._next(key)
        verdict = target.judges(self._documents[key])
        self._steps += verdict.steps
        return verdict.passes

    async def _next(self, key: bytes) -> dict[bytes, Document]:
        """Return the bodies from that message on."""
        while self._ahead[0] != key:
            self._ahead.popleft()
        batch = [self._ahead.popleft() for _ in range(min(BODIES, len(self._ahead)))]
        columns = message.c
        rows = await self._connection.execute(
            sa.select(columns.id, columns.body).where(columns.id.in_(padded(batch)))
        )
        bodies = {row.id: bytes(row.body) for row in rows}
        # One that is gone meanwhile is nothing to filter: `judge` does not find it either.
        return {each: Document(bodies.get(each, b"")) for each in batch}
