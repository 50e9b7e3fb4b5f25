"""Endpoints of an application: where its webhooks go, their headers, secrets and health."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request, Response

from hookline import ApiKey, ApplicationWebhooks, Endpoint, Window
from hookline._domain import ids
from hookline._domain.example import example
from hookline._domain.headers import looks_secret
from hookline._web import errors
from hookline._web.answers import NO_STORE, Answer, encoded
from hookline._web.api.applications import whole
from hookline._web.api.callers import Caller, Producing, Reading, Writing, facade
from hookline._web.api.lists import Paged, listed
from hookline._web.api.messages import shown_message
from hookline._web.api.models.endpoints import (
    EndpointExtras,
    EndpointHeadersIn,
    EndpointHeadersOut,
    EndpointHeadersPatchIn,
    EndpointHealthOut,
    EndpointIn,
    EndpointOut,
    EndpointPatch,
    EndpointSecretOut,
    EndpointSecretRotateIn,
    EndpointStats,
    EndpointTuning,
    EndpointUpdate,
    OperationalEndpointUpdate,
    ReleasedOut,
)
from hookline._web.api.models.event_types import EventExampleIn
from hookline._web.api.models.messages import MessageOut
from hookline._web.api.models.wire import Listed, Time, given
from hookline._web.api.repeats import resource
from hookline._web.api.routes import Router, errors_of
from hookline.errors import EndpointNotFound

router = Router("Endpoints")
paged = Paged(ids.ENDPOINT)
EndpointId = Annotated[str, Path(description="The endpoint's id or uid.", max_length=256)]
_RENAMED = {"throttle_rate": "rate_limit", "event_types": "events"}
_OPERATORS = ("allowed_networks", "proxy", "handshake")
_TUNING = tuple(EndpointTuning.model_fields)
_EXTRAS = frozenset(EndpointExtras.model_fields)
PING = "svix.ping"
EVERYTHING = ("*",)
NEVER = datetime.fromtimestamp(0, UTC)
"""For a time that a declaration has not; what is stored has one."""


def shown(endpoint: Endpoint) -> EndpointOut:
    """Return an endpoint as it is answered: without secrets."""
    types = None if "*" in endpoint.events else list(endpoint.events)
    rate = whole(endpoint.rate_limit)
    return EndpointOut(
        id=endpoint.id or "",
        url=endpoint.url,
        description=endpoint.description,
        uid=endpoint.uid,
        throttle_rate=rate,
        rate_limit=rate,
        disabled=endpoint.disabled,
        event_types=types,
        filter_types=types,
        channels=list(endpoint.channels) or None,
        metadata=dict(endpoint.metadata),
        created_at=endpoint.created_at or NEVER,
        updated_at=endpoint.updated_at or NEVER,
        state=endpoint.state.value,
        source=endpoint.source,
        disabled_at=endpoint.disabled_at,
        disabled_reason=endpoint.disabled_reason,
        pending_since=endpoint.pending_since,
        pending_reason=endpoint.pending_reason,
        public_key=endpoint.public_key,
        **{name: value for name in _TUNING if (value := getattr(endpoint, name))},
    )


def options(changes: Mapping[str, Any], key: ApiKey) -> dict[str, Any]:
    """Return what a request names, by the façade's names; 403 for what is the operator's."""
    for name in _OPERATORS:
        if changes.get(name) is not None and not key.allows(None, write=True):
            raise errors.forbidden(f"the scope admin for {name}")
    values = {_RENAMED.get(name, name): value for name, value in changes.items()}
    if "events" in values:
        values["events"] = values["events"] or EVERYTHING
    return values


def _whole(body: OperationalEndpointUpdate) -> dict[str, Any]:
    """Return every field of an update; of those that Svix does not know, the ones it names."""
    named = given(body)
    return {n: v for n, v in dict(body).items() if n not in _EXTRAS or n in named}


def _secret(key: str | None) -> str | None:
    """Return a secret as Hookline knows it: clients may leave out what it begins with."""
    return key if key is None or key.startswith(("whsec_", "whsk_")) else f"whsec_{key}"


# what operations on endpoints do, operational ones too -------------------------------------------


async def created(
    request: Request, app: ApplicationWebhooks, key: ApiKey, body: OperationalEndpointUpdate
) -> Answer:
    """Make an endpoint."""
    values = options(_whole(body), key)
    values["secret"] = _secret(values.get("secret"))
    return Answer(shown(await app.create_endpoint(**values, key=resource(request))), 201)


async def updated(
    request: Request,
    app: ApplicationWebhooks,
    key: ApiKey,
    name: str,
    body: OperationalEndpointUpdate,
) -> Answer:
    """Make an endpoint what the body says, a new one where a uid is not known."""
    by_id = name.startswith(ids.ENDPOINT)
    if not (by_id or "uid" in body.model_fields_set):
        body.uid = name
    try:
        found = await app.endpoint(name)
    except EndpointNotFound:
        if by_id:
            raise
        body.uid = body.uid or name
        return await created(request, app, key, body)
    return Answer(shown(await app.update_endpoint(found, **options(_whole(body), key))))


async def headers_of(app: ApplicationWebhooks, name: str) -> Answer:
    """Answer an endpoint's headers; of those that look secret, the names."""
    headers = (await app.endpoint(name)).headers
    plain = {header: value for header, value in headers.items() if not looks_secret(header)}
    hidden = [header for header in headers if looks_secret(header)]
    return Answer(EndpointHeadersOut(headers=plain, sensitive=hidden))


