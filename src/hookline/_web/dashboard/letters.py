"""Dead letters: deliveries whose last attempt failed, and what is done about many at once."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from starlette.responses import Response

from hookline import ApplicationWebhooks, DeliveryState, Filter
from hookline._domain import ids
from hookline._domain.page import Window
from hookline._said import Said
from hookline._web.dashboard.messages import next_of, times, window
from hookline._web.dashboard.routes import get, post, tried
from hookline._web.dashboard.view import View
from hookline._web.errors import Refused
from hookline.errors import EndpointNotFound, HooklineError, StorageError

MOST = 200
"""Deliveries that one form sends again, marked one by one."""
FIELDS = ("app", "endpoint", "type", "from", "until")
EVER = datetime.fromtimestamp(0, UTC)


def _app_name(view: View, given: str) -> str | None:
    """Return whose dead letters are looked at, None for everybody's."""
    return (given or None) if view.operator else view.app_name


async def _look(view: View) -> dict[str, Any]:
    name, endpoint = _app_name(view, view.query("app")), view.query("endpoint")
    own = ids.decode(ids.ENDPOINT, endpoint) or b""
    wanted = Filter(
        endpoint=own if endpoint else None,
        event_types=[view.query("type")] if view.query("type") else (),
        **times(view, view.request.query_params),
    )
    page = await view.webhooks.overview.dead_letters(name, wanted, window(view))
    return {
        "items": page.items,
        "more": next_of(page),
        "wanted": {field: view.query(field) for field in FIELDS},
        "filtered": any(map(view.query, FIELDS)),
        "whose": await _whose(view, name),
    }


async def _whose(view: View, name: str | None) -> str | None:
    """Return the one application that these are of, if it is clear which."""
    if name is not None:
        return name
    page = await view.webhooks.applications.page(Window(2))
    return page.items[0].id if len(page.items) == 1 else None


async def show(view: View) -> Response:
    """List dead letters of all applications, or of one."""
    return await view.live_page("letters.html", partial(_look, view))


async def resend(view: View) -> Response:
    """Send the ones that were marked again."""
    marked = view.all_of("letter")
    if not marked:
        raise Refused(422, view.say("Nothing was marked."))
    if len(marked) > MOST:
        raise Refused(422, view.say("{most} at once at most.", most=MOST))
    done, problems = 0, []
    for each in marked:
        app_name, message, endpoint = ([*each.split("/"), "", ""])[:3]
        try:
            app = await view.app_of(app_name)
            done += await app.resend(message, endpoint)
        except StorageError:
            raise
        except HooklineError as error:
            problems.append(view.tell(error))
    return view.page("resent.html", done=done, of=len(marked), problems=problems[:20])


async def resend_all(view: View) -> Response:
    """Send all that match again, as a replay in the background: first say how many that is."""
    name = await _whose(view, _app_name(view, view.form.get("app", "").strip()))
    if name is None:
        raise Refused(422, view.say("Choose an application first."))
    app = await view.app_of(name)
    kept = {field: view.form.get(field, "").strip() for field in FIELDS}

    def page(job: Any, problem: str = "") -> Response:
        return view.page(
            "count.html",
            422 if problem else 200,
            title=view.say("Resend all that match"),
            target="",
            since=None,
            kept=kept,
            job=job,
            problem=problem,
            back=view.url("/dead-letters", **kept),
        )

    async def work() -> Response:
        bounds = times(view, view.form)
        job = await app.replay(
            await _endpoint(app, kept["endpoint"]),
            since=bounds.get("after") or EVER,
            until=bounds.get("before"),
            states=[DeliveryState.EXHAUSTED],
            event_types=[kept["type"]] if kept["type"] else None,
            dry_run="sure" not in view.form,
        )
        return page(job) if job.id is None else view.go(f"/replays/{job.id}")

    return await tried(view, work, lambda problem: page(None, problem))


async def _endpoint(app: ApplicationWebhooks, name: str) -> str | None:
    """Return an endpoint's id, None when none is named: what is none must not mean all."""
    if name and ids.decode(ids.ENDPOINT, name) is None:
        raise EndpointNotFound(Said("no endpoint {name!r}", name=name))
    return (await app.endpoint(name)).id if name else None


PAGES = (
    get("/dead-letters", show),
    post("/dead-letters", resend),
    post("/dead-letters/all", resend_all),
)
