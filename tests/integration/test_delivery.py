"""From trigger to the receiver and back, through the façade and a real socket."""

import json
import re
import socket
from datetime import UTC, datetime, timedelta

import pytest

from hookline import DeliveryState
from hookline.errors import DeliveryTimeout
from hookline.receiver import verify
from hookline.testing import Receiver

SECRET = "your-secret-key"


async def test_fourth_attempt_after_three_failures(make_webhooks, receiver, clock, told):
    """A receiver that fails three times gets the same message a fourth time, freshly signed."""
    receiver.tolerance = None  # the fake clock shows another year
    receiver.answer(drop=True, times=1).answer(503, times=1).answer(500, times=1)
    webhooks = make_webhooks(clock=clock)
    webhooks.register(receiver.url, ["customer.created"], secret=SECRET)
    receipt = await webhooks.trigger("customer.created", {"id": "123"})
    for attempt, delay in enumerate([6, 6 * 60, 36 * 60], 1):
        await told.wait("Error sending webhook", attempt)
        clock.advance(delay)
    [status] = await receipt.delivered()
    assert (status.state, status.attempts) == (DeliveryState.SUCCEEDED, 4)

    arrived = receiver.wait_for(4)
    assert receiver.count == 4
    assert all(each.verified for each in arrived), [each.problem for each in arrived]
    assert [each.attempt for each in arrived] == [1, 2, 3, 4]
    assert {each.id for each in arrived} == {receipt.message_id}
    assert len({each.body for each in arrived}) == 1
    sent = [int(each.headers["webhook-timestamp"]) for each in arrived]
    assert [after - sent[0] for after in sent] == [0, 6, 366, 2526]
    assert len({each.headers["webhook-signature"] for each in arrived}) == 4
    assert len({each.headers["X-Webhook-Signature"] for each in arrived}) == 1

    log = await webhooks.attempts(receipt.message_id)
    assert [(each.number, each.status, each.failure, each.state) for each in log] == [
        (1, None, "reset", DeliveryState.PENDING),
        (2, 503, "status", DeliveryState.PENDING),
        (3, 500, "status", DeliveryState.PENDING),
        (4, 200, None, DeliveryState.SUCCEEDED),
    ]
    assert [each.started_at.timestamp() for each in log] == sent


async def test_retries_do_not_come_early(make_webhooks, receiver, clock, told):
    """Four seconds after a failure nothing is sent; within six the second attempt is."""
    receiver.answer(500)
    webhooks = make_webhooks(clock=clock)
    webhooks.register(receiver.url, ["*"])
    receipt = await webhooks.trigger("customer.created", {})
    await told.wait("Error sending webhook")
    [first] = await webhooks.attempts(receipt.message_id)
    wait = (first.next_attempt_at - first.started_at).total_seconds()
    assert 4 <= wait <= 6
    clock.advance(wait - 0.001)
    probe = await webhooks.trigger("another.event", {})  # makes the worker look once more
    await told.wait("Error sending webhook", 2)
    assert [each.id for each in receiver.received] == [receipt.message_id, probe.message_id]
    clock.advance(0.001)
    await told.wait("Error sending webhook", 3)
    assert receiver.received[2].id == receipt.message_id


