"""Pending endpoints: asked and asked again, sent nothing else before they answer."""

import asyncio
import json
import signal
import time
from datetime import timedelta

import pytest
from tests.crash.support import Processes, until
from tests.integration.test_hostile_receivers import Hostile

from hookline import DeliveryState, EndpointState
from hookline.errors import DeliveryTimeout, EndpointDisabled, InvalidInput
from hookline.receiver import verify
from hookline.testing import Answer, FakeClock, Handler, Receiver, agree

SECRET = "your-secret-key"
CHALLENGE = "webhook.challenge"


def challenge(received):
    """Return what a receiver was asked to return."""
    return received.json()["data"]["challenge"]


def returns(received):
    """Answer as a receiver should: the challenge as JSON, everything else with 200."""
    if received.event != CHALLENGE:
        return 200
    return Answer(200, json.dumps({"challenge": challenge(received)}).encode())


def returns_text(received):
    """Answer with the bare challenge."""
    return Answer(202, challenge(received).encode()) if received.event == CHALLENGE else 200


def events(receiver):
    return [received.event for received in receiver.received]


@pytest.fixture
def demanding(on_each_database):
    """Return a maker of `Webhooks` that demand a challenge, on each database in turn."""

    def make(**options):
        return on_each_database(**{"handshake": "challenge", "migrate": "always", **options})

    return make


@pytest.mark.parametrize("answer", [returns, returns_text])
async def test_asked_at_once(demanding, receiver, told, answer):
    """A new endpoint is asked at once, gets what was held for it, and whatever comes then."""
    receiver.answer(answer)
    heard = []
    webhooks = demanding(on_event=heard.append)
    webhooks.register(receiver.url, ["a.*"], secret=SECRET, headers={"X-Tenant": "7"})
    first = await webhooks.trigger("a.b", {"n": 1})
    await told.wait("is verified")
    [status] = await until_delivered(first)
    assert status.state is DeliveryState.SUCCEEDED
    endpoint = await webhooks.endpoint(receiver.url)
    assert (endpoint.state, endpoint.pending_since) == ("active", None)
    asked, sent = receiver.received
    assert (asked.event, asked.verified, asked.headers["X-Tenant"]) == (CHALLENGE, True, "7")
    assert asked.attempt == 1
    assert len(challenge(asked)) >= 43  # 256 bits
    assert (sent.event, sent.id) == ("a.b", first.message_id)
    assert [(e.type, e.url) for e in heard] == [("endpoint.verified", receiver.url)]
    assert await webhooks.verify_endpoint(endpoint) == endpoint
    assert receiver.count == 2


async def until_delivered(receipt):
    """Return the statuses of a message once nothing of it is held or under way."""
    while True:
        statuses = await receipt.delivered()
        if all(s.state is not DeliveryState.HELD for s in statuses):
            return statuses
        await asyncio.sleep(0.01)  # held is final for a receipt: nobody says when it is no more


async def test_without_a_secret(demanding, receiver):
    """An unsigned endpoint proves the same way that it expects webhooks."""
    receiver.answer(returns)
    webhooks = demanding()
    webhooks.register(receiver.url, ["*"])
    assert (await webhooks.verify_endpoint(receiver.url)).state is EndpointState.ACTIVE


async def test_in_order_afterwards(demanding, receiver, told):
    """What an ordered endpoint missed arrives in order, before what comes later."""
    receiver.answer(404, times=1)
    receiver.answer(returns)
    webhooks = demanding()
    webhooks.register(receiver.url, ["*"], ordered=True)
    await webhooks.start()
    await told.wait("is not verified")
    for n in range(20):
        await webhooks.trigger("a.b", {"n": n})
    assert (await webhooks.verify_endpoint(receiver.url)).state == "active"
    for n in range(20, 25):
        await webhooks.trigger("a.b", {"n": n})
    arrived = await receiver.arrived(2 + 25)
    assert [each.event for each in arrived[:2]] == [CHALLENGE] * 2
    assert [each.json()["data"]["n"] for each in arrived[2:]] == list(range(25))


