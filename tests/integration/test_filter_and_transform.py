"""An endpoint's filter and transformation, from trigger to what its receiver verifies."""

import json
import subprocess
import sys
import threading

import pytest
from standardwebhooks import Webhook

from hookline import DeliveryState, Trial, generate_secret
from hookline._domain.delivery import Failure, Outcome, public_reason
from hookline.errors import InvalidExpression, InvalidInput, InvalidWebhooksFile, MessageNotFound
from hookline.receiver import verify
from hookline.testing import Answer, Receiver

SECRET = "your-secret-key"
TEXT = "{text: join(' ', ['Order', data.id, 'for', data.customer]), total: data.amount}"
ORDER = {"id": "o-1", "customer": "张三", "amount": 129.5}


async def test_only_what_the_filter_takes(make_webhooks, receiver):
    """Of three events one passes; the endpoint gets that one, whole."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"], secret=SECRET, filter="data.amount > `100`")
    for amount in (5, 200, 100):
        receipt = await webhooks.trigger("order.created", {"amount": amount})
        statuses = await receipt.delivered()
        assert [s.state for s in statuses] == [DeliveryState.SUCCEEDED] * (amount > 100)
    [arrived] = receiver.received
    assert arrived.verified
    assert arrived.json()["data"] == {"amount": 200}


async def test_the_transformed_body_is_what_is_signed(make_webhooks, told):
    """Every signature is over the bytes that arrive; id, event and attempt stay the message's."""
    secret = generate_secret()
    with Receiver(secret) as receiver, Receiver(secret) as plain:
        webhooks = make_webhooks()
        forms = ["guide", "standard", "github"]
        webhooks.register(receiver.url, ["*"], secret, transform=TEXT, signatures=forms)
        webhooks.register(plain.url, ["*"], secret)
        receipt = await webhooks.trigger("order.created", ORDER)
        await receipt.delivered()
        [arrived], [whole] = receiver.received, plain.received
    assert arrived.body == '{"text":"Order o-1 for 张三","total":129.5}'.encode()
    assert arrived.headers["Content-Length"] == str(len(arrived.body))
    assert arrived.verified
    verify(arrived.body, arrived.headers, secret)
    Webhook(secret).verify(arrived.body, dict(arrived.headers))
    with pytest.raises(Exception, match="signature"):
        Webhook(secret).verify(whole.body, dict(arrived.headers))
    for name in ("webhook-id", "X-Webhook-Event", "X-Webhook-Attempt"):
        assert arrived.headers[name] == whole.headers[name]
    assert arrived.id == receipt.message_id
    assert whole.json()["data"] == ORDER
    assert not told.containing("ERROR"), told.lines


async def test_a_failed_transformation_is_tried_again(make_webhooks, receiver, clock, told):
    """The attempt fails with a class of its own, and nothing is sent; mended, it gets through."""
    receiver.tolerance = None  # the fake clock shows another year
    webhooks = make_webhooks(clock=clock)
    webhooks.register(
        receiver.url, ["*"], SECRET, transform="{text: join(' ', [data.id, data.no])}"
    )
    receipt = await webhooks.trigger("order.created", ORDER)
    await told.wait("Error sending webhook")
    [attempt] = await webhooks.attempts(receipt.message_id)
    assert (attempt.failure, attempt.status) == ("transform", None)
    assert (
        attempt.detail == "join: argument 2 is array of null and string, expected array of strings"
    )
    assert attempt.state is DeliveryState.PENDING
    assert receiver.count == 0
    [line] = told.containing("Error sending webhook")
    assert line.endswith(f"Body could not be transformed ({attempt.detail})")
    webhooks.register(receiver.url, ["*"], SECRET, transform=TEXT)
    clock.advance(6)
    [status] = await receipt.delivered()
    assert (status.state, status.attempts) == (DeliveryState.SUCCEEDED, 2)
    assert [each.body for each in receiver.received] == [
        '{"text":"Order o-1 for 张三","total":129.5}'.encode()
    ]


async def test_a_retry_sends_the_same_bytes(make_webhooks, receiver, clock, told):
    """Made anew for each attempt, it is the same each time."""
    receiver.tolerance = None
    receiver.answer(500, times=1)
    webhooks = make_webhooks(clock=clock)
    webhooks.register(receiver.url, ["*"], SECRET, transform="{all: data, keys: keys(data)}")
    receipt = await webhooks.trigger("order.created", ORDER)
    await told.wait("Error sending webhook")
    clock.advance(6)
    await receipt.delivered()
    first, second = receiver.received
    assert first.body == second.body
    assert first.verified
    assert second.verified


