"""Everything off the hot path, on every database alike."""

import pytest

from hookline._domain.delivery import Decision, DeliveryState, Failure, Outcome
from hookline._engine.keys import new_key
from hookline.errors import MessageNotFound

LEASE = 30_000
SECOND, HOUR, DAY = 1000, 3_600_000, 24 * 3_600_000
FAILED = Outcome(503, Failure.STATUS)


# starting ---------------------------------------------------------------------------------------


async def test_the_default_application(database):
    """There is one default application, however often and by whomever the store is started."""
    keys = []
    for _ in range(3):
        store = database.make_store()
        keys.append(await store.start(1_800_000_000_000))
        await store.stop()
        await store.stop()
    assert len(set(keys)) == 1
    assert len(keys[0]) == 16


# declaring --------------------------------------------------------------------------------------


async def test_a_declaration_is_stored_whole(bench):
    """Everything that was declared comes back, and the endpoint has an id."""
    async with bench as b:
        await b.declare(
            "one",
            events=["a.b", "c.*"],
            secret="s3cret",
            headers={"X-A": "b", "Authorization": "Bearer 'x\" \\"},
            description="描述",
            retry_schedule=(0.0, 1.5),
            timeout=7.5,
            concurrency=3,
            rate_limit=0.5,
            source="file",
        )
        [e] = await b.endpoints()
        assert (e.url, e.events, e.secret) == ("https://one.example/", ("a.b", "c.*"), "s3cret")
        assert e.headers == {"X-A": "b", "Authorization": "Bearer 'x\" \\"}
        assert (e.description, e.retry_schedule, e.timeout) == ("描述", (0.0, 1.5), 7.5)
        assert (e.concurrency, e.rate_limit, e.ordered, e.source) == (3, 0.5, False, "file")
        assert (e.disabled, e.disabled_at, e.disabled_reason) == (False, None, None)
        assert e.id.startswith("ep_")


async def test_the_least_that_can_be_declared(bench):
    """What was not given stays not given."""
    async with bench as b:
        await b.declare("one")
        [e] = await b.endpoints()
        assert (e.secret, e.headers, e.description) == (None, {}, "")
        assert (e.retry_schedule, e.timeout, e.concurrency, e.rate_limit) == (None,) * 4


async def test_declaring_again_updates(bench):
    """The same URL again is the same endpoint, with what was declared last."""
    async with bench as b:
        [first] = await b.declare("one", events=["a.b"], secret="x", timeout=5.0)
        [again] = await b.declare("one", events=["c.d"], description="new")
        assert again == first
        [e] = await b.endpoints()
        assert (e.events, e.secret, e.timeout, e.description) == (("c.d",), None, None, "new")
        assert [d.target.url for d in (await b.route()).leased] == []
        await b.publish(event="a.b")
        await b.publish(event="c.d")
        assert [d.event_type for d in (await b.route()).leased] == ["c.d"]


async def test_oldest_first(bench):
    """Endpoints are listed in the order they were declared, also those of one call."""
    async with bench as b:
        names = [f"e{n}" for n in (5, 3, 9, 1, 7, 2)]
        await b.declare(*names[:4])
        await b.declare(*names[4:])
        await b.declare(*reversed(names), description="again")
        assert [e.url for e in await b.endpoints()] == [f"https://{n}.example/" for n in names]


async def test_an_unchanged_declaration_changes_nothing(bench):
    """The same declaration again undoes neither a rotation nor a disabling by somebody else."""
    async with bench as b:
        [key] = await b.declare("one", secret="old")
        await b.store.endpoints.rotate_secret(key, "new", b.now + HOUR, b.now)
        await b.store.endpoints.disable(key, "by hand", b.now)
        before = await b.endpoints()
        await b.declare("one", secret="old")
        assert await b.endpoints() == before
        assert before[0].secret == "new"


async def test_a_changed_description_keeps_a_rotated_secret(bench):
    """Only a declaration with another secret replaces what was rotated."""
    async with bench as b:
        [key] = await b.declare("one", secret="old")
        await b.store.endpoints.rotate_secret(key, "new", b.now + HOUR, b.now)
        await b.declare("one", secret="old", description="changed")
        [e] = await b.endpoints()
        assert (e.secret, e.description) == ("new", "changed")
        await b.declare("one", secret="other", description="changed")
        assert (await b.endpoints())[0].secret == "other"
        await b.publish()
        [leased] = (await b.route()).leased
        assert [s.text for s in leased.target.secrets] == ["other"]


