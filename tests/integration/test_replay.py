"""Replay as people use it: real receivers, real databases, and processes that die."""

import asyncio
import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from tests.crash.support import Look, Processes

from hookline import DeliveryState, Job, JobState
from hookline._domain import ids
from hookline._engine.keys import new_key
from hookline._storage.schema import attempt, message
from hookline.errors import (
    DeliveryTimeout,
    EndpointDisabled,
    EndpointNotFound,
    InvalidInput,
    JobNotFound,
    MessageNotFound,
    UnknownEventType,
)
from hookline.testing import Receiver

ONCE = [0]
"""A schedule of one attempt: what fails is exhausted at once."""
MANY = 3000
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


async def lose(webhooks, receiver, count, event="order.paid"):
    """Publish events that are given up on; return their receipts."""
    receiver.answer(503, times=count)
    receipts = await webhooks.trigger_many([(event, {"n": n}) for n in range(count)])
    for receipt in receipts:
        statuses = await receipt.delivered()
        assert DeliveryState.EXHAUSTED in [status.state for status in statuses]
    return receipts


async def all_final(receipts):
    """Wait until every delivery has ended, and return their states."""
    return [{s.url: s.state for s in await receipt.delivered()} for receipt in receipts]


# what failed is sent again ----------------------------------------------------------------------


async def test_what_failed_arrives(on_each_database, receiver):
    """What a receiver refused while it was down is sent again, each once, as a manual attempt."""
    webhooks = on_each_database(retry_schedule=ONCE)
    webhooks.register(receiver.url, ["*"], secret="your-secret-key")
    fine = await webhooks.trigger("order.paid", {"n": -1})
    await fine.delivered()
    lost = await lose(webhooks, receiver, 5)
    job = await webhooks.replay(receiver.url, since=BEGIN)
    assert (job.state, job.done) == (JobState.QUEUED, 0)
    ended = await job.finished()
    assert (ended.id, ended.state, ended.total, ended.done) == (job.id, JobState.FINISHED, 5, 5)
    await all_final(lost)
    arrived = Counter(each.id for each in receiver.received)
    assert arrived == {fine.message_id: 1} | {each.message_id: 2 for each in lost}
    assert all(each.verified for each in receiver.received)
    for each in lost:
        log = await webhooks.attempts(each.message_id)
        assert [(a.number, a.state, a.status) for a in log] == [
            (1, DeliveryState.EXHAUSTED, 503),
            (2, DeliveryState.SUCCEEDED, 200),
        ]
    again = await (await webhooks.replay(receiver.url, since=BEGIN)).finished()
    assert (again.total, again.done) == (0, 0)


@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        ({"channel": "red"}, "ab"),
        ({"tag": "vip"}, "b"),
        ({"channel": "blue"}, ""),
        ({"status_class": 500}, "ac"),
        ({"status_class": 400}, "b"),
        ({"status_class": 0}, ""),
        ({"channel": "red", "status_class": 500}, "a"),
    ],
    ids=str,
)
@pytest.mark.parametrize("schedule", [ONCE, [0, 3600]], ids=["exhausted", "waiting for a retry"])
async def test_narrowed(on_each_database, receiver, narrowed, found, schedule):
    """By channel, tag and what was answered last: what is exhausted, and what waits for a retry."""
    webhooks = on_each_database(retry_schedule=schedule)
    webhooks.register(receiver.url, ["*"], secret="your-secret-key")
    ids = {}
    for name, status, marks in (
        ("a", 503, {"channels": ["red"]}),
        ("b", 404, {"channels": ["red", "green"], "tags": ["vip"]}),
        ("c", 500, {}),
    ):
        receiver.answer(status, times=1)
        receipt = await webhooks.trigger("order.paid", {"name": name}, **marks)
        ids[receipt.message_id] = name
        await receiver.arrived(len(ids))
        while not await webhooks.attempts(receipt.message_id):  # committed after it arrived
            pass
    states = ["exhausted", "pending"]
    options = {"since": BEGIN, "states": states, **narrowed}
    assert (await webhooks.replay(receiver.url, **options, dry_run=True)).total == len(found)
    await (await webhooks.replay(receiver.url, **options)).finished()
    again = (await receiver.arrived(3 + len(found)))[3:]
    assert {ids[each.id] for each in again} == set(found)


