"""What a catalogue knows of an event type, and the schema of the body it is sent in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple, Protocol

from hookline._domain.event_type import newest
from hookline.errors import InvalidInput

SINCE, SUNSET, SUCCESSOR = "x-deprecated-since", "x-sunset", "x-successor"
"""Keywords of our own at the top of a schema, beside JSON Schema's `deprecated`."""
TIMESTAMP = "2026-01-31T12:00:00.000Z"
"""When the event of an example happened."""


class Described(Protocol):
    """An event type, from code or from the database: `EventType` is one."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def schemas(self) -> Mapping[str, Any] | None: ...
    @property
    def deprecated(self) -> bool: ...
    @property
    def group_name(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Declared:
    """An event type as code declares it. `schemas` are those of whole bodies, by version."""

    name: str
    description: str = ""
    schemas: Mapping[str, Any] | None = None
    deprecated: bool = False
    group_name: str | None = None


class Deprecation(NamedTuple):
    """Since when something is deprecated, from which day on it is not sent, and what follows it."""

    since: str | None = None
    sunset: str | None = None
    successor: str | None = None

    def __str__(self) -> str:
        """Say it: `deprecated since 2027-01-01, not sent from 2027-07-01 on; use a.b instead`."""
        text = "deprecated" + (f" since {self.since}" if self.since else "")
        text += f", not sent from {self.sunset} on" if self.sunset else ""
        return text + (f"; use {self.successor} instead" if self.successor else "")

    @property
    def sentence(self) -> str:
        """The same, as a sentence."""
        return f"D{str(self)[1:]}."


def deprecation(schema: Any, *, deprecated: bool = False) -> Deprecation | None:
    """Return what a body's schema says of its deprecation; None when it is not deprecated."""
    if not isinstance(schema, Mapping):
        return Deprecation() if deprecated else None
    if not deprecated and schema.get("deprecated") is not True:
        return None
    since, sunset, successor = (_text(schema.get(name)) for name in (SINCE, SUNSET, SUCCESSOR))
    return Deprecation(since, sunset, successor)


def deprecation_of(found: Described) -> Deprecation | None:
    """Return how an event type is deprecated, by its newest version and its own flag."""
    return deprecation(newest(found.schemas or {}), deprecated=found.deprecated)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def day(value: Any, name: str) -> date | None:
    """Return an ISO date found in a schema; raise InvalidInput for another text."""
    try:
        return None if value is None else date.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidInput(f"{name}: expected a day such as 2027-01-31, got {value!r}") from None


def body_schema(
    name: str,
    data: Mapping[str, Any],
    *,
    description: str = "",
    example: Any = None,
    deprecated: Deprecation | None = None,
) -> dict[str, Any]:
    """Return the schema of the whole body: the envelope around what `data` describes.

    Definitions of `data` move to the top, where references in it expect them. `example` is an
    example of the data, put into one of the body.
    """
    own = dict(data)
    definitions = own.pop("$defs", None)
    schema: dict[str, Any] = {"title": name}
    if description:
        schema["description"] = description
    if deprecated is not None:
        schema["deprecated"] = True
        said = zip((SINCE, SUNSET, SUCCESSOR), deprecated, strict=True)
        schema |= {key: value for key, value in said if value}
    schema |= {
        "type": "object",
        "properties": {
            "event": {"type": "string", "const": name, "description": "The event type."},
            "data": own,
            "timestamp": {
                "type": "string",
                "format": "date-time",
                "description": "When it happened, in UTC.",
            },
            "metadata": {"type": "object", "description": "What else is known of it, if anything."},
        },
        "required": ["event", "data", "timestamp"],
    }
    if definitions:
        schema["$defs"] = definitions
    if example is not None:
        schema["examples"] = [{"event": name, "data": example, "timestamp": TIMESTAMP}]
    return schema


def plain(names: Iterable[str]) -> list[Declared]:
    """Return event types of which only the name is known: their data are any object."""
    return [Declared(name, schemas={"1": body_schema(name, {"type": "object"})}) for name in names]
