"""Replay jobs, step by step, on every database alike."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from hookline import JobState
from hookline._domain import ids
from hookline._domain.delivery import Decision, DeliveryState, Failure, Outcome
from hookline._domain.replay import EVERYTHING, FAILED, Selection
from hookline._engine.keys import new_key
from hookline._storage import replay
from hookline._storage.replay import due as making_due
from hookline._storage.replay import find
from hookline._storage.schema import (
    HELD,
    application,
    attempt,
    delivery,
    endpoint,
    job,
    message,
    outbox,
)
from hookline.errors import MessageNotFound, StorageError

LEASE, SECOND, HOUR, DAY = 30_000, 1000, 3_600_000, 86_400_000
REFUSED = Outcome(503, Failure.STATUS)
EXHAUSTED, SUCCEEDED = DeliveryState.EXHAUSTED, DeliveryState.SUCCEEDED
PENDING, HELD_STATE = DeliveryState.PENDING, DeliveryState.HELD
GIVEN_UP = Decision.exhausted("HTTP 503")


def moment(milliseconds):
    """Return a time as a selection has it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def since(b, **options):
    """Return a selection of what failed in the last hour, or what the options say."""
    return Selection(**{"since": moment(b.now - HOUR), **options})


def at(key):
    """Return the public id of an endpoint."""
    return ids.encode(ids.ENDPOINT, key)


async def publish(b, count=1, **options):
    """Publish messages, route them all, and return what is leased, in their order."""
    await b.publish(count, **options)
    leased, _ = await b.route_all(100_000)
    return sorted(leased, key=lambda each: (each.message, each.target.key))


async def fail(b, count=1, decision=GIVEN_UP, **options):
    """Publish messages that fail at every endpoint; return what was leased."""
    leased = await publish(b, count, **options)
    assert all(await b.settle(leased, REFUSED, decision))
    return leased


async def write(b, statement):
    """Change a row behind the store's back."""
    async with b.store._writing() as connection:
        await connection.execute(statement)


async def read(b, statement):
    """Read rows behind the store's back."""
    async with b.store._reading() as connection:
        return (await connection.execute(statement)).all()


async def hold(b, leased):
    """Hold deliveries at an endpoint that is enabled, as a cut-off `enable` leaves them."""
    assert all(await b.settle(leased, REFUSED, Decision.held("HTTP 410")))


async def add(b, selection, rate=None):
    """Store a job; return its key."""
    return ids.decode(ids.JOB, (await b.store.jobs.add(b.app, selection, rate, b.now)).id)


async def step(b):
    """Make the step that is due; return how many deliveries it made due, None for no step."""
    leased = await b.store.jobs.claim(b.now, b.now + LEASE)
    return None if leased is None else await b.store.jobs.step(leased, b.now)


async def run(b, selection=None, rate=None):
    """Run a job, or those there are, to the end; return what each step made due."""
    if selection is not None:
        await add(b, selection, rate)
    steps = []
    while (made := await step(b)) is not None:
        steps.append(made)
    return steps


async def get(b, key):
    """Return a job."""
    return await b.store.jobs.get(b.app, key)


async def preview(b, selection):
    """Return how many a replay would make due."""
    return (await b.store.jobs.preview(b.app, selection, b.now)).total


async def due(b):
    """Return (message, endpoint) of what is due, in order."""
    columns = delivery.c
    which = columns.lease == 0, columns.next_attempt_at <= b.now
    rows = await read(b, sa.select(columns.message_id, columns.endpoint_id).where(*which))
    return sorted(tuple(row) for row in rows)


def pairs(leased):
    """Return (message, endpoint) of each, in order."""
    return sorted((each.message, each.target.key) for each in leased)


@pytest.fixture
def small_pages(monkeypatch):
    """Pages of two deliveries, found among five rows at most, of two endpoints."""
    monkeypatch.setattr(replay, "PAGE", 2)
    monkeypatch.setattr(find, "PAGE", 2)
    monkeypatch.setattr(find, "SCAN", 5)
    monkeypatch.setattr(find, "PAGE_ENDPOINTS", 2)
    # Defaults are bound when the function is made.
    part = find._part

    async def smaller(connection, keys, others, where, keep, most=2):
        return await part(connection, keys, others, where, keep, min(most, 2))

    monkeypatch.setattr(find, "_part", smaller)


# what a job does --------------------------------------------------------------------------------


async def test_a_job_from_begin_to_end(bench):
    """A job counts, then makes due what it selects as manual attempts, and says how far it is."""
    async with bench as b:
        [key] = await b.declare("one")
        lost = await fail(b, 3)
        await b.settle(await publish(b, 2))
        b.now += SECOND
        selection = since(b, endpoint=at(key))
        stored = await b.store.jobs.add(b.app, selection, None, b.now)
        assert (stored.state, stored.total, stored.counted, stored.done) == (
            JobState.QUEUED,
            0,
            False,
            0,
        )
        assert re.fullmatch("job_[0-9A-Za-z]{27}", stored.id)
        assert (stored.selection, stored.rate, stored.reason) == (selection, None, None)
        job_key = ids.decode(ids.JOB, stored.id)
        seen = []
        while await step(b) is not None:
            found = await get(b, job_key)
            seen.append((found.state, found.total, found.counted, found.done))
        assert seen == [
            (JobState.RUNNING, 0, False, 0),  # nothing is held
            (JobState.RUNNING, 3, True, 0),
            (JobState.RUNNING, 3, True, 0),
            (JobState.FINISHED, 3, True, 3),
        ]
        again = await b.claim_all()
        assert pairs(again) == pairs(lost)
        assert {(each.attempts, each.step, each.resume_at) for each in again} == {(1, 0, 0)}
        await b.settle(again)
        assert await b.states(lost[0].message) == {"one": ("succeeded", 2)}