async def secret_of(app: ApplicationWebhooks, name: str) -> Answer:
    """Answer an endpoint's signing secret."""
    secret = await app.show_secret(name)
    if secret is None:
        raise errors.not_found("this endpoint has no secret: what is sent to it is not signed")
    return Answer(EndpointSecretOut(key=secret), headers=NO_STORE)


async def rotated(app: ApplicationWebhooks, name: str, body: EndpointSecretRotateIn) -> Answer:
    """Give an endpoint a new signing secret."""
    grace = body.grace_period_seconds
    overlap = timedelta(seconds=86_400 if grace is None else grace)
    new = await app.rotate_secret(name, _secret(body.key), overlap=overlap)
    return Answer(EndpointSecretOut(key=new), headers=NO_STORE)


# endpoints --------------------------------------------------------------------------------------


@router.get(
    "/app/{app_id}/endpoint",
    operation_id="v1.endpoint.list",
    response_model=Listed[EndpointOut],
    responses=errors_of(400, 404),
)
async def list_endpoints(app: Reading, window: Annotated[Window, Depends(paged.window)]) -> Answer:
    """List the endpoints of an application, in the order they were made."""
    page = await app.endpoint_page(window)
    return Answer(listed(page, shown, lambda each: each.id or "", ids.ENDPOINT))


@router.post(
    "/app/{app_id}/endpoint",
    operation_id="v1.endpoint.create",
    status_code=201,
    response_model=EndpointOut,
    responses=errors_of(400, 404, 409, 413),
)
async def create_endpoint(request: Request, app: Writing, key: Caller, body: EndpointIn) -> Answer:
    """Make an endpoint. Its URL is judged at once: nothing is sent into private networks."""
    return await created(request, app, key, body)


@router.get(
    "/app/{app_id}/endpoint/{endpoint_id}",
    operation_id="v1.endpoint.get",
    response_model=EndpointOut,
    responses=errors_of(404),
)
async def get_endpoint(app: Reading, endpoint_id: EndpointId) -> Answer:
    """Return an endpoint by its id or uid."""
    return Answer(shown(await app.endpoint(endpoint_id)))


@router.put(
    "/app/{app_id}/endpoint/{endpoint_id}",
    operation_id="v1.endpoint.update",
    response_model=EndpointOut,
    responses={
        201: {"model": EndpointOut, "description": "It was made"},
        **errors_of(400, 404, 409, 413),
    },
)
async def update_endpoint(
    request: Request, app: Writing, key: Caller, endpoint_id: EndpointId, body: EndpointUpdate
) -> Answer:
    """Make an endpoint what the body says; one with an unknown uid is made.

    Its uid stays the one it is named by, unless the body has another, or null.
    """
    return await updated(request, app, key, endpoint_id, body)


@router.patch(
    "/app/{app_id}/endpoint/{endpoint_id}",
    operation_id="v1.endpoint.patch",
    response_model=EndpointOut,
    responses=errors_of(400, 404, 409, 413),
)
async def patch_endpoint(
    app: Writing, key: Caller, endpoint_id: EndpointId, body: EndpointPatch
) -> Answer:
    """Change what the body names of an endpoint."""
    return Answer(shown(await app.update_endpoint(endpoint_id, **options(given(body), key))))


@router.delete(
    "/app/{app_id}/endpoint/{endpoint_id}",
    operation_id="v1.endpoint.delete",
    status_code=204,
    responses=errors_of(404),
)
async def delete_endpoint(app: Writing, endpoint_id: EndpointId) -> Response:
    """Delete an endpoint and cancel what waits for it. What was sent stays in the log."""
    await app.delete_endpoint(endpoint_id)
    return Response(status_code=204)


# headers ----------------------------------------------------------------------------------------


@router.get(
    "/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id="v1.endpoint.get-headers",
    response_model=EndpointHeadersOut,
    responses=errors_of(404),
)
async def get_headers(app: Reading, endpoint_id: EndpointId) -> Answer:
    """Return the headers an endpoint gets; of those that look secret, the names."""
    return await headers_of(app, endpoint_id)


@router.put(
    "/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id="v1.endpoint.update-headers",
    status_code=204,
    responses=errors_of(404, 413),
)
async def update_headers(
    app: Writing, endpoint_id: EndpointId, body: EndpointHeadersIn
) -> Response:
    """Give an endpoint these headers, in place of those it had."""
    await app.update_endpoint(endpoint_id, headers=body.headers)
    return Response(status_code=204)


