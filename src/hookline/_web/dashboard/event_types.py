"""Event types: what is catalogued and what code declares, made and changed by operators."""

from typing import Any

import orjson
from starlette.responses import Response

from hookline import EventType
from hookline._domain.catalogue.described import deprecation
from hookline._domain.catalogue.rows import rows
from hookline._domain.endpoint import matches
from hookline._domain.event_type import newest
from hookline._domain.page import Cursor, Window
from hookline._said import Said
from hookline._web.dashboard import catalogue
from hookline._web.dashboard.routes import WRONG, Page, get, look, post
from hookline._web.dashboard.view import View
from hookline._web.engine import event_names
from hookline.errors import InvalidInput

LIMIT = 100
FIELDS = ("name", "description", "group_name", "version", "schema", "feature_flags")


async def listed(view: View) -> Response:
    """List event types: catalogued ones, and those that the code declares."""
    after, archived = view.query("after"), view.operator and bool(view.query("archived"))
    window = Window(LIMIT, Cursor(after) if after else None)
    items, declared, more = await catalogue.page(view, window, archived=archived)
    return view.page(
        "event_types.html", items=items, declared=declared, more=more, archived=archived
    )


async def one(view: View) -> Response:
    """Show an event type: its schemas, an example, and who listens."""
    name = view.part("name")
    found = await catalogue.found(view, name)
    schemas = dict(found.schemas or {}) if found is not None else {}
    schema, listening = newest(schemas), []
    if view.operator:
        everybody = await view.webhooks.overview.listening()
        listening = [each for each in everybody if matches(each[3], name)]
    return view.page(
        "event_type.html",
        name=name,
        found=found,
        schemas=schemas,
        fields=rows(schema),
        ends=deprecation(schema, deprecated=found is not None and found.deprecated),
        example=catalogue.example_of(found),
        listening=listening,
        declared=name in event_names(view.webhooks),
    )


# the form ---------------------------------------------------------------------------------------


def _shown(found: EventType | None) -> dict[str, str]:
    if found is None:
        return dict.fromkeys(FIELDS, "") | {"version": "1"}
    schemas = dict(found.schemas or {})
    schema = newest(schemas)
    version = next((name for name, each in schemas.items() if each == schema), "1")
    return {
        "name": found.name,
        "description": found.description,
        "group_name": found.group_name or "",
        "version": version,
        "schema": "" if schema is None else catalogue.as_text(schema),
        "feature_flags": ", ".join(found.feature_flags),
        "deprecated": "1" if found.deprecated else "",
    }


def _form(view: View, found: EventType | None, problem: str = "", name: str = "") -> Response:
    shown = _shown(found) | {"name": name or (found.name if found else "")}
    if view.form:
        shown = {field: view.form.get(field, "") for field in (*FIELDS, "deprecated")}
    return view.page(
        "event_type_form.html",
        422 if problem else 200,
        found=found,
        values={"deprecated": "", **shown},
        problem=problem,
    )


def _values(view: View, found: EventType | None) -> dict[str, Any]:
    """Return what the form says; raise InvalidInput."""
    form = {name: view.form.get(name, "").strip() for name in FIELDS}
    schemas = dict(found.schemas or {}) if found is not None else {}
    version = form["version"] or "1"
    if form["schema"]:
        try:
            schemas[version] = orjson.loads(form["schema"])
        except orjson.JSONDecodeError as error:
            raise InvalidInput(Said("schema: is not JSON: {error}", error=str(error))) from None
        if not isinstance(schemas[version], dict | bool):
            raise InvalidInput(Said("schema: expected a JSON schema, an object"))
    else:
        schemas.pop(version, None)
    return {
        "description": form["description"].replace("\r\n", "\n"),
        "group_name": form["group_name"] or None,
        "schemas": schemas or None,
        "deprecated": "deprecated" in view.form,
        "feature_flags": form["feature_flags"].replace(",", " ").split(),
    }


async def new(view: View) -> Response:
    """Show the form of a new event type."""
    return _form(view, None, name=view.query("name"))


async def create(view: View) -> Response:
    """Make an event type."""
    name = view.form.get("name", "").strip()
    try:
        made = await view.webhooks.event_types.create(name, **_values(view, None))
    except WRONG as error:
        return _form(view, None, view.tell(error))
    return view.go(f"/event-types/{made.name}", done="made")


async def edit(view: View) -> Response:
    """Show the form of an event type."""
    return _form(view, await view.webhooks.event_types.get(view.part("name")))


async def update(view: View) -> Response:
    """Change an event type."""
    found = await view.webhooks.event_types.get(view.part("name"))
    try:
        wanted = _values(view, found)
        kept = {"feature_flags": list(found.feature_flags)}
        changed = {
            name: value
            for name, value in wanted.items()
            if value != kept.get(name, getattr(found, name))
        }
        await view.webhooks.event_types.update(found.name, **changed)
    except WRONG as error:
        return _form(view, found, view.tell(error))
    return view.go(f"/event-types/{found.name}", done="changed")


async def archive(view: View) -> Response:
    """Take an event type off the list; what is published under its name goes on."""
    await view.webhooks.event_types.delete(view.part("name"))
    return view.go(f"/event-types/{view.part('name')}", done="archived")


async def restore(view: View) -> Response:
    """Put an event type on the list again."""
    await view.webhooks.event_types.update(view.part("name"), archived=False)
    return view.go(f"/event-types/{view.part('name')}", done="restored")


async def delete(view: View) -> Response:
    """Forget an event type."""
    await view.webhooks.event_types.delete(view.part("name"), expunge=True)
    return view.go("/event-types", done="deleted")


SHARED = (get("/event-types", listed), get("/event-types/{name}", one))
PAGES: tuple[Page, ...] = (
    *SHARED,
    post("/event-types", create),
    look("/new-event-type", new),
    look("/event-types/{name}/edit", edit),
    post("/event-types/{name}/edit", update),
    post("/event-types/{name}/archive", archive),
    post("/event-types/{name}/restore", restore),
    post("/event-types/{name}/delete", delete),
)
