"""Event types as they are catalogued: described, with schemas and examples."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hookline._domain import check
from hookline._said import Said
from hookline.errors import InvalidInput

MAX_NAME = 256
MAX_DESCRIPTION = 4096
DEFAULTS: Mapping[str, Any] = {
    "description": "",
    "schemas": None,
    "archived": False,
    "deprecated": False,
    "group_name": None,
    "feature_flags": None,
}
"""What is not said of an event type."""
_NAME = re.compile(r"[a-zA-Z0-9\-_.]+")


@dataclass(frozen=True, slots=True)
class EventType:
    """An event type as people see it. `schemas` are JSON schemas by version."""

    name: str
    created_at: datetime
    updated_at: datetime
    description: str = ""
    schemas: Mapping[str, Any] | None = None
    archived: bool = False
    deprecated: bool = False
    group_name: str | None = None
    feature_flags: tuple[str, ...] = ()

    @property
    def schema(self) -> Any:
        """The schema of its newest version, None when it has none."""
        return newest(self.schemas or {})


def newest(schemas: Mapping[str, Any]) -> Any:
    """Return the schema of the highest version, None of none: numbers come after other names."""
    version = newest_version(schemas)
    return None if version is None else schemas[version]


def newest_version(schemas: Mapping[str, Any]) -> str | None:
    """Return the highest version, None of none."""
    return max(schemas, key=_version) if schemas else None


def _version(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() and name.isascii() else (0, name)


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an event type that are given; raise InvalidInput for a bad one."""
    found = dict(values)
    if "name" in found:
        check.text("name", found["name"], 1, MAX_NAME)
        if not _NAME.fullmatch(found["name"]):
            raise InvalidInput(
                Said(
                    "name: {name!r} has other characters than A-Z a-z 0-9 - _ .", name=found["name"]
                )
            )
    if "description" in found:
        check.text("description", found["description"], 0, MAX_DESCRIPTION)
    if found.get("group_name") is not None:
        check.text("group_name", found["group_name"], 1, MAX_NAME)
        if not _NAME.fullmatch(found["group_name"]):
            raise InvalidInput(Said("group_name: has other characters than A-Z a-z 0-9 - _ ."))
    schemas = found.get("schemas")
    if schemas is not None and not isinstance(schemas, Mapping):
        raise InvalidInput(
            Said("schemas: expected an object, got {got}", got=type(schemas).__name__)
        )
    return found
