"""Event types, applications and API keys."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response

from hookline._domain import ids
from hookline._domain.endpoint import matches
from hookline._domain.page import Cursor, Window
from hookline._web.dashboard.endpoints import example_of
from hookline._web.dashboard.messages import next_of
from hookline._web.dashboard.routes import WRONG, get, post
from hookline._web.dashboard.view import HEADERS, View
from hookline.errors import EventTypeNotFound, InvalidInput

if TYPE_CHECKING:
    from hookline import EventType

LIMIT = 100
FIELDS = ("name", "uid", "scope", "days")


async def event_types(view: View) -> Response:
    """List event types: catalogued ones, and those that the code declares."""
    after = view.query("after")
    page = await view.webhooks.event_types.page(Window(LIMIT, Cursor(after) if after else None))
    names = {each.name for each in page.items}
    declared = [n for n in view.webhooks._admission.catalogue.names if n not in names]  # noqa: SLF001
    return view.page(
        "event_types.html",
        items=page.items,
        declared=[] if after else declared,
        more=page.last if page.more else None,
    )


async def event_type(view: View) -> Response:
    """Show an event type: its schemas, an example, and who listens."""
    name = view.part("name")
    found: EventType | None
    try:
        found = await view.webhooks.event_types.get(name)
    except EventTypeNotFound:
        if name not in view.webhooks._admission.catalogue.names:  # noqa: SLF001
            raise
        found = None
    listening = [
        each for each in await view.webhooks.overview.listening() if matches(each[3], name)
    ]
    schemas = dict(found.schemas or {}) if found is not None else {}
    return view.page(
        "event_type.html",
        name=name,
        found=found,
        schemas=schemas,
        example=example_of(schemas),
        listening=listening,
    )


# applications -----------------------------------------------------------------------------------


async def applications(view: View, problem: str = "") -> Response:
    """List applications."""
    wanted = view.query("go")
    if wanted:
        app = await view.webhooks.applications.get(wanted)
        return RedirectResponse(view.url(f"/apps/{app.uid or app.id}"), 303, HEADERS)
    key = ids.decode(ids.APPLICATION, view.query("after"))
    page = await view.webhooks.applications.page(Window(LIMIT, Cursor(key) if key else None))
    return view.page(
        "applications.html",
        422 if problem else 200,
        items=page.items,
        more=next_of(page, ids.APPLICATION),
        problem=problem,
        values={name: view.form.get(name, "") for name in FIELDS},
    )


async def create_application(view: View) -> Response:
    """Make an application."""
    form = view.form
    try:
        made = await view.webhooks.applications.create(
            form.get("name", "").strip(), uid=form.get("uid", "").strip() or None
        )
    except WRONG as error:
        return await applications(view, str(error))
    return view.go(f"/apps/{made.uid or made.id}")


# API keys ---------------------------------------------------------------------------------------


async def keys(view: View, problem: str = "") -> Response:
    """List API keys."""
    found = await view.webhooks.api_keys()
    now = datetime.now(UTC)
    return view.page(
        "keys.html",
        422 if problem else 200,
        items=sorted(found, key=lambda key: (key.usable(now) is not None, key.created_at)),
        problem=problem,
        values={name: view.form.get(name, "") for name in FIELDS},
    )


async def create_key(view: View) -> Response:
    """Make a key; show its token, this once."""
    form = view.form
    try:
        given = form.get("days", "").strip()
        days = float(given) if given else None
        ends = None if days is None else datetime.now(UTC) + timedelta(days=days)
        made = await view.webhooks.create_api_key(
            form.get("name", "").strip(), form.get("scope", "").split(), expires_at=ends
        )
    except (ValueError, OverflowError) as error:
        if isinstance(error, InvalidInput):
            return await keys(view, str(error))
        return await keys(view, view.say("days: expected a number"))
    return view.page("key.html", 201, key=made)


async def revoke_key(view: View) -> Response:
    """Revoke a key, at once and for ever."""
    await view.webhooks.revoke_api_key(view.part("id"))
    view.house.sessions.forget()
    return view.go("/keys", done="revoked")


PAGES = (
    get("/event-types", event_types),
    get("/event-types/{name}", event_type),
    get("/apps", applications),
    post("/apps", create_application),
    get("/keys", keys),
    post("/keys", create_key),
    post("/keys/{id}/revoke", revoke_key),
)
