"""Endpoints: how they do, tried, and looked after."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import orjson
from starlette.responses import RedirectResponse, Response

from hookline import Endpoint, EndpointHealth
from hookline._app.endpoints import PAUSED
from hookline._domain import ids
from hookline._domain.overview import Glance
from hookline._domain.page import Cursor, Window
from hookline._domain.receiver_check import EVENT as TEST_EVENT
from hookline._domain.replay import REPLAY
from hookline._domain.tally import Tally
from hookline._said import Said
from hookline._web.dashboard import catalogue, endpoint_form, sent
from hookline._web.dashboard.messages import next_of
from hookline._web.dashboard.routes import Page, get, look, post, tried
from hookline._web.dashboard.view import HEADERS, View, parsed_time
from hookline._web.errors import Refused
from hookline.errors import InvalidInput

LIMIT = 50
DAY = timedelta(hours=24)
SPARK = 1800
"""Seconds that a point of a small curve stands for: there is one in each line of a list."""
OVERLAPS = {"0": 0, "1h": 3600, "24h": 86_400, "72h": 259_200}


async def anywhere(view: View) -> Response:
    """Lead to the endpoints of the application that is there from the start."""
    return RedirectResponse(view.own("/endpoints"), 303, HEADERS)


def in_words(
    view: View, endpoint: Endpoint, health: EndpointHealth | Glance, total: Tally
) -> tuple[str, str]:
    """Return how an endpoint is doing: a state for its mark, and a sentence."""
    if endpoint.disabled:
        if endpoint.disabled_reason == PAUSED:
            return "held", view.say("Paused: nothing is sent, and nothing is lost.")
        return "held", view.say("Stopped, and nothing is lost: {why}", why=endpoint.disabled_reason)
    if endpoint.pending_since is not None:
        return "pending", view.say("Its receiver has not confirmed yet that it expects webhooks.")
    if health.failures:
        return "failed", view.say(
            "Failing: {count} attempts in a row. It is tried again by itself.",
            count=health.failures,
        )
    if total.failed:
        return "succeeded", view.say(
            "Working. In the last 24 hours {failed} of {all} attempts failed.",
            failed=f"{total.failed:,}",
            all=f"{total.attempts:,}",
        )
    # What was sent in the last seconds is in the log, and not counted yet.
    last = health.last_attempt_at
    if not total.attempts and (last is None or last < datetime.now(UTC) - DAY):
        return "pending", view.say("Nothing was sent in the last 24 hours.")
    return "succeeded", view.say("Working: in the last 24 hours everything arrived.")


async def _listed(view: View) -> dict[str, Any]:
    app = await view.app()
    key = ids.decode(ids.ENDPOINT, view.query("after"))
    page = await app.endpoint_page(Window(LIMIT, Cursor(key) if key else None))
    series = await app.figures_of_each(
        page.items, since=datetime.now(UTC) - DAY, step=SPARK, latencies=False
    )
    glances = await view.webhooks.overview.glances(page.items)
    there = [each for each in page.items if each.id in glances]
    return {
        "items": there,
        "more": next_of(page, ids.ENDPOINT),
        "series": series,
        "glances": glances,
        "words": {
            each.id: in_words(view, each, glances[each.id or ""], series[each.id or ""].total)
            for each in there
        },
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
    target = await sent.target_of(view, endpoint.id or "")
    secrets = () if target is None else target.secrets
    return {
        "endpoint": endpoint,
        "health": health,
        "words": in_words(view, endpoint, health, series.total),
        "figures": series,
        "total": series.total,
        "attempts": attempts.items,
        "jobs": [job for job in jobs if job.task == REPLAY][:5],
        "types": await catalogue.names(view),
        "overlaps": OVERLAPS,
        "overlap_ends": max((s.expires_at for s in secrets if s.expires_at), default=None),
        "options": endpoint_form.told(view, endpoint),
        "day_ago": f"{datetime.now(UTC) - DAY:%Y-%m-%dT%H:%M}",
    }


async def one(view: View) -> Response:
    """Show how an endpoint is doing, and what can be done about it."""
    return await view.live_page("endpoint.html", partial(_one, view))


def _back(view: View, done: str) -> Response:
    return view.go(view.place(f"/endpoints/{view.part('id')}"), done=done)


async def send(view: View) -> Response:
    """Send a test, or an example of an event type, to this endpoint alone."""
    app = await view.app()
    name = view.form.get("type", "") or TEST_EVENT
    data = await _data(view, name)
    receipt = await app.send_test(view.part("id"), None if name == TEST_EVENT else name, data)
    return view.go(view.place(f"/messages/{receipt.message_id}"), done="sent")


async def _data(view: View, name: str) -> Any:
    """Return what is sent: what was typed, or an example made of the event type's schema."""
    given = view.form.get("data", "").strip()
    if given:
        try:
            return orjson.loads(given)
        except orjson.JSONDecodeError as error:
            raise InvalidInput(Said("data: is not JSON: {error}", error=str(error))) from None
    if name == TEST_EVENT:
        return None
    # Without a schema here the façade takes the example of the model, or says it is a test.
    return catalogue.example_of(await catalogue.found(view, name))