WRONG = {
    "ok": Answer(200, b"ok"),
    "empty": Answer(204),
    "no": Answer(403),
    "broken": Answer(500),
    "html": Answer(200, b"<!doctype html>"),
    "gone": Answer(410),
    "json": Answer(200, b'{"challenge": "' + b"x" * 43 + b'"}'),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_wrong_answers(make_webhooks, receiver, wrong):
    """Whatever else is answered, the endpoint stays pending and is sent nothing but that."""
    receiver.answer(lambda _: WRONG[wrong])
    webhooks = make_webhooks(handshake="challenge")
    webhooks.register(receiver.url, ["*"], secret=SECRET)
    receipt = await webhooks.trigger("a.b", {})
    endpoint = await webhooks.verify_endpoint(receiver.url)
    assert endpoint.state is EndpointState.PENDING
    assert str(WRONG[wrong].status) in endpoint.pending_reason
    [status] = await receipt.delivered()
    assert status.state is DeliveryState.HELD
    assert set(events(receiver)) == {CHALLENGE}
    with pytest.raises(EndpointDisabled, match=r"is pending .*verify_endpoint"):
        await webhooks.replay(receiver.url, message=receipt.message_id)
    with pytest.raises(EndpointDisabled, match="is pending"):
        await webhooks.check_receiver(receiver.url)
    await (await webhooks.send_test(receiver.url)).delivered()
    assert set(events(receiver)) == {CHALLENGE}


async def test_the_challenge_of_another(make_webhooks):
    """A receiver that returns what another endpoint was asked proves nothing."""
    with Receiver() as one, Receiver() as two:
        one.answer(returns)

        def of_the_first(received):
            seen = challenge(one.wait_for(1)[0])
            return Answer(200, seen.encode())

        two.answer(of_the_first)
        webhooks = make_webhooks(handshake="challenge")
        webhooks.register(one.url, ["*"])
        webhooks.register(two.url, ["*"])
        assert (await webhooks.verify_endpoint(one.url)).state == "active"
        assert (await webhooks.verify_endpoint(two.url)).state == "pending"
        assert len({challenge(each) for each in one.received + two.received}) == 1 + two.count


async def test_redirects_are_not_followed(make_webhooks, receiver):
    """Where it points to could prove it, but nobody goes there."""
    with Receiver() as elsewhere:
        elsewhere.answer(returns)
        receiver.answer(307, headers={"Location": elsewhere.url})
        webhooks = make_webhooks(handshake="challenge")
        webhooks.register(receiver.url, ["*"])
        endpoint = await webhooks.verify_endpoint(receiver.url)
        assert endpoint.pending_reason == "HTTP 307 (redirects are not followed)"
        assert elsewhere.count == 0


async def test_an_answer_without_end(make_webhooks):
    """Of an answer that goes on for ever, a kilobyte is read; that it begins well is no proof."""

    def behave(server, connection):
        server.read(connection)
        said = json.loads(server.requests[-1][2])["data"]["challenge"].encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + said)
        while not server.enough.is_set():
            connection.sendall(b"x" * 1024)

    hostile = Hostile(behave)
    try:
        webhooks = make_webhooks(handshake="challenge", response_limit=1 << 20)
        webhooks.register(hostile.url, ["*"])
        endpoint = await webhooks.verify_endpoint(hostile.url)
        assert endpoint.pending_reason == "HTTP 200, but the answer does not return the challenge"
    finally:
        hostile.close()


async def test_a_long_answer(make_webhooks, receiver):
    """What comes after the first kilobyte is not read."""
    receiver.answer(lambda r: Answer(200, b" " * 1000 + challenge(r).encode()))
    webhooks = make_webhooks(handshake="challenge")
    webhooks.register(receiver.url, ["*"])
    assert (await webhooks.verify_endpoint(receiver.url)).state == "pending"


async def test_slow_answers_hold_up_nobody(make_webhooks, receiver):
    """A receiver that does not answer fails at its timeout, and the others are asked meanwhile."""
    with Receiver() as slow:
        slow.answer(200, delay=30)
        receiver.answer(returns)
        webhooks = make_webhooks(handshake="challenge")
        webhooks.register(slow.url, ["*"], timeout=1)
        webhooks.register(receiver.url, ["*"])
        assert (await webhooks.verify_endpoint(receiver.url)).state == "active"
        assert slow.count == 1
        assert (await webhooks.verify_endpoint(slow.url)).pending_reason == "Request timeout"