async def test_narrowed_by_what_cannot_be(make_webhooks):
    """A class of answers that there is not; and what is missing was never answered."""
    webhooks = make_webhooks()
    with pytest.raises(InvalidInput, match=r"status_class: 250 is none of 0, 100"):
        await webhooks.replay(since=BEGIN, status_class=250)
    with pytest.raises(InvalidInput, match="leave one out"):
        await webhooks.replay(since=datetime.now(UTC), status_class=200, missing=True)


async def test_a_dry_run_tells_what_a_replay_does(on_each_database, receiver):
    """A dry run counts what is then replayed; it is no job, and sends nothing."""
    webhooks = on_each_database(retry_schedule=ONCE)
    webhooks.register(receiver.url, ["*"])
    await lose(webhooks, receiver, 3, "order.paid")
    await lose(webhooks, receiver, 2, "order.shipped")
    sent = receiver.count
    options = {"since": BEGIN, "event_types": ["order.paid"]}
    dry = await webhooks.replay(**options, dry_run=True)
    assert (dry.id, dry.state, dry.total, dry.done) == (None, JobState.FINISHED, 3, 0)
    assert await dry.finished() == dry
    assert await webhooks.jobs() == []
    assert receiver.count == sent
    real = await (await webhooks.replay(**options)).finished()
    assert real.done == dry.total
    await receiver.arrived(sent + 3)


async def test_a_replay_that_fails_again(on_each_database, receiver):
    """A replayed delivery that fails has a fresh schedule before it."""
    webhooks = on_each_database(retry_schedule=ONCE)
    webhooks.register(receiver.url, ["*"])
    [lost] = await lose(webhooks, receiver, 1)
    receiver.answer(503, times=2)
    webhooks.register(receiver.url, ["*"], retry_schedule=[0, 0.01, 0.01])
    await (await webhooks.replay(since=BEGIN)).finished()
    [states] = await all_final([lost])
    assert states == {receiver.url: DeliveryState.SUCCEEDED}
    assert [each.attempt for each in receiver.received] == [1, 2, 3, 4]


async def test_a_new_endpoint_gets_what_was_before_it(on_each_database, receiver):
    """With `missing`, an endpoint gets the messages of its event types from before it existed."""
    webhooks = on_each_database()
    webhooks.register(receiver.base + "/old", ["*"])
    receipts = await webhooks.trigger_many([(f"order.{n}", {}) for n in ("a", "b", "c")])
    await all_final([*receipts, await webhooks.trigger("other", {})])
    webhooks.register(receiver.base + "/new", ["order.*"])
    lately = datetime.now(UTC) - timedelta(days=1)
    job = await webhooks.replay(receiver.base + "/new", since=lately, missing=True)
    assert (await job.finished()).done == 3
    await all_final(receipts)
    new = [each for each in receiver.received if each.path == "/new"]
    assert sorted(each.id for each in new) == sorted(each.message_id for each in receipts)


async def test_one_message_to_everybody(on_each_database, receiver):
    """One message is sent again to each of its endpoints, however it ended there."""
    webhooks = on_each_database(retry_schedule=ONCE)
    for path in ("/one", "/two"):
        webhooks.register(receiver.base + path, ["*"])
    receipt, other = await webhooks.trigger_many([("order.paid", {}), ("order.paid", {})])
    await all_final([receipt, other])
    job = await webhooks.replay(message=receipt.message_id)
    assert (await job.finished()).done == 2
    await receiver.arrived(6)
    await all_final([receipt])
    assert Counter((each.id, each.path) for each in receiver.received) == {
        (receipt.message_id, "/one"): 2,
        (receipt.message_id, "/two"): 2,
        (other.message_id, "/one"): 1,
        (other.message_id, "/two"): 1,
    }


async def test_a_disabled_endpoint_is_refused(on_each_database, receiver):
    """Nothing is replayed to a disabled endpoint; enabled, it gets what is held and what failed."""
    webhooks = on_each_database(retry_schedule=ONCE)
    webhooks.register(receiver.url, ["*"])
    lost = await lose(webhooks, receiver, 1)
    await webhooks.disable(receiver.url, "maintenance")
    held = await webhooks.trigger("order.paid", {"held": True})
    for dry_run in (True, False):
        with pytest.raises(EndpointDisabled, match=r"maintenance.*enable"):
            await webhooks.replay(receiver.url, since=BEGIN, dry_run=dry_run)
    everywhere = await (await webhooks.replay(since=BEGIN)).finished()
    assert everywhere.total == 0
    assert await webhooks.enable(receiver.url) == 1
    await (await webhooks.replay(receiver.url, since=BEGIN)).finished()
    await all_final([*lost, held])
    assert receiver.count == 3