async def test_declaring_without_a_secret_removes_it(bench):
    """An endpoint declared without a secret signs nothing any more."""
    async with bench as b:
        await b.declare("one", secret="old")
        await b.declare("one")
        await b.publish()
        [leased] = (await b.route()).leased
        assert leased.target.secrets == ()


# leaving the file -------------------------------------------------------------------------------


async def test_retire(bench):
    """Endpoints of a source that are not kept are disabled; others, and disabled ones, are not."""
    async with bench as b:
        await b.declare("file1", "file2", "file3", source="file")
        await b.declare("code", source="code")
        keys = await b.keys()
        await b.store.endpoints.disable(keys["file3"], "by hand", b.now)
        gone = await b.store.endpoints.retire(
            b.app, "file", ["https://file1.example/"], "left", b.now
        )
        assert gone == ["https://file2.example/"]
        assert {e.url: e.disabled_reason for e in await b.endpoints()} == {
            "https://file1.example/": None,
            "https://file2.example/": "left",
            "https://file3.example/": "by hand",
            "https://code.example/": None,
        }
        assert (
            await b.store.endpoints.retire(b.app, "file", ["https://file1.example/"], "x", b.now)
            == []
        )
        [message] = await b.publish()
        await b.route()
        assert await b.states(message) == {
            "file1": ("sending", 0),
            "file2": ("held", 0),
            "file3": ("held", 0),
            "code": ("sending", 0),
        }


async def test_back_in_the_file(bench):
    """Declared again, an endpoint that had left is enabled; one disabled otherwise is not."""
    async with bench as b:
        await b.declare("left", "gone", source="file")
        keys = await b.keys()
        await b.store.endpoints.disable(keys["gone"], "the receiver answered 410 Gone", b.now)
        reason = "removed from the webhooks file"
        await b.store.endpoints.retire(b.app, "file", [], reason, b.now)
        await b.declare("left", "gone", source="file")
        assert {e.url: e.disabled_reason for e in await b.endpoints()} == {
            "https://left.example/": None,
            "https://gone.example/": "the receiver answered 410 Gone",
        }


# secrets ----------------------------------------------------------------------------------------


async def secrets(b):
    """Return the secrets that come along with the next delivery: text and end."""
    await b.publish()
    [leased] = (await b.route()).leased
    return [(s.text, s.expires_at) for s in leased.target.secrets]


async def test_rotations_in_a_row(bench):
    """Several rotations keep all secrets, newest first, each with the end it was given."""
    async with bench as b:
        [key] = await b.declare("one", secret="s0")
        await b.store.endpoints.rotate_secret(key, "s1", b.now + 2 * HOUR, b.now)
        await b.store.endpoints.rotate_secret(key, "s2", b.now + HOUR, b.now)
        await b.store.endpoints.rotate_secret(key, "s3", b.now + 3 * HOUR, b.now)
        assert await secrets(b) == [
            ("s3", None),
            ("s2", b.now + 3 * HOUR),
            ("s1", b.now + HOUR),
            ("s0", b.now + HOUR),
        ]
        assert (await b.endpoints())[0].secret == "s3"


async def test_ended_secrets_go(bench):
    """A secret whose overlap is over is removed by the next rotation."""
    async with bench as b:
        [key] = await b.declare("one", secret="s0")
        await b.store.endpoints.rotate_secret(key, "s1", b.now + HOUR, b.now)
        b.now += HOUR
        await b.store.endpoints.rotate_secret(key, "s2", b.now + HOUR, b.now)
        assert await secrets(b) == [("s2", None), ("s1", b.now + HOUR)]


async def test_a_first_secret_by_rotation(bench):
    """An endpoint without a secret gets its first one by rotation."""
    async with bench as b:
        [key] = await b.declare("one")
        await b.store.endpoints.rotate_secret(key, "s1", b.now + HOUR, b.now)
        assert await secrets(b) == [("s1", None)]


# enabling and disabling -------------------------------------------------------------------------


async def test_enable_counts_what_was_held(bench):
    """Enabling makes held deliveries of that endpoint due, and counts them."""
    async with bench as b:
        one, two = await b.declare("one", "two")
        for key in (one, two):
            await b.store.endpoints.disable(key, "why not", b.now)
        await b.publish(3)
        await b.route()
        assert await b.store.endpoints.enable(one, b.now) == 3
        assert await b.store.endpoints.enable(one, b.now) == 0
        leased = await b.claim_all()
        assert {d.target.key for d in leased} == {one}
        assert len(leased) == 3


