"""Erasing all contents of an application: a job in steps, on each database."""

from datetime import UTC, datetime

import sqlalchemy as sa
from tests.contract.conftest import FAILED, LEASE

from hookline import JobState
from hookline._domain import ids
from hookline._domain.replay import EVERYTHING, PURGE, Selection
from hookline._storage.jobs import PURGED
from hookline._storage.schema import attempt, message

WHOLE = Selection(since=datetime.fromtimestamp(0, UTC), states=EVERYTHING)


async def add(b):
    """Store a job, and return its key."""
    job = await b.store.jobs.add(b.app, WHOLE, None, b.now, PURGE)
    return ids.decode(ids.JOB, job.id)


async def step(b):
    """Make one step."""
    leased = await b.store.jobs.claim(b.now, b.now + LEASE)
    return await b.store.jobs.step(leased, b.now)


async def bodies(b):
    """Return the ids of messages that still say something."""
    async with b.store._reading() as connection:
        found = await connection.execute(
            sa.select(message.c.id).where(message.c.body != b"").order_by(message.c.id)
        )
        return found.scalars().all()


async def test_everything_until_then_is_erased(bench):
    """Bodies, answers and what waits; not of another application, nor what came later."""
    async with bench as b:
        await b.declare("a")
        await b.publish(2)
        leased, _ = await b.route_all(room=1)
        await b.settle(leased, FAILED)
        made, _ = await b.store.applications.create({"name": "other"}, b.now)
        [other] = await b.publish(app=ids.decode(ids.APPLICATION, made.id))
        [unrouted] = await b.publish()
        key = await add(b)
        [later] = await b.publish()
        assert unrouted in await bodies(b)
        await step(b)
        assert await bodies(b) == [other, later]
        async with b.store._reading() as connection:
            answers = await connection.execute(sa.select(attempt.c.response_body, attempt.c.detail))
            assert answers.all() == [(b"", "")]
        job = await b.store.jobs.get(b.app, key)
        assert (job.state, job.task, job.done, job.total) == (JobState.FINISHED, PURGE, 3, 3)
        b.now += 1_000_000
        _, counts = await b.route_all()
        assert [c[0] for c in counts] == [other, later]
        sent = await b.claim_all()
        assert [d.message for d in sent] == [later]


async def test_it_goes_on_where_it_ended(bench):
    """Step by step; one whose lease was lost, or that was canceled, erases nothing."""
    async with bench as b:
        await b.publish(PURGED + 1)
        key = await add(b)
        lost = await b.store.jobs.claim(b.now, b.now + LEASE)
        b.now += LEASE
        await step(b)
        assert len(await bodies(b)) == 1
        assert await b.store.jobs.step(lost, b.now) is None
        assert (await b.store.jobs.get(b.app, key)).state is JobState.RUNNING
        await step(b)
        assert await bodies(b) == []
        job = await b.store.jobs.get(b.app, key)
        assert (job.state, job.done) == (JobState.FINISHED, PURGED + 1)
        [kept] = await b.publish()
        await add(b)
        canceled = await b.store.jobs.claim(b.now, b.now + LEASE)
        await b.store.jobs.cancel(b.app, canceled.key, b.now)
        assert await b.store.jobs.step(canceled, b.now) is None
        assert await bodies(b) == [kept]


async def test_the_next_in_line_is_due(bench):
    """An ordered endpoint goes on with what came after the job."""
    async with bench as b:
        await b.declare("a", ordered=True)
        await b.publish(2)
        await b.route_all()
        await add(b)
        [later] = await b.publish()
        await b.route_all()
        assert [d.message for d in (await b.claim()).leased] != [later]
        b.now += LEASE
        await step(b)
        assert [d.message for d in (await b.claim()).leased] == [later]


async def test_an_application_with_nothing_is_done_at_once(bench):
    """In one step."""
    async with bench as b:
        key = await add(b)
        await step(b)
        assert (await b.store.jobs.get(b.app, key)).state is JobState.FINISHED