@pytest.mark.parametrize(
    "data",
    [
        {"name": "张三", "address": "北京市朝阳区"},
        {"text": 'Zoë 漢字 😀 👨‍👩‍👧 \u2028 \x00 \x7f \\ " / </script>'},
        {"text": "张" * 40_000},
        {"text": "x" * 102_400},
    ],
    ids=["Chinese", "emoji", "120 kB of Chinese", "100 kB"],
)
async def test_bytes_arrive_as_written(make_webhooks, receiver, data):
    """Chinese, emoji and 100 kB arrive byte for byte, verify, and say their length up front."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["customer.created"], secret=SECRET)
    moment = datetime(2025, 10, 17, 10, 30, tzinfo=UTC)
    receipt = await webhooks.trigger("customer.created", data, timestamp=moment)
    await receipt.delivered()
    [arrived] = receiver.received
    expected = {"event": "customer.created", "data": data, "timestamp": "2025-10-17T10:30:00.000Z"}
    assert arrived.body == json.dumps(expected, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8"
    ).replace(rb"\u007f", b"\x7f")
    assert arrived.verified
    assert arrived.headers["Content-Length"] == str(len(arrived.body))
    assert "transfer-encoding" not in arrived.headers
    assert verify(arrived.body, arrived.headers, SECRET, scheme="guide").data == data


async def test_every_header_of_a_request(make_webhooks, receiver):
    """A request carries exactly the promised headers, and the endpoint's own beside them."""
    webhooks = make_webhooks()
    webhooks.register(
        receiver.url, ["customer.*"], secret=SECRET, headers={"Authorization": "Bearer abc"}
    )
    receipt = await webhooks.trigger("customer.created", {"id": 1})
    await receipt.delivered()
    [arrived] = receiver.received
    assert arrived.method == "POST"
    assert sorted(arrived.headers) == sorted(
        [
            "accept",
            "accept-encoding",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "webhook-id",
            "webhook-signature",
            "webhook-timestamp",
            "x-webhook-attempt",
            "x-webhook-event",
            "x-webhook-signature",
        ]
    )
    assert arrived.headers["Content-Type"] == "application/json"
    assert arrived.headers["Accept-Encoding"] == "identity"
    assert arrived.headers["Authorization"] == "Bearer abc"
    assert arrived.headers["X-Webhook-Event"] == "customer.created"
    assert re.fullmatch(r"hookline/[\d.]+", arrived.headers["User-Agent"])
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", arrived.headers["webhook-id"])
    assert re.fullmatch(r"sha256=[0-9a-f]{64}", arrived.headers["X-Webhook-Signature"])
    assert re.fullmatch(r"v1,[A-Za-z0-9+/]{43}=", arrived.headers["webhook-signature"])


async def test_no_secret_no_signature(make_webhooks, receiver):
    """An endpoint without a secret gets the id and the time, and no signature header."""
    receiver.secret = None
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    await (await webhooks.trigger("customer.created", {})).delivered()
    [arrived] = receiver.received
    assert "webhook-signature" not in arrived.headers
    assert "x-webhook-signature" not in arrived.headers
    assert arrived.headers["webhook-id"].startswith("msg_")


async def test_the_log_speaks_as_the_guide_shows(make_webhooks, receiver, told):
    """The three log lines of the guide appear word for word."""
    with Receiver() as other:
        webhooks = make_webhooks()
        webhooks.register(receiver.url, ["customer.created"])
        webhooks.register(other.url, ["customer.*"])
        await (await webhooks.trigger("customer.created", {"id": "1"})).delivered()
        await told.wait("sent successfully", 2)
        assert "INFO: Triggering 2 webhooks for event customer.created" in told.lines
        assert f"INFO: Webhook sent successfully to {receiver.url}" in told.lines
        assert f"INFO: Webhook sent successfully to {other.url}" in told.lines


