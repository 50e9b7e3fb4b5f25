"""Is it alive, and is it ready? Asked without a key."""

import asyncio
from typing import Any

from fastapi import Request, Response

from hookline._domain.readiness import Readiness
from hookline._web.answers import NO_STORE, Answer
from hookline._web.api import callers
from hookline._web.api.models.wire import Wire
from hookline._web.api.routes import Router, answers

router = Router("Health")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ReadyOut(Wire):
    """Whether webhooks are accepted and delivered: each part is `ok`, or says what is missing."""

    ready: bool
    parts: dict[str, str]


_READY: dict[str, Any] = Readiness().document
_NOT_READY: dict[str, Any] = Readiness(database="cannot connect").document
OPEN: dict[str, Any] = {"security": []}


@router.get("/health", status_code=204, openapi_extra=OPEN, operation_id="v1.health.get")
@router.head("/health", status_code=204, include_in_schema=False)
async def health() -> Response:
    """Say that the process lives. Does not look at the database: see `/health/ready`."""
    return Response(status_code=204)


@router.get("/health/ping", status_code=204, openapi_extra=OPEN, operation_id="v1.health.ping")
@router.head("/health/ping", status_code=204, include_in_schema=False)
async def ping() -> Response:
    """Say that the process lives."""
    return Response(status_code=204)


@router.get(
    "/health/ready",
    operation_id="v1.health.ready",
    openapi_extra=OPEN,
    responses={
        **answers(200, ReadyOut, _READY, "Ready"),
        **answers(503, ReadyOut, _NOT_READY, "Not ready: which part is not, and why"),
    },
)
@router.head("/health/ready", include_in_schema=False)
async def ready(request: Request) -> Answer:
    """Say part by part whether webhooks are accepted and delivered here. At most a second old."""
    found = await request.app.state.lookout.ask()
    return Answer(found.document, 200 if found.ready else 503, NO_STORE)


async def metrics(request: Request) -> Response:
    """Serve Prometheus, as the setting says: to a key that may look at everything, or to all."""
    webhooks = callers.facade(request)
    if webhooks.settings.metrics == "key":
        await callers.reader(request)
    found = await asyncio.to_thread(webhooks.metrics)
    return Response(found, media_type=CONTENT_TYPE, headers=NO_STORE)
