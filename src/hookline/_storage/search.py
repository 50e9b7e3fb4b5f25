"""Searching: a page of what passes a filter, the newest first.

A filter that few rows pass would make a page read a whole table. So a page looks at 5,000 rows at
most: it may come back short, or empty, and says where to go on.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles

from hookline._domain.delivery import DeliveryState
from hookline._domain.history import Filter
from hookline._domain.page import Window
from hookline._storage.rows import first_key, milliseconds
from hookline._storage.schema import message

LOOKED_AT = 5000
"""Rows a page looks at, at most, for the ones that a filter lets through."""

Conditions = Callable[[Any], list[sa.ColumnElement[bool]]]
"""Given the columns of what is looked at, what a row must be like to be on the page."""


async def filtered(
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


def between(key: sa.ColumnElement[Any], wanted: Filter) -> Iterator[sa.ColumnElement[bool]]:
    """Give the bounds of time: keys begin with their milliseconds."""
    if wanted.after is not None:
        yield key >= first_key(milliseconds(wanted.after) + 1)
    if wanted.before is not None:
        yield key < first_key(milliseconds(wanted.before))


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
