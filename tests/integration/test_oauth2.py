"""Access tokens: fetched by the guarded sender, once for all that wait, and never shown."""

import asyncio
import base64
import json
from contextlib import ExitStack

import pytest
from tests.integration.private_support import (
    Proxy,
    TokenEndpoint,
    answer,
    authority,
    server_context,
)

from hookline import DeliveryState
from hookline._sending import guard
from hookline.errors import BlockedDestination, InvalidHeader, InvalidInput
from hookline.testing import Answer, Receiver

SECRET = "geheim-4711"


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def tokens(stack):
    """A token endpoint."""
    made = TokenEndpoint()
    stack.callback(made.close)
    return made


def grant(tokens, **more):
    url = tokens if isinstance(tokens, str) else tokens.url()
    return {"token_url": url, "client_id": "shop", "client_secret": SECRET, **more}


async def send(webhooks, n=1):
    """Trigger `n` events at once and wait for their end; return the log, oldest first."""
    receipts = [await webhooks.trigger("a.b", {"n": k}) for k in range(n)]
    for receipt in receipts:
        await receipt.delivered(timeout=10)
    return [each for r in receipts for each in await webhooks.attempts(r.message_id)]


def bearers(receiver):
    return [each.headers.get("Authorization") for each in receiver.received]


async def test_a_token_is_fetched_once(on_each_database, receiver, tokens):
    """Every webhook carries it; the token endpoint is asked once, with the client's credentials."""
    webhooks = on_each_database()
    webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens, scope="hooks"))
    await webhooks.start()
    attempts = await send(webhooks, 30)
    attempts += await send(webhooks, 5)
    assert {attempt.state for attempt in attempts} == {DeliveryState.SUCCEEDED}
    assert set(bearers(receiver)) == {"Bearer token-1"}
    assert tokens.forms == [{"grant_type": "client_credentials", "scope": "hooks"}]
    pair = base64.b64encode(f"shop:{SECRET}".encode()).decode()
    assert tokens.seen[0]["authorization"] == f"Basic {pair}"
    assert tokens.seen[0]["content-type"] == "application/x-www-form-urlencoded"


async def test_a_token_is_used_until_shortly_before_its_end(make_webhooks, receiver, tokens, clock):
    """An hour minus 30 seconds; then the next one is fetched."""
    webhooks = make_webhooks(clock=clock)
    webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens))
    await send(webhooks)
    clock.advance(3569)
    await send(webhooks)
    clock.advance(2)
    await send(webhooks)
    assert bearers(receiver) == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


async def test_a_token_without_a_life(make_webhooks, receiver, tokens):
    """One that ends at once serves those that waited for it, and nobody else."""
    tokens.lifetime = 0
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens))
    await send(webhooks)
    await send(webhooks)
    assert bearers(receiver) == ["Bearer token-1", "Bearer token-2"]


async def test_a_401_drops_the_token(make_webhooks, receiver, tokens):
    """The next attempt comes with a new one."""
    receiver.answer(401, times=1)
    webhooks = make_webhooks(retry_schedule=[0, 0.1])
    webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens))
    first, second = await send(webhooks)
    assert (first.status, first.failure, second.status) == (401, "status", 200)
    assert bearers(receiver) == ["Bearer token-1", "Bearer token-2"]


async def test_many_401s_drop_one_token(make_webhooks, receiver, tokens):
    """Those that flew with the old token do not drop the new one."""

    def old_is_over(received):
        return 401 if received.headers["Authorization"] == "Bearer token-1" else 200

    receiver.answer(old_is_over)
    webhooks = make_webhooks(retry_schedule=[0, 0.05, 0.05, 0.05])
    webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens))
    attempts = await send(webhooks, 8)
    assert sum(attempt.status == 200 for attempt in attempts) == 8
    assert len(tokens.forms) == 2


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (
            answer(401, b'{"error":"invalid_client","error_description":"geheim-4711"}'),
            "the token endpoint: HTTP 401 invalid_client",
        ),
        (answer(500, b"geheim-4711"), "the token endpoint: HTTP 500"),
        (answer(200, b"geheim-4711"), "the token endpoint did not answer with a JSON object"),
        (
            answer(200, b'{"access_token":"geheim-4711\\r\\nX-Evil: 1"}'),
            "the access_token is no header value of 1 to 8192 visible characters",
        ),
        (
            answer(302, b"", "Location: http://169.254.169.254/latest/meta-data/"),
            "the token endpoint: HTTP 302 (redirects are not followed)",
        ),
        (
            answer(200, b'{"access_token":"' + b"a" * 100_000 + b'"}'),
            "the token endpoint answered more than 65536 bytes",
        ),
        (b"SSH-2.0-OpenSSH\r\n", "the token endpoint: Malformed answer"),
    ],
)
async def test_a_token_endpoint_that_fails(make_webhooks, receiver, tokens, told, said, detail):
    """The attempt has failed, with why; the next one asks again. No secret is said anywhere."""
    tokens.answers.append(said)
    webhooks = make_webhooks(retry_schedule=[0, 0.05])
    webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens))
    first, second = await send(webhooks)
    assert (first.failure, first.status) == ("oauth2", None)
    assert first.detail.startswith(detail)
    assert second.state is DeliveryState.SUCCEEDED
    assert bearers(receiver) == ["Bearer token-2"]
    assert len(told.containing("No access token (")) == 1
    everything = "\n".join(told.lines) + repr(first) + repr(await webhooks.endpoints())
    assert "geheim" not in everything
    assert "token-" not in everything