async def test_a_result_over_the_limit(make_webhooks, receiver, told):
    """`payload_limit` holds for what is made, too."""
    webhooks = make_webhooks(payload_limit=1024, retry_schedule=[0])
    webhooks.register(receiver.url, ["*"], transform="{a: data, b: data, c: data}")
    receipt = await webhooks.trigger("a.b", {"text": "x" * 500})
    [status] = await receipt.delivered()
    assert status.state is DeliveryState.EXHAUSTED
    [attempt] = await webhooks.attempts(receipt.message_id)
    assert (attempt.failure, attempt.detail) == (
        "transform",
        "the result is larger than 1,024 bytes",
    )


async def test_a_failed_filter_is_told(make_webhooks, receiver, told):
    """The event arrives, and the log names endpoint, message and reason."""
    webhooks = make_webhooks(on_event=lambda event: None)
    webhooks.register(receiver.url, ["*"], filter="starts_with(data.name, 'A')")
    receipt = await webhooks.trigger("a.b", {"name": None})
    await receipt.delivered()
    assert receiver.count == 1
    [line] = told.containing("The filter of endpoint")
    assert line == (
        f"WARNING: The filter of endpoint {receiver.url} failed on {receipt.message_id}, which is "
        "sent: starts_with: argument 1 is null, expected string"
    )


async def test_a_hostile_filter_does_not_hold_up_others(make_webhooks, told):
    """Bombs at one endpoint, on 100 kB bodies: what is for another arrives, each message once."""
    bomb = "data.items | " + " | ".join(["[@, @][]"] * 40) + " | length(@) > `3`"
    deep = "({0}) == ({0})".format(" | ".join(["[@, @]"] * 40))
    with Receiver() as good, Receiver() as bad:
        webhooks = make_webhooks()
        webhooks.register(good.url, ["*"])
        webhooks.register(f"{bad.url}/1", ["*"], filter=bomb)
        webhooks.register(f"{bad.url}/2", ["*"], filter=f"!({deep})")
        webhooks.register(f"{bad.url}/3", ["*"], transform=f"{{a: {deep}}}")
        data = {"items": [{"n": n, "text": "x" * 40} for n in range(1500)]}
        receipts = [await webhooks.trigger("a.b", data) for _ in range(20)]
        arrived = await good.arrived(20)
        assert sorted(each.id for each in arrived) == sorted(r.message_id for r in receipts)
        unfiltered = await bad.arrived(40)
        assert {each.path for each in unfiltered} == {"/webhook/1", "/webhook/2"}
    assert len(await told.wait("The filter of endpoint", 40)) == 40


async def test_many_at_once(make_webhooks):
    """More transformations than one turn of the loop makes: the next turn follows at once.

    It does not wait for an answer to one of the first: here they come last.
    """
    with Receiver(SECRET) as slow, Receiver(SECRET) as good:
        gate = threading.Event()
        slow.answer(lambda _: 200 if gate.wait(10) else 500)
        webhooks = make_webhooks(poll_interval=10)
        webhooks.register(slow.url, ["a.*"], SECRET, transform="{n: data.n}", concurrency=100)
        webhooks.register(good.url, ["b.*"], SECRET, transform="{n: data.n}", ordered=True)
        events = [("a.b", {"n": n}) for n in range(20)] + [("b.c", {"n": n}) for n in range(20)]
        receipts = await webhooks.trigger_many(events)
        arrived = await good.arrived(20)
        assert [each.json()["n"] for each in arrived] == list(range(20))
        gate.set()
        for receipt in receipts:
            assert [s.state for s in await receipt.delivered()] == [DeliveryState.SUCCEEDED]
        assert sorted(each.json()["n"] for each in slow.received) == list(range(20))
        assert good.count == 20


async def test_test_events(make_webhooks):
    """`send_test` goes by the transformation but not by the filter; `check_receiver` by neither."""
    with Receiver(SECRET) as receiver:
        webhooks = make_webhooks()
        webhooks.register(
            receiver.url,
            ["*"],
            SECRET,
            filter="data.amount > `100`",
            transform="{text: data.message}",
        )
        receipt = await webhooks.send_test(receiver.url)
        await receipt.delivered()
        [arrived] = receiver.received
        assert arrived.verified
        assert list(arrived.json()) == ["text"]
        checks = await webhooks.check_receiver(receiver.url)
        assert checks[0].verdict == "passed"
        assert receiver.received[1].json()["data"]["test"] is True


