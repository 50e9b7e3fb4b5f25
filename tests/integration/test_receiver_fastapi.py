"""`hookline.fastapi`: the receiving dependency and the lifespan, in a real FastAPI application."""

import asyncio
import time
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Request

from hookline._domain.signature import Signer, guide_signature
from hookline.errors import InvalidSecret
from hookline.fastapi import BODY_LIMIT, lifespan, webhook
from hookline.receiver import Event

SECRET = "your-secret-key"
BODY = '{"event":"customer.created","data":{"name":"张三"}}'.encode()

app = FastAPI()


@app.post("/webhook")
async def receive(event: Annotated[Event, Depends(webhook(SECRET))]) -> dict[str, object]:
    return {"type": event.type, "data": event.data, "id": event.id}


@app.post("/strict")
async def receive_strictly(
    event: Annotated[Event, Depends(webhook(["new", SECRET], scheme="standard", limit=60))],
    request: Request,
) -> int:
    return len(event.body) * (request.url.path == "/strict")


def post(path, body, headers, *, chunks=False):
    async def stream():
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    async def go():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path, content=stream() if chunks else body, headers=headers)

    return asyncio.run(go())


def signed(body=BODY, secret=SECRET):
    now = int(time.time())
    signer = Signer([secret])
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": signer.standard("msg_1", now, body),
        "X-Webhook-Signature": signer.guide(body),
    }


def test_a_signed_request_arrives_as_an_event():
    """The endpoint gets the verified event as its argument."""
    answer = post("/webhook", BODY, signed())
    assert answer.status_code == 200
    assert answer.json() == {"type": "customer.created", "data": {"name": "张三"}, "id": "msg_1"}


def test_the_guides_header_alone_arrives_too():
    """A request with X-Webhook-Signature alone is verified by it."""
    headers = {"X-Webhook-Signature": guide_signature(SECRET, BODY)}
    assert post("/webhook", BODY, headers).json()["id"] is None


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "no X-Webhook-Signature"),
        (signed(secret="wrong"), "does not fit"),
        ({"X-Webhook-Signature": "sha256=ab"}, "does not fit"),
        (signed() | {"webhook-timestamp": "x"}, "whole Unix seconds"),
        (signed(b"{}"), "raw bytes"),
    ],
)
def test_refusals_are_401_with_the_reason(headers, words):
    """What cannot be verified is answered with 401 and says why."""
    answer = post("/webhook", BODY, headers)
    assert answer.status_code == 401
    assert words in answer.json()["detail"]
    assert SECRET not in answer.text


def test_scheme_and_rotation_are_those_of_verify():
    """A strict endpoint takes either secret, but not the guide's header alone."""
    assert post("/strict", BODY, signed()).json() == len(BODY)
    assert post("/strict", BODY, signed(secret="new")).json() == len(BODY)
    headers = {"X-Webhook-Signature": guide_signature(SECRET, BODY)}
    assert post("/strict", BODY, headers).status_code == 401


@pytest.mark.parametrize("chunks", [False, True])
def test_large_bodies_are_413(chunks):
    """More than the limit is refused, whether or not its length was announced."""
    body = b" " * BODY_LIMIT + b"{}"
    assert post("/webhook", body, signed(body), chunks=chunks).status_code == 413
    assert post("/strict", b" " * 61, {}, chunks=chunks).status_code == 413
    assert post("/webhook", body[2:], signed(body[2:]), chunks=chunks).status_code == 200


def test_reading_stops_at_the_limit():
    """What comes after the limit is not read."""
    taken = []

    async def receive():
        taken.append(1)
        return {"type": "http.request", "body": b"x" * 50, "more_body": True}

    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/strict",
        "headers": [],
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "server": ("test", 80),
        "client": ("test", 1),
        "root_path": "",
    }
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 413
    assert len(taken) == 2


def test_a_sender_that_goes_away_is_no_server_error():
    """A body that ends early raises nothing in the server."""

    async def receive():
        return {"type": "http.disconnect"}

    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/webhook",
        "headers": [],
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "server": ("test", 80),
        "client": ("test", 1),
        "root_path": "",
    }
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 400


@pytest.mark.parametrize("secret", ["", [], " padded ", "whsec_?", ["fine", ""]])
def test_an_unusable_secret_fails_when_the_application_is_built(secret):
    """A missing or malformed secret stops the start-up, not each request."""
    with pytest.raises(InvalidSecret):
        webhook(secret)


class Recorder:
    """Stands in for `Webhooks`."""

    def __init__(self):
        self.calls = []

    def init(self):
        self.calls.append("init")

    async def stop(self):
        self.calls.append("stop")


def run_lifespan(span, calls, error=None):
    async def go():
        application = FastAPI(lifespan=span)
        async with application.router.lifespan_context(application) as state:
            calls.append(state)
            if error:
                raise error

    asyncio.run(go())


def test_lifespan_starts_and_drains():
    """The lifespan calls init() before the first request and stop() after the last."""
    webhooks = Recorder()
    run_lifespan(lifespan(webhooks), webhooks.calls)
    assert webhooks.calls == ["init", None, "stop"]


def test_lifespan_wraps_the_applications_own():
    """The inner lifespan can use webhooks while it starts and while it ends."""
    webhooks = Recorder()

    @asynccontextmanager
    async def own(_app):
        webhooks.calls.append("own start")
        yield {"key": "state"}
        webhooks.calls.append("own end")

    run_lifespan(lifespan(webhooks, inner=own), webhooks.calls)
    assert webhooks.calls == ["init", "own start", {"key": "state"}, "own end", "stop"]


def test_lifespan_drains_after_an_error():
    """stop() is called also when the application ends with an error."""
    webhooks = Recorder()
    with pytest.raises(RuntimeError, match="crash"):
        run_lifespan(lifespan(webhooks), webhooks.calls, RuntimeError("crash"))
    assert webhooks.calls[-1] == "stop"
