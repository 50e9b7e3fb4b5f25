"""Tallies on each database: added up by all workers, read as series, made coarser with time."""

import asyncio

from hookline._domain import ids
from hookline._domain.endpoint import Endpoint
from hookline._domain.tally import HOUR, MINUTE, Kind, Tally, total

AT = 1_800_000_000 // HOUR * HOUR


def counted(ok=0, failed=0, exhausted=0):
    """Return a tally."""
    tally = Tally()
    for _ in range(ok):
        tally.count(ok=True, final=True, milliseconds=1)
    for number in range(failed):
        tally.count(ok=False, final=number < exhausted, milliseconds=None)
    return tally


async def endpoint(b, app=None):
    """Return the key of a new endpoint."""
    b.now += 1
    new = Endpoint("https://one.example/", ("*",), source="api")
    made = await b.store.endpoints.create(app or b.app, new, b.now)
    return ids.decode(ids.ENDPOINT, made.id)


async def test_counts_are_added_up(bench):
    """For the endpoint in five minutes, for its application and for all in minutes."""
    async with bench as b:
        made, _ = await b.store.applications.create({"name": "n", "uid": "other"}, b.now)
        other = ids.decode(ids.APPLICATION, made.id)
        mine, theirs = await endpoint(b), await endpoint(b, other)
        await b.store.tallies.add({(mine, AT): counted(2, 1), (theirs, AT): counted(1)})
        await b.store.tallies.add({(mine, AT): counted(1, 3, 2), (mine, AT + MINUTE): counted(5)})
        read = b.store.tallies.read
        assert await read(Kind.ALL, None, AT, AT + HOUR) == [
            (AT, counted(4, 4, 2)),
            (AT + MINUTE, counted(5)),
        ]
        assert await read(Kind.APPLICATION, b.app, AT, AT + MINUTE) == [(AT, counted(3, 4, 2))]
        assert await read(Kind.APPLICATION, other, AT, AT + HOUR) == [(AT, counted(1))]
        assert await read(Kind.ENDPOINT, mine, AT, AT + HOUR) == [(AT, counted(8, 4, 2))]
        assert await b.store.tallies.read_each(
            Kind.ENDPOINT, [mine, theirs, bytes(16)], AT, AT + HOUR
        ) == {mine: [(AT, counted(8, 4, 2))], theirs: [(AT, counted(1))]}
        assert await b.store.tallies.read_each(
            Kind.ENDPOINT, [mine], AT, AT + HOUR, latencies=False
        ) == {mine: [(AT, Tally(8, 4, 2))]}
        assert await b.store.tallies.read_each(Kind.ENDPOINT, [], AT, AT + HOUR) == {}


async def test_workers_add_at_the_same_time(bench):
    """Nothing is lost, whoever writes first."""
    async with bench as b:
        keys = [await endpoint(b) for _ in range(5)]
        await asyncio.gather(
            *(
                b.store.tallies.add({(key, AT): counted(1) for key in order})
                for order in (keys, keys[::-1], keys, keys[::-1])
            )
        )
        assert await b.store.tallies.read(Kind.ALL, None, AT, AT + 1) == [(AT, counted(20))]


async def test_an_endpoint_that_is_gone_still_counts(bench):
    """Among all; nobody knows any more whose it was."""
    async with bench as b:
        await b.store.tallies.add({(b"\x01" * 16, AT): counted(1)})
        assert await b.store.tallies.read(Kind.ALL, None, AT, AT + 1) == [(AT, counted(1))]
        assert await b.store.tallies.read(Kind.APPLICATION, b.app, AT, AT + 1) == []


async def test_old_tallies_are_by_the_hour(bench):
    """Two days later they add up to the same; a second time changes nothing; at last they go."""
    async with bench as b:
        key = await endpoint(b)
        subjects = ((Kind.ALL, None), (Kind.ENDPOINT, key), (Kind.APPLICATION, b.app))
        for minute in range(0, 130, 10):
            await b.store.tallies.add({(key, AT + minute * MINUTE): counted(1, 1)})
        later = (AT + 50 * HOUR) * 1000
        for _ in range(2):
            await b.store.tallies.prune(later, 0)
            for kind, subject in subjects:
                found = await b.store.tallies.read(kind, subject, AT, AT + 3 * HOUR)
                assert found[:2] == [(AT, counted(6, 6)), (AT + HOUR, counted(6, 6))]
                assert total(t for _, t in found) == counted(13, 13)
        # An hour that has begun already is still found by its later half.
        half = await b.store.tallies.read(Kind.ALL, None, AT + HOUR // 2, AT + HOUR)
        assert half == [(AT, counted(6, 6))]
        await b.store.tallies.prune(later, 49 * HOUR * 1000)
        [first, *_] = await b.store.tallies.read(Kind.ENDPOINT, key, AT, AT + 3 * HOUR)
        assert first[0] == AT + HOUR
