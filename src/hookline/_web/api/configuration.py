"""The configuration as one document: taken out, compared, put in."""

from typing import Annotated, Any

from fastapi import Body, Depends, Query, Request

from hookline import ApiKey
from hookline._web import errors
from hookline._web.answers import NO_STORE, Answer
from hookline._web.api.callers import Admin, facade, reader
from hookline._web.api.models.wire import Wire
from hookline._web.api.routes import Router, errors_of

router = Router("Configuration")
_DOCUMENT = {
    "hookline": 1,
    "event_types": [{"name": "invoice.paid", "description": "An invoice was paid."}],
    "applications": [
        {
            "uid": "acme",
            "name": "Acme",
            "endpoints": [
                {"uid": "books", "url": "https://acme.example/hooks", "events": ["invoice.*"]}
            ],
        }
    ],
}


class FieldChangeOut(Wire):
    """One field: what it is, and what it will be. Secrets are `***`."""

    field: str
    before: Any = None
    after: Any = None


class ChangeOut(Wire):
    """One application, endpoint or event type."""

    action: str
    kind: str
    name: str
    fields: list[FieldChangeOut]
    notes: list[str]


class PlanOut(Wire):
    """What importing changes, and whether it did."""

    applied: bool
    create: int
    update: int
    delete: int
    changes: list[ChangeOut]


@router.get(
    "/export",
    operation_id="v1.configuration.export",
    responses={
        200: {"content": {"application/json": {"example": _DOCUMENT}}},
        **errors_of(503),
    },
)
async def export(
    request: Request,
    key: Annotated[ApiKey, Depends(reader)],
    secrets: Annotated[
        bool, Query(description="With signing secrets, headers and credentials: admin only.")
    ] = False,
) -> Answer:
    """Return event types, applications and endpoints as one document, for `import`.

    Endpoints that code or a file declares are not in it.
    """
    if secrets and not key.allows(None, write=True):
        raise errors.forbidden("the scope admin, to see secrets")
    return Answer(await facade(request).export(secrets=secrets), headers=NO_STORE)


@router.post(
    "/import",
    operation_id="v1.configuration.import",
    response_model=PlanOut,
    responses=errors_of(409, 413, 503),
)
async def import_(
    request: Request,
    _: Admin,
    document: Annotated[dict[str, Any], Body(openapi_examples={"document": {"value": _DOCUMENT}})],
    dry_run: Annotated[bool, Query(description="Answer what would change, and stop.")] = False,
    prune: Annotated[
        bool, Query(description="Delete what the document's lists do not name.")
    ] = False,
) -> Answer:
    """Make the configuration as the document says, and answer what that changed.

    Objects are known by `uid`, event types by name. The document is the whole truth about those it
    names: a field it leaves out has its default, secrets and headers apart. 409: a change failed;
    those before it were made, and importing again goes on.
    """
    webhooks = facade(request)
    plan = await webhooks.plan(document, prune=prune)
    if not dry_run:
        await webhooks.apply(plan)
    return Answer({"applied": not dry_run, **plan.document})
