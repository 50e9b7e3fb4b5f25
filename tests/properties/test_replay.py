"""The speed of a replay: never above its rate, never stuck."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline._domain.replay import batch_of, pause_after

RATES = st.floats(0.001, 100_000)


@given(RATES, st.integers(1, 1000))
def test_a_full_step_keeps_to_the_rate(rate, most):
    """What a step makes due, spread over the pause after it, is the rate or less."""
    made = batch_of(rate, most)
    assert 1 <= made <= most
    assert made * 1000 / pause_after(made, rate) <= rate * (1 + 1e-9)


@given(RATES, st.integers(1, 500))
def test_a_step_is_no_slower_than_it_must_be(rate, made):
    """The pause is the shortest whole number of milliseconds that keeps to the rate."""
    assert (pause_after(made, rate) - 1) * rate < made * 1000 * (1 + 1e-9)


def test_without_a_rate():
    """Without a rate a step is as large as it may be, and the next one may follow at once."""
    assert batch_of(None, 500) == 500
    assert pause_after(500, None) == 0


@pytest.mark.parametrize("rate", [None, 0.5, 100])
def test_a_step_that_made_nothing_due(rate):
    """Nothing made due is nothing to pause for."""
    assert pause_after(0, rate) == 0
