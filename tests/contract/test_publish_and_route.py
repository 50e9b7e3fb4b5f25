"""Publishing and routing, on every database alike."""

import asyncio

import pytest

from hookline._domain import ids
from hookline._storage import batch
from hookline.errors import IdempotencyConflict

DAY = 24 * 3600 * 1000


async def test_a_message_goes_to_those_who_want_it(bench):
    """Routing leases one delivery per endpoint that wants it, with all that sending needs."""
    async with bench as b:
        one, two = await b.declare("one", "two", events=["a.*"], secret="s3cret")
        await b.declare("three", events=["c.d"])
        [message] = await b.publish(event="a.b")
        assert await b.states(message) is None
        routed = await b.route()
        assert routed.counts == [(message, "a.b", 2)]
        assert (routed.next_due, routed.waiting) == (None, False)
        assert [d.target.key for d in routed.leased] == [one, two]
        for leased in routed.leased:
            assert (leased.message, leased.event_type, leased.body) == (message, "a.b", b'{"n":1}')
            assert (leased.attempts, leased.step, leased.resume_at) == (0, 0, None)
            assert [s.text for s in leased.target.secrets] == ["s3cret"]
        assert await b.states(message) == {"one": ("sending", 0), "two": ("sending", 0)}


async def test_nobody_wants_it(bench):
    """A message without subscribers is done once it was routed."""
    async with bench as b:
        await b.declare("one", events=["c.d"])
        [message] = await b.publish(event="a.b")
        routed = await b.route()
        assert (routed.leased, routed.counts) == ([], [(message, "a.b", 0)])
        assert await b.states(message) == {}
        assert (await b.route()).counts == []


async def test_a_message_is_routed_once(bench):
    """What was routed is not routed again, and what is leased is not claimed."""
    async with bench as b:
        await b.declare("one")
        await b.publish()
        assert len((await b.route()).leased) == 1
        assert (await b.route()).leased == []
        assert (await b.claim()).leased == []


async def test_the_callers_room_bounds_what_it_gets(bench):
    """Beyond the room deliveries wait, due at once, for anybody."""
    async with bench as b:
        await b.declare("one", "two", "three")
        [message] = await b.publish()
        routed = await b.route(room=1)
        assert (len(routed.leased), routed.waiting) == (1, True)
        assert sorted((await b.states(message)).values()) == [
            ("pending", 0),
            ("pending", 0),
            ("sending", 0),
        ]
        claimed = await b.claim()
        assert len(claimed.leased) == 2


async def test_no_room_at_all(bench):
    """With no room everything is written and nothing leased."""
    async with bench as b:
        await b.declare("one")
        [message] = await b.publish()
        routed = await b.route(room=0)
        assert (routed.leased, routed.waiting) == ([], True)
        assert await b.states(message) == {"one": ("pending", 0)}


async def test_an_endpoints_own_room_counts(bench):
    """An endpoint that may take one more gets one of two messages; another gets both."""
    async with bench as b:
        one, two = await b.declare("one", "two")
        await b.publish(2)
        rooms = {one: 1, two: 5}
        routed = await b.route(room_of=lambda target: rooms[target.key])
        assert sorted(d.target.key for d in routed.leased) == sorted([one, two, two])
        assert routed.waiting


async def test_a_disabled_endpoint_holds(bench):
    """For a disabled endpoint the delivery is held, not leased, and not counted as active."""
    async with bench as b:
        one, _ = await b.declare("one", "two")
        await b.store.endpoints.disable(one, "why not", b.now)
        [message] = await b.publish()
        routed = await b.route()
        assert routed.counts == [(message, "a.b", 1)]
        assert await b.states(message) == {"one": ("held", 0), "two": ("sending", 0)}
        b.now += 30 * DAY
        assert {d.target.url for d in await b.claim_all()} == {"https://two.example/"}


async def test_a_message_due_later(bench):
    """A message is not routed before its time, and `next_due` says when that is."""
    async with bench as b:
        await b.declare("one")
        await b.publish(at=b.now + 5000)
        routed = await b.route()
        assert (routed.leased, routed.next_due) == ([], b.now + 5000)
        b.now += 4999
        assert (await b.route()).leased == []
        b.now += 1
        assert len((await b.route()).leased) == 1


async def test_oldest_first(bench):
    """Messages are routed in the order in which they fell due."""
    async with bench as b:
        await b.declare("one")
        late = await b.publish(at=b.now)
        early = await b.publish(at=b.now - 1000)
        routed = await b.route()
        assert [d.message for d in routed.leased] == [*early, *late]


