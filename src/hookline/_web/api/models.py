"""What goes over the wire, resource by resource: the names and types the official clients know.

Requests ignore what they do not know, as those clients expect; what we add beyond them is optional.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

T = TypeVar("T")
NAME = r"^[a-zA-Z0-9\-_.]+$"
SUBSCRIPTION = r"^(\*|[a-zA-Z0-9\-_.]+(\.\*)?)$"
FIRST_YEAR, LAST_YEAR = 2, 9998
"""Those of which every zone's times are times in UTC as well."""
SECRET = r"^(whsec_|whsk_)?[a-zA-Z0-9+/=]{32,100}$"


def rfc3339(moment: datetime) -> str:
    """Return a time as every client reads it: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_utc(moment: datetime) -> datetime:
    # One client sends times without a zone when it is given such: they are taken as UTC.
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"expected a time in the years {FIRST_YEAR} to {LAST_YEAR}")
    return moment.astimezone(UTC)


def _unique(names: list[str] | None) -> list[str] | None:
    if names is not None and len(set(names)) != len(names):
        raise ValueError("items must be unique")
    return names


def _none_if_empty(names: list[str] | None) -> list[str] | None:
    return names or None


def _no_defaults(schema: dict[str, Any]) -> None:
    """Say of a patch only what its fields may be: what is not named stays."""
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


Time = Annotated[
    datetime,
    AfterValidator(_in_utc),
    PlainSerializer(rfc3339),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Uid = Annotated[str, Field(min_length=1, max_length=256, pattern=NAME)]
Name = Annotated[str, Field(max_length=256, pattern=NAME)]
Subscription = Annotated[str, Field(max_length=256, pattern=SUBSCRIPTION)]
Channel = Annotated[str, Field(max_length=128, pattern=NAME)]
Rate = Annotated[int, Field(ge=1, le=65_535)]
RateOrNone = Annotated[
    int | None, Field(ge=0, le=65_535), AfterValidator(lambda rate: rate or None)
]
Metadata = dict[str, str]
Pair = Annotated[list[str], Field(min_length=2, max_length=2)]
Names = Annotated[
    list[Subscription] | None, AfterValidator(_unique), AfterValidator(_none_if_empty)
]
EndpointChannels = Annotated[
    list[Channel] | None,
    Field(max_length=10),
    AfterValidator(_unique),
    AfterValidator(_none_if_empty),
]
MessageChannels = Annotated[
    list[Channel] | None,
    Field(max_length=5),
    AfterValidator(_unique),
    AfterValidator(_none_if_empty),
]


class Wire(BaseModel):
    """Camel case outside, snake case inside."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        serialize_by_alias=True,
    )


class Patch(Wire):
    """What changes of something; what is not named stays."""

    model_config = ConfigDict(json_schema_extra=_no_defaults)


class Listed(Wire, Generic[T]):
    """A page. `iterator` goes on, `prev_iterator` goes back; `done` says that this is the end."""

    data: list[T]
    iterator: str | None
    prev_iterator: str | None = None
    done: bool


class HttpErrorOut(Wire):
    """Every error but those of validation."""

    code: str
    detail: str


class ValidationError(Wire):
    """One thing wrong with a request."""

    loc: list[str]
    msg: str
    type: str


class HTTPValidationError(Wire):
    """What is wrong with a request."""

    detail: list[ValidationError]


class ReadyOut(Wire):
    """Whether webhooks are accepted and delivered: each part is `ok`, or says what is missing."""

    ready: bool
    parts: dict[str, str]


class Empty(Wire):
    """An empty object."""


# applications


