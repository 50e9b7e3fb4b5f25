"""The synchronous face and the frameworks, as a type checker sees them. Never run."""

from collections.abc import Iterator
from typing import Annotated, assert_type

from fastapi import Depends, FastAPI
from flask import Flask
from litestar import Litestar
from sqlalchemy.orm import Session

import hookline.django
from hookline import (
    DeliveryStatus,
    Endpoint,
    Job,
    Publisher,
    Receipt,
    SyncApplication,
    SyncPublisher,
    SyncReceipt,
    SyncWebhooks,
    Webhooks,
)
from hookline.fastapi import publisher
from hookline.flask import Hookline
from hookline.litestar import HooklinePlugin

webhooks = Webhooks()


def synchronous(session: Session) -> None:
    """Types go through, and mistakes are found."""
    face = webhooks.sync
    assert_type(face, SyncWebhooks)
    receipt = face.trigger("a.b", {"n": 1}, session=session, idempotency_key="k")
    assert_type(receipt, SyncReceipt)
    assert_type(receipt.delivered(timeout=1), list[DeliveryStatus])
    assert_type(face.trigger_many([("a.b", {})]), list[SyncReceipt])
    assert_type(face.endpoints(), list[Endpoint])
    assert_type(face.create_endpoint("https://example.com", ["*"]), Endpoint)
    assert_type(face.for_application("acme"), SyncApplication)
    assert_type(face.replay("ep_1"), Job)
    assert_type(face.within(session), SyncPublisher)
    face.trigger("a.b", {}, sesion=session)  # type: ignore[call-arg]
    face.endpoint(1)  # type: ignore[arg-type]
    face.within(session).trigger("a.b", {}, session=session)  # type: ignore[call-arg]


async def within(session: Session) -> None:
    """A publisher is awaited."""
    assert_type(webhooks.within(session), Publisher)
    assert_type(await webhooks.within(session).trigger("a.b", {}, tags=["t"]), Receipt)


def get_session() -> Iterator[Session]:
    """As an application has it."""
    raise NotImplementedError


app = FastAPI(lifespan=webhooks.lifespan)
Publish = Annotated[SyncPublisher, Depends(publisher(webhooks.sync, get_session))]


@app.post("/orders")
def place(publish: Publish) -> None:
    """An endpoint of FastAPI."""
    publish.trigger("order.placed", {})


extension = Hookline(Flask(__name__), events=["order.placed"])
assert_type(extension.trigger("order.placed", {}), SyncReceipt)
Litestar([], lifespan=[webhooks.lifespan], plugins=[HooklinePlugin(webhooks, session="db")])
assert_type(hookline.django.trigger("order.placed", {}, application="acme"), SyncReceipt)
assert_type(hookline.django.webhooks, Webhooks)
