"""Requests as they come over the wire are accepted by the reference packages, unchanged."""

from datetime import timedelta

import pytest
import standardwebhooks
import svix

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PACKAGES = {"standardwebhooks": standardwebhooks.Webhook, "svix": svix.Webhook}


@pytest.fixture(params=PACKAGES.values(), ids=PACKAGES)
def package(request):
    """One of the reference packages' verifiers."""
    return request.param


@pytest.fixture
def receive(make_webhooks, receiver):
    """Return a coroutine that sends data to a real receiver and returns what arrived there."""
    receiver.secret = None
    webhooks = make_webhooks(retry_schedule=(0, 0.01))
    webhooks.register(receiver.url, ["*"], secret=SECRET)

    async def send(data, metadata=None):
        receipt = await webhooks.trigger("customer.created", data, metadata)
        await receipt.delivered()
        return receiver.received[-1]

    send.webhooks = webhooks
    return send


@pytest.mark.parametrize(
    "data",
    [{}, {"name": "张三"}, {"text": "Zoë 漢字 😀"}, {"text": "x" * 102_400}, {"a": [1.0, 1e300]}],
    ids=["empty", "Chinese", "emoji", "100 kB", "numbers"],
)
async def test_a_delivery_verifies(package, receive, data):
    """What a real receiver got verifies, and one byte more or another secret does not."""
    arrived = await receive(data, {"user_id": "u1"})
    headers = dict(arrived.headers)
    package(SECRET).verify(arrived.body, headers)
    with pytest.raises(Exception, match="matching signature"):
        package(SECRET).verify(arrived.body + b" ", headers)
    with pytest.raises(Exception, match="matching signature"):
        package("whsec_" + "b3Ro" * 8).verify(arrived.body, headers)


async def test_a_retry_verifies(package, receive, receiver):
    """The second attempt carries a signature of its own that verifies too."""
    receiver.answer(503, times=1)
    arrived = await receive({"name": "张三"})
    assert arrived.attempt == 2
    package(SECRET).verify(arrived.body, dict(arrived.headers))


async def test_both_secrets_verify_during_an_overlap(package, receive, receiver):
    """While a secret is rotated, a receiver with either one accepts the request."""
    new = await receive.webhooks.rotate_secret(receiver.url, overlap=timedelta(hours=1))
    arrived = await receive({"name": "张三"})
    for secret in (SECRET, new):
        package(secret).verify(arrived.body, dict(arrived.headers))


async def test_a_plain_secret_verifies_as_its_bytes(package, make_webhooks, receiver):
    """A secret that is any text is the key's bytes: packages take them as `whsec_` and base64."""
    receiver.secret = None
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"], secret="your-secret-key-is-long-enough")
    await (await webhooks.trigger("a.b", {})).delivered()
    [arrived] = receiver.received
    package("whsec_eW91ci1zZWNyZXQta2V5LWlzLWxvbmctZW5vdWdo").verify(
        arrived.body, dict(arrived.headers)
    )
