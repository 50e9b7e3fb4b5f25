"""Coming by a link, and leaving.

The key stands in the link's fragment, which no browser sends. A script posts it once; what it
begins is a session with a cookie of its own.
"""

from urllib.parse import urlsplit

from starlette.responses import Response

from hookline._web.dashboard.routes import Access, Page
from hookline._web.dashboard.signing_in import language, theme
from hookline._web.errors import Refused
from hookline._web.portal.view import PortalView, application_of
from hookline.errors import InvalidApiKey


async def landing(view: PortalView) -> Response:
    """Take the key out of the link: a script does, or whoever has none pastes it."""
    return view.page("landing.html")


def ended(view: PortalView, status: int = 401, *, left: bool = False) -> Response:
    """Say that a link or a session has ended, and what to do."""
    return view.page("ended.html", status, left=left)


async def start(view: PortalView) -> Response:
    """Begin a session with the key of a link."""
    _check_origin(view)
    form = await view.read_form()
    seconds = view.house.brakes.wait(view.address)
    if seconds:
        raise Refused(
            429,
            view.say("Too many links that do not open. Try again in {seconds} s.", seconds=seconds),
            headers={"Retry-After": str(seconds)},
        )
    token = form.get("key", "").strip()[:512]
    view.session = None
    try:
        key = await view.webhooks.authenticate(token)
    except InvalidApiKey:
        view.house.brakes.wrong(view.address)
        return ended(view)
    if not application_of(key):
        raise Refused(403, view.say("This key is not for this page. Open the link you were given."))
    begun = view.house.sessions.begin(token, key)
    return view.keep(view.go("/endpoints"), view.cookies["session"], begun, None)


def _check_origin(view: PortalView) -> None:
    """Refuse (403) what another site posts: it could begin a session of its own choice."""
    headers = view.request.headers
    site = headers.get("sec-fetch-site")
    if site is not None:
        same = site == "same-origin"
    else:
        # Origin is what plain http has; browsers send it with every form, `null` from a sandbox.
        host = urlsplit(headers.get("origin", "")).netloc
        ours = (headers.get("host"), urlsplit(view.webhooks.settings.public_url).netloc)
        same = host != "" and host in ours
    if not same:
        raise Refused(403, view.say("This form is not valid any more. Go back, and try again."))


async def leave(view: PortalView) -> Response:
    """End the session."""
    view.end_session()
    return view.drop(ended(view, 200, left=True), view.cookies["session"])


async def brand(view: PortalView) -> Response:
    """Return the colours."""
    kept = {**view.headers, "Cache-Control": "no-cache"}
    return Response(view.look.style, headers=kept, media_type="text/css")


PAGES = (
    Page("GET", "/static/brand.css", brand, Access.ANYBODY),
    Page("GET", "/", landing, Access.ANYBODY),
    Page("POST", "/session", start, Access.ANYBODY),
    Page("POST", "/leave", leave, Access.READERS),
    Page("GET", "/language", language, Access.ANYBODY),
    Page("GET", "/theme", theme, Access.ANYBODY),
)