def endless(server, connection):
    """Answer for ever, a little at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n")
    while not server.enough.wait(0.02):
        connection.sendall(b" ")


def flood(server, connection):
    """Answer as much as is taken."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
    while not server.enough.is_set():
        connection.sendall(b" " * 65536)


@pytest.mark.parametrize(
    ("behave", "detail"),
    [
        (endless, "the token endpoint: Request timeout"),
        (flood, "the token endpoint answered more than 65536 bytes"),
    ],
)
async def test_a_token_endpoint_without_an_end(make_webhooks, receiver, tokens, behave, detail):
    """Neither time nor memory is lost on it."""
    tokens.answers.append(behave)
    webhooks = make_webhooks(retry_schedule=[0], timeout=0.5, connect_timeout=0.5)
    webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens))
    [attempt] = await send(webhooks)
    assert (attempt.failure, attempt.detail) == ("oauth2", detail)
    assert receiver.count == 0


async def test_waiting_for_a_token_keeps_nobody_else_waiting(make_webhooks, receiver, tokens):
    """Another endpoint's webhooks go out meanwhile; then those that waited, all of them."""
    with Receiver() as other:
        webhooks = make_webhooks()
        webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens))
        webhooks.register(other.url, ["a.b"])
        tokens.hold.clear()
        receipts = [await webhooks.trigger("a.b", {"n": n}) for n in range(10)]
        await other.arrived(10)
        assert receiver.count == 0
        assert len(tokens.forms) <= 1
        tokens.hold.set()
        for receipt in receipts:
            statuses = await receipt.delivered(timeout=10)
            assert {each.state for each in statuses} == {DeliveryState.SUCCEEDED}
    assert len(tokens.forms) == 1
    assert receiver.count == 10


async def test_stopping_while_a_token_is_awaited(make_webhooks, receiver, tokens):
    """What waits is given back, and sent by the next one that starts."""
    tokens.hold.clear()
    webhooks = make_webhooks(stop_timeout=0.1)
    webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens))
    receipt = await webhooks.trigger("a.b", {})
    await asyncio.to_thread(tokens.arrived.acquire)
    await webhooks.stop()
    tokens.hold.set()
    await webhooks.start()
    [status] = await receipt.delivered(timeout=10)
    assert (status.state, status.attempts) == (DeliveryState.SUCCEEDED, 1)


async def test_each_endpoint_has_its_own_token(make_webhooks, receiver, tokens):
    """Also where they ask the same token endpoint."""
    with Receiver() as other:
        webhooks = make_webhooks()
        webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens))
        webhooks.register(other.url, ["a.b"], oauth2=grant(tokens, auth="body"))
        await send(webhooks, 3)
        assert {*bearers(receiver), *bearers(other)} == {"Bearer token-1", "Bearer token-2"}
        assert len(set(bearers(receiver))) == len(set(bearers(other))) == 1
    in_body = [form for form in tokens.forms if "client_id" in form]
    assert [form["client_secret"] for form in in_body] == [SECRET]


async def test_a_changed_endpoint_gets_a_new_token(make_webhooks, receiver, tokens):
    """A new scope is not served by the old token."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens))
    await send(webhooks)
    webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens, scope="more"))
    await send(webhooks)
    webhooks.register(receiver.url, ["a.b"])
    await send(webhooks)
    assert bearers(receiver) == ["Bearer token-1", "Bearer token-2", None]
    assert [form.get("scope") for form in tokens.forms] == [None, "more"]


async def test_the_token_endpoint_may_have_its_own_authority(
    make_webhooks, receiver, tmp_path, stack, monkeypatch
):
    """`ca` of oauth2 is for the token endpoint, that of the endpoint is not."""
    monkeypatch.setattr(guard, "lookup", lambda _: ["127.0.0.1"])
    tls = server_context(tmp_path, *authority("Login").issue("server", "login.example.com"))
    tokens = TokenEndpoint(tls=tls)
    stack.callback(tokens.close)
    url = tokens.url("login.example.com")
    login = authority("Login").certificate
    for own, token, works in ((None, None, 0), (login, None, 0), (None, login, 1)):
        webhooks = make_webhooks(retry_schedule=[0])
        oauth2 = grant(url, **({"ca": token} if token else {}))
        webhooks.register(receiver.url, ["a.b"], ca=own, oauth2=oauth2)
        attempts = await send(webhooks)
        assert attempts[-1].failure == (None if works else "oauth2")
        await webhooks.stop()


async def test_the_token_comes_through_the_proxy(make_webhooks, receiver, tokens, stack):
    """An endpoint's proxy is for its tokens too."""
    proxy = Proxy()
    stack.callback(proxy.close)
    webhooks = make_webhooks(proxy=proxy.url)
    webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens))
    await send(webhooks)
    ports = [int(target.rpartition(":")[2]) for _, target in proxy.asked]
    assert ports == [tokens.port, int(receiver.base.rpartition(":")[2])]