async def test_a_preview_writes_nothing(bench):
    """A dry run counts, is not stored, and changes nothing."""
    async with bench as b:
        await b.declare("one")
        await fail(b, 3)
        dry = await b.store.jobs.preview(b.app, since(b), b.now)
        assert (dry.id, dry.state, dry.total, dry.done) == (None, JobState.FINISHED, 3, 0)
        assert await dry.finished() is dry
        assert await b.store.jobs.newest(b.app, 10, None) == []
        assert await b.store.jobs.next_due() is None
        assert await due(b) == []


async def test_nothing_selected(bench):
    """A job that selects nothing finishes all the same."""
    async with bench as b:
        await b.declare("one")
        key = await add(b, since(b, states=EVERYTHING, missing=True))
        assert sum(await run(b)) == 0
        assert (await get(b, key)).state is JobState.FINISHED


# what is selected -------------------------------------------------------------------------------


async def mixed(b):
    """Publish one message per state at `one` and `two`; return keys by state."""
    await b.declare("one", "two", retry_schedule=(0.0, 5.0))
    found = {}
    for state, decision in {
        "exhausted": GIVEN_UP,
        "held": Decision.held("HTTP 410"),
        "pending": Decision.retry(b.now + HOUR, ""),
        "canceled": Decision.canceled("receiver said so"),
    }.items():
        found[state] = (await fail(b, decision=decision))[0].message
    leased = await publish(b)
    found["succeeded"] = leased[0].message
    await b.settle(leased)
    found["sending"] = (await publish(b))[0].message
    b.now += SECOND
    return found


@pytest.mark.parametrize("states", [*[(s,) for s in EVERYTHING], FAILED, EVERYTHING])
@pytest.mark.parametrize("where", ["one", None])
async def test_states(bench, states, where):
    """Selected are the states people see, at one endpoint or at all; a dry run says how many."""
    async with bench as b:
        messages = await mixed(b)
        keys = await b.keys()
        wanted = sorted(
            (messages[state], keys[name])
            for state in states
            for name in keys
            if where in (name, None)
        )
        selection = since(b, states=states, endpoint=at(keys[where]) if where else None)
        assert await preview(b, selection) == len(wanted)
        assert sum(await run(b, selection)) == len(wanted)
        [finished] = await b.store.jobs.newest(b.app, 10, None)
        assert (finished.total, finished.done) == (len(wanted), len(wanted))
        assert await due(b) == wanted


async def test_a_running_schedule_is_not_harmed(bench):
    """A retry that is replayed before its time goes on at that time when it fails again."""
    async with bench as b:
        await b.declare("one")
        planned = b.now + HOUR
        await fail(b, decision=Decision.retry(planned, ""))
        assert sum(await run(b, since(b, states=(PENDING,)))) == 1
        [manual] = (await b.claim()).leased
        assert (manual.attempts, manual.step, manual.resume_at) == (1, 1, planned)
        await b.settle([manual], REFUSED, Decision.retry(manual.resume_at, ""))
        b.now = planned
        [scheduled] = (await b.claim()).leased
        assert (scheduled.attempts, scheduled.step, scheduled.resume_at) == (2, 1, None)


async def test_what_is_held_goes_on_where_it_was(bench):
    """A held delivery that is replayed keeps its place in the schedule."""
    async with bench as b:
        await b.declare("one")
        leased = await fail(b, decision=Decision.retry(b.now, ""))
        await hold(b, await b.claim_all())
        assert sum(await run(b, since(b))) == 1
        [manual] = await b.claim_all()
        assert manual.message == leased[0].message
        assert (manual.attempts, manual.step, manual.resume_at) == (2, 2, 0)


async def test_what_is_due_anyway_is_left_alone(bench):
    """A retry whose time has come is not made a manual attempt, nor is one that is manual."""
    async with bench as b:
        [key] = await b.declare("one")
        [first, second] = await fail(b, 2, decision=Decision.retry(b.now + HOUR, ""))
        await b.store.resend(first.message, key, b.now)
        await b.settle((await b.claim()).leased, REFUSED, Decision.retry(b.now + 2 * HOUR, ""))
        b.now += HOUR
        assert await preview(b, since(b, since=moment(0), states=(PENDING,))) == 1
        assert sum(await run(b, since(b, since=moment(0), states=(PENDING,)))) == 1
        leased = {each.message: each.resume_at for each in await b.claim_all()}
        assert leased[second.message] is None
        assert leased[first.message] == b.now + HOUR


async def test_the_last_attempt_decides(bench):
    """What was exhausted and succeeded later is not exhausted any more."""
    async with bench as b:
        [key] = await b.declare("one")
        saved, lost = await fail(b, 2)
        await b.store.resend(saved.message, key, b.now)
        await b.settle((await b.claim()).leased)
        b.now += SECOND
        assert await preview(b, since(b)) == 1
        await run(b, since(b))
        assert await due(b) == pairs([lost])


