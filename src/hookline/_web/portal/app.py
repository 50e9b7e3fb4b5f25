"""The customer portal as a part of the server, below `/portal`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Match, Route

from hookline import Webhooks
from hookline._web.dashboard.app import Dashboard
from hookline._web.dashboard.routes import Page, all_pages
from hookline._web.dashboard.session import Sessions
from hookline._web.dashboard.view import HEADERS, environment
from hookline._web.portal import catalogue, endpoints, entry, messages
from hookline._web.portal.view import PortalView, application_of

ROOT = "/portal"
STATIC = Path(__file__).parent / "static"
PAGES = all_pages(entry.PAGES, endpoints.PAGES, messages.PAGES, catalogue.PAGES)


class Portal(Dashboard):
    """All pages of a customer."""

    pages: Sequence[Page] = PAGES
    view = PortalView

    def sessions(self, webhooks: Webhooks) -> Sessions:
        """Return what makes sessions: of keys for one application."""
        return Sessions(webhooks, lambda key: bool(application_of(key)))

    def templates(self) -> Environment:
        """Return the portal's templates; they extend the dashboard's."""
        return environment("hookline._web.portal")

    def assets(self) -> list[BaseRoute]:
        """Return the routes of what pages load."""
        own = [Route(f"/static/{path.name}", _asset) for path in STATIC.iterdir()]
        return [Route("/static/brand.css", self._brand), *own, *super().assets()]

    async def _brand(self, request: Request) -> Response:
        style = PortalView(self.house, request).look.style
        kept = {**HEADERS, "Cache-Control": "no-cache"}
        return Response(style, headers=kept, media_type="text/css")

    def outside(self, view: Any) -> Response:
        """Return what whoever has no session sees instead of a page."""
        return entry.ended(view)


class PortalPages(BaseRoute):
    """The portal as a route beside others."""

    def __init__(self, portal: Portal) -> None:
        """Take the application."""
        self.portal = portal

    def matches(self, scope: Any) -> tuple[Match, Any]:
        """Tell by the first part of the path."""
        if scope["type"] != "http":
            return Match.NONE, {}
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        mine = path == ROOT or path.startswith(f"{ROOT}/")
        return (Match.FULL if mine else Match.NONE), {}

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand a request over, as to something that is mounted."""
        root = scope.get("root_path", "") + ROOT
        path = scope["path"] if scope["path"] != root else f"{root}/"
        await self.portal({**scope, "root_path": root, "path": path}, receive, send)


async def _asset(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    kinds = {"js": "text/javascript", "css": "text/css"}
    kept = "public, max-age=31536000, immutable" if "v" in request.query_params else "no-cache"
    return FileResponse(
        STATIC / name,
        headers={**HEADERS, "Cache-Control": kept},
        media_type=kinds[name.rpartition(".")[2]],
    )
