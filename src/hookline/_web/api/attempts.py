"""Attempts: what was tried, what came of it, and where messages stand."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Response

from hookline import (
    ApiKey,
    Attempted,
    AttemptOf,
    Cursor,
    DeliveryState,
    DeliveryStatus,
    Endpoint,
    Filter,
    Page,
    Window,
)
from hookline._domain import ids
from hookline._domain.times import rfc3339
from hookline._web.answers import Answer
from hookline._web.api.callers import Caller, Producing, Reading, Writing
from hookline._web.api.endpoints import EndpointId
from hookline._web.api.endpoints import shown as shown_endpoint
from hookline._web.api.lists import Narrowed, Paged, listed
from hookline._web.api.messages import STATES, MessageId, WithContent, shown_message
from hookline._web.api.models.messages import (
    EndpointMessageOut,
    MessageAttemptHeadersOut,
    MessageAttemptOut,
    MessageEndpointOut,
)
from hookline._web.api.models.wire import Empty, Listed
from hookline._web.api.routes import Router, errors_of

router = Router("Attempts")
paged = Paged(ids.ATTEMPT, orderable=False, descending=True)
paged_messages = Paged(ids.MESSAGE, orderable=False, descending=True)
paged_endpoints = Paged(ids.ENDPOINT, orderable=False)
AttemptId = Annotated[str, Path(description="The attempt's id.", max_length=256)]
Status = Annotated[
    int | None,
    Query(
        ge=0, le=4, description="0 success, 1 pending, 2 fail, 3 sending, 4 canceled (`expanded`)."
    ),
]
StatusClass = Annotated[
    int | None,
    Query(ge=0, le=500, multiple_of=100, description="200 for 200 to 299; 0 for no answer."),
]
Expanded = Annotated[bool, Query(description="Say `canceled` where it was, instead of `fail`.")]
CANCELED = (4, "canceled")
WORDS = {0: "success", 1: "pending", 2: "fail", 3: "sending"}
_NUMBERS = {state: number for number, states in STATES.items() for state in states}
NOT_TOLD = "blocked_destination"
"""The failure whose reason is the operator's: it names networks."""


def _status(state: DeliveryState, *, expanded: bool) -> tuple[int, str]:
    if expanded and state is DeliveryState.CANCELED:
        return CANCELED
    number = _NUMBERS[state]
    return number, WORDS[number]


def shown(
    each: AttemptOf, key: ApiKey, *, with_content: bool, with_msg: bool = False
) -> dict[str, Any]:
    """Return an attempt as it is answered. An attempt itself succeeded or failed."""
    attempt = each.attempt
    number = 0 if attempt.state is DeliveryState.SUCCEEDED else 2
    found: dict[str, Any] = {
        "id": attempt.id,
        "msgId": attempt.message_id,
        "endpointId": attempt.endpoint_id,
        "url": attempt.url,
        "timestamp": rfc3339(attempt.started_at),
        "status": number,
        "statusText": WORDS[number],
        "triggerType": 0 if attempt.trigger == "scheduled" else 1,
        "response": _response(each, key) if with_content else "{}",
        "responseStatusCode": attempt.status or 0,
        "responseDurationMs": attempt.timings.total // 1000,
        "number": attempt.number,
        "timings": attempt.timings._asdict(),
    }
    if attempt.failure is not None:
        found["failure"] = attempt.failure
    if with_content and attempt.response_headers:
        found["responseHeaders"] = attempt.response_headers
    if attempt.next_attempt_at is not None:
        found["nextAttempt"] = rfc3339(attempt.next_attempt_at)
    if with_msg and each.message is not None:
        found["msg"] = shown_message(each.message, with_content=with_content)
    return found


def _response(each: AttemptOf, key: ApiKey) -> str:
    """Return what was answered, or why nothing was."""
    attempt = each.attempt
    if attempt.status is None:
        told = attempt.failure != NOT_TOLD or key.allows(None, write=False)
        return (attempt.detail if told else NOT_TOLD) or attempt.failure or ""
    if not attempt.response_headers and not attempt.response_body:
        return "EXPUNGED"  # every answer has headers
    return attempt.response_body.decode("utf-8", "replace")