async def test_exhausted_many_times_is_one(bench):
    """A delivery that was given up three times over is replayed once."""
    async with bench as b:
        [key] = await b.declare("one")
        [lost] = await fail(b)
        for _ in range(2):
            await b.store.resend(lost.message, key, b.now)
            await b.settle((await b.claim()).leased, REFUSED, GIVEN_UP)
        assert await preview(b, since(b)) == 1
        assert sum(await run(b, since(b))) == 1
        assert [each.attempts for each in await b.claim_all()] == [3]


async def test_a_range_of_time(bench):
    """`since` belongs to the range, `until` does not."""
    async with bench as b:
        await b.declare("one")
        begin, leased = b.now, []
        for _ in range(4):
            leased += await fail(b)
            b.now += SECOND
        selection = Selection(since=moment(begin + SECOND), until=moment(begin + 3 * SECOND))
        assert await preview(b, selection) == 2
        await run(b, selection)
        assert await due(b) == pairs(leased[1:3])


async def test_until_now(bench):
    """Without `until`, what is published after the job is not its business."""
    async with bench as b:
        await b.declare("one")
        before = await fail(b)
        await add(b, since(b))
        await fail(b, 2)
        b.now += SECOND
        await fail(b, 2)
        assert sum(await run(b)) == 1
        assert await due(b) == pairs(before)


async def test_a_message_is_found_by_its_own_time(bench):
    """An old message that was given up today is selected by when it was published."""
    async with bench as b:
        await b.declare("one")
        leased = await publish(b)
        published = b.now
        b.now += 3 * DAY
        leased = await b.claim_all()
        await b.settle(leased, REFUSED, GIVEN_UP)
        assert await preview(b, since(b)) == 0
        range_ = {"since": moment(published), "until": moment(published + SECOND)}
        assert await preview(b, Selection(**range_)) == 1
        assert sum(await run(b, Selection(**range_))) == 1


async def test_a_worker_whose_clock_is_behind(bench):
    """An attempt that seems older than its message is found nevertheless."""
    async with bench as b:
        await b.declare("one")
        leased = await publish(b)
        b.now -= 60 * SECOND
        await b.settle(leased, REFUSED, GIVEN_UP)
        b.now += 61 * SECOND
        selection = Selection(since=moment(b.now - SECOND))
        assert await preview(b, selection) == 1
        assert sum(await run(b, selection)) == 1


@pytest.mark.parametrize(
    ("types", "count"),
    [(("a.b",), 1), (("a.*",), 2), (("*",), 4), (("a.b", "c"), 2), (("x",), 0), (("a",), 0)],
)
async def test_event_types(bench, types, count):
    """By event type, by family, by several of them."""
    async with bench as b:
        await b.declare("one")
        for event in ("a.b", "a.b.c", "ab.c", "c"):
            await fail(b, event=event)
        selection = since(b, event_types=types)
        assert await preview(b, selection) == count
        assert sum(await run(b, selection)) == count


async def test_one_message_to_all_its_endpoints(bench):
    """One message is sent again to each endpoint that got it, and to no other."""
    async with bench as b:
        await b.declare("one", "two", "three")
        await b.settle(await publish(b))
        leased = await publish(b)
        await b.settle(leased[:1])
        await b.settle(leased[1:2], REFUSED, GIVEN_UP)
        await b.settle(leased[2:], REFUSED, Decision.retry(b.now + HOUR, ""))
        await b.declare("later")
        name = ids.encode(ids.MESSAGE, leased[0].message)
        selection = Selection(message=name, states=EVERYTHING)
        assert await preview(b, selection) == 3
        assert sum(await run(b, selection)) == 3
        assert await due(b) == pairs(leased)


async def test_one_message_to_one_endpoint(bench):
    """One message and one endpoint: one delivery."""
    async with bench as b:
        key, *_ = await b.declare("one", "two")
        leased = await publish(b)
        await b.settle(leased)
        name = ids.encode(ids.MESSAGE, leased[0].message)
        await run(b, Selection(message=name, endpoint=at(key), states=EVERYTHING))
        assert await due(b) == [(leased[0].message, key)]


async def test_one_message_to_who_missed_it(bench):
    """One message, also to endpoints that came later and want it."""
    async with bench as b:
        await b.declare("one")
        leased = await publish(b)
        await b.settle(leased)
        _, later = await b.declare("one", "later")
        await b.declare("other", events=["c.d"])
        name = ids.encode(ids.MESSAGE, leased[0].message)
        await run(b, Selection(message=name, states=(), missing=True))
        assert await due(b) == [(leased[0].message, later)]


async def test_an_unknown_message(bench):
    """A message that does not exist, or was erased, is refused."""
    async with bench as b:
        await b.declare("one")
        unknown = Selection(message=ids.encode(ids.MESSAGE, new_key(b.now)), states=EVERYTHING)
        with pytest.raises(MessageNotFound):
            await add(b, unknown)
        with pytest.raises(MessageNotFound):
            await preview(b, unknown)
        [leased] = await fail(b)
        await b.store.erase(leased.message, b.now)
        erased = Selection(message=ids.encode(ids.MESSAGE, leased.message), states=EVERYTHING)
        with pytest.raises(ValueError, match="erased"):
            await add(b, erased)


