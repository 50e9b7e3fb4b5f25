"""Endpoints of a customer: made, changed, tried, and looked after."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from starlette.responses import Response

from hookline import Endpoint, EndpointHealth
from hookline._app.endpoints import PAUSED
from hookline._domain import ids
from hookline._domain.page import Cursor, Window
from hookline._domain.receiver_check import EVENT as TEST_EVENT
from hookline._domain.replay import REPLAY
from hookline._domain.tally import Tally
from hookline._web.dashboard.endpoints import OVERLAPS, blank, changes, example_of, values
from hookline._web.dashboard.messages import next_of
from hookline._web.dashboard.routes import WRONG, get, look, post
from hookline._web.dashboard.view import parsed_time
from hookline._web.errors import Refused
from hookline._web.portal import catalogue
from hookline._web.portal.view import PortalView
from hookline.errors import HooklineError, InvalidUrl, JobNotFound, StorageError

LIMIT = 25
DAY = timedelta(hours=24)
FIELDS = ("url", "description", "events", "channels", "rate_limit")


def in_words(
    view: PortalView, endpoint: Endpoint, health: EndpointHealth, total: Tally
) -> tuple[str, str]:
    """Return how an endpoint is doing: a state for its mark, and a sentence."""
    if endpoint.pending_since is not None:
        return "pending", view.say("Its receiver has not confirmed yet that it expects webhooks.")
    if endpoint.disabled:
        if endpoint.disabled_reason == PAUSED:
            return "held", view.say("Paused: nothing is sent, and nothing is lost.")
        return "held", view.say("Stopped, and nothing is lost: {why}", why=endpoint.disabled_reason)
    if health.failures:
        return "failed", view.say(
            "Failing: {count} attempts in a row. It is tried again by itself.",
            count=health.failures,
        )
    if not total.attempts:
        return "pending", view.say("Nothing was sent in the last 24 hours.")
    if total.failed:
        return "succeeded", view.say(
            "Working. In the last 24 hours {failed} of {all} attempts failed.",
            failed=total.failed,
            all=total.attempts,
        )
    return "succeeded", view.say("Working: in the last 24 hours everything arrived.")


async def listed(view: PortalView) -> Response:
    """List endpoints with how they do."""
    app = await view.app()
    key = ids.decode(ids.ENDPOINT, view.query("after"))
    page = await app.endpoint_page(Window(LIMIT, Cursor(key) if key else None))
    series = await app.figures_of_each(page.items, since=datetime.now(UTC) - DAY)
    words = {
        each.id: in_words(view, each, await app.endpoint_health(each), series[each.id or ""].total)
        for each in page.items
    }
    return view.page(
        "endpoints.html",
        items=page.items,
        more=next_of(page, ids.ENDPOINT),
        words=words,
        series=series,
    )


async def _one(view: PortalView) -> dict[str, Any]:
    app = await view.app()
    endpoint = await app.endpoint(view.part("id"))
    health = await app.endpoint_health(endpoint)
    series = await app.figures(endpoint, since=datetime.now(UTC) - DAY)
    attempts = await app.attempts_at(endpoint, window=Window(10, None, descending=True))
    return {
        "endpoint": endpoint,
        "health": health,
        "words": in_words(view, endpoint, health, series.total),
        "figures": series,
        "total": series.total,
        "attempts": attempts.items,
        "types": await catalogue.names(view),
        "overlaps": OVERLAPS,
        "day_ago": f"{datetime.now(UTC) - DAY:%Y-%m-%dT%H:%M}",
    }


async def one(view: PortalView) -> Response:
    """Show how an endpoint is doing, and what can be done about it."""
    return await view.live_page("endpoint.html", partial(_one, view))


# the form ---------------------------------------------------------------------------------------


async def _form(view: PortalView, endpoint: Endpoint | None, problem: str = "") -> Response:
    shown = blank(endpoint)
    if view.form:
        shown = {name: view.form.get(name, "") for name in FIELDS}
    return view.page(
        "endpoint_form.html",
        422 if problem else 200,
        endpoint=endpoint,
        values=shown,
        problem=problem,
        types=await catalogue.names(view),
        verdict=_verdict(view, shown["url"]) if shown["url"] else None,
    )


def _wanted(form: Mapping[str, str]) -> dict[str, Any]:
    return {name: value for name, value in values(form).items() if name in FIELDS}


async def new(view: PortalView) -> Response:
    """Show the form of a new endpoint."""
    return await _form(view, None)


async def create(view: PortalView) -> Response:
    """Make an endpoint; show its secret."""
    app = await view.app()
    try:
        made = await app.create_endpoint(**_wanted(view.form))
    except WRONG as error:
        return await _form(view, None, view.tell(error))
    return _secret(view, made, made.secret, "made", status=201)


async def edit(view: PortalView) -> Response:
    """Show the form of an endpoint."""
    return await _form(view, await (await view.app()).endpoint(view.part("id")))


async def update(view: PortalView) -> Response:
    """Change an endpoint."""
    app = await view.app()
    found = await app.endpoint(view.part("id"))
    try:
        await app.update_endpoint(found, **changes(found, _wanted(view.form)))
    except WRONG as error:
        return await _form(view, found, view.tell(error))
    return _back(view, "changed")


def _verdict(view: PortalView, given: str) -> tuple[bool, str]:
    try:
        allowed = view.webhooks._admission.allowed(given.strip(), ())  # noqa: SLF001 - one house
    except InvalidUrl as error:
        return False, view.tell(error)
    return True, allowed


async def check(view: PortalView) -> Response:
    """Say what the guard makes of a URL, while it is typed."""
    given = view.query("url", 4096)
    return view.page("verdict.html", verdict=_verdict(view, given) if given else None)


# what is done to one ----------------------------------------------------------------------------


def _back(view: PortalView, done: str) -> Response:
    return view.go(f"/endpoints/{view.part('id')}", done=done)


async def send(view: PortalView) -> Response:
    """Send a test, or an example of an event type, to this endpoint alone."""
    app = await view.app()
    name = view.form.get("type", "") or TEST_EVENT
    endpoint = await app.endpoint(view.part("id"))
    if name == TEST_EVENT:
        receipt = await app.send_test(endpoint, None, None)
    else:
        each = await catalogue.found(view, name)
        example = example_of(dict(each.schemas or {}) if each else {}) or {"example": True}
        receipt = await app.send_test(endpoint, name, example)
    return view.go(f"/messages/{receipt.message_id}", done="sent")


def _secret(
    view: PortalView,
    endpoint: Endpoint,
    secret: str | None,
    why: str,
    overlap: str = "",
    status: int = 200,
) -> Response:
    return view.page(
        "secret.html", status, endpoint=endpoint, secret=secret, why=why, overlap=overlap
    )


async def secret(view: PortalView) -> Response:
    """Show the signing secret; the audit log notes who looked."""
    app = await view.app()
    found = await app.endpoint(view.part("id"))
    return _secret(view, found, await app.show_secret(found), "shown")


async def rotate(view: PortalView) -> Response:
    """Give an endpoint a new secret; the old one signs along for a while."""
    app = await view.app()
    overlap = view.form.get("overlap", "24h")
    if overlap not in OVERLAPS:
        raise Refused(400, "overlap: expected one of " + ", ".join(OVERLAPS))
    found = await app.endpoint(view.part("id"))
    new_one = await app.rotate_secret(found, overlap=timedelta(seconds=OVERLAPS[overlap]))
    return _secret(view, found, new_one, "rotated", overlap)


async def pause(view: PortalView) -> Response:
    """Hold what is for an endpoint."""
    await (await view.app()).pause(view.part("id"))
    return _back(view, "paused")


async def resume(view: PortalView) -> Response:
    """Send to an endpoint again."""
    await (await view.app()).resume(view.part("id"))
    return _back(view, "resumed")


async def deletion(view: PortalView) -> Response:
    """Ask whether an endpoint is to be deleted."""
    found = await (await view.app()).endpoint(view.part("id"))
    return view.page("delete.html", endpoint=found)


async def delete(view: PortalView) -> Response:
    """Delete an endpoint."""
    await (await view.app()).delete_endpoint(view.part("id"))
    return view.go("/endpoints", done="deleted")


async def recover(view: PortalView) -> Response:
    """Send again what failed since a time: first say how much that is."""
    app = await view.app()
    found = await app.endpoint(view.part("id"))
    try:
        since = parsed_time(view.form.get("since", ""))
    except ValueError:
        since = None
    if since is None:
        raise Refused(422, view.say("Say since when, such as 2026-01-31T12:00."))
    missing, sure = "missing" in view.form, "sure" in view.form
    job, problem = None, ""
    try:
        job = await app.replay(found, since=since, missing=missing, dry_run=not sure)
    except StorageError:
        raise
    except HooklineError as error:
        problem = view.tell(error)
    if job is not None and job.id is not None:
        return view.go(f"/recoveries/{job.id}")
    return view.page(
        "recover.html",
        422 if problem else 200,
        endpoint=found,
        since=since,
        job=job,
        problem=problem,
    )


async def _job(view: PortalView) -> Any:
    job = await (await view.app()).job(view.part("id"))
    if job.task != REPLAY:
        raise JobNotFound(f"no job {view.part('id')!r}")
    return job


async def _recovery(view: PortalView) -> dict[str, Any]:
    return {"job": await _job(view)}


async def recovery(view: PortalView) -> Response:
    """Show how far a recovery got."""
    return await view.live_page("recovery.html", partial(_recovery, view))


async def cancel(view: PortalView) -> Response:
    """Stop a recovery."""
    job = await _job(view)
    await (await view.app()).cancel_job(job.id)
    return view.go(f"/recoveries/{job.id}")


_ONE = "/endpoints/{id}"
PAGES = (
    get("/endpoints", listed),
    post("/endpoints", create),
    look("/endpoints/new", new),
    look("/endpoints/check", check),
    get(_ONE, one),
    look(f"{_ONE}/edit", edit),
    post(f"{_ONE}/edit", update),
    post(f"{_ONE}/send", send),
    post(f"{_ONE}/secret", secret),
    post(f"{_ONE}/rotate", rotate),
    post(f"{_ONE}/pause", pause),
    post(f"{_ONE}/resume", resume),
    look(f"{_ONE}/delete", deletion),
    post(f"{_ONE}/delete", delete),
    post(f"{_ONE}/recover", recover),
    get("/recoveries/{id}", recovery),
    post("/recoveries/{id}/cancel", cancel),
)
