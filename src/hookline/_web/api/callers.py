"""Who is calling, and whether they may: dependencies of the operations.

async def create(application: Annotated[Webhooks, Depends(Tenant(write=True))]) -> Answer:

"""

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Path, Request

from hookline import ApiKey, ApplicationWebhooks, Webhooks
from hookline._domain.audit import Actor, acting
from hookline._web import errors
from hookline._web.engine import Tenants

if TYPE_CHECKING:
    from hookline._web.keys import Keys

CHALLENGE = "bearer "


async def caller(request: Request) -> ApiKey:
    """Return the key a request shows, whatever it allows; Refused (401) without one."""
    seen = request.scope.get("hookline_key")
    if seen is not None:
        return cast("ApiKey", seen)
    header = request.headers.get("authorization", "")
    if header[: len(CHALLENGE)].lower() != CHALLENGE:
        raise errors.unauthenticated()
    keys = cast("Keys", request.app.state.keys)
    key = await keys.authenticate(header[len(CHALLENGE) :].strip())
    request.scope["hookline_key"] = key
    acting.set(Actor("api_key", key.id, key.name))
    return key


async def reader(request: Request) -> ApiKey:
    """Return a key that may look at everything."""
    key = await caller(request)
    if not key.allows(None, write=False):
        raise errors.forbidden("the scope admin or read")
    return key


async def admin(request: Request) -> ApiKey:
    """Return a key that may do everything."""
    key = await caller(request)
    if not key.allows(None, write=True):
        raise errors.forbidden("the scope admin")
    return key


Caller = Annotated[ApiKey, Depends(caller)]
"""Any valid key."""
Reader = Annotated[ApiKey, Depends(reader)]
"""A key that may look at everything: admin or read."""
Admin = Annotated[ApiKey, Depends(admin)]
"""A key that may do everything."""


def facade(request: Request) -> Webhooks:
    """Return the façade over all applications."""
    return cast("Webhooks", request.app.state.webhooks)


def tenants(request: Request) -> Tenants:
    """Return the façades of single applications."""
    return cast("Tenants", request.app.state.tenants)


class Tenant:
    """Resolves `{app_id}` to an application that the key may touch: a façade of that alone.

    An application that is not the key's answers 404, as one that does not exist.
    """

    def __init__(self, *, write: bool, produce: bool = False) -> None:
        """`write`: the operation changes something; `produce`: it is not for customers."""
        self._write = write
        self._produce = produce

    async def __call__(
        self,
        request: Request,
        app_id: Annotated[str, Path(description="The application's id or uid.", max_length=256)],
    ) -> ApplicationWebhooks:
        """Return the application's façade."""
        key = await caller(request)
        application = await tenants(request).find(app_id)
        check_tenant(key, application, app_id, write=self._write, produce=self._produce)
        return application


def check_tenant(
    key: ApiKey, app: ApplicationWebhooks, name: str, *, write: bool, produce: bool
) -> None:
    """Raise Refused for a key that may not do that to an application; `name` is what it asked for.

    That it exists is told only to keys that may see it.
    """
    if not key.allows(app.id, write=False):
        raise errors.not_found(f"no application {name!r}")
    if produce and key.portal:
        raise errors.forbidden("to be more than a customer's key")
    if write and not key.allows(app.id, write=True):
        raise errors.forbidden("more than the scope read")


Reading = Annotated[ApplicationWebhooks, Depends(Tenant(write=False))]
"""The application of `{app_id}`, to look at."""
Writing = Annotated[ApplicationWebhooks, Depends(Tenant(write=True))]
"""The application of `{app_id}`, to change."""
Producing = Annotated[ApplicationWebhooks, Depends(Tenant(write=True, produce=True))]
"""The application of `{app_id}`, to publish to and erase from: not for customers."""