async def test_blocked_destinations(make_webhooks, receiver, monkeypatch, told):
    """The handshake is guarded as deliveries are, and the customer learns nothing of why."""
    monkeypatch.setenv("HOOKLINE_DEVELOPMENT", "0")
    webhooks = make_webhooks(handshake="challenge")
    webhooks.register("https://example.com/webhook", ["*"])
    endpoint = await webhooks.endpoint("https://example.com/webhook")
    await asyncio.to_thread(webhooks.close)

    def loopback(_host):
        return ["127.0.0.1"]

    monkeypatch.setattr("hookline._sending.guard.lookup", loopback)
    webhooks = make_webhooks(handshake="challenge")
    endpoint = await webhooks.verify_endpoint(endpoint)
    assert endpoint.pending_reason == "blocked_destination"
    await told.wait("loopback")


async def test_the_third_try(make_webhooks, receiver, clock, told):
    """A receiver that is ready at the third try is verified then, by the schedule."""
    receiver.answer(404, times=2)
    receiver.answer(returns)
    webhooks = make_webhooks(handshake="challenge", clock=clock)
    webhooks.register(receiver.url, ["*"], secret=SECRET)
    receipt = await webhooks.trigger("a.b", {})
    for n, wait in enumerate((12, 72), 1):
        await told.wait("is not verified", n)
        assert receiver.count == n
        clock.advance(wait)
    await told.wait("is verified")
    await receiver.arrived(4)
    assert events(receiver) == [CHALLENGE] * 3 + ["a.b"]
    assert [each.attempt for each in receiver.received] == [1, 2, 3, 1]
    assert len({challenge(each) for each in receiver.received[:3]}) == 3
    await receipt.delivered()


async def test_after_the_last_try(make_webhooks, receiver, clock, told):
    """After a day nobody is asked any more, an event says so, and asking begins anew."""
    receiver.answer(404)
    heard = []
    webhooks = make_webhooks(handshake="challenge", clock=clock, on_event=heard.append)
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()
    for n in range(1, 13):
        await told.wait("tried again in", n)
        clock.advance(timedelta(hours=5))
    await told.wait("verify_endpoint() tries again")
    await until(lambda: heard, "the event, which is told after the log")
    [event] = heard
    assert (event.type, event.reason) == ("endpoint.unverified", "HTTP 404")
    [finding] = [f for f in await webhooks.diagnose() if f.check == "pending"]
    assert finding.level == "warning"
    assert "HTTP 404; pending for 2 days" in finding.items[0]
    assert "not asked again by itself" in finding.items[0]
    clock.advance(timedelta(days=30))
    receiver.answer(returns)
    assert receiver.count == 13
    assert (await webhooks.verify_endpoint(receiver.url)).state == "active"
    [finding] = [f for f in await webhooks.diagnose() if f.check == "pending"]
    assert finding.level == "ok"


async def test_another_url(demanding, receiver):
    """Nothing of the old URL's goes to the new one before it has answered."""
    receiver.answer(returns)
    with Receiver(secret=SECRET) as new:
        new.answer(404)
        webhooks = demanding()
        webhooks.register(receiver.url, ["*"], secret=SECRET)
        endpoint = await webhooks.verify_endpoint(receiver.url)
        moved = await webhooks.change_url(endpoint, new.url)
        assert (moved.id, moved.url, moved.state) == (endpoint.id, new.url, "pending")
        receipt = await webhooks.trigger("a.b", {})
        await webhooks.verify_endpoint(moved)
        [status] = await receipt.delivered()
        assert status.state is DeliveryState.HELD
        assert set(events(new)) == {CHALLENGE}
        new.answer(returns)
        assert (await webhooks.verify_endpoint(moved)).state == "active"
        await until_delivered(receipt)
        assert [each.verified for each in new.received if each.event == "a.b"] == [True]
        assert events(receiver) == [CHALLENGE]


async def test_exempt_from_the_file(make_webhooks, receiver, tmp_path):
    """The operator's own file may say that an endpoint needs no handshake."""
    entry = {"url": receiver.url, "events": ["*"], "handshake": "none"}
    file = tmp_path / "webhooks.json"
    file.write_text(json.dumps({"webhooks": [entry]}), "utf-8")
    webhooks = make_webhooks(handshake="challenge")
    webhooks.init(file)
    await (await webhooks.trigger("a.b", {})).delivered()
    assert events(receiver) == ["a.b"]


