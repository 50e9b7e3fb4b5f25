"""Signing in and out, and how pages look: language and colours."""

import secrets
from collections.abc import Collection

from starlette.responses import Response

from hookline._web.dashboard.routes import Access, Page, check_form
from hookline._web.dashboard.view import FORM, SESSION, THEMES, YEAR, View
from hookline._web.dashboard.words import LANGUAGES
from hookline.errors import InvalidApiKey

LOOPBACK = ("127.", "::1", "localhost", "testclient")


def _local(target: str) -> str:
    """Return a path of this place; anything else leads home."""
    safe = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if safe and target.isascii() and target.isprintable() else ""


async def _is_first(view: View) -> bool:
    """Tell whether somebody on this machine is here before there is any key."""
    if not view.address.startswith(LOOPBACK):
        return False
    return not await view.webhooks.api_keys()


def _form(view: View, status: int = 200, problem: str = "", *, first: bool = False) -> Response:
    token = view.request.cookies.get(FORM) or secrets.token_urlsafe(16)
    to = _local(view.form.get("to", "") or view.query("to", 2000))
    answer = view.page(
        "sign_in.html", status, problem=problem, form_token=token, to=to, first=first
    )
    return view.keep(answer, FORM, token, None)


async def show(view: View) -> Response:
    """Show the form, or on a first visit how to make a key."""
    if view.session is not None:
        return view.go("/")
    return _form(view, first=await _is_first(view))


async def sign_in(view: View) -> Response:
    """Take a key."""
    await check_form(view)
    brakes = view.house.brakes
    seconds = brakes.wait(view.address)
    if seconds:
        problem = view.say("Too many wrong keys. Try again in {seconds} s.", seconds=seconds)
        answer = _form(view, 429, problem)
        answer.headers["Retry-After"] = str(seconds)
        return answer
    token = view.form.get("key", "").strip()[:512]
    try:
        key = await view.webhooks.authenticate(token)
    except InvalidApiKey:
        brakes.wrong(view.address)
        return _form(view, 401, view.say("This is not a valid API key."))
    if not key.allows(None, write=False):
        return _form(
            view,
            403,
            view.say("This key is for single applications. The dashboard needs admin or read."),
        )
    to = _local(view.form.get("to", ""))
    answer = view.go("/")
    if to.startswith(f"{view.root}/"):
        answer.headers["Location"] = to
    view.drop(answer, FORM)
    return view.keep(answer, SESSION, view.house.sessions.begin(token, key), None)


async def sign_out(view: View) -> Response:
    """End the session."""
    view.end_session()
    return view.drop(view.go("/sign-in"), SESSION)


async def language(view: View) -> Response:
    """Switch the language."""
    return _switched(view, "language", LANGUAGES)


async def theme(view: View) -> Response:
    """Switch the colours."""
    return _switched(view, "theme", THEMES)


def _switched(view: View, cookie: str, known: Collection[str]) -> Response:
    answer = view.go("/")
    back, wanted = _local(view.query("back", 2000)), view.query("to")
    if back.startswith(f"{view.root}/"):
        answer.headers["Location"] = back
    if wanted not in known:
        return answer
    return view.keep(answer, view.cookies[cookie], wanted, YEAR)


PAGES = (
    Page("GET", "/sign-in", show, Access.ANYBODY),
    Page("POST", "/sign-in", sign_in, Access.ANYBODY),
    Page("POST", "/sign-out", sign_out, Access.READERS),
    Page("GET", "/language", language, Access.ANYBODY),
    Page("GET", "/theme", theme, Access.ANYBODY),
)