# the guard ----------------------------------------------------------------------------------------


def test_a_token_url_is_guarded_at_the_door(make_webhooks):
    """It is a way into the network like any other URL."""
    webhooks = make_webhooks(development=False)
    for url, verdict in (
        ("https://169.254.169.254/token", "link-local, cloud metadata"),
        ("https://metadata.internal/token", "a name for local use"),
        ("http://login.example.com/token", "plain http"),
    ):
        with pytest.raises(BlockedDestination, match=r"^oauth2\.token_url: blocked_") as told:
            webhooks.register("https://hooks.example.com/", ["*"], oauth2=grant(url))
        assert verdict in str(told.value)


async def test_a_token_url_is_guarded_at_every_fetch(make_webhooks, monkeypatch, stack):
    """What its name leads to is judged when the token is fetched."""
    asked = []

    def lookup(host):
        asked.append(host)
        return ["169.254.169.254"] if host == "login.example.com" else ["127.0.0.1"]

    monkeypatch.setattr(guard, "lookup", lookup)
    webhooks = make_webhooks(development=False, retry_schedule=[0])
    webhooks.register(
        "https://hooks.example.com/", ["a.b"], oauth2=grant("https://login.example.com/token")
    )
    [attempt] = await send(webhooks)
    assert attempt.failure == "oauth2"
    verdict = "blocked_address: 169.254.169.254 is in link-local, cloud metadata 169.254.0.0/16"
    assert attempt.detail == f"the token endpoint: Destination blocked ({verdict})"
    assert asked == ["login.example.com"]


# declaring ----------------------------------------------------------------------------------------


def test_one_authorization_only(make_webhooks):
    """A header of the endpoint's own and oauth2 are refused together."""
    webhooks = make_webhooks()
    with pytest.raises(InvalidHeader, match="'Authorization': is set by oauth2"):
        webhooks.register(
            "https://hooks.example.com/",
            ["*"],
            headers={"authorization": "Basic x"},
            oauth2=grant("https://login.example.com/token"),
        )


def test_a_wrong_one(make_webhooks):
    """It is refused when it is registered, from code and from a file."""
    webhooks = make_webhooks()
    with pytest.raises(InvalidInput, match=r"oauth2\.client_id: is missing"):
        webhooks.register(
            "https://hooks.example.com/", ["*"], oauth2={"token_url": "https://l.example.com/"}
        )


async def test_from_a_file(make_webhooks, receiver, tokens, tmp_path):
    """The webhooks file has it as an object."""
    entry = {"url": receiver.url, "events": ["a.b"], "oauth2": grant(tokens)}
    path = tmp_path / "webhooks.json"
    path.write_text(json.dumps({"webhooks": [entry]}))
    webhooks = make_webhooks()
    webhooks.init(path)
    await send(webhooks)
    assert bearers(receiver) == ["Bearer token-1"]
    [stored] = await webhooks.endpoints()
    assert stored.oauth2["client_id"] == "shop"
    assert SECRET not in repr(stored)


async def test_a_handshake_carries_a_token(make_webhooks, receiver, tokens):
    """As a delivery does; so do the test events of a look at the receiver."""
    receiver.answer(lambda got: Answer(200, json.dumps(got.json()["data"]).encode()))
    webhooks = make_webhooks(handshake="challenge")
    webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens))
    await webhooks.start()
    found = await webhooks.verify_endpoint(receiver.url)
    assert found.state == "active"
    checks = await webhooks.check_receiver(receiver.url)
    assert checks[0].verdict == "passed"
    sent = bearers(receiver)
    assert len(sent) == 3  # the challenge, and one event twice
    assert all(each is not None and each.startswith("Bearer ") for each in sent)


async def test_a_handshake_without_a_token(make_webhooks, receiver, tokens):
    """When the token endpoint gives none, the endpoint stays pending, and the reason is told."""
    tokens.answers.extend([answer(503, b"")] * 9)
    webhooks = make_webhooks(handshake="challenge")
    webhooks.register(receiver.url, ["a.b"], oauth2=grant(tokens))
    await webhooks.start()
    found = await webhooks.verify_endpoint(receiver.url)
    assert found.state == "pending"
    assert found.pending_reason == "No access token"
    assert receiver.received == []