# secrets ----------------------------------------------------------------------------------------


async def secret(view: View) -> Response:
    """Show the signing secret; the audit log notes who looked."""
    app = await view.app()
    found = await app.endpoint(view.part("id"))
    shown = await app.show_secret(found)
    return view.page("secret.html", endpoint=found, secret=shown, why="shown", overlap="")


async def rotate(view: View) -> Response:
    """Give an endpoint a new secret; the old one signs along for a while."""
    app = await view.app()
    overlap = view.form.get("overlap", "24h")
    if overlap not in OVERLAPS:
        raise Refused(400, view.say("overlap: expected one of {known}", known=", ".join(OVERLAPS)))
    found = await app.endpoint(view.part("id"))
    made = await app.rotate_secret(found, overlap=timedelta(seconds=OVERLAPS[overlap]))
    return view.page("secret.html", endpoint=found, secret=made, why="rotated", overlap=overlap)


# on and off -------------------------------------------------------------------------------------


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


async def deletion(view: View) -> Response:
    """Ask whether an endpoint is to be deleted."""
    found = await (await view.app()).endpoint(view.part("id"))
    return view.page("delete.html", endpoint=found)


async def delete(view: View) -> Response:
    """Delete an endpoint."""
    await (await view.app()).delete_endpoint(view.part("id"))
    return view.go(view.place("/endpoints"), done="deleted")


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
    missing = {"missing": "1"} if "missing" in view.form else {}

    def page(job: Any, problem: str = "") -> Response:
        return view.page(
            "count.html",
            422 if problem else 200,
            title=view.say("Recover"),
            target=found.url,
            since=since,
            kept={"since": since.isoformat(), **missing},
            job=job,
            problem=problem,
            back=view.own(f"/endpoints/{found.id}"),
        )

    async def work() -> Response:
        job = await app.replay(
            found, since=since, missing=bool(missing), dry_run="sure" not in view.form
        )
        return page(job) if job.id is None else view.go(f"/replays/{job.id}")

    return await tried(view, work, lambda problem: page(None, problem))


def pages(home: str) -> tuple[Page, ...]:
    """Return the pages of an application's endpoints, below `home`."""
    one_ = f"{home}/endpoints/{{id}}"
    return (
        get(f"{home}/endpoints", listed),
        *endpoint_form.pages(home),
        get(one_, one),
        post(f"{one_}/send", send),
        post(f"{one_}/secret", secret),
        post(f"{one_}/rotate", rotate),
        post(f"{one_}/pause", pause),
        post(f"{one_}/resume", resume),
        look(f"{one_}/delete", deletion),
        post(f"{one_}/delete", delete),
        post(f"{one_}/recover", recover),
    )


PAGES = (
    get("/endpoints", anywhere),
    *pages("/apps/{app}"),
    post("/apps/{app}/endpoints/{id}/disable", disable),
)
