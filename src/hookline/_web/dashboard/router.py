"""The dashboard in an application that is not ours: included as a router, or mounted."""

from typing import Any

from fastapi import APIRouter
from starlette.routing import Route

from hookline._web.dashboard.app import Dashboard

PATH = "/hookline"
"""Where the pages are in an application that includes them."""


class DashboardRouter(APIRouter):
    """What `webhooks.dashboard()` returns.

    Included in a FastAPI application, the pages are at `/hookline` below its prefix. As an ASGI
    application, which may be mounted, they are right where it is.
    """

    def __init__(self, dashboard: Dashboard) -> None:
        """One dashboard, and the routes that lead to it."""
        below = _Below(dashboard)
        paths = (PATH, PATH + "/{rest:path}")
        super().__init__(routes=[Route(path, below, include_in_schema=False) for path in paths])
        self._dashboard = dashboard

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one request (ASGI 3.0)."""
        await self._dashboard(scope, receive, send)


class _Below:
    """The dashboard at the end of a route: what is before the rest of the path is its root."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path: str = scope["path"]
        rest: str = scope["path_params"].get("rest", "")
        root = path.removesuffix(f"/{rest}")
        below = {**scope, "root_path": root, "path": f"{root}/{rest}"}
        await self._dashboard(below, receive, send)