async def test_a_new_endpoint_gets_the_very_next_message(bench):
    """Endpoints declared, changed or enabled count for the next message, for every worker."""
    async with bench as b:
        other = await b.worker()
        await b.declare("zero")
        await b.publish()
        await b.route()
        for n, queue in enumerate([b.queue, other] * 3):
            await b.declare(f"new{n}")
            await b.publish()
            urls = [d.target.url for d in (await b.route(queue=queue)).leased]
            assert f"https://new{n}.example/" in urls
            assert len(urls) == n + 2


async def test_a_message_with_more_endpoints_than_fit(bench, monkeypatch):
    """A message is routed in steps where it must: each endpoint once, counted once."""
    monkeypatch.setattr(batch, "ROUTE_ROWS", 10)
    async with bench as b:
        names = [f"e{n:02}" for n in range(25)]
        await b.declare(*names)
        messages = await b.publish(2)
        first = await b.route(room=100)
        assert len(first.leased) == 10
        assert first.next_due <= b.now
        assert await b.states(messages[0]) is None
        assert await b.store.deliveries(messages[0], b.now) is None
        leased, counts = await b.route_all(room=100)
        leased += first.leased
        assert sorted(first.counts + counts) == sorted((m, "a.b", 25) for m in messages)
        for message in messages:
            got = [d.target.url for d in leased if d.message == message]
            assert sorted(got) == [f"https://{each}.example/" for each in names]


async def test_batches_that_end_exactly_full(bench, monkeypatch):
    """A message that would begin in a full batch is left whole for the next, counted once."""
    monkeypatch.setattr(batch, "ROUTE_ROWS", 10)
    async with bench as b:
        await b.declare(*(f"e{n}" for n in range(5)))
        messages = await b.publish(7)
        _, counts = await b.route_all(room=100)
        assert sorted(counts) == sorted((m, "a.b", 5) for m in messages)


async def test_an_endpoint_declared_between_two_steps(bench, monkeypatch):
    """An endpoint that is new, or disabled, in the middle of a message's steps does no harm."""
    monkeypatch.setattr(batch, "ROUTE_ROWS", 10)
    async with bench as b:
        keys = await b.declare(*(f"e{n:02}" for n in range(15)))
        [message] = await b.publish()
        await b.route(room=100)
        await b.declare("new")
        await b.store.endpoints.disable(keys[0], "why not", b.now)
        await b.store.endpoints.disable(keys[14], "why not", b.now)
        await b.route_all(room=100)
        states = await b.states(message)
        assert len(states) in (15, 16)
        assert states["e14"] == ("held", 0)


async def test_several_workers_route_each_message_once(bench):
    """Two workers that route at the same time share the messages and double none."""
    async with bench as b:
        await b.declare("one", "two")
        messages = await b.publish(300)
        other = await b.worker()

        async def work(queue):
            found = []
            while True:
                routed = await b.route(queue=queue)
                found += [(d.message, d.target.key) for d in routed.leased]
                if routed.next_due is None:
                    return found

        found = [each for some in await asyncio.gather(work(b.queue), work(other)) for each in some]
        assert len(found) == len(set(found)) == 600
        assert {message for message, _ in found} == set(messages)


# keys that make a repeat a no-op ----------------------------------------------------------------


async def test_the_same_key_is_the_same_message(bench):
    """A repeated key returns the first message's, in one batch and in the next, and adds none."""
    async with bench as b:
        await b.declare("one")
        one, two, three = (b.message(idempotency_key="k", digest=b"d") for _ in range(3))
        assert await b.queue.publish([one, two]) == [one.key, one.key]
        assert await b.queue.publish([three]) == [one.key]
        assert [d.message for d in (await b.route()).leased] == [one.key]


async def test_the_same_key_for_something_else_is_a_conflict(bench):
    """A key used with another digest is an error for that message and for no other."""
    async with bench as b:
        first = b.message(idempotency_key="k", digest=b"d")
        await b.queue.publish([first])
        good, bad, other = (
            b.message(),
            b.message(idempotency_key="k", digest=b"x"),
            b.message(idempotency_key="k2", digest=b"x"),
        )
        results = await b.queue.publish([good, bad, other])
        assert results[0] == good.key
        assert isinstance(results[1], IdempotencyConflict)
        assert results[2] == other.key
        assert {m for m, *_ in (await b.route()).counts} == {first.key, good.key, other.key}


