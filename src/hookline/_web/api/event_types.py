"""Event types."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from hookline import EventType, Window
from hookline._domain import ids
from hookline._web.answers import Answer
from hookline._web.api.callers import Admin, Caller, facade
from hookline._web.api.lists import Paged, listed
from hookline._web.api.models.event_types import (
    EventTypeFields,
    EventTypeIn,
    EventTypeOut,
    EventTypePatch,
)
from hookline._web.api.models.wire import Listed, given
from hookline._web.api.repeats import resource
from hookline._web.api.routes import Router, errors_of
from hookline.errors import AlreadyExists, EventTypeNotFound

router = Router("Event types")
paged = Paged(None)


def shown(event_type: EventType, *, with_content: bool = True) -> EventTypeOut:
    """Return an event type as it is answered."""
    flags = list(event_type.feature_flags)
    schemas = event_type.schemas
    return EventTypeOut(
        name=event_type.name,
        description=event_type.description,
        archived=event_type.archived,
        deprecated=event_type.deprecated,
        schemas=dict(schemas) if with_content and schemas is not None else None,
        group_name=event_type.group_name,
        feature_flags=flags or None,
        feature_flag=flags[0] if flags else None,
        created_at=event_type.created_at,
        updated_at=event_type.updated_at,
    )


def _values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields by the façade's names: an older client has one flag, not a list of them."""
    values = {name: value for name, value in fields.items() if name != "name"}
    flag = values.pop("feature_flag", None)
    if values.get("feature_flags") is None and ("feature_flag" in fields and flag):
        values["feature_flags"] = [flag]
    if "feature_flags" in values:
        values["feature_flags"] = values["feature_flags"] or ()
    return values


@router.get(
    "/event-type",
    operation_id="v1.event-type.list",
    response_model=Listed[EventTypeOut],
    responses=errors_of(400),
)
async def list_event_types(
    request: Request,
    _: Caller,
    window: Annotated[Window, Depends(paged.window)],
    include_archived: Annotated[bool, Query(description="Archived ones too.")] = False,
    with_content: Annotated[bool, Query(description="With their schemas.")] = False,
) -> Answer:
    """List the event types by name."""
    page = await facade(request).event_types.page(window, archived=include_archived)
    show = lambda each: shown(each, with_content=with_content)  # noqa: E731
    return Answer(listed(page, show, lambda each: each.name, None))


@router.post(
    "/event-type",
    operation_id="v1.event-type.create",
    status_code=201,
    response_model=EventTypeOut,
    responses=errors_of(400, 409, 413),
)
async def create_event_type(request: Request, _: Admin, body: EventTypeIn) -> Answer:
    """Make an event type; one that was archived comes back."""
    event_types, values = facade(request).event_types, _values(dict(body))
    try:
        made = await event_types.create(body.name, **values)
    except AlreadyExists:
        made = await event_types.get(body.name)
        if not _made_by(request, made, values):
            raise
    return Answer(shown(made), 201)


def _made_by(request: Request, found: EventType, values: Mapping[str, Any]) -> bool:
    """Tell whether an earlier try of this request made it, which was never answered."""
    own = resource(request)
    if own is None or found.created_at.timestamp() * 1000 < ids.milliseconds(own):
        return False
    return all(_plain(getattr(found, name)) == _plain(value) for name, value in values.items())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else value


@router.get(
    "/event-type/{event_type_name}",
    operation_id="v1.event-type.get",
    response_model=EventTypeOut,
    responses=errors_of(404),
)
async def get_event_type(request: Request, _: Caller, event_type_name: str) -> Answer:
    """Return an event type."""
    return Answer(shown(await facade(request).event_types.get(event_type_name)))


@router.put(
    "/event-type/{event_type_name}",
    operation_id="v1.event-type.update",
    response_model=EventTypeOut,
    responses={
        201: {"model": EventTypeOut, "description": "It was made"},
        **errors_of(400, 409, 413),
    },
)
async def update_event_type(
    request: Request, _: Admin, event_type_name: str, body: EventTypeFields
) -> Answer:
    """Make an event type what the body says; one that is not there is made."""
    event_types, values = facade(request).event_types, _values(dict(body))
    try:
        return Answer(shown(await event_types.update(event_type_name, **values)))
    except EventTypeNotFound:
        return Answer(shown(await event_types.create(event_type_name, **values)), 201)


@router.patch(
    "/event-type/{event_type_name}",
    operation_id="v1.event-type.patch",
    response_model=EventTypeOut,
    responses=errors_of(400, 404, 413),
)
async def patch_event_type(
    request: Request, _: Admin, event_type_name: str, body: EventTypePatch
) -> Answer:
    """Change what the body names of an event type."""
    values = _values(given(body))
    return Answer(shown(await facade(request).event_types.update(event_type_name, **values)))


@router.delete(
    "/event-type/{event_type_name}",
    operation_id="v1.event-type.delete",
    status_code=204,
    responses=errors_of(400, 404),
)
async def delete_event_type(
    request: Request,
    _: Admin,
    event_type_name: str,
    expunge: Annotated[bool, Query(description="Forget it, instead of archiving it.")] = False,
) -> Response:
    """Archive an event type. What is published under its name goes on being delivered."""
    await facade(request).event_types.delete(event_type_name, expunge=expunge)
    return Response(status_code=204)
