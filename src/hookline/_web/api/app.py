"""The routers put together: the application without its outer layers' settings."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hookline import Cursor, Webhooks, Window
from hookline._app.catalogue import TITLE, VERSION
from hookline._domain.catalogue.asyncapi import document as asyncapi_document
from hookline._domain.catalogue.described import Described
from hookline._domain.page import MAX_LIMIT
from hookline._web import errors, pages
from hookline._web.answers import Answer, refusal
from hookline._web.api import (
    access,
    api_keys,
    applications,
    attempts,
    audit,
    configuration,
    description,
    endpoints,
    event_types,
    expunge,
    health,
    listen,
    messages,
    operational,
    tasks,
    tools,
    usage,
)
from hookline._web.api.routes import PREFIX, Router
from hookline._web.api.table import Table
from hookline._web.dashboard.app import FIRST, Dashboard, Pages
from hookline._web.engine import Tenants, declared
from hookline._web.errors import Refused
from hookline._web.keys import Keys
from hookline._web.lookout import Lookout
from hookline._web.portal.app import ROOT, Portal
from hookline._web.shell import Shell
from hookline._web.site import Site
from hookline.errors import HooklineError, StorageError

AROUND_PAYLOAD = 64 << 10
"""Bytes of a body beside the payload in it."""
ROUTERS: Sequence[Router] = (
    applications.router,
    endpoints.router,
    event_types.router,
    messages.router,
    listen.router,
    attempts.router,
    tasks.router,
    tools.router,
    access.router,
    api_keys.router,
    configuration.router,
    audit.router,
    usage.router,
    operational.router,
    expunge.router,
    health.router,
)


def build(webhooks: Webhooks, routers: Iterable[Router] = ROUTERS) -> FastAPI:
    """Return the application on a façade, which it starts and stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await webhooks.start()
        yield
        app.state.lookout.stopping = True
        await webhooks.stop()

    app = FastAPI(
        title="Hookline API",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            Refused: _refused,
            HooklineError: _ours,
            RequestValidationError: _invalid,
            HTTPException: _http,
        },
    )
    app.state.webhooks = webhooks
    app.state.keys = Keys(webhooks)
    app.state.tenants = Tenants(webhooks)
    app.state.listeners = set()
    app.state.lookout = Lookout(webhooks.readiness)
    app.add_middleware(Shell, limit=webhooks.settings.payload_limit + AROUND_PAYLOAD)
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    if webhooks.settings.metrics != "off":
        app.add_route("/metrics", health.metrics, include_in_schema=False)
    dashboard = app.state.dashboard = Dashboard(
        webhooks, app.state.tenants, lambda: app.state.lookout.stopping
    )
    app.state.portal = Portal(webhooks, app.state.tenants, lambda: app.state.lookout.stopping)
    app.router.routes += [
        Table(routes),
        *pages.routes(),
        *Site().routes(),
        Pages(app.state.portal, root=ROOT),
        Pages(dashboard, first=FIRST),
    ]
    url = webhooks.settings.public_url.rstrip("/")
    _describe(app, partial(description.describe, routes, url))
    return app


def _describe(app: FastAPI, make: Callable[[], dict[str, Any]]) -> None:
    """Serve the description; what is sent changes with the event types."""
    app.openapi = cache(make)  # type: ignore[method-assign]

    async def openapi(request: Request) -> Response:
        return Answer(description.with_webhooks(request.app.openapi(), await _sent(request)))

    async def asyncapi(request: Request) -> Response:
        return Answer(asyncapi_document(await _sent(request), TITLE, VERSION))

    app.add_route(f"{PREFIX}/openapi.json", openapi, include_in_schema=False)
    app.add_route(f"{PREFIX}/asyncapi.json", asyncapi, include_in_schema=False)


async def _sent(request: Request) -> list[Described]:
    """Return what is sent, as anybody may know it: without what has feature flags.

    An event type that only code declares is as the code says, any other as the catalogue has it.
    """
    webhooks: Webhooks = request.app.state.webhooks
    found: dict[str, Described] = {each.name: each for each in declared(webhooks)}
    window = Window(MAX_LIMIT)
    with suppress(StorageError):  # the rest does not depend on it
        while True:
            page = await webhooks.event_types.page(window, archived=True)
            for each in page.items:
                if each.feature_flags or each.archived:
                    found.pop(each.name, None)
                else:
                    found[each.name] = each
            if not page.more or not page.items:
                break
            window = Window(MAX_LIMIT, Cursor(page.items[-1].name))
    return list(found.values())


async def _refused(request: Request, error: Any) -> Response:  # noqa: ARG001 - Starlette's signature
    return refusal(error)


async def _ours(request: Request, error: Any) -> Response:  # noqa: ARG001
    return refusal(errors.of(error))


async def _invalid(request: Request, error: Any) -> Response:  # noqa: ARG001
    return refusal(errors.of_validation(error.errors()))


async def _http(request: Request, error: Any) -> Response:
    """Answer what Starlette raises: no such route, another method. Whoever browses gets a page."""
    detail = str(error.detail)
    if error.status_code == 404:  # noqa: PLR2004
        if _browses(request):
            page: Response = await request.app.state.dashboard.sorry(request, error)
            return page
        detail = f"there is nothing at {request.url.path[:200]}; see {pages.ROOT}"
    return refusal(Refused(error.status_code, detail, headers=error.headers))


def _browses(request: Request) -> bool:
    """Tell whether this is a browser that looks for a page, not a client of the API."""
    path: str = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    looks = request.method in ("GET", "HEAD") and path.split("/")[1:2] != ["api"]
    return looks and "text/html" in request.headers.get("accept", "")