async def test_a_conflict_within_one_batch(bench):
    """Of two messages with one key and different digests in a batch the first is published."""
    async with bench as b:
        one = b.message(idempotency_key="k", digest=b"d")
        two = b.message(idempotency_key="k", digest=b"x")
        results = await b.queue.publish([one, two])
        assert results[0] == one.key
        assert isinstance(results[1], IdempotencyConflict)


async def test_all_or_none(bench):
    """An atomic batch with a conflict publishes nothing and keeps no key."""
    async with bench as b:
        taken = b.message(idempotency_key="taken", digest=b"d")
        await b.queue.publish([taken])
        batch_ = [
            b.message(idempotency_key="new", digest=b"d"),
            b.message(),
            b.message(idempotency_key="taken", digest=b"x"),
        ]
        with pytest.raises(IdempotencyConflict, match="'taken'"):
            await b.queue.publish(batch_, atomic=True)
        assert [m for m, *_ in (await b.route()).counts] == [taken.key]
        again = b.message(idempotency_key="new", digest=b"other")
        assert await b.queue.publish([again], atomic=True) == [again.key]


async def test_keys_of_another_application(bench):
    """Each application has its own keys."""
    async with bench as b:
        mine = b.message(idempotency_key="k", digest=b"d")
        theirs = b.message(idempotency_key="k", digest=b"x", app=b"\1" * 16)
        assert await b.queue.publish([mine, theirs]) == [mine.key, theirs.key]


async def test_a_key_is_remembered_for_a_day(bench):
    """A key is taken for 24 hours from its publishing and free afterwards, pruned or not."""
    async with bench as b:
        first = b.message(idempotency_key="k", digest=b"d")
        await b.queue.publish([first])
        b.now += DAY - 1
        await b.store.prune(b.now)
        last = b.message(idempotency_key="k", digest=b"d")
        assert await b.queue.publish([last]) == [first.key]
        b.now += 1
        second = b.message(idempotency_key="k", digest=b"x")
        assert await b.queue.publish([second]) == [second.key]
        b.now += DAY
        await b.store.prune(b.now)
        third = b.message(idempotency_key="k", digest=b"y")
        assert await b.queue.publish([third]) == [third.key]


async def test_a_key_of_a_delayed_message(bench):
    """The 24 hours count from the publishing, however late the message is due."""
    async with bench as b:
        later = b.now + 3 * DAY
        first = b.message(idempotency_key="k", digest=b"d", due_at=later)
        await b.queue.publish([first])
        again = b.message(idempotency_key="k", digest=b"d", due_at=later)
        assert await b.queue.publish([again]) == [first.key]
        b.now += DAY
        free = b.message(idempotency_key="k", digest=b"x")
        assert await b.queue.publish([free]) == [free.key]


async def test_many_at_once(bench):
    """A large batch with keys, texts and bodies of every kind is published whole."""
    async with bench as b:
        await b.declare("one")
        messages = [
            b.message(event=f"type.n{n}", idempotency_key=f"键 {n}" if n % 2 else None, digest=b"d")
            for n in range(1000)
        ]
        messages[7].body = b'{"x":"' + "张😀".encode() * 10_000 + b'"}'
        assert await b.queue.publish(messages) == [m.key for m in messages]
        leased, _ = await b.route_all(room=2000)
        assert {d.message: d.body for d in leased} == {m.key: m.body for m in messages}
        assert {d.message: d.event_type for d in leased} == {m.key: m.event_type for m in messages}


async def test_an_empty_batch(bench):
    """Publishing nothing is fine."""
    async with bench as b:
        assert await b.queue.publish([]) == []


async def test_ids_decode(bench):
    """What the store says about a message and an endpoint are their public ids."""
    async with bench as b:
        [key] = await b.declare("one")
        [message] = await b.publish()
        await b.route()
        status = await b.status(message)
        assert ids.decode(ids.ENDPOINT, status.endpoint_id) == key


async def filtered(b, **filters):
    """Declare endpoints, each with its filter; return their keys."""
    keys = {}
    for name, text in filters.items():
        [keys[name]] = await b.declare(name, filter=text)
    return keys


async def say(b, n, **options):
    """Publish `{"n": n}`; return its key."""
    message = b.message(body=b'{"n":%d}' % n, **options)
    assert await b.queue.publish([message]) == [message.key]
    return message.key


