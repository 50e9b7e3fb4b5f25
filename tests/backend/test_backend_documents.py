"""Documents: uploads friendly and hostile, download, review, and what happens to the files."""

import hashlib
import socket
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from backend_support import JPEG, MAX_UPLOAD, PDF, PNG, WEBP, Backend


@pytest.fixture
def customer(backend: Backend) -> dict[str, Any]:
    return backend.create_customer()


def upload(
    backend: Backend, content: bytes, name: str = "a.jpg", declared: str = "image/jpeg"
) -> httpx.Response:
    files = {"file": (name, content, declared)}
    return backend.http.post("/api/documents", data={"customer_id": "1"}, files=files)


@pytest.mark.usefixtures("customer")
@pytest.mark.parametrize(
    ("content", "file_type"),
    [
        (JPEG, "image/jpeg"),
        (PNG, "image/png"),
        (WEBP, "image/webp"),
        (PDF, "application/pdf"),
        (JPEG + b"x" * (MAX_UPLOAD - len(JPEG)), "image/jpeg"),
    ],
    ids=["jpeg", "png", "webp", "pdf", "as large as allowed"],
)
def test_upload_is_served_back_as_it_was(backend: Backend, content: bytes, file_type: str) -> None:
    """The same bytes, the right type, the Chinese name, and stored under the content's hash."""
    document = backend.upload(content, "身份证 (正面).x", file_type)
    assert document["sha256"] == hashlib.sha256(content).hexdigest()

    answer = backend.http.get("/api/documents/1/file")
    assert answer.content == content
    assert answer.headers["content-type"] == file_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    kind, _, name = answer.headers["content-disposition"].partition("; filename*=utf-8''")
    assert (kind, unquote(name)) == ("attachment", "身份证 (正面).x")
    assert [path.name for path in backend.stored_files()] == [document["sha256"]]


@pytest.mark.usefixtures("customer")
@pytest.mark.parametrize(
    ("content", "declared", "status", "reason"),
    [
        (b"<script>", "image/jpeg", 415, "the content is none of the accepted types"),
        (b"<script>", "text/html", 415, "the content is none of the accepted types"),
        (b"RIFF....WAVE", "image/webp", 415, "the content is none of the accepted types"),
        (PNG, "image/jpeg", 415, "declared as image/jpeg, but the content is image/png"),
        (PDF, "text/html", 415, "declared as text/html, but the content is application/pdf"),
        (b"", "image/jpeg", 422, "the file is empty"),
        (JPEG + b"x" * MAX_UPLOAD, "image/jpeg", 413, f"at most {MAX_UPLOAD} are accepted"),
    ],
    ids=["script", "html", "sound", "png as jpeg", "pdf as html", "empty", "one byte too many"],
)
def test_hostile_upload_is_refused_and_leaves_nothing(
    backend: Backend, content: bytes, declared: str, status: int, reason: str
) -> None:
    """Type and size are checked by what is there, and the answer says what is wrong."""
    answer = upload(backend, content, declared=declared)
    assert answer.status_code == status
    assert reason in answer.json()["detail"]
    assert backend.stored_files() == []
    assert backend.published() == ["customer.created"]


