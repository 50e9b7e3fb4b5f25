"""An event shares the fate of the change it tells of."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from backend_support import PRODUCT, Backend


def test_rolled_back_transaction_sends_nothing(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that fails after its trigger leaves neither a row nor a webhook."""
    customers = backend.load("app.api.customers")
    trigger = customers.trigger_webhook

    async def trigger_and_fail(*args: Any, **options: Any) -> None:
        await trigger(*args, **options)
        raise RuntimeError("after the trigger, before the commit")

    with monkeypatch.context() as patch:
        patch.setattr(customers, "trigger_webhook", trigger_and_fail)
        body = {"name": "张三", "phone": "13800138000"}
        assert backend.http.post("/api/customers", json=body).status_code == 500

    assert backend.http.get("/api/customers").json()["total"] == 0
    assert backend.published() == []
    # Whatever there was to send would be sent before this.
    backend.create_product()
    assert backend.events(1) == ["product.created"]


def test_committed_transaction_sends_exactly_its_events(backend: Backend) -> None:
    """Two changes in one transaction are two webhooks, and nothing before the commit."""
    db, models = backend.load("app.db"), backend.load("app.models")
    core = backend.load("app.core.webhooks")

    async def two_products() -> list[str]:
        async with db.transaction() as session:
            for name in ("甲", "乙"):
                session.add(models.Product(name=name))
                await session.flush()
                await core.trigger_webhook("product.created", {"name": name}, session=session)
            before = backend.published()
        await db.engine.dispose()  # its connections belong to this loop
        return before

    assert asyncio.run(two_products()) == []
    assert backend.events(2) == ["product.created"] * 2
    assert {each.json()["data"]["name"] for each in backend.receiver.received} == {"甲", "乙"}
    assert backend.http.get("/api/products").json()["total"] == 2


def test_transaction_that_fails_keeps_nothing_of_its_events(backend: Backend) -> None:
    """An exception out of the block takes the row and the event back."""
    db, models = backend.load("app.db"), backend.load("app.models")
    core = backend.load("app.core.webhooks")

    async def fail() -> None:
        try:
            async with db.transaction() as session:
                session.add(models.Product(**PRODUCT))
                await core.trigger_webhook("product.created", PRODUCT, session=session)
                raise LookupError
        finally:
            await db.engine.dispose()

    with pytest.raises(LookupError):
        asyncio.run(fail())
    assert backend.published() == []
    assert backend.http.get("/api/products").json()["total"] == 0


def test_refused_request_sends_nothing(backend: Backend) -> None:
    """A 404, a 409 and a 422 leave no event behind."""
    backend.create_customer()
    for answer, expected in (
        (backend.http.patch("/api/customers/2", json={"name": "李四"}), 404),
        (backend.http.post("/api/customers", json={"customer_no": "C001", "name": "李四"}), 422),
        (backend.move("completed"), 409),
    ):
        assert answer.status_code == expected
    assert backend.published() == ["customer.created"]


def test_many_requests_at_once_wait_for_their_turn(backend: Backend) -> None:
    """Concurrent writers on SQLite are served one after the other, each with its own number."""
    body = {"name": "张三", "phone": "13800138000"}
    with ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(lambda _: backend.http.post("/api/customers", json=body), range(40))
        )
    assert {answer.status_code for answer in answers} == {201}
    numbers = {answer.json()["customer_no"] for answer in answers}
    assert numbers == {f"C{number:03d}" for number in range(1, 41)}
    assert backend.events(40) == ["customer.created"] * 40