async def test_missing(bench):
    """Missing is what an endpoint wants and never got, from before it existed too."""
    async with bench as b:
        await b.declare("one", events=["a.b"])
        early = await publish(b, 2, event="a.b")
        await b.settle(early)
        other = await publish(b, event="c.d")
        assert other == []
        b.now += SECOND
        _, new = await b.declare("one", "new", events=["a.b", "c.d"])
        late = await publish(b, event="a.b")  # both get this one
        waiting = [each for each in late if each.target.key == new]
        assert len(waiting) == 1
        b.now += SECOND
        selection = since(b, endpoint=at(new), states=(), missing=True)
        assert await preview(b, selection) == 3
        assert sum(await run(b, selection)) == 3
        leased = await b.claim_all()
        assert [each.target.key for each in leased] == [new] * 3
        assert {each.event_type for each in leased} == {"a.b", "c.d"}
        assert {(each.attempts, each.step, each.resume_at) for each in leased} == {(0, 0, 0)}
        await b.settle(leased)
        await b.settle(late)
        assert await preview(b, selection) == 0


async def test_missing_beside_states(bench):
    """Missing ones add to those that failed."""
    async with bench as b:
        await b.declare("one")
        await fail(b, 2)
        await b.declare("new")
        assert await preview(b, since(b)) == 2
        assert await preview(b, since(b, missing=True)) == 4
        assert sum(await run(b, since(b, missing=True))) == 4


async def test_not_missing(bench):
    """Not missing: what is canceled, erased, still to be routed, of no interest, or another's."""
    async with bench as b:
        await b.declare("one", events=["no"])
        later, canceled, erased, uninteresting, unrouted = (
            *await b.publish(due_at=b.now + DAY, deliver_at=b.now + DAY),
            *await b.publish(due_at=b.now + DAY, deliver_at=b.now + DAY),
            *await b.publish(),
            *await b.publish(event="c.d"),
            *[],
            None,
        )
        await b.route_all()
        assert await b.store.cancel(canceled, b.now) == 1
        await b.store.erase(erased, b.now)
        [unrouted] = await b.publish()
        elsewhere = new_key(b.now)
        await write(
            b,
            application.insert().values(
                id=elsewhere,
                uid="other",
                name="Other",
                metadata={},
                revision=0,
                created_at=b.now,
                updated_at=b.now,
            ),
        )
        [foreign] = await b.publish(app=elsewhere)
        await write(b, sa.delete(outbox).where(outbox.c.message_id == foreign))
        await b.declare("new", events=["a.b"])
        b.now += SECOND
        selection = since(b, states=(), missing=True)
        assert await preview(b, selection) == 0, (later, uninteresting, unrouted)
        assert sum(await run(b, selection)) == 0


async def test_missing_ends_where_the_log_ends(bench, database):
    """Of messages from before the log begins nobody knows: they are not taken for missing."""
    database.change(retention_attempts=1)
    async with bench as b:
        await b.publish()
        b.now += 20 * HOUR
        await b.publish()
        await b.route_all()
        await b.declare("one")
        b.now += 5 * HOUR
        assert await preview(b, since(b, since=moment(0), states=(), missing=True)) == 1


@pytest.mark.parametrize("change", ["canceled", "erased", "removed"])
async def test_what_cannot_be_sent_is_passed_over(bench, change):
    """A message that was canceled or erased since, or is gone, is not sent again."""
    async with bench as b:
        await b.declare("one")
        lost, kept = await fail(b, 2)
        mine = message.c.id == lost.message
        if change == "canceled":
            await write(b, message.update().where(mine).values(canceled_at=b.now))
        elif change == "erased":
            await b.store.erase(lost.message, b.now)
        else:
            await write(b, message.delete().where(mine))
        assert await preview(b, since(b)) == 1
        assert sum(await run(b, since(b))) == 1
        assert await due(b) == pairs([kept])


async def test_other_applications_are_left_alone(bench):
    """A job of one application neither sees nor touches what belongs to another."""
    async with bench as b:
        await b.declare("one")
        await fail(b, 2)
        elsewhere = new_key(b.now)
        await write(
            b,
            application.insert().values(
                id=elsewhere,
                uid="other",
                name="Other",
                metadata={},
                revision=0,
                created_at=b.now,
                updated_at=b.now,
            ),
        )
        dry = await b.store.jobs.preview(
            elsewhere, since(b, states=EVERYTHING, missing=True), b.now
        )
        assert dry.total == 0
        key = await add(b, since(b))
        assert await b.store.jobs.get(elsewhere, key) is None
        assert await b.store.jobs.cancel(elsewhere, key, b.now) is None
        assert await b.store.jobs.newest(elsewhere, 10, None) == []
        assert (await get(b, key)).state is JobState.QUEUED


# disabled endpoints -----------------------------------------------------------------------------


async def test_all_endpoints_means_the_enabled_ones(bench):
    """A replay to all endpoints passes over those that are disabled."""
    async with bench as b:
        one, two = await b.declare("one", "two")
        leased = await fail(b, 2)
        await b.store.endpoints.disable(two, "maintenance", b.now)
        assert await preview(b, since(b)) == 2
        await run(b, since(b))
        assert await due(b) == pairs(each for each in leased if each.target.key == one)


