"""Clock jumps: an hour back, a day ahead, in the middle of work."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

from hookline.testing import Receiver

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def test_a_clock_set_back_does_not_stop_delivery(on_each_database, clock, told):
    """After the clock went back an hour, what is published now is sent now, not in an hour."""
    webhooks = on_each_database(clock=clock, retry_schedule=[0, 5])
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        receiver.answer(503, times=1)
        before = await webhooks.trigger("a.b", {"n": 0})
        await told.wait("HTTP 503")
        clock.advance(-HOUR)
        after = await webhooks.trigger("a.b", {"n": 1})
        await after.delivered(5)
        clock.advance(HOUR + timedelta(seconds=6))
        await before.delivered(5)
        assert [r.json()["data"]["n"] for r in receiver.received] == [0, 1, 0]


async def test_a_clock_set_back_keeps_the_rate(on_each_database, clock):
    """After the clock went back an hour, an endpoint with a rate limit goes on at its rate."""
    webhooks = on_each_database(clock=clock)
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"], rate_limit=1)
        await (await webhooks.trigger("a.b", {"n": 0})).delivered(5)
        clock.advance(-HOUR)
        after = await webhooks.trigger("a.b", {"n": 1})
        for _ in range(3):
            clock.advance(1)
        await after.delivered(5)


async def test_a_clock_set_back_beside_a_delayed_event(on_each_database, clock):
    """With an event waiting for tomorrow, those of an hour ago by the new clock go at once too."""
    webhooks = on_each_database(clock=clock)
    tomorrow = datetime.fromtimestamp(clock.now() / 1000, UTC) + DAY
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        await webhooks.trigger("a.b", {"n": 1}, deliver_at=tomorrow)
        await (await webhooks.trigger("a.b", {"n": 0})).delivered(5)
        clock.advance(-HOUR)
        await (await webhooks.trigger("a.b", {"n": 0})).delivered(5)
        clock.advance(HOUR + DAY)
        await receiver.arrived(3)
        assert [r.json()["data"]["n"] for r in receiver.received] == [0, 0, 1]


async def test_a_clock_set_back_does_not_hide_the_work_of_others(on_each_database, clock):
    """After the clock went back an hour, what another process makes due is found as before."""
    webhooks, elsewhere = (
        on_each_database(clock=clock),
        on_each_database(clock=clock, deliver=False),
    )
    with Receiver() as receiver:
        endpoint = webhooks.register(receiver.url, ["*"])
        receipt = await webhooks.trigger("a.b", {})
        await receipt.delivered(5)
        clock.advance(-HOUR)
        await elsewhere.resend(receipt.message_id, endpoint)
        await webhooks.trigger("a.b", {})
        clock.advance(1)
        await receiver.arrived(3, 5)


async def test_a_clock_set_back_in_the_middle_of_a_burst(on_each_database, clock):
    """A clock that goes back while 200 webhooks are on their way loses none and repeats none.

    What was due by the old clock and not begun waits until the new one is there.
    """
    webhooks, release = on_each_database(clock=clock), threading.Event()
    with Receiver() as receiver:
        receiver.answer(lambda _: 200 if release.wait(10) else 500)
        webhooks.register(receiver.url, ["*"])
        receipts = await webhooks.trigger_many([("a.b", {"n": n}) for n in range(200)])
        await receiver.arrived(20)
        clock.advance(-HOUR)
        release.set()
        await receiver.arrived(21)
        clock.advance(HOUR)
        for receipt in receipts:
            await receipt.delivered(5)
        assert Counter(r.id for r in receiver.received) == dict.fromkeys(
            [r.message_id for r in receipts], 1
        )


async def test_a_clock_set_ahead_brings_retries_and_loses_nothing(on_each_database, clock, told):
    """After a jump of a day the retry comes, and nothing that was settled is sent again."""
    webhooks = on_each_database(clock=clock, retry_schedule=[0, 5])
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        receiver.answer(503, times=1)
        failed = await webhooks.trigger("a.b", {"n": 0})
        await told.wait("HTTP 503")
        settled = await webhooks.trigger("a.b", {"n": 1})
        await settled.delivered(5)
        clock.advance(DAY)
        await failed.delivered(5)
        later = await webhooks.trigger("a.b", {"n": 2})
        await later.delivered(5)
        assert [r.json()["data"]["n"] for r in receiver.received] == [0, 1, 0, 2]


async def test_a_clock_set_ahead_in_flight(on_each_database, clock, told):
    """A lease that a jump of the clock ends is settled once; its request may be made twice.

    The second request carries the same id, and the log has the one that held the newer lease.
    """
    webhooks, release = on_each_database(clock=clock), threading.Event()
    with Receiver() as receiver:
        receiver.answer(lambda _: 200 if release.wait(10) else 500)
        webhooks.register(receiver.url, ["*"])
        receipt = await webhooks.trigger("a.b", {})
        await receiver.arrived(1)
        clock.advance(DAY)
        await receiver.arrived(2)
        release.set()
        await receipt.delivered(5)
        await told.wait("was lost")
        await webhooks.stop()
        assert {r.id for r in receiver.received} == {receipt.message_id}
        assert len(told.containing("sent successfully")) == 1
        assert [a.number for a in await webhooks.attempts(receipt.message_id)] == [1]


async def test_a_clock_set_ahead_leaves_a_database_that_starts(
    postgres_url, make_webhooks, clock, told
):
    """After a jump of a week, whose days have no partition yet, the log is kept and start works."""
    webhooks = make_webhooks(database=postgres_url, clock=clock)
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        await webhooks.start()
        clock.advance(timedelta(days=7))
        receipt = await webhooks.trigger("a.b", {})
        await receipt.delivered(5)
        await webhooks.stop()
        again = make_webhooks(database=postgres_url, clock=clock)
        assert [a.number for a in await again.attempts(receipt.message_id)] == [1]
        await (await again.trigger("a.b", {})).delivered(5)


async def test_a_clock_that_was_ahead_leaves_a_database_that_starts(
    postgres_url, make_webhooks, clock
):
    """A clock that was two days ahead at the start and is put right harms nothing later."""
    clock.advance(timedelta(days=2))
    webhooks = make_webhooks(database=postgres_url, clock=clock)
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        await webhooks.start()
        clock.advance(-timedelta(days=2))
        await (await webhooks.trigger("a.b", {})).delivered(5)
        await webhooks.stop()
        again = make_webhooks(database=postgres_url, clock=clock)
        await (await again.trigger("a.b", {})).delivered(5)
