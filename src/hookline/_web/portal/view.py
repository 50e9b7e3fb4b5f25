"""One request for a page of the portal: whose it is, how it looks, and where it may be shown."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from hookline import ApiKey, ApplicationWebhooks, EventType, Job
from hookline._domain import branding
from hookline._domain.api_key import APPLICATION
from hookline._domain.page import Page, Window
from hookline._domain.replay import REPLAY
from hookline._said import Said
from hookline._settings import Settings
from hookline._web.dashboard.view import HEADERS, House, View
from hookline._web.errors import Refused
from hookline.errors import (
    ApplicationNotFound,
    BlockedDestination,
    EndpointDisabled,
    JobNotFound,
)

FRAMES = ("iframe", "frame", "object", "embed")


class Look(NamedTuple):
    """What the settings make of all pages."""

    name: str
    logo: str
    style: str
    headers: Mapping[str, str]


def look(settings: Settings) -> Look:
    """Return how the portal looks."""
    return _look(
        settings.portal_name,
        settings.portal_logo,
        settings.portal_colour,
        settings.portal_origins,
    )


@lru_cache(16)
def _look(name: str, logo: str, colour: str, origins: tuple[str, ...]) -> Look:
    images = " ".join(filter(None, ("'self' data:", branding.image_source(logo))))
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        f"img-src {images}; connect-src 'self'; base-uri 'none'; form-action 'self'; "
        f"frame-ancestors {' '.join(origins) or chr(39) + 'none' + chr(39)}"
    )
    return Look(name, logo, _style(colour), {**HEADERS, "Content-Security-Policy": policy})


def _style(colour: str) -> str:
    if not colour:
        return ""
    light, dark = (
        f"--accent: {each.accent}; --accent-ink: {each.ink}; --tint: {each.tint};"
        for each in branding.palettes(colour).values()
    )
    return (
        f":root {{ {light} }}\n"
        "@media (prefers-color-scheme: dark) "
        f'{{ :root:not([data-theme="light"]) {{ {dark} }} }}\n'
        f':root[data-theme="dark"] {{ {dark} }}\n'
    )


def application_of(key: ApiKey) -> str:
    """Return the id of the one application that a customer's key is for; empty for other keys."""
    mine = [s.removeprefix(APPLICATION) for s in key.scopes if s.startswith(APPLICATION)]
    return mine[0] if key.portal and len(mine) == 1 else ""


class PortalView(View):
    """One request. Its application is the session's, whatever the path says."""

    operator = False
    cookies: ClassVar[Mapping[str, str]] = {
        "session": "hookline_portal",
        "language": "hookline_portal_language",
        "theme": "hookline_portal_theme",
    }

    def __init__(self, house: House, request: Request) -> None:
        """Nobody is known yet."""
        super().__init__(house, request)
        self.look = look(house.webhooks.settings)
        self.headers = self.look.headers

    @property
    def name(self) -> str:
        """What the portal calls itself."""
        return self.look.name or self.say("Webhooks")

    @property
    def app_id(self) -> str:
        """The id of the session's application."""
        return application_of(self.session.key) if self.session is not None else ""

    @property
    def may_write(self) -> bool:
        """Whether forms are shown."""
        return self.session is not None and self.session.key.allows(self.app_id, write=True)

    @property
    def framed(self) -> bool:
        """Whether the page is shown inside another."""
        return self.request.headers.get("sec-fetch-dest", "") in FRAMES

    @property
    def app_name(self) -> str:
        """The session's application, the only one."""
        return self.app_id

    async def app_of(self, name: str) -> ApplicationWebhooks:
        """Return the session's application; raise ApplicationNotFound for every other."""
        if name != self.app_id:
            raise ApplicationNotFound(Said("no application {name!r}", name=name))
        return await self.app()

    def place(self, path: str = "", app: str = "") -> str:  # noqa: ARG002 - there is only one
        """Return where a page of the application is."""
        return path or "/overview"

    async def job(self, name: str) -> tuple[Job, ApplicationWebhooks]:
        """Return a replay of the application; raise JobNotFound."""
        app = await self.app()
        job = await app.job(name)
        if job.task != REPLAY:
            raise JobNotFound(Said("no job {name!r}", name=name))
        return job, app

    async def jobs(self, window: Window) -> Page[Job]:
        """Return a part of the application's replays."""
        page = await (await self.app()).job_page(window)
        return Page([job for job in page.items if job.task == REPLAY], page.more, page.last)

    def offers(self, event_type: EventType) -> bool:
        """Tell whether customers hear of it: not while it is behind a flag, or archived."""
        return not event_type.feature_flags and not event_type.archived

    def context(self, **values: Any) -> dict[str, Any]:
        """Return what every template may use."""
        return {**super().context(), "look": self.look, "portal_name": self.name, **values}

    def keep(self, response: Response, name: str, value: str, seconds: int | None) -> Response:
        """Set a cookie; inside another site's page, one that is that page's alone."""
        return self._framed(super().keep(response, name, value, seconds))

    def drop(self, response: Response, name: str) -> Response:
        """Take a cookie away."""
        return self._framed(super().drop(response, name))

    def _framed(self, response: Response) -> Response:
        if self.framed and self.secure:
            field, cookie = response.raw_headers[-1]
            kept = [
                p for p in cookie.split(b"; ") if not p.lower().startswith((b"same", b"secure"))
            ]
            kept += [b"SameSite=None", b"Secure", b"Partitioned"]
            response.raw_headers[-1] = field, b"; ".join(kept)
        return response

    def stranger(self) -> Refused:
        """Return what whoever has no session hears."""
        return Refused(401, self.say("Your time here has ended. Open the link again."))

    def reader(self) -> Refused:
        """Return what whoever may only look hears."""
        return Refused(403, self.say("You may look, and change nothing."))

    def tell(self, error: Exception) -> str:
        """Return what a customer hears of an error: of the network behind the guard, nothing."""
        if isinstance(error, BlockedDestination):
            return self.say("Nothing is sent to this address: blocked_destination.")
        if isinstance(error, EndpointDisabled):
            return self.say("This endpoint gets nothing just now. Resume it first.")
        return super().tell(error)