async def test_disabled_in_the_middle(bench, small_pages):
    """A job whose endpoint is disabled meanwhile fails, says why, and leaves the rest alone."""
    async with bench as b:
        [key] = await b.declare("one")
        await fail(b, 6)
        job_key = await add(b, since(b, endpoint=at(key), states=(EXHAUSTED,)))
        while (await get(b, job_key)).done < 2:
            await step(b)
        await b.store.endpoints.disable(key, "gone fishing", b.now)
        await run(b)
        ended = await get(b, job_key)
        assert (ended.state, ended.total, ended.done) == (JobState.FAILED, 6, 2)
        assert ended.reason == (
            f"endpoint {at(key)} is disabled (gone fishing); enable it, then replay again"
        )
        await b.store.endpoints.enable(key, b.now)
        assert sum(await run(b, since(b, endpoint=at(key)))) == 4


async def test_an_endpoint_that_is_gone(bench):
    """A job whose endpoint was deleted meanwhile fails and says so."""
    async with bench as b:
        [key] = await b.declare("one")
        await fail(b)
        job_key = await add(b, since(b, endpoint=at(key)))
        await write(b, endpoint.delete().where(endpoint.c.id == key))
        await run(b)
        ended = await get(b, job_key)
        assert (ended.state, ended.done) == (JobState.FAILED, 0)
        assert ended.reason == f"endpoint {at(key)} does not exist any more"


async def test_enable_releases_in_batches(bench, monkeypatch):
    """However many are held, `enable` makes them due in transactions of bounded size."""
    sizes = []
    release = making_due.release

    async def counted(*arguments):
        sizes.append(await release(*arguments))
        return sizes[-1]

    monkeypatch.setattr(making_due, "RELEASED", 4)
    monkeypatch.setattr(making_due, "release", counted)
    async with bench as b:
        one, two = await b.declare("one", "two")
        await b.store.endpoints.disable(one, "maintenance", b.now)
        await b.store.endpoints.disable(two, "maintenance", b.now)
        await b.publish(10)
        await b.route_all()
        assert await b.store.endpoints.enable(one, b.now) == 10
        assert sizes == [4, 4, 2]
        leased = await b.claim_all()
        assert [each.target.key for each in leased] == [one] * 10
        assert {each.resume_at for each in leased} == {None}, "the schedule's own attempts"


async def test_what_enable_left_behind(bench):
    """Held deliveries of enabled endpoints are found and made due; those of disabled ones stay."""
    async with bench as b:
        one, two = await b.declare("one", "two")
        await hold(b, await publish(b, 3))
        await b.store.endpoints.disable(two, "maintenance", b.now)
        assert await b.store.release_held(b.now) == 3
        assert await b.store.release_held(b.now) == 0
        assert {owner for _, owner in await due(b)} == {one}


async def test_disabled_again_while_it_is_enabled(bench, monkeypatch):
    """`enable` stops where somebody disables the endpoint again."""
    async with bench as b:
        [key] = await b.declare("one")
        await b.store.endpoints.disable(key, "maintenance", b.now)
        await b.publish(10)
        await b.route_all()
        release = making_due.release

        async def disabled_after_the_first(connection, *arguments):
            released = await release(connection, *arguments)
            await connection.execute(endpoint.update().values(disabled_at=b.now))
            return released

        monkeypatch.setattr(making_due, "RELEASED", 4)
        monkeypatch.setattr(making_due, "release", disabled_after_the_first)
        assert await b.store.endpoints.enable(key, b.now) == 4
        [(left,)] = await read(
            b, sa.select(sa.func.count()).where(delivery.c.next_attempt_at == HELD)
        )
        assert left == 6


# ordered endpoints ------------------------------------------------------------------------------


async def test_an_ordered_endpoint_stays_ordered(bench):
    """What is replayed to an ordered endpoint stands in line again: one at a time, oldest first."""
    async with bench as b:
        await b.declare("one", ordered=True)
        messages = await b.publish(3)
        leased, _ = await b.route_all(10)
        for _ in messages:
            await b.settle(leased, REFUSED, GIVEN_UP)
            leased = (await b.claim()).leased
        b.now += SECOND
        assert sum(await run(b, since(b))) == 3
        arrived = []
        while leased := (await b.claim()).leased:
            arrived += [each.message for each in leased]
            assert len(leased) == 1
            await b.settle(leased)
        assert arrived == messages


async def test_a_replay_does_not_overtake(bench):
    """What is replayed waits for the one under way, and goes before those that are younger."""
    async with bench as b:
        await b.declare("one", ordered=True)
        [old] = await b.publish(ordering_key="x")
        leased, _ = await b.route_all(10)
        await b.settle(leased, REFUSED, GIVEN_UP)
        b.now += SECOND
        head, behind = await b.publish(2, ordering_key="x")
        [other] = await b.publish(ordering_key="y")
        leased, _ = await b.route_all(10)
        assert sorted(each.message for each in leased) == [head, other]
        await run(b, since(b))
        assert (await b.claim()).leased == []
        await b.settle([each for each in leased if each.message == head])
        for message_key in (old, behind):
            [now] = (await b.claim()).leased
            assert now.message == message_key
            await b.settle([now])


async def test_a_held_head_is_replayed(bench):
    """The held head of a line is made due, and those behind it follow in their turn."""
    async with bench as b:
        await b.declare("one", ordered=True)
        messages = await b.publish(3)
        leased, _ = await b.route_all(10)
        await hold(b, leased)
        assert sum(await run(b, since(b, states=(HELD_STATE, PENDING)))) == 1
        for expected in messages:
            [leased] = (await b.claim()).leased
            assert leased.message == expected
            await b.settle([leased])


