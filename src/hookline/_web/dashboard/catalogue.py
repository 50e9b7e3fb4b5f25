"""The catalogue of event types, as a reader may see it."""

from typing import Any

from hookline import EventType
from hookline._domain.example import example
from hookline._domain.page import Cursor, Window
from hookline._said import Said
from hookline._web.dashboard import text
from hookline._web.dashboard.view import View
from hookline._web.engine import event_names
from hookline.errors import EventTypeNotFound

MOST_NAMES = 250
MOST_READ = 1000


async def page(
    view: View, window: Window, *, archived: bool = False
) -> tuple[list[EventType], list[str], str | None]:
    """Return a part of the catalogue, names that only code declares, and where it goes on."""
    found = await view.webhooks.event_types.page(window, archived=archived)
    declared: list[str] = []
    if window.cursor is None and not found.more:
        listed = {each.name for each in found.items}
        declared = [name for name in event_names(view.webhooks) if name not in listed]
        if declared and not archived:
            kept = await _catalogued(view)
            declared = [name for name in declared if name not in kept]
    more = found.last if found.more and isinstance(found.last, str) else None
    return [each for each in found.items if view.offers(each)], declared, more


async def _catalogued(view: View) -> set[str]:
    """Return all names that the catalogue has, archived ones too."""
    names: set[str] = set()
    window = Window(MOST_READ)
    while True:
        found = await view.webhooks.event_types.page(window, archived=True)
        names.update(each.name for each in found.items)
        if not found.more or found.last is None:
            return names
        window = Window(MOST_READ, Cursor(found.last))


async def names(view: View) -> list[str]:
    """Return the names of event types that an endpoint may want."""
    items, declared, _ = await page(view, Window(MOST_NAMES))
    return [*(each.name for each in items), *declared]


async def found(view: View, name: str) -> EventType | None:
    """Return an event type, None for one that only code declares; raise EventTypeNotFound."""
    try:
        each: EventType = await view.webhooks.event_types.get(name)
    except EventTypeNotFound:
        if name not in event_names(view.webhooks):
            raise
        return None
    if not view.offers(each):
        raise EventTypeNotFound(Said("no event type {name!r}", name=name))
    return each


def example_of(event_type: EventType | None) -> Any:
    """Return an example of the newest version of an event type's schema, None without one."""
    schema = None if event_type is None else event_type.schema
    return None if schema is None else example(schema)


def as_text(schema: Any) -> str:
    """Return a schema as it is edited."""
    return text.as_json(schema)
