"""Lists and indexes by key: cheap however far in, and stable while rows come and go."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._domain.page import Window


def walk(column: sa.ColumnElement[Any], among: sa.ColumnElement[bool] | None = None) -> sa.CTE:
    """Select the different values of an indexed column as `id`, and a NULL after the last.

    A seek for each, however many rows have it: SQL's own DISTINCT reads every row. `among` says
    which rows are looked at: it must leave no value with many rows that do not count.
    """
    among = sa.true() if among is None else among
    lowest = sa.select(column).where(among).order_by(column).limit(1).scalar_subquery()
    found = sa.select(lowest.label("id")).cte("walk", recursive=True)
    above = sa.select(column).where(column > found.c.id, among).order_by(column).limit(1)
    return found.union_all(sa.select(above.scalar_subquery()).where(found.c.id.is_not(None)))


async def rows(
    connection: AsyncConnection,
    query: sa.Select[Any],
    column: sa.ColumnElement[Any],
    window: Window,
) -> tuple[list[Any], bool]:
    """Return the rows of a page in the list's order, and whether there are more."""
    cursor = window.cursor
    ascending = window.descending == (cursor is not None and cursor.backwards)
    if cursor is not None:
        query = query.where(column > cursor.item if ascending else column < cursor.item)
    ordered = query.order_by(column.asc() if ascending else column.desc())
    found = list((await connection.execute(ordered.limit(window.limit + 1))).all())
    more = len(found) > window.limit
    found = found[: window.limit]
    if cursor is not None and cursor.backwards:
        found.reverse()
    return found, more
