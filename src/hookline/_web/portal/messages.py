"""The log: what was sent, where it went, and sending it again."""

from dataclasses import replace
from functools import partial
from typing import Any

from starlette.responses import Response

from hookline._domain import ids
from hookline._web.dashboard import messages as operators
from hookline._web.dashboard.routes import get, post
from hookline._web.portal import catalogue
from hookline._web.portal.view import PortalView


async def _listed(view: PortalView) -> dict[str, Any]:
    return {**await operators.found(view), "types": await catalogue.names(view)}


async def listed(view: PortalView) -> Response:
    """List messages; an id that is looked for leads to its message at once."""
    wanted = view.query("q")
    if ids.decode(ids.MESSAGE, wanted) is not None:
        await (await view.app()).message(wanted)
        return view.go(f"/messages/{wanted}")
    return await view.live_page("messages.html", partial(_listed, view))


async def _one(view: PortalView) -> dict[str, Any]:
    facts = await operators.facts(view)
    # What the operator's network made of it is the operator's.
    for key in ("attempts", "orphans"):
        facts[key] = {
            name: [replace(each, detail=None) for each in found]
            for name, found in facts[key].items()
        }
    return facts


async def one(view: PortalView) -> Response:
    """Show a message: what it says, where it went, and every attempt."""
    return await view.live_page("message.html", partial(_one, view))


async def resend(view: PortalView) -> Response:
    """Send a message to an endpoint once more."""
    app, name = await view.app(), view.part("id")
    done = await app.resend(name, view.form.get("endpoint", ""))
    return view.go(f"/messages/{name}", done="resent" if done else "busy")


PAGES = (
    get("/messages", listed),
    get("/messages/{id}", one),
    get("/messages/{id}/payload", operators.payload),
    post("/messages/{id}/resend", resend),
)
