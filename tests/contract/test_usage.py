"""Usage by application and day on each database, from the log and from days added up."""

from datetime import date, timedelta

from hookline._domain import ids
from hookline._domain.usage import DAY_MS, number
from hookline._storage.usage import SETTLED_MS

FIRST = 20_833
"""A day."""


async def days(b, app=None):
    """Return what was done, as `(day, application, messages, attempts)`."""
    found = await b.store.usage.days(app, range(FIRST - 5, FIRST + 5), b.now)
    names = {ids.encode(ids.APPLICATION, b.app): "default"}
    return [
        (number(u.day) - FIRST, names.get(u.application, "other"), u.messages, u.attempts)
        for u in found
    ]


async def busy(b):
    """Publish and attempt on two days, in two applications, and delete an endpoint."""
    b.now = FIRST * DAY_MS + 1
    [key] = await b.declare("a")
    made, _ = await b.store.applications.create({"name": "other"}, b.now)
    other = ids.decode(ids.APPLICATION, made.id)
    await b.publish(2)
    leased, _ = await b.route_all(room=10)
    await b.settle(leased)
    await b.publish(3, app=other)
    b.now = (FIRST + 1) * DAY_MS  # the first millisecond of the next one
    await b.publish(1)
    leased, _ = await b.route_all(room=10)
    await b.settle(leased)
    await b.store.endpoints.delete(b.app, key, b.now)
    return other


EXPECTED = [(0, "default", 2, 2), (0, "other", 3, 0), (1, "default", 1, 1)]


async def test_a_day_is_counted_while_it_goes_on(bench):
    """And attempts at endpoints that are gone count for whose they were."""
    async with bench as b:
        b.now = FIRST * DAY_MS
        assert await days(b) == []
        await b.store.usage.add_up(b.now)
        other = await busy(b)
        assert await days(b) == EXPECTED
        assert await days(b, b.app) == [EXPECTED[0], EXPECTED[2]]
        assert await days(b, other) == [EXPECTED[1]]


async def test_days_that_are_over_outlive_the_log(database):
    """They are added up once, before retention takes the log; the day that goes on is not."""
    database.change(retention_messages=0.5, retention_attempts=0.5)
    async with database.bench() as b:
        await busy(b)
        b.now = (FIRST + 1) * DAY_MS + SETTLED_MS - 1
        await b.store.usage.add_up(b.now)  # what began on the day before may not be written yet
        assert await days(b) == EXPECTED
        b.now += 1
        await b.store.prune(b.now)
        assert await days(b) == EXPECTED
        b.now = (FIRST + 3) * DAY_MS
        await b.store.prune(b.now)
        await b.store.prune(b.now)
        assert await b.store.history.message_key(b.app, "x") is None
        assert await days(b) == EXPECTED
        await b.publish(1)
        assert await days(b) == [*EXPECTED, (3, "default", 1, 0)]


async def test_two_that_add_up_at_once_count_once(bench):
    """As several processes do."""
    async with bench as b:
        await busy(b)
        b.now = (FIRST + 4) * DAY_MS
        await b.store.usage.add_up(b.now)
        before = await days(b)
        assert before == EXPECTED
        await b.store.usage.add_up(b.now)
        assert await days(b) == before
    assert date(1970, 1, 1) + timedelta(days=FIRST) == date(2027, 1, 15)
