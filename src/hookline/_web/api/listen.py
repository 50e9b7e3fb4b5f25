"""Listening: an application's messages as a stream, for a developer without a public address.

Server-sent events. Each message is one, with its id; every few seconds without one, a `tick` says
that the connection lives, and where to go on. A stream ends after a while, so that a key that was
revoked does not go on for ever: the client comes back with the last id it saw.
"""

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
from fastapi import Header, Query, Request
from starlette.responses import StreamingResponse

from hookline import Message
from hookline._domain import ids
from hookline._web import errors
from hookline._web.api.callers import Reading
from hookline._web.api.lists import EventTypes
from hookline._web.api.messages import shown_message
from hookline._web.api.models.wire import Time
from hookline._web.api.routes import Router, errors_of
from hookline._web.errors import Refused

router = Router("Messages")
MOST = 64
"""Streams of one process: each costs a look at the database a second."""
LIFE = 300.0
"""Seconds until a stream ends."""
TICK = 10.0
"""Seconds after which silence is broken."""
STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
EXAMPLE = """\
id: msg_0ERg7khFGJSgejSXXKVZSXrc6UO
event: message
data: {"id":"msg_0ERg7khFGJSgejSXXKVZSXrc6UO","eventType":"customer.created",\
"timestamp":"2026-01-01T00:00:00.000Z","body":"{\\"event\\":\\"customer.created\\"}"}
"""


@router.get(
    "/app/{app_id}/listen",
    operation_id="v1.message.listen",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The messages, as they are published",
            "content": {"text/event-stream": {"example": EXAMPLE}},
        },
        **errors_of(400, 404, 503),
    },
)
async def listen(
    request: Request,
    app: Reading,
    event_types: EventTypes,
    channel: Annotated[
        list[str] | None, Query(description="Sent to one of these channels only. Repeatable.")
    ] = None,
    since: Annotated[Time | None, Query(description="From this time on, else from now.")] = None,
    last_event_id: Annotated[
        str | None,
        Header(description="Go on after this one; what came shortly before it comes again."),
    ] = None,
) -> StreamingResponse:
    """Follow what is published, as an endpoint with these event types and channels would get it.

    No endpoint is needed, and none is disturbed. `body` is what an endpoint is sent, byte for byte.
    """
    if last_event_id is not None and ids.decode(ids.MESSAGE, last_event_id) is None:
        raise errors.invalid(("header", "last-event-id"), "is not the id of a message, msg_…")
    listeners: set[object] = request.app.state.listeners
    if len(listeners) >= MOST:
        raise Refused(
            503, f"{MOST} listen here already; try again later", headers=errors.RETRY_SOON
        )
    # Asked before the answer begins, so that a bad name is told with a status.
    followed = app.follow(event_types or ("*",), channel or (), after=last_event_id, since=since)
    first = await anext(followed)
    return StreamingResponse(
        _stream(request, first, followed), media_type="text/event-stream", headers=STREAM
    )


async def _stream(request: Request, first: Any, followed: Any) -> AsyncIterator[bytes]:
    state, me = request.app.state, object()
    state.listeners.add(me)
    ends = time.monotonic() + LIFE
    silent_until = 0.0  # where it begins is told at once
    try:
        found = first
        while True:
            for message in found.messages:
                yield _event("message", message.id, _document(message))
            now = time.monotonic()
            if found.messages:
                silent_until = now + TICK
            elif now >= silent_until:
                yield _event("tick", found.position, {})
                silent_until = now + TICK
            if now > ends or state.lookout.stopping:
                return
            found = await anext(followed)
    finally:
        state.listeners.discard(me)
        await followed.aclose()


def _event(kind: str, name: str, document: Any) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        name.encode(),
        kind.encode(),
        orjson.dumps(document),
    )


def _document(message: Message) -> dict[str, Any]:
    """Return a message; its body as text, so that no line break in it is lost on the way."""
    found = shown_message(message)
    del found["payload"]
    return {**found, "body": message.body.decode()}
