"""Lists in pages: where one begins, and what it holds."""

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
MAX_LIMIT = 250


class Cursor(NamedTuple):
    """Go on beside an item that was seen: after it, or `backwards` before it.

    `item` is an item's key, or for event types its name.
    """

    item: bytes | str
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is wanted."""

    limit: int = 50
    cursor: Cursor | None = None
    descending: bool = False


NEWEST = Window(descending=True)
"""The part a list of what happened begins with."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Items in the list's order, and whether there are more in the direction of reading.

    `last` is where reading goes on: the last item that was looked at, which a filter may have left
    out of `items`.
    """

    items: list[T]
    more: bool
    last: bytes | str | None = None
