"""Operational webhooks: endpoints that are told of what happens to the endpoints of customers."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from hookline import ApplicationWebhooks, Window
from hookline._domain import ids
from hookline._domain.headers import looks_secret
from hookline._web import errors
from hookline._web.answers import NO_STORE, Answer
from hookline._web.api.callers import Admin, Reader, facade
from hookline._web.api.endpoints import EVERYTHING, EndpointId, paged, secret_of, shown
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
from hookline._web.api.repeats import resource
from hookline._web.api.routes import Router, answers, errors_of
from hookline.errors import EndpointNotFound

router = Router("Operational webhooks")
ROOT = "/operational-webhook/endpoint"
ONE = ROOT + "/{endpoint_id}"
NAME = "v1.operational-webhook.endpoint."
ENDPOINT: dict[str, Any] = {
    "id": "ep_0ERg67D4EnGq0EYcsvAF5pZ9yTd",
    "url": "https://ops.example/hooks",
    "description": "",
    "uid": "ops",
    "disabled": False,
    "eventTypes": ["endpoint.disabled", "message.exhausted"],
    "metadata": {},
    "createdAt": "2027-01-15T08:00:00.000Z",
    "updatedAt": "2027-01-15T08:00:00.000Z",
}
ENDPOINTS = {
    "data": [ENDPOINT],
    "iterator": ENDPOINT["id"],
    "prevIterator": f"-{ENDPOINT['id']}",
    "done": True,
}
SECRET = {"key": "whsec_…"}
HEADERS = {"headers": {"X-Team": "operations"}, "sensitive": ["Authorization"]}


async def _scope(request: Request) -> ApplicationWebhooks:
    return await facade(request).operational()


Operational = Annotated[ApplicationWebhooks, Depends(_scope)]


def fields(body: OperationalEndpointUpdate) -> dict[str, Any]:
    """Return what an endpoint is to be like, by the façade's names."""
    return {
        "url": body.url,
        "description": body.description,
        "uid": body.uid,
        "rate_limit": body.throttle_rate,
        "disabled": body.disabled,
        "events": body.event_types or EVERYTHING,
        "metadata": body.metadata,
    }


@router.get(
    ROOT,
    operation_id=f"{NAME}list",
    response_model=Listed[EndpointOut],
    responses=answers(200, Listed[EndpointOut], ENDPOINTS) | errors_of(400),
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
    responses=answers(201, EndpointOut, ENDPOINT, "Made") | errors_of(400, 409, 413),
)
async def create_endpoint(
    request: Request, _: Admin, app: Operational, body: OperationalEndpointIn
) -> Answer:
    """Make an operational endpoint: of these event types, or of all of them."""
    extras: dict[str, Any] = {
        "secret": secret_of(body.secret),
        "headers": body.headers,
        "key": resource(request),
    }
    return Answer(shown(await app.create_endpoint(**fields(body), **extras)), 201)


@router.get(
    ONE,
    operation_id=f"{NAME}get",
    response_model=EndpointOut,
    responses=answers(200, EndpointOut, ENDPOINT) | errors_of(404),
)
async def get_endpoint(_: Reader, app: Operational, endpoint_id: EndpointId) -> Answer:
    """Return an operational endpoint by its id or uid."""
    return Answer(shown(await app.endpoint(endpoint_id)))


@router.put(
    ONE,
    operation_id=f"{NAME}update",
    response_model=EndpointOut,
    responses=answers(200, EndpointOut, ENDPOINT)
    | answers(201, EndpointOut, ENDPOINT, "It was made")
    | errors_of(400, 404, 409, 413),
)
async def update_endpoint(
    _: Admin, app: Operational, endpoint_id: EndpointId, body: OperationalEndpointUpdate
) -> Answer:
    """Make an operational endpoint what the body says; one with an unknown uid is made."""
    try:
        found = await app.endpoint(endpoint_id)
    except EndpointNotFound:
        if endpoint_id.startswith(ids.ENDPOINT):
            raise
        values = fields(body) | {"uid": body.uid or endpoint_id}
        return Answer(shown(await app.create_endpoint(**values)), 201)
    return Answer(shown(await app.update_endpoint(found, **fields(body))))


@router.delete(ONE, operation_id=f"{NAME}delete", status_code=204, responses=errors_of(404))
async def delete_endpoint(_: Admin, app: Operational, endpoint_id: EndpointId) -> Response:
    """Delete an operational endpoint."""
    await app.delete_endpoint(endpoint_id)
    return Response(status_code=204)


@router.get(
    f"{ONE}/headers",
    operation_id=f"{NAME}get-headers",
    response_model=EndpointHeadersOut,
    responses=answers(200, EndpointHeadersOut, HEADERS) | errors_of(404),
)
async def get_headers(_: Reader, app: Operational, endpoint_id: EndpointId) -> Answer:
    """Return the headers it gets; of those that look secret, the names."""
    headers = (await app.endpoint(endpoint_id)).headers
    plain = {name: value for name, value in headers.items() if not looks_secret(name)}
    hidden = [name for name in headers if looks_secret(name)]
    return Answer(EndpointHeadersOut(headers=plain, sensitive=hidden))


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
    responses=answers(200, EndpointSecretOut, SECRET) | errors_of(404),
)
async def get_secret(_: Admin, app: Operational, endpoint_id: EndpointId) -> Answer:
    """Return its signing secret; the audit log notes that."""
    secret = await app.show_secret(endpoint_id)
    if secret is None:
        raise errors.not_found("this endpoint has no secret: what is sent to it is not signed")
    return Answer(EndpointSecretOut(key=secret), headers=NO_STORE)


@router.post(
    f"{ONE}/secret/rotate",
    operation_id=f"{NAME}rotate-secret",
    response_model=EndpointSecretOut,
    responses=answers(200, EndpointSecretOut, SECRET) | errors_of(404, 409, 413),
)
async def rotate_secret(
    _: Admin, app: Operational, endpoint_id: EndpointId, body: EndpointSecretRotateIn
) -> Answer:
    """Give it a new signing secret; the old one signs along for the grace period."""
    grace = body.grace_period_seconds
    overlap = timedelta(seconds=86_400 if grace is None else grace)
    new = await app.rotate_secret(endpoint_id, secret_of(body.key), overlap=overlap)
    return Answer(EndpointSecretOut(key=new), headers=NO_STORE)