async def test_filters(bench):
    """An endpoint with a filter gets the messages for which it is true; the others get all."""
    async with bench as b:
        await filtered(b, even="contains([`2`, `4`], n)", large="n > `3`", all=None)
        one, two, four = [await say(b, n) for n in (1, 2, 4)]
        routed = await b.route()
        assert routed.counts == [(one, "a.b", 1), (two, "a.b", 2), (four, "a.b", 3)]
        assert routed.unfiltered == []
        assert set(await b.states(one)) == {"all"}
        assert set(await b.states(two)) == {"all", "even"}
        assert set(await b.states(four)) == {"all", "even", "large"}
        assert len(routed.leased) == 6
        assert (routed.next_due, routed.waiting) == (None, False)


async def test_a_filter_nobody_passes(bench):
    """A message that every filter refuses is done once it was routed."""
    async with bench as b:
        await filtered(b, one="n > `5`", two="missing")
        message = await say(b, 1)
        routed = await b.route()
        assert (routed.leased, routed.counts) == ([], [(message, "a.b", 0)])
        assert await b.states(message) == {}
        assert (await b.route()).counts == []


async def test_a_filter_that_fails(bench):
    """Where a filter fails the endpoint gets the message, and who routed is told why."""
    async with bench as b:
        keys = await filtered(b, odd="starts_with(n, 'a')", none="n > `5`")
        message = await say(b, 1)
        routed = await b.route()
        assert set(await b.states(message)) == {"odd"}
        [(told, target, problem)] = routed.unfiltered
        assert (told, target.key) == (message, keys["odd"])
        assert problem == "starts_with: argument 1 is number, expected string"


async def test_a_filter_that_is_changed(bench):
    """A changed filter counts for the next message, for every worker; what was routed stays."""
    async with bench as b:
        other = await b.worker()
        await filtered(b, one="n == `1`")
        first = await say(b, 1)
        assert len((await b.route()).leased) == 1
        await filtered(b, one="n == `2`")
        for queue in (b.queue, other):
            await say(b, 1)
            assert (await b.route(queue=queue)).leased == []
            await say(b, 2)
            assert len((await b.route(queue=queue)).leased) == 1
        await filtered(b, one=None)
        await say(b, 3)
        assert len((await b.route(queue=other)).leased) == 1
        assert await b.states(first) == {"one": ("sending", 0)}


async def test_a_filter_at_a_disabled_and_at_an_ordered_endpoint(bench):
    """What is held, or stands in a line, went through the filter too."""
    async with bench as b:
        [off] = await b.declare("off", filter="n > `1`")
        await b.declare("line", filter="n > `1`", ordered=True)
        await b.store.endpoints.disable(off, "why not", b.now)
        messages = [await say(b, n) for n in (1, 2, 1, 3)]
        leased, counts = await b.route_all(100)
        assert [count for _, _, count in counts] == [0, 1, 0, 1]
        assert [await b.states(m) for m in messages] == [
            {},
            {"off": ("held", 0), "line": ("sending", 0)},
            {},
            {"off": ("held", 0), "line": ("pending", 0)},
        ]
        assert [each.message for each in leased] == [messages[1]]


async def test_filters_are_routed_in_steps(bench, monkeypatch):
    """Filters that cost much end the batch: the next one goes on where it ended, none twice."""
    monkeypatch.setattr(batch, "MOST_STEPS", 1)
    async with bench as b:
        texts = {f"e{n}": f"length(map(&@, `[1, 2]`)) == `2` && n != `{n}`" for n in range(4)}
        await filtered(b, **texts, plain=None)
        messages = [await say(b, n) for n in range(3)]
        batches = 0
        counts = []
        while True:
            routed = await b.route()
            batches += 1
            counts += routed.counts
            if routed.next_due is None or routed.next_due > b.now:
                break
        assert batches > 6
        for n, message in enumerate(messages):
            wanted = {"plain", "e0", "e1", "e2", "e3"} - {f"e{n}"}
            assert set(await b.states(message)) == wanted
            assert sum(count for key, _, count in counts if key == message) == 4


async def test_a_test_event_passes_no_filter(bench):
    """What is published for one endpoint alone reaches it whatever it wants to hear."""
    async with bench as b:
        keys = await filtered(b, one="n > `5`")
        message = b.message()
        await b.store.publish_to(message, keys["one"])
        assert [each.message for each in await b.claim_all()] == [message.key]
