"""Messages: published, looked up, erased."""

import hashlib
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import Depends, Path, Query, Request, Response

from hookline import ApiKey, ApplicationWebhooks, Attempted, Message, Page, Window
from hookline._domain import ids
from hookline._domain.delivery import DeliveryState
from hookline._domain.times import rfc3339
from hookline._web import errors
from hookline._web.answers import Answer
from hookline._web.api.applications import found_or_made
from hookline._web.api.callers import Caller, Producing, Reading, check_tenant
from hookline._web.api.lists import Narrowed, Paged, listed
from hookline._web.api.models.applications import ApplicationIn
from hookline._web.api.models.messages import (
    BulkExpungeContentsIn,
    BulkExpungeContentsOut,
    CanceledOut,
    MessageIn,
    MessageOut,
    MessagePrecheckIn,
    MessagePrecheckOut,
)
from hookline._web.api.models.wire import Listed
from hookline._web.api.payload import payload_of
from hookline._web.api.repeats import by_itself, message_key
from hookline._web.api.routes import Router, errors_of
from hookline.errors import IdempotencyConflict, MessageNotFound

router = Router("Messages")
paged = Paged(ids.MESSAGE, orderable=False, descending=True)
AppId = Annotated[str, Path(description="The application's id or uid.", max_length=256)]
MessageId = Annotated[str, Path(description="The message's id or event id.", max_length=256)]
WithContent = Annotated[bool, Query(description="With payloads and answers.")]
ERASED = {"expired": True}
STATES = {
    0: (DeliveryState.SUCCEEDED,),
    1: (DeliveryState.PENDING, DeliveryState.HELD),
    2: (DeliveryState.EXHAUSTED, DeliveryState.CANCELED),
    3: (DeliveryState.SENDING,),
}
"""The states of a delivery by the status they are on the wire."""


def shown_message(message: Message, *, with_content: bool = True) -> dict[str, Any]:
    """Return a message as it is answered, its payload byte for byte."""
    payload: Any = {}
    if with_content:
        payload = ERASED if message.erased else orjson.Fragment(message.body)
    found = {
        "id": message.id,
        "eventType": message.event_type,
        "payload": payload,
        "timestamp": rfc3339(message.created_at),
    }
    if message.event_id is not None:
        found["eventId"] = message.event_id
    if message.channels:
        found["channels"] = list(message.channels)
    if message.tags:
        found["tags"] = list(message.tags)
    if message.deliver_at is not None:
        found["deliverAt"] = rfc3339(message.deliver_at)
    if message.canceled_at is not None:
        found["canceledAt"] = rfc3339(message.canceled_at)
    if message.ordering_key is not None:
        found["orderingKey"] = message.ordering_key
    return found


@router.get(
    "/app/{app_id}/msg",
    operation_id="v1.message.list",
    response_model=Listed[MessageOut],
    responses=errors_of(400, 404),
)
async def list_messages(
    app: Reading,
    window: Annotated[Window, Depends(paged.window)],
    wanted: Narrowed,
    with_content: WithContent = True,
    text: Annotated[
        str | None, Query(min_length=1, max_length=256, description="Found in the payload.")
    ] = None,
    endpoint_id: Annotated[str | None, Query(description="Sent to this endpoint.")] = None,
    status: Annotated[
        int | None,
        Query(
            ge=0,
            le=3,
            description="Where it stands at the endpoint: 0 success, 1 pending, 2 fail, 3 sending.",
        ),
    ] = None,
) -> Answer:
    """List what was published, the newest first.

    A page that looks for something rare may be short, or empty, and still have more behind it:
    `done` says. `text`, `tag`, `endpoint_id` and `status` are Hookline's own.
    """
    wanted = replace(wanted, text=text, states=() if status is None else STATES[status])
    if endpoint_id is not None:
        sent: Page[Attempted] = await app.attempted(endpoint_id, wanted, window)
        page = Page([each.message for each in sent.items], sent.more, sent.last)
    elif status is not None:
        raise errors.invalid(("query", "status"), "goes with endpoint_id: it is about one endpoint")
    else:
        page = await app.messages(wanted, window)

    def show(message: Message) -> dict[str, Any]:
        return shown_message(message, with_content=with_content)

    return Answer(listed(page, show, lambda each: each.id, ids.MESSAGE))


