"""Keeping one bad receiver from hurting the others, through the façade and on each database."""

import asyncio
import threading
from datetime import timedelta

from hookline.testing import FakeClock, Receiver


class Gauge:
    """A receiver's handler that counts how many requests are answered at once."""

    def __init__(self, hold=None):
        self.now = self.most = 0
        self.hold = hold
        self.lock = threading.Lock()

    def __call__(self, _received):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        if self.hold is not None:
            self.hold.wait(10)
        with self.lock:
            self.now -= 1
        return 200


async def test_no_more_in_flight_than_the_endpoint_allows(on_each_database):
    """An endpoint with concurrency 3 never sees a fourth request beside three others."""
    webhooks, gauge = on_each_database(), Gauge()
    with Receiver() as receiver:
        receiver.answer(gauge)
        webhooks.register(receiver.url, ["*"], concurrency=3)
        receipts = await webhooks.trigger_many([("a.b", {"n": n}) for n in range(100)])
        for receipt in receipts:
            await receipt.delivered(15)
        assert len(receiver.received) == 100
        assert 1 <= gauge.most <= 3


async def test_a_hanging_endpoint_does_not_hold_up_the_others(on_each_database):
    """While one endpoint answers nothing at all, another gets everything at once."""
    webhooks, release = on_each_database(), threading.Event()
    gauge = Gauge(release)
    with Receiver() as hanging, Receiver() as healthy:
        hanging.answer(gauge)
        webhooks.register(hanging.url, ["*"])
        webhooks.register(healthy.url, ["*"])
        await webhooks.trigger_many([("a.b", {"n": n}) for n in range(500)])
        await asyncio.to_thread(healthy.wait_for, 500)
        assert gauge.most <= 20
        release.set()


async def test_the_rate_limit_spreads_requests(on_each_database):
    """With 2 requests a second, the first two go at once and each later one when its time comes."""
    clock = FakeClock()
    webhooks = on_each_database(clock=clock)
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"], rate_limit=2)
        receipts = await webhooks.trigger_many([("a.b", {"n": n}) for n in range(6)])
        arrived = 2
        await asyncio.to_thread(receiver.wait_for, arrived)
        while arrived < 6:
            clock.advance(0.5)
            arrived += 1
            await asyncio.to_thread(receiver.wait_for, arrived)
            assert len(receiver.received) == arrived
        await receipts[-1].delivered(10)


async def test_the_rate_of_an_application_is_that_of_all_its_endpoints(on_each_database):
    """Together; it applies from the moment it is changed, and to no other application."""
    clock = FakeClock()
    webhooks = on_each_database(clock=clock)
    await webhooks.applications.create("Acme", uid="acme", rate_limit=2)
    acme = await webhooks.for_application("acme")
    with Receiver() as both, Receiver() as other:
        for name in ("one", "two"):
            await acme.create_endpoint(both.url, headers={"X-Name": name})
        await webhooks.create_endpoint(other.url)
        await webhooks.trigger_many([("a.b", {"n": n}) for n in range(6)])
        await acme.trigger_many([("a.b", {"n": n}) for n in range(6)])
        await other.arrived(6)
        for arrived in range(2, 9):
            await both.arrived(arrived)
            assert len(both.received) == arrived
            clock.advance(0.5)
        names = [each.headers["X-Name"] for each in await both.arrived(9)]
        assert min(names.count("one"), names.count("two")) >= 3
        await webhooks.applications.update("acme", rate_limit=None)
        receipt = await acme.trigger("a.b", {"n": 6})
        await receipt.delivered(10)
        await both.arrived(14)


async def test_the_circuit_opens_probes_and_closes(on_each_database, told):
    """Ten failures in a row stop the traffic; after the pause a probe opens the gate."""
    clock = FakeClock()
    webhooks = on_each_database(clock=clock, retry_schedule=[0, 1, 1, 1, 1])
    with Receiver() as receiver:
        receiver.answer(503)
        webhooks.register(receiver.url, ["*"], concurrency=10)
        await webhooks.trigger_many([("a.b", {"n": n}) for n in range(10)])
        await told.wait("Error sending webhook", 10)
        clock.advance(5)  # retries are due, the circuit is open: nothing may be sent
        receipt = await webhooks.trigger("a.b", {"n": 10})
        await told.wait("Triggering", 11)
        assert len(receiver.received) == 10
        receiver.answer(200)
        clock.advance(30)
        await receipt.delivered(15)
        await told.wait("Webhook sent successfully", 11)
        assert len(receiver.received) == 21
        # Waiting is not failing: the one that waited behind the open circuit came at its first try.
        assert [a.number for a in await webhooks.attempts(receipt.message_id)] == [1]


async def test_retry_after_holds_the_whole_endpoint(on_each_database, told):
    """A receiver that asks for a pause gets nothing before it is over, whatever the event."""
    clock = FakeClock()
    webhooks = on_each_database(clock=clock, retry_schedule=[0, 1, 1])
    with Receiver() as receiver:
        receiver.answer(429, headers={"Retry-After": "60"}, times=1)
        webhooks.register(receiver.url, ["*"])
        await webhooks.trigger("a.b", {"n": 0})
        await told.wait("HTTP 429")
        second = await webhooks.trigger("a.b", {"n": 1})
        await told.wait("Triggering", 2)
        clock.advance(50)
        assert len(receiver.received) == 1
        clock.advance(15)
        await second.delivered(10)
        await asyncio.to_thread(receiver.wait_for, 3)


