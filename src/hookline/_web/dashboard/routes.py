"""Routes of pages: who may see them, and what every form has to show."""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from starlette.responses import Response

from hookline._web.dashboard.view import FORM, View
from hookline._web.errors import Refused
from hookline.errors import AlreadyExists, HooklineError, InvalidInput, StorageError

WRONG = (InvalidInput, AlreadyExists)
"""What whoever filled in a form can mend."""
Handler = Callable[[Any], Awaitable[Response]]
"""Takes a view: of the dashboard, of the portal, or of either."""


class Access(Enum):
    """Who may come."""

    ANYBODY = "anybody"
    READERS = "readers"
    WRITERS = "writers"


class Page(NamedTuple):
    """One route. A `POST` is for writers unless told otherwise."""

    method: str
    path: str
    handler: Handler
    access: Access = Access.READERS


def get(path: str, handler: Handler) -> Page:
    """Return a page that every signed-in key may see."""
    return Page("GET", path, handler)


def look(path: str, handler: Handler) -> Page:
    """Return a page that only those who may change things see: it is a form."""
    return Page("GET", path, handler, Access.WRITERS)


def post(path: str, handler: Handler) -> Page:
    """Return what takes a form."""
    return Page("POST", path, handler, Access.WRITERS)


async def admitted(view: View, page: Page) -> bool:
    """Return False for somebody who has to come in first; raise Refused (401, 403).

    Forms that `Access.ANYBODY` fills in are checked by what takes them.
    """
    session, method = await view.signed_in(), view.request.method
    if page.access is Access.ANYBODY:
        return True
    if session is None:
        if method not in ("GET", "HEAD") or view.request.headers.get("hx-request"):
            raise view.stranger()
        return False
    if page.access is Access.WRITERS and not view.may_write:
        raise view.reader()
    if method == "POST":
        await check_form(view)
    return True


async def check_form(view: View) -> None:
    """Read a form; raise Refused (403) for one that was not made for this session."""
    site = view.request.headers.get("sec-fetch-site", "same-origin")
    form = await view.read_form()
    shown = form.get("csrf", "") or view.request.headers.get("x-csrf-token", "")
    wanted = (
        view.session.form_token if view.session is not None else view.request.cookies.get(FORM, "")
    )
    same = hmac.compare_digest(shown.encode(), wanted.encode())
    if not wanted or not same or site not in ("same-origin", "none"):
        raise Refused(403, view.say("This form is not valid any more. Go back, and try again."))


async def tried(
    view: View, work: Callable[[], Awaitable[Response]], again: Callable[[str], Response]
) -> Response:
    """Do what a form asks for; show the form once more when that cannot be."""
    try:
        return await work()
    except HooklineError as error:
        if isinstance(error, StorageError):
            raise
        return again(view.tell(error))


def all_pages(*modules: Sequence[Page]) -> list[Page]:
    """Return the pages of all modules."""
    return [page for pages in modules for page in pages]
