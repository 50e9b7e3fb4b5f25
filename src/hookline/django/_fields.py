"""Hookline's columns as Django's fields: for reading, and for looking things up."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import models

from hookline._domain import ids


class KeyField(models.Field):  # type: ignore[type-arg]
    """A key: `msg_…` in Python, 16 bytes on SQLite, a uuid on PostgreSQL."""

    def __init__(self, prefix: str = "", **options: Any) -> None:
        """`prefix` says whose ids they are, such as `msg_`."""
        self.prefix = prefix
        super().__init__(**options)

    def deconstruct(self) -> Any:
        """Say how to make it again, for migrations."""
        name, path, args, options = super().deconstruct()
        return name, path, args, {**options, "prefix": self.prefix}

    def db_type(self, connection: Any) -> str:
        """Return the column's type."""
        return "uuid" if connection.vendor == "postgresql" else "blob"

    def from_db_value(self, value: Any, *_: Any) -> str | None:
        """Return the id."""
        if value is None:
            return None
        key = value.bytes if isinstance(value, UUID) else bytes(value)
        return ids.encode(self.prefix, key)

    def to_python(self, value: Any) -> str | None:
        """Return the id, or raise ValidationError for what is none."""
        if value is not None and ids.decode(self.prefix, str(value)) is None:
            raise ValidationError(f"{value!r} is not an id of the form {self.prefix}…")
        return None if value is None else str(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:  # noqa: ARG002
        """Return the key in the driver's form; one that nothing has for what is no id."""
        if value is None:
            return None
        key = ids.decode(self.prefix, str(value)) or bytes(16)
        return UUID(bytes=key) if connection.vendor == "postgresql" else key


class JsonField(models.Field):  # type: ignore[type-arg]
    """JSON: a text on SQLite, `json` on PostgreSQL, where Django's own field is `jsonb`."""

    def db_type(self, connection: Any) -> str:
        """Return the column's type."""
        return "json" if connection.vendor == "postgresql" else "text"

    def from_db_value(self, value: Any, *_: Any) -> Any:
        """Return what it says; drivers of PostgreSQL have read it already."""
        return json.loads(value) if isinstance(value, str) else value


class TimeField(models.BigIntegerField):  # type: ignore[type-arg]
    """Unix milliseconds; an aware datetime in Python."""

    def from_db_value(self, value: int | None, *_: Any) -> datetime | None:
        """Return the time."""
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)

    def to_python(self, value: Any) -> Any:
        """Take a datetime as it is."""
        return value

    def get_prep_value(self, value: Any) -> Any:
        """Return milliseconds."""
        return round(value.timestamp() * 1000) if isinstance(value, datetime) else value