# steps ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("where", ["one", None])
async def test_page_by_page(bench, where):
    """However small the pages, everything is counted once and made due once."""
    async with bench as b:
        await b.declare("one", "two", "three", "four")
        keys = await b.keys()
        leased = await publish(b, 12)
        by = [leased[n::4] for n in range(4)]
        await b.settle(by[0][:9], REFUSED, GIVEN_UP)
        await b.settle(by[0][9:], REFUSED, Decision.held(""))
        await b.settle(by[1][:5], REFUSED, Decision.retry(b.now + HOUR, ""))
        await b.settle(by[1][5:])
        await b.settle(by[2])
        await b.settle(by[3][:7], REFUSED, GIVEN_UP)
        await b.declare("five")
        b.now += SECOND
        wanted = leased if where is None else by[sorted(keys.values()).index(keys[where])]
        done = {p for p in pairs(leased) if p in pairs(wanted)} - set(pairs(by[3][7:]))
        if where is None:
            done |= {(m, (await b.keys())["five"]) for m in {each.message for each in leased}}
        selection = since(
            b, states=EVERYTHING, missing=True, endpoint=at(keys[where]) if where else None
        )
        assert await preview(b, selection) == len(done)
        steps = await run(b, selection)
        assert max(steps) <= 2
        assert sum(steps) == len(done)
        [finished] = await b.store.jobs.newest(b.app, 1, None)
        assert (finished.total, finished.done) == (len(done), len(done))
        assert await due(b) == sorted(done)


@pytest.mark.usefixtures("small_pages")
async def test_what_a_job_sets_off_is_not_selected_again(bench):
    """Given up again at once, also in the very same millisecond, nothing is replayed twice."""
    async with bench as b:
        [key] = await b.declare("one")
        await fail(b, 5)
        job_key = await add(b, since(b, endpoint=at(key), states=EVERYTHING, missing=True))
        made = []
        while (n := await step(b)) is not None:
            made.append(n)
            again = await b.claim_all()
            await b.settle(again, REFUSED, GIVEN_UP)
            assert len(made) < 50, "it goes round in circles"
        assert sum(made) == 5
        assert (await get(b, job_key)).state is JobState.FINISHED
        [(most,)] = await read(b, sa.select(sa.func.max(attempt.c.number)))
        assert most == 2


async def test_a_step_is_bounded(bench):
    """Of 3,000 deliveries a step reads, and makes due, a few hundred at most."""
    async with bench as b:
        [key] = await b.declare("one")
        leased = await publish(b, 3000)
        for n in range(0, 3000, 500):
            await b.settle(leased[n : n + 500], REFUSED, GIVEN_UP)
        candidates, judged = [], []
        page, judge = replay.page, replay.judge

        async def watched_page(*arguments):
            found = await page(*arguments)
            candidates.append(len(found.candidates))
            return found

        async def watched_judge(connection, f, some, *rest, **options):
            judged.append(len(some))
            return await judge(connection, f, some, *rest, **options)

        replay.page, replay.judge = watched_page, watched_judge
        try:
            steps = await run(b, since(b, endpoint=at(key)))
        finally:
            replay.page, replay.judge = page, judge
        assert sum(steps) == 3000
        assert max(steps) <= 500
        assert max(candidates) <= 500
        assert max(judged) <= 500


async def test_a_rate(bench):
    """A step makes a second's worth due, and the next one may be made when the rate allows it."""
    async with bench as b:
        await b.declare("one")
        await fail(b, 10)
        key = await add(b, since(b, states=(EXHAUSTED,)), rate=4)
        begin, made = b.now, []
        while not (await get(b, key)).state.final:
            n = await step(b)
            if n is None:
                b.now = await b.store.jobs.next_due()
            elif n:
                made.append((b.now - begin, n))
        assert made == [(0, 4), (1000, 4), (2000, 2)]


async def test_a_slow_rate(bench):
    """Less than one a second: one, and then a longer pause."""
    async with bench as b:
        await b.declare("one")
        await fail(b, 2)
        await add(b, since(b, states=(EXHAUSTED,)), rate=0.4)
        assert sum(await run(b)) == 1
        assert await b.store.jobs.next_due() == b.now + 2500
        b.now += 2499
        assert await step(b) is None
        b.now += 1
        assert sum(await run(b)) == 1


async def test_jobs_take_turns(bench, small_pages):
    """A long job does not keep a short one waiting."""
    async with bench as b:
        await b.declare("one")
        leased = await fail(b)
        await fail(b, 20)
        long = await add(b, since(b, states=(EXHAUSTED,)))
        name = ids.encode(ids.MESSAGE, leased[0].message)
        short = await add(b, Selection(message=name, states=(EXHAUSTED,)))
        for _ in range(6):
            await step(b)
            b.now += 1
        assert (await get(b, short)).state is JobState.FINISHED
        assert (await get(b, long)).state is JobState.RUNNING


# leases, cancelling, crashes --------------------------------------------------------------------


