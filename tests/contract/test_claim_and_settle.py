"""Claiming, settling and leases, on every database alike."""

import asyncio
from collections import Counter

import pytest

from hookline._domain import ids
from hookline._domain.delivery import Decision, DeliveryState, Failure, Outcome, Timings

LEASE = 30_000
SECOND, HOUR = 1000, 3_600_000
FAILED = Outcome(503, Failure.STATUS)


async def queued(b, count=1, **options):
    """Publish and route messages without taking any; return their keys."""
    messages = await b.publish(count, **options)
    await b.route_all()
    return messages


# claiming ---------------------------------------------------------------------------------------


async def test_nothing_to_claim(bench):
    """Without deliveries a claim finds nothing, now or later."""
    async with bench as b:
        claimed = await b.claim()
        assert (claimed.leased, claimed.next_due) == ([], None)


async def test_a_claim_leases(bench):
    """What is due is leased to the one who claims it, with all that sending needs."""
    async with bench as b:
        [key] = await b.declare(
            "one",
            secret="s3cret",
            headers={"X-A": "b"},
            timeout=7.5,
            retry_schedule=(0.0, 1.5),
            concurrency=3,
            rate_limit=2.5,
        )
        [message] = await queued(b)
        [leased] = (await b.claim()).leased
        assert (leased.message, leased.event_type, leased.body) == (message, "a.b", b'{"n":1}')
        assert (leased.attempts, leased.step, leased.resume_at, leased.line) == (0, 0, None, None)
        target = leased.target
        assert (target.key, target.url) == (key, "https://one.example/")
        assert [s.text for s in target.secrets] == ["s3cret"]
        assert target.header_lines == ("X-A: b",)
        assert (target.timeout, target.retry_schedule) == (7.5, (0.0, 1.5))
        assert (target.concurrency, target.rate_limit) == (3, 2.5)
        assert target.disabled_reason is None
        assert await b.states(message) == {"one": ("sending", 0)}
        assert (await b.claim()).leased == []


async def test_when_the_next_falls_due(bench):
    """`next_due` is the earliest time at which something falls due, over all endpoints."""
    async with bench as b:
        await b.declare("one", "two")
        await queued(b, 2)
        leased = await b.claim_all()
        for wait, each in zip([9, 5, 7, 8], leased, strict=True):
            retry = Decision.retry(b.now + wait * SECOND, "HTTP 503")
            assert await b.settle([each], FAILED, retry) == [True]
        claimed = await b.claim()
        assert (claimed.leased, claimed.next_due) == ([], b.now + 5 * SECOND)
        b.now += 5 * SECOND
        claimed = await b.claim()
        assert len(claimed.leased) == 1
        assert claimed.next_due == b.now + 2 * SECOND


async def test_a_lease_is_something_that_falls_due(bench):
    """While everything is leased, the end of the lease is what comes next."""
    async with bench as b:
        await b.declare("one")
        await queued(b)
        await b.claim()
        assert (await b.claim()).next_due == b.now + LEASE


async def test_room_bounds_a_claim(bench):
    """A claim takes no more than there is room for, and says that there is more."""
    async with bench as b:
        await b.declare("one", "two", "three")
        await queued(b, 10)
        claimed = await b.claim(room=7)
        assert len(claimed.leased) == 7
        assert claimed.next_due <= b.now
        assert len(await b.claim_all(room=7)) == 23


async def test_an_endpoints_room_bounds_its_part(bench):
    """An endpoint gives no more than the caller can take for it, and the claim says it was so."""
    async with bench as b:
        one, two = await b.declare("one", "two")
        await queued(b, 10)
        rooms = {one: 3, two: 0}
        claimed = await b.claim(room_of=lambda target: rooms[target.key])
        assert Counter(d.target.key for d in claimed.leased) == {one: 3}
        assert claimed.saturated
        claimed = await b.claim()
        assert Counter(d.target.key for d in claimed.leased) == {one: 7, two: 10}
        assert not claimed.saturated


