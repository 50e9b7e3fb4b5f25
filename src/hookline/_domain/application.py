"""Applications: the customers whose endpoints get webhooks, each apart from the others."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hookline._domain import check, ids
from hookline._domain.operational import OPERATIONAL
from hookline._said import Said
from hookline.errors import InvalidInput

MAX_NAME = 256
MAX_METADATA = 50
MAX_METADATA_TEXT = 4096
_UID = re.compile(r"[a-zA-Z0-9\-_.]{1,256}")


@dataclass(frozen=True, slots=True)
class Application:
    """An application as people see it.

    `uid` is the name you know it by, unique; `rate_limit` bounds requests per second over all of
    its endpoints together; `metadata` is yours.
    """

    name: str
    id: str
    created_at: datetime
    updated_at: datetime
    uid: str | None = None
    rate_limit: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def checked_uid(uid: object, prefix: str) -> str | None:
    """Return a uid; raise InvalidInput for one that is malformed, or could be taken for an id."""
    if uid is None:
        return None
    if not isinstance(uid, str) or not _UID.fullmatch(uid):
        raise InvalidInput(
            check.cut(Said("uid: expected 1 to 256 of A-Z a-z 0-9 - _ ., got {got}", got=repr(uid)))
        )
    if prefix == ids.APPLICATION and uid == OPERATIONAL:
        raise InvalidInput(Said("uid: {got} is reserved for operational webhooks", got=repr(uid)))
    if uid.startswith(prefix):
        raise InvalidInput(Said("uid: must not begin with {prefix!r}, as ids do", prefix=prefix))
    return uid


def checked_metadata(metadata: object) -> dict[str, str]:
    """Return metadata: texts by name, 50 of them and 4,096 characters each at most."""
    if not isinstance(metadata, Mapping):
        raise InvalidInput(
            Said("metadata: expected an object, got {got}", got=type(metadata).__name__)
        )
    if len(metadata) > MAX_METADATA:
        raise InvalidInput(
            Said(
                "metadata: {count} entries, at most {most}", count=len(metadata), most=MAX_METADATA
            )
        )
    for name, value in metadata.items():
        check.text("metadata", name, 0, MAX_METADATA_TEXT)
        check.text(f"metadata.{name[:50]}", value, 0, MAX_METADATA_TEXT)
    return dict(metadata)


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an application that are given; raise InvalidInput for a bad one."""
    found = dict(values)
    if "name" in found:
        check.text("name", found["name"], 1, MAX_NAME)
    if "uid" in found:
        found["uid"] = checked_uid(found["uid"], ids.APPLICATION)
    if "metadata" in found:
        found["metadata"] = checked_metadata(found["metadata"])
    check.number("rate_limit", found.get("rate_limit"), 0.001, 100_000)
    return found
