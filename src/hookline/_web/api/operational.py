"""Operational webhooks: endpoints that are told of what happens to the endpoints of customers."""

from typing import Annotated

from fastapi import Depends, Request, Response

from hookline import ApplicationWebhooks, Window
from hookline._domain import ids
from hookline._web.answers import Answer
from hookline._web.api import endpoints
from hookline._web.api.callers import Admin, Reader, facade
from hookline._web.api.endpoints import EndpointId, paged, shown
from hookline._web.api.lists import listed
from hookline._web.api.models.endpoints import (
    EndpointHeadersIn,
    EndpointHeadersOut,
    EndpointOut,
    EndpointSecretOut,
    EndpointSecretRotateIn,
    OperationalEndpointIn,
    OperationalEndpointUpdate,
)
from hookline._web.api.models.wire import Listed
from hookline._web.api.routes import Router, errors_of

router = Router("Operational webhooks")
ROOT = "/operational-webhook/endpoint"
ONE = ROOT + "/{endpoint_id}"
NAME = "v1.operational-webhook.endpoint."


async def _scope(request: Request) -> ApplicationWebhooks:
    return await facade(request).operational()


Operational = Annotated[ApplicationWebhooks, Depends(_scope)]


@router.get(
    ROOT,
    operation_id=f"{NAME}list",
    response_model=Listed[EndpointOut],
    responses=errors_of(400),
)
async def list_endpoints(
    _: Reader, app: Operational, window: Annotated[Window, Depends(paged.window)]
) -> Answer:
    """List the operational endpoints, in the order they were made."""
    page = await app.endpoint_page(window)
    return Answer(listed(page, shown, lambda each: each.id or "", ids.ENDPOINT))


@router.post(
    ROOT,
    operation_id=f"{NAME}create",
    status_code=201,
    response_model=EndpointOut,
    responses=errors_of(400, 409, 413),
)
async def create_endpoint(
    request: Request, key: Admin, app: Operational, body: OperationalEndpointIn
) -> Answer:
    """Make an operational endpoint: of these event types, or of all of them."""
    return await endpoints.created(request, app, key, body)


@router.get(
    ONE,
    operation_id=f"{NAME}get",
    response_model=EndpointOut,
    responses=errors_of(404),
)
async def get_endpoint(_: Reader, app: Operational, endpoint_id: EndpointId) -> Answer:
    """Return an operational endpoint by its id or uid."""
    return Answer(shown(await app.endpoint(endpoint_id)))


@router.put(
    ONE,
    operation_id=f"{NAME}update",
    response_model=EndpointOut,
    responses={
        201: {"model": EndpointOut, "description": "It was made"},
        **errors_of(400, 404, 409, 413),
    },
)
async def update_endpoint(
    request: Request,
    key: Admin,
    app: Operational,
    endpoint_id: EndpointId,
    body: OperationalEndpointUpdate,
) -> Answer:
    """Make an operational endpoint what the body says; one with an unknown uid is made.

    Its uid stays the one it is named by, unless the body has another, or null.
    """
    return await endpoints.updated(request, app, key, endpoint_id, body)


@router.delete(ONE, operation_id=f"{NAME}delete", status_code=204, responses=errors_of(404))
async def delete_endpoint(_: Admin, app: Operational, endpoint_id: EndpointId) -> Response:
    """Delete an operational endpoint."""
    await app.delete_endpoint(endpoint_id)
    return Response(status_code=204)


@router.get(
    f"{ONE}/headers",
    operation_id=f"{NAME}get-headers",
    response_model=EndpointHeadersOut,
    responses=errors_of(404),
)
async def get_headers(_: Reader, app: Operational, endpoint_id: EndpointId) -> Answer:
    """Return the headers it gets; of those that look secret, the names."""
    return await endpoints.headers_of(app, endpoint_id)


@router.put(
    f"{ONE}/headers",
    operation_id=f"{NAME}update-headers",
    status_code=204,
    responses=errors_of(404, 413),
)
async def update_headers(
    _: Admin, app: Operational, endpoint_id: EndpointId, body: EndpointHeadersIn
) -> Response:
    """Give it these headers, in place of those it had."""
    await app.update_endpoint(endpoint_id, headers=body.headers)
    return Response(status_code=204)


@router.get(
    f"{ONE}/secret",
    operation_id=f"{NAME}get-secret",
    response_model=EndpointSecretOut,
    responses=errors_of(404),
)
async def get_secret(_: Admin, app: Operational, endpoint_id: EndpointId) -> Answer:
    """Return its signing secret; the audit log notes that."""
    return await endpoints.secret_of(app, endpoint_id)


@router.post(
    f"{ONE}/secret/rotate",
    operation_id=f"{NAME}rotate-secret",
    response_model=EndpointSecretOut,
    responses=errors_of(404, 409, 413),
)
async def rotate_secret(
    _: Admin, app: Operational, endpoint_id: EndpointId, body: EndpointSecretRotateIn
) -> Answer:
    """Give it a new signing secret; the old one signs along for the grace period."""
    return await endpoints.rotated(app, endpoint_id, body)