async def test_oldest_due_first(bench):
    """Within an endpoint the delivery that has been due longest comes first."""
    async with bench as b:
        await b.declare("one")
        messages = await queued(b, 3)
        leased = await b.claim_all()
        for wait, each in zip([3, 1, 2], leased, strict=True):
            await b.settle([each], FAILED, Decision.retry(b.now + wait * SECOND, ""))
        by_message = {each.message: wait for wait, each in zip([3, 1, 2], leased, strict=True)}
        b.now += 10 * SECOND
        order = [(await b.claim(room=1)).leased[0].message for _ in messages]
        assert [by_message[message] for message in order] == [1, 2, 3]


async def test_a_backlog_starves_nobody(bench):
    """Beside an endpoint with a thousand due deliveries, five others are served in two claims."""
    async with bench as b:
        await b.declare("a-dead", events=["dead"])
        await b.declare(*(f"b{n}" for n in range(5)), events=["live"])
        await queued(b, 1000, event="dead", at=b.now - HOUR)
        await queued(b, 3, event="live")
        first, second = (await b.claim(room=30)).leased, (await b.claim(room=30)).leased
        served = Counter(d.target.url for d in first + second)
        assert {served[f"https://b{n}.example/"] for n in range(5)} == {3}
        assert served["https://a-dead.example/"] == 60 - 25


async def test_endpoints_take_turns(bench):
    """With less room than there are endpoints, one after the other has its turn."""
    async with bench as b:
        await b.declare(*(f"e{n}" for n in range(10)))
        await queued(b, 8)
        for _ in range(2):
            served = Counter()
            for _ in range(10):
                claimed = await b.claim(room=4)
                served.update(d.target.url for d in claimed.leased)
            assert set(served.values()) == {4}
            assert len(served) == 10
        assert (await b.claim()).leased == []


async def test_a_held_delivery_is_never_due(bench):
    """Held deliveries are neither claimed nor counted as due, whatever the time."""
    async with bench as b:
        [key] = await b.declare("one")
        await b.store.endpoints.disable(key, "why not", b.now)
        await queued(b)
        b.now += 400 * 24 * HOUR
        claimed = await b.claim()
        assert (claimed.leased, claimed.next_due) == ([], None)


async def test_two_workers_claim_different_deliveries(bench):
    """Workers that claim at the same time never get the same delivery, and get them all."""
    async with bench as b:
        await b.declare("one", "two", "three")
        messages = await queued(b, 200)
        workers = [b.queue, await b.worker(), await b.worker()]

        async def work(queue):
            found = []
            while True:
                claimed = await b.claim(20, queue=queue)
                found += [(d.message, d.target.key) for d in claimed.leased]
                if not claimed.leased and (claimed.next_due or b.now + 1) > b.now:
                    return found

        found = [each for some in await asyncio.gather(*map(work, workers)) for each in some]
        assert len(found) == len(set(found)) == 3 * len(messages)


# what an endpoint is when something is sent to it -----------------------------------------------


async def test_a_changed_endpoint_is_used_by_the_next_attempt(bench):
    """Headers, secret and schedule are looked up when claiming, by every worker."""
    async with bench as b:
        other = await b.worker()
        await b.declare("one", secret="old", headers={"X-A": "1"})
        await queued(b, 3)
        [first] = (await b.claim(room=1)).leased
        [second] = (await b.claim(room=1, queue=other)).leased
        for leased in (first, second):
            assert [s.text for s in leased.target.secrets] == ["old"]
        await b.declare("one", secret="new", headers={"X-A": "2"}, retry_schedule=(0.0, 9.0))
        await b.settle([first, second], FAILED, Decision.retry(b.now, ""))
        for queue in (b.queue, other):
            [leased] = (await b.claim(room=1, queue=queue)).leased
            assert [s.text for s in leased.target.secrets] == ["new"]
            assert leased.target.header_lines == ("X-A: 2",)
            assert leased.target.retry_schedule == (0.0, 9.0)


