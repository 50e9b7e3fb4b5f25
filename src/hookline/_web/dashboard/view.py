"""One request for a page: who asks, in which language, and how the answer is made."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, quote, urlencode

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from hookline import ApplicationWebhooks, EventType, Job, Webhooks
from hookline._domain import finding
from hookline._domain.audit import Actor, acting
from hookline._domain.history import queued
from hookline._domain.overview import MOST_GLANCED
from hookline._domain.page import Page, Window
from hookline._said import message
from hookline._web.dashboard import charts, text
from hookline._web.dashboard.session import Brakes, Session, Sessions
from hookline._web.dashboard.words import LANGUAGES, retold, translated
from hookline._web.errors import Refused
from hookline.errors import HooklineError

if TYPE_CHECKING:
    from hookline._web.engine import Tenants

SESSION, LANGUAGE, THEME, FORM = (
    "hookline_session",
    "hookline_language",
    "hookline_theme",
    "hookline_form",
)
YEAR = 365 * 24 * 3600
THEMES = ("auto", "light", "dark")
TICK = 2.0
"""Seconds between looks at what is live."""
LONGEST = 30.0
"""Seconds a live connection lasts, and may hold up a server that stops; browsers open another."""
MOST_LIVE = 200
"""Live connections of a process."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Cookie, Accept-Language",
}


def environment(packages: Iterable[str]) -> Environment:
    """Return the templates, those of the first package before those of the next."""
    places = [PackageLoader(name) for name in packages]
    made = Environment(
        loader=ChoiceLoader(places),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "harmless": text.harmless,
        "number": number,
        "g": "{:g}".format,
        "queued": queued,
        "glanced": partial(queued, most=MOST_GLANCED),
        "ms": milliseconds,
    }
    made.globals |= {
        "charts": charts,
        "as_json": text.as_json,
    }
    return made


def number(value: float | None) -> str:
    """Return a number as people read it."""
    return "–" if value is None else f"{value:,}"


def milliseconds(value: float | None) -> str:
    """Return a duration in milliseconds as people read it."""
    if value is None:
        return "–"
    if value >= 1000:  # noqa: PLR2004 - a second
        return f"{value / 1000:.2f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"  # noqa: PLR2004


@dataclass(slots=True)
class House:
    """What all pages share."""

    webhooks: Webhooks
    tenants: "Tenants"
    sessions: Sessions
    brakes: Brakes
    templates: Environment
    versions: Mapping[str, str]
    stopping: Callable[[], bool]
    live: int = 0


