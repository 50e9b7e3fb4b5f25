"""A running application under `WebhookOutbox`: what its requests publish, and nothing delivered."""

from typing import Any

import pytest
from backend_support import CUSTOMER, Backend

from hookline.testing import WebhookOutbox


def test_a_request_is_asserted_on(backend: Backend, webhook_outbox: WebhookOutbox) -> None:
    """Its event is there with data and metadata; the receiver got nothing, the table its row."""
    made = backend.http.post("/api/customers", json=CUSTOMER, headers={"X-User-Id": "u-1"})
    assert made.is_success
    webhook_outbox.assert_sent("customer.created", data__name="张三", times=1)
    webhook_outbox.assert_not_sent("customer.created", data__name="李四")
    assert backend.http.get("/api/customers").json()["total"] == 1
    assert backend.receiver.count == 0
    assert backend.published() == []


def test_a_request_that_fails_has_sent_nothing(
    backend: Backend, webhook_outbox: WebhookOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the request rolled back is not there, and a failing assertion says that it was."""
    customers = backend.load("app.api.customers")
    trigger = customers.trigger_webhook

    async def trigger_and_fail(*args: Any, **options: Any) -> None:
        await trigger(*args, **options)
        raise RuntimeError("after the trigger, before the commit")

    monkeypatch.setattr(customers, "trigger_webhook", trigger_and_fail)
    assert backend.http.post("/api/customers", json=CUSTOMER).status_code == 500
    webhook_outbox.assert_nothing_sent()
    with pytest.raises(AssertionError, match=r"1 rolled back \(customer\.created\)"):
        webhook_outbox.assert_sent("customer.created")


def test_its_receiver_can_be_reached_again(backend: Backend, webhook_outbox: WebhookOutbox) -> None:
    """What the application declared is declared in the outbox: `drain` delivers, verified."""
    backend.http.post("/api/customers", json=CUSTOMER)
    webhook_outbox.drain()
    [received] = backend.receiver.received
    assert (received.event, received.verified) == ("customer.created", True)
