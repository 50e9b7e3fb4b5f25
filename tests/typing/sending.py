"""How users send webhooks, as a type checker sees it. Checked by mypy, never run."""

import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum, StrEnum
from typing import Any, assert_type

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from hookline import (
    Attempt,
    CheckVerdict,
    DeliveryState,
    DeliveryStatus,
    Endpoint,
    EndpointState,
    Event,
    HooklineError,
    Job,
    JobState,
    OperationalEvent,
    Receipt,
    ReceiverCheck,
    Settings,
    Webhooks,
    generate_secret,
)
from hookline.errors import InvalidPayload
from hookline.events import CatalogueChange, changes, event
from hookline.fastapi import describe
from hookline.testing import FakeClock


class WebhookEvent(StrEnum):
    """The guide's catalogue."""

    CUSTOMER_CREATED = "customer.created"


class Plain(Enum):
    """A catalogue that is no StrEnum."""

    CREATED = "customer.created"


@dataclass
class Customer:
    """Data as a dataclass."""

    name: str


def heard(event: OperationalEvent) -> None:
    """A listener."""
    assert_type(event.type, str)
    assert_type(event.message_id, str | None)


async def heard_later(event: OperationalEvent) -> None:
    """A listener that is a coroutine."""


def making() -> list[Webhooks]:
    """Each way to make one."""
    return [
        Webhooks(),
        Webhooks(events=WebhookEvent, database="sqlite:///app.db"),
        Webhooks(events=Plain, clock=FakeClock(), on_event=heard),
        Webhooks(events=["customer.created", Plain.CREATED], on_event=heard_later),
        Webhooks(settings=Settings.load(timeout=5)),
        Webhooks(deliver=False, max_in_flight=10),
    ]


@event("order.placed", version=2, deprecated=date(2030, 1, 1), successor="order.made")
class Order(BaseModel):
    """Data as a pydantic model."""

    number: str


def declaring_events() -> None:
    """In every way, and what comes of it."""
    own = Webhooks(events=[WebhookEvent, Order, sys, event("a.b", description="Told."), "c.d"])
    Webhooks(events=sys)
    assert_type(own.event("e.f")(Customer), type[Customer])
    assert_type(own.catalogue.openapi(), dict[str, Any])
    assert_type(own.catalogue.markdown("Events"), str)
    old = own.catalogue.json_schemas()
    assert_type(changes(old, old, today=date(2030, 1, 1)), list[CatalogueChange])
    event("a.b", version="2")  # type: ignore[arg-type]
    event("a.b", sunset="soon")  # type: ignore[arg-type]
    describe(FastAPI(), own)


webhooks = Webhooks(events=WebhookEvent)
register_webhook = webhooks.register
trigger_webhook = webhooks.trigger
init_webhooks = webhooks.init


def declaring() -> None:
    """The guide's registering, and every option."""
    endpoint = register_webhook("https://example.com/", ["customer.created"], "your-secret-key")
    assert_type(endpoint, Endpoint)
    assert_type(endpoint.id, str | None)
    assert_type(endpoint.events, tuple[str, ...])
    assert_type(endpoint.wants("customer.created"), bool)
    register_webhook(
        url="https://example.com/",
        events=(WebhookEvent.CUSTOMER_CREATED, "*"),
        secret=None,
        headers={"Authorization": "Bearer token"},
        description="CRM",
        retry_schedule=[0, 5, 60.5],
        timeout=10,
        concurrency=5,
        rate_limit=0.5,
        ca="-----BEGIN CERTIFICATE-----",
        client_certificate="-----BEGIN CERTIFICATE-----",
        client_key="-----BEGIN PRIVATE KEY-----",
        oauth2={"token_url": "https://example.com/", "client_id": "a", "client_secret": "b"},
        http2=True,
        proxy="socks5://proxy:1080",
    )
    register_webhook("https://example.com/", [7])  # type: ignore[list-item]
    register_webhook("https://example.com/", ["*"], b"secret")  # type: ignore[arg-type]
    register_webhook("https://example.com/", ["*"], tiemout=1)  # type: ignore[call-arg]
    init_webhooks()
    init_webhooks("webhooks.json")


