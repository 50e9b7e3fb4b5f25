"""Endpoints over the wire, operational ones too."""

from typing import Annotated, Any

from pydantic import Field

from hookline._web.api.models.wire import (
    EndpointChannels,
    EventTypes,
    Metadata,
    Patch,
    Secret,
    Throttle,
    ThrottleOrNone,
    Time,
    Uid,
    Url,
    Wire,
)


class EndpointTuning(Wire):
    """What Hookline's endpoints can beyond those of Svix, as it is shown."""

    retry_schedule: Annotated[
        list[float] | None, Field(description="Seconds before each attempt.")
    ] = None
    timeout: Annotated[float | None, Field(description="Seconds for one attempt, 1 to 30.")] = None
    concurrency: Annotated[int | None, Field(description="Requests in flight at once.")] = None
    ordered: Annotated[bool, Field(description="One at a time, oldest first.")] = False
    signatures: Annotated[list[str] | None, Field(description="The forms to sign in.")] = None
    http2: bool = False
    filter: Annotated[
        str | None, Field(description="JMESPath over the body: only events it is true for.")
    ] = None
    transform: Annotated[
        str | None, Field(description="JMESPath whose result is sent instead of the body.")
    ] = None
    allowed_networks: list[str] | None = None
    handshake: str | None = None


class EndpointExtras(EndpointTuning):
    """What Hookline's endpoints can beyond those of Svix: see `hookline.EndpointOptions`.

    Named, they change; otherwise they stay. `allowed_networks`, `proxy` and `handshake` are the
    operator's: they need an admin key.
    """

    ca: Annotated[str | None, Field(description="PEM: who must have signed its certificate.")] = (
        None
    )
    client_certificate: Annotated[str | None, Field(description="PEM, shown to it.")] = None
    client_key: Annotated[str | None, Field(description="PEM, never shown again.")] = None
    oauth2: Annotated[
        dict[str, Any] | None, Field(description="Client credentials, never shown again.")
    ] = None
    proxy: str | None = None


class OperationalEndpointUpdate(Wire):
    """What an operational endpoint is; without event types it is told of everything."""

    url: Url
    description: Annotated[str, Field(max_length=1024)] = ""
    uid: Uid | None = None
    throttle_rate: Throttle = None
    disabled: bool = False
    event_types: EventTypes = None
    metadata: Metadata = Field(default_factory=dict)


class OperationalEndpointIn(OperationalEndpointUpdate):
    """A new operational endpoint."""

    secret: Secret | None = None
    headers: dict[str, str] | None = None


class EndpointUpdate(OperationalEndpointUpdate, EndpointExtras):
    """What an endpoint is from now on."""

    channels: EndpointChannels = None


class EndpointIn(OperationalEndpointIn, EndpointUpdate):
    """A new endpoint."""


class EndpointPatch(EndpointUpdate, Patch):
    """What changes of an endpoint; what is not named stays."""

    url: Url = ""
    throttle_rate: ThrottleOrNone = None


class EndpointOut(EndpointTuning):
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


class EndpointHeadersIn(Wire):
    """The headers an endpoint gets, in place of those it had."""

    headers: dict[str, str]


class EndpointHeadersPatchIn(Wire):
    """Headers that change; null, or in `delete_headers`, takes one away."""

    headers: dict[str, str | None]
    delete_headers: list[str] = Field(default_factory=list)


class EndpointHeadersOut(Wire):
    """Headers; of the sensitive ones only the names."""

    headers: dict[str, str]
    sensitive: list[str]


class EndpointSecretOut(Wire):
    """A signing secret."""

    key: str


class EndpointSecretRotateIn(Wire):
    """The new secret, made here unless given, and how many seconds the old one signs along."""

    key: Secret | None = None
    grace_period_seconds: Annotated[int, Field(ge=0, le=604_800)] | None = 86_400


class EndpointStats(Wire):
    """How many deliveries stand where."""

    success: int
    pending: int
    sending: int
    fail: int
    canceled: int


class ReleasedOut(Wire):
    """How many held deliveries are due now."""

    released: int
