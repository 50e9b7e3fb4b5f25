"""How users test what sends webhooks, as a type checker sees it. Checked by mypy, never run."""

from datetime import timedelta
from enum import StrEnum
from typing import Any, assert_type

from hookline import Webhooks
from hookline.testing import (
    Answer,
    FakeClock,
    LocalReceiver,
    Received,
    Receiver,
    SentMessage,
    WebhookOutbox,
)


class WebhookEvent(StrEnum):
    """A catalogue."""

    CUSTOMER_CREATED = "customer.created"


def test_plain(webhook_outbox: WebhookOutbox, hookline_clock: FakeClock) -> None:
    """Fixtures in a plain test."""
    sent = webhook_outbox.assert_sent(WebhookEvent.CUSTOMER_CREATED, data__name="张三", times=1)
    assert_type(sent, SentMessage)
    assert_type(sent.data, Any)
    assert_type(webhook_outbox.messages, list[SentMessage])
    webhook_outbox.assert_not_sent("customer.deleted", data__id__in=[1, 2])
    webhook_outbox.assert_nothing_sent()
    webhook_outbox.clear()
    shop = webhook_outbox.inline().receive("https://shop.example/", 503, secret=["new", "old"])
    assert_type(shop, LocalReceiver)
    webhook_outbox.receive(shop.url, lambda received: 200 if received.verified else 401)
    webhook_outbox.drain()
    webhook_outbox.advance(timedelta(hours=1))
    webhook_outbox.assert_sent("customer.created", times="1")  # type: ignore[arg-type]
    hookline_clock.advance(5)


async def test_coroutine(webhooks: Webhooks) -> None:
    """The context manager, in a coroutine."""

    async def answer(received: Received) -> Answer:
        return Answer(200, received.body)

    clock = FakeClock.at_present()
    with WebhookOutbox(webhooks, clock=clock) as outbox, Receiver("secret", clock=clock):
        outbox.receive("https://shop.example/", answer)
        await outbox.drained()
        await outbox.advanced(60)
