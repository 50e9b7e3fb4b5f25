"""Replays, the doctor's findings, and the signature debugger."""

import asyncio
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.responses import Response

from hookline._domain import ids
from hookline._domain.page import Cursor, Window
from hookline._web.dashboard.messages import next_of
from hookline._web.dashboard.routes import Access, Page, get, post
from hookline._web.dashboard.view import View
from hookline._web.errors import Refused
from hookline.receiver import diagnose

LIMIT = 50
MOST_BYTES = 1 << 20


async def _replays(view: View) -> dict[str, Any]:
    key = ids.decode(ids.JOB, view.query("after"))
    part = Window(LIMIT, Cursor(key) if key else None, descending=True)
    page = await view.webhooks.all_jobs(part)
    return {"items": page.items, "more": next_of(page, ids.JOB)}


async def replays(view: View) -> Response:
    """List replays, the newest first."""
    return await view.live_page("replays.html", partial(_replays, view))


async def _replay(view: View) -> dict[str, Any]:
    job, app = await view.webhooks.any_job(view.part("id"))
    return {"job": job, "app_id": app.id}


async def replay(view: View) -> Response:
    """Show how far a replay got."""
    return await view.live_page("replay.html", partial(_replay, view))


async def cancel(view: View) -> Response:
    """Stop a replay."""
    _, app = await view.webhooks.any_job(view.part("id"))
    await app.cancel_job(view.part("id"))
    return view.go(f"/replays/{view.part('id')}")


async def doctor(view: View) -> Response:
    """Show what a look at the whole deployment finds."""
    findings = await view.webhooks.diagnose()
    ready = await view.webhooks.readiness()
    order = sorted(findings, key=lambda each: -each.level.rank)
    return view.page("doctor.html", findings=order, ready=ready)


def _empty() -> dict[str, str]:
    return {"body": "", "headers": "", "secret": "", "original": ""}


async def signatures(view: View) -> Response:
    """Show the form of the signature debugger."""
    return view.page("signatures.html", values=_empty(), diagnosis=None)


async def examine(view: View) -> Response:
    """Say why a webhook does not verify. What was given is kept nowhere."""
    values = _empty() | {name: view.form.get(name, "") for name in _empty()}
    if sum(map(len, values.values())) > MOST_BYTES:
        raise Refused(413, view.say("This is more than a webhook has."))
    # Forms send line ends as CRLF; a body with them would have them escaped or be sent as such.
    body = values["body"].replace("\r\n", "\n")
    original = values["original"].replace("\r\n", "\n") or None
    found = await asyncio.to_thread(
        diagnose, body, _headers(values["headers"]), values["secret"], original=original
    )
    values["secret"] = ""
    return view.page("signatures.html", values=values, diagnosis=found)


def _headers(given: str) -> Mapping[str, str]:
    pairs = (re.split(r":\s*", line, maxsplit=1) for line in given.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


PAGES = (
    get("/replays", replays),
    get("/replays/{id}", replay),
    post("/replays/{id}/cancel", cancel),
    get("/doctor", doctor),
    get("/signatures", signatures),
    Page("POST", "/signatures", examine, Access.READERS),
)
