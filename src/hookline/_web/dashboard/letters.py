"""Dead letters: deliveries whose last attempt failed, and what is done about many at once."""

from functools import partial
from typing import Any

from starlette.responses import Response

from hookline._web.dashboard.messages import next_of, window
from hookline._web.dashboard.routes import get, post
from hookline._web.dashboard.view import View
from hookline._web.errors import Refused
from hookline.errors import HooklineError, StorageError

MOST = 200
"""Deliveries that one form sends again."""


async def _look(view: View) -> dict[str, Any]:
    page = await view.webhooks.overview.dead_letters(
        view.query("app") or None, view.query("endpoint") or None, window(view)
    )
    return {"items": page.items, "more": next_of(page)}


async def show(view: View) -> Response:
    """List dead letters of all applications, or of one."""
    return await view.live_page("letters.html", partial(_look, view))


async def resend(view: View) -> Response:
    """Send the ones that were marked again."""
    marked = [value for name, value in view.chosen if name == "letter"]
    if not marked:
        raise Refused(422, view.say("Nothing was marked."))
    if len(marked) > MOST:
        raise Refused(422, view.say("{most} at once at most.", most=MOST))
    done, problems = 0, []
    for each in marked:
        app_name, message, endpoint = ([*each.split("/"), "", ""])[:3]
        try:
            app = await view.house.tenants.find(app_name)
            done += await app.resend(message, endpoint)
        except StorageError:
            raise
        except HooklineError as error:
            problems.append(str(error))
    return view.page("resent.html", done=done, of=len(marked), problems=problems[:20])


PAGES = (get("/dead-letters", show), post("/dead-letters", resend))
