"""Event types: which version of a schema counts."""

import pytest

from hookline._domain.event_type import newest


@pytest.mark.parametrize(
    ("versions", "counts"),
    [
        (["1"], "1"),
        (["9", "10", "2"], "10"),
        (["v1", "beta"], "v1"),
        (["v2", "1"], "1"),
        (["²", "3", "٤"], "3"),  # digits to Unicode, and no number of ours
    ],
)
def test_the_newest_schema_counts(versions, counts):
    """The highest number, whatever else there is beside it."""
    assert newest({name: {"title": name} for name in versions}) == {"title": counts}


def test_no_schema():
    """None of none."""
    assert newest({}) is None
