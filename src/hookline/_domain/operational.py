"""Operational events: what Hookline tells of itself, as webhooks."""

from typing import Any

OPERATIONAL = "operational"
"""The uid of the application whose endpoints are told. It is not listed, and nobody's."""
NAME = "Operational webhooks"

CHANGED = frozenset(
    {
        "endpoint.created",
        "endpoint.updated",
        "endpoint.deleted",
        "endpoint.enabled",
        "endpoint.disabled",
    }
)
"""Told of changes that a person makes, in their transaction."""
EVENTS = (
    *sorted(CHANGED),
    "endpoint.failing",
    "endpoint.verified",
    "endpoint.unverified",
    "message.exhausted",
    "message.recovered",
)
MANUAL, AUTOMATIC = "manual", "automatic"


def payload(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an event; what is not known is left out."""
    return {"type": kind, "data": {name: value for name, value in data.items() if value}}