async def publishing(session: Session, asynchronous: AsyncSession) -> None:
    """The guide's triggering, and every option."""
    receipt = await trigger_webhook(WebhookEvent.CUSTOMER_CREATED, {"id": "1"}, {"user_id": "u"})
    assert_type(receipt, Receipt)
    assert_type(receipt.message_id, str)
    assert_type(receipt.duplicate, bool)
    assert_type(await receipt.delivered(timeout=5), list[DeliveryStatus])
    await trigger_webhook("customer.created", Customer("张三"), session=session)
    await trigger_webhook(event="customer.created", data={}, session=asynchronous)
    await webhooks.trigger(
        Plain.CREATED,
        {},
        metadata=None,
        idempotency_key="order 1",
        timestamp=datetime.now(UTC),
        deliver_at=datetime.now(UTC) + timedelta(hours=1),
        ordering_key="customer 1",
    )
    await webhooks.trigger(7, {})  # type: ignore[arg-type]
    await webhooks.trigger(Customer("张三"), metadata={"user_id": "u"})
    await trigger_webhook(Order(number="A-1"))
    await webhooks.trigger_many([Order(number="A-1"), Event(Customer("张三"))])
    many = await webhooks.trigger_many(
        [("customer.created", {"id": 1}), Event(WebhookEvent.CUSTOMER_CREATED, {}, None, "key")],
        session=session,
    )
    assert_type(many, list[Receipt])
    assert_type(await webhooks.cancel(receipt.message_id), int)
    try:
        await trigger_webhook("customer.created", {"x": float("nan")})
    except InvalidPayload as error:
        known: list[tuple[HooklineError, ValueError]] = [(error, error)]
        assert_type(known[0][0], HooklineError)


async def looking_after() -> None:
    """Endpoints, the log and replays."""
    assert_type(await webhooks.endpoints(), list[Endpoint])
    endpoint = await webhooks.endpoint("https://example.com/")
    assert_type(endpoint.disabled_at, datetime | None)
    assert_type(await webhooks.rotate_secret(endpoint, overlap=timedelta(hours=1)), str)
    assert_type(await webhooks.rotate_secret(endpoint, kind="ed25519"), str)
    assert_type(generate_secret("ed25519"), str)
    assert_type(endpoint.public_key, str | None)
    assert_type(endpoint.hmac_secret, str | None)
    webhooks.register(endpoint.url, ["*"], generate_secret(), signatures=["github", "stripe"])
    generate_secret("rsa")  # type: ignore[arg-type]
    await webhooks.disable(endpoint.url, "being moved")
    assert_type(await webhooks.enable(endpoint), int)
    attempts = await webhooks.attempts("msg_")
    assert_type(attempts, list[Attempt])
    assert_type(attempts[0].state, DeliveryState)
    assert_type(attempts[0].status, int | None)
    assert_type(attempts[0].response_body, bytes)
    assert_type(await webhooks.resend("msg_", endpoint), bool)
    assert_type(endpoint.state, EndpointState)
    assert_type(await webhooks.verify_endpoint(endpoint, timeout=5), Endpoint)
    assert_type(await webhooks.change_url(endpoint, "https://example.com/new"), Endpoint)
    assert_type(await webhooks.send_test(endpoint, WebhookEvent.CUSTOMER_CREATED, {}), Receipt)
    checks = await webhooks.check_receiver(endpoint.url, secret="whsec_")
    assert_type(checks, list[ReceiverCheck])
    assert_type(checks[0].verdict, CheckVerdict)
    job = await webhooks.replay(
        endpoint,
        since=datetime.now(UTC) - timedelta(days=1),
        states=["exhausted", DeliveryState.HELD],
        event_types=["customer.*", WebhookEvent.CUSTOMER_CREATED],
        missing=True,
        rate=5,
        dry_run=True,
    )
    assert_type(job, Job)
    assert_type(job.state, JobState)
    assert_type(await webhooks.jobs(limit=10), list[Job])
    async for step in webhooks.watch_job("job_"):
        assert_type(step, Job)
    await webhooks.erase("msg_")


async def life() -> None:
    """Starting and stopping."""
    await webhooks.start()
    await webhooks.stop()
    webhooks.close()
    async with Webhooks() as inner:
        assert_type(inner, Webhooks)


def settings_are_frozen() -> None:
    """Nobody changes a setting afterwards."""
    settings = Settings.load({"HOOKLINE_TIMEOUT": "5"}, lease=10)
    assert_type(settings.timeout, float)
    assert_type(settings.retry_schedule, tuple[float, ...])
    settings.timeout = 7  # type: ignore[misc]