async def test_disabled_while_it_runs(make_webhooks, receiver, clock):
    """A job fails, saying why, when its endpoint is disabled meanwhile."""
    webhooks = make_webhooks(clock=clock, retry_schedule=ONCE)
    webhooks.register(receiver.url, ["*"])
    await lose(webhooks, receiver, 4)
    job = await webhooks.replay(receiver.url, since=BEGIN, rate=1)
    await until(webhooks, job, lambda now: now.done == 1)
    await webhooks.disable(receiver.url, "on purpose")
    clock.advance(1)
    ended = await job.finished()
    assert (ended.state, ended.done) == (JobState.FAILED, 1)
    assert "is disabled (on purpose); enable it" in ended.reason


# speed, progress, cancelling --------------------------------------------------------------------


async def until(webhooks, job, condition):
    """Watch a job until it is in a certain state, and return it as it is then."""
    async for now in webhooks.watch_job(job.id):
        if condition(now):
            return now
    raise AssertionError(f"it ended before: {now}")


async def test_a_rate(on_each_database, receiver, clock):
    """So many a second are made due, not one more, whatever the receiver can take."""
    webhooks = on_each_database(clock=clock, retry_schedule=ONCE)
    webhooks.register(receiver.url, ["*"])
    await lose(webhooks, receiver, 7)
    job = await webhooks.replay(since=BEGIN, rate=3)
    for done in (3, 6):
        assert (await until(webhooks, job, lambda now, n=done: now.done >= n)).done == done
        await receiver.arrived(7 + done)
        clock.advance(0.5)
        assert (await webhooks.job(job.id)).done == done
        clock.advance(0.5)
    assert (await job.finished()).done == 7
    await receiver.arrived(14)


async def test_cancel(on_each_database, receiver, clock):
    """Canceled at any time, a job makes nothing more due; what is due already is delivered."""
    webhooks = on_each_database(clock=clock, retry_schedule=ONCE)
    webhooks.register(receiver.url, ["*"])
    await lose(webhooks, receiver, 6)
    job = await webhooks.replay(since=BEGIN, rate=2)
    await until(webhooks, job, lambda now: now.done == 2)
    waiting = asyncio.ensure_future(job.finished())
    canceled = await webhooks.cancel_job(job.id)
    assert (canceled.state, canceled.total, canceled.done) == (JobState.CANCELED, 6, 2)
    assert await waiting == canceled
    clock.advance(60)
    other = await (await webhooks.replay(since=BEGIN, event_types=["none"])).finished()
    assert other.done == 0
    assert (await webhooks.job(job.id)).done == 2
    await receiver.arrived(8)
    assert (await webhooks.cancel_job(other.id)).state is JobState.FINISHED


async def test_watching(on_each_database, receiver):
    """A job is watched from where it is to its end; its numbers never go back."""
    webhooks = on_each_database(retry_schedule=ONCE)
    webhooks.register(receiver.url, ["*"])
    await lose(webhooks, receiver, 4)
    job = await webhooks.replay(since=BEGIN)
    seen = [now async for now in webhooks.watch_job(job.id)]
    assert seen[-1].state is JobState.FINISHED
    assert [now.state.final for now in seen[:-1]] == [False] * (len(seen) - 1)
    for numbers in ([now.total for now in seen], [now.done for now in seen]):
        assert numbers == sorted(numbers)
        assert numbers[-1] == 4
    assert [now.state async for now in webhooks.watch_job(job.id)] == [JobState.FINISHED]


async def test_nobody_is_there_to_do_it(make_webhooks):
    """Where no worker runs, a job waits, and says so to who waits for it."""
    webhooks = make_webhooks(deliver=False)
    job = await webhooks.replay(since=BEGIN)
    with pytest.raises(DeliveryTimeout, match=rf"{job.id}: not begun within 0.1 s; is a worker"):
        await job.finished(0.1)
    assert (await webhooks.job(job.id)).state is JobState.QUEUED


