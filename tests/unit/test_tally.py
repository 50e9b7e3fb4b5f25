"""Tallies: counting, adding, drawing."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline._domain.tally import EDGES_MS, HOUR, MINUTE, STEPS, Tally, series, step_of, total

times = st.lists(st.floats(0, 20_000), max_size=200)


def of(milliseconds):
    """Return the tally of successes that took so long."""
    tally = Tally()
    for each in milliseconds:
        tally.count(ok=True, final=True, milliseconds=each)
    return tally


def test_nothing_has_no_figures():
    """An empty minute is not one of no success."""
    assert (Tally().success_rate, Tally().quantile(0.5), Tally().attempts) == (None, None, 0)


def test_what_counts():
    """Failures without an answer have no latency; the last of a delivery is exhausted."""
    tally = of([3, 30])
    tally.count(ok=False, final=False, milliseconds=None)
    tally.count(ok=False, final=True, milliseconds=300)
    assert (tally.succeeded, tally.failed, tally.exhausted) == (2, 2, 1)
    assert tally.success_rate == 0.5
    assert sum(tally.buckets) == 3


@given(times.filter(bool), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_in_the_bucket_of_the_true_one(found, q):
    """Between the same edges as the value of that rank."""
    exact, guess = sorted(found)[math.ceil(q * len(found)) - 1], of(found).quantile(q)
    above = next((edge for edge in EDGES_MS if exact <= edge), None)
    if above is None:
        assert guess == EDGES_MS[-1]
    else:
        below = max((edge for edge in EDGES_MS if edge < above), default=0)
        assert below <= guess <= above


@given(st.lists(times, max_size=5))
def test_parts_add_up(parts):
    """In any order, to what all would be together."""
    whole = of([each for part in parts for each in part])
    assert total(map(of, parts)) == total(map(of, parts[::-1])) == total([whole])


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.sampled_from(STEPS))
def test_every_row_of_a_range_is_in_one_point(start, length, step):
    """And the range covers what was asked for."""
    rows = [(at, of([1])) for at in range(start, start + length, max(1, length // 50))]
    found = series(start, start + length, step, rows)
    assert found.start <= start
    assert found.start + step * len(found.tallies) >= start + length
    assert found.total.succeeded == len(rows)


@pytest.mark.parametrize(
    ("seconds", "step"),
    [(HOUR, MINUTE), (2 * HOUR, MINUTE), (24 * HOUR, 900), (30 * 24 * HOUR, 6 * HOUR)],
)
def test_steps(seconds, step):
    """A curve has about a hundred points."""
    assert step_of(seconds) == step
