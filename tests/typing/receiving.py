"""How users receive webhooks, as a type checker sees it. Checked by mypy, never run."""

from datetime import datetime, timedelta
from http.client import HTTPMessage
from typing import Annotated, Any, assert_type

from fastapi import Depends, FastAPI, Request

from hookline import Webhooks
from hookline.fastapi import lifespan, webhook
from hookline.receiver import Event, Reason, VerificationError, diagnose, verify, verify_signature
from hookline.testing import Answer, FakeClock, Received, Receiver

app = FastAPI(lifespan=lifespan(Webhooks()))


@app.post("/webhook")
async def receive(event: Annotated[Event, Depends(webhook("your-secret-key"))]) -> None:
    """The dependency gives a verified event."""
    assert_type(event.type, str)
    assert_type(event.data, Any)
    assert_type(event.id, str | None)
    assert_type(event.timestamp, datetime | None)
    assert_type(event.attempt, int | None)
    assert_type(event.metadata, dict[str, Any])


async def by_hand(request: Request, message: HTTPMessage, environ: dict[str, Any]) -> Event | None:
    """Every framework's headers are taken."""
    body = await request.body()
    verify(body, message, "your-secret-key")
    verify(body, environ, ["new", "old"], tolerance=timedelta(minutes=5), scheme="standard")
    verify("text", [("webhook-id", "msg_1")], "your-secret-key", tolerance=None, now=1.0)
    verify(body, {"webhook-id": ["a", "b"]}, "your-secret-key", scheme="any")
    verify(body, request.headers, "your-secret-key", scheme="svix")  # type: ignore[arg-type]
    assert_type(verify_signature(body, request.headers.get("X-Webhook-Signature"), "s"), bool)
    try:
        return verify(body, request.headers, "your-secret-key")
    except VerificationError as error:
        assert_type(error.reason, Reason)
        assert_type(diagnose(body, request.headers, "your-secret-key"), str | None)
        return None


async def testing_with_a_receiver() -> None:
    """The receiver of `hookline.testing` needs no framework."""

    def answer(received: Received) -> Answer | int:
        return Answer(503, delay=0.1) if received.attempt == 1 else 200

    with Receiver(secret="your-secret-key") as receiver:
        receiver.answer(503, times=3).answer(answer)
        assert_type(receiver.url, str)
        assert_type(await receiver.arrived(1), list[Received])
        [first] = receiver.wait_for(1, timeout=5)
        assert_type(first.verified, bool | None)
        assert_type(first.headers["webhook-id"], str)
        assert_type(first.json(), Any)
    clock = FakeClock()
    clock.advance(5)
    clock.advance(timedelta(minutes=5))
    assert_type(clock.now(), int)
