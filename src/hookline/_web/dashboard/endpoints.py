"""Endpoints: how they do, made and changed, tried and looked after."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import orjson
from starlette.responses import RedirectResponse, Response

from hookline import Endpoint
from hookline._domain import ids
from hookline._domain.event_type import newest
from hookline._domain.example import example
from hookline._domain.page import Cursor, Window
from hookline._domain.receiver_check import EVENT as TEST_EVENT
from hookline._web.dashboard.messages import next_of
from hookline._web.dashboard.routes import WRONG, get, look, post, tried
from hookline._web.dashboard.view import HEADERS, View, parsed_time
from hookline._web.errors import Refused
from hookline.errors import BlockedDestination, EventTypeNotFound, InvalidInput, InvalidUrl

LIMIT = 50
DAY = timedelta(hours=24)
OVERLAPS = {"0": 0, "1h": 3600, "24h": 86_400, "72h": 259_200}
_FIELDS = (
    "url",
    "description",
    "events",
    "uid",
    "rate_limit",
    "concurrency",
    "timeout",
    "channels",
)


async def anywhere(view: View) -> Response:
    """Lead to the endpoints of the application that is there from the start."""
    return RedirectResponse(view.url("/apps/default/endpoints"), 303, HEADERS)


async def _listed(view: View) -> dict[str, Any]:
    app = await view.app()
    key = ids.decode(ids.ENDPOINT, view.query("after"))
    page = await app.endpoint_page(Window(LIMIT, Cursor(key) if key else None))
    series = await app.figures_of_each(page.items, since=datetime.now(UTC) - DAY)
    return {
        "items": page.items,
        "more": next_of(page, ids.ENDPOINT),
        "series": series,
        "due": await view.webhooks.overview.due(page.items),
        "troubled": await view.webhooks.overview.trouble(page.items),
    }


async def listed(view: View) -> Response:
    """List endpoints with how they did in the last day."""
    return await view.live_page("endpoints.html", partial(_listed, view))


async def _one(view: View) -> dict[str, Any]:
    app = await view.app()
    endpoint = await app.endpoint(view.part("id"))
    health = await app.endpoint_health(endpoint)
    series = await app.figures(endpoint, since=datetime.now(UTC) - DAY)
    attempts = await app.attempts_at(endpoint, window=Window(10, None, descending=True))
    jobs = [job for job in await app.jobs(limit=50) if job.selection.endpoint == endpoint.id]
    return {
        "endpoint": endpoint,
        "health": health,
        "figures": series,
        "total": series.total,
        "attempts": attempts.items,
        "jobs": jobs[:5],
        "types": await types_of(view),
        "overlaps": OVERLAPS,
        "day_ago": f"{datetime.now(UTC) - DAY:%Y-%m-%dT%H:%M}",
    }


async def one(view: View) -> Response:
    """Show how an endpoint is doing, and what can be done about it."""
    return await view.live_page("endpoint.html", partial(_one, view))


async def types_of(view: View) -> list[str]:
    """Return the names of event types, those that code declares last."""
    page = await view.webhooks.event_types.page(Window(250))
    names = [each.name for each in page.items]
    return [*names, *(n for n in view.webhooks._admission.catalogue.names if n not in names)]  # noqa: SLF001


# the form ---------------------------------------------------------------------------------------


def blank(endpoint: Endpoint | None) -> dict[str, str]:
    """Return the fields of a form as they are shown."""
    if endpoint is None:
        return dict.fromkeys(_FIELDS, "") | {"events": "*"}
    return {
        "url": endpoint.url,
        "description": endpoint.description,
        "events": "\n".join(endpoint.events),
        "uid": endpoint.uid or "",
        "rate_limit": "" if endpoint.rate_limit is None else f"{endpoint.rate_limit:g}",
        "concurrency": "" if endpoint.concurrency is None else str(endpoint.concurrency),
        "timeout": "" if endpoint.timeout is None else f"{endpoint.timeout:g}",
        "channels": ", ".join(endpoint.channels),
    }


def _split(given: str) -> list[str]:
    return [part for part in re.split(r"[\s,]+", given) if part]


def _number(form: Mapping[str, str], name: str, kind: type[float] = float) -> Any:
    given = form.get(name, "").strip()
    try:
        return kind(given) if given else None
    except ValueError:
        raise InvalidInput(f"{name}: expected a number, got {given[:40]!r}") from None


def values(form: Mapping[str, str]) -> dict[str, Any]:
    """Return what a form says of an endpoint; raise InvalidInput."""
    return {
        "url": form.get("url", "").strip(),
        "events": _split(form.get("events", "")) or ["*"],
        "description": form.get("description", "").strip(),
        "uid": form.get("uid", "").strip() or None,
        "rate_limit": _number(form, "rate_limit"),
        "concurrency": _number(form, "concurrency", int),
        "timeout": _number(form, "timeout"),
        "channels": _split(form.get("channels", "")) or None,
    }


def changes(endpoint: Endpoint, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a form is not as it is already."""
    return {
        name: value
        for name, value in wanted.items()
        if value != (list(old) if isinstance(old := getattr(endpoint, name), tuple) else old)
    }


async def _form(view: View, endpoint: Endpoint | None, problem: str = "") -> Response:
    shown = blank(endpoint)
    if view.form:
        shown = {name: view.form.get(name, "") for name in _FIELDS}
    return view.page(
        "endpoint_form.html",
        422 if problem else 200,
        endpoint=endpoint,
        values=shown,
        problem=problem,
        types=await types_of(view),
        verdict=_verdict(view, shown["url"]) if shown["url"] else None,
    )


async def new(view: View) -> Response:
    """Show the form of a new endpoint."""
    await view.app()
    return await _form(view, None)


