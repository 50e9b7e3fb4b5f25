"""Decisions on arbitrary answers: total, bounded, and within the table of states."""

from hypothesis import given
from hypothesis import strategies as st

from hookline._domain.breaker import LONGEST_PAUSE, CircuitState, judge
from hookline._domain.delivery import TRANSITIONS, DeliveryState, Failure, Outcome, decide, describe
from hookline._domain.retry import JITTER, MAX_DELAY, check, delay_after

DAY = 24 * 3600 * 1000
latin = st.text(st.characters(max_codepoint=255), max_size=60)
dates = st.datetimes().map(lambda d: d.strftime("%a, %d %b %Y %H:%M:%S GMT"))
waits = latin | dates | st.integers(-10, 10**12).map(str) | st.from_regex(r"[0-9]{1,500}")
headers = st.lists(
    st.tuples(st.just("retry-after"), waits)
    | st.tuples(
        st.just("webhook-delivery"),
        st.sampled_from(["disable", "abort-message", " Disable ", "x"]) | latin,
    )
    | st.tuples(latin, latin),
    max_size=4,
).map(tuple)
statuses = st.none() | st.integers(100, 999) | st.sampled_from([200, 302, 410, 429, 503])


@st.composite
def outcomes(draw):
    """Return an outcome a sender could report."""
    status = draw(statuses)
    if status is None:
        failure = draw(st.sampled_from([f for f in Failure if f not in ("status", "redirect")]))
    elif 200 <= status <= 299:
        failure = draw(st.none() | st.sampled_from([Failure.RESET, Failure.TIMEOUT]))
    else:
        failure = Failure.REDIRECT if 300 <= status <= 399 else Failure.STATUS
    return Outcome(status, failure, draw(latin), draw(headers), draw(st.binary(max_size=9)))


delays = st.floats(0, MAX_DELAY, allow_nan=False)
schedules = st.lists(delays, min_size=1, max_size=100).map(check)
moments = st.integers(0, 4_102_444_800_000)
spreads = st.floats(-1, 1, allow_nan=False)


@given(outcomes(), st.integers(1, 120), schedules, moments, spreads, st.none() | moments)
def test_every_answer_has_a_decision(outcome, attempts, schedule, now, spread, resume_at):
    """Whatever came back, the decision is allowed, is in time, and has a reason in words."""
    decision = decide(
        outcome,
        attempts=attempts,
        schedule=schedule,
        now=now,
        spread=spread,
        resume_at=resume_at,
    )
    assert decision.state in TRANSITIONS[DeliveryState.SENDING]
    assert (decision.state is DeliveryState.SUCCEEDED) == (outcome.failure is None)
    assert (decision.next_attempt_at is None) == (decision.state is not DeliveryState.PENDING)
    assert (decision.disable_endpoint is None) == (decision.state is not DeliveryState.HELD)
    assert bool(decision.reason) == (decision.state is not DeliveryState.SUCCEEDED)
    assert decision.endpoint_waits_until <= now + DAY
    if decision.next_attempt_at is not None:
        latest = max(now + MAX_DELAY * 1000 * (1 + JITTER), now + DAY, resume_at or 0)
        assert now <= decision.next_attempt_at + 1 or resume_at
        assert decision.next_attempt_at <= latest + 1
        assert decision.next_attempt_at >= decision.endpoint_waits_until
    if resume_at is None and decision.state in (DeliveryState.PENDING, DeliveryState.EXHAUSTED):
        assert (decision.state is DeliveryState.EXHAUSTED) == (attempts >= len(schedule))


@given(outcomes(), schedules, moments, spreads)
def test_a_delivery_ends(outcome, schedule, now, spread):
    """The same failure again and again ends after exactly as many attempts as the schedule has."""
    attempts = 1
    while True:
        decision = decide(outcome, attempts=attempts, schedule=schedule, now=now, spread=spread)
        if decision.state is not DeliveryState.PENDING:
            break
        attempts += 1
    assert attempts == (len(schedule) if decision.state is DeliveryState.EXHAUSTED else 1)


@given(schedules, st.integers(0, 120), spreads)
def test_jitter_stays_within_bounds(schedule, attempts, spread):
    """A delay is the schedule's, give or take a fifth; after the last there is none."""
    delay = delay_after(schedule, attempts, spread)
    if attempts >= len(schedule):
        assert delay is None
    else:
        planned = schedule[attempts] * 1000
        assert planned * (1 - JITTER) - 1 <= delay <= planned * (1 + JITTER) + 1


@given(outcomes())
def test_words_are_one_line_of_text(outcome):
    """The description of any outcome is never empty."""
    assert describe(outcome)


results = st.lists(st.tuples(st.booleans(), st.just(0) | moments), max_size=30)


@given(st.lists(st.tuples(results, st.integers(0, 10 * DAY)), max_size=8), st.integers(1, 100))
def test_an_endpoints_health(batches, cap):
    """Over any history the breaker stays within its pauses and ramps, and recovers by a 2xx."""
    circuit, now = None, 1_760_697_000_000
    for batch, pause in batches:
        now += pause
        health = judge(circuit, batch, cap=cap, now=now)
        circuit = health.circuit
        if circuit is None:
            continue
        asked = max((until for ok, until in batch if not ok), default=0)
        admitted = circuit.admits(now)
        assert admitted is None or 0 <= admitted <= max(cap, 1)
        if circuit.state is CircuitState.OPEN:
            assert circuit.failures >= 10 or circuit.opened > 1
            assert circuit.blocked_until > 0
        if not asked and circuit.state is CircuitState.OPEN:
            assert circuit.blocked_until <= now + max(LONGEST_PAUSE, circuit.blocked_until - now)
        if batch and batch[-1][0]:
            assert (circuit.state, circuit.failures) == (CircuitState.CLOSED, 0)
    steps = 0
    while circuit is not None:
        now = max(now, circuit.blocked_until)
        circuit = judge(circuit, [(True, 0)], cap=cap, now=now).circuit
        steps += 1
    assert steps <= 9
