"""Messages: found, looked at, and sent again."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.responses import Response

from hookline import Attempt, DeliveryState, Endpoint, Filter
from hookline._domain import ids
from hookline._domain.page import Cursor, Window
from hookline._web.dashboard import catalogue, sent, text
from hookline._web.dashboard.routes import Page, get, post
from hookline._web.dashboard.view import HEADERS, View, parsed_time
from hookline._web.errors import Refused
from hookline.errors import EndpointNotFound

LIMIT = 50
MOST_ATTEMPTS = 200
"""Attempts that the page of a message shows."""
CURL_BYTES = 16 << 10


def window(view: View, prefix: str = ids.MESSAGE) -> Window:
    """Return which page of a list is wanted; raise Refused (400)."""
    given = view.query("after")
    if not given:
        return Window(LIMIT, None, descending=True)
    backwards = given.startswith("-")
    key = ids.decode(prefix, given.removeprefix("-"))
    if key is None:
        raise Refused(400, view.say("This is no place in this list."))
    return Window(LIMIT, Cursor(key, backwards), descending=True)


def next_of(page: Any, prefix: str = ids.MESSAGE) -> str | None:
    """Return where the next page begins, None on the last one."""
    if not page.more or not page.last:
        return None
    return page.last if isinstance(page.last, str) else ids.encode(prefix, page.last)


def times(view: View, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the bounds of time that a query or a form has; raise Refused (400)."""
    bounds = {}
    for name, field in (("after", "from"), ("before", "until")):
        try:
            bounds[name] = parsed_time(given.get(field, "").strip())
        except ValueError:
            raise Refused(
                400, view.say("{field}: expected a time such as 2026-01-31T12:00", field=field)
            ) from None
    return bounds


FIELDS = ("app", "q", "type", "status", "endpoint", "from", "until")


async def _found(view: View) -> dict[str, Any]:
    app = None if view.app_name is None else await view.app()
    states = [DeliveryState(s) for s in (view.query("status"),) if s in set(DeliveryState)]
    name, missing = view.query("endpoint"), False
    endpoint = ids.decode(ids.ENDPOINT, name)
    if name and app is not None:
        try:
            endpoint = ids.decode(ids.ENDPOINT, (await app.endpoint(name)).id or "")
        except EndpointNotFound:
            missing = True
    wanted = Filter(
        event_types=[view.query("type")] if view.query("type") else (),
        states=states,
        endpoint=endpoint,
        text=view.query("q") or None,
        **times(view, view.request.query_params),
    )
    page, part = None, window(view)
    if not missing and (endpoint is not None or not name):
        page = await view.webhooks.overview.messages(view.app_name, wanted, part)
    return {
        "items": page.items if page else [],
        "more": next_of(page) if page else None,
        "filtered": any(view.query(field) for field in FIELDS[1:]),
        "states": list(DeliveryState),
        "types": await catalogue.names(view),
        "endpoints": [] if app is None else (await app.endpoint_page(Window(100))).items,
    }


async def listed(view: View) -> Response:
    """List messages; an id that is looked for leads to its message at once."""
    wanted, whose = view.query("q"), view.query("app") if view.operator else ""
    if ids.decode(ids.MESSAGE, wanted) is not None:
        whose = whose or view.app_name or await view.webhooks.overview.owner(wanted)
        await (await view.app_of(whose)).message(wanted)
        return view.go(view.place(f"/messages/{wanted}", whose))
    if whose:
        await view.app_of(whose)
        kept = {field: view.query(field) for field in FIELDS[1:]}
        return view.go(view.place("/messages", whose), **kept)
    return await view.live_page("messages.html", partial(_found, view))


async def _facts(view: View) -> dict[str, Any]:
    app = await view.app()
    message = await app.message(view.part("id"))
    places = await app.destinations(message.id)
    attempts = await app.attempts(message.id)
    longest = max((a.timings.total for a in attempts), default=0)
    whole, complete = text.decoded(message.body)
    at: dict[str, list[Attempt]] = {}
    for attempt in attempts[-MOST_ATTEMPTS:]:
        # What the operator's network made of it is the operator's.
        shown = attempt if view.operator else replace(attempt, detail="")
        at.setdefault(attempt.endpoint_id, []).append(shown)
    known = {endpoint.id for endpoint, _ in places}
    return {
        "message": message,
        "places": places,
        "attempts": at,
        "orphans": {key: found for key, found in at.items() if key not in known},
        "left_out": max(0, len(attempts) - MOST_ATTEMPTS),
        "longest": longest,
        "pretty": text.pretty(message.body),
        "raw": whole,
        "complete": complete,
        "curls": {e.id: _curl(e, message.id, message.body) for e, _ in places},
        "waiting": any(not status.state.final for _, status in places),
        "glances": await view.webhooks.overview.glances([endpoint for endpoint, _ in places]),
        "headers": await sent.headers(view, message, attempts[-MOST_ATTEMPTS:]),
        "answers": {a.id: text.decoded(a.response_body) for a in attempts[-MOST_ATTEMPTS:]},
    }


def _curl(endpoint: Endpoint, message_id: str, body: bytes) -> str:
    """Return a command that sends the same body to the same place, unsigned."""
    said = body.decode("utf-8", "replace")
    # What cannot be seen is pasted into no terminal.
    by_file = len(body) > CURL_BYTES or any(map(text.is_hidden, said))
    data = f"@{message_id}.json" if by_file else shlex.quote(said)
    return (
        f"curl -X POST {shlex.quote(endpoint.url)} \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -H 'webhook-id: {message_id}' \\\n"
        f"  --data-binary {data}"
    )


async def _one(view: View) -> Response:
    """Show a message: what it says, where it went, and every attempt."""
    return await view.live_page("message.html", partial(_facts, view))


async def payload(view: View) -> Response:
    """Give the payload as it is, to be kept: never to be shown by the browser."""
    message = await (await view.app()).message(view.part("id"))
    headers = {
        **HEADERS,
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": f'attachment; filename="{message.id}.json"',
    }
    return Response(message.body, 200, headers, media_type="text/plain; charset=utf-8")


async def resend(view: View) -> Response:
    """Send a message to an endpoint once more."""
    app, name = await view.app(), view.part("id")
    done = await app.resend(name, view.form.get("endpoint", ""))
    return _back(view, "resent" if done else "busy")


async def cancel(view: View) -> Response:
    """Stop what has not been sent of a message."""
    await (await view.app()).cancel(view.part("id"))
    return _back(view, "canceled")


async def replay(view: View) -> Response:
    """Send a message to all of its endpoints again, and to those that never got it."""
    app = await view.app()
    job = await app.replay(message=view.part("id"), missing="missing" in view.form)
    return view.go(f"/replays/{job.id}")


async def erase(view: View) -> Response:
    """Erase what a message said and what was answered."""
    await (await view.app()).erase(view.part("id"))
    return _back(view, "erased")


def _back(view: View, done: str) -> Response:
    return view.go(view.place(f"/messages/{view.part('id')}"), done=done)


def pages(home: str) -> tuple[Page, ...]:
    """Return the pages of an application's messages, below `home`."""
    one = f"{home}/messages/{{id}}"
    return (
        get(f"{home}/messages", listed),
        get(one, _one),
        get(f"{one}/payload", payload),
        post(f"{one}/resend", resend),
    )


PAGES = (
    get("/messages", listed),
    *pages("/apps/{app}"),
    post("/apps/{app}/messages/{id}/cancel", cancel),
    post("/apps/{app}/messages/{id}/replay", replay),
    post("/apps/{app}/messages/{id}/erase", erase),
)
