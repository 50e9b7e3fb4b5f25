"""The official client against the operator's resources, over real sockets."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
import uvicorn
from svix.api import (
    EndpointIn,
    MessageIn,
    OperationalWebhookEndpointHeadersIn,
    OperationalWebhookEndpointIn,
    OperationalWebhookEndpointListOptions,
    OperationalWebhookEndpointSecretIn,
    OperationalWebhookEndpointUpsertIn,
    SvixAsync,
    SvixOptions,
)
from svix.exceptions import HttpError
from svix.webhooks import Webhook

from hookline._web.http import Protocol
from hookline.testing import Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@asynccontextmanager
async def official(served):
    """Give the official client of a running application, with an administrator's key."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            served.app, http=Protocol, ws="none", lifespan="off", log_config=None
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        port = listener.getsockname()[1]
        svix = SvixAsync(served.key.token, SvixOptions(server_url=f"http://127.0.0.1:{port}"))
        try:
            yield svix
        finally:
            await svix._httpx_client.aclose()
            server.should_exit = True
            await serving


async def test_operational_endpoints(serve):
    """Every method the client has for them."""
    async with serve() as s, official(s) as svix:
        endpoints = svix.operational_webhook.endpoint
        made = await endpoints.create(
            OperationalWebhookEndpointIn(
                url="https://ops.example/hooks",
                uid="ops",
                event_types=["endpoint.disabled"],
                headers={"X-A": "1"},
                metadata={"team": "x"},
            )
        )
        assert (made.event_types, made.metadata) == (["endpoint.disabled"], {"team": "x"})
        listed = await endpoints.list(OperationalWebhookEndpointListOptions(limit=1))
        assert ([each.id for each in listed.data], listed.done) == ([made.id], True)
        changed = await endpoints.upsert(
            "ops", OperationalWebhookEndpointUpsertIn(url="https://ops.example/new", uid="ops")
        )
        assert (changed.id, changed.url) == (made.id, "https://ops.example/new")
        await endpoints.set_headers(
            "ops", OperationalWebhookEndpointHeadersIn(headers={"X-B": "2"})
        )
        assert (await endpoints.get_headers("ops")).headers == {"X-B": "2"}
        old = (await endpoints.get_secret("ops")).key
        await endpoints.rotate_secret("ops", OperationalWebhookEndpointSecretIn())
        assert (await endpoints.get_secret("ops")).key != old
        await endpoints.delete(made.id)
        with pytest.raises(HttpError) as refused:
            await endpoints.get("ops")
        assert refused.value.status_code == 404


async def test_operational_webhooks(serve, receiver):
    """Asked for by the client's name for it, a message that was given up is told of."""
    async with serve(deliver=True, retry_schedule=[0]) as s, official(s) as svix:
        await svix.operational_webhook.endpoint.create(
            OperationalWebhookEndpointIn(
                url=receiver.url, event_types=["message.attempt.exhausted"], secret=SECRET
            )
        )
        with Receiver() as customer:
            customer.answer(500)
            await svix.endpoint.create("default", EndpointIn(url=customer.url))
            message = await svix.message.create(
                "default", MessageIn(event_type="a.b", payload={}, event_id="one")
            )
            await asyncio.to_thread(receiver.wait_for, 1)
        [request] = receiver.received
        Webhook(SECRET).verify(request.body, request.headers)
        told = request.json()
        assert told["type"] == "message.attempt.exhausted"
        assert (told["data"]["msgId"], told["data"]["msgEventId"]) == (message.id, "one")


async def test_contents_are_expunged(serve):
    """A task the client can follow."""
    async with serve(deliver=True) as s, official(s) as svix:
        await s.webhooks.trigger("a.b", {"card": "s3cr3t"})
        task = await svix.message.expunge_all_contents("default")
        assert str(task.task) == "application.purge_content"
        await (await s.webhooks.job(task.id)).finished(10)
        done = await svix.background_task.get(task.id)
        assert (str(done.status), done.data["messagesPurged"]) == ("finished", 1)
