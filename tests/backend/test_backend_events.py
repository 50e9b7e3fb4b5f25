"""Each business operation sends the webhook the guide names, with the guide's payload."""

import re

import pytest
from backend_support import JPEG, Backend, compact

CUSTOMER_DATA = {
    "id": "1",
    "customer_no": "C001",
    "name": "张三",
    "phone": "13800138000",
    "product_id": "1",
    "status": "collecting",
}
DOCUMENT_DATA = {
    "id": "1",
    "customer_id": "1",
    "file_name": "身份证.jpg",
    "file_type": "image/jpeg",
    "status": "pending",
    "review_note": None,
}
PRODUCT_DATA = {"id": "1", "name": "个人住房贷款", "description": "首套住房"}


def create_product(backend: Backend) -> None:
    backend.create_product()


def update_product(backend: Backend) -> None:
    backend.create_product()
    assert backend.http.patch("/api/products/1", json={"description": ""}).status_code == 200


def delete_product(backend: Backend) -> None:
    backend.create_product()
    assert backend.http.delete("/api/products/1").status_code == 204


def create_customer(backend: Backend) -> None:
    backend.create_product()
    backend.create_customer(product_id="1")


def update_customer(backend: Backend) -> None:
    create_customer(backend)
    change = {"name": "李四 😀", "product_id": None}
    assert backend.http.patch("/api/customers/1", json=change).status_code == 200


def delete_customer(backend: Backend) -> None:
    create_customer(backend)
    assert backend.http.delete("/api/customers/1").status_code == 204


def change_status(backend: Backend) -> None:
    create_customer(backend)
    assert backend.move("reviewing").status_code == 200


def upload(backend: Backend) -> None:
    create_customer(backend)
    backend.upload()


def approve(backend: Backend) -> None:
    upload(backend)
    note = {"review_note": "审核通过"}
    assert backend.http.post("/api/documents/1/approve", json=note).status_code == 200


def reject(backend: Backend) -> None:
    upload(backend)
    note = {"review_note": "照片模糊"}
    assert backend.http.post("/api/documents/1/reject", json=note).status_code == 200


def delete_document(backend: Backend) -> None:
    upload(backend)
    assert backend.http.delete("/api/documents/1").status_code == 204


CASES = {
    "customer.created": (create_customer, CUSTOMER_DATA, "create"),
    "customer.updated": (
        update_customer,
        CUSTOMER_DATA | {"name": "李四 😀", "product_id": None},
        "update",
    ),
    "customer.deleted": (delete_customer, CUSTOMER_DATA, "delete"),
    "customer.status_changed": (
        change_status,
        {
            "id": "1",
            "customer_no": "C001",
            "old_status": "collecting",
            "new_status": "reviewing",
        },
        "change_status",
    ),
    "document.uploaded": (upload, DOCUMENT_DATA, "upload"),
    "document.approved": (
        approve,
        DOCUMENT_DATA | {"status": "approved", "review_note": "审核通过"},
        "approve",
    ),
    "document.rejected": (
        reject,
        DOCUMENT_DATA | {"status": "rejected", "review_note": "照片模糊"},
        "reject",
    ),
    "document.deleted": (delete_document, DOCUMENT_DATA, "delete"),
    "product.created": (create_product, PRODUCT_DATA, "create"),
    "product.updated": (update_product, PRODUCT_DATA | {"description": ""}, "update"),
    "product.deleted": (delete_product, PRODUCT_DATA, "delete"),
}


@pytest.mark.parametrize("event", CASES)
def test_operation_sends_its_event_with_the_exact_payload(backend: Backend, event: str) -> None:
    """The body is the guide's, to the byte, signed, and says who did what from where."""
    act, data, action = CASES[event]
    backend.http.headers["X-User-Id"] = "admin"

    act(backend)

    received = backend.webhook(event)
    assert received.verified
    timestamp = received.json()["timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", timestamp)
    metadata = {"user_id": "admin", "ip_address": "127.0.0.1", "action": action}
    assert received.body == compact(
        {"event": event, "data": data, "timestamp": timestamp, "metadata": metadata}
    )


def test_cases_are_all_events(backend: Backend) -> None:
    """No event of the application is forgotten above."""
    events = backend.load("app.core.webhooks").WebhookEvent
    assert set(CASES) == {event.value for event in events}
    assert len(events) == 11


def test_caller_without_a_name_is_anonymous(backend: Backend) -> None:
    """Without the header X-User-Id the metadata say so."""
    backend.create_product()
    assert backend.webhook("product.created").json()["metadata"]["user_id"] == "anonymous"


def test_request_that_changes_nothing_sends_nothing(backend: Backend) -> None:
    """The same values, no values, the same status and the same review are no event."""
    approve(backend)
    note = {"review_note": "审核通过"}
    for answer in (
        backend.http.patch("/api/customers/1", json={"name": "张三", "product_id": 1}),
        backend.http.patch("/api/customers/1", json={}),
        backend.http.patch("/api/products/1", json={"name": " 个人住房贷款 "}),
        backend.move("collecting"),
        backend.http.post("/api/documents/1/approve", json=note),
    ):
        assert answer.status_code == 200

    assert backend.published() == [
        "product.created",
        "customer.created",
        "document.uploaded",
        "document.approved",
    ]


def test_deleting_a_customer_deletes_the_documents_each_with_its_event(backend: Backend) -> None:
    """First every document, then the customer; the files go with them."""
    backend.create_customer()
    backend.upload(name="1.jpg")
    backend.upload(name="2.jpg", content=JPEG + b"!")
    backend.receiver.wait_for(3)

    assert backend.http.delete("/api/customers/1").status_code == 204

    assert backend.published()[3:] == ["document.deleted", "document.deleted", "customer.deleted"]
    assert backend.events(6)[1:4] == ["customer.deleted", "document.deleted", "document.deleted"]
    assert backend.http.get("/api/documents").json()["total"] == 0
    assert backend.stored_files() == []