class ApplicationIn(Wire):
    """A new application."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    uid: Uid | None = None
    throttle_rate: Annotated[
        Rate | None, Field(validation_alias=AliasChoices("throttleRate", "rateLimit"))
    ] = None
    metadata: Metadata = {}


class ApplicationPatch(Patch):
    """What changes of an application; what is not named stays."""

    name: Annotated[str, Field(min_length=1, max_length=256)] = ""
    uid: Uid | None = None
    throttle_rate: Annotated[
        RateOrNone, Field(validation_alias=AliasChoices("throttleRate", "rateLimit"))
    ] = None
    metadata: Metadata = {}


class ApplicationOut(Wire):
    """An application."""

    id: str
    name: str
    uid: str | None = None
    throttle_rate: int | None = None
    rate_limit: int | None = None
    metadata: Metadata
    created_at: Time
    updated_at: Time


# event types


class EventTypeFields(Wire):
    """What an event type is, beside its name."""

    description: Annotated[str, Field(max_length=4096)]
    archived: bool = False
    deprecated: bool = False
    schemas: dict[str, dict[str, Any]] | None = None
    group_name: Name | None = None
    feature_flags: Annotated[list[Name] | None, AfterValidator(_unique)] = None
    feature_flag: Name | None = None


class EventTypeIn(EventTypeFields):
    """A new event type."""

    name: Annotated[str, Field(min_length=1, max_length=256, pattern=NAME)]


class EventTypePatch(Patch):
    """What changes of an event type; what is not named stays."""

    description: Annotated[str, Field(max_length=4096)] = ""
    archived: bool = False
    deprecated: bool = False
    schemas: dict[str, dict[str, Any]] | None = None
    group_name: Name | None = None
    feature_flags: Annotated[list[Name] | None, AfterValidator(_unique)] = None
    feature_flag: Name | None = None


class EventTypeOut(Wire):
    """An event type."""

    name: str
    description: str
    archived: bool
    deprecated: bool
    schemas: dict[str, dict[str, Any]] | None = None
    group_name: str | None = None
    feature_flags: list[str] | None = None
    feature_flag: str | None = None
    created_at: Time
    updated_at: Time


# endpoints


class EndpointExtras(Wire):
    """What Hookline's endpoints can beyond those of Svix: see `hookline.EndpointOptions`.

    Named, they change; otherwise they stay. `allowed_networks`, `proxy` and `handshake` are the
    operator's: they need an admin key.
    """

    retry_schedule: Annotated[
        list[float] | None, Field(description="Seconds before each attempt.")
    ] = None
    timeout: Annotated[float | None, Field(description="Seconds for one attempt, 1 to 30.")] = None
    concurrency: Annotated[int | None, Field(description="Requests in flight at once.")] = None
    ordered: Annotated[bool, Field(description="One at a time, oldest first.")] = False
    signatures: Annotated[list[str] | None, Field(description="The forms to sign in.")] = None
    http2: bool = False
    ca: Annotated[str | None, Field(description="PEM: who must have signed its certificate.")] = (
        None
    )
    client_certificate: Annotated[str | None, Field(description="PEM, shown to it.")] = None
    client_key: Annotated[str | None, Field(description="PEM, never shown again.")] = None
    oauth2: Annotated[
        dict[str, Any] | None, Field(description="Client credentials, never shown again.")
    ] = None
    filter: Annotated[
        str | None, Field(description="JMESPath over the body: only events it is true for.")
    ] = None
    transform: Annotated[
        str | None, Field(description="JMESPath whose result is sent instead of the body.")
    ] = None
    allowed_networks: list[str] | None = None
    proxy: str | None = None
    handshake: str | None = None


class EndpointFields(EndpointExtras):
    """What an endpoint is, its secret and headers apart."""

    url: Annotated[str, Field(min_length=1, max_length=65_536)]
    description: Annotated[str, Field(max_length=1024)] = ""
    uid: Uid | None = None
    throttle_rate: Annotated[
        Rate | None, Field(validation_alias=AliasChoices("throttleRate", "rateLimit"))
    ] = None
    disabled: bool = False
    event_types: Annotated[
        Names, Field(validation_alias=AliasChoices("eventTypes", "filterTypes"))
    ] = None
    channels: EndpointChannels = None
    metadata: Metadata = {}


class EndpointIn(EndpointFields):
    """A new endpoint."""

    secret: Annotated[str, Field(pattern=SECRET)] | None = None
    headers: dict[str, str] | None = None


class EndpointUpdate(EndpointFields):
    """What an endpoint is from now on."""


class EndpointPatch(EndpointExtras, Patch):
    """What changes of an endpoint; what is not named stays."""

    url: Annotated[str, Field(min_length=1, max_length=65_536)] = ""
    description: Annotated[str, Field(max_length=1024)] = ""
    uid: Uid | None = None
    throttle_rate: Annotated[
        RateOrNone, Field(validation_alias=AliasChoices("throttleRate", "rateLimit"))
    ] = None
    disabled: bool = False
    event_types: Annotated[
        Names, Field(validation_alias=AliasChoices("eventTypes", "filterTypes"))
    ] = None
    channels: EndpointChannels = None
    metadata: Metadata = {}


class EndpointOut(Wire):
    """An endpoint. `version` is there for older clients."""

    id: str
    url: str
    description: str
    uid: str | None = None
    throttle_rate: int | None = None
    rate_limit: int | None = None
    disabled: bool
    event_types: list[str] | None = None
    filter_types: list[str] | None = None
    channels: list[str] | None = None
    metadata: Metadata
    created_at: Time
    updated_at: Time
    version: int = 1
    state: Annotated[str | None, Field(description="`active`, `pending` or `disabled`.")] = None
    source: Annotated[str | None, Field(description="`code`, `file` or `api`.")] = None
    disabled_at: Time | None = None
    disabled_reason: str | None = None
    pending_since: Time | None = None
    pending_reason: str | None = None
    public_key: Annotated[str | None, Field(description="For ed25519 signatures.")] = None
    retry_schedule: list[float] | None = None
    timeout: float | None = None
    concurrency: int | None = None
    ordered: bool | None = None
    signatures: list[str] | None = None
    http2: bool | None = None
    filter: str | None = None
    transform: str | None = None
    allowed_networks: list[str] | None = None
    handshake: str | None = None


class EndpointHealthOut(Wire):
    """How an endpoint is doing."""

    state: str
    circuit: Annotated[str, Field(description="`closed`, `open` or `half_open`.")]
    failures: Annotated[int, Field(description="In a row, while it is in trouble.")]
    failing_since: Time | None = None
    waits_until: Annotated[Time | None, Field(description="Nothing is sent before.")] = None
    pending: int
    sending: int
    held: int
    next_attempt: Time | None = None
    last_attempt: Time | None = None
    last_status: int | None = None
    last_failure: str | None = None


class CanceledOut(Wire):
    """How many deliveries were stopped."""

    canceled: int


class ReleasedOut(Wire):
    """How many held deliveries are due now."""

    released: int


class EndpointHeadersIn(Wire):
    """The headers an endpoint gets, in place of those it had."""

    headers: dict[str, str]


class EndpointHeadersPatchIn(Wire):
    """Headers that change; null, or in `delete_headers`, takes one away."""

    headers: dict[str, str | None]
    delete_headers: list[str] = []


class EndpointHeadersOut(Wire):
    """Headers; of the sensitive ones only the names."""

    headers: dict[str, str]
    sensitive: list[str]


class EndpointSecretOut(Wire):
    """A signing secret."""

    key: str


class EndpointSecretRotateIn(Wire):
    """The new secret, made here unless given, and how many seconds the old one signs along."""

    key: Annotated[str, Field(pattern=SECRET)] | None = None
    grace_period_seconds: Annotated[int, Field(ge=0, le=604_800)] | None = 86_400


class EndpointStats(Wire):
    """How many deliveries stand where."""

    success: int
    pending: int
    sending: int
    fail: int
    canceled: int


class RecoverIn(Wire):
    """From when to when to send again what failed."""

    since: Time
    until: Time | None = None


class ReplayIn(RecoverIn):
    """What to send again; `dry_run` counts, and changes nothing."""

    dry_run: bool = False
    rate: Annotated[float | None, Field(description="Deliveries per second at most.")] = None


class BulkReplayIn(ReplayIn):
    """What to send again: by event type and by where it stands."""

    event_types: Names = None
    status: Annotated[
        int | None, Field(ge=0, le=3, description="0 success, 1 pending, 2 fail; fail by default.")
    ] = None
    channel: Annotated[Channel | None, Field(description="Sent to this channel only.")] = None
    tag: Annotated[Channel | None, Field(description="With this tag only.")] = None
    status_code_class: Annotated[
        Literal[0, 100, 200, 300, 400, 500] | None,
        Field(description="Last answered so: 500 for 500 to 599, 0 for no answer."),
    ] = None


class AppReplayIn(BulkReplayIn):
    """What to send again, over all enabled endpoints of an application."""

    since: Annotated[Time | None, Field(description="Needed, unless it is one message.")] = None  # type: ignore[assignment]  # of one message, none
    missing: Annotated[bool, Field(description="Also what endpoints want today and never got.")] = (
        False
    )
    endpoint_id: Annotated[str | None, Field(description="At this endpoint only.")] = None
    message_id: Annotated[str | None, Field(description="This message only.")] = None
    states: Annotated[
        list[str] | None,
        Field(description="`exhausted`, `held`, `pending`, `succeeded`: in place of `status`."),
    ] = None


TaskKind = Literal[
    "endpoint.recover",
    "endpoint.replay",
    "endpoint.bulk-replay",
    "application.purge_content",
]


class BackgroundTaskOut(Wire):
    """A task that goes on in the background. `data` says how far it got."""

    id: str
    status: Annotated[
        Literal["running", "finished", "failed"],
        Field(description="`failed` also when it was canceled; `data.state` says."),
    ]
    task: TaskKind
    updated_at: Time
    data: dict[str, Any] = {}


class RecoverOut(Wire):
    """A task that goes on in the background."""

    id: str
    status: str
    task: str
    updated_at: Time


class EventExampleIn(Wire):
    """Which example of which event type."""

    event_type: Name
    example_index: Annotated[int, Field(ge=0, le=1000)] = 0


# messages and attempts


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


class BulkExpungeContentsIn(Wire):
    """Messages by id or event id."""

    ids: Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=500)] = []


class BulkExpungeContentsOut(Wire):
    """What became of each."""

    results: dict[str, Literal["expunged", "not-found"]]


class MessageAttemptHeadersOut(Wire):
    """The headers of an attempt. Those of the endpoint, and signatures, are not kept: only names.

    `sent_headers` are those that follow from the attempt itself.
    """

    sent_headers: dict[str, str]
    sensitive: list[str]
    response_headers: list[Pair]


class MessagePrecheckIn(Wire):
    """A message that somebody may want, or nobody."""

    event_type: Name
    channels: MessageChannels = None


class MessagePrecheckOut(Wire):
    """Whether an enabled endpoint wants it."""

    active: bool


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


# access


class AppPortalAccessIn(Wire):
    """For how long, and for what, a customer gets in."""

    application: ApplicationIn | None = None
    expiry: Annotated[
        int | None, Field(ge=60, le=604_800, description="Seconds until it ends, 7 days at most.")
    ] = None
    read_only: bool | None = None
    feature_flags: list[Name] = []
    capabilities: list[str] | None = None
    session_id: str | None = None


class AppPortalAccessOut(Wire):
    """Where a customer goes, and what opens the door."""

    url: str
    token: str


# API keys


class ApiKeyIn(Wire):
    """A new key: `admin`, `read`, or `application:<id or uid>` once or several times."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
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


