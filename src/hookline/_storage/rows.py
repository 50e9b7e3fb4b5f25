"""Between rows and the engine's values, the same for every hot path."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from hookline._domain import ids
from hookline._domain.breaker import Circuit, CircuitState, Health, judge
from hookline._domain.delivery import Attempt, DeliveryState, Timings
from hookline._domain.endpoint import DEFAULT_CONCURRENCY, Endpoint, SigningSecret, Target
from hookline._domain.history import Message
from hookline._domain.options import SENSITIVE
from hookline._engine.route import Subscriber
from hookline._ports import NewMessage, Settlement
from hookline._storage.schema import HELD, IN_LINE
from hookline._storage.vault import Vault
from hookline.errors import SecretsLocked

SUCCESS = DeliveryState.SUCCEEDED
EXTRA = (
    "channels",
    "metadata",
    "handshake",
    "signatures",
    "allowed_networks",
    "ca",
    "client_certificate",
    "client_key",
    "oauth2",
    "http2",
    "proxy",
    "filter",
    "transform",
)
"""Options that have no column of their own."""
NOT_SENT = ("channels", "metadata", "handshake")
"""Those of them that sending is not concerned with."""


HEADERS, CREDENTIALS = "endpoint.headers", "endpoint.credentials"
SECRET, DIGEST = "endpoint_secret.secret", "endpoint.declared_digest"
"""The columns that are sealed, as their texts are bound to them."""


def target(
    row: Mapping[str, Any], keys: Sequence[tuple[bytes, bytes, str, int | None]], vault: Vault
) -> Target:
    """Return what sending needs from an endpoint's row and its secrets, newest first.

    One whose secrets do not open is `locked`: its attempts fail, those of others do not.
    """
    key = bytes(row["id"])
    schedule = row["retry_schedule"]
    disabled = row["disabled_at"] is not None
    credentials: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}
    secrets: tuple[SigningSecret, ...] = ()
    locked = None
    try:
        headers = opened_headers(vault, row["headers"], key)
        credentials = opened_credentials(vault, row["credentials"], key)
        secrets = tuple(
            SigningSecret(vault.open(stored, SECRET, bytes(own)), ends)
            for owner, own, stored, ends in keys
            if owner == key
        )
    except SecretsLocked as error:
        locked = str(error)
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if row["granted_origin"] is not None:  # CloudEvents HTTP Webhooks 1.0.2, §4.1.2
        lines.append(f"WebHook-Request-Origin: {row['granted_origin']}")
    options = options_of(json.loads(row["options"]), credentials)
    for name in NOT_SENT:
        options.pop(name, None)
    rates = [rate for rate in (row["rate_limit"], row["granted_rate"]) if rate is not None]
    held = (row["disabled_reason"] or "disabled") if disabled else "pending"
    return Target(
        key=key,
        revision=row["revision"],
        url=row["url"],
        header_lines=tuple(lines),
        secrets=secrets,
        locked=locked,
        retry_schedule=tuple(json.loads(schedule)) if schedule else None,
        timeout=row["timeout"],
        concurrency=row["concurrency"] or DEFAULT_CONCURRENCY,
        rate_limit=min(rates, default=None),
        ordered=bool(row["ordered"]),
        app=bytes(row["app_id"]),
        app_rate=row["app_rate"],
        disabled_reason=held if disabled or row["pending"] else None,
        **options,
    )


def subscriber(
    row: Mapping[str, Any], keys: Sequence[tuple[bytes, bytes, str, int | None]], vault: Vault
) -> Subscriber:
    """Return what routing needs from an endpoint's row and its secrets."""
    channels = json.loads(row["options"]).get("channels", ())
    return Subscriber(json.loads(row["events"]), channels, target(row, keys, vault))


MARKS = ("ordering_key", "event_id", "channels", "tags", "traceparent")


