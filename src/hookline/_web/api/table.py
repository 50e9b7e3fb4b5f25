"""The routes as a table: which one it is, is known from the method and a few patterns.

Starlette tries one route after the other, and FastAPI's included routers cost more on top: with all
resources, that would be a quarter of the work for a message.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match

from hookline._web.errors import Refused

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class Table(BaseRoute):
    """Routes by method and number of segments. None of their parameters holds a slash."""

    def __init__(self, routes: Sequence[APIRoute]) -> None:
        """Of two routes that both fit, the earlier one is taken."""
        self._routes: dict[tuple[str, int], list[APIRoute]] = defaultdict(list)
        for route in routes:
            for method in route.methods or ():
                self._routes[method, route.path.count("/")].append(route)

    def _find(self, method: str, path: str) -> APIRoute | None:
        for route in self._routes.get((method, path.count("/")), ()):
            if route.path_regex.match(path):
                return route
        return None

    def matches(self, scope: Any) -> tuple[Match, Any]:
        """Find the route of a request."""
        if scope["type"] != "http":
            return Match.NONE, {}
        path = _path(scope)
        route = self._find(scope["method"], path)
        if route is not None:
            return route.matches(scope)
        return (Match.PARTIAL if self.allowed(path) else Match.NONE), {}

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand a request to its route."""
        route = self._find(scope["method"], _path(scope))
        if route is None:
            allowed = ", ".join(self.allowed(_path(scope)))
            raise Refused(
                405,
                f"{scope['method']} is not possible here; expected {allowed}",
                headers={"Allow": allowed},
            )
        await route.handle(scope, receive, send)

    def allowed(self, path: str) -> list[str]:
        """Return the methods that a path knows."""
        return [method for method in METHODS if self._find(method, path)]


def _path(scope: Any) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
