"""The routers put together: the application without its outer layers' settings."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hookline import Webhooks
from hookline._web import errors, pages
from hookline._web.answers import Answer, encoded, refusal
from hookline._web.api import (
    access,
    applications,
    attempts,
    description,
    endpoints,
    event_types,
    health,
    messages,
    tasks,
)
from hookline._web.api.routes import PREFIX, Router
from hookline._web.api.table import Table
from hookline._web.engine import Tenants
from hookline._web.errors import Refused
from hookline._web.keys import Keys
from hookline._web.lookout import Lookout
from hookline._web.shell import Shell
from hookline.errors import HooklineError

AROUND_PAYLOAD = 64 << 10
"""Bytes of a body beside the payload in it."""
ROUTERS: Sequence[Router] = (
    applications.router,
    endpoints.router,
    event_types.router,
    messages.router,
    attempts.router,
    tasks.router,
    access.router,
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
    app.state.lookout = Lookout(webhooks.readiness)
    app.add_middleware(Shell, limit=webhooks.settings.payload_limit + AROUND_PAYLOAD)
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    app.router.routes += [Table(routes), *pages.routes()]
    url = webhooks.settings.public_url.rstrip("/")
    _describe(app, partial(description.describe, routes, url))
    return app


def _describe(app: FastAPI, make: Any) -> None:
    """Serve the description, made when it is asked for first."""
    made: list[bytes] = []

    async def openapi(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
        if not made:
            made.append(encoded(make()))
        return Answer(made[0])

    app.openapi = make  # type: ignore[method-assign]
    app.add_route(f"{PREFIX}/openapi.json", openapi, include_in_schema=False)


async def _refused(request: Request, error: Any) -> Response:  # noqa: ARG001 - Starlette's signature
    return refusal(error)


async def _ours(request: Request, error: Any) -> Response:  # noqa: ARG001
    return refusal(errors.of(error))


async def _invalid(request: Request, error: Any) -> Response:  # noqa: ARG001
    return refusal(errors.of_validation(error.errors()))


async def _http(request: Request, error: Any) -> Response:
    """Answer what Starlette raises: no such route, another method."""
    detail = str(error.detail)
    if error.status_code == 404:  # noqa: PLR2004
        detail = f"there is nothing at {request.url.path[:200]}; see /docs"
    return refusal(Refused(error.status_code, detail, headers=error.headers))