def marks(new: NewMessage) -> tuple[str | None, ...]:
    """Return the columns of a message that few have: `MARKS`."""
    if not (new.channels or new.tags):
        return new.ordering_key, new.event_id, None, None, new.traceparent
    channels = orjson.dumps(new.channels).decode() if new.channels else None
    tags = orjson.dumps(new.tags).decode() if new.tags else None
    return new.ordering_key, new.event_id, channels, tags, new.traceparent


def message_row(new: NewMessage) -> dict[str, Any]:
    """Return a message as its table holds it."""
    return {
        "id": new.key,
        "app_id": new.app,
        "event_type": new.event_type,
        "body": new.body,
        **dict(zip(MARKS, marks(new), strict=True)),
        "created_at": new.created_at,
        "deliver_at": new.deliver_at,
    }


def sealed_headers(vault: Vault, headers: Mapping[str, str], key: bytes) -> str:
    """Return what the headers column holds."""
    text = orjson.dumps(dict(headers)).decode()
    return vault.seal(text, HEADERS, key) if headers else text


def opened_headers(vault: Vault, stored: str, key: bytes) -> dict[str, str]:
    """Return the headers of an endpoint from what its column holds; raise SecretsLocked."""
    headers: dict[str, str] = json.loads(vault.open(stored, HEADERS, key))
    return headers


def extras(declared: Endpoint) -> dict[str, Any]:
    """Return the options of an endpoint that have no column of their own, and no secret."""
    given = {name: getattr(declared, name) for name in EXTRA if name not in SENSITIVE}
    return {name: value for name, value in given.items() if value}


def sealed_credentials(vault: Vault, given: Mapping[str, Any], key: bytes) -> str | None:
    """Return what the credentials column holds: the options that have secrets, None for none."""
    found = {name: value for name, value in sorted(given.items()) if value}
    return vault.seal(orjson.dumps(found).decode(), CREDENTIALS, key) if found else None


def opened_credentials(vault: Vault, stored: str | None, key: bytes) -> dict[str, Any]:
    """Return those options again; raise SecretsLocked."""
    found: dict[str, Any] = json.loads(vault.open(stored, CREDENTIALS, key)) if stored else {}
    return found


def options_of(extra: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, Any]:
    """Return options and credentials as Endpoint and Target have them."""
    found = {name: extra[name] for name in EXTRA if name in extra} | dict(credentials)
    for name in ("allowed_networks", "channels", "signatures"):
        if name in found:
            found[name] = tuple(found[name])
    return found


def circuit(row: Sequence[Any]) -> Circuit:
    """Return a circuit from its columns, the endpoint's key left out."""
    return Circuit(CircuitState(row[0]), *row[1:])


def attempt(settlement: Settlement, kept: int) -> tuple[Any, ...]:
    """Return the log's row for a settled attempt, with `kept` bytes of the answer's body."""
    delivery, outcome, decision = settlement.delivery, settlement.outcome, settlement.decision
    times = outcome.timings
    return (
        delivery.message,
        settlement.key,
        delivery.target.key,
        delivery.attempts + 1,
        "scheduled" if delivery.resume_at is None else "manual",
        settlement.started_at,
        delivery.target.url,
        decision.state.value,
        outcome.status,
        outcome.failure.value if outcome.failure is not None else None,
        outcome.detail,
        orjson.dumps(outcome.headers).decode() if outcome.headers else "[]",
        outcome.body[:kept],
        times.dns,
        times.connect,
        times.tls,
        times.first_byte,
        times.total,
        decision.next_attempt_at,
    )


def is_final(settlement: Settlement) -> bool:
    """Return whether the live row goes: nothing is left to do for the delivery."""
    return settlement.decision.state not in (DeliveryState.PENDING, DeliveryState.HELD)


def kept_on(settlement: Settlement) -> tuple[int, int]:
    """Return the schedule's step and the next time of a delivery that stays.

    A manual attempt that interrupted a running schedule counts for nothing in it.
    """
    delivery, decision = settlement.delivery, settlement.decision
    step = delivery.step if delivery.resume_at else delivery.step + 1
    held = decision.state is DeliveryState.HELD or decision.next_attempt_at is None
    return step, HELD if held else decision.next_attempt_at or 0