async def test_a_job_that_takes_longer(make_webhooks, receiver, clock):
    """Who waits too short a time is told how far it is."""
    webhooks = make_webhooks(clock=clock, retry_schedule=ONCE)
    webhooks.register(receiver.url, ["*"])
    await lose(webhooks, receiver, 2)
    job = await webhooks.replay(since=BEGIN, rate=1)
    await until(webhooks, job, lambda now: now.done == 1)
    with pytest.raises(DeliveryTimeout, match=r"not finished within 0\.1 s, 1 of 2 made due"):
        await job.finished(0.1)


async def test_a_worker_elsewhere(on_each_database, receiver):
    """A job that one process asks for is done by another one, and watched from the first."""
    worker = on_each_database(retry_schedule=ONCE, poll_interval=0.05)
    worker.register(receiver.url, ["*"])
    lost = await lose(worker, receiver, 3)
    elsewhere = on_each_database(deliver=False)
    job = await elsewhere.replay(receiver.url, since=BEGIN)
    assert (await job.finished()).done == 3
    await all_final(lost)
    assert [each.id for each in await elsewhere.jobs()] == [job.id]


async def test_a_job_that_breaks_does_not_break_the_rest(make_webhooks, receiver, monkeypatch):
    """A fault of ours ends the one job, with its reason, and no other."""
    webhooks = make_webhooks(retry_schedule=ONCE)
    webhooks.register(receiver.url, ["*"])
    await lose(webhooks, receiver, 2)
    jobs = webhooks._runtime.engine.store.jobs
    step = jobs.step

    async def broken(leased, now):
        if leased.rate == 7:
            raise KeyError("seven")
        return await step(leased, now)

    monkeypatch.setattr(jobs, "step", broken)
    bad = await webhooks.replay(since=BEGIN, rate=7)
    good = await webhooks.replay(since=BEGIN)
    ended = await bad.finished()
    assert (ended.state, ended.reason) == (JobState.FAILED, "KeyError: 'seven'")
    assert (await good.finished()).done == 2


# asking -----------------------------------------------------------------------------------------