async def test_a_lease_fences(bench):
    """One worker makes a step at a time; one that lost its lease changes nothing."""
    async with bench as b:
        await b.declare("one")
        await fail(b, 3)
        key = await add(b, since(b, states=(EXHAUSTED,)))
        assert await step(b) == 0
        slow = await b.store.jobs.claim(b.now, b.now + LEASE)
        assert slow.key == key
        assert await b.store.jobs.claim(b.now, b.now + LEASE) is None
        assert await b.store.jobs.next_due() == b.now + LEASE
        b.now += LEASE
        quick = await b.store.jobs.claim(b.now, b.now + LEASE)
        assert await b.store.jobs.step(slow, b.now) is None
        assert await due(b) == []
        assert await b.store.jobs.step(quick, b.now) == 3
        assert await b.store.jobs.step(quick, b.now) is None
        assert (await get(b, key)).done == 3


async def test_a_step_that_is_cut_off(bench, monkeypatch, small_pages):
    """What a step wrote and where it ended are one: cut off before its end it did nothing."""
    async with bench as b:
        await b.declare("one")
        leased = await fail(b, 7)
        key = await add(b, since(b, states=(EXHAUSTED,)))
        make_due, tries = replay.make_due, []

        async def cut_off_every_other_time(*arguments):
            await make_due(*arguments)
            tries.append(arguments)
            if len(tries) % 2:
                raise ConnectionResetError("the database went away")

        monkeypatch.setattr(replay, "make_due", cut_off_every_other_time)
        seen = []
        while not (await get(b, key)).state.final:
            try:
                await step(b)
            except StorageError:
                b.now += LEASE
            arrived = await b.claim_all()
            seen += pairs(arrived)
            await b.settle(arrived)
        assert sorted(seen) == pairs(leased)
        assert (await get(b, key)).done == 7


async def test_cancel(bench, small_pages):
    """Canceled in the middle, even of a step, nothing more is made due."""
    async with bench as b:
        await b.declare("one")
        await fail(b, 6)
        key = await add(b, since(b, states=(EXHAUSTED,)))
        while (await get(b, key)).done < 2:
            await step(b)
        under_way = await b.store.jobs.claim(b.now, b.now + LEASE)
        canceled = await b.store.jobs.cancel(b.app, key, b.now)
        assert (canceled.state, canceled.done) == (JobState.CANCELED, 2)
        assert await b.store.jobs.step(under_way, b.now) is None
        b.now += LEASE
        assert await run(b) == []
        assert len(await due(b)) == 2
        assert await b.store.jobs.next_due() is None
        assert await get(b, key) == canceled


async def test_cancel_after_the_end(bench):
    """A job that has ended stays as it ended; one that does not exist is not found."""
    async with bench as b:
        await b.declare("one")
        key = await add(b, since(b))
        await run(b)
        assert (await b.store.jobs.cancel(b.app, key, b.now)).state is JobState.FINISHED
        assert await b.store.jobs.cancel(b.app, new_key(b.now), b.now) is None


async def test_a_job_that_cannot_go_on(bench):
    """A job that fails is over, says why, and is not tried again."""
    async with bench as b:
        await b.declare("one")
        key = await add(b, since(b))
        leased = await b.store.jobs.claim(b.now, b.now + LEASE)
        await b.store.jobs.fail(replace(leased, lease=leased.lease + 1), "not mine", b.now)
        assert (await get(b, key)).state is JobState.RUNNING
        await b.store.jobs.fail(leased, "KeyError: 'x'", b.now)
        ended = await get(b, key)
        assert (ended.state, ended.reason) == (JobState.FAILED, "KeyError: 'x'")
        b.now += LEASE
        assert await step(b) is None


async def test_resent_in_between(bench):
    """What was sent again by hand between the count and the replay is passed over."""
    async with bench as b:
        [key] = await b.declare("one")
        first, *rest = await fail(b, 3)
        job_key = await add(b, since(b, states=(EXHAUSTED,)))
        assert await step(b) == 0
        await b.store.resend(first.message, key, b.now)
        await run(b)
        ended = await get(b, job_key)
        assert (ended.total, ended.done) == (3, 2)
        assert await due(b) == pairs([first, *rest])


async def test_resent_in_the_middle_of_a_step(bench, monkeypatch):
    """What arrived between the look and the write of a step is not sent once more."""
    async with bench as b:
        [key] = await b.declare("one")
        first, *rest = await fail(b, 3)
        job_key = await add(b, since(b, states=(EXHAUSTED,)))
        assert await step(b) == 0
        judge = replay.judge

        async def slow(*arguments, **options):
            found = await judge(*arguments, **options)
            if not options:
                assert len(found) == 3
                assert await b.store.resend(first.message, key, b.now)
                assert await b.settle(await b.claim_all()) == [True]
            return found

        monkeypatch.setattr(replay, "judge", slow)
        assert await step(b) == 2
        assert (await get(b, job_key)).done == 2
        assert await due(b) == pairs(rest)


# keeping them -----------------------------------------------------------------------------------


async def test_newest_first(bench):
    """Jobs are listed newest first, page by page."""
    async with bench as b:
        keys = [await add(b, since(b)) for _ in range(5)]
        names = [ids.encode(ids.JOB, key) for key in reversed(keys)]
        first = await b.store.jobs.newest(b.app, 3, None)
        assert [each.id for each in first] == names[:3]
        rest = await b.store.jobs.newest(b.app, 3, ids.decode(ids.JOB, first[-1].id))
        assert [each.id for each in rest] == names[3:]


