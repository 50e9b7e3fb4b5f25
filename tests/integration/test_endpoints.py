"""Declaring endpoints in code and file, rotating their secrets, disabling and enabling them."""

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from enum import Enum

import pytest

from hookline import DeliveryState
from hookline.errors import EndpointNotFound, InvalidWebhooksFile
from hookline.receiver import verify
from hookline.testing import Receiver

OLD, NEW = "whsec_" + "b2xk" * 8, "whsec_" + "bmV3" * 8


@pytest.fixture
def write_file(tmp_path):
    """Return a writer of webhooks.json: each entry a dict, or a URL that wants everything."""

    def write(*entries, name="webhooks.json"):
        shaped = [{"url": e, "events": ["*"]} if isinstance(e, str) else e for e in entries]
        path = tmp_path / name
        path.write_text(json.dumps({"webhooks": shaped}), "utf-8")
        return path

    return write


async def facts(webhooks):
    """Return what matters of each endpoint, by URL."""
    return {
        e.url: (list(e.events), e.source, e.disabled_reason) for e in await webhooks.endpoints()
    }


async def test_twice_is_once(make_webhooks, receiver):
    """The same URL again, also spelt differently, updates the endpoint and never doubles it."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["customer.created"])
    webhooks.register(receiver.url, ["customer.created"])
    first = await webhooks.endpoint(receiver.url)
    webhooks.register(receiver.url.replace("http", "HTTP"), ["customer.*"], secret="s3cret")
    [again] = await webhooks.endpoints()
    assert (again.id, again.events, again.secret) == (first.id, ("customer.*",), "s3cret")
    await (await webhooks.trigger("customer.created", {})).delivered()
    assert receiver.count == 1


async def test_restarts_do_not_double(make_webhooks, receiver):
    """A process that declares the same at each start has one endpoint with the same id."""
    seen = set()
    for _ in range(3):
        webhooks = make_webhooks()
        webhooks.register(receiver.url, ["*"], secret="your-secret-key")
        await webhooks.start()
        seen.update(e.id for e in await webhooks.endpoints())
        await webhooks.stop()
    assert len(seen) == 1


async def test_two_processes_do_not_double(make_webhooks, receiver):
    """Two engines on one database that declare the same URL share one endpoint."""
    one, two = make_webhooks(), make_webhooks()
    for each in (one, two):
        each.register(receiver.url, ["*"])
        await each.start()
    assert await facts(one) == await facts(two)
    assert len(await one.endpoints()) == 1


async def test_endpoints_in_the_order_declared(make_webhooks):
    """Endpoints are listed oldest first, those of one start in the order of declaration."""
    webhooks = make_webhooks()
    urls = [f"https://example.com/{n}" for n in range(10)]
    for url in urls:
        webhooks.register(url, ["*"])
    assert [e.url for e in await webhooks.endpoints()] == urls


async def test_a_new_endpoint_gets_the_very_next_message(make_webhooks, receiver):
    """What was registered before a trigger gets its message, a hundred times in a row."""
    webhooks = make_webhooks()
    await webhooks.start()
    for n in range(100):
        webhooks.register(f"{receiver.base}/{n}", [f"event.n{n}"])
        [status] = await (await webhooks.trigger(f"event.n{n}", {})).delivered()
        assert status.state is DeliveryState.SUCCEEDED
    assert [each.path for each in receiver.received] == [f"/{n}" for n in range(100)]


async def test_a_changed_endpoint_is_used_by_the_next_attempt(make_webhooks, receiver, told):
    """A retry uses the secret and headers as they are then, not as they were."""
    receiver.answer(500, times=1)
    webhooks = make_webhooks(retry_schedule=(0, 0.2))
    webhooks.register(receiver.url, ["*"], secret="another-key", headers={"X-Version": "1"})
    receipt = await webhooks.trigger("a.b", {})
    await told.wait("Error sending webhook")
    webhooks.register(receiver.url, ["*"], secret="your-secret-key", headers={"X-Version": "2"})
    await receipt.delivered()
    first, second = receiver.received
    assert (first.verified, first.headers["X-Version"]) == (False, "1")
    assert (second.verified, second.headers["X-Version"]) == (True, "2")


async def test_events_by_member_name_prefix_and_star(make_webhooks, receiver):
    """Subscriptions may be Enum members, text, a prefix or `*`; each event comes once."""

    class Event(Enum):
        CREATED = "customer.created"
        UPDATED = "customer.updated"
        PAID = "invoice.paid"

    webhooks = make_webhooks(events=Event)
    webhooks.register(f"{receiver.base}/member", [Event.CREATED])
    webhooks.register(f"{receiver.base}/text", ["customer.created", Event.UPDATED])
    webhooks.register(f"{receiver.base}/prefix", ["customer.*", "customer.created"])
    webhooks.register(f"{receiver.base}/star", ["*"])
    for event in (*Event, "customer.created"):
        await (await webhooks.trigger(event, {})).delivered()
    paths = sorted((each.path, each.event) for each in receiver.received)
    created = [("/member", "/text", "/prefix", "/star")] * 2
    expected = [(path, "customer.created") for four in created for path in four]
    expected += [(path, "customer.updated") for path in ("/text", "/prefix", "/star")]
    expected += [("/star", "invoice.paid")]
    assert paths == sorted(expected)


async def test_a_file_is_loaded_by_init(make_webhooks, receiver, write_file, told):
    """`init` takes url, events, secret, headers and description from the file."""
    entry = {
        "url": receiver.url,
        "events": ["customer.*"],
        "secret": "your-secret-key",
        "headers": {"Authorization": "Bearer abc"},
        "description": "CRM",
        "retry_schedule": [0, 1],
        "timeout": 5,
    }
    path = write_file(entry)
    webhooks = make_webhooks()
    webhooks.init()
    [endpoint] = await webhooks.endpoints()
    assert (endpoint.source, endpoint.description, endpoint.timeout) == ("file", "CRM", 5)
    assert endpoint.retry_schedule == (0, 1)
    await (await webhooks.trigger("customer.created", {})).delivered()
    [arrived] = receiver.received
    assert arrived.verified
    assert arrived.headers["Authorization"] == "Bearer abc"
    assert "INFO: 1 webhooks loaded from webhooks.json" in told.lines
    assert path.exists()


async def test_where_the_file_is_looked_for(make_webhooks, write_file, monkeypatch):
    """The argument comes first, then HOOKLINE_WEBHOOKS_FILE, then ./webhooks.json."""
    write_file("https://example.com/default")
    environment = write_file("https://example.com/environment", name="other.json")
    argument = write_file("https://example.com/argument", name="third.json")
    for given, path in (
        ("default", None),
        ("environment", None),
        ("argument", argument),
    ):
        if given == "environment":
            monkeypatch.setenv("HOOKLINE_WEBHOOKS_FILE", str(environment))
        webhooks = make_webhooks(deliver=False)
        webhooks.init(path)
        enabled = [e.url for e in await webhooks.endpoints() if not e.disabled]
        assert enabled == [f"https://example.com/{given}"]
        await webhooks.stop()


async def test_no_file_is_fine(make_webhooks, receiver, told):
    """Without a file `init` says so in the log and starts; endpoints in code work."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    webhooks.init()
    await (await webhooks.trigger("a.b", {})).delivered()
    assert told.containing("No webhooks file at webhooks.json")