async def test_a_connection_timeout_in_the_log(make_webhooks, told):
    """A receiver that does not take the connection is logged as the guide shows it."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}/webhook"
        fillers = []
        try:
            for _ in range(4):  # until the kernel takes no more: further ones get no answer
                filler = socket.socket()
                filler.settimeout(0)
                filler.connect_ex(full.getsockname())
                fillers.append(filler)
            webhooks = make_webhooks(connect_timeout=0.3)
            webhooks.register(url, ["customer.created"])
            await webhooks.trigger("customer.created", {})
            lines = await told.wait("Error sending webhook")
        finally:
            for filler in fillers:
                filler.close()
        assert lines == [f"ERROR: Error sending webhook to {url}: Connection timeout"]


async def test_log_records_carry_fields(make_webhooks, receiver, told):
    """Each line of an attempt has event type, message, endpoint, number and result as fields."""
    receiver.answer(503, times=1)
    webhooks = make_webhooks(retry_schedule=(0, 0.01))
    webhooks.register(receiver.url, ["*"])
    receipt = await webhooks.trigger("customer.created", {})
    await receipt.delivered()
    await told.wait("sent successfully")
    [endpoint] = await webhooks.endpoints()
    failed, sent = (r for r in told.records if hasattr(r, "attempt"))
    assert (failed.attempt, failed.status, failed.failure) == (1, 503, "status")
    assert (sent.attempt, sent.status, sent.failure) == (2, 200, None)
    assert {failed.message_id, sent.message_id} == {receipt.message_id}
    assert {failed.endpoint_id, sent.endpoint_id} == {endpoint.id}
    assert {failed.event_type, sent.event_type} == {"customer.created"}


async def test_delivered_tells_where_each_endpoint_ended(make_webhooks, receiver):
    """`delivered` returns one status per endpoint, whatever its end."""
    with Receiver() as failing:
        failing.answer(400)
        webhooks = make_webhooks(retry_schedule=(0,))
        webhooks.register(receiver.url, ["*"])
        webhooks.register(failing.url, ["*"])
        statuses = await (await webhooks.trigger("customer.created", {})).delivered()
        by_url = {s.url: (s.state, s.attempts, s.last_status, s.last_error) for s in statuses}
        assert by_url == {
            receiver.url: (DeliveryState.SUCCEEDED, 1, 200, None),
            failing.url: (DeliveryState.EXHAUSTED, 1, 400, "status"),
        }


async def test_delivered_in_vain_says_what_is_open(make_webhooks, receiver, told):
    """DeliveryTimeout names the message, the endpoint, its state, attempts and last answer."""
    receiver.answer(503)
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    receipt = await webhooks.trigger("customer.created", {})
    await told.wait("Error sending webhook")
    with pytest.raises(DeliveryTimeout) as caught:
        await receipt.delivered(timeout=0.1)
    assert str(caught.value) == (
        f"{receipt.message_id}: not delivered within 0.1 s, it goes on in the background: "
        f"{receiver.url} is pending after 1 attempts (last: 503)"
    )
    assert isinstance(caught.value, TimeoutError)


async def test_delivered_without_a_worker_says_so(make_webhooks, receiver):
    """Where nothing delivers, DeliveryTimeout asks whether a worker is running."""
    webhooks = make_webhooks(deliver=False)
    webhooks.register(receiver.url, ["*"])
    receipt = await webhooks.trigger("customer.created", {})
    with pytest.raises(DeliveryTimeout, match=r"not routed within 0\.1 s; is a worker running\?"):
        await receipt.delivered(timeout=0.1)
    assert receiver.count == 0


async def test_nobody_wants_it(make_webhooks, receiver):
    """An event without subscribers is published, delivered to nobody, and done."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["invoice.paid"])
    receipt = await webhooks.trigger("customer.created", {})
    assert await receipt.delivered() == []
    assert receiver.count == 0


async def test_gone_disables_the_endpoint(make_webhooks, receiver, told):
    """410 disables the endpoint, says why, and holds this message and the next."""
    receiver.answer(410)
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    [status] = await (await webhooks.trigger("customer.created", {})).delivered()
    assert status.state is DeliveryState.HELD
    await told.wait("is disabled")
    [line] = told.containing("is disabled")
    assert line == (
        f"WARNING: Endpoint {receiver.url} is disabled: the receiver answered 410 Gone; "
        "its deliveries are held"
    )
    endpoint = await webhooks.endpoint(receiver.url)
    assert (endpoint.disabled, endpoint.disabled_reason) == (True, "the receiver answered 410 Gone")
    [held] = await (await webhooks.trigger("customer.created", {})).delivered()
    assert (held.state, held.attempts) == (DeliveryState.HELD, 0)
    assert receiver.count == 1