async def test_a_rotated_secret_is_used_by_the_next_attempt(bench):
    """After a rotation both secrets come along, the new one first, the old one with its end."""
    async with bench as b:
        [key] = await b.declare("one", secret="old")
        await queued(b, 2)
        await b.claim(room=1)
        await b.store.endpoints.rotate_secret(key, "new", b.now + HOUR, b.now)
        [leased] = (await b.claim(room=1)).leased
        assert [(s.text, s.expires_at) for s in leased.target.secrets] == [
            ("new", None),
            ("old", b.now + HOUR),
        ]


async def test_a_delivery_of_an_endpoint_disabled_since(bench):
    """What falls due for an endpoint that was disabled meanwhile is held, its attempts kept."""
    async with bench as b:
        [key] = await b.declare("one")
        [message] = await queued(b)
        leased = (await b.claim()).leased
        await b.settle(leased, FAILED, Decision.retry(b.now + SECOND, ""))
        await b.store.endpoints.disable(key, "why not", b.now)
        b.now += SECOND
        claimed = await b.claim()
        assert (claimed.leased, claimed.next_due) == ([], None)
        assert await b.states(message) == {"one": ("held", 1)}
        assert await b.store.endpoints.enable(key, b.now) == 1
        [again] = (await b.claim()).leased
        assert (again.attempts, again.step) == (1, 1)


async def test_many_deliveries_of_a_disabled_endpoint(bench):
    """A backlog of a disabled endpoint is held piece by piece, and hinders nobody."""
    async with bench as b:
        gone, _ = await b.declare("gone", "well")
        messages = await queued(b, 50)
        await b.store.endpoints.disable(gone, "why not", b.now)
        leased = await b.claim_all(room=10)
        assert {d.target.url for d in leased} == {"https://well.example/"}
        assert len(leased) == 50
        for message in messages:
            assert (await b.states(message))["gone"] == ("held", 0)


# settling ---------------------------------------------------------------------------------------


async def test_success_ends_a_delivery(bench):
    """A settled success is final: the queue forgets it, the log keeps everything about it."""
    async with bench as b:
        [key] = await b.declare("one")
        [message] = await b.publish()
        [leased] = (await b.route()).leased
        outcome = Outcome(
            204, None, "", (("x-a", "b"), ("x-a", "c")), b"thanks", Timings(1, 2, 3, 4, 5), "::1"
        )
        settlement = b.settlement(leased, outcome)
        settled = await b.queue.settle([settlement], b.now)
        assert (settled.kept, settled.health) == ([True], {})
        assert await b.states(message) == {"one": ("succeeded", 1)}
        [attempt] = await b.store.attempts(message)
        assert ids.decode(ids.ATTEMPT, attempt.id) == settlement.key
        assert ids.decode(ids.MESSAGE, attempt.message_id) == message
        assert ids.decode(ids.ENDPOINT, attempt.endpoint_id) == key
        assert (attempt.number, attempt.state, attempt.status) == (1, "succeeded", 204)
        assert (attempt.failure, attempt.detail, attempt.next_attempt_at) == (None, "", None)
        assert attempt.url == "https://one.example/"
        assert attempt.response_headers == (("x-a", "b"), ("x-a", "c"))
        assert attempt.response_body == b"thanks"
        assert attempt.timings == Timings(1, 2, 3, 4, 5)
        assert attempt.started_at.timestamp() * 1000 == b.now
        b.now += 10 * LEASE
        assert (await b.claim()).leased == []


