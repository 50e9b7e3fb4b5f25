"""Private receivers from the door to the log: stored, sent, changed, and looked after."""

import json
from contextlib import ExitStack
from datetime import timedelta

import pycurl
import pytest
from tests.integration.private_support import (
    NAME,
    Http2Receiver,
    Proxy,
    Receiver,
    authority,
    server_context,
)
from typer.testing import CliRunner

from hookline import DeliveryState
from hookline._sending import guard
from hookline.cli import app
from hookline.errors import InvalidInput, InvalidWebhooksFile


@pytest.fixture
def start():
    """Start a server of any kind."""
    with ExitStack() as stack:

        def start(kind, **options):
            made = kind(**options)
            stack.callback(made.close)
            return made

        yield start


@pytest.fixture(autouse=True)
def names(monkeypatch):
    """Every name leads here."""
    monkeypatch.setattr(guard, "lookup", lambda _: ["127.0.0.1"])


@pytest.fixture
def guarded(tmp_path):
    """TLS of a receiver that wants to know who is calling."""
    return server_context(tmp_path, *authority().issue("server", NAME), authority().certificate)


def shop(name="shop", **more):
    certificate, key = authority().issue(name, **more)
    ca = authority().certificate
    return {"ca": ca, "client_certificate": certificate, "client_key": key}


async def send(webhooks):
    receipt = await webhooks.trigger("a.b", {})
    await receipt.delivered(timeout=10)
    return await webhooks.attempts(receipt.message_id)


async def test_a_client_certificate(on_each_database, start, guarded):
    """Declared, stored, shown to the receiver; rotated, the new one is."""
    receiver = start(Receiver, tls=guarded)
    webhooks = on_each_database()
    for name in ("old", "new"):
        webhooks.register(receiver.url(), ["a.b"], **shop(name))
        [attempt] = await send(webhooks)
        assert attempt.state is DeliveryState.SUCCEEDED
    assert receiver.clients == ["old", "new"]
    [stored] = await webhooks.endpoints()
    assert stored.client_key.startswith("-----BEGIN PRIVATE KEY-----")
    assert stored.ca == authority().certificate
    assert "PRIVATE KEY" not in repr(stored)


async def test_two_processes_of_one_database(make_webhooks, start, guarded):
    """What one declared the other sends with: it comes from the database."""
    receiver = start(Receiver, tls=guarded)
    first = make_webhooks(deliver=False)
    first.register(receiver.url(), ["a.b"], **shop())
    await first.start()
    await first.stop()
    [attempt] = await send(make_webhooks())
    assert attempt.state is DeliveryState.SUCCEEDED
    assert receiver.clients == ["shop"]


async def test_http2(make_webhooks, start, tmp_path):
    """An option like any other; the signed body arrives whole."""
    tls = server_context(tmp_path, *authority().issue("server", NAME), protocols=("h2",))
    receiver = start(Http2Receiver, tls=tls)
    webhooks = make_webhooks()
    ca = authority().certificate
    webhooks.register(receiver.url(), ["a.b"], secret="your-secret-key", http2=True, ca=ca)
    [attempt] = await send(webhooks)
    assert attempt.status == 200
    [(_, _, headers, body)] = receiver.streams
    assert headers["x-webhook-signature"].startswith("sha256=")
    assert json.loads(body)["event"] == "a.b"


def test_a_libcurl_without_http2(make_webhooks, monkeypatch):
    """It is said when the endpoint is registered."""
    lacking = list(pycurl.version_info())
    lacking[4] &= ~pycurl.VERSION_HTTP2
    monkeypatch.setattr(pycurl, "version_info", lambda: tuple(lacking))
    webhooks = make_webhooks()
    with pytest.raises(InvalidInput, match="http2: the installed libcurl has no HTTP/2: PycURL"):
        webhooks.register("https://hooks.example.com/", ["*"], http2=True)


async def test_the_deployments_proxy(make_webhooks, start):
    """It is everybody's, but for an endpoint that has its own or says `direct`."""
    default, own, receiver = start(Proxy, user="me:geheim"), start(Proxy), start(Receiver)
    webhooks = make_webhooks(proxy=default.url)
    webhooks.register(receiver.url(), ["a.b"])
    await send(webhooks)
    assert (len(default.asked), len(own.asked)) == (1, 0)
    webhooks.register(receiver.url(), ["a.b"], proxy=own.url)
    await send(webhooks)
    assert (len(default.asked), len(own.asked)) == (1, 1)
    webhooks.register(receiver.url(), ["a.b"], proxy="direct")
    await send(webhooks)
    assert (len(default.asked), len(own.asked), len(receiver.seen)) == (1, 1, 3)


async def test_a_proxys_failure_in_the_log(make_webhooks, start, told):
    """It has its own class and says why, without user and password; it disables nobody."""
    proxy, receiver = start(Proxy, user="me:right"), start(Receiver)
    webhooks = make_webhooks(retry_schedule=[0])
    wrong = proxy.url.replace("right", "geheim")
    webhooks.register(receiver.url(), ["a.b"], proxy=wrong)
    [attempt] = await send(webhooks)
    assert (attempt.failure, attempt.status, attempt.state) == ("proxy", None, "exhausted")
    assert attempt.detail == "CONNECT tunnel failed, response 407"
    [endpoint] = await webhooks.endpoints()
    assert not endpoint.disabled
    assert told.containing("Not let through by the proxy (CONNECT tunnel failed, response 407)")
    assert "geheim" not in "\n".join(told.lines) + repr(attempt) + repr(endpoint)