async def test_ended_jobs_are_removed(bench):
    """A job that ended 30 days ago is removed; an open one never is."""
    async with bench as b:
        await add(b, since(b))
        await run(b)
        b.now += DAY
        still_open = await add(b, since(b))
        b.now += 29 * DAY + SECOND
        await b.store.prune(b.now)
        assert [each.id for each in await b.store.jobs.newest(b.app, 10, None)] == [
            ids.encode(ids.JOB, still_open)
        ]


async def test_a_selection_is_stored_as_it_is(bench):
    """Whatever is selected comes back the same."""
    async with bench as b:
        [key] = await b.declare("one")
        selection = Selection(
            since=moment(b.now - HOUR),
            until=moment(b.now),
            endpoint=at(key),
            states=(SUCCEEDED, HELD_STATE),
            event_types=("a.b", "c.*"),
            missing=True,
        )
        job_key = await add(b, selection, rate=2.5)
        found = await get(b, job_key)
        assert (found.selection, found.rate) == (selection, 2.5)


# plans ------------------------------------------------------------------------------------------


async def test_steps_walk_indexes(bench):
    """No statement of a step scans a table, whatever is selected."""
    async with bench as b:
        [key] = await b.declare("one")
        leased = await fail(b, 3)
        await hold(b, await publish(b, 2))
        statements = {}

        def note(_connection, _cursor, statement, parameters, _context, many):
            if not many and re.match(r"\s*SELECT", statement):
                statements[statement] = parameters

        engine = b.store._engine
        sa.event.listen(engine.sync_engine, "before_cursor_execute", note)
        everything = {"states": EVERYTHING, "missing": True}
        await run(b, since(b, endpoint=at(key), **everything))
        await run(b, Selection(message=ids.encode(ids.MESSAGE, leased[0].message), **everything))
        sa.event.remove(engine.sync_engine, "before_cursor_execute", note)
        big = [s for s in statements if re.search("_(message|attempt|delivery|outbox)", s)]
        assert len(big) >= 7
        for statement in big:
            plan = await explain(b, statement, statements[statement])
            assert not re.search(r"Seq Scan|SCAN hookline_|Bitmap", plan), (statement, plan)


async def explain(b, statement, parameters):
    """Return the plan of a statement in a transaction like a job's."""
    async with b.store.jobs._walking(b.store._reading) as connection:
        if connection.dialect.name == "sqlite":
            rows = await connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters)
            return "\n".join(row[3] for row in rows)
        raw = (await connection.get_raw_connection()).driver_connection
        rows = await raw.fetch("EXPLAIN " + statement, *parameters)
        return "\n".join(row[0] for row in rows)


async def test_the_rows_are_there(bench):
    """The job's own table keeps one row per job, and nothing per delivery."""
    async with bench as b:
        await b.declare("one")
        await fail(b, 3)
        await run(b, since(b))
        [(rows,)] = await read(b, sa.select(sa.func.count()).select_from(job))
        assert rows == 1


async def spoken(b, *numbers):
    """Publish messages `{"n": n}` and route them; return what is leased."""
    for n in numbers:
        await b.publish(body=b'{"n":%d}' % n)
    leased, _ = await b.route_all(100_000)
    return leased


async def test_missing_heeds_filters(bench):
    """What a filter keeps from an endpoint is not missing there; with another filter it may be."""
    async with bench as b:
        [key] = await b.declare("one", filter="n > `2`")
        leased = await spoken(b, 1, 2, 3, 4)
        assert len(leased) == 2
        await b.settle(leased)
        b.now += SECOND
        selection = since(b, states=(), missing=True)
        assert await preview(b, selection) == 0
        await b.declare("one", filter="n > `1`")
        assert await preview(b, selection) == 1
        assert sum(await run(b, selection)) == 1
        [again] = await b.claim_all()
        assert (again.body, again.target.key) == (b'{"n":2}', key)
        await b.settle([again])
        await b.declare(
            "one", filter="starts_with(n, 'a')"
        )  # fails: as in routing, it lets through
        assert await preview(b, since(b, endpoint=at(key), states=(), missing=True)) == 1


async def test_missing_with_filters_goes_on_in_pages(bench, monkeypatch):
    """Filters that cost much end a page; nothing is left out or taken twice."""
    monkeypatch.setattr(find, "MOST_STEPS", 3)
    monkeypatch.setattr(find, "BODIES", 4)
    async with bench as b:
        await b.declare("none", events=["no"])
        assert await spoken(b, *range(30)) == []
        text = "length(map(&@, `[1, 2]`)) == `2` && n >= `10`"
        keys = await b.declare("new", "other", filter=text)
        [every] = await b.declare("every")
        b.now += SECOND
        selection = since(b, states=(), missing=True)
        assert await preview(b, selection) == 20 + 20 + 30
        steps = await run(b, selection)
        assert sum(steps) == 70
        assert len(steps) > 20
        leased = await b.claim_all()
        found = {key: {each.body for each in leased if each.target.key == key} for key in keys}
        assert all(bodies == {b'{"n":%d}' % n for n in range(10, 30)} for bodies in found.values())
        assert len([each for each in leased if each.target.key == every]) == 30


async def test_other_replays_do_not_ask_filters(bench):
    """What was once for an endpoint stays for it, whatever its filter is now."""
    async with bench as b:
        await b.declare("one", filter="n > `0`")
        await fail(b, 2)
        await b.declare("one", filter="n > `100`")
        assert sum(await run(b, since(b))) == 2
