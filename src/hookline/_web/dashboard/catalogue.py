"""The catalogue of event types, as a reader may see it."""

from typing import Any

from hookline import EventType
from hookline._domain.example import example
from hookline._domain.page import Window
from hookline._web.dashboard import text
from hookline._web.dashboard.view import View
from hookline._web.engine import event_names
from hookline.errors import EventTypeNotFound

MOST_NAMES = 250


async def page(
    view: View, window: Window, *, archived: bool = False
) -> tuple[list[EventType], list[str], str | None]:
    """Return a part of the catalogue, names that only code declares, and where it goes on."""
    found = await view.webhooks.event_types.page(window, archived=archived)
    catalogued = {each.name for each in found.items}
    declared = []
    if window.cursor is None and not found.more:
        for name in event_names(view.webhooks):
            if name not in catalogued and await _is_declared_only(view, name):
                declared.append(name)
    more = found.last if found.more and isinstance(found.last, str) else None
    return [each for each in found.items if view.offers(each)], declared, more


async def _is_declared_only(view: View, name: str) -> bool:
    """Tell whether the catalogue has no such name: archived ones are not on its pages."""
    try:
        await view.webhooks.event_types.get(name)
    except EventTypeNotFound:
        return True
    return False


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
        raise EventTypeNotFound(f"no event type {name!r}")
    return each


def example_of(event_type: EventType | None) -> Any:
    """Return an example of the newest version of an event type's schema, None without one."""
    schema = None if event_type is None else event_type.schema
    return None if schema is None else example(schema)


def as_text(schema: Any) -> str:
    """Return a schema as it is edited."""
    return text.as_json(schema)