async def test_an_expired_certificate_is_said_and_accepted(make_webhooks, start, guarded, told):
    """An application must not fail to start on the day a certificate ends."""
    receiver = start(Receiver, tls=guarded)
    webhooks = make_webhooks(retry_schedule=[0])
    webhooks.register(receiver.url(), ["a.b"], **shop(ends=timedelta(days=-3)))
    [line] = told.containing("client_certificate: the certificate of CN=shop expired on 20")
    assert line.startswith(f"WARNING: Endpoint {receiver.url()}: ")
    [attempt] = await send(webhooks)
    assert attempt.failure == "tls"
    assert "expired" in attempt.detail


def test_what_does_not_fit_is_refused(make_webhooks, tmp_path):
    """In code, and in the file with its position; nothing of a key is said."""
    webhooks = make_webhooks()
    wrong = {**shop(), "client_key": authority().issue("other")[1]}
    with pytest.raises(InvalidInput, match="client_key: is not the key of client_certificate"):
        webhooks.register("https://hooks.example.com/", ["*"], **wrong)
    path = tmp_path / "webhooks.json"
    entry = {"url": "https://hooks.example.com/", "events": ["*"], **wrong}
    path.write_text(json.dumps({"webhooks": [entry]}))
    with pytest.raises(InvalidWebhooksFile, match=r"webhooks\[0\]\.client_key: is not") as told:
        webhooks.init(path)
    assert "PRIVATE KEY" not in str(told.value)
    for name, value, expected in (
        ("ca", 5, "text"),
        ("client_key", ["x"], "text"),
        ("oauth2", "x", "an object"),
        ("http2", "yes", "true or false"),
        ("proxy", {}, "text"),
    ):
        entry = {"url": "https://hooks.example.com/", "events": ["*"], name: value}
        path.write_text(json.dumps({"webhooks": [entry]}))
        with pytest.raises(InvalidWebhooksFile, match=rf"\.{name}: expected {expected}, got "):
            webhooks.init(path)


# looking after them -------------------------------------------------------------------------------


async def test_the_doctor_warns_of_what_ends(on_each_database, told):
    """30 days before, and as a problem afterwards; disabled endpoints are nobody's worry."""
    webhooks = on_each_database()

    async def finding():
        await webhooks.start()
        return next(f for f in await webhooks.diagnose() if f.check == "certificates")

    assert (await finding()).summary == "no endpoint has its own"
    webhooks.register("https://a.example.com/", ["*"], **shop())
    found = await finding()
    assert (found.level, found.summary) == ("ok", "2 certificates, none ends within 30 days")
    webhooks.register("https://b.example.com/", ["*"], **shop("soon", ends=timedelta(days=20)))
    found = await finding()
    assert found.level == "warning"
    [item] = found.items
    assert item.startswith("https://b.example.com/: client_certificate, CN=soon: ends in ")
    webhooks.register("https://c.example.com/", ["*"], **shop("over", ends=timedelta(days=-2)))
    found = await finding()
    assert (found.level, len(found.items)) == ("problem", 2)
    assert found.items[0].startswith("https://c.example.com/: client_certificate, CN=over: ended ")
    await webhooks.disable("https://c.example.com/", "over")
    assert (await finding()).level == "warning"


async def test_probing_private_receivers(make_webhooks, start, tmp_path):
    """The endpoint's own authority is believed; what a probe cannot reach alone is left out."""
    tls = server_context(tmp_path, *authority().issue("server", NAME))
    receiver, proxy = start(Receiver, tls=tls), start(Proxy)

    async def probed():
        await webhooks.start()
        found = await webhooks.diagnose(probe=True)
        return next(f for f in found if f.check == "reachable")

    webhooks = make_webhooks()
    webhooks.register(receiver.url(), ["*"], ca=authority().certificate)
    webhooks.register("https://a.example.com/", ["*"], proxy=proxy.url)
    webhooks.register("https://b.example.com/", ["*"], **shop())
    found = await probed()
    assert (found.level, found.summary) == (
        "ok",
        "1 endpoint can be connected to; 2 behind a proxy or with a client certificate not tried",
    )
    webhooks.register(receiver.url(), ["*"])
    found = await probed()
    assert "certificate is refused" in found.items[0]
    assert proxy.connections == 0


@pytest.mark.parametrize(
    ("resolves", "url", "code", "words"),
    [
        ("0", "https://hooks.example.com/", 1, "through the proxy http://proxy:3128\n"),
        ("1", "https://hooks.example.com/", 0, "proxy:3128, which resolves it\n"),
        ("1", "https://hooks.example.com/", 0, "✓ allowed: hooks.example.com, port 443"),
        ("1", "https://10.0.0.1/", 1, "✗ blocked_address: private network 10.0.0.0/8"),
    ],
)
def test_check_url_knows_of_the_proxy(monkeypatch, tmp_path, resolves, url, code, words):
    """Who resolves the name is said, and nothing is looked up that is not looked up for sending."""
    monkeypatch.delenv("HOOKLINE_DEVELOPMENT")
    monkeypatch.setenv("HOOKLINE_PROXY", "http://me:geheim@proxy:3128")
    monkeypatch.setenv("HOOKLINE_PROXY_RESOLVES", resolves)
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(app, ["check-url", url])
    assert (ended.exit_code, words in ended.stdout) == (code, True), ended.stdout
    assert "geheim" not in ended.stdout
