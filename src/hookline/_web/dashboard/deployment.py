"""What is the whole deployment's: applications, API keys, the audit log, settings, findings."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import RedirectResponse, Response

from hookline import AuditFilter
from hookline._domain import ids
from hookline._domain.page import Cursor, Window
from hookline._settings import masked
from hookline._web.dashboard.messages import next_of, times, window
from hookline._web.dashboard.routes import WRONG, get, post
from hookline._web.dashboard.view import HEADERS, View
from hookline.errors import InvalidInput

LIMIT = 100
FIELDS = ("name", "uid", "scope", "days")
AUDITED = ("app", "action", "actor", "target", "from", "until")
LONGEST = 120
"""Characters of a setting's value that are shown."""


async def applications(view: View, problem: str = "") -> Response:
    """List applications."""
    wanted = view.query("go")
    if wanted:
        app = await view.webhooks.applications.get(wanted)
        return RedirectResponse(view.own("", app.uid or app.id), 303, HEADERS)
    key = ids.decode(ids.APPLICATION, view.query("after"))
    page = await view.webhooks.applications.page(Window(LIMIT, Cursor(key) if key else None))
    return view.page(
        "applications.html",
        422 if problem else 200,
        items=page.items,
        more=next_of(page, ids.APPLICATION),
        problem=problem,
        values={name: view.form.get(name, "") for name in FIELDS},
    )


async def create_application(view: View) -> Response:
    """Make an application."""
    form = view.form
    try:
        made = await view.webhooks.applications.create(
            form.get("name", "").strip(), uid=form.get("uid", "").strip() or None
        )
    except WRONG as error:
        return await applications(view, view.tell(error))
    return view.go(view.place("", made.uid or made.id))


# API keys ---------------------------------------------------------------------------------------


async def keys(view: View, problem: str = "") -> Response:
    """List API keys, the newest first; those of portals, one for each link, only if asked for."""
    portal = bool(view.query("portal"))
    page = await view.webhooks.api_key_page(window(view, ids.API_KEY), portal=portal)
    return view.page(
        "keys.html",
        422 if problem else 200,
        items=page.items,
        more=next_of(page, ids.API_KEY),
        portal=portal,
        problem=problem,
        values={name: view.form.get(name, "") for name in FIELDS},
    )


async def create_key(view: View) -> Response:
    """Make a key; show its token, this once."""
    form = view.form
    try:
        given = form.get("days", "").strip()
        days = float(given) if given else None
        ends = None if days is None else datetime.now(UTC) + timedelta(days=days)
        made = await view.webhooks.create_api_key(
            form.get("name", "").strip(), form.get("scope", "").split(), expires_at=ends
        )
    except (ValueError, OverflowError) as error:
        if isinstance(error, InvalidInput):
            return await keys(view, view.tell(error))
        return await keys(view, view.say("days: expected a number"))
    return view.page("key.html", 201, key=made)


async def revoke_key(view: View) -> Response:
    """Revoke a key, at once and for ever."""
    await view.webhooks.revoke_api_key(view.part("id"))
    view.house.sessions.forget()
    return view.go("/keys", done="revoked")


# audit log, settings, findings ------------------------------------------------------------------


async def audit(view: View) -> Response:
    """List who changed what, the newest first."""
    given = {name: view.query(name) for name in AUDITED}
    wanted = AuditFilter(
        application=given["app"] or None,
        action=given["action"] or None,
        actor=given["actor"] or None,
        target=given["target"] or None,
        **times(view, view.request.query_params),
    )
    page = await view.webhooks.audit(wanted, window(view, ids.AUDIT))
    return view.page(
        "audit.html",
        items=page.items,
        more=next_of(page, ids.AUDIT),
        wanted=given,
        filtered=any(given.values()),
    )


async def settings(view: View) -> Response:
    """Show what this process runs with; what is secret is not shown."""
    found = [
        {
            "name": field.name,
            "value": _told(view, field),
            "help": field.metadata["help"],
            "changed": getattr(view.webhooks.settings, field.name) != field.default,
        }
        for field in fields(view.webhooks.settings)
    ]
    return view.page("settings.html", items=found)


def _told(view: View, field: Any) -> str:
    value = getattr(view.webhooks.settings, field.name)
    if value in ("", ()):
        return "–"
    if field.metadata["secret"]:
        return view.say("set, not shown")
    if isinstance(value, bool):
        return view.say("yes") if value else view.say("no")
    if isinstance(value, tuple):
        return ", ".join(f"{each:g}" if isinstance(each, float) else each for each in value)
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:g}" if isinstance(value, float) else masked(str(value))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


async def doctor(view: View) -> Response:
    """Show what a look at the whole deployment finds."""
    findings = await view.webhooks.diagnose()
    ready = await view.webhooks.readiness()
    order = sorted(findings, key=lambda each: -each.level.rank)
    return view.page("doctor.html", findings=order, ready=ready)


PAGES = (
    get("/apps", applications),
    post("/apps", create_application),
    get("/keys", keys),
    post("/keys", create_key),
    post("/keys/{id}/revoke", revoke_key),
    get("/audit", audit),
    get("/settings", settings),
    get("/doctor", doctor),
)