async def test_published_here_asked_elsewhere(demanding, receiver):
    """A process that only publishes asks nobody itself: a worker does, and it hears of it."""
    receiver.answer(returns)
    publisher = demanding(deliver=False)
    publisher.register(receiver.url, ["*"])
    with pytest.raises(DeliveryTimeout, match="is a worker running"):
        await publisher.verify_endpoint(receiver.url, timeout=0.05)
    assert receiver.count == 0
    await demanding().start()
    assert (await publisher.verify_endpoint(receiver.url)).state == "active"


async def test_two_workers_ask_once(postgres_url, make_webhooks, receiver, told):
    """However many workers look, each endpoint is asked by one of them."""
    receiver.answer(returns)
    workers = [
        make_webhooks(database=postgres_url, handshake="challenge", poll_interval=0.01)
        for _ in range(2)
    ]
    for each in workers:
        await each.start()
    await until(lambda: all(w._runtime.engine.worker.working for w in workers), "both to work")
    for n in range(50):
        workers[n % 2].register(f"{receiver.base}/{n}", ["*"])
    await told.wait("is verified", 50)
    assert sorted(each.path for each in receiver.received) == sorted(f"/{n}" for n in range(50))
    assert told.containing("Trouble") == []


async def test_stopped_in_the_middle(make_webhooks, receiver):
    """A worker that stops gives back a try it did not finish: the next one makes it at once."""
    receiver.answer(200, delay=30, times=1)
    receiver.answer(returns)
    webhooks = make_webhooks(handshake="challenge")
    webhooks.register(receiver.url, ["*"])
    await webhooks.start()
    await receiver.arrived(1)
    await webhooks.stop()
    webhooks = make_webhooks(handshake="challenge")
    assert (await webhooks.verify_endpoint(receiver.url)).state == "active"
    assert receiver.count == 2


