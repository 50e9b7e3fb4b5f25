"""API keys: who may do what over this API."""

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Path, Query, Request, Response

from hookline import ApiKey, Window
from hookline._domain import ids
from hookline._web.answers import NO_STORE, Answer
from hookline._web.api.callers import Admin, Caller, Reader, facade
from hookline._web.api.lists import Paged, listed
from hookline._web.api.models.wire import Listed, Time, Title, Wire
from hookline._web.api.routes import Router, errors_of

if TYPE_CHECKING:
    from hookline._web.keys import Keys

router = Router("API keys")
paged = Paged(ids.API_KEY)


class ApiKeyIn(Wire):
    """A new key: `admin`, `read`, or `application:<id or uid>` once or several times."""

    name: Title
    scopes: list[str]
    expires_at: Time | None = None


class ApiKeyOut(Wire):
    """A key, without its token."""

    id: str
    name: str
    scopes: list[str]
    created_at: Time
    expires_at: Time | None = None
    last_used_at: Time | None = None
    revoked_at: Time | None = None


class ApiKeyMadeOut(ApiKeyOut):
    """A key that was just made, with its token, this once."""

    token: str


def shown(key: ApiKey) -> ApiKeyOut:
    """Return a key as it is answered: never its token."""
    return ApiKeyOut(
        id=key.id,
        name=key.name,
        scopes=list(key.scopes),
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
    )


@router.get(
    "/api-key",
    operation_id="v1.api-key.list",
    response_model=Listed[ApiKeyOut],
    responses=errors_of(400),
)
async def list_keys(
    request: Request,
    _: Reader,
    window: Annotated[Window, Depends(paged.window)],
    portal: Annotated[bool, Query(description="Those of customers' portals, too.")] = False,
) -> Answer:
    """List the keys in the order they were made, expired and revoked ones too."""
    page = await facade(request).api_key_page(window, portal=portal)
    return Answer(listed(page, shown, lambda key: key.id, ids.API_KEY))


@router.post(
    "/api-key",
    operation_id="v1.api-key.create",
    status_code=201,
    response_model=ApiKeyMadeOut,
    responses=errors_of(400, 413),
)
async def create_key(request: Request, _: Admin, body: ApiKeyIn) -> Answer:
    """Make a key. Its `token` is in this answer and nowhere else: only a hash is kept."""
    made = await facade(request).create_api_key(body.name, body.scopes, expires_at=body.expires_at)
    return Answer(ApiKeyMadeOut(**dict(shown(made)), token=made.token or ""), 201, NO_STORE)


@router.delete(
    "/api-key/{key_id}",
    operation_id="v1.api-key.delete",
    status_code=204,
    responses=errors_of(404),
)
async def revoke_key(
    request: Request,
    _: Admin,
    key_id: Annotated[str, Path(description="The key's id, `key_…`.", max_length=256)],
) -> Response:
    """Revoke a key, for ever: at once in this process, within a second in others."""
    await facade(request).revoke_api_key(key_id)
    cast("Keys", request.app.state.keys).forget(key_id)
    return Response(status_code=204)


@router.get(
    "/whoami",
    operation_id="v1.whoami",
    response_model=ApiKeyOut,
    responses=errors_of(),
)
async def whoami(key: Caller) -> Answer:
    """Say which key this is asked with, and what it may do."""
    return Answer(shown(key))
