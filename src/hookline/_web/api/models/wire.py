"""What all models stand on: names, types and bounds, pages and errors.

Requests ignore what they do not know, as the official clients expect; what we add beyond them is
optional.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

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

from hookline._domain.times import rfc3339

T = TypeVar("T")
NAME = r"^[a-zA-Z0-9\-_.]+$"
SUBSCRIPTION = r"^(\*|[a-zA-Z0-9\-_.]+(\.\*)?)$"
FIRST_YEAR, LAST_YEAR = 2, 9998
"""Those of which every zone's times are times in UTC as well."""


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
Title = Annotated[str, Field(min_length=1, max_length=256)]
Url = Annotated[str, Field(min_length=1, max_length=65_536)]
Secret = Annotated[str, Field(pattern=r"^(whsec_|whsk_)?[a-zA-Z0-9+/=]{32,100}$")]
Uid = Annotated[str, Field(min_length=1, max_length=256, pattern=NAME)]
Name = Annotated[str, Field(max_length=256, pattern=NAME)]
Subscription = Annotated[str, Field(max_length=256, pattern=SUBSCRIPTION)]
Channel = Annotated[str, Field(max_length=128, pattern=NAME)]
Throttle = Annotated[
    Annotated[int, Field(ge=1, le=65_535)] | None,
    Field(validation_alias=AliasChoices("throttleRate", "rateLimit")),
]
ThrottleOrNone = Annotated[
    int | None,
    Field(ge=0, le=65_535, validation_alias=AliasChoices("throttleRate", "rateLimit")),
    AfterValidator(lambda rate: rate or None),
]
"""Of a patch: 0 is none."""
Metadata = dict[str, str]
Flags = Annotated[list[Name] | None, AfterValidator(_unique)]
Names = Annotated[
    list[Subscription] | None, AfterValidator(_unique), AfterValidator(_none_if_empty)
]
EventTypes = Annotated[Names, Field(validation_alias=AliasChoices("eventTypes", "filterTypes"))]
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


class Empty(Wire):
    """An empty object."""


def given(model: BaseModel) -> Mapping[str, Any]:
    """Return the fields that a request named, for an update that leaves the others alone."""
    return {name: getattr(model, name) for name in model.model_fields_set}
