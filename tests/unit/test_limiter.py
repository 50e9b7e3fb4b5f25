"""The limits of an application over all of its endpoints, and over all workers."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline._domain.endpoint import Target
from hookline._engine.limiter import Limiter
from hookline._ports import Share

NOW = 1_800_000_000_000
APP = bytes(15) + b"\7"


def target(number, *, app_rate, **options):
    """Return an endpoint of the application."""
    return Target(bytes(15) + bytes([number]), 0, "u", app=APP, app_rate=app_rate, **options)


def flights(of, count):
    """Return deliveries to an endpoint, as far as the limiter looks at them."""
    return [SimpleNamespace(delivery=SimpleNamespace(target=of)) for _ in range(count)]


def names(going):
    """Return which endpoints are sent to."""
    return [flight.delivery.target.key[-1] for flight in going]


def test_endpoints_share_the_rate_and_take_turns():
    """A second's worth at once, then one after the other, whoever waited longest first."""
    limiter = Limiter()
    a, b = (target(n, app_rate=2.0) for n in (1, 2))
    going = limiter.admit([*flights(a, 4), *flights(b, 4)], NOW, {})
    assert names(going) == [1, 1]
    sent, now = [], NOW
    for _ in range(6):
        now = limiter.next_due(now)
        sent += names(limiter.due(now))
    assert now == NOW + 3000
    assert sent == [2, 1, 2, 1, 2, 2]
    assert limiter.due(now + 10_000) == []


def test_its_own_rate_holds_beside_that_of_the_application():
    """The stricter of the two decides."""
    limiter = Limiter()
    slow, fast = target(1, app_rate=10.0, rate_limit=1.0), target(2, app_rate=10.0)
    going = limiter.admit([*flights(slow, 5), *flights(fast, 20)], NOW, {})
    assert names(going).count(1) == 1
    assert len(going) == 10


def test_others_are_not_held_up():
    """An application without a limit, and one with its own."""
    limiter = Limiter()
    busy, free = target(1, app_rate=1.0), Target(bytes(16), 0, "u", app=bytes(16))
    other = Target(bytes(15) + b"\3", 0, "u", app=bytes(15) + b"\3", app_rate=5.0)
    limiter.admit(flights(busy, 10), NOW, {})
    going = limiter.admit([*flights(free, 10), *flights(other, 10)], NOW, {})
    assert names(going).count(0) == 10
    assert names(going).count(3) == 5


def test_a_limit_that_is_lifted_holds_nobody():
    """From the next delivery on."""
    limiter = Limiter()
    limiter.admit(flights(target(1, app_rate=1.0), 10), NOW, {})
    assert len(limiter.admit(flights(target(1, app_rate=None), 1), NOW, {})) == 10


@given(
    workers=st.integers(1, 9),
    app_rate=st.floats(0.5, 50),
    own=st.one_of(st.none(), st.floats(0.5, 50)),
    concurrency=st.integers(1, 30),
    number=st.integers(0, 255),
)
def test_all_workers_together_keep_the_rate(workers, app_rate, own, concurrency, number):
    """Over ten seconds, and somebody can always send."""
    of = target(number, app_rate=app_rate, rate_limit=own, concurrency=concurrency)
    sent = 0
    for rank in range(workers):
        limiter, now = Limiter(), NOW
        limiter.share = Share(rank, workers)
        going = limiter.admit(flights(of, 600), now, {})
        while going or ((due := limiter.next_due(now)) is not None and due < NOW + 10_000):
            sent += len(going)
            if going:
                going = limiter.landed(going, now)
            else:
                now = max(now, due)
                going = limiter.due(now)
    limit = min(app_rate, own or app_rate)
    assert 1 <= sent <= 11 * limit + workers
    if own is None and concurrency >= workers:  # otherwise a part may not be used
        assert sent == pytest.approx(11 * limit, abs=workers + 1 + 0.02 * sent)
