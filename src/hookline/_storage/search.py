"""Searching: a page of what passes a filter, the newest first.

A filter that few rows pass would make a page read a whole table. So a page looks at 5,000 rows at
most: it may come back short, or empty, and says where to go on.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles

from hookline._domain import ids
from hookline._domain.delivery import DeliveryState
from hookline._domain.history import Filter
from hookline._domain.page import Window
from hookline._storage.rows import first_key, milliseconds
from hookline._storage.schema import attempt, message

LOOKED_AT = 5000
"""Rows a page looks at, at most, for the ones that a filter lets through."""
FIRST_LOOK = 250
"""Of these it looks at so many first: what is not rare fills the page by then."""

SKEW_MS = 3_600_000
"""An attempt is not older than its message, but for clocks that differ; never by so much."""
Span = tuple[bytes | None, bytes | None]
"""The first key that is looked at, and the first that is not any more."""
Conditions = Callable[[Any], list[sa.ColumnElement[bool]]]
"""Given the columns of what is looked at, what a row must be like to be on the page."""


class Candidates(NamedTuple):
    """The rows a filter has let through so far, of which other tables are to tell the rest."""

    id: sa.ColumnElement[Any]
    keys: sa.Select[Any]
    oldest: bytes | None
    """None of them is older, where that is known."""
    arrays: bool
    """Whether keys are handed over as arrays. PostgreSQL makes a join of anything else, which asks
    row by row, in each partition of the log: for a minute, if it guesses badly."""

    def are(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Return whether a column has the key of one of them: an index finds all at once."""
        return self._in(column, self.keys)

    def are_in(self, keys: sa.Select[Any]) -> sa.ColumnElement[bool]:
        """Return whether they are among the keys of a query, which is asked once."""
        return self._in(self.id, keys)

    def _in(self, column: sa.ColumnElement[Any], keys: sa.Select[Any]) -> sa.ColumnElement[bool]:
        if self.arrays:
            return column == sa.any_(sa.func.array(keys.scalar_subquery()))
        return column.in_(keys)

    def attempts(self) -> Iterator[sa.ColumnElement[bool]]:
        """Give what their attempts are like: the log's partitions of days before are left alone."""
        yield self.are(attempt.c.message_id)
        if self.oldest is not None:
            yield attempt.c.id >= first_key(ids.milliseconds(self.oldest) - SKEW_MS)


Beside = Callable[[Candidates], list[sa.ColumnElement[bool]]]
"""Given candidates, what must be in other tables about them."""


async def filtered(
    connection: AsyncConnection,
    looked_at: sa.Select[Any],
    table: sa.Table,
    conditions: Conditions,
    window: Window,
    beside: Beside | None = None,
    within: Span = (None, None),
    most: int | None = None,
) -> tuple[list[Any], bool, bytes | None]:
    """Return a page of the rows that pass, whether there may be more, and where to go on.

    It looks at `most` rows at most, at `LOOKED_AT` unless told otherwise.
    """
    cursor, key = window.cursor, table.c.id
    ascending = window.descending == (cursor is not None and cursor.backwards)
    look = _Look(connection, table, conditions, beside, ascending)
    rows: list[Any] = []
    edge: Any = None if cursor is None else cursor.item
    most = LOOKED_AT if most is None else most
    first = min(most, max(FIRST_LOOK, 2 * window.limit))
    for size in filter(None, (first, most - first)):
        bounds = _between(key, within, edge, ascending=ascending)
        some = look.ordered(looked_at.where(*bounds), key).limit(size)
        began, edge = (
            edge,
            await connection.scalar(some.with_only_columns(key).limit(1).offset(size - 1)),
        )
        wanted = window.limit + 1 - len(rows)
        rows += await look.passing(some, wanted, began if ascending else edge)
        if len(rows) > window.limit or edge is None:  # the page is full, or the list has ended
            break
    more = len(rows) > window.limit or edge is not None
    if len(rows) > window.limit:
        rows, edge = rows[: window.limit], None
    last = rows[-1].id if rows and edge is None else edge
    if cursor is not None and cursor.backwards:
        rows.reverse()
    return rows, more, last


class _Look(NamedTuple):
    """How rows are looked through."""

    connection: AsyncConnection
    table: sa.Table
    conditions: Conditions
    beside: Beside | None
    ascending: bool

    def ordered(self, query: sa.Select[Any], key: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """Return a query in the direction of reading."""
        return query.order_by(key.asc() if self.ascending else key.desc())

    async def passing(
        self, some: sa.Select[Any], limit: int, oldest: bytes | None
    ) -> Sequence[Any]:
        """Return the first of some rows that pass; `oldest` is a key none of them is older than."""
        part = some.subquery("part")
        if self.beside is None:
            by_themselves = sa.select(part).where(*self.conditions(part.c)).limit(limit)
            rows = await self.connection.execute(self.ordered(by_themselves, part.c.id))
            return list(rows.all())
        found = sa.select(part.c.id).where(*self.conditions(part.c)).cte("candidate")
        told = self.beside(self._candidates(found, oldest))
        keys = self.ordered(sa.select(found.c.id).where(*told).limit(limit), found.c.id)
        passing = (await self.connection.execute(keys)).scalars().all()
        if not passing:
            return []
        whole = sa.select(self.table).where(self.table.c.id.in_(passing))
        rows = await self.connection.execute(self.ordered(whole, self.table.c.id))
        return list(rows.all())

    def _candidates(self, found: sa.CTE, oldest: bytes | None) -> Candidates:
        keys = sa.select(found.alias("again").c.id).correlate(None)
        return Candidates(found.c.id, keys, oldest, self.connection.dialect.name == "postgresql")


def span(after: datetime | None, before: datetime | None) -> Span:
    """Return the bounds of time as keys, which begin with their milliseconds."""
    return (
        None if after is None else first_key(milliseconds(after) + 1),
        None if before is None else first_key(milliseconds(before)),
    )


def _between(
    key: sa.ColumnElement[Any], within: Span, edge: bytes | None, *, ascending: bool
) -> Iterator[sa.ColumnElement[bool]]:
    """Give one lower and one upper bound at most: of two, SQLite would seek to either."""
    low, high = within
    if edge is not None and ascending:
        beyond = (int.from_bytes(edge) + 1).to_bytes(17)[-16:]
        low = beyond if low is None else max(low, beyond)
    elif edge is not None:
        high = edge if high is None else min(high, edge)
    if low is not None:
        yield key >= low
    if high is not None:
        yield key < high


def of_messages(wanted: Filter) -> Conditions:
    """Return what a filter asks of messages."""

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


def of_attempts(wanted: Filter) -> Conditions:
    """Return what a filter asks of attempts, and of their messages."""
    about_message = of_messages(wanted)(message.c)

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


def unindexed(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return a column as an expression that no index has.

    One endpoint may have most of the log, of which SQLite's planner knows nothing: what is asked
    about a few messages is found by their keys.
    """
    return sa.func.coalesce(column, column)


def is_last(of: Any) -> sa.ColumnElement[bool]:
    """Return whether no later attempt was made for the same message at the same endpoint.

    For a few rows: it looks each up. `OFFSET 0` keeps PostgreSQL from joining instead.
    """
    later = attempt.alias("later")
    found = sa.select(sa.literal(1)).where(
        later.c.message_id == of.message_id,
        unindexed(later.c.endpoint_id) == of.endpoint_id,
        later.c.id > of.id,
    )
    return ~found.offset(0).exists()
