"""An endpoint's health: the circuit breaker, its slow start, and when to give up on it.

A healthy endpoint has no `Circuit` at all. One is made by its first failure and dropped when it is
well again, so that the state shared by all workers stays as small as the trouble.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

OPEN_AFTER = 10
"""Failures in a row."""
FIRST_PAUSE, LONGEST_PAUSE = 30_000, 15 * 60_000
"""Milliseconds an open circuit waits before a probe: doubling from one to the other."""
WARN_AFTER = (24 * 3_600_000, 72 * 3_600_000)
DISABLE_AFTER = 5 * 24 * 3_600_000
"""Milliseconds without one 2xx until the warnings, and until the endpoint is disabled."""
DISABLE_FAILED = 20
"""Failed attempts it takes at least to be disabled."""


class CircuitState(StrEnum):
    """Closed: traffic flows. Open: it waits. Half open: one probe is under way."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Circuit(NamedTuple):
    """The health of an endpoint in trouble. Times in Unix milliseconds.

    `failures` in a row open the circuit; `failed` and `failing_since` count since the last 2xx;
    `opened` times in a row double the pause. Nothing is sent before `blocked_until`. `ramp` is how
    many may be in flight while it recovers, 0 for no limit of its own.
    """

    state: CircuitState = CircuitState.CLOSED
    failures: int = 0
    failed: int = 0
    failing_since: int | None = None
    opened: int = 0
    blocked_until: int = 0
    ramp: int = 0
    warned: int = 0

    def admits(self, now: int) -> int | None:
        """Return how many may be in flight now: 0 none, None as many as the endpoint allows."""
        if self.blocked_until > now:
            return 0
        if self.state is not CircuitState.CLOSED:
            return 1
        return self.ramp or None

    def probing(self, until: int) -> "Circuit":
        """Return it with one probe under way, nobody else admitted before `until`."""
        return self._replace(state=CircuitState.HALF_OPEN, blocked_until=until)


class Health(NamedTuple):
    """What a batch of results made of an endpoint.

    `warning` is how long (ms) it has been failing when that is news; `disable` the reason to
    disable it.
    """

    circuit: Circuit | None
    warning: int | None = None
    disable: str | None = None


def judge(
    circuit: Circuit | None, results: Iterable[tuple[bool, int]], *, cap: int, now: int
) -> Health:
    """Return an endpoint's health after results, in the order they came.

    Each result is whether it was a 2xx, and until when (Unix ms, or 0) the receiver asked the
    whole endpoint to wait. `cap` is the endpoint's concurrency, where the slow start ends.
    """
    for ok, wait_until in results:
        if ok:
            circuit = _after_success(circuit, cap, now)
        else:
            circuit = _after_failure(circuit or Circuit(), now)
            circuit = circuit._replace(blocked_until=max(circuit.blocked_until, wait_until))
    return _long_view(circuit, now) if circuit is not None else Health(None)


def _after_success(circuit: Circuit | None, cap: int, now: int) -> Circuit | None:
    if circuit is None:
        return None
    closed = circuit.state is CircuitState.CLOSED
    ramp = circuit.ramp * 2 if closed else 1
    # A wait the receiver asked for stands, whatever else it answers meanwhile.
    wait = circuit.blocked_until if closed and circuit.blocked_until > now else 0
    if ramp >= cap:
        ramp = 0
    return Circuit(ramp=ramp, blocked_until=wait) if ramp or wait else None


def _after_failure(circuit: Circuit, now: int) -> Circuit:
    circuit = circuit._replace(
        failures=circuit.failures + 1,
        failed=circuit.failed + 1,
        failing_since=circuit.failing_since if circuit.failing_since is not None else now,
    )
    if circuit.state is CircuitState.OPEN:
        return circuit  # sent before it opened: says nothing new
    if circuit.state is CircuitState.HALF_OPEN or circuit.failures >= OPEN_AFTER:
        pause = min(FIRST_PAUSE << min(circuit.opened, 16), LONGEST_PAUSE)
        return circuit._replace(
            state=CircuitState.OPEN, opened=circuit.opened + 1, blocked_until=now + pause, ramp=0
        )
    return circuit._replace(ramp=min(circuit.ramp, 1))


def _long_view(circuit: Circuit, now: int) -> Health:
    since = circuit.failing_since
    failing = 0 if since is None else now - since
    if failing >= DISABLE_AFTER and circuit.failed >= DISABLE_FAILED:
        reason = f"no 2xx for {failing // 86_400_000} days and {circuit.failed} attempts"
        return Health(circuit, disable=reason)
    level = sum(1 for after in WARN_AFTER if failing >= after)
    if level > circuit.warned:
        return Health(circuit._replace(warned=level), warning=failing)
    return Health(circuit)
