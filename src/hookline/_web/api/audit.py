"""The audit log: who changed what, and when."""

from typing import Annotated

from fastapi import Depends, Query, Request

from hookline import AuditEntry, AuditFilter, Window
from hookline._domain import ids
from hookline._web.answers import Answer
from hookline._web.api.callers import Reader, facade
from hookline._web.api.lists import Paged, listed
from hookline._web.api.models.wire import Listed, Time, Wire
from hookline._web.api.routes import Router, errors_of

router = Router("Audit log")
paged = Paged(ids.AUDIT, orderable=False, descending=True)


class AuditActorOut(Wire):
    """Who did it: an API key, the command line, the application's own code, or a file."""

    kind: str
    id: str | None = None
    name: str = ""


class AuditOut(Wire):
    """One change. `fields` are the names of what was changed; values are not kept."""

    id: str
    timestamp: Time
    actor: AuditActorOut
    action: str
    target: str
    app_id: str | None = None
    fields: list[str]


def shown(entry: AuditEntry) -> AuditOut:
    """Return an entry as it is answered."""
    actor = entry.actor
    return AuditOut(
        id=entry.id,
        timestamp=entry.at,
        actor=AuditActorOut(kind=actor.kind, id=actor.id, name=actor.name),
        action=entry.action,
        target=entry.target,
        app_id=entry.application,
        fields=list(entry.fields),
    )


@router.get(
    "/audit",
    operation_id="v1.audit.list",
    response_model=Listed[AuditOut],
    responses=errors_of(400, 404),
)
async def list_audit(
    request: Request,
    _: Reader,
    window: Annotated[Window, Depends(paged.window)],
    app_id: Annotated[str | None, Query(description="Of this application: id or uid.")] = None,
    action: Annotated[
        str | None, Query(description="`endpoint.updated`, or a family, `endpoint.*`.")
    ] = None,
    actor: Annotated[
        str | None, Query(description="A key's id or name, or a kind: api_key, cli, code, file.")
    ] = None,
    target: Annotated[str | None, Query(description="What it was done to, by its id.")] = None,
    before: Time | None = None,
    after: Time | None = None,
) -> Answer:
    """List who changed what, the newest first."""
    wanted = AuditFilter(app_id, action, actor, target, before, after)
    page = await facade(request).audit(wanted, window)
    return Answer(listed(page, shown, lambda entry: entry.id, ids.AUDIT))