class View:
    """One request of an operator. The portal's are of a customer: what differs is said here."""

    operator: ClassVar[bool] = True
    """Whether the reader runs the deployment, and may see more than one application."""
    cookies: ClassVar[Mapping[str, str]] = {
        "session": SESSION,
        "language": LANGUAGE,
        "theme": THEME,
    }
    headers: Mapping[str, str] = HEADERS

    def __init__(self, house: House, request: Request) -> None:
        """Nobody is signed in yet."""
        self.house = house
        self.webhooks = house.webhooks
        self.request = request
        self.session: Session | None = None
        self.root: str = request.scope.get("root_path", "").rstrip("/")
        self.language = self._language()
        theme = request.cookies.get(self.cookies["theme"], "auto")
        self.theme = theme if theme in THEMES else "auto"
        self.application: ApplicationWebhooks | None = None
        self.form: Mapping[str, str] = {}
        self.chosen: list[tuple[str, str]] = []

    def _language(self) -> str:
        chosen = self.request.cookies.get(self.cookies["language"], "")
        if chosen in LANGUAGES:
            return chosen
        wishes = []
        for part in self.request.headers.get("accept-language", "")[:500].split(","):
            name, _, weight = part.strip().partition(";q=")
            try:
                wishes.append((-float(weight or 1), name.lower()))
            except ValueError:
                continue
        for _, name in sorted(wishes, key=lambda wish: wish[0]):
            if name.startswith("zh"):
                return "zh-CN"
            if name.startswith("en"):
                return "en"
        return "en"

    # words and links -----------------------------------------------------------------------

    def say(self, sentence: str, /, **values: Any) -> str:
        """Return a sentence in the reader's language, with values put in."""
        return translated(self.language, sentence, **values)

    def told(self, text: str) -> str:
        """Return what was said in English in the reader's language, if it can be."""
        return str(retold(self.language, text))

    def span(self, milliseconds: float) -> str:
        """Return a duration in the reader's language."""
        return self.told(finding.span(milliseconds))

    def url(self, path: str, **query: Any) -> str:
        """Return a link inside the dashboard; what is None or empty is left out of the query."""
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return self.root + quote(path) + (f"?{urlencode(given)}" if given else "")

    def asset(self, name: str) -> str:
        """Return the link of an asset: another one when what is in it is."""
        return self.url(f"/static/{name}", v=self.house.versions[name])

    def here(self, **changes: Any) -> str:
        """Return this page's link with a changed query."""
        query = {**self.request.query_params, **changes}
        return self.url(self.path, **query)

    @property
    def path(self) -> str:
        """This page's path inside the dashboard."""
        path: str = self.request.scope["path"]
        return path.removeprefix(self.root) or "/"

    @property
    def secure(self) -> bool:
        """Whether people come by TLS."""
        told = self.webhooks.settings.public_url.startswith("https:")
        return told or self.request.url.scheme == "https"

    @property
    def may_write(self) -> bool:
        """Whether forms are shown."""
        return self.session is not None and self.session.may_write

    @property
    def address(self) -> str:
        """Where the request comes from."""
        client = self.request.client
        return client.host if client else ""

    def query(self, name: str, most: int = 256) -> str:
        """Return a value of the query, empty when it is not there."""
        return self.request.query_params.get(name, "").strip()[:most]

    def part(self, name: str) -> str:
        """Return a part of the path."""
        value: str = self.request.path_params[name]
        return value

    def all_of(self, name: str) -> list[str]:
        """Return every value that the form has under a name."""
        return [value for each, value in self.chosen if each == name]

    # whose it is ---------------------------------------------------------------------------

    @property
    def app_name(self) -> str | None:
        """The application that is looked at, by id or uid; None for all of them."""
        name: str | None = self.request.path_params.get("app")
        return name

    async def app(self) -> ApplicationWebhooks:
        """Return the application that is looked at; raise ApplicationNotFound."""
        if self.application is None:
            self.application = await self.house.tenants.find(self.app_name or "default")
        return self.application

    async def app_of(self, name: str) -> ApplicationWebhooks:
        """Return another application; raise ApplicationNotFound."""
        return await self.house.tenants.find(name)

    def place(self, path: str = "", app: str = "") -> str:
        """Return where a page of an application is: of the one that is looked at unless told."""
        return f"/apps/{app or self.app_name or 'default'}{path}"

    def own(self, path: str = "", app: str = "", **query: Any) -> str:
        """Return a link to a page of an application."""
        return self.url(self.place(path, app), **query)

    async def job(self, name: str) -> tuple[Job, ApplicationWebhooks]:
        """Return a replay, and whose it is; raise JobNotFound."""
        return await self.webhooks.any_job(name)

    async def jobs(self, window: Window) -> Page[Job]:
        """Return a part of the replays."""
        return await self.webhooks.all_jobs(window)

    def offers(self, event_type: EventType) -> bool:  # noqa: ARG002 - the portal tells
        """Tell whether the reader hears of an event type."""
        return True

    # answers -------------------------------------------------------------------------------

    def context(self, **values: Any) -> dict[str, Any]:
        """Return what every template may use, and values of its own."""
        return {
            "view": self,
            "_": self.say,
            "told": self.told,
            "span": self.span,
            "url": self.url,
            "asset": self.asset,
            "own": self.own,
            "operator": self.operator,
            "may_write": self.may_write,
            "when": self.when,
            "languages": LANGUAGES,
            "themes": THEMES,
            "app_name": self.app_name,
            "now": datetime.now(UTC),
            **values,
        }

    def when(self, moment: datetime | None, *, countdown: bool = False) -> Markup:
        """Return a time as HTML; scripts, where there are any, make it relative."""
        if moment is None:
            return Markup("–")
        exact = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
        kind = "countdown" if countdown else "ago"
        return Markup('<time datetime="{}" title="{}" data-time="{}">{}</time>').format(
            moment.isoformat(), exact, kind, exact
        )

    @staticmethod
    def moment(seconds: float) -> datetime:
        """Return a time given in Unix seconds."""
        return datetime.fromtimestamp(seconds, UTC)

    def page(self, template: str, status: int = 200, /, **values: Any) -> Response:
        """Return a page."""
        made = self.house.templates.get_template(template).render(self.context(**values))
        return HTMLResponse(made, status, dict(self.headers))

    async def live_page(
        self, template: str, look: Callable[[], Awaitable[dict[str, Any]]]
    ) -> Response:
        """Return a page, or, to whoever asks for events, its block `live` as it changes."""
        if "text/event-stream" not in self.request.headers.get("accept", ""):
            return self.page(template, **await look())
        if self.house.live >= MOST_LIVE:
            return Response(status_code=503, headers={**self.headers, "Retry-After": "30"})
        stream = self._events(template, look)
        headers = {**self.headers, "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, 200, headers, media_type="text/event-stream")

    async def _events(
        self, template: str, look: Callable[[], Awaitable[dict[str, Any]]]
    ) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        block = self.house.templates.get_template(template).blocks["live"]
        ends, before = loop.time() + LONGEST, ""
        self.house.live += 1
        try:
            while loop.time() < ends and not self.house.stopping():
                if await self.signed_in() is None:
                    return
                shown = await self._block(template, block, look)
                if shown is not None and shown != before:
                    before = shown
                    lines = "".join(f"data: {line}\n" for line in shown.splitlines())
                    yield f"event: live\n{lines}\n".encode()
                else:
                    yield b": nothing new\n\n"
                await asyncio.sleep(TICK)
        finally:
            self.house.live -= 1

    async def _block(
        self, template: str, block: Any, look: Callable[[], Awaitable[dict[str, Any]]]
    ) -> str | None:
        """Return the block as it is now; None while the database does not answer."""
        try:
            values = self.context(**await look())
        except HooklineError:
            return None
        made = self.house.templates.get_template(template)
        return "".join(block(made.new_context(values)))

    def go(self, path: str, **query: Any) -> Response:
        """Return the way to another page, after a form was taken."""
        target = self.url(path, **query)
        if self.request.headers.get("hx-request"):
            return Response(status_code=204, headers={**self.headers, "HX-Redirect": target})
        return RedirectResponse(target, 303, dict(self.headers))

    def keep(self, response: Response, name: str, value: str, seconds: int | None) -> Response:
        """Set a cookie."""
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path=self.root or "/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )
        return response

    def drop(self, response: Response, name: str) -> Response:
        """Take a cookie away."""
        response.delete_cookie(name, path=self.root or "/", httponly=True, samesite="lax")
        return response

    async def signed_in(self) -> Session | None:
        """Return the session of the request, if there is one: what is changed, its key changed."""
        cookie = self.request.cookies.get(self.cookies["session"])
        self.session = None if cookie is None else await self.house.sessions.find(cookie[:512])
        if self.session is not None:
            acting.set(Actor("api_key", self.session.key.id, self.session.key.name))
        return self.session

    def end_session(self) -> None:
        """Nobody is signed in any more."""
        if self.session is not None:
            self.house.sessions.end(self.session)
        self.session = None

    def stranger(self) -> Refused:
        """Return what whoever is not signed in hears."""
        return Refused(401, self.say("Your session has ended. Sign in again."))

    def reader(self) -> Refused:
        """Return what whoever may only look hears."""
        return Refused(403, self.say("This key may look, and change nothing."))

    def tell(self, error: Exception) -> str:
        """Return what people hear of an error, in the reader's language where it is known."""
        return self.told(message(error))

    async def read_form(self) -> Mapping[str, str]:
        """Read the form of the request, once; raise Refused (413) for one that is too large."""
        limit = self.webhooks.settings.payload_limit * 3 + (64 << 10)
        parts, size = [], 0
        async for part in self.request.stream():
            size += len(part)
            if size > limit:
                raise Refused(413, self.say("form: larger than {limit:,} bytes", limit=limit))
            parts.append(part)
        try:
            self.chosen = parse_qsl(
                b"".join(parts).decode(), keep_blank_values=True, max_num_fields=1000
            )
        except ValueError:
            raise Refused(400, self.say("form: cannot be read")) from None
        self.form = dict(self.chosen)
        return self.form


def parsed_time(given: str) -> datetime | None:
    """Return a time as a form has it (UTC unless it says otherwise); None for an empty one.

    Raises ValueError.
    """
    if not given:
        return None
    moment = datetime.fromisoformat(given)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
