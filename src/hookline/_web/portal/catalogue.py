"""What events there are, with schemas and examples."""

from starlette.responses import Response

from hookline import EventType
from hookline._domain.catalogue.described import deprecation
from hookline._domain.catalogue.rows import rows
from hookline._domain.event_type import newest
from hookline._domain.page import Cursor, Window
from hookline._web.dashboard.endpoints import example_of
from hookline._web.dashboard.routes import get
from hookline._web.engine import event_names
from hookline._web.portal.view import PortalView
from hookline.errors import EventTypeNotFound

LIMIT = 100
MOST_NAMES = 250


def offered(event_type: EventType) -> bool:
    """Tell whether customers hear of an event type: not while it is behind a flag, or archived."""
    return not event_type.feature_flags and not event_type.archived


async def _page(view: PortalView, window: Window) -> tuple[list[EventType], list[str], str | None]:
    """Return a part of the catalogue, names that only code declares, and where it goes on."""
    page = await view.webhooks.event_types.page(window)
    catalogued = {each.name for each in page.items}
    declared = []
    if window.cursor is None and not page.more:
        for name in event_names(view.webhooks):
            if name not in catalogued and await _is_free(view, name):
                declared.append(name)
    more = page.last if page.more and isinstance(page.last, str) else None
    return [each for each in page.items if offered(each)], declared, more


async def _is_free(view: PortalView, name: str) -> bool:
    """Tell whether the catalogue does not keep a declared name back: archived ones are there."""
    try:
        return offered(await view.webhooks.event_types.get(name))
    except EventTypeNotFound:
        return True


async def names(view: PortalView) -> list[str]:
    """Return the names of event types that an endpoint may want."""
    items, declared, _ = await _page(view, Window(MOST_NAMES))
    return [*(each.name for each in items), *declared]


async def event_types(view: PortalView) -> Response:
    """List event types."""
    after = view.query("after")
    items, declared, more = await _page(view, Window(LIMIT, Cursor(after) if after else None))
    return view.page("event_types.html", items=items, declared=declared, more=more)


async def found(view: PortalView, name: str) -> EventType | None:
    """Return an event type, None for one that only code declares; raise EventTypeNotFound."""
    try:
        each: EventType = await view.webhooks.event_types.get(name)
    except EventTypeNotFound:
        if name not in event_names(view.webhooks):
            raise
        return None
    if not offered(each):
        raise EventTypeNotFound(f"no event type {name!r}")
    return each


async def event_type(view: PortalView) -> Response:
    """Show an event type: its schemas, and an example."""
    name = view.part("name")
    each = await found(view, name)
    schemas = dict(each.schemas or {}) if each is not None else {}
    newest_schema = newest(schemas)
    return view.page(
        "event_type.html",
        name=name,
        found=each,
        schemas=schemas,
        example=example_of(schemas),
        fields=rows(newest_schema),
        ends=deprecation(newest_schema, deprecated=each is not None and each.deprecated),
    )


PAGES = (get("/event-types", event_types), get("/event-types/{name}", event_type))
