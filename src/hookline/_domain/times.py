"""Times as text."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """Return a time as every client reads it: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