async def test_enable_leaves_retries_at_their_time(bench):
    """A retry that waits for its time is not brought forward by disabling and enabling."""
    async with bench as b:
        [key] = await b.declare("one")
        [message] = await b.publish()
        await b.settle((await b.route()).leased, FAILED, Decision.retry(b.now + HOUR, ""))
        await b.store.endpoints.disable(key, "why not", b.now)
        assert await b.store.endpoints.enable(key, b.now) == 0
        assert (await b.claim()).leased == []
        assert (await b.status(message)).next_attempt_at.timestamp() * 1000 == b.now + HOUR


async def test_an_attempt_under_way_while_its_endpoint_is_disabled(bench):
    """What is in the air when its endpoint is disabled is settled as ever."""
    async with bench as b:
        [key] = await b.declare("one")
        [message] = await b.publish()
        leased = (await b.route()).leased
        await b.store.endpoints.disable(key, "why not", b.now)
        assert await b.settle(leased) == [True]
        assert await b.states(message) == {"one": ("succeeded", 1)}


# the log and where a message stands -------------------------------------------------------------


async def test_an_unknown_message(bench):
    """Nothing is known of a message that never was."""
    async with bench as b:
        assert await b.store.attempts(new_key(b.now)) == []
        assert await b.store.deliveries(new_key(b.now), b.now) == []


async def test_where_a_message_stands(bench):
    """A message is nowhere before it is routed, then at each endpoint in the order of age."""
    async with bench as b:
        await b.declare("one", "two", "three")
        [message] = await b.publish()
        assert await b.store.deliveries(message, b.now) is None
        one, two, _ = (await b.route()).leased
        await b.settle([one])
        await b.settle([two], FAILED, Decision.retry(b.now + SECOND, ""))
        found = await b.store.deliveries(message, b.now)
        assert [(s.url, s.state, s.attempts) for s in found] == [
            ("https://one.example/", DeliveryState.SUCCEEDED, 1),
            ("https://two.example/", DeliveryState.PENDING, 1),
            ("https://three.example/", DeliveryState.SENDING, 0),
        ]


async def test_the_log_of_one_message(bench):
    """The log of a message holds its own attempts only, oldest first over all endpoints."""
    async with bench as b:
        await b.declare("one", "two")
        first, second = await b.publish(2)
        leased = (await b.route()).leased
        for each in leased:
            b.now += SECOND
            await b.settle([each], FAILED, Decision.retry(b.now, ""))
        for message in (first, second):
            log = await b.store.attempts(message)
            assert [a.started_at for a in log] == sorted(a.started_at for a in log)
            assert len(log) == 2


# canceling --------------------------------------------------------------------------------------


async def test_cancel_before_routing(bench):
    """A message that was not routed yet never is."""
    async with bench as b:
        await b.declare("one")
        [message] = await b.publish(at=b.now + HOUR)
        assert await b.store.cancel(message, b.now) == 1
        b.now += HOUR
        assert (await b.route()).counts == []
        assert await b.store.cancel(message, b.now) == 0


async def test_cancel_what_waits(bench):
    """Canceling stops what waits, leaves what is being sent, and counts what it stopped."""
    async with bench as b:
        await b.declare("retry", "sending", "waiting", "held", "done")
        keys = await b.keys()
        await b.store.endpoints.disable(keys["held"], "why not", b.now)
        [message] = await b.publish()
        leased = {d.target.key: d for d in (await b.route(room=4)).leased}
        by = {each: leased.get(key) for each, key in keys.items()}
        await b.settle([by["retry"]], FAILED, Decision.retry(b.now + HOUR, ""))
        await b.settle([by["waiting"]], FAILED, Decision.retry(b.now, ""))
        if by["done"] is None:
            [by["done"]] = [d for d in (await b.claim()).leased if d.target.key == keys["done"]]
        await b.settle([by["done"]])
        await b.queue.release(
            [d for d in await b.claim_all() if d.target.key == keys["waiting"]], b.now
        )
        assert await b.store.cancel(message, b.now) == 3
        states = await b.states(message)
        assert states["sending"] == ("sending", 0)
        assert states["done"] == ("succeeded", 1)
        assert states["retry"] == ("canceled", 1)
        assert states["waiting"] == ("canceled", 1)
        assert await b.settle([by["sending"]]) == [True]
        b.now += 2 * HOUR
        assert (await b.claim()).leased == []


