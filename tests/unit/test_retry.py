"""When to try again."""

import pytest

from hookline._domain.retry import DEFAULT, check, delay_after, exponential
from hookline.errors import InvalidInput


def test_the_default():
    """Ten attempts: 0, 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h; 75 hours in all."""
    assert DEFAULT == (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    assert sum(DEFAULT) // 3600 == 75


def test_delays_of_the_default():
    """Without jitter the delay after n failures is the n-th of the schedule; then none is left."""
    delays = [delay_after(DEFAULT, attempts, 0) for attempts in range(1, 11)]
    assert delays == [1000 * delay for delay in (*DEFAULT[1:],)] + [None]


@pytest.mark.parametrize(("spread", "expected"), [(-1, 4000), (0, 5000), (0.5, 5500), (1, 6000)])
def test_jitter(spread, expected):
    """Jitter moves a delay by 20 % either way at most."""
    assert delay_after(DEFAULT, 1, spread) == expected


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ([], "1 to 100 delays"),
        ([0] * 101, "1 to 100 delays"),
        ("0,5", "1 to 100 delays"),
        (5, "1 to 100 delays"),
        (None, "1 to 100 delays"),
        (["soon"], "1 to 100 delays"),
        ([None], "1 to 100 delays"),
        ([0, -1], "-1.0 is not between 0 and 30 days"),
        ([0, 30 * 86400 + 1], "not between 0 and 30 days"),
        ([float("nan")], "nan is not between"),
        ([float("inf")], "inf is not between"),
    ],
    ids=repr,
)
def test_schedules_that_cannot_be(schedule, words):
    """A schedule has 1 to 100 delays of 0 to 30 days; anything else is refused by its value."""
    with pytest.raises(InvalidInput) as caught:
        check(schedule)
    assert str(caught.value).startswith("retry_schedule: ")
    assert words in str(caught.value)


def test_a_checked_schedule_is_of_floats():
    """Whole numbers are taken as seconds too."""
    assert check([0, 5, 30 * 86400]) == (0.0, 5.0, 2_592_000.0)


def test_exponential():
    """The first attempt is at once, then base, base·factor … up to the cap."""
    assert exponential(5, attempts=6) == (0, 5, 10, 20, 40, 80)
    assert exponential(1, factor=10, cap=500, attempts=6) == (0, 1, 10, 100, 500, 500)
    assert exponential(5, attempts=1) == (0,)
    for options in ({"attempts": 0}, {"attempts": 101}, {"base": -1}, {"cap": -1}):
        with pytest.raises(InvalidInput):
            exponential(**{"base": 5, **options})