async def _of_attempts(
    wanted: Narrowed, status: Status = None, status_code_class: StatusClass = None
) -> Filter | None:
    if status not in (None, 0, 2):
        return None
    succeeded = None if status is None else status == 0
    return replace(wanted, succeeded=succeeded, status_class=status_code_class)


OfAttempts = Annotated[Filter | None, Depends(_of_attempts)]
"""What a list of attempts is narrowed to. None: to those still to be made, and the log has none."""
NOTHING: Page[AttemptOf] = Page([], more=False)


@router.get(
    "/app/{app_id}/attempt/endpoint/{endpoint_id}",
    operation_id="v1.message-attempt.list-by-endpoint",
    response_model=Listed[MessageAttemptOut],
    responses=errors_of(400, 404),
)
async def list_by_endpoint(
    app: Reading,
    key: Caller,
    endpoint_id: EndpointId,
    window: Annotated[Window, Depends(paged.window)],
    wanted: OfAttempts,
    with_content: WithContent = True,
    with_msg: Annotated[bool, Query(description="With their messages.")] = False,
) -> Answer:
    """List the attempts made at an endpoint, the newest first."""
    if wanted is None:
        await app.endpoint(endpoint_id)
        return _attempts(NOTHING, key, with_content=with_content)
    page = await app.attempts_at(endpoint_id, wanted, window)
    return _attempts(page, key, with_content=with_content, with_msg=with_msg)


@router.get(
    "/app/{app_id}/attempt/msg/{msg_id}",
    operation_id="v1.message-attempt.list-by-msg",
    response_model=Listed[MessageAttemptOut],
    responses=errors_of(400, 404),
)
@router.get("/app/{app_id}/msg/{msg_id}/attempt", include_in_schema=False)
async def list_by_message(
    app: Reading,
    key: Caller,
    msg_id: MessageId,
    window: Annotated[Window, Depends(paged.window)],
    wanted: OfAttempts,
    endpoint_id: Annotated[str | None, Query(description="At this endpoint.")] = None,
    with_content: WithContent = True,
) -> Answer:
    """List the attempts made for a message, the newest first."""
    own = None
    if endpoint_id is not None:
        own = ids.decode(ids.ENDPOINT, (await app.endpoint(endpoint_id)).id or "")
    if wanted is None:
        await app.message(msg_id)
        return _attempts(NOTHING, key, with_content=with_content)
    page = await app.attempts_of(msg_id, replace(wanted, endpoint=own), window)
    return _attempts(page, key, with_content=with_content)


def _attempts(
    page: Page[AttemptOf], key: ApiKey, *, with_content: bool, with_msg: bool = False
) -> Answer:
    def show(each: AttemptOf) -> dict[str, Any]:
        return shown(each, key, with_content=with_content, with_msg=with_msg)

    return Answer(listed(page, show, lambda each: each.attempt.id, ids.ATTEMPT))


@router.get(
    "/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}",
    operation_id="v1.message-attempt.get",
    response_model=MessageAttemptOut,
    responses=errors_of(404),
)
async def get_attempt(
    app: Reading, key: Caller, msg_id: MessageId, attempt_id: AttemptId
) -> Answer:
    """Return an attempt, with its answer, headers and timings."""
    return Answer(shown(await app.attempt(msg_id, attempt_id), key, with_content=True))


@router.get(
    "/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/headers",
    operation_id="v1.message-attempt.get-headers",
    response_model=MessageAttemptHeadersOut,
    responses=errors_of(404),
)
async def get_attempt_headers(app: Reading, msg_id: MessageId, attempt_id: AttemptId) -> Answer:
    """Return the headers of an attempt: those of the answer, and of the request what is known."""
    attempt = (found := await app.attempt(msg_id, attempt_id)).attempt
    sent = {
        "Content-Type": "application/json",
        "webhook-id": attempt.message_id,
        "webhook-timestamp": str(int(attempt.started_at.timestamp())),
        "X-Webhook-Attempt": str(attempt.number),
    }
    if found.message is not None:
        sent["X-Webhook-Event"] = found.message.event_type
    return Answer(
        MessageAttemptHeadersOut(
            sent_headers=sent,
            sensitive=["webhook-signature"],
            response_headers=[list(pair) for pair in attempt.response_headers],
        )
    )