async def test_cancel_what_its_receiver_held(bench):
    """A delivery that its receiver's 410 held is canceled too, and says so."""
    async with bench as b:
        await b.declare("one")
        [message] = await b.publish()
        gone = Decision.held("HTTP 410", disable_endpoint="gone")
        await b.settle((await b.route()).leased, Outcome(410, Failure.STATUS), gone)
        assert await b.store.cancel(message, b.now) == 1
        assert await b.states(message) == {"one": ("canceled", 1)}


async def test_cancel_of_a_manual_attempt(bench):
    """Canceling a manual attempt of something that had succeeded leaves it succeeded."""
    async with bench as b:
        [key] = await b.declare("one")
        [message] = await b.publish()
        await b.settle((await b.route()).leased)
        await b.store.resend(message, key, b.now)
        assert await b.store.cancel(message, b.now) == 1
        assert await b.states(message) == {"one": ("succeeded", 1)}
        assert (await b.claim()).leased == []


async def test_cancel_takes_an_expired_lease(bench):
    """A lease that ran out does not protect a delivery from being canceled."""
    async with bench as b:
        await b.declare("one")
        [message] = await b.publish()
        leased = (await b.route()).leased
        b.now += LEASE
        assert await b.store.cancel(message, b.now) == 1
        assert await b.settle(leased) == [False]


# sending again ----------------------------------------------------------------------------------


async def test_resend_what_is_done(bench):
    """A manual attempt of a finished delivery is due now, numbered on, with a fresh schedule."""
    async with bench as b:
        [key] = await b.declare("one")
        [message] = await b.publish()
        await b.settle((await b.route()).leased)
        assert await b.store.resend(message, key, b.now)
        assert await b.states(message) == {"one": ("pending", 1)}
        [leased] = (await b.claim()).leased
        assert (leased.message, leased.attempts, leased.step, leased.resume_at) == (
            message,
            1,
            0,
            0,
        )
        await b.settle([leased])
        assert await b.states(message) == {"one": ("succeeded", 2)}
        assert [a.number for a in await b.store.attempts(message)] == [1, 2]


async def test_resend_never_harms_the_schedule(bench):
    """A manual attempt that fails leaves a running schedule where it was."""
    async with bench as b:
        [key] = await b.declare("one")
        [message] = await b.publish()
        planned = b.now + HOUR
        await b.settle((await b.route()).leased, FAILED, Decision.retry(planned, ""))
        assert await b.store.resend(message, key, b.now)
        [manual] = (await b.claim()).leased
        assert (manual.attempts, manual.step, manual.resume_at) == (1, 1, planned)
        await b.settle([manual], FAILED, Decision.retry(manual.resume_at, ""))
        b.now = planned
        [scheduled] = (await b.claim()).leased
        assert (scheduled.attempts, scheduled.step, scheduled.resume_at) == (2, 1, None)


async def test_resend_twice(bench):
    """Asked for twice before it is sent, there is one manual attempt, and the schedule is kept."""
    async with bench as b:
        [key] = await b.declare("one")
        [message] = await b.publish()
        planned = b.now + HOUR
        await b.settle((await b.route()).leased, FAILED, Decision.retry(planned, ""))
        assert await b.store.resend(message, key, b.now)
        assert await b.store.resend(message, key, b.now)
        [manual] = (await b.claim()).leased
        assert manual.resume_at == planned
        assert not await b.store.resend(message, key, b.now), "it is being sent right now"


async def test_resend_to_one_that_never_got_it(bench):
    """A message may be sent to an endpoint that did not want it then."""
    async with bench as b:
        await b.declare("one", events=["a.b"])
        [message] = await b.publish(event="a.b")
        await b.settle((await b.route()).leased)
        _, later = await b.declare("one", "later", events=["c.d"])
        assert await b.store.resend(message, later, b.now)
        [leased] = (await b.claim()).leased
        assert (leased.target.key, leased.attempts, leased.resume_at) == (later, 0, 0)


async def test_resend_what_is_held(bench):
    """A manual attempt of a held delivery is made; a disabled endpoint holds it again."""
    async with bench as b:
        [key] = await b.declare("one")
        await b.store.endpoints.disable(key, "why not", b.now)
        [message] = await b.publish()
        await b.route()
        assert await b.store.resend(message, key, b.now)
        assert (await b.claim()).leased == []
        assert await b.states(message) == {"one": ("held", 0)}