@pytest.mark.parametrize(
    "place",
    [
        "hookline._engine.handshake:Handshaker._settle",
        "hookline._storage.handshake:_still_ours",
        "hookline._engine.errand:Errands.send",
    ],
)
async def test_killed_in_the_middle(make_webhooks, database_url, receiver, tmp_path, place):
    """`kill -9` at any point leaves it pending, and the next worker asks when the lease is over."""
    receiver.answer(returns)
    settings = {"handshake": "challenge", "lease": 1, "timeout": 1.0}
    with Processes(tmp_path) as start:
        dying = await start(
            database_url,
            ready=False,
            register=[(receiver.url, {"secret": SECRET})],
            fault={"at": place, "name": "SIGKILL"},
            **settings,
        )
        assert await dying.ended() == -signal.SIGKILL
    later = FakeClock(time.time_ns() // 1_000_000 + 3000)
    webhooks = make_webhooks(database=database_url, clock=later, **settings)
    receipt = await webhooks.trigger("a.b", {})
    assert (await webhooks.verify_endpoint(receiver.url)).state == "active"
    [status] = await until_delivered(receipt)
    assert status.state is DeliveryState.SUCCEEDED


# CloudEvents -------------------------------------------------------------------------------------


class WithOptions(Receiver):
    """A receiver that records OPTIONS as it does POST."""

    class handler(Handler):  # noqa: N801 - the attribute of Receiver
        do_OPTIONS = Handler.do_POST  # noqa: N815 - the standard library's naming


ORIGIN = "hooks.example.com"


async def test_cloudevents(on_each_database):
    """Asked with OPTIONS; the rate granted holds, and the origin goes along with each webhook."""

    def permits(received):
        if received.method != "OPTIONS":
            return 200
        allowed = {"WebHook-Allowed-Origin": ORIGIN, "WebHook-Allowed-Rate": "60"}
        return Answer(200, b"", {**allowed, "Allow": "POST"})

    with WithOptions(secret=SECRET) as receiver:
        receiver.answer(permits)
        webhooks = on_each_database(
            handshake="cloudevents", handshake_origin=ORIGIN, migrate="always"
        )
        webhooks.register(
            receiver.url, ["*"], SECRET, {"Authorization": "Bearer t"}, rate_limit=100
        )
        await webhooks.verify_endpoint(receiver.url)
        endpoint = await webhooks.endpoint(receiver.url)
        assert (endpoint.state, endpoint.granted_rate) == ("active", 1.0)
        await (await webhooks.trigger("a.b", {})).delivered()
        asked, sent = receiver.received
        assert (asked.method, asked.body) == ("OPTIONS", b"")
        assert asked.headers["WebHook-Request-Origin"] == ORIGIN
        assert asked.headers["WebHook-Request-Rate"] == "6000"
        assert asked.headers["Authorization"] == "Bearer t"
        assert not {"content-type", "webhook-request-callback"} & {
            name.lower() for name in asked.headers
        }
        assert (sent.method, sent.verified) == ("POST", True)
        assert sent.headers["WebHook-Request-Origin"] == ORIGIN


async def test_one_way_after_the_other(make_webhooks):
    """A worker that asked one endpoint with OPTIONS asks the next with POST."""
    with WithOptions() as receiver:
        receiver.answer(
            lambda r: (
                Answer(headers={"WebHook-Allowed-Origin": "*"})
                if r.method == "OPTIONS"
                else returns(r)
            )
        )
        webhooks = make_webhooks(handshake_origin=ORIGIN)
        for n, way in enumerate(["challenge", "cloudevents", "challenge"]):
            webhooks.register(f"{receiver.base}/{n}", ["*"], handshake=way)
            assert (await webhooks.verify_endpoint(f"{receiver.base}/{n}")).state == "active"
        assert [each.method for each in receiver.received] == ["POST", "OPTIONS", "POST"]


async def test_cloudevents_without_permission(make_webhooks):
    """A receiver that knows OPTIONS for other reasons has permitted nothing."""
    with WithOptions() as receiver:
        receiver.answer(200, headers={"Allow": "POST, OPTIONS"})
        webhooks = make_webhooks(handshake="cloudevents", handshake_origin=ORIGIN)
        webhooks.register(receiver.url, ["*"])
        endpoint = await webhooks.verify_endpoint(receiver.url)
        assert endpoint.pending_reason == "HTTP 200 without WebHook-Allowed-Origin"
        assert {each.method for each in receiver.received} == {"OPTIONS"}


async def test_cloudevents_needs_a_name(make_webhooks, receiver):
    """An endpoint cannot be asked that way by a sender without a name."""
    with pytest.raises(InvalidInput, match="handshake_origin"):
        make_webhooks().register(receiver.url, ["*"], handshake="cloudevents")


# Tests -------------------------------------------------------------------------------------------


async def test_a_test_event(on_each_database, receiver):
    """It goes to the one endpoint alone, whatever it listens to, by the ordinary way."""
    with Receiver(secret="another") as other:
        webhooks = on_each_database(events=["customer.created"], migrate="always")
        webhooks.register(receiver.url, ["customer.created"], secret=SECRET)
        webhooks.register(other.url, ["*"], secret="another")
        receipt = await webhooks.send_test(receiver.url)
        [status] = await receipt.delivered()
        assert status.state is DeliveryState.SUCCEEDED
        named = await webhooks.send_test(receiver.url, "customer.created", {"id": "1"})
        await named.delivered()
        plain, own = receiver.received
        assert (plain.event, plain.verified, plain.id) == ("webhook.test", True, receipt.message_id)
        assert plain.json()["data"]["test"] is True
        assert (own.event, own.json()["data"]) == ("customer.created", {"id": "1"})
        assert len(await webhooks.attempts(receipt.message_id)) == 1
        assert other.count == 0
        with pytest.raises(InvalidInput, match="unknown event type"):
            await webhooks.send_test(receiver.url, "customer.gone")


async def test_a_test_event_is_tried_again(make_webhooks, receiver):
    """One that fails is retried as any other."""
    receiver.answer(500, times=1)
    webhooks = make_webhooks(retry_schedule=(0, 0))
    webhooks.register(receiver.url, ["*"], secret=SECRET)
    [status] = await (await webhooks.send_test(receiver.url)).delivered()
    assert (status.state, status.attempts) == (DeliveryState.SUCCEEDED, 2)
    assert [verify(r.body, r.headers, SECRET).id for r in receiver.received] == [
        receiver.received[0].id
    ] * 2


@pytest.mark.parametrize("secret", [None, "your-secret-key", "another-secret"])
async def test_the_test_receiver_agrees(make_webhooks, secret):
    """`agree` answers a question it can verify, or need not; a wrong signature gets no answer."""
    with Receiver(secret=secret) as receiver:
        receiver.answer(agree)
        webhooks = make_webhooks(handshake="challenge")
        webhooks.register(receiver.url, ["*"], secret="your-secret-key")
        await webhooks.start()
        found = await webhooks.verify_endpoint(receiver.url)
        assert (found.state == "active") == (secret != "another-secret")