async def test_a_job_says_what_it_is(make_webhooks, receiver, told):
    """A job has an id, times, and its selection in words; the log has a line about it."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    found = await webhooks.endpoint(receiver.url)
    job = await webhooks.replay(
        receiver.url,
        since=datetime(2025, 10, 17, 12, 30, tzinfo=UTC),
        until=datetime(2025, 10, 18, 1, tzinfo=UTC),
        states=["exhausted", DeliveryState.HELD, "succeeded"],
        event_types=["order.*", "user.created"],
        rate=5,
    )
    assert isinstance(job, Job)
    assert re.fullmatch(r"job_[0-9A-Za-z]{27}", job.id)
    words = (
        "exhausted, held and succeeded of order.*, user.created "
        "since 2025-10-17T12:30:00.000Z until 2025-10-18T01:00:00.000Z, "
        f"at {found.id}"
    )
    assert str(job.selection) == words
    assert told.containing(f"Replay {job.id}: {words}")
    assert abs(job.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    ended = await job.finished()
    assert ended.updated_at >= job.created_at == ended.created_at
    assert await webhooks.job(job.id) == ended


async def test_words(make_webhooks):
    """The shortest selections in words."""
    webhooks = make_webhooks(deliver=False)
    shortest = await webhooks.replay(since=BEGIN)
    assert str(shortest.selection) == (
        "exhausted and held since 2025-01-01T00:00:00.000Z, at every enabled endpoint"
    )
    receipt = await webhooks.trigger("order.paid", {})
    one = await webhooks.replay(message=receipt.message_id, states=[], missing=True)
    assert str(one.selection) == f"missing of {receipt.message_id}, at every enabled endpoint"


async def test_jobs_newest_first(make_webhooks):
    """Jobs are listed newest first, a page at a time."""
    webhooks = make_webhooks(deliver=False)
    made = [(await webhooks.replay(since=BEGIN)).id for _ in range(3)]
    assert [each.id for each in await webhooks.jobs()] == made[::-1]
    first = await webhooks.jobs(limit=2)
    assert [each.id for each in first] == made[:0:-1]
    assert [each.id for each in await webhooks.jobs(before=first[-1].id)] == made[:1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "since: give either"),
        ({"since": datetime(2025, 1, 1)}, "since: has no time zone"),  # noqa: DTZ001
        ({"since": "yesterday"}, "since: expected a datetime"),
        ({"since": BEGIN, "until": BEGIN}, "until: .* is not after since"),
        ({"since": BEGIN, "states": []}, "states: none"),
        ({"since": BEGIN, "states": "held"}, "states: expected a list"),
        ({"since": BEGIN, "states": ["lost"]}, "states: 'lost' is not a valid"),
        ({"since": BEGIN, "states": ["canceled"]}, "states: canceled is not replayed; expected"),
        ({"since": BEGIN, "states": ["sending"]}, "states: sending is not replayed; expected"),
        ({"since": BEGIN, "rate": 0}, "rate: 0 is not between"),
        ({"since": BEGIN, "rate": "1"}, "rate: expected a number"),
        ({"since": BEGIN, "event_types": "order.paid"}, "events: expected a list"),
        ({"since": BEGIN, "missing": True}, "missing: the log is kept for 30 days"),
    ],
)
async def test_wrong_input(make_webhooks, options, said):
    """What cannot be replayed is refused with what was expected, and no job is made."""
    webhooks = make_webhooks(deliver=False)
    with pytest.raises(InvalidInput, match=said):
        await webhooks.replay(**options)
    assert await webhooks.jobs() == []


async def test_one_message_has_no_range(make_webhooks):
    """A single message is not also a range of time."""
    webhooks = make_webhooks(deliver=False)
    receipt = await webhooks.trigger("order.paid", {})
    with pytest.raises(InvalidInput, match="since: give either"):
        await webhooks.replay(message=receipt.message_id, since=BEGIN)
    with pytest.raises(InvalidInput, match="until: a single message"):
        await webhooks.replay(message=receipt.message_id, until=BEGIN)
    unknown = ids.encode(ids.MESSAGE, new_key(1))
    with pytest.raises(MessageNotFound):
        await webhooks.replay(message=unknown)


async def test_the_log_is_kept_for_ever(make_webhooks):
    """Where the log is never pruned, missing messages are found however old they are."""
    webhooks = make_webhooks(deliver=False, retention_attempts=0)
    assert (await webhooks.replay(since=BEGIN, missing=True, dry_run=True)).total == 0


async def test_unknown_names(make_webhooks):
    """Unknown endpoints, event types and jobs are errors of their own kind."""
    webhooks = make_webhooks(deliver=False, events=["order.paid"])
    with pytest.raises(EndpointNotFound):
        await webhooks.replay("https://nowhere.example/", since=BEGIN)
    with pytest.raises(UnknownEventType, match=r"order\.paid"):
        await webhooks.replay(since=BEGIN, event_types=["order.payed"])
    for unknown in ("job_1", ids.encode(ids.JOB, new_key(1)), ids.encode(ids.MESSAGE, new_key(1))):
        for ask in (webhooks.job, webhooks.cancel_job, lambda j: anext(webhooks.watch_job(j))):
            with pytest.raises(JobNotFound, match=unknown):
                await ask(unknown)


# processes that die -----------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path):
    """Return a starter of processes; they end with the test."""
    with Processes(tmp_path) as starter:
        yield starter


async def given_up(look, webhooks, count):
    """Put messages into the database that were given up after one attempt; return their ids."""
    [endpoint] = await webhooks.endpoints()
    owner = ids.decode(ids.ENDPOINT, endpoint.id)
    now = webhooks._runtime.engine.clock.now() - 60_000
    messages, attempts = [], []
    for _ in range(count):
        key = new_key(now)
        messages.append(
            {"id": key, "app_id": webhooks._runtime.engine.app, "event_type": "a.b", "body": b"{}"}
            | {"created_at": now}
        )
        attempts.append(
            {"message_id": key, "id": new_key(now), "endpoint_id": owner, "number": 1}
            | {"trigger": "scheduled", "started_at": now, "url": endpoint.url}
            | {"state": "exhausted", "status": 503, "failure": "status", "detail": ""}
            | {"response_headers": [], "response_body": b"", "total_us": 1}
            | dict.fromkeys(("dns_us", "connect_us", "tls_us", "first_byte_us"), 0)
        )
    await look.insert(message, messages)
    await look.insert(attempt, attempts)
    return {ids.encode(ids.MESSAGE, each["id"]) for each in messages}


class Console(Look):
    """Writes many rows at once, too."""

    async def insert(self, table, rows):
        """Insert rows in one transaction."""
        engine = self._engine.execution_options(isolation_level="READ COMMITTED")
        if self._engine.dialect.name == "sqlite":
            engine = self._engine.execution_options(isolation_level="SERIALIZABLE")
        async with engine.begin() as connection:
            await connection.execute(table.insert(), rows)


async def test_kill_in_the_middle_of_a_job(start, on_each_database, database_url, receiver):
    """Killed in the middle of a job and started again, it goes on where it was.

    Each of 3,000 arrives, none that was settled comes again, and the count is exact.
    """
    webhooks = on_each_database(deliver=False)
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()
    look = Console(database_url)
    everything = await given_up(look, webhooks, MANY)
    process = await start(database_url, lease=1, poll_interval=0.1)
    job = await webhooks.replay(receiver.url, since=BEGIN, states=["exhausted"], rate=1500)
    await asyncio.to_thread(receiver.wait_until, lambda: receiver.count >= MANY // 3)
    await process.killed()
    half = await webhooks.job(job.id)
    assert (half.state, half.total) == (JobState.RUNNING, MANY)
    assert MANY // 3 <= half.done < MANY
    await webhooks.stop()
    port = int(receiver.base.rpartition(":")[2])
    receiver.close()  # what it got of the dead process is complete now
    first_life = {each.id for each in receiver.received}
    lost, found = (1, "exhausted", 503), (2, "succeeded", 200)
    log = await look.log()
    settled = {name for name, attempts in log.items() if attempts == [lost, found]}
    assert 0 < len(settled) < MANY

    survivor = on_each_database(lease=1, poll_interval=0.1)
    with Receiver(secret="your-secret-key", port=port) as again:
        ended = await (await survivor.job(job.id)).finished()
        await look.all_done()
        await survivor.stop()
        second_life = Counter(each.id for each in again.received)
    assert (ended.state, ended.total, ended.done) == (JobState.FINISHED, MANY, MANY)
    assert first_life | set(second_life) == everything
    assert set(second_life) == everything - settled
    assert set(second_life.values()) == {1}
    assert await look.log() == {each: [lost, found] for each in everything}


async def test_several_workers(start, on_each_database, database_url, receiver):
    """Where several processes deliver, they share a job's steps, and nothing is doubled."""
    webhooks = on_each_database(deliver=False)
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()
    look = Console(database_url)
    everything = await given_up(look, webhooks, MANY // 2)
    for _ in range(3):
        await start(database_url, poll_interval=0.02)
    jobs = [
        await webhooks.replay(receiver.url, since=BEGIN),
        await webhooks.replay(since=BEGIN),
    ]
    ended = [await job.finished() for job in jobs]
    assert {job.state for job in ended} == {JobState.FINISHED}
    assert sum(job.done for job in ended) == MANY // 2
    await look.all_done()
    assert Counter(each.id for each in receiver.received) == dict.fromkeys(everything, 1)


@pytest.mark.parametrize(
    "place",
    ["hookline._storage.replay:make_due", "hookline._storage.jobs:SqlJobs.step"],
)
async def test_kill_in_a_step(start, on_each_database, database_url, receiver, place):
    """Killed inside a step, with its rows written or not, the step did not happen."""
    webhooks = on_each_database(deliver=False)
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()
    look = Console(database_url)
    everything = await given_up(look, webhooks, 100)
    job = await webhooks.replay(since=BEGIN, states=["exhausted"])
    fault = {"at": place, "name": "SIGKILL"}
    process = await start(database_url, ready=False, lease=1, poll_interval=0.1, fault=fault)
    assert await process.ended() < 0
    assert (await webhooks.job(job.id)).done == 0
    assert await look.left() == 0
    await webhooks.stop()
    survivor = on_each_database(lease=1, poll_interval=0.1)
    ended = await (await survivor.job(job.id)).finished()
    assert (ended.total, ended.done) == (100, 100)
    await look.all_done()
    await survivor.stop()
    assert Counter(each.id for each in receiver.received) == dict.fromkeys(everything, 1)
