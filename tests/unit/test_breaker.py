"""An endpoint's health: the circuit breaker and its slow start, and when to give up."""

import pytest

from hookline._domain.breaker import Circuit, CircuitState, Health, judge

NOW = 1_760_697_000_000
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
FAILED, OK = (False, 0), (True, 0)


def health(circuit, *results, now=NOW, cap=20):
    """Judge results."""
    return judge(circuit, results, cap=cap, now=now)


def opened(now=NOW):
    """Return the circuit ten failures open."""
    return health(None, *[FAILED] * 10, now=now).circuit


def test_a_healthy_endpoint_has_no_state():
    """Successes of an endpoint that is well leave nothing to store."""
    assert health(None, *[OK] * 100) == Health(None)


def test_a_few_failures_stop_nothing():
    """Nine failures in a row are counted and let everything through; one success forgets them."""
    circuit = health(None, *[FAILED] * 9).circuit
    assert (circuit.state, circuit.failures, circuit.failing_since) == ("closed", 9, NOW)
    assert circuit.admits(NOW) is None
    assert health(circuit, OK) == Health(None)


def test_ten_failures_open():
    """The tenth failure in a row opens the circuit for 30 seconds; then one probe goes through."""
    circuit = opened()
    assert circuit.state is CircuitState.OPEN
    assert circuit.admits(NOW) == 0
    assert circuit.admits(NOW + 30 * SECOND - 1) == 0
    assert circuit.admits(NOW + 30 * SECOND) == 1


def test_failures_must_be_in_a_row():
    """A success in between starts the count again."""
    circuit = health(None, *[FAILED] * 9, OK, *[FAILED] * 9).circuit
    assert circuit.state is CircuitState.CLOSED


def test_a_probe_is_alone():
    """While a probe is under way nobody else is admitted, until it should have come back."""
    probing = opened().probing(NOW + MINUTE)
    assert probing.state is CircuitState.HALF_OPEN
    assert probing.admits(NOW + MINUTE - 1) == 0
    assert probing.admits(NOW + MINUTE) == 1


def test_the_pause_doubles():
    """Each failed probe doubles the pause: 30 s, 1, 2, 4, 8 and then 15 minutes, no more."""
    circuit, pauses, now = opened(), [], NOW
    for _ in range(20):
        pauses.append(circuit.blocked_until - now)
        now = circuit.blocked_until
        circuit = health(circuit.probing(now + MINUTE), FAILED, now=now).circuit
    assert (
        pauses[:7] == [30 * SECOND, MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE] + [15 * MINUTE] * 2
    )
    assert set(pauses[6:]) == {15 * MINUTE}


def test_late_failures_change_nothing():
    """Failures of requests sent before it opened do not lengthen the pause."""
    circuit = opened()
    late = health(circuit, *[FAILED] * 10, now=NOW + SECOND).circuit
    assert (late.blocked_until, late.opened) == (circuit.blocked_until, circuit.opened)
    assert late.failed == 20


def test_slow_start():
    """After a good probe 1, 2, 4 … are in flight, until the endpoint's own limit is reached."""
    circuit, ramps = opened().probing(NOW + MINUTE), []
    while circuit is not None:
        circuit = health(circuit, OK).circuit
        ramps.append(None if circuit is None else circuit.admits(NOW))
    assert ramps == [1, 2, 4, 8, 16, None]


def test_a_failure_during_the_slow_start():
    """A failure while it recovers goes back to one in flight."""
    circuit = opened().probing(NOW + MINUTE)
    for _ in range(4):
        circuit = health(circuit, OK).circuit
    assert circuit.admits(NOW) == 8
    assert health(circuit, FAILED).circuit.admits(NOW) == 1


def test_an_endpoint_of_one():
    """Where only one may be in flight anyway, a good probe makes it well at once."""
    assert health(opened().probing(NOW + MINUTE), OK, cap=1) == Health(None)


def test_the_receiver_asks_for_a_wait():
    """What Retry-After asked for holds back the whole endpoint, and a 2xx does not undo it."""
    circuit = health(None, (False, NOW + HOUR)).circuit
    assert circuit.state is CircuitState.CLOSED
    assert circuit.admits(NOW + HOUR - 1) == 0
    assert circuit.admits(NOW + HOUR) is None
    waiting = health(circuit, OK).circuit
    assert (waiting.admits(NOW), waiting.failures) == (0, 0)
    assert health(waiting, OK, now=NOW + HOUR) == Health(None)


def test_the_longer_wait_wins():
    """Of an open circuit's pause and the receiver's wish the later end counts."""
    longer = health(None, *[FAILED] * 9, (False, NOW + HOUR)).circuit
    assert longer.blocked_until == NOW + HOUR
    shorter = health(None, *[FAILED] * 9, (False, NOW + SECOND)).circuit
    assert shorter.blocked_until == NOW + 30 * SECOND


@pytest.mark.parametrize(("hours", "warned"), [(23, False), (24, True), (71, True), (72, True)])
def test_warnings(hours, warned):
    """Warned once at 24 hours without a 2xx and once at 72."""
    start = health(None, FAILED).circuit
    news = health(start, FAILED, now=NOW + hours * HOUR)
    assert news.warning == (hours * HOUR if warned else None)
    again = health(news.circuit, FAILED, now=NOW + hours * HOUR + 1)
    assert again.warning is None


def test_two_warnings():
    """The second warning comes after the first."""
    circuit, warnings = health(None, FAILED).circuit, []
    for hour in range(1, 119):
        news = health(circuit, FAILED, now=NOW + hour * HOUR)
        circuit = news.circuit
        if news.warning is not None:
            warnings.append(news.warning // HOUR)
        assert news.disable is None
    assert warnings == [24, 72]


def test_giving_up():
    """After five days without a 2xx and twenty failed attempts the endpoint is disabled."""
    start = health(None, *[FAILED] * 19).circuit
    assert health(start, now=NOW + 120 * HOUR).disable is None
    assert health(start, FAILED, now=NOW + 120 * HOUR - 1).disable is None
    assert (
        health(start, FAILED, now=NOW + 120 * HOUR).disable == "no 2xx for 5 days and 20 attempts"
    )


def test_one_success_resets_the_clock():
    """One 2xx, and the five days start again with the next failure."""
    circuit = health(None, *[FAILED] * 30).circuit
    circuit = health(circuit, OK, now=NOW + 119 * HOUR).circuit
    news = health(circuit, *[FAILED] * 30, now=NOW + 121 * HOUR)
    assert (news.disable, news.warning) == (None, None)


def test_no_limit_of_its_own():
    """A circuit that is closed and not ramping restricts nothing."""
    assert Circuit().admits(NOW) is None
