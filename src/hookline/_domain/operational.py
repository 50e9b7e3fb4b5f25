"""Operational events: what Hookline tells of itself, as webhooks."""

from typing import Any

OPERATIONAL = "operational"
"""The uid of the application whose endpoints are told. It is not listed, and nobody's."""
NAME = "Operational webhooks"

DISABLED = "endpoint.disabled"
CHANGED = frozenset(
    {
        "endpoint.created",
        "endpoint.updated",
        "endpoint.deleted",
        "endpoint.enabled",
        DISABLED,
    }
)
"""Told of changes that a person makes, in their transaction."""
EVENTS = (
    *sorted(CHANGED),
    "endpoint.failing",
    "endpoint.verified",
    "endpoint.unverified",
    "message.attempt.exhausted",
    "message.attempt.failing",
    "message.attempt.recovered",
)
"""Where Svix has the event too, it has this name and these data."""
FAILING_AT = 4
"""The failed attempt of a message at which it is told of as failing."""
MANUAL, AUTOMATIC = "manual", "automatic"


def payload(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an event; what is not known is left out."""
    return {"type": kind, "data": {name: value for name, value in data.items() if value}}
