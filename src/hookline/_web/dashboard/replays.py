"""Replays: what is sent again in the background."""

from functools import partial
from typing import Any

from starlette.responses import Response

from hookline._domain import ids
from hookline._domain.page import Cursor, Window
from hookline._web.dashboard.messages import next_of
from hookline._web.dashboard.routes import get, post
from hookline._web.dashboard.view import View

LIMIT = 50


async def _listed(view: View) -> dict[str, Any]:
    key = ids.decode(ids.JOB, view.query("after"))
    page = await view.jobs(Window(LIMIT, Cursor(key) if key else None, descending=True))
    return {"items": page.items, "more": next_of(page, ids.JOB)}


async def listed(view: View) -> Response:
    """List replays, the newest first."""
    return await view.live_page("replays.html", partial(_listed, view))


async def _one(view: View) -> dict[str, Any]:
    job, app = await view.job(view.part("id"))
    return {"job": job, "app_id": app.id}


async def one(view: View) -> Response:
    """Show how far a replay got."""
    return await view.live_page("replay.html", partial(_one, view))


async def cancel(view: View) -> Response:
    """Stop a replay."""
    job, app = await view.job(view.part("id"))
    await app.cancel_job(job.id or "")
    return view.go(f"/replays/{job.id}")


PAGES = (
    get("/replays", listed),
    get("/replays/{id}", one),
    post("/replays/{id}/cancel", cancel),
)