@router.delete(
    "/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/content",
    operation_id="v1.message-attempt.expunge-content",
    status_code=204,
    responses=errors_of(404),
)
async def expunge_answer(app: Producing, msg_id: MessageId, attempt_id: AttemptId) -> Response:
    """Erase what was answered to an attempt."""
    await app.erase_answer(msg_id, attempt_id)
    return Response(status_code=204)


@router.get(
    "/app/{app_id}/endpoint/{endpoint_id}/msg",
    operation_id="v1.message-attempt.list-attempted-messages",
    response_model=Listed[EndpointMessageOut],
    responses=errors_of(400, 404),
)
async def list_attempted_messages(
    app: Reading,
    endpoint_id: EndpointId,
    window: Annotated[Window, Depends(paged_messages.window)],
    wanted: Narrowed,
    status: Status = None,
    with_content: WithContent = True,
    expanded_statuses: Expanded = False,
    state: Annotated[
        list[DeliveryState] | None,
        Query(description="More exactly than `status`, in its place. Repeatable."),
    ] = None,
) -> Answer:
    """List the messages sent to an endpoint, or to be sent, and where each stands there."""
    states = tuple(state) if state else _states(status)
    page = await app.attempted(endpoint_id, replace(wanted, states=states), window)

    def show(each: Attempted) -> dict[str, Any]:
        number, text = _status(each.state, expanded=expanded_statuses)
        found = shown_message(each.message, with_content=with_content)
        found |= {"status": number, "statusText": text}
        found |= {"deliveryState": each.state.value, "attempts": each.attempts}
        if each.next_attempt_at is not None:
            found["nextAttempt"] = rfc3339(each.next_attempt_at)
        return found

    return Answer(listed(page, show, lambda each: each.message.id, ids.MESSAGE))


def _states(status: int | None) -> tuple[DeliveryState, ...]:
    if status is None:
        return ()
    return STATES.get(status, (DeliveryState.CANCELED,))


@router.get(
    "/app/{app_id}/msg/{msg_id}/endpoint",
    operation_id="v1.message-attempt.list-attempted-destinations",
    response_model=Listed[MessageEndpointOut],
    responses=errors_of(400, 404),
)
async def list_attempted_destinations(
    app: Reading,
    msg_id: MessageId,
    window: Annotated[Window, Depends(paged_endpoints.window)],
    expanded_statuses: Expanded = False,
) -> Answer:
    """List the endpoints a message goes to, and where it stands at each."""

    def show(each: tuple[Endpoint, DeliveryStatus]) -> MessageEndpointOut:
        endpoint, stands = each
        number, text = _status(stands.state, expanded=expanded_statuses)
        return MessageEndpointOut(
            **dict(shown_endpoint(endpoint)),
            status=number,
            status_text=text,
            next_attempt=stands.next_attempt_at,
            delivery_state=stands.state.value,
            attempts=stands.attempts,
            last_status=stands.last_status,
            last_failure=stands.last_error,
        )

    page = _part(await app.destinations(msg_id), window)
    return Answer(listed(page, show, lambda each: each[0].id or "", ids.ENDPOINT))


def _part(
    found: list[tuple[Endpoint, DeliveryStatus]], window: Window
) -> Page[tuple[Endpoint, DeliveryStatus]]:
    """Return a page of what is in memory already, in the order of the endpoints."""
    cursor = window.cursor or Cursor(b"")
    keyed = [(ids.decode(ids.ENDPOINT, each[0].id or "") or b"", each) for each in found]
    if cursor.backwards:
        rest = [each for key, each in keyed if key < bytes(cursor.item)]  # type: ignore[arg-type]
        return Page(rest[-window.limit :], len(rest) > window.limit)
    rest = [each for key, each in keyed if key > bytes(cursor.item)]  # type: ignore[arg-type]
    return Page(rest[: window.limit], len(rest) > window.limit)


@router.post(
    "/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend",
    operation_id="v1.message-attempt.resend",
    status_code=202,
    response_model=Empty,
    responses=errors_of(404, 409),
)
async def resend(app: Writing, msg_id: MessageId, endpoint_id: EndpointId) -> Answer:
    """Send a message to an endpoint once more, now. One that is being sent is not sent twice."""
    await app.resend(msg_id, endpoint_id)
    return Answer({}, 202)
