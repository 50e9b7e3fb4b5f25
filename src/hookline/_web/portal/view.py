"""One request for a page of the portal: whose it is, how it looks, and where it may be shown."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from hookline import ApiKey, ApplicationWebhooks
from hookline._domain import branding
from hookline._domain.api_key import APPLICATION
from hookline._settings import Settings
from hookline._web.dashboard.view import HEADERS, House, View
from hookline._web.errors import Refused
from hookline._web.portal.words_zh import ZH
from hookline.errors import BlockedDestination, EndpointDisabled

WORDS: Mapping[str, Mapping[str, str]] = {"zh-CN": ZH}
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

    def say(self, sentence: str, /, **values: Any) -> str:
        """Return a sentence in the reader's language; the portal's own words come first."""
        own = WORDS.get(self.language, {}).get(sentence)
        if own is None:
            return super().say(sentence, **values)
        return own.format(**values) if values else own

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

    def part(self, name: str) -> str:
        """Return a part of the path; the application is never in it."""
        return self.app_id if name == "app" else super().part(name)

    async def app(self) -> ApplicationWebhooks:
        """Return the session's application; raise ApplicationNotFound."""
        if self.application is None:
            self.application = await self.house.tenants.find(self.app_id)
        return self.application

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
        return str(error)
