"""How users receive webhooks, as a type checker sees it. Checked by mypy, never run."""

from datetime import datetime, timedelta
from http.client import HTTPMessage
from typing import Annotated, Any, assert_type

from django.http import HttpRequest
from fastapi import Depends, FastAPI, Request
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from hookline import Webhooks, asgi, django, flask, wsgi
from hookline.fastapi import lifespan, webhook
from hookline.once import InMemory, InRedis, InTransaction
from hookline.receiver import Answer as ReceiverAnswer
from hookline.receiver import (
    Cause,
    Event,
    Reason,
    VerificationError,
    diagnose,
    verify,
    verify_signature,
)
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
        found = diagnose(body, request.headers, "your-secret-key", original=b"{}", now=1.0)
        assert_type(found.cause, Cause)
        assert_type((found.sentence, found.remedy), tuple[str, str])
        assert_type(found.secret, int | None)
        return None


@django.receive("your-secret-key", once=InRedis(object()), limit=1000)
async def django_view(request: HttpRequest, event: Event) -> int:
    """A door takes each kind of handler."""
    return 202 if event.type else request.content_params is None


@flask.receive(["new", "old"], scheme="standard", origins=["sender.example"], rate=60)
def flask_view(event: Event, number: int) -> ReceiverAnswer:
    """Values of the route come by name."""
    return ReceiverAnswer(200 + number, b"", {"webhook-delivery": "disable"})


@asgi.receive("your-secret-key", once=InMemory(ttl=60))
async def asgi_application(event: Event) -> None:
    """An ASGI application is made."""


@wsgi.receive("your-secret-key", tolerance=timedelta(minutes=1))
def wsgi_application(event: Event) -> int | None:
    """A WSGI application is made."""
    return None


assert_type(asgi_application, asgi.Application)
assert_type(wsgi_application, wsgi.Application)
wsgi.receive("your-secret-key", limits=1)  # type: ignore[call-arg]
wsgi.receive("your-secret-key")(lambda event: "text")  # type: ignore[arg-type, return-value]


async def in_a_transaction(session: Session, later: AsyncSession, event: Event) -> None:
    """One method serves both kinds of sessions."""
    once = InTransaction()
    assert_type(once.first(session, event), bool)
    assert_type(await once.first(later, "msg_1"), bool)


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