async def test_a_wrong_file_starts_nothing(make_webhooks, write_file):
    """A fault in the file stops `init` with file, position and reason, before anything starts."""
    good = {"url": "https://example.com/ok", "events": ["*"]}
    path = write_file(good, {"url": "https://user:pw@example.com/", "events": ["*"]})
    webhooks = make_webhooks()
    with pytest.raises(InvalidWebhooksFile) as caught:
        webhooks.init(path)
    assert str(caught.value).startswith(f"{path}: webhooks[1].url: user and password")
    assert webhooks._runtime.engine is None
    assert await webhooks.endpoints() == []


async def test_an_endpoint_leaves_the_file_and_comes_back(
    make_webhooks, receiver, write_file, told
):
    """Left: disabled with that reason, its events held. Back: enabled, and they are sent."""
    code = f"{receiver.base}/code"
    write_file(receiver.url)
    webhooks = make_webhooks()
    webhooks.register(code, ["code.only"])
    webhooks.init()
    before = await webhooks.endpoint(receiver.url)
    await webhooks.stop()

    write_file()
    webhooks = make_webhooks()
    webhooks.register(code, ["code.only"])
    webhooks.init()
    left = await webhooks.endpoint(receiver.url)
    assert (left.id, left.disabled_reason) == (before.id, "removed from the webhooks file")
    assert not (await webhooks.endpoint(code)).disabled
    assert told.containing(f"Endpoint {receiver.url} is no longer in webhooks.json: disabled")
    held = await webhooks.trigger("customer.created", {"n": 1})
    [status] = await held.delivered()
    assert status.state is DeliveryState.HELD
    await webhooks.stop()

    write_file(receiver.url)
    webhooks = make_webhooks()
    webhooks.init()
    back = await webhooks.endpoint(receiver.url)
    assert (back.id, back.disabled, back.disabled_reason) == (before.id, False, None)
    await (await webhooks.trigger("customer.created", {"n": 2})).delivered()
    [status] = await held.delivered()
    assert status.state is DeliveryState.SUCCEEDED
    assert [each.json()["data"]["n"] for each in receiver.received] == [1, 2]


