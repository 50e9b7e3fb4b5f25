"""The dashboard as an ASGI application: by itself under any path, or as a part of the server."""

from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route, Router

from hookline import Webhooks
from hookline._web import errors
from hookline._web.dashboard import (
    deployment,
    endpoints,
    event_types,
    letters,
    messages,
    overview,
    replays,
    signatures,
    signing_in,
)
from hookline._web.dashboard.assets import Assets
from hookline._web.dashboard.routes import Page, admitted, all_pages
from hookline._web.dashboard.session import Brakes, Sessions
from hookline._web.dashboard.view import House, View, environment
from hookline._web.engine import Tenants
from hookline._web.errors import Refused
from hookline.errors import HooklineError

ASSETS = Assets(Path(__file__).parent / "static")
PAGES = all_pages(
    signing_in.PAGES,
    overview.PAGES,
    messages.PAGES,
    endpoints.PAGES,
    letters.PAGES,
    replays.PAGES,
    event_types.PAGES,
    deployment.PAGES,
    signatures.PAGES,
)
FIRST = {page.path.split("/")[1] for page in PAGES} | {"static"}
"""What paths of the dashboard begin with."""


class Dashboard:
    """All pages of an operator."""

    pages: Sequence[Page] = PAGES
    view = View
    assets: Sequence[Assets] = (ASSETS,)
    packages: Sequence[str] = ("hookline._web.dashboard",)
    """Where templates are, those of the first before those of the next."""

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
            environment(self.packages),
            {name: version for each in self.assets for name, version in each.versions.items()},
            stopping,
        )
        routes = [route for each in self.assets for route in each.routes()]
        for path in dict.fromkeys(page.path for page in self.pages):
            mine = [page for page in self.pages if page.path == path]
            methods = [page.method for page in mine]
            routes.append(Route(path, self._of(mine), methods=methods))
        self._router = Router(routes, redirect_slashes=False, default=_nothing)

    def sessions(self, webhooks: Webhooks) -> Sessions:
        """Return what makes sessions."""
        return Sessions(webhooks)

    def outside(self, view: View) -> Response:
        """Return what whoever is not signed in sees instead of a page."""
        return view.go("/sign-in", to=view.here())

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
            answer = await self.sorry(request, error)
            await answer(scope, receive, send)

    def _of(self, pages: list[Page]) -> Any:
        by_method = {page.method: page for page in pages}

        async def handle(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            page = by_method[method]
            view = self.view(self.house, request)
            return await page.handler(view) if await admitted(view, page) else self.outside(view)

        return handle

    async def sorry(self, request: Request, error: Exception) -> Response:
        """Return the page that says what went wrong."""
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
    """Pages as a route beside others: below a path, or those that begin as their paths do."""

    def __init__(
        self, dashboard: Dashboard, *, root: str = "", first: Container[str] | None = None
    ) -> None:
        """Everything below `root` is theirs, or what of it begins with one of `first`."""
        self._dashboard = dashboard
        self._root = root
        self._first = first

    def matches(self, scope: Any) -> tuple[Match, Any]:
        """Tell by the path."""
        if scope["type"] != "http":
            return Match.NONE, {}
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        below = path.removeprefix(self._root)
        mine = path.startswith(self._root) and below[:1] in ("", "/")
        if self._first is not None:
            mine = mine and below[1:].partition("/")[0] in self._first
        return (Match.FULL if mine else Match.NONE), {}

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand a request over, as to something that is mounted."""
        root = scope.get("root_path", "") + self._root
        path = scope["path"] if scope["path"] != root else f"{root}/"
        await self._dashboard({**scope, "root_path": root, "path": path}, receive, send)


async def _nothing(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI
    raise HTTPException(404)
