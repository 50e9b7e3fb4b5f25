"""What there is, as JSON: the same whether it comes from a database or from a server.

No document has a secret; the names are those of the Python classes.
"""

import json
from collections.abc import Mapping
from typing import Any

from hookline import (
    Application,
    Attempt,
    Attempted,
    AttemptOf,
    AuditEntry,
    DeliveryStatus,
    Endpoint,
    EndpointHealth,
    EndpointStats,
    EventType,
    Job,
    Message,
    Usage,
)
from hookline._domain.options import KNOWN, SENSITIVE
from hookline.cli._show.times import utc

_HIDDEN = SENSITIVE | {"ca", "client_certificate"}


def application(found: Application) -> dict[str, Any]:
    """Return an application."""
    return {
        "id": found.id,
        "uid": found.uid,
        "name": found.name,
        "rate_limit": found.rate_limit,
        "metadata": dict(found.metadata),
        "created_at": utc(found.created_at),
        "updated_at": utc(found.updated_at),
    }


def event_type(found: EventType) -> dict[str, Any]:
    """Return an event type."""
    return {
        "name": found.name,
        "description": found.description,
        "archived": found.archived,
        "deprecated": found.deprecated,
        "group_name": found.group_name,
        "feature_flags": list(found.feature_flags),
        "schemas": found.schemas,
        "created_at": utc(found.created_at),
        "updated_at": utc(found.updated_at),
    }


def endpoint(found: Endpoint) -> dict[str, Any]:
    """Return an endpoint: of headers, keys and proxies it says only that they are there."""
    options = {
        name: _plain(value)
        for name in KNOWN
        if name not in _HIDDEN and (value := getattr(found, name)) not in (None, (), {}, "", False)
    }
    return {
        "id": found.id,
        "uid": found.uid,
        "url": found.url,
        "state": found.state.value,
        "reason": found.disabled_reason or found.pending_reason,
        "events": list(found.events),
        **options,
        "header_names": sorted(found.headers),
        "set": sorted(name for name in _HIDDEN if getattr(found, name)),
        "source": found.source,
        "created_at": utc(found.created_at),
        "updated_at": utc(found.updated_at),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def health(found: EndpointHealth) -> dict[str, Any]:
    """Return how an endpoint is doing."""
    return {
        "circuit": found.circuit.value,
        "failures": found.failures,
        "failing_since": utc(found.failing_since),
        "waits_until": utc(found.waits_until),
        "pending": found.pending,
        "sending": found.sending,
        "held": found.held,
        "next_attempt_at": utc(found.next_attempt_at),
        "last_attempt_at": utc(found.last_attempt_at),
        "last_status": found.last_status,
        "last_failure": found.last_failure,
    }


def stats(found: EndpointStats) -> dict[str, Any]:
    """Return how an endpoint's deliveries ended."""
    return {
        name: getattr(found, name)
        for name in ("succeeded", "exhausted", "pending", "sending", "held")
    }


def message(found: Message, *, content: bool = False) -> dict[str, Any]:
    """Return a message; its payload only with `content`."""
    document = {
        "id": found.id,
        "event_type": found.event_type,
        "event_id": found.event_id,
        "created_at": utc(found.created_at),
        "deliver_at": utc(found.deliver_at),
        "canceled_at": utc(found.canceled_at),
        "channels": list(found.channels),
        "tags": list(found.tags),
        "ordering_key": found.ordering_key,
    }
    if content:
        document["payload"] = payload(found)
    return document


def payload(found: Message) -> Any:
    """Return what a message says; None once that is erased."""
    return None if found.erased else json.loads(found.body)


def attempted(found: Attempted) -> dict[str, Any]:
    """Return a message and where it stands at one endpoint."""
    return {
        **message(found.message),
        "state": found.state.value,
        "attempts": found.attempts,
        "next_attempt_at": utc(found.next_attempt_at),
    }


def delivery(endpoint_id: str, url: str, found: DeliveryStatus) -> dict[str, Any]:
    """Return where a message stands at an endpoint."""
    return {
        "endpoint_id": endpoint_id,
        "url": url,
        "state": found.state.value,
        "attempts": found.attempts,
        "next_attempt_at": utc(found.next_attempt_at),
        "last_status": found.last_status,
        "last_error": found.last_error,
    }


def attempt(found: Attempt, *, content: bool = False) -> dict[str, Any]:
    """Return an attempt; what was answered only with `content`."""
    document: dict[str, Any] = {
        "id": found.id,
        "message_id": found.message_id,
        "endpoint_id": found.endpoint_id,
        "number": found.number,
        "url": found.url,
        "started_at": utc(found.started_at),
        "state": found.state.value,
        "status": found.status,
        "failure": found.failure,
        "detail": found.detail,
        "duration_ms": found.timings.total / 1000,
        "next_attempt_at": utc(found.next_attempt_at),
    }
    if content:
        document["response_headers"] = [list(pair) for pair in found.response_headers]
        document["response_body"] = found.response_body.decode(errors="replace")
        document["timings_ms"] = {
            name: value / 1000 for name, value in found.timings._asdict().items()
        }
    return document


def attempt_of(found: AttemptOf, *, content: bool = False) -> dict[str, Any]:
    """Return an attempt, with the event type of its message where that is known."""
    event = None if found.message is None else found.message.event_type
    return {**attempt(found.attempt, content=content), "event_type": event}


def job(found: Job) -> dict[str, Any]:
    """Return a replay."""
    which = found.selection
    return {
        "id": found.id,
        "state": found.state.value,
        "since": utc(which.since),
        "until": utc(which.until),
        "message_id": which.message,
        "endpoint_id": which.endpoint,
        "states": [state.value for state in which.states],
        "event_types": list(which.event_types),
        "missing": which.missing,
        "channel": which.channel,
        "tag": which.tag,
        "status_class": which.status_class,
        "rate": found.rate,
        "total": found.total,
        "counted": found.counted,
        "done": found.done,
        "reason": found.reason,
        "created_at": utc(found.created_at),
        "updated_at": utc(found.updated_at),
    }


def audited(found: AuditEntry) -> dict[str, Any]:
    """Return an entry of the audit log."""
    return {
        "id": found.id,
        "at": utc(found.at),
        "actor": found.actor._asdict(),
        "action": found.action,
        "target": found.target,
        "application": found.application,
        "fields": list(found.fields),
    }


def usage(found: Usage) -> dict[str, Any]:
    """Return what one application did on one day."""
    return {
        "application": found.application,
        "day": found.day.isoformat(),
        "messages": found.messages,
        "attempts": found.attempts,
    }