def test_body_far_too_large_is_refused_before_it_is_read(backend: Backend) -> None:
    """A request that announces a gigabyte is refused by what it announces."""
    address = httpx.URL(backend.url)
    head = (
        f"POST /api/documents HTTP/1.1\r\nHost: {address.netloc.decode()}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {2**30}\r\n\r\n"
    )
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.usefixtures("customer")
@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("身份证.jpg", "身份证.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\张三\\证件.jpg", "证件.jpg"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("tab\tbell\x07.jpg", "tabbell.jpg"),
        ("cafe\u0301.jpg", "café.jpg"),
        (" .hidden. ", "hidden"),
        ("长" * 300 + ".jpg", "长" * 196 + ".jpg"),
        ("x" * 300, "x" * 200),
        ("." + "x" * 300, "x" * 200),
    ],
    ids=[
        "chinese",
        "path up",
        "windows path",
        "text direction",
        "control characters",
        "composed",
        "dots",
        "long",
        "long without suffix",
        "long suffix",
    ],
)
def test_file_name_is_made_safe(backend: Backend, name: str, stored: str) -> None:
    """No folders, no control characters, not too long; every script stays."""
    # Written by hand: the client would make names safe that an attacker leaves as they are.
    boundary = "boundary"
    body = (
        (
            f'--{boundary}\r\nContent-Disposition: form-data; name="customer_id"\r\n\r\n1\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        ).encode()
        + JPEG
        + f"\r\n--{boundary}--\r\n".encode()
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = backend.http.post("/api/documents", content=body, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.json()["file_name"] == stored


@pytest.mark.usefixtures("customer")
def test_file_without_a_usable_name_is_refused(backend: Backend) -> None:
    """Dots and blanks are no name."""
    answer = upload(backend, JPEG, name="..")
    assert (answer.status_code, answer.json()["detail"]) == (422, "the file has no usable name")


def test_upload_for_nobody_leaves_no_file(backend: Backend) -> None:
    """An unknown customer is a 404, and what was laid aside is removed."""
    answer = upload(backend, JPEG)
    assert (answer.status_code, answer.json()["detail"]) == (404, "customer 1 does not exist")
    assert backend.stored_files() == []


@pytest.mark.usefixtures("customer")
def test_same_content_is_stored_once_and_removed_with_its_last_document(backend: Backend) -> None:
    """Two documents share the file; it stays while one of them is there."""
    backend.upload(name="1.jpg")
    backend.upload(name="2.jpg")
    assert len(backend.stored_files()) == 1

    assert backend.http.delete("/api/documents/1").status_code == 204
    assert backend.http.get("/api/documents/2/file").content == JPEG
    assert backend.http.delete("/api/documents/2").status_code == 204
    assert backend.stored_files() == []


@pytest.mark.usefixtures("customer")
def test_file_outlives_a_deletion_that_is_rolled_back(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file can't be rolled back, so it is removed after the commit only."""
    backend.upload()

    async def fail(*_args: Any, **_options: Any) -> None:
        raise RuntimeError("before the commit")

    with monkeypatch.context() as patch:
        patch.setattr(backend.load("app.api.documents"), "trigger_webhook", fail)
        assert backend.http.delete("/api/documents/1").status_code == 500

    assert backend.http.get("/api/documents/1/file").content == JPEG


@pytest.mark.usefixtures("customer")
def test_document_whose_file_is_gone_is_a_404_that_says_so(backend: Backend) -> None:
    """Somebody cleaned up by hand: the answer tells the operator what is missing."""
    backend.upload()
    for path in backend.stored_files():
        path.unlink()
    answer = backend.http.get("/api/documents/1/file")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "document 1: its file is missing on this server"


@pytest.mark.usefixtures("customer")
@pytest.mark.parametrize("first", ["approve", "reject"])
@pytest.mark.parametrize("second", ["approve", "reject"])
def test_document_is_decided_once(backend: Backend, first: str, second: str) -> None:
    """A decision is final; deciding again, the same way with another note too, is a 409."""
    backend.upload()
    note = {"review_note": "审核完毕"}
    decided = backend.http.post(f"/api/documents/1/{first}", json=note)
    assert decided.status_code == 200

    answer = backend.http.post(f"/api/documents/1/{second}", json={"review_note": "再审"})

    assert answer.status_code == 409
    status = decided.json()["status"]
    assert answer.json()["detail"].startswith(f"document 1 is {status}: it can't become ")
    assert answer.json()["detail"].endswith(f"{status} is final")
    assert backend.http.get("/api/documents/1").json()["review_note"] == "审核完毕"


@pytest.mark.usefixtures("customer")
@pytest.mark.parametrize("body", [{}, {"review_note": " "}, {"review_note": None}, None], ids=repr)
def test_rejection_needs_a_reason(backend: Backend, body: dict[str, Any] | None) -> None:
    """The customer has to be told what is wrong."""
    backend.upload()
    assert backend.http.post("/api/documents/1/reject", json=body).status_code == 422


@pytest.mark.usefixtures("customer")
def test_documents_are_listed_by_customer_and_status(backend: Backend) -> None:
    """Oldest first."""
    backend.create_customer(customer_no="C002")
    backend.upload(name="1.jpg")
    backend.upload(name="2.jpg")
    backend.http.post("/api/documents/2/approve")

    def listed(query: str) -> list[str]:
        items = backend.http.get(f"/api/documents?{query}").json()["items"]
        return [item["file_name"] for item in items]

    assert listed("customer_id=1") == ["1.jpg", "2.jpg"]
    assert listed("customer_id=2") == []
    assert listed("status=approved") == ["2.jpg"]