async def test_resend_of_nothing(bench):
    """A message that does not exist cannot be sent again."""
    async with bench as b:
        [key] = await b.declare("one")
        with pytest.raises(MessageNotFound):
            await b.store.resend(new_key(b.now), key, b.now)


# erasing and forgetting -------------------------------------------------------------------------


async def test_erase(bench):
    """Erased, a message says nothing, what was answered neither; that it was sent stays."""
    async with bench as b:
        await b.declare("one", "two")
        [message] = await b.publish()
        one, two = (await b.route()).leased
        await b.settle([one])
        await b.settle([two], FAILED, Decision.retry(b.now, ""))
        await b.store.erase(message, b.now)
        log = await b.store.attempts(message)
        assert sorted(a.state for a in log) == ["pending", "succeeded"]
        assert {(a.response_body, a.response_headers, a.detail) for a in log} == {(b"", (), "")}
        assert (await b.claim()).leased == []


async def test_retention(database):
    """Old messages and attempts go, young ones and those something waits for stay."""
    database.change(retention_messages=2, retention_payloads=1, retention_attempts=1.5)
    async with database.bench() as b:
        await b.declare("one")
        old_done, old_waiting = await b.publish(2)
        done, waiting = sorted((await b.route()).leased, key=lambda d: d.message != old_done)
        await b.settle([done])
        await b.settle([waiting], FAILED, Decision.retry(b.now + 9 * DAY, ""))
        b.now += DAY
        [young] = await b.publish()
        await b.settle((await b.route()).leased)
        await b.store.prune(b.now)
        assert len(await b.store.attempts(old_done)) == 1
        b.now += DAY + SECOND
        await b.store.prune(b.now)
        assert len(await b.store.attempts(young)) == 1
        assert await b.states(young) == {"one": ("succeeded", 1)}
        with pytest.raises(MessageNotFound):
            await b.store.resend(old_done, (await b.keys())["one"], b.now)
        b.now += 7 * DAY
        [leased] = (await b.claim()).leased
        assert (leased.message, leased.body) == (old_waiting, b'{"n":1}')


async def test_retention_of_nothing(database):
    """With 0 everything is kept."""
    database.change(retention_messages=0, retention_payloads=0, retention_attempts=0)
    async with database.bench() as b:
        await b.declare("one")
        [message] = await b.publish()
        await b.settle((await b.route()).leased)
        b.now += 400 * DAY
        await b.store.prune(b.now)
        assert len(await b.store.attempts(message)) == 1
        assert await b.store.resend(message, (await b.keys())["one"], b.now)


# workers ----------------------------------------------------------------------------------------


async def test_shares_add_up(bench):
    """Workers that give signs of life share every limit so that the parts are the whole."""
    async with bench as b:
        queues = [b.queue, await b.worker(), await b.worker()]
        keys = [new_key(b.now) for _ in queues]
        for queue, key in zip(queues, keys, strict=True):
            await queue.beat(key, b.now)
        shares = [await queue.beat(key, b.now) for queue, key in zip(queues, keys, strict=True)]
        working = [share for share in shares if share is not None]
        assert {share.workers for share in working} == {len(working)}
        endpoint = new_key(b.now)
        for limit in (1, 2, 3, 20, 100):
            assert sum(share.of(limit, endpoint) for share in working) == limit
        await queues[0].leave(keys[0])
        [*rest] = [await q.beat(k, b.now) for q, k in zip(queues[1:], keys[1:], strict=True)]
        left = [share for share in rest if share is not None]
        assert sum(share.of(20, endpoint) for share in left) == 20


async def test_what_falls_due_next(bench):
    """The next time later than one that is given, of messages not routed and of deliveries."""
    async with bench as b:
        next_due = b.store.overview.next_due
        assert await next_due(0) is None
        await b.declare("a")
        await b.publish()
        await b.publish(due_at=b.now + 9000)
        assert await next_due(b.now - 1) == b.now
        assert await next_due(b.now) == b.now + 9000
        await b.settle((await b.route()).leased, FAILED)  # again in 5 s
        assert await next_due(b.now) == b.now + 5000
        assert await next_due(b.now + 5000) == b.now + 9000
        assert await next_due(b.now + 9000) is None
