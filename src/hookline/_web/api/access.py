"""Access for customers: short-lived keys of one application, and the links that carry them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Request, Response
from pydantic import Field

from hookline._domain.api_key import APPLICATION, PORTAL, READ
from hookline._web import errors
from hookline._web.answers import NO_STORE, Answer
from hookline._web.api.applications import found_or_made
from hookline._web.api.callers import Admin, Caller, facade
from hookline._web.api.models.applications import ApplicationIn
from hookline._web.api.models.wire import Name, Wire
from hookline._web.api.routes import Router, errors_of

router = Router("Access")
WEEK = 7 * 24 * 3600
READ_ONLY = "ViewBase"


class AppPortalAccessIn(Wire):
    """For how long, and for what, a customer gets in."""

    application: ApplicationIn | None = None
    expiry: Annotated[
        int | None, Field(ge=60, le=604_800, description="Seconds until it ends, 7 days at most.")
    ] = None
    read_only: bool | None = None
    feature_flags: list[Name] = Field(default_factory=list)
    capabilities: list[str] | None = None
    session_id: str | None = None


class AppPortalAccessOut(Wire):
    """Where a customer goes, and what opens the door."""

    url: str
    token: str


@router.post(
    "/auth/app-portal-access/{app_id}",
    operation_id="v1.authentication.app-portal-access",
    response_model=AppPortalAccessOut,
    responses=errors_of(404, 409, 413),
)
@router.post("/auth/dashboard-access/{app_id}", include_in_schema=False)
async def portal_access(
    request: Request, _: Admin, app_id: str, body: AppPortalAccessIn | None = None
) -> Answer:
    """Make a customer's key of one application, for 7 days at most, and a link with it.

    It looks after endpoints and sees what was sent to them; it neither publishes nor erases.
    """
    wanted = body or AppPortalAccessIn()
    webhooks = facade(request)
    app = await found_or_made(request, app_id, wanted.application)
    only_looks = wanted.read_only or wanted.capabilities == [READ_ONLY]
    scopes = [f"{APPLICATION}{app.id}", PORTAL, *([READ] if only_looks else [])]
    ends = datetime.now(UTC) + timedelta(seconds=wanted.expiry or WEEK)
    key = await webhooks.create_api_key(f"portal of {app_id}", scopes, expires_at=ends)
    token = key.token or ""
    base = webhooks.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    return Answer(AppPortalAccessOut(url=f"{base}/portal#key={token}", token=token), 200, NO_STORE)


@router.post(
    "/auth/app/{app_id}/expire-all",
    operation_id="v1.authentication.expire-all",
    status_code=204,
    responses=errors_of(404),
)
async def expire_all(request: Request, _: Admin, app_id: str) -> Response:
    """Revoke all customers' keys of an application."""
    for key_id in await facade(request).revoke_portal_keys(app_id):
        _forget(request, key_id)
    return Response(status_code=204)


@router.post(
    "/auth/logout",
    operation_id="v1.authentication.logout",
    status_code=204,
    responses=errors_of(403),
)
async def logout(request: Request, key: Caller) -> Response:
    """Revoke the customer's key that this is asked with."""
    if not key.portal:
        raise errors.forbidden("to be a customer's key; others are revoked by an admin")
    await facade(request).revoke_api_key(key.id)
    _forget(request, key.id)
    return Response(status_code=204)


def _forget(request: Request, key_id: str) -> None:
    """End what a key has opened: here at once, in other processes within a second."""
    request.app.state.keys.forget(key_id)
    request.app.state.portal.house.sessions.forget()