async def test_an_endpoint_that_left_gets_nothing_of_the_backlog(
    make_webhooks, receiver, write_file
):
    """Messages published before the start are not sent to an endpoint the file no longer has."""
    write_file(receiver.url)
    webhooks = make_webhooks(deliver=False)
    webhooks.init()
    receipts = [await webhooks.trigger("a.b", {"n": n}) for n in range(50)]
    await webhooks.stop()
    write_file()
    webhooks = make_webhooks()
    webhooks.init()
    again = await webhooks.trigger("a.b", {"n": 50})
    [status] = await again.delivered()
    assert status.state is DeliveryState.HELD
    await webhooks.stop()
    assert receiver.count == 0
    assert len(receipts) == 50


async def test_disable_holds_and_enable_sends(make_webhooks, receiver):
    """A disabled endpoint loses nothing: `enable` sends what was held and says how much."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    await webhooks.disable(receiver.url, "being moved")
    endpoint = await webhooks.endpoint(receiver.url)
    assert (endpoint.disabled, endpoint.disabled_reason) == (True, "being moved")
    receipts = [await webhooks.trigger("a.b", {"n": n}) for n in range(5)]
    for receipt in receipts:
        [status] = await receipt.delivered()
        assert (status.state, status.attempts) == (DeliveryState.HELD, 0)
    assert receiver.count == 0
    assert await webhooks.enable(endpoint.id) == 5
    for receipt in receipts:
        [status] = await receipt.delivered()
        assert status.state is DeliveryState.SUCCEEDED
    assert receiver.count == 5
    assert await webhooks.enable(endpoint) == 0


async def test_disable_keeps_a_retry(make_webhooks, receiver, clock, told):
    """A retry that falls due while its endpoint is disabled is held with its attempt count."""
    receiver.answer(500, times=1)
    webhooks = make_webhooks(clock=clock)
    webhooks.register(receiver.url, ["*"])
    receipt = await webhooks.trigger("a.b", {})
    await told.wait("Error sending webhook")
    await webhooks.disable(receiver.url, "being moved")
    clock.advance(6)
    [status] = await receipt.delivered()
    assert (status.state, status.attempts) == (DeliveryState.HELD, 1)
    assert receiver.count == 1
    await webhooks.enable(receiver.url)
    [status] = await receipt.delivered()
    assert (status.state, status.attempts) == (DeliveryState.SUCCEEDED, 2)
    assert receiver.received[-1].attempt == 2


async def test_rotation_with_overlap(make_webhooks, receiver, clock):
    """During the overlap both keys verify; the guide's header stays old until its end."""
    receiver.secret = None
    webhooks = make_webhooks(clock=clock)
    webhooks.register(receiver.url, ["*"], secret=OLD)
    await webhooks.start()
    assert await webhooks.rotate_secret(receiver.url, NEW, overlap=timedelta(hours=24)) == NEW
    assert (await webhooks.endpoint(receiver.url)).secret == NEW

    async def send():
        await (await webhooks.trigger("a.b", {})).delivered()
        return receiver.received[-1]

    def accepted(request, secret, scheme):
        now = clock.now() / 1000
        try:
            verify(request.body, request.headers, secret, scheme=scheme, now=now)
        except Exception:  # noqa: BLE001 - any refusal will do
            return False
        return True

    during = await send()
    assert len(during.headers["webhook-signature"].split(" ")) == 2
    verdicts = [accepted(during, key, "standard") for key in (OLD, NEW)]
    assert verdicts == [True, True]
    assert [accepted(during, key, "guide") for key in (OLD, NEW)] == [True, False]
    newest = during.headers["webhook-signature"].split(" ")[0]
    headers = {**during.headers, "webhook-signature": newest}
    verify(during.body, headers, NEW, scheme="standard", now=clock.now() / 1000)

    clock.advance(timedelta(hours=24) - timedelta(milliseconds=1))
    last = await send()
    assert [accepted(last, key, "standard") for key in (OLD, NEW)] == [True, True]

    clock.advance(0.001)
    after = await send()
    assert len(after.headers["webhook-signature"].split(" ")) == 1
    assert [accepted(after, key, "standard") for key in (OLD, NEW)] == [False, True]
    assert [accepted(after, key, "guide") for key in (OLD, NEW)] == [False, True]