async def test_a_challenge_is_no_event(make_webhooks, told):
    """The ownership handshake asks its question as it is."""
    with Receiver(SECRET) as receiver:
        receiver.answer(
            lambda asked: Answer(200, json.dumps(asked.json()["data"]).encode()), times=1
        )
        webhooks = make_webhooks(handshake="challenge")
        webhooks.register(receiver.url, ["*"], SECRET, transform=TEXT, filter="data.amount > `1`")
        await webhooks.verify_endpoint(receiver.url)
        receipt = await webhooks.trigger("order.created", ORDER)
        await receipt.delivered()
        assert receiver.received[-1].json() == {"text": "Order o-1 for 张三", "total": 129.5}
        assert "challenge" in receiver.received[0].json()["data"]


async def test_declared(make_webhooks, tmp_path):
    """Both are stored, shown, changed and taken away like any option; in the file as well."""
    webhooks = make_webhooks(deliver=False)
    url = "https://127.0.0.1:9/x"
    webhooks.register(url, ["*"], filter="a == 'b'", transform="{a: b}")
    assert [(e.filter, e.transform) for e in await webhooks.endpoints()] == [("a == 'b'", "{a: b}")]
    webhooks.register(url, ["*"])
    assert [(e.filter, e.transform) for e in await webhooks.endpoints()] == [(None, None)]
    for options in ({"filter": "a ="}, {"transform": "a == 'b'"}, {"filter": 5}, {"filter": ""}):
        with pytest.raises(InvalidInput):
            webhooks.register(url, ["*"], **options)
    file = tmp_path / "hooks.json"
    entry = {"url": url, "events": ["*"], "filter": "a == 'b'", "transform": "{a: b}"}
    file.write_text(json.dumps({"webhooks": [entry]}))
    webhooks.init(file)
    assert [(e.filter, e.transform) for e in await webhooks.endpoints()] == [("a == 'b'", "{a: b}")]
    for wrong, why in (("a = b", "filter: position 3: unexpected '='"), (7, "expected text")):
        file.write_text(json.dumps({"webhooks": [{**entry, "filter": wrong}]}))
        with pytest.raises(InvalidWebhooksFile, match=r"webhooks\[0\]\.") as caught:
            webhooks.init(file)
        assert why in str(caught.value)


async def test_trying(make_webhooks):
    """The façade tries expressions without opening anything."""
    webhooks = make_webhooks(payload_limit=1024)
    body = {"event": "order.created", "data": ORDER}
    assert await webhooks.try_filter("data.amount > `100`", body) == Trial(matched=True)
    assert await webhooks.try_filter("data.amount > `900`", json.dumps(body).encode()) == Trial(
        matched=False
    )
    made = await webhooks.try_transform(TEXT, body)
    assert json.loads(made.result) == {"text": "Order o-1 for 张三", "total": 129.5}
    wide = "{a: data, b: '" + "x" * 1000 + "'}"
    assert (await webhooks.try_transform(wide, body)).problem == (
        "the result is larger than 1,024 bytes"
    )
    with pytest.raises(InvalidExpression, match=r"^filter: position 8"):
        await webhooks.try_filter("data.x $", body)
    assert webhooks._runtime.engine is None


def test_whoever_registered_it_is_told():
    """The reason of a failed transformation is about their expression, and shown to them."""
    outcome = Outcome(failure=Failure.TRANSFORM, detail="the result is null, expected object")
    assert public_reason(outcome) == (
        "Body could not be transformed (the result is null, expected object)"
    )


def test_jmespath_is_loaded_when_it_is_needed():
    """An application without filters does not load it."""
    code = (
        "import sys, hookline; w = hookline.Webhooks(database='sqlite:///x.db'); "
        "w.register('https://example.com/a', ['*']); print('jmespath' in sys.modules); "
        "w.register('https://example.com/a', ['*'], filter='a'); print('jmespath' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


async def test_trying_on_a_message(make_webhooks):
    """Of this application: what it said is the example."""
    webhooks = make_webhooks(deliver=False)
    receipt = await webhooks.publish("order.created", b'{"n": 5}')
    assert await webhooks.try_filter("n > `4`", receipt.message_id) == Trial(matched=True)
    made = await webhooks.try_transform("{m: n}", receipt.message_id)
    assert made.result == b'{"m":5}'
    with pytest.raises(MessageNotFound):
        await webhooks.try_filter("n > `4`", "msg_" + "0" * 27)
