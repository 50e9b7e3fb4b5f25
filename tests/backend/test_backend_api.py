"""Customers and products over the API: what is accepted, what is refused, and how clearly."""

from typing import Any

import pytest
from backend_support import CUSTOMER, Backend

PATHS = {
    "collecting": [],
    "reviewing": ["reviewing"],
    "completed": ["reviewing", "completed"],
    "rejected": ["reviewing", "rejected"],
}
ALLOWED = {
    ("collecting", "reviewing"),
    ("reviewing", "completed"),
    ("reviewing", "rejected"),
}


@pytest.mark.parametrize("new", PATHS)
@pytest.mark.parametrize("old", PATHS)
def test_status_moves_only_as_the_table_says(backend: Backend, old: str, new: str) -> None:
    """The rest is a 409 that says what is allowed."""
    backend.create_customer()
    for status in PATHS[old]:
        assert backend.move(status).status_code == 200

    answer = backend.move(new)

    if old == new or (old, new) in ALLOWED:
        assert (answer.status_code, answer.json()["status"]) == (200, new)
    else:
        assert answer.status_code == 409
        assert answer.json()["detail"].startswith(f"customer 1 is {old}: it can't become {new}, ")
        assert backend.http.get("/api/customers/1").json()["status"] == old


def test_customer_without_a_number_gets_the_next_free_one(backend: Backend) -> None:
    """C001 and on, past those given by hand."""
    given = {**CUSTOMER, "customer_no": None}
    numbers = [
        backend.create_customer(**changes)["customer_no"]
        for changes in (given, {"customer_no": "C002"}, given, {"customer_no": "VIP-7"}, given)
    ]
    assert numbers == ["C001", "C002", "C003", "VIP-7", "C005"]


def test_number_of_a_customer_is_given_once(backend: Backend) -> None:
    """A second customer with the same number is a 409, when created and when changed."""
    backend.create_customer()
    backend.create_customer(customer_no="C002")
    for answer in (
        backend.http.post("/api/customers", json=CUSTOMER),
        backend.http.patch("/api/customers/2", json={"customer_no": "C001"}),
    ):
        assert (answer.status_code, answer.json()["detail"]) == (409, "customer_no C001 is taken")


def test_product_of_a_customer_must_exist_and_then_stays(backend: Backend) -> None:
    """An unknown product is a 422; a product that a customer has can't be deleted."""
    answer = backend.http.post("/api/customers", json={**CUSTOMER, "product_id": 1})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "product_id: product 1 does not exist"

    backend.create_product()
    backend.create_customer(product_id=1)
    answer = backend.http.delete("/api/products/1")
    assert answer.status_code == 409
    assert answer.json()["detail"] == "product 1 can't be deleted: 1 customer has it"


def test_id_is_never_used_again(backend: Backend) -> None:
    """A receiver that remembers a deleted customer must not meet another under its id."""
    backend.create_customer()
    assert backend.http.delete("/api/customers/1").status_code == 204
    assert backend.create_customer()["id"] == "2"


def test_lists_come_in_pages(backend: Backend) -> None:
    """Oldest first, with the whole number; filters by status and product."""
    backend.create_product()
    for number in range(5):
        backend.create_customer(customer_no=f"N{number}", product_id=1 if number else None)
    backend.move("reviewing", "3")

    def listed(query: str) -> tuple[list[str], int]:
        answer = backend.http.get(f"/api/customers?{query}").json()
        return [item["customer_no"] for item in answer["items"]], answer["total"]

    assert listed("limit=2&offset=1") == (["N1", "N2"], 5)
    assert listed("offset=9") == ([], 5)
    assert listed("status=reviewing") == (["N2"], 1)
    assert listed("product_id=1&limit=1") == (["N1"], 4)
    assert backend.http.get("/api/products").json()["items"][0]["name"] == "个人住房贷款"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/customers/1"),
        ("PATCH", "/api/customers/1"),
        ("DELETE", "/api/customers/1"),
        ("GET", "/api/products/1"),
        ("PATCH", "/api/products/1"),
        ("DELETE", "/api/products/1"),
        ("GET", "/api/documents/1"),
        ("GET", "/api/documents/1/file"),
        ("POST", "/api/documents/1/approve"),
        ("DELETE", "/api/documents/1"),
    ],
)
def test_what_is_not_there_is_a_404_that_names_it(backend: Backend, method: str, path: str) -> None:
    """The answer says what was looked for."""
    answer = backend.http.request(method, path, json={} if method == "PATCH" else None)
    kind = path.split("/")[2].removesuffix("s")
    assert (answer.status_code, answer.json()["detail"]) == (404, f"{kind} 1 does not exist")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"name": None}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "张\n三"}, "name"),
        ({"name": "长" * 101}, "name"),
        ({"name": "\x00"}, "name"),
        ({"phone": "call me"}, "phone"),
        ({"phone": "1380013800０"}, "phone"),
        ({"customer_no": "../1"}, "customer_no"),
        ({"customer_no": ""}, "customer_no"),
        ({"product_id": 0}, "product_id"),
        ({"product_id": 2**63}, "product_id"),
        ({"status": "completed"}, "status"),
        ({"surname": "张"}, "surname"),
    ],
    ids=repr,
)
def test_bad_input_is_a_422_that_names_the_field(
    backend: Backend, change: dict[str, Any], where: str
) -> None:
    """When creating and when changing, and nothing is stored."""
    backend.create_customer()
    created = backend.http.post("/api/customers", json={**CUSTOMER, **change})
    changed = backend.http.patch("/api/customers/1", json=change)
    for answer in (created, changed):
        assert answer.status_code == 422, answer.text
        assert answer.json()["detail"][0]["loc"] == ["body", where]
    assert backend.http.get("/api/customers").json()["total"] == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(rb'{"name": "\ud800", "phone": "13800138000"}', 422, id="half a character"),
        pytest.param(rb'{"\ud800": 1}', 422, id="half a character as a key"),
        pytest.param(b"{", 422, id="no JSON"),
        pytest.param(b"\xff", 400, id="no text"),
        pytest.param(b'{"name": "' + b"x" * 70_000 + b'"}', 413, id="too long"),
    ],
)
def test_hostile_body_is_refused(backend: Backend, content: bytes, expected: int) -> None:
    """It is the caller's error, never a 500."""
    headers = {"Content-Type": "application/json"}
    answer = backend.http.post("/api/customers", content=content, headers=headers)
    assert answer.status_code == expected, answer.text


def test_id_out_of_range_is_a_422(backend: Backend) -> None:
    """A number no database could hold never gets that far."""
    for value in ("0", "-1", str(2**63), "x"):
        assert backend.http.get(f"/api/customers/{value}").status_code == 422