async def test_an_overlap_may_be_ended_early(make_webhooks, receiver, clock):
    """Rotating with no overlap leaves the new key alone at once."""
    webhooks = make_webhooks(clock=clock)
    webhooks.register(receiver.url, ["*"], secret=OLD)
    new = await webhooks.rotate_secret(receiver.url, overlap=timedelta(0))
    assert new.startswith("whsec_")
    receiver.secret, receiver.tolerance = new, None
    await (await webhooks.trigger("a.b", {})).delivered()
    [arrived] = receiver.received
    assert arrived.verified
    assert len(arrived.headers["webhook-signature"].split(" ")) == 1


@pytest.mark.parametrize("times", range(8))
async def test_rotations_in_one_moment_keep_their_order(make_webhooks, receiver, clock, times):
    """The last of several rotations within a millisecond is the newest, each time."""
    webhooks = make_webhooks(clock=clock, deliver=False)
    webhooks.register(receiver.url, ["*"], secret=OLD)
    for n in range(3):
        last = await webhooks.rotate_secret(receiver.url, f"secret number {n} of {times}")
        assert (await webhooks.endpoint(receiver.url)).secret == last


async def test_a_rotated_secret_survives_the_same_declaration(make_webhooks, receiver):
    """Code that still declares the first secret does not undo a rotation at the next start."""
    webhooks = make_webhooks(deliver=False)
    webhooks.register(receiver.url, ["*"], secret=OLD)
    await webhooks.rotate_secret(receiver.url, NEW)
    await webhooks.stop()
    webhooks = make_webhooks(deliver=False)
    webhooks.register(receiver.url, ["*"], secret=OLD)
    assert (await webhooks.endpoint(receiver.url)).secret == NEW


async def test_unknown_endpoints_are_said(make_webhooks):
    """An URL or id nobody registered raises EndpointNotFound with what was asked."""
    webhooks = make_webhooks(deliver=False)
    for call in (webhooks.endpoint, webhooks.enable, webhooks.rotate_secret):
        with pytest.raises(EndpointNotFound, match=r"https://example\.com/nobody"):
            await call("https://example.com/nobody")
    with pytest.raises(EndpointNotFound):
        await webhooks.disable("ep_" + "0" * 27, "why not")
    assert issubclass(EndpointNotFound, LookupError)


async def test_spelling_of_a_url_does_not_matter(make_webhooks):
    """An endpoint is found by the URL as it was written, not only as it is stored."""
    webhooks = make_webhooks(deliver=False)
    written = "HTTPS://Example.COM:443"
    endpoint = webhooks.register(written, ["*"])
    assert endpoint.url == "https://example.com/"
    assert (await webhooks.endpoint(written)).url == endpoint.url


async def test_events_held_by_one_receiver_do_not_stop_others(make_webhooks, receiver):
    """A disabled endpoint holds its own deliveries only."""
    with Receiver() as other:
        webhooks = make_webhooks()
        webhooks.register(receiver.url, ["*"])
        webhooks.register(other.url, ["*"])
        await webhooks.disable(receiver.url, "being moved")
        statuses = await (await webhooks.trigger("a.b", {})).delivered()
        assert {s.url: s.state for s in statuses} == {
            receiver.url: DeliveryState.HELD,
            other.url: DeliveryState.SUCCEEDED,
        }


async def test_what_was_held_just_after_the_release_is_sent(
    make_webhooks, database_file, receiver, monkeypatch
):
    """A message that another process was routing while its endpoint was enabled waits no minute."""
    monkeypatch.setattr("hookline._engine.upkeep.OVERTAKEN", 0.01)
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"], secret="your-secret-key")
    await webhooks.disable(receiver.url, "test")
    receipt = await webhooks.trigger("a.b", {})
    [status] = await receipt.delivered()
    assert status.state is DeliveryState.HELD
    with closing(sqlite3.connect(database_file)) as connection, connection:
        connection.execute("UPDATE hookline_endpoint SET disabled_at = NULL, revision = 99")
        connection.execute("UPDATE hookline_application SET revision = 99")
    webhooks._runtime.engine.ring_released()
    await receiver.arrived(1)
