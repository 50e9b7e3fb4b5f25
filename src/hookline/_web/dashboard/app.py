"""The dashboard as an ASGI application: by itself under any path, or as a part of the server."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Match, Route, Router

from hookline import Webhooks
from hookline._web import errors
from hookline._web.dashboard import (
    catalogue,
    endpoints,
    letters,
    messages,
    overview,
    signing_in,
    upkeep,
)
from hookline._web.dashboard.routes import Page, admitted, all_pages
from hookline._web.dashboard.session import Brakes, Sessions
from hookline._web.dashboard.view import HEADERS, House, View, environment
from hookline._web.engine import Tenants
from hookline._web.errors import Refused
from hookline.errors import HooklineError

STATIC = Path(__file__).parent / "static"
ASSETS = {
    path.name: {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}[path.suffix]
    for path in STATIC.iterdir()
    if path.suffix in (".css", ".js", ".svg")
}
FIRST = frozenset(
    {
        "apps",
        "dead-letters",
        "doctor",
        "endpoints",
        "event-types",
        "keys",
        "language",
        "messages",
        "replays",
        "sign-in",
        "sign-out",
        "signatures",
        "static",
        "theme",
    }
)
"""What paths of the dashboard begin with."""
PAGES = all_pages(
    signing_in.PAGES,
    overview.PAGES,
    messages.PAGES,
    endpoints.PAGES,
    letters.PAGES,
    catalogue.PAGES,
    upkeep.PAGES,
)


class Dashboard:
    """All pages of an operator."""

    pages: Sequence[Page] = PAGES
    view = View

    def __init__(
        self,
        webhooks: Webhooks,
        tenants: Tenants | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """`stopping` says when live connections are to be ended."""
        self.house = House(
            webhooks,
            tenants or Tenants(webhooks),
            self.sessions(webhooks),
            Brakes(),
            self.templates(),
            stopping,
        )
        routes = self.assets()
        for path in dict.fromkeys(page.path for page in self.pages):
            mine = [page for page in self.pages if page.path == path]
            methods = [page.method for page in mine]
            routes.append(Route(path, self._of(mine), methods=methods))
        self._router = Router(routes, redirect_slashes=False, default=_nothing)

    def sessions(self, webhooks: Webhooks) -> Sessions:
        """Return what makes sessions."""
        return Sessions(webhooks)

    def assets(self) -> list[BaseRoute]:
        """Return the routes of what pages load."""
        return [Route("/static/{name}", asset)]

    def templates(self) -> Environment:
        """Return the templates."""
        return environment()

    def outside(self, view: Any) -> Response:
        """Return what whoever is not signed in sees instead of a page."""
        answer: Response = view.go("/sign-in", to=view.here())
        return answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one request (ASGI 3.0); what goes wrong becomes a page."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path != "/" and path.endswith("/") and path.rstrip("/") != scope.get("root_path", ""):
            scope = {**scope, "path": path.rstrip("/")}
        # What goes wrong in here is not for the handlers of whatever it is mounted in.
        scope = {**scope, "starlette.exception_handlers": ({}, {})}
        request = Request(scope, receive)
        begun = False

        async def sending(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._router(scope, receive, sending)
        except Exception as error:
            if begun:
                raise
            answer = await self._sorry(request, error)
            await answer(scope, receive, send)

    def _of(self, pages: list[Page]) -> Any:
        by_method = {page.method: page for page in pages}

        async def handle(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            page = by_method[method]
            view = self.view(self.house, request)
            return await page.handler(view) if await admitted(view, page) else self.outside(view)

        return handle

    async def _sorry(self, request: Request, error: Exception) -> Response:
        view = self.view(self.house, request)
        if isinstance(error, Refused):
            refused = error
        elif isinstance(error, HooklineError):
            refused = errors.of(error)
            refused.detail = view.tell(error)
        elif isinstance(error, HTTPException):
            refused = Refused(error.status_code, view.say("There is no such page."))
        else:
            refused = errors.unexpected(error)
        status = refused.status
        if status != 503:  # noqa: PLR2004 - whether one is signed in cannot be told now
            try:
                await view.signed_in()
            except HooklineError:
                view.session = None
        # Of what is no fault of the visitor's, the log has the rest.
        detail = refused.detail if status < 500 else ""  # noqa: PLR2004
        answer = view.page("error.html", status, status=status, detail=detail)
        answer.headers.update(refused.headers)
        return answer


class Pages(BaseRoute):
    """The dashboard as a route beside others: takes what begins as its paths do."""

    def __init__(self, dashboard: Dashboard) -> None:
        """Take the application."""
        self.dashboard = dashboard

    def matches(self, scope: Any) -> tuple[Match, Any]:
        """Tell by the first part of the path."""
        if scope["type"] != "http":
            return Match.NONE, {}
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        mine = path in ("", "/") or path[1:].partition("/")[0] in FIRST
        return (Match.FULL if mine else Match.NONE), {}

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand a request over."""
        await self.dashboard(scope, receive, send)


async def _nothing(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI
    raise HTTPException(404)


async def asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in ASSETS:
        raise HTTPException(404)
    kept = "public, max-age=31536000, immutable" if "v" in request.query_params else "no-cache"
    return FileResponse(
        STATIC / name,
        headers={**HEADERS, "Cache-Control": kept, "Vary": "Accept-Encoding"},
        media_type=ASSETS[name],
    )
