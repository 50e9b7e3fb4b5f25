"""What a server answers, as the façade's own classes; and the other way round."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import orjson

from hookline import (
    Application,
    Attempt,
    Attempted,
    AttemptOf,
    AuditEntry,
    DeliveryState,
    DeliveryStatus,
    Endpoint,
    EndpointHealth,
    EndpointState,
    EndpointStats,
    EventType,
    Job,
    JobState,
    Message,
    Plan,
    Usage,
)
from hookline._domain.audit import Actor
from hookline._domain.breaker import CircuitState
from hookline._domain.delivery import Timings
from hookline._domain.options import KNOWN
from hookline._domain.plan import Action, Change, FieldChange
from hookline._domain.replay import FAILED, Selection
from hookline.errors import InvalidInput

_TUPLES = ("retry_schedule", "signatures", "allowed_networks", "channels")
_RENAMED = {"rate_limit": "throttleRate", "events": "eventTypes"}
EXPIRED = b'{"expired":true}'


def maybe(text: str | None) -> datetime | None:
    """Return a time that may not be there."""
    return None if text is None else datetime.fromisoformat(text)


def application(found: Mapping[str, Any]) -> Application:
    """Return an application."""
    return Application(
        name=found["name"],
        id=found["id"],
        created_at=datetime.fromisoformat(found["createdAt"]),
        updated_at=datetime.fromisoformat(found["updatedAt"]),
        uid=found.get("uid"),
        rate_limit=found.get("throttleRate"),
        metadata=found.get("metadata") or {},
    )


def event_type(found: Mapping[str, Any]) -> EventType:
    """Return an event type."""
    return EventType(
        name=found["name"],
        created_at=datetime.fromisoformat(found["createdAt"]),
        updated_at=datetime.fromisoformat(found["updatedAt"]),
        description=found.get("description") or "",
        schemas=found.get("schemas"),
        archived=bool(found.get("archived")),
        deprecated=bool(found.get("deprecated")),
        group_name=found.get("groupName"),
        feature_flags=tuple(found.get("featureFlags") or ()),
    )


def endpoint(found: Mapping[str, Any]) -> Endpoint:
    """Return an endpoint, without its secret and its headers: those are asked for apart."""
    options: dict[str, Any] = {}
    for name in KNOWN:
        value = found.get(_RENAMED.get(name, camel(name)))
        if value is not None:
            options[name] = tuple(value) if name in _TUPLES else value
    at = maybe(found.get("disabledAt")) or maybe(found["updatedAt"])
    return Endpoint(
        url=found["url"],
        events=tuple(found.get("eventTypes") or ("*",)),
        uid=found.get("uid"),
        source=found.get("source") or "api",
        id=found["id"],
        disabled_at=at if found.get("disabled") else None,
        disabled_reason=found.get("disabledReason"),
        pending_since=maybe(found.get("pendingSince")),
        pending_reason=found.get("pendingReason"),
        created_at=maybe(found["createdAt"]),
        updated_at=maybe(found["updatedAt"]),
        **options,
    )


def camel(name: str) -> str:
    """Return a name as it is on the wire."""
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def endpoint_body(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to change of an endpoint, by the names of the wire."""
    for name in values:
        if name not in (*KNOWN, "url", "events", "uid", "secret", "disabled"):
            raise InvalidInput(f"{name}: an endpoint has no such option")
    found = fields(values)
    if found.get("eventTypes") == ["*"]:
        found["eventTypes"] = None
    for name, empty in (
        ("description", ""),
        ("metadata", {}),
        ("ordered", False),
        ("http2", False),
    ):
        if name in found and found[name] is None:
            found[name] = empty
    return found


def fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by the names of the wire."""
    found = {_RENAMED.get(name, camel(name)): _plain(value) for name, value in values.items()}
    rate = found.get("throttleRate")
    if isinstance(rate, float):
        if not rate.is_integer():
            raise InvalidInput(f"rate_limit: {rate:g}: over a server it is a whole number")
        found["throttleRate"] = int(rate)
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def health(found: Mapping[str, Any]) -> EndpointHealth:
    """Return how an endpoint is doing."""
    return EndpointHealth(
        state=EndpointState(found["state"]),
        circuit=CircuitState(found["circuit"]),
        failures=found["failures"],
        failing_since=maybe(found.get("failingSince")),
        waits_until=maybe(found.get("waitsUntil")),
        pending=found["pending"],
        sending=found["sending"],
        held=found["held"],
        next_attempt_at=maybe(found.get("nextAttempt")),
        last_attempt_at=maybe(found.get("lastAttempt")),
        last_status=found.get("lastStatus"),
        last_failure=found.get("lastFailure"),
    )


def stats(found: Mapping[str, Any]) -> EndpointStats:
    """Return how deliveries ended; a server counts held ones as pending."""
    return EndpointStats(
        succeeded=found["success"],
        exhausted=found["fail"],
        pending=found["pending"],
        sending=found["sending"],
    )


def message(found: Mapping[str, Any]) -> Message:
    """Return a message, its payload as JSON that says the same."""
    body = orjson.dumps(found.get("payload"))
    return Message(
        id=found["id"],
        event_type=found["eventType"],
        created_at=datetime.fromisoformat(found["timestamp"]),
        body=b"" if body == EXPIRED else body,
        event_id=found.get("eventId"),
        channels=tuple(found.get("channels") or ()),
        tags=tuple(found.get("tags") or ()),
        deliver_at=maybe(found.get("deliverAt")),
        canceled_at=maybe(found.get("canceledAt")),
        ordering_key=found.get("orderingKey"),
    )


def attempted(found: Mapping[str, Any]) -> Attempted:
    """Return a message and where it stands at an endpoint."""
    again = maybe(found.get("nextAttempt"))
    state = DeliveryState(found["deliveryState"])
    return Attempted(message(found), state, found["attempts"], again)


def attempt(found: Mapping[str, Any]) -> AttemptOf:
    """Return an attempt, with its message where that came along."""
    again = maybe(found.get("nextAttempt"))
    failed = DeliveryState.EXHAUSTED if again is None else DeliveryState.PENDING
    status = found["responseStatusCode"] or None
    response = found.get("response") or ""
    times = found.get("timings") or {"total": found["responseDurationMs"] * 1000}
    made = Attempt(
        id=found["id"],
        message_id=found["msgId"],
        endpoint_id=found["endpointId"],
        number=found.get("number") or 0,
        url=found["url"],
        started_at=datetime.fromisoformat(found["timestamp"]),
        state=DeliveryState.SUCCEEDED if found["status"] == 0 else failed,
        status=status,
        failure=found.get("failure"),
        detail="" if status or response == "{}" else response,
        response_headers=tuple((n, v) for n, v in found.get("responseHeaders") or ()),
        response_body=response.encode() if status else b"",
        timings=Timings(**times),
        next_attempt_at=again,
    )
    msg = found.get("msg")
    return AttemptOf(made, None if msg is None else message(msg))


def delivery(found: Mapping[str, Any]) -> tuple[Endpoint, DeliveryStatus]:
    """Return an endpoint, and where a message stands there."""
    place = endpoint(found)
    return place, DeliveryStatus(
        endpoint_id=place.id or "",
        url=place.url,
        state=DeliveryState(found["deliveryState"]),
        attempts=found["attempts"],
        next_attempt_at=maybe(found.get("nextAttempt")),
        last_status=found.get("lastStatus"),
        last_error=found.get("lastFailure"),
    )


def job(found: Mapping[str, Any]) -> Job:
    """Return a replay."""
    data = found.get("data") or {}
    updated = datetime.fromisoformat(found["updatedAt"])
    since = maybe(data.get("since"))
    named = data.get("messageId")
    selection = Selection(
        since=since if named is None else None,
        until=maybe(data.get("until")) if named is None else None,
        endpoint=data.get("endpointId"),
        message=named,
        states=tuple(DeliveryState(each) for each in data.get("states", FAILED)),
        event_types=tuple(data.get("eventTypes") or ()),
        missing=bool(data.get("missing")),
        channel=data.get("channel"),
        tag=data.get("tag"),
        status_class=data.get("statusCodeClass"),
    )
    return Job(
        id=found["id"] or None,
        state=JobState(data.get("state") or found["status"]),
        selection=selection,
        rate=data.get("rate"),
        total=data.get("total", 0),
        counted=data.get("counted", True),
        done=data.get("done", 0),
        created_at=maybe(data.get("createdAt")) or updated,
        updated_at=updated,
        reason=data.get("reason"),
    )


def usage(found: Mapping[str, Any]) -> Usage:
    """Return what one application did on one day."""
    day = date.fromisoformat(found["day"])
    return Usage(found["appId"], day, found["messages"], found["attempts"])


def audited(found: Mapping[str, Any]) -> AuditEntry:
    """Return an entry of the audit log."""
    actor = found["actor"]
    return AuditEntry(
        id=found["id"],
        at=datetime.fromisoformat(found["timestamp"]),
        actor=Actor(actor["kind"], actor.get("id"), actor.get("name") or ""),
        action=found["action"],
        target=found["target"],
        application=found.get("appId"),
        fields=tuple(found["fields"]),
    )


def plan(found: Mapping[str, Any], document: Mapping[str, Any], *, prune: bool) -> Plan:
    """Return what importing a document changes."""
    return Plan(tuple(map(_change, found["changes"])), document, prune)


def _change(found: Mapping[str, Any]) -> Change:
    fields = found["fields"]
    return Change(
        Action(found["action"]),
        found["kind"],
        found["name"],
        tuple(FieldChange(f["field"], f.get("before"), f.get("after")) for f in fields),
        tuple(found["notes"]),
    )


def rfc3339(moment: datetime | None) -> str | None:
    """Return a time as the wire has it."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