def lines_left(settlements: Iterable[Settlement], kept: Iterable[bool]) -> list[tuple[bytes, str]]:
    """Return the lines of ordered endpoints whose head is gone, in a fixed order."""
    return sorted(
        {
            (s.delivery.target.key, s.delivery.line)
            for s, ours in zip(settlements, kept, strict=True)
            if ours and s.delivery.line is not None and is_final(s)
        }
    )


def by_endpoint(
    settlements: Iterable[Settlement], kept: Iterable[bool]
) -> dict[bytes, list[Settlement]]:
    """Group the settlements that were kept by endpoint, in order."""
    groups: dict[bytes, list[Settlement]] = {}
    for settlement, ours in zip(settlements, kept, strict=True):
        if ours:
            groups.setdefault(settlement.delivery.target.key, []).append(settlement)
    return groups


def all_well(settlements: Iterable[Settlement]) -> bool:
    """Return whether there were successes only."""
    return all(s.decision.state is SUCCESS for s in settlements)


def disable_reason(settlements: Iterable[Settlement], found: Health) -> str | None:
    """Return why the endpoint is to be disabled: a receiver asked for it, or it failed too long."""
    asked = (s.decision.disable_endpoint for s in settlements)
    return next(filter(None, asked), found.disable)


def health(settlements: Sequence[Settlement], before: Circuit | None, now: int) -> Health:
    """Return what a batch's results make of an endpoint."""
    results = [(s.decision.state is SUCCESS, s.decision.endpoint_waits_until) for s in settlements]
    return judge(before, results, cap=settlements[0].delivery.target.concurrency, now=now)


def time(milliseconds: int) -> datetime:
    """Return a stored time."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def milliseconds(moment: datetime) -> int:
    """Return a time as it is stored."""
    return round(moment.timestamp() * 1000)


def maybe_time(milliseconds: int | None) -> datetime | None:
    """Return a stored time, None for none."""
    return None if milliseconds is None else time(milliseconds)


START, END = bytes(16), b"\xff" * 16
"""The lowest key there can be, and the highest."""


def first_key(at: int) -> bytes:
    """Return the smallest key of a time (Unix ms): what is older has a smaller one."""
    return (max(0, at) << 80).to_bytes(16)


def live_state(row: Any, now: int) -> DeliveryState:
    """Return the state of a row of the live queue."""
    if row.next_attempt_at == HELD:
        return DeliveryState.HELD
    if row.lease and now < row.next_attempt_at < IN_LINE:
        return DeliveryState.SENDING
    return DeliveryState.PENDING


def attempt_of(row: Any) -> Attempt:
    """Return an attempt as people see it."""
    return Attempt(
        id=ids.encode(ids.ATTEMPT, row.id),
        message_id=ids.encode(ids.MESSAGE, row.message_id),
        endpoint_id=ids.encode(ids.ENDPOINT, row.endpoint_id),
        number=row.number,
        url=row.url,
        started_at=time(row.started_at),
        state=DeliveryState(row.state),
        status=row.status,
        failure=row.failure,
        detail=row.detail,
        response_headers=tuple((name, value) for name, value in row.response_headers),
        response_body=row.response_body,
        timings=Timings(row.dns_us, row.connect_us, row.tls_us, row.first_byte_us, row.total_us),
        next_attempt_at=maybe_time(row.next_attempt_at),
        trigger=row.trigger,
    )


def message_of(row: Any) -> Message:
    """Return a message as it was published."""
    return Message(
        id=ids.encode(ids.MESSAGE, row.id),
        event_type=row.event_type,
        created_at=time(row.created_at),
        body=bytes(row.body),
        event_id=row.event_id,
        channels=tuple(json.loads(row.channels or "[]")),
        tags=tuple(json.loads(row.tags or "[]")),
        deliver_at=maybe_time(row.deliver_at),
        canceled_at=maybe_time(row.canceled_at),
        ordering_key=row.ordering_key,
    )
