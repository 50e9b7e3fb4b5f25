"""Lists as long as they are wanted, read page by page."""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer

from hookline.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hookline import Page, Window
    from hookline.cli._show.out import Out

T = TypeVar("T")

Limit = Annotated[int, typer.Option("--limit", "-n", help="How many at most.", min=1)]
After = Annotated[
    str | None,
    typer.Option("--from", metavar="ID", help="Go on after this one: where the list before ended."),
]


class Listed(NamedTuple):
    """What was found, and where to go on; None at the end."""

    items: list[Any]
    more_from: str | None

    def tell(self, out: "Out", nothing: str = "none") -> None:
        """Say that there is nothing, or that the list goes on."""
        if self.more_from is not None:
            out.note(f"there are more: --from {self.more_from}")
        elif not self.items:
            out.note(nothing)


async def read(
    page: "Callable[[Window], Awaitable[Page[Any]]]",
    prefix: str | None,
    limit: int,
    after: str | None,
    *,
    descending: bool = False,
) -> Listed:
    """Read pages until there are `limit` items. `prefix` is that of the ids, None for names."""
    from hookline import Cursor, Window  # noqa: PLC0415
    from hookline._domain import ids  # noqa: PLC0415
    from hookline._domain.page import MAX_LIMIT  # noqa: PLC0415

    cursor: Cursor | None = None
    if after is not None:
        key = after if prefix is None else ids.decode(prefix, after)
        if key is None:
            raise InvalidInput(f"from: {after!r} is no id of this list ({prefix}…)")
        cursor = Cursor(key)
    items: list[Any] = []
    while True:
        found = await page(Window(min(limit - len(items), MAX_LIMIT), cursor, descending))
        items += found.items
        last = found.last
        if last is None and found.items:
            last = _key(found.items[-1], prefix)
        if not found.more or last is None:
            return Listed(items, None)
        cursor = Cursor(last)
        if len(items) >= limit:
            shown = ids.encode(prefix or "", last) if isinstance(last, bytes) else last
            return Listed(items, shown)


def _key(item: Any, prefix: str | None) -> bytes | str:
    """Return the key of an item: its name, or what its id stands for."""
    from hookline._domain import ids  # noqa: PLC0415

    if prefix is None:
        return str(item.name)
    return ids.decode(prefix, item.id) or b""
