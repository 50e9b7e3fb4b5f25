"""Lists in pages, and the queries that narrow them, as the official clients send them.

`iterator` is the id (of event types: the name) of the last item that was seen; with `-` before it,
of the first item, to go the other way.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request

from hookline._domain import ids
from hookline._domain.history import Filter
from hookline._domain.page import MAX_LIMIT, Cursor, Page, Window
from hookline._web import errors
from hookline._web.api.models.wire import Time

T = TypeVar("T")
MOST_NAMES = 500
_LISTED = re.compile(r"event_types(\[\d{0,6}\])?")


class Order(StrEnum):
    """Which end of a list comes first."""

    ASCENDING = "ascending"
    DESCENDING = "descending"


Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items on a page.")]
Iterator = Annotated[
    str | None,
    Query(description="Where to go on: the `iterator` or `prevIterator` of the page before."),
]
Ordered = Annotated[Order | None, Query(description="The order of the list.")]


class Paged:
    """A dependency that makes a `Window` of `limit`, `iterator` and `order`.

    `prefix` is that of the ids, None for lists by name. Lists that are always the newest first are
    `descending` and not `orderable`.
    """

    def __init__(
        self, prefix: str | None, *, orderable: bool = True, descending: bool = False
    ) -> None:
        """Take what the list is like."""
        self._prefix = prefix
        self._descending = descending
        # What FastAPI calls, and reads the parameters of. Asynchronous: else it takes a thread.
        self.window: Callable[..., Awaitable[Window]] = (
            self._orderable if orderable else self._plain
        )

    async def _orderable(
        self, limit: Limit = 50, iterator: Iterator = None, order: Ordered = None
    ) -> Window:
        descending = self._descending if order is None else order is Order.DESCENDING
        return Window(limit, self._cursor(iterator), descending)

    async def _plain(self, limit: Limit = 50, iterator: Iterator = None) -> Window:
        return Window(limit, self._cursor(iterator), self._descending)

    def _cursor(self, iterator: str | None) -> Cursor | None:
        if not iterator:
            return None
        backwards = iterator.startswith("-")
        text = iterator[1:] if backwards else iterator
        item = text if self._prefix is None else ids.decode(self._prefix, text)
        if not item:
            raise errors.invalid(
                ("query", "iterator"), "is not the iterator of a page of this list"
            )
        return Cursor(item, backwards)


def listed(
    page: Page[T], show: Callable[[T], Any], name: Callable[[T], str], prefix: str | None
) -> dict[str, Any]:
    """Return a page as it is answered.

    `show` gives what stands for an item, `name` its id (or name), `prefix` as for `Paged`.
    """
    last = page.last
    if isinstance(last, bytes):
        last = ids.encode(prefix or "", last)
    elif last is None and page.items:
        last = name(page.items[-1])
    found: dict[str, Any] = {"data": [show(item) for item in page.items], "iterator": last}
    if page.items:
        found["prevIterator"] = "-" + name(page.items[0])
    found["done"] = not page.more
    return found


def names(pairs: Iterable[tuple[str, str]]) -> Sequence[str]:
    """Return the event types of a query: `a,b`, repeated, `event_types[]=` or `event_types[0]=`."""
    found: dict[str, None] = {}
    for key, value in pairs:
        if _LISTED.fullmatch(key):
            found.update(dict.fromkeys(part for part in value.split(",") if part))
    if len(found) > MOST_NAMES:
        raise errors.invalid(("query", "event_types"), f"{len(found)} names, at most {MOST_NAMES}")
    return tuple(found)


async def _event_types(
    request: Request,
    event_types: Annotated[  # noqa: ARG001 - for the documentation: read below, in every form
        list[str] | None, Query(description="Of these event types only: `a,b`, or repeated.")
    ] = None,
) -> Sequence[str]:
    return names(request.query_params.multi_items())


EventTypes = Annotated[Sequence[str], Depends(_event_types)]
"""The event types that a list is narrowed to; empty for all."""


async def _narrowed(
    event_types: EventTypes,
    channel: Annotated[str | None, Query(description="Sent to this channel only.")] = None,
    tag: Annotated[str | None, Query(description="With this tag only.")] = None,
    before: Annotated[Time | None, Query(description="Before this time only.")] = None,
    after: Annotated[Time | None, Query(description="After this time only.")] = None,
) -> Filter:
    return Filter(event_types=event_types, channel=channel, tag=tag, before=before, after=after)


Narrowed = Annotated[Filter, Depends(_narrowed)]
"""What a list of messages, or of attempts to deliver them, is narrowed to."""