async def test_a_receiver_may_abort_one_message(make_webhooks, receiver):
    """`webhook-delivery: abort-message` cancels that delivery only."""
    receiver.answer(400, headers={"Webhook-Delivery": "abort-message"}, times=1)
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    [first] = await (await webhooks.trigger("customer.created", {})).delivered()
    [second] = await (await webhooks.trigger("customer.created", {})).delivered()
    assert (first.state, second.state) == (DeliveryState.CANCELED, DeliveryState.SUCCEEDED)


async def test_retry_after_is_respected(make_webhooks, receiver, clock, told):
    """A 429 with Retry-After is tried again no sooner than it asks for."""
    receiver.answer(429, headers={"Retry-After": "3600"}, times=1)
    webhooks = make_webhooks(clock=clock)
    webhooks.register(receiver.url, ["*"])
    receipt = await webhooks.trigger("customer.created", {})
    await told.wait("Error sending webhook")
    [first] = await webhooks.attempts(receipt.message_id)
    assert first.next_attempt_at - first.started_at == timedelta(hours=1)
    clock.advance(timedelta(hours=1))
    [status] = await receipt.delivered()
    assert status.state is DeliveryState.SUCCEEDED


async def test_the_answer_is_in_the_log(make_webhooks, receiver):
    """The log keeps status, headers, the start of the body, the peer's URL and the timings."""
    receiver.answer(400, body="no such customer: " + "x" * 5000, headers={"X-Why": "unknown"})
    webhooks = make_webhooks(retry_schedule=(0,))
    webhooks.register(receiver.url, ["*"])
    receipt = await webhooks.trigger("customer.created", {})
    await receipt.delivered()
    [attempt] = await webhooks.attempts(receipt.message_id)
    assert (attempt.status, attempt.failure, attempt.url) == (400, "status", receiver.url)
    assert ("x-why", "unknown") in attempt.response_headers
    assert attempt.response_body == (b"no such customer: " + b"x" * 5000)[:1024]
    times = attempt.timings
    assert 0 < times.connect <= times.first_byte <= times.total < 5_000_000
    assert attempt.id.startswith("atmpt_")


async def test_giving_up_is_said(make_webhooks, receiver, told):
    """After the last attempt the log says so, with message, endpoint and number of attempts."""
    receiver.answer(500)
    webhooks = make_webhooks(retry_schedule=(0, 0.01))
    webhooks.register(receiver.url, ["*"])
    receipt = await webhooks.trigger("customer.created", {})
    [status] = await receipt.delivered()
    assert (status.state, status.attempts) == (DeliveryState.EXHAUSTED, 2)
    assert await told.wait("Giving up") == [
        f"ERROR: Giving up on {receipt.message_id} at {receiver.url} after 2 attempts"
    ]


async def test_an_endpoints_own_schedule_wins(make_webhooks, receiver):
    """The retry schedule of an endpoint replaces the one of the settings."""
    receiver.answer(500)
    webhooks = make_webhooks(retry_schedule=(0,))
    webhooks.register(receiver.url, ["*"], retry_schedule=[0, 0.01, 0.01])
    [status] = await (await webhooks.trigger("customer.created", {})).delivered()
    assert (status.state, status.attempts) == (DeliveryState.EXHAUSTED, 3)
    assert [each.attempt for each in receiver.received] == [1, 2, 3]


async def test_many_events_to_many_endpoints(make_webhooks):
    """Each of 300 events reaches each of three endpoints that want it exactly once."""
    with Receiver() as one, Receiver() as two, Receiver() as three, Receiver() as bystander:
        webhooks = make_webhooks(max_in_flight=20)
        for each in (one, two, three):
            webhooks.register(each.url, ["order.*"])
        webhooks.register(bystander.url, ["customer.created"])
        receipts = [await webhooks.trigger("order.paid", {"n": n}) for n in range(300)]
        for receipt in receipts:
            statuses = await receipt.delivered()
            assert {s.state for s in statuses} == {DeliveryState.SUCCEEDED}
        for each in (one, two, three):
            assert sorted(r.json()["data"]["n"] for r in each.received) == list(range(300))
            assert {r.id for r in each.received} == {r.message_id for r in receipts}
        assert bystander.count == 0
