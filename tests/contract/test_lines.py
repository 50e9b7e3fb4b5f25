"""Ordered endpoints: one line per key, strictly one after the other, on every database alike."""

import asyncio
from collections import defaultdict

from hookline._domain.delivery import Decision, Failure, Outcome

LEASE, SECOND, HOUR = 30_000, 1000, 3_600_000
FAILED = Outcome(503, Failure.STATUS)


async def ordered(b, *keys, name="one"):
    """Declare an ordered endpoint and publish a message per key, in that order."""
    await b.declare(name, ordered=True)
    return [(await b.publish(ordering_key=key))[0] for key in keys]


async def test_the_head_only(bench):
    """Of three messages in a line the oldest is leased, the others wait for it."""
    async with bench as b:
        messages = await ordered(b, None, None, None)
        leased = (await b.route()).leased
        assert [d.message for d in leased] == messages[:1]
        assert (await b.claim()).leased == []
        for n, message in enumerate(messages):
            assert [d.message for d in leased] == [message]
            assert await b.settle(leased) == [True]
            leased = (await b.claim()).leased
            assert [d.message for d in leased] == messages[n + 1 : n + 2]


async def test_lines_of_their_own(bench):
    """Messages of different keys do not wait for each other."""
    async with bench as b:
        messages = await ordered(b, "x", "y", "x", "z", "y", None)
        leased = (await b.route()).leased
        assert [d.message for d in leased] == [messages[n] for n in (0, 1, 3, 5)]


async def test_a_failing_head_blocks_its_line(bench):
    """While the head waits for its retry nothing of its line moves, and others do."""
    async with bench as b:
        x1, y1, x2, y2 = await ordered(b, "x", "y", "x", "y")
        leased = (await b.route()).leased
        assert [d.message for d in leased] == [x1, y1]
        await b.settle(leased[:1], FAILED, Decision.retry(b.now + HOUR, ""))
        await b.settle(leased[1:])
        [second] = (await b.claim()).leased
        assert second.message == y2
        b.now += HOUR
        again = [d.message for d in (await b.claim()).leased]
        assert x1 in again
        assert x2 not in again


async def test_a_head_that_ends_badly_gives_way(bench):
    """An exhausted or canceled head lets the next one through; a held one does not."""
    async with bench as b:
        messages = await ordered(b, *["x"] * 4)
        ends = [Decision.exhausted("HTTP 503"), Decision.canceled("said so"), Decision.held("")]
        leased = (await b.route()).leased
        for message, end in zip(messages, ends, strict=False):
            assert [d.message for d in leased] == [message]
            await b.settle(leased, FAILED, end)
            leased = (await b.claim()).leased
        assert leased == []


async def test_canceling_the_head_and_the_middle(bench):
    """A canceled message leaves its line, and the next in it is due."""
    async with bench as b:
        one, two, three = await ordered(b, "x", "x", "x")
        await b.route_all()
        await b.store.cancel(two, b.now)
        await b.store.cancel(one, b.now)
        assert [d.message for d in (await b.claim()).leased] == [three]


async def test_erasing_the_head(bench):
    """An erased message leaves its line too."""
    async with bench as b:
        one, two = await ordered(b, "x", "x")
        await b.route_all()
        await b.store.erase(one, b.now)
        assert [d.message for d in (await b.claim()).leased] == [two]


async def test_an_empty_line(bench):
    """A message that comes when the line is empty is due at once."""
    async with bench as b:
        await ordered(b, "x")
        await b.settle((await b.route()).leased)
        [later] = await b.publish(ordering_key="x")
        assert [d.message for d in (await b.route()).leased] == [later]


async def test_others_are_not_ordered(bench):
    """A key orders nothing at endpoints that did not ask for it."""
    async with bench as b:
        await b.declare("free")
        await ordered(b, "x", "x")
        urls = [d.target.url for d in (await b.route()).leased]
        assert sorted(urls) == ["https://free.example/"] * 2 + ["https://one.example/"]


async def test_a_lease_that_ran_out_keeps_the_order(bench):
    """A head whose worker is gone is sent again before the next one is."""
    async with bench as b:
        one, two = await ordered(b, "x", "x")
        await b.route()
        b.now += LEASE
        [leased] = (await b.claim()).leased
        assert leased.message == one
        await b.settle([leased])
        assert [d.message for d in (await b.claim()).leased] == [two]


async def test_several_workers_keep_the_order(bench):
    """Workers that route, claim and settle at the same time never have two of a line at once."""
    async with bench as b:
        keys = [f"key {n % 5}" for n in range(100)]
        messages = await ordered(b, *keys)
        line_of = dict(zip(messages, keys, strict=True))
        under_way, done = set(), defaultdict(list)
        workers = [b.queue, await b.worker(), await b.worker()]

        async def work(queue):
            while sum(map(len, done.values())) < len(messages):
                leased = (await b.route(7, queue=queue)).leased
                leased += (await b.claim(7, queue=queue)).leased
                for each in leased:
                    line = line_of[each.message]
                    assert line not in under_way
                    under_way.add(line)
                await asyncio.sleep(0)
                for each in leased:
                    under_way.discard(line_of[each.message])
                    done[line_of[each.message]].append(each.message)
                await b.settle(leased, queue=queue)

        await asyncio.gather(*map(work, workers))
        for line, order in done.items():
            assert order == [m for m in messages if line_of[m] == line]
