"""Applications over the wire."""

from pydantic import Field

from hookline._web.api.models.wire import (
    Metadata,
    Patch,
    Throttle,
    ThrottleOrNone,
    Time,
    Title,
    Uid,
    Wire,
)


class ApplicationIn(Wire):
    """A new application."""

    name: Title
    uid: Uid | None = None
    throttle_rate: Throttle = None
    metadata: Metadata = Field(default_factory=dict)


class ApplicationPatch(ApplicationIn, Patch):
    """What changes of an application; what is not named stays."""

    name: Title = ""
    throttle_rate: ThrottleOrNone = None


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