async def create(view: View) -> Response:
    """Make an endpoint; show its secret, this once."""
    app = await view.app()
    try:
        made = await app.create_endpoint(**values(view.form))
    except WRONG as error:
        return await _form(view, None, str(error))
    return view.page("secret.html", 201, endpoint=made, secret=made.secret, fresh=True, overlap="")


async def edit(view: View) -> Response:
    """Show the form of an endpoint."""
    return await _form(view, await (await view.app()).endpoint(view.part("id")))


async def update(view: View) -> Response:
    """Change an endpoint."""
    app = await view.app()
    found = await app.endpoint(view.part("id"))
    try:
        await app.update_endpoint(found, **changes(found, values(view.form)))
    except WRONG as error:
        return await _form(view, found, str(error))
    return _back(view, "changed")


def _verdict(view: View, given: str) -> tuple[bool, str]:
    try:
        allowed = view.webhooks._admission.allowed(given.strip(), ())  # noqa: SLF001 - one house
    except (InvalidUrl, BlockedDestination) as error:
        return False, str(error)
    return True, allowed


async def check(view: View) -> Response:
    """Say what the guard makes of a URL, while it is typed."""
    given = view.query("url", 4096)
    return view.page("verdict.html", verdict=_verdict(view, given) if given else None)


# what is done to one ----------------------------------------------------------------------------


def _back(view: View, done: str) -> Response:
    return view.go(f"/apps/{view.part('app')}/endpoints/{view.part('id')}", done=done)


async def send(view: View) -> Response:
    """Send an example of an event type, made of its schema, to this endpoint alone."""
    app = await view.app()
    name = view.form.get("type", "") or TEST_EVENT
    if name == TEST_EVENT:
        data = await _example(view, name) if view.form.get("data", "").strip() else None
        receipt = await app.send_test(view.part("id"), None, data)
    else:
        receipt = await app.send_test(view.part("id"), name, await _example(view, name))
    return view.go(f"/apps/{view.part('app')}/messages/{receipt.message_id}", done="sent")


async def _example(view: View, name: str) -> Any:
    given = view.form.get("data", "").strip()
    if given:
        try:
            return orjson.loads(given)
        except orjson.JSONDecodeError as error:
            raise InvalidInput(f"data: is not JSON: {error}") from None
    try:
        found = await view.webhooks.event_types.get(name)
    except EventTypeNotFound:
        return {"example": True}
    return example_of(dict(found.schemas or {})) or {"example": True}


def example_of(schemas: Mapping[str, Any]) -> Any:
    """Return an example of the newest version of an event type's schema."""
    schema = newest(schemas)
    return None if schema is None else example(schema)


async def rotate(view: View) -> Response:
    """Give an endpoint a new secret, shown this once; the old one signs along for a while."""
    app = await view.app()
    overlap = view.form.get("overlap", "24h")
    if overlap not in OVERLAPS:
        raise Refused(400, "overlap: expected one of " + ", ".join(OVERLAPS))
    found = await app.endpoint(view.part("id"))
    secret = await app.rotate_secret(found, overlap=timedelta(seconds=OVERLAPS[overlap]))
    return view.page("secret.html", endpoint=found, secret=secret, fresh=False, overlap=overlap)


async def pause(view: View) -> Response:
    """Hold what is for an endpoint."""
    await (await view.app()).pause(view.part("id"))
    return _back(view, "paused")


async def resume(view: View) -> Response:
    """Send to an endpoint again."""
    await (await view.app()).resume(view.part("id"))
    return _back(view, "resumed")


async def disable(view: View) -> Response:
    """Hold what is for an endpoint, and say why."""
    reason = view.form.get("reason", "").strip()[:200]
    if not reason:
        raise Refused(422, view.say("A reason is needed."))
    await (await view.app()).disable(view.part("id"), reason)
    return _back(view, "disabled")


async def delete(view: View) -> Response:
    """Delete an endpoint."""
    await (await view.app()).delete_endpoint(view.part("id"))
    return view.go(f"/apps/{view.part('app')}/endpoints", done="deleted")


async def recover(view: View) -> Response:
    """Send again what failed since a time: first say how much that is."""
    app = await view.app()
    found = await app.endpoint(view.part("id"))
    try:
        since = parsed_time(view.form.get("since", ""))
    except ValueError:
        since = None
    if since is None:
        raise Refused(422, view.say("Say since when, such as 2026-01-31T12:00."))

    async def work() -> Response:
        job = await app.replay(
            found,
            since=since,
            missing="missing" in view.form,
            dry_run="sure" not in view.form,
        )
        if job.id is not None:
            return view.go(f"/replays/{job.id}")
        return view.page("recover.html", endpoint=found, since=since, job=job, problem="")

    return await tried(
        work,
        lambda problem: view.page(
            "recover.html", 422, endpoint=found, since=since, job=None, problem=problem
        ),
    )


_ONE = "/apps/{app}/endpoints/{id}"
PAGES = (
    get("/endpoints", anywhere),
    get("/apps/{app}/endpoints", listed),
    post("/apps/{app}/endpoints", create),
    look("/apps/{app}/endpoints/new", new),
    look("/apps/{app}/endpoints/check", check),
    get(_ONE, one),
    look(f"{_ONE}/edit", edit),
    post(f"{_ONE}/edit", update),
    post(f"{_ONE}/send", send),
    post(f"{_ONE}/rotate", rotate),
    post(f"{_ONE}/pause", pause),
    post(f"{_ONE}/resume", resume),
    post(f"{_ONE}/disable", disable),
    post(f"{_ONE}/delete", delete),
    post(f"{_ONE}/recover", recover),
)
