"""Messages and attempts over the wire."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from hookline._web.api.models.applications import ApplicationIn
from hookline._web.api.models.endpoints import EndpointOut
from hookline._web.api.models.wire import MessageChannels, Name, Time, Uid, Wire

Pair = Annotated[list[str], Field(min_length=2, max_length=2)]


class MessageIn(Wire):
    """A message to send."""

    event_type: Name
    payload: Annotated[dict[str, Any], Field(validation_alias=AliasChoices("payload", "data"))]
    event_id: Uid | None = None
    channels: MessageChannels = None
    tags: MessageChannels = None
    application: ApplicationIn | None = None
    deliver_at: Time | None = None
    ordering_key: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    transformations_params: dict[str, Any] | None = None
    payload_retention_period: Annotated[
        int | None,
        Field(description="Taken and left alone: `retention_payloads` holds for all messages."),
    ] = None


class MessageOut(Wire):
    """A message."""

    id: str
    event_type: str
    payload: dict[str, Any]
    event_id: str | None = None
    channels: list[str] | None = None
    tags: list[str] | None = None
    deliver_at: Time | None = None
    ordering_key: str | None = None
    timestamp: Time


class MessagePrecheckIn(Wire):
    """A message that somebody may want, or nobody."""

    event_type: Name
    channels: MessageChannels = None


class MessagePrecheckOut(Wire):
    """Whether an enabled endpoint wants it."""

    active: bool


class BulkExpungeContentsIn(Wire):
    """Messages by id or event id."""

    ids: list[Annotated[str, Field(max_length=256)]] = Field(default_factory=list, max_length=500)


class BulkExpungeContentsOut(Wire):
    """What became of each."""

    results: dict[str, Literal["expunged", "not-found"]]


class CanceledOut(Wire):
    """How many deliveries were stopped."""

    canceled: int


class StatusFields(Wire):
    """0 success, 1 pending, 2 fail, 3 sending; the same as a word."""

    status: int
    status_text: str
    next_attempt: Time | None = None
    delivery_state: Annotated[
        str | None,
        Field(
            description="More exactly: `pending`, `sending`, `succeeded`, `exhausted`, `held` or "
            "`canceled`."
        ),
    ] = None
    attempts: Annotated[int | None, Field(description="Made until now.")] = None


class EndpointMessageOut(MessageOut, StatusFields):
    """A message, and where it stands at an endpoint."""


class MessageEndpointOut(EndpointOut, StatusFields):
    """An endpoint, and where a message stands there."""

    last_status: Annotated[int | None, Field(description="The last answer's status.")] = None
    last_failure: Annotated[str | None, Field(description="Why the last attempt failed.")] = None


class MessageAttemptOut(Wire):
    """One attempt to deliver a message."""

    id: str
    url: str
    response: str
    response_status_code: int
    response_duration_ms: int
    status: int
    status_text: str
    trigger_type: int
    msg_id: str
    endpoint_id: str
    timestamp: Time
    msg: MessageOut | None = None
    number: Annotated[int | None, Field(description="1 for the first attempt.")] = None
    failure: Annotated[str | None, Field(description="Why there was no answer.")] = None
    response_headers: list[Pair] | None = None
    timings: Annotated[
        dict[str, int] | None,
        Field(description="Microseconds: dns, connect, tls, first byte, total."),
    ] = None
    next_attempt: Time | None = None


class MessageAttemptHeadersOut(Wire):
    """The headers of an attempt. Those of the endpoint, and signatures, are not kept: only names.

    `sent_headers` are those that follow from the attempt itself.
    """

    sent_headers: dict[str, str]
    sensitive: list[str]
    response_headers: list[Pair]