async def test_gone_disables_and_holds(on_each_database, told):
    """A 410 disables the endpoint with that reason; what comes later is held until enabled."""
    webhooks = on_each_database()
    with Receiver() as receiver:
        receiver.answer(410, times=1)
        endpoint = webhooks.register(receiver.url, ["*"])
        first = await webhooks.trigger("a.b", {"n": 0})
        assert [s.state for s in await first.delivered(10)] == ["held"]
        second = await webhooks.trigger("a.b", {"n": 1})
        assert [s.state for s in await second.delivered(10)] == ["held"]
        found = await webhooks.endpoint(endpoint.url)
        assert found.disabled_reason == "the receiver answered 410 Gone"
        assert await webhooks.enable(endpoint) == 2
        assert [s.state for s in await second.delivered(10)] == ["succeeded"]
        assert [s.state for s in await first.delivered(10)] == ["succeeded"]


async def test_five_days_without_success_disable_an_endpoint(on_each_database, told):
    """The operator is warned at 24 and 72 hours, and hears when the endpoint is disabled."""
    clock, heard = FakeClock(), []
    webhooks = on_each_database(clock=clock, retry_schedule=[0] + [60] * 99, on_event=heard.append)
    with Receiver() as receiver:
        receiver.answer(500)
        endpoint = webhooks.register(receiver.url, ["*"])
        await webhooks.trigger("a.b", {})
        for attempt in range(1, 31):
            await told.wait("Error sending webhook", attempt)
            if attempt < 30:
                clock.advance(timedelta(hours=5))
            if (await webhooks.endpoint(endpoint.url)).disabled:
                break
        await told.wait("is disabled")
    assert [e.type for e in heard] == [
        "message.attempt.failing",
        "endpoint.failing",
        "endpoint.failing",
        "endpoint.disabled",
    ]
    assert "no 2xx for 5 days" in heard[-1].reason


async def test_operational_events_of_messages(on_each_database):
    """A listener hears of messages that fail, are given up, or come through after all."""
    heard = []

    async def listen(event):
        heard.append(event)

    webhooks = on_each_database(retry_schedule=[0] + [0.01] * 4, on_event=listen)
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        receiver.answer(500, times=5)
        lost = await webhooks.trigger("a.b", {})
        await lost.delivered(10)
        receiver.answer(500, times=1)
        found = await webhooks.trigger("a.b", {})
        await found.delivered(10)
        tried = [await webhooks.attempts(each.message_id) for each in (lost, lost, found)]
    assert [(e.type, e.message_id, e.attempts, e.status) for e in heard] == [
        ("message.attempt.failing", lost.message_id, 4, 500),
        ("message.attempt.exhausted", lost.message_id, 5, 500),
        ("message.attempt.recovered", found.message_id, 2, 200),
    ]
    last = [each[number - 1] for each, number in zip(tried, (4, 5, 2), strict=True)]
    assert [(e.attempt_id, e.attempted_at) for e in heard] == [(a.id, a.started_at) for a in last]


async def test_a_failed_manual_attempt_leaves_the_schedule_alone(on_each_database, told):
    """A resend that fails does not count: the retry that was planned comes when it was planned."""
    clock = FakeClock()
    webhooks = on_each_database(clock=clock, retry_schedule=[0, 100, 100])
    with Receiver() as receiver:
        receiver.answer(503, times=2)
        endpoint = webhooks.register(receiver.url, ["*"])
        receipt = await webhooks.trigger("a.b", {})
        await told.wait("Error sending webhook", 1)
        (before,) = await webhooks.attempts(receipt.message_id)
        assert await webhooks.resend(receipt.message_id, endpoint)
        await told.wait("Error sending webhook", 2)
        _, manual = await webhooks.attempts(receipt.message_id)
        assert manual.next_attempt_at == before.next_attempt_at
        clock.advance(121)
        await receipt.delivered(10)
        assert [a.number for a in await webhooks.attempts(receipt.message_id)] == [1, 2, 3]


async def test_delayed_and_canceled(on_each_database, told):
    """An event with deliver_at waits for its time; canceled before, it is never sent."""
    from datetime import UTC, datetime

    clock = FakeClock()
    webhooks = on_each_database(clock=clock)
    start = datetime.fromtimestamp(clock.now() / 1000, UTC)
    with Receiver() as receiver:
        webhooks.register(receiver.url, ["*"])
        later = await webhooks.trigger("a.b", {"n": 1}, deliver_at=start + timedelta(hours=1))
        never = await webhooks.trigger("a.b", {"n": 2}, deliver_at=start + timedelta(hours=1))
        assert await webhooks.cancel(never.message_id) == 1
        assert await webhooks.cancel(never.message_id) == 0
        await (await webhooks.trigger("a.b", {"n": 0})).delivered(10)
        assert len(receiver.received) == 1
        clock.advance(timedelta(hours=1))
        await later.delivered(10)
        assert [r.json()["data"]["n"] for r in receiver.received] == [0, 1]
