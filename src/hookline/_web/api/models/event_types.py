"""Event types over the wire."""

from typing import Annotated, Any

from pydantic import Field

from hookline._web.api.models.wire import Flags, Name, Patch, Time, Uid, Wire

Description = Annotated[str, Field(max_length=4096)]


class EventTypeFields(Wire):
    """What an event type is, beside its name."""

    description: Description
    archived: bool = False
    deprecated: bool = False
    schemas: dict[str, dict[str, Any]] | None = None
    group_name: Name | None = None
    feature_flags: Flags = None
    feature_flag: Name | None = None


class EventTypeIn(EventTypeFields):
    """A new event type."""

    name: Uid


class EventTypePatch(EventTypeFields, Patch):
    """What changes of an event type; what is not named stays."""

    description: Description = ""


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


class EventExampleIn(Wire):
    """Which example of which event type."""

    event_type: Name
    example_index: Annotated[int, Field(ge=0, le=1000)] = 0