@router.post(
    "/app/{app_id}/msg",
    operation_id="v1.message.create",
    status_code=202,
    response_model=MessageOut,
    responses=errors_of(400, 404, 409, 413),
)
@by_itself
async def create_message(
    request: Request,
    key: Caller,
    app_id: AppId,
    body: MessageIn,
    with_content: WithContent = True,
) -> Answer:
    """Publish a message. It is stored when this is answered, and sent to who wants it.

    The payload is sent byte for byte as it stands here. An `eventId` can be used once in 24 hours.
    """
    app = await _producing(request, key, app_id, body.application)
    payload = payload_of(await request.body(), await request.json(), body)
    own = await message_key(request)
    options: dict[str, Any] = {
        "deliver_at": body.deliver_at,
        "ordering_key": body.ordering_key,
        "channels": body.channels or (),
        "tags": body.tags or (),
        "event_id": body.event_id,
    }
    if body.event_id is None:
        options["idempotency_key"] = own
    else:
        # A client that tries again sends the same idempotency key; another message has another.
        options["idempotency_key"] = f"event:{_hashed(body.event_id)}"
        options["once"] = _hashed(own or secrets.token_hex(16), payload).encode()
    try:
        receipt = await app.publish(body.event_type, payload, **options)
    except IdempotencyConflict:
        if body.event_id is None:
            raise
        raise errors.conflict(
            f"eventId: {body.event_id!r} was used within 24 hours for another message"
        ) from None
    return Answer(_created(receipt.message_id, body, payload if with_content else b"{}"), 202)


def _created(message_id: str, body: MessageIn, payload: bytes) -> dict[str, Any]:
    """Return a message that was just published, without reading it back."""
    at = ids.milliseconds(ids.decode(ids.MESSAGE, message_id) or b"")
    found = {
        "id": message_id,
        "eventType": body.event_type,
        "payload": orjson.Fragment(payload),
        "timestamp": _iso(at),
    }
    marks = {
        "eventId": body.event_id,
        "channels": body.channels,
        "tags": body.tags,
        "deliverAt": None if body.deliver_at is None else rfc3339(body.deliver_at),
        "orderingKey": body.ordering_key,
    }
    return found | {name: value for name, value in marks.items() if value}


async def _producing(
    request: Request, key: ApiKey, app_id: str, new: ApplicationIn | None
) -> ApplicationWebhooks:
    """Return the application to publish to, made when the request says how."""
    app = await found_or_made(request, app_id, new if key.allows(None, write=True) else None)
    check_tenant(key, app, app_id, write=True, produce=True)
    return app


@router.post(
    "/app/{app_id}/msg/precheck/active",
    operation_id="v1.message.precheck",
    response_model=MessagePrecheckOut,
    responses=errors_of(404),
)
async def precheck(app: Reading, body: MessagePrecheckIn) -> Answer:
    """Say whether any enabled endpoint wants a message like this."""
    channels = body.channels or ()
    active = any(
        not each.disabled and each.wants(body.event_type, channels)
        for each in await app.endpoints()
    )
    return Answer(MessagePrecheckOut(active=active))


@router.post(
    "/app/{app_id}/msg/bulk-expunge",
    operation_id="v1.message.bulk-expunge-content",
    response_model=BulkExpungeContentsOut,
    responses=errors_of(404),
)
async def bulk_expunge(app: Producing, body: BulkExpungeContentsIn) -> Answer:
    """Erase what messages said, 500 at most, and what was answered to them."""
    results: dict[str, Literal["expunged", "not-found"]] = {}
    for name in body.ids:
        try:
            await app.erase(name)
            results[name] = "expunged"
        except MessageNotFound:
            results[name] = "not-found"
    return Answer(BulkExpungeContentsOut(results=results))


@router.get(
    "/app/{app_id}/msg/{msg_id}",
    operation_id="v1.message.get",
    response_model=MessageOut,
    responses=errors_of(400, 404),
)
async def get_message(app: Reading, msg_id: MessageId, with_content: WithContent = True) -> Answer:
    """Return a message by its id or event id."""
    return Answer(shown_message(await app.message(msg_id), with_content=with_content))


@router.post(
    "/app/{app_id}/msg/{msg_id}/cancel",
    operation_id="v1.message.cancel",
    response_model=CanceledOut,
    responses=errors_of(404),
)
async def cancel_message(app: Producing, msg_id: MessageId) -> Answer:
    """Stop what has not been sent of a message. Requests in flight are not called back."""
    return Answer(CanceledOut(canceled=await app.cancel(msg_id)))


@router.delete(
    "/app/{app_id}/msg/{msg_id}/content",
    operation_id="v1.message.expunge-content",
    status_code=204,
    responses=errors_of(404),
)
async def expunge_content(app: Producing, msg_id: MessageId) -> Response:
    """Erase what a message said and what was answered; that it was sent stays known."""
    await app.erase(msg_id)
    return Response(status_code=204)


def _hashed(text: str, beside: bytes = b"") -> str:
    return hashlib.sha256(b"\0".join((text.encode(), beside))).hexdigest()


def _iso(milliseconds: int) -> str:
    return rfc3339(datetime.fromtimestamp(milliseconds / 1000, UTC))
