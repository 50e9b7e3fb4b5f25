"""Between rows and the engine's values, the same for every hot path."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from hookline._domain.breaker import Circuit, CircuitState, Health, judge
from hookline._domain.delivery import DeliveryState
from hookline._domain.endpoint import DEFAULT_CONCURRENCY, Endpoint, SigningSecret, Target
from hookline._ports import Settlement
from hookline._storage.schema import HELD

SUCCESS = DeliveryState.SUCCEEDED


def target(row: Mapping[str, Any], keys: Sequence[tuple[bytes, str, int | None]]) -> Target:
    """Return what sending needs from an endpoint's row and its secrets, newest first."""
    key = bytes(row["id"])
    schedule = row["retry_schedule"]
    disabled = row["disabled_at"] is not None
    lines = [f"{name}: {v}" for name, v in json.loads(row["headers"]).items()]
    if row["granted_origin"] is not None:  # CloudEvents HTTP Webhooks 1.0.2, §4.1.2
        lines.append(f"WebHook-Request-Origin: {row['granted_origin']}")
    rates = [rate for rate in (row["rate_limit"], row["granted_rate"]) if rate is not None]
    held = (row["disabled_reason"] or "disabled") if disabled else "pending"
    return Target(
        key=key,
        revision=row["revision"],
        url=row["url"],
        header_lines=tuple(lines),
        secrets=tuple(SigningSecret(text, ends) for owner, text, ends in keys if owner == key),
        retry_schedule=tuple(json.loads(schedule)) if schedule else None,
        timeout=row["timeout"],
        concurrency=row["concurrency"] or DEFAULT_CONCURRENCY,
        rate_limit=min(rates, default=None),
        ordered=bool(row["ordered"]),
        allowed_networks=tuple(options(row).get("allowed_networks", ())),
        disabled_reason=held if disabled or row["pending"] else None,
    )


def options(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an endpoint's row that have no column of their own."""
    found: dict[str, Any] = json.loads(row["options"])
    return found


def extras(declared: Endpoint) -> dict[str, Any]:
    """Return the options of an endpoint that have no column of their own."""
    own = {"allowed_networks": declared.allowed_networks, "handshake": declared.handshake}
    return {name: value for name, value in own.items() if value}


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