# operational webhooks


class OperationalEndpointUpdate(Wire):
    """What an operational endpoint is; without event types it is told of everything."""

    url: Annotated[str, Field(min_length=1, max_length=65_536)]
    description: Annotated[str, Field(max_length=1024)] = ""
    uid: Uid | None = None
    throttle_rate: Annotated[
        Rate | None, Field(validation_alias=AliasChoices("throttleRate", "rateLimit"))
    ] = None
    disabled: bool = False
    event_types: Annotated[
        Names, Field(validation_alias=AliasChoices("eventTypes", "filterTypes"))
    ] = None
    metadata: Metadata = {}


class OperationalEndpointIn(OperationalEndpointUpdate):
    """A new operational endpoint."""

    secret: Annotated[str, Field(pattern=SECRET)] | None = None
    headers: dict[str, str] | None = None


# usage


class UsageDayOut(Wire):
    """One application on one day (UTC): messages published, attempts to deliver made."""

    app_id: str
    day: str
    messages: int
    attempts: int


class UsageOut(Wire):
    """Days, the oldest first."""

    data: list[UsageDayOut]


# tools


class CheckUrlIn(Wire):
    """Where somebody wants webhooks to go."""

    url: Annotated[str, Field(min_length=1, max_length=65_536)]


class CheckUrlOut(Wire):
    """Whether they may go there. The reason, the remedy and addresses are the operator's."""

    url: Annotated[str, Field(description="As it is stored and called.")]
    allowed: bool
    verdict: Annotated[
        str | None,
        Field(
            description="`blocked_address`, `blocked_name` or `blocked_scheme`; for customers "
            "`blocked_destination`."
        ),
    ] = None
    reason: str | None = None
    remedy: str | None = None
    resolved: Annotated[bool | None, Field(description="False: it leads nowhere now.")] = None
    addresses: list[str] | None = None