@router.patch(
    "/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id="v1.endpoint.patch-headers",
    status_code=204,
    responses=errors_of(404, 413),
)
async def patch_headers(
    app: Writing, endpoint_id: EndpointId, body: EndpointHeadersPatchIn
) -> Response:
    """Change some headers of an endpoint; null takes one away."""
    found = await app.endpoint(endpoint_id)
    changed = {name.lower() for name in (*body.headers, *body.delete_headers)}
    kept = {name: value for name, value in found.headers.items() if name.lower() not in changed}
    new = {name: value for name, value in body.headers.items() if value is not None}
    await app.update_endpoint(found, headers={**kept, **new})
    return Response(status_code=204)


# secrets ----------------------------------------------------------------------------------------


@router.get(
    "/app/{app_id}/endpoint/{endpoint_id}/secret",
    operation_id="v1.endpoint.get-secret",
    response_model=EndpointSecretOut,
    responses=errors_of(403, 404),
)
async def get_secret(app: Writing, endpoint_id: EndpointId) -> Answer:
    """Return the signing secret of an endpoint. A key that only reads does not get it."""
    return await secret_of(app, endpoint_id)


@router.post(
    "/app/{app_id}/endpoint/{endpoint_id}/secret/rotate",
    operation_id="v1.endpoint.rotate-secret",
    response_model=EndpointSecretOut,
    responses=errors_of(404, 409, 413),
)
async def rotate_secret(
    app: Writing, endpoint_id: EndpointId, body: EndpointSecretRotateIn
) -> Answer:
    """Give an endpoint a new signing secret; the old one signs along for the grace period."""
    return await rotated(app, endpoint_id, body)


# health -----------------------------------------------------------------------------------------


@router.get(
    "/app/{app_id}/endpoint/{endpoint_id}/stats",
    operation_id="v1.endpoint.get-stats",
    response_model=EndpointStats,
    responses=errors_of(400, 404),
)
async def get_stats(
    app: Reading,
    endpoint_id: EndpointId,
    since: Annotated[Time | None, Query(description="28 days ago by default.")] = None,
    until: Annotated[Time | None, Query(description="Now by default.")] = None,
) -> Answer:
    """Count how deliveries to an endpoint ended, and those that have not. Held ones are pending."""
    found = await app.endpoint_stats(endpoint_id, since=since, until=until)
    return Answer(
        EndpointStats(
            success=found.succeeded,
            pending=found.pending + found.held,
            sending=found.sending,
            fail=found.exhausted,
            canceled=0,
        )
    )


@router.get(
    "/app/{app_id}/endpoint/{endpoint_id}/health",
    operation_id="v1.endpoint.health",
    response_model=EndpointHealthOut,
    responses=errors_of(404),
)
async def get_health(app: Reading, endpoint_id: EndpointId) -> Answer:
    """Say how an endpoint is doing: its circuit, what waits for it, and when it is sent to next."""
    found = await app.endpoint_health(endpoint_id)
    return Answer(
        EndpointHealthOut(
            state=found.state.value,
            circuit=found.circuit.value,
            failures=found.failures,
            failing_since=found.failing_since,
            waits_until=found.waits_until,
            pending=found.pending,
            sending=found.sending,
            held=found.held,
            next_attempt=found.next_attempt_at,
            last_attempt=found.last_attempt_at,
            last_status=found.last_status,
            last_failure=found.last_failure,
        )
    )


@router.post(
    "/app/{app_id}/endpoint/{endpoint_id}/pause",
    operation_id="v1.endpoint.pause",
    response_model=EndpointOut,
    responses=errors_of(404, 409),
)
async def pause_endpoint(app: Writing, endpoint_id: EndpointId) -> Answer:
    """Hold what is for an endpoint until it is resumed. Nothing is lost."""
    found = await app.endpoint(endpoint_id)
    await app.pause(found)
    return Answer(shown(await app.endpoint(found.id or "")))


@router.post(
    "/app/{app_id}/endpoint/{endpoint_id}/resume",
    operation_id="v1.endpoint.resume",
    response_model=ReleasedOut,
    responses=errors_of(404, 409),
)
async def resume_endpoint(app: Writing, endpoint_id: EndpointId) -> Answer:
    """Send to a paused or disabled endpoint again, first of all what was held for it."""
    return Answer(ReleasedOut(released=await app.resume(endpoint_id)))


@router.post(
    "/app/{app_id}/endpoint/{endpoint_id}/send-example",
    operation_id="v1.endpoint.send-example",
    response_model=MessageOut,
    responses=errors_of(404, 409, 413),
)
async def send_example(
    request: Request, app: Producing, endpoint_id: EndpointId, body: EventExampleIn
) -> Answer:
    """Send an endpoint an example of an event type, made of its schema."""
    if body.event_type == PING:
        payload: Any = {"success": True}
    else:
        found = await facade(request).event_types.get(body.event_type)
        schema = found.schema
        if schema is None:
            raise errors.invalid(
                ("body", "eventType"), f"{body.event_type} has no schema to make an example of"
            )
        payload = example(schema, body.example_index)
        payload = payload if isinstance(payload, dict) else {}
    receipt = await app.send_to(endpoint_id, body.event_type, encoded(payload))
    return Answer(shown_message(await app.message(receipt.message_id)))
