"""Applications."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from hookline import Application, ApplicationWebhooks, Window
from hookline._domain import ids
from hookline._web.answers import Answer
from hookline._web.api.callers import Admin, Reader, Reading, facade, tenants
from hookline._web.api.lists import Paged, listed
from hookline._web.api.models.applications import ApplicationIn, ApplicationOut, ApplicationPatch
from hookline._web.api.models.wire import Listed, given
from hookline._web.api.repeats import resource
from hookline._web.api.routes import Router, errors_of
from hookline.errors import ApplicationNotFound

router = Router("Applications")
paged = Paged(ids.APPLICATION)
_RENAMED = {"throttle_rate": "rate_limit"}


def whole(rate: float | None) -> int | None:
    """Return a rate as the wire has it: whole requests per second, one at least."""
    return None if rate is None else max(1, round(rate))


def shown(application: Application) -> ApplicationOut:
    """Return an application as it is answered."""
    return ApplicationOut(
        id=application.id,
        uid=application.uid,
        name=application.name,
        throttle_rate=whole(application.rate_limit),
        rate_limit=whole(application.rate_limit),
        metadata=dict(application.metadata),
        created_at=application.created_at,
        updated_at=application.updated_at,
    )


def fields(body: ApplicationIn) -> dict[str, Any]:
    """Return what an application is to be like, its name apart."""
    return {"uid": body.uid, "rate_limit": body.throttle_rate, "metadata": body.metadata}


def renamed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes by the façade's names."""
    return {_RENAMED.get(name, name): value for name, value in changes.items()}


async def found_or_made(
    request: Request, name: str, new: ApplicationIn | None
) -> ApplicationWebhooks:
    """Return an application; one that is not there is made, if `new` says what it is to be."""
    try:
        return await tenants(request).find(name)
    except ApplicationNotFound:
        if new is None:
            raise
    extras = fields(new)
    extras["uid"] = extras["uid"] or name
    made, _ = await facade(request).applications.ensure(new.name, **extras)
    return await tenants(request).find(made.id)


@router.get(
    "/app",
    operation_id="v1.application.list",
    response_model=Listed[ApplicationOut],
    responses=errors_of(400),
)
async def list_applications(
    request: Request, _: Reader, window: Annotated[Window, Depends(paged.window)]
) -> Answer:
    """List the applications, in the order they were made."""
    page = await facade(request).applications.page(window)
    return Answer(listed(page, shown, lambda each: each.id, ids.APPLICATION))


@router.post(
    "/app",
    operation_id="v1.application.create",
    status_code=201,
    response_model=ApplicationOut,
    responses={
        200: {"model": ApplicationOut, "description": "It was there (`get_if_exists`)"},
        **errors_of(400, 409, 413),
    },
)
async def create_application(
    request: Request,
    _: Admin,
    body: ApplicationIn,
    get_if_exists: Annotated[bool, Query(description="Answer 200 with the one there is.")] = False,
) -> Answer:
    """Make an application: one for each customer whose endpoints get webhooks."""
    applications, extras = facade(request).applications, fields(body)
    if get_if_exists and body.uid is not None:
        found, new = await applications.ensure(body.name, **extras)
        return Answer(shown(found), 201 if new else 200)
    made = await applications.create(body.name, key=resource(request), **extras)
    return Answer(shown(made), 201)


@router.get(
    "/app/{app_id}",
    operation_id="v1.application.get",
    response_model=ApplicationOut,
    responses=errors_of(404),
)
async def get_application(request: Request, app: Reading) -> Answer:
    """Return an application by its id or uid."""
    return Answer(shown(await facade(request).applications.get(app.id)))


@router.put(
    "/app/{app_id}",
    operation_id="v1.application.update",
    response_model=ApplicationOut,
    responses={
        201: {"model": ApplicationOut, "description": "It was made"},
        **errors_of(400, 404, 409, 413),
    },
)
async def update_application(
    request: Request, _: Admin, app_id: str, body: ApplicationIn
) -> Answer:
    """Make an application what the body says; one with an unknown uid is made.

    Its uid stays the one it is named by, unless the body has another, or null.
    """
    applications = facade(request).applications
    extras = fields(body)
    if not (app_id.startswith(ids.APPLICATION) or "uid" in body.model_fields_set):
        extras["uid"] = app_id
    try:
        changed = await applications.update(app_id, name=body.name, **extras)
    except ApplicationNotFound:
        if app_id.startswith(ids.APPLICATION):
            raise
        extras["uid"] = body.uid or app_id
        return Answer(shown(await applications.create(body.name, **extras)), 201)
    tenants(request).forget()
    return Answer(shown(changed))


@router.patch(
    "/app/{app_id}",
    operation_id="v1.application.patch",
    response_model=ApplicationOut,
    responses=errors_of(400, 404, 409, 413),
)
async def patch_application(
    request: Request, _: Admin, app_id: str, body: ApplicationPatch
) -> Answer:
    """Change what the body names of an application."""
    changed = await facade(request).applications.update(app_id, **renamed(given(body)))
    tenants(request).forget()
    return Answer(shown(changed))


@router.delete(
    "/app/{app_id}",
    operation_id="v1.application.delete",
    status_code=204,
    responses=errors_of(404),
)
async def delete_application(request: Request, _: Admin, app_id: str) -> Response:
    """Delete an application and all that belongs to it. Nothing is sent from now on."""
    await facade(request).applications.delete(app_id)
    tenants(request).forget()
    return Response(status_code=204)