async def test_a_failure_waits_for_its_retry(bench):
    """A retry is due at its time, not before, with one more attempt made."""
    async with bench as b:
        await b.declare("one")
        [message] = await b.publish()
        leased = (await b.route()).leased
        for number in (1, 2, 3):
            retry = Decision.retry(b.now + 7 * SECOND, "HTTP 503")
            assert await b.settle(leased, FAILED, retry) == [True]
            status = await b.status(message)
            assert (status.state, status.attempts) == (DeliveryState.PENDING, number)
            assert (status.last_status, status.last_error) == (503, "status")
            assert status.next_attempt_at.timestamp() * 1000 == b.now + 7 * SECOND
            b.now += 7 * SECOND - 1
            assert (await b.claim()).leased == []
            b.now += 1
            leased = (await b.claim()).leased
            assert [(d.attempts, d.step) for d in leased] == [(number, number)]
        assert [a.number for a in await b.store.attempts(message)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("decision", "state"),
    [
        (Decision.exhausted("HTTP 503"), "exhausted"),
        (Decision.canceled("the receiver said so"), "canceled"),
        (Decision.held("HTTP 410", disable_endpoint="gone"), "held"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_other_ends(bench, decision, state):
    """What is exhausted, canceled or held is not due again by itself."""
    async with bench as b:
        await b.declare("one")
        [message] = await b.publish()
        leased = (await b.route()).leased
        assert await b.settle(leased, FAILED, decision) == [True]
        assert await b.states(message) == {"one": (state, 1)}
        [attempt] = await b.store.attempts(message)
        assert (attempt.state, attempt.next_attempt_at) == (state, None)
        b.now += 1000 * HOUR
        assert (await b.claim()).leased == []
        assert await b.states(message) == {"one": (state, 1)}


async def test_a_receiver_disables_its_endpoint(bench):
    """Settling such an answer disables the endpoint in the same breath, for all workers."""
    async with bench as b:
        other = await b.worker()
        await b.declare("one")
        first, second = await b.publish(2)
        leased = (await b.route()).leased
        decision = Decision.held("HTTP 410", disable_endpoint="the receiver answered 410 Gone")
        await b.settle(leased[:1], Outcome(410, Failure.STATUS), decision)
        [endpoint] = await b.endpoints()
        assert endpoint.disabled_reason == "the receiver answered 410 Gone"
        assert endpoint.disabled_at.timestamp() * 1000 == b.now
        await b.settle(leased[1:], FAILED, Decision.retry(b.now, ""))
        assert (await b.claim(queue=other)).leased == []
        assert await b.states(second) == {"one": ("held", 1)}
        [third] = await b.publish()
        await b.route(queue=other)
        assert await b.states(third) == {"one": ("held", 0)}
        assert await b.states(first) == {"one": ("held", 1)}


async def test_a_batch_of_every_kind(bench):
    """A batch is settled piece by piece, the results in the order they were given."""
    async with bench as b:
        await b.declare("one", "two", "three", "four")
        [message] = await b.publish()
        leased = (await b.route()).leased
        decisions = [
            Decision.succeeded(),
            Decision.retry(b.now + SECOND, "HTTP 503"),
            Decision.exhausted("HTTP 503"),
            Decision.canceled("said so"),
        ]
        settlements = [
            b.settlement(each, FAILED, decision)
            for each, decision in zip(leased, decisions, strict=True)
        ]
        stale = b.settlement(leased[0])
        settled = await b.queue.settle([*settlements, stale], b.now)
        assert settled.kept == [True, True, True, True, False]
        assert await b.states(message) == {
            "one": ("succeeded", 1),
            "two": ("pending", 1),
            "three": ("exhausted", 1),
            "four": ("canceled", 1),
        }
        assert len(await b.store.attempts(message)) == 4


async def test_an_empty_batch(bench):
    """Settling, renewing and releasing nothing is fine."""
    async with bench as b:
        assert (await b.queue.settle([], b.now)).kept == []
        await b.queue.renew([], b.now)
        await b.queue.release([], b.now)


async def test_a_large_batch(bench):
    """A thousand settlements in one batch keep their order."""
    async with bench as b:
        await b.declare("one")
        await b.publish(1000)
        leased, _ = await b.route_all(room=1000)
        settlements = [b.settlement(each) for each in leased]
        await b.queue.settle(settlements[::2], b.now)
        settled = await b.queue.settle(settlements, b.now)
        assert settled.kept == [n % 2 == 1 for n in range(1000)]


async def test_what_an_answer_may_hold(bench):
    """Bytes and headers of any kind are kept as they came, the body up to its share."""
    async with bench as b:
        await b.declare("one")
        [message] = await b.publish()
        leased = (await b.route()).leased
        outcome = Outcome(
            500,
            Failure.STATUS,
            "detail with 张三 and 'quotes'",
            (("x-nul", "a\x00b"), ("x-latin", "caf\xe9"), ("", ""), ("x-quote", "\"'\\")),
            bytes(range(256)) * 10,
        )
        await b.settle(leased, outcome)
        [attempt] = await b.store.attempts(message)
        assert attempt.response_headers == outcome.headers
        assert attempt.response_body == outcome.body[:1024]
        assert attempt.detail == outcome.detail


async def test_attempts_in_one_moment_keep_their_order(bench):
    """Attempts made within a millisecond are listed by number, and the last one counts."""
    async with bench as b:
        await b.declare("one")
        [message] = await b.publish()
        leased = (await b.route()).leased
        for _ in range(9):
            await b.settle(leased, FAILED, Decision.retry(b.now, ""))
            leased = (await b.claim()).leased
        await b.settle(leased)
        attempts = await b.store.attempts(message)
        assert [a.number for a in attempts] == list(range(1, 11))
        assert await b.states(message) == {"one": ("succeeded", 10)}


# leases -----------------------------------------------------------------------------------------


async def test_a_lease_that_ran_out_is_due_again(bench):
    """After its lease a delivery is anybody's, its attempts as they were."""
    async with bench as b:
        other = await b.worker()
        await b.declare("one")
        [message] = await b.publish()
        await b.route()
        b.now += LEASE - 1
        assert await b.states(message) == {"one": ("sending", 0)}
        assert (await b.claim(queue=other)).leased == []
        b.now += 1
        assert await b.states(message) == {"one": ("pending", 0)}
        [leased] = (await b.claim(queue=other)).leased
        assert leased.attempts == 0
        assert await b.states(message) == {"one": ("sending", 0)}


async def test_a_late_answer_still_counts_while_nobody_took_over(bench):
    """A lease that ran out is kept by whoever had it until somebody else claims it."""
    async with bench as b:
        await b.declare("one")
        [message] = await b.publish()
        leased = (await b.route()).leased
        b.now += 10 * LEASE
        assert await b.settle(leased) == [True]
        assert await b.states(message) == {"one": ("succeeded", 1)}


LOST = {
    "success": (Outcome(200), Decision.succeeded()),
    "retry": (FAILED, Decision.retry(0, "HTTP 503")),
    "exhausted": (FAILED, Decision.exhausted("HTTP 503")),
    "gone": (FAILED, Decision.held("HTTP 410", disable_endpoint="gone")),
    "canceled": (FAILED, Decision.canceled("said so")),
}


@pytest.mark.parametrize(("outcome", "decision"), LOST.values(), ids=LOST)
async def test_of_two_workers_one_wins(bench, outcome, decision):
    """A worker that lost its lease gets False and changes nothing at all."""
    async with bench as b:
        other = await b.worker()
        await b.declare("one")
        [message] = await b.publish()
        lost = (await b.route()).leased
        b.now += LEASE
        won = (await b.claim(queue=other)).leased
        before = await b.status(message)
        assert await b.settle(lost, outcome, decision) == [False]
        assert await b.status(message) == before
        assert await b.store.attempts(message) == []
        [endpoint] = await b.endpoints()
        assert not endpoint.disabled
        assert await b.settle(won, queue=other) == [True]
        assert await b.states(message) == {"one": ("succeeded", 1)}
        assert await b.settle(lost, outcome, decision) == [False]
        assert len(await b.store.attempts(message)) == 1
        assert await b.states(message) == {"one": ("succeeded", 1)}


async def test_two_settle_at_the_same_time(bench):
    """Of two settlements of one lease at the same moment exactly one is kept."""
    async with bench as b:
        other = await b.worker()
        await b.declare("one")
        messages = await b.publish(50)
        leased = (await b.route()).leased
        results = await asyncio.gather(
            *(b.settle([each], queue=queue) for each in leased for queue in (b.queue, other))
        )
        assert Counter(kept for [kept] in results) == {True: 50, False: 50}
        for message in messages:
            assert len(await b.store.attempts(message)) == 1


async def test_settling_twice(bench):
    """The same settlement again is lost, after a retry too."""
    async with bench as b:
        await b.declare("one")
        [message] = await b.publish()
        leased = (await b.route()).leased
        assert await b.settle(leased, FAILED) == [True]
        assert await b.settle(leased) == [False]
        assert await b.states(message) == {"one": ("pending", 1)}


async def test_renewing_pushes_the_lease_out(bench):
    """A renewed lease runs on from the new time."""
    async with bench as b:
        await b.declare("one")
        [message] = await b.publish()
        leased = (await b.route()).leased
        b.now += LEASE - 1
        await b.queue.renew(leased, b.now + LEASE)
        b.now += LEASE - 1
        assert (await b.claim()).leased == []
        assert await b.states(message) == {"one": ("sending", 0)}
        b.now += 1
        [again] = (await b.claim()).leased
        await b.queue.renew(leased, b.now + 100 * LEASE)
        b.now += LEASE
        assert len((await b.claim()).leased) == 1, "the old worker renewed what is not its own"
        assert await b.settle([again]) == [False]


async def test_releasing_gives_back_at_once(bench):
    """A released delivery is due now, its attempts as they were, and no longer the worker's."""
    async with bench as b:
        other = await b.worker()
        await b.declare("one")
        [message] = await b.publish()
        leased = (await b.route()).leased
        await b.queue.release(leased, b.now)
        assert await b.states(message) == {"one": ("pending", 0)}
        assert await b.settle(leased) == [False]
        [again] = (await b.claim(queue=other)).leased
        assert again.attempts == 0
        await b.queue.release(leased, b.now)
        assert await b.states(message) == {"one": ("sending", 0)}
        assert await b.settle([again], queue=other) == [True]


async def test_releasing_a_retry_keeps_its_count(bench):
    """A retry that is given back is still the same retry."""
    async with bench as b:
        await b.declare("one")
        await b.publish()
        leased = (await b.route()).leased
        await b.settle(leased, FAILED, Decision.retry(b.now, ""))
        await b.queue.release((await b.claim()).leased, b.now)
        [again] = (await b.claim()).leased
        assert (again.attempts, again.step) == (1, 1)


async def test_renewing_and_releasing_what_is_settled(bench):
    """What was settled is not woken by a late renewal or release."""
    async with bench as b:
        await b.declare("one", "two")
        [message] = await b.publish()
        leased = (await b.route()).leased
        await b.settle(leased[:1])
        await b.settle(leased[1:], FAILED, Decision.retry(b.now + HOUR, ""))
        await b.queue.renew(leased, b.now + 1)
        await b.queue.release(leased, b.now)
        assert (await b.claim()).leased == []
        assert await b.states(message) == {"one": ("succeeded", 1), "two": ("pending", 1)}


# health -----------------------------------------------------------------------------------------


async def fail(b, leased, **options):
    """Settle deliveries as failures to be retried now."""
    return await b.settle(leased, FAILED, Decision.retry(b.now, "HTTP 503"), **options)


async def test_ten_failures_open_the_circuit(bench):
    """After ten failures in a row nothing is claimed until the pause is over, by no worker."""
    async with bench as b:
        other = await b.worker()
        [key] = await b.declare("one")
        await b.publish(20)
        leased = (await b.route(room=10)).leased
        settlements = [b.settlement(d, FAILED, Decision.retry(b.now, "")) for d in leased]
        settled = await b.queue.settle(settlements, b.now)
        assert settled.health[key].circuit.state == "open"
        opens = settled.health[key].circuit.blocked_until
        assert opens > b.now
        for queue in (b.queue, other):
            claimed = await b.claim(queue=queue)
            assert (claimed.leased, claimed.next_due) == ([], opens)
        assert (await b.route(queue=other)).leased == []
        b.now = opens - 1
        assert (await b.claim()).leased == []


async def test_one_probe(bench):
    """When the pause is over one worker gets one delivery, until it has come back."""
    async with bench as b:
        other = await b.worker()
        await b.declare("one")
        await b.publish(20)
        await fail(b, (await b.route(room=10)).leased)
        b.now += 30 * SECOND
        probe, *none = (await b.claim()).leased
        assert none == []
        assert (await b.claim(queue=other)).leased == []
        assert (await b.claim()).leased == []
        await b.settle([probe])
        recovering = (await b.claim(queue=other)).circuits
        assert [circuit.ramp for circuit in recovering.values()] == [1]


async def test_two_workers_want_to_probe(bench):
    """Of workers that look at the same moment one gets the probe."""
    async with bench as b:
        workers = [b.queue, await b.worker(), await b.worker()]
        await b.declare("one")
        await b.publish(20)
        await fail(b, (await b.route(room=10)).leased)
        b.now += 30 * SECOND
        claims = await asyncio.gather(*(b.claim(queue=queue) for queue in workers))
        assert sum(len(claim.leased) for claim in claims) == 1


async def test_a_failed_probe(bench):
    """A probe that fails closes the gate again, for longer."""
    async with bench as b:
        [key] = await b.declare("one")
        await b.publish(20)
        await fail(b, (await b.route(room=10)).leased)
        b.now += 30 * SECOND
        [probe] = (await b.claim()).leased
        settlement = b.settlement(probe, FAILED, Decision.retry(b.now, ""))
        settled = await b.queue.settle([settlement], b.now)
        assert settled.health[key].circuit.blocked_until == b.now + 60 * SECOND
        assert (await b.claim()).leased == []


async def test_a_probe_that_never_came_back(bench):
    """When the worker that probed is gone, its lease ends and another probes."""
    async with bench as b:
        other = await b.worker()
        await b.declare("one")
        await b.publish(20)
        await fail(b, (await b.route(room=10)).leased)
        b.now += 30 * SECOND
        assert len((await b.claim()).leased) == 1
        b.now += LEASE
        assert len((await b.claim(queue=other)).leased) == 1


async def test_an_open_circuit_is_nobody_elses_business(bench):
    """Beside an endpoint whose circuit is open another is served as ever."""
    async with bench as b:
        bad, good = await b.declare("bad", "good")
        await b.publish(10)
        leased = (await b.route()).leased
        await fail(b, [d for d in leased if d.target.key == bad])
        await b.settle([d for d in leased if d.target.key == good])
        await b.publish(5)
        urls = {d.target.url for d in (await b.route()).leased}
        assert urls == {"https://good.example/"}


async def test_a_wait_the_receiver_asked_for(bench):
    """What Retry-After asked for holds the whole endpoint, for every worker."""
    async with bench as b:
        other = await b.worker()
        await b.declare("one")
        await b.publish(2)
        first, _ = (await b.route()).leased
        decision = Decision.retry(b.now + SECOND, "HTTP 429")
        decision = decision._replace(endpoint_waits_until=b.now + HOUR)
        await b.settle([first], Outcome(429, Failure.STATUS), decision)
        await b.publish()
        assert (await b.route(queue=other)).leased == []
        b.now += HOUR - 1
        assert (await b.claim(queue=other)).leased == []
        b.now += 1
        assert len((await b.claim(queue=other)).leased) == 3


async def test_a_lost_lease_says_nothing_about_health(bench):
    """Failures whose lease was lost do not open the circuit."""
    async with bench as b:
        await b.declare("one")
        await b.publish(10)
        lost = (await b.route()).leased
        b.now += LEASE
        await b.claim()
        assert await fail(b, lost) == [False] * 10
        await b.publish()
        assert len((await b.route()).leased) == 1


async def test_five_days_without_success(bench):
    """An endpoint that fails for five days is disabled by the batch that says so."""
    async with bench as b:
        [key] = await b.declare("one")
        await b.publish(30)
        await fail(b, (await b.route(room=30)).leased)
        b.now += 120 * HOUR
        [probe] = (await b.claim()).leased
        settled = await b.queue.settle([b.settlement(probe, FAILED)], b.now)
        assert settled.health[key].disable == "no 2xx for 5 days and 31 attempts"
        [endpoint] = await b.endpoints()
        assert endpoint.disabled_reason == "no 2xx for 5 days and 31 attempts"