class DebugSignatureIn(Wire):
    """A webhook as it arrived, and the secrets that ought to fit."""

    body: Annotated[str, Field(description="The body as it arrived, before anything parsed it.")]
    headers: Annotated[dict[str, str], Field(description="Those of the signature at least.")]
    secrets: Annotated[list[str], Field(min_length=1, max_length=10)]
    original: Annotated[
        str | None, Field(description="The body as it was sent: the first difference is named.")
    ] = None
    tolerance: Annotated[float | None, Field(ge=0, le=1e9, description="Seconds.")] = None
    any_age: bool = False
    at: Annotated[Time | None, Field(description="Judge the age as of then.")] = None


class DebugSignatureOut(Wire):
    """Why it does not fit; none of it holds a secret or a signature."""

    valid: bool
    cause: str
    sentence: str
    remedy: str
    scheme: str | None = None
    secret: Annotated[int | None, Field(description="Which secret fits, 1 for the first.")] = None


def given(model: BaseModel) -> Mapping[str, Any]:
    """Return the fields that a request named, for an update that leaves the others alone."""
    return {name: getattr(model, name) for name in model.model_fields_set}


_HEADER_SECRET = re.compile(r"auth|token|secret|key|password|cookie|session", re.IGNORECASE)


def is_sensitive(header: str) -> bool:
    """Return whether a header's value looks like one not to be shown, by its name."""
    return bool(_HEADER_SECRET.search(header))
