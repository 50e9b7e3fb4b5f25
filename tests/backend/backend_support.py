"""The guide's backend, started for each test on a database of its own, and a receiver beside it."""

import importlib
import json
import logging
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import uvicorn

from hookline.testing import Received, Receiver

REPOSITORY = Path(__file__).resolve().parents[2]
BACKEND = REPOSITORY / "backend"
SECRET = "your-secret-key"
MAX_UPLOAD = 100_000

JPEG = b"\xff\xd8\xff\xe0 a picture"
PNG = b"\x89PNG\r\n\x1a\n a picture"
WEBP = b"RIFF\x10\x00\x00\x00WEBPVP8 a picture"
PDF = b"%PDF-1.7 a document"

PRODUCT = {"name": "个人住房贷款", "description": "首套住房"}
CUSTOMER = {"customer_no": "C001", "name": "张三", "phone": "13800138000"}


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, app: Any) -> None:
        super().__init__(uvicorn.Config(app, log_config=None, lifespan="on", ws="none"))
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()


@contextmanager
def serve(app: Any) -> Iterator[str]:
    """Serve an application over real HTTP in a thread, startup and shutdown included."""
    server = _Server(app)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            assert server.ready.wait(30), "the application did not start in 30 s"
            assert server.started, "the application's startup failed: see its log"
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive(), "the application did not stop in 30 s"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def load(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], ModuleType]]:
    """Import modules of the backend anew, on a database of their own."""
    monkeypatch.chdir(tmp_path)  # no webhooks.json of the developer's
    monkeypatch.setenv("BACKEND_DATA_DIR", str(data_dir))
    monkeypatch.setenv("BACKEND_MAX_UPLOAD_BYTES", str(MAX_UPLOAD))
    for name in ("BACKEND_DATABASE_URL", "HOOKLINE_WEBHOOKS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.syspath_prepend(BACKEND)
    yield importlib.import_module
    for name in [name for name in sys.modules if name == "app" or name.startswith("app.")]:
        del sys.modules[name]


@dataclass(frozen=True, slots=True)
class Backend:
    """The running backend and what its webhooks reach."""

    url: str
    http: httpx.Client
    receiver: Receiver
    load: Callable[[str], ModuleType]
    data_dir: Path

    def create_product(self, **changes: Any) -> dict[str, Any]:
        return self._created("/api/products", json={**PRODUCT, **changes})

    def create_customer(self, **changes: Any) -> dict[str, Any]:
        return self._created("/api/customers", json={**CUSTOMER, **changes})

    def upload(
        self, content: bytes = JPEG, name: str = "身份证.jpg", declared: str = "image/jpeg"
    ) -> dict[str, Any]:
        return self._created(
            "/api/documents", data={"customer_id": "1"}, files={"file": (name, content, declared)}
        )

    def move(self, status: str, customer_id: str = "1") -> httpx.Response:
        return self.http.put(f"/api/customers/{customer_id}/status", json={"status": status})

    def webhook(self, event: str) -> Received:
        """Wait for the one webhook of this event."""

        def found() -> list[Received]:
            return [each for each in self.receiver.received if each.event == event]

        self.receiver.wait_until(lambda: bool(found()), what=event)
        (only,) = found()
        return only

    def events(self, n: int) -> list[str]:
        """Wait for `n` webhooks; return the events of all that arrived, in alphabetical order."""
        return sorted(each.event for each in self.receiver.wait_for(n))

    def published(self) -> list[str]:
        """Return every event in the database, in the order they were published."""
        with closing(sqlite3.connect(self.data_dir / "backend.db")) as connection:
            rows = connection.execute("SELECT event_type FROM hookline_message ORDER BY id")
            return [row[0] for row in rows]

    def stored_files(self) -> list[Path]:
        return [path for path in (self.data_dir / "files").rglob("*") if path.is_file()]

    def _created(self, path: str, **request: Any) -> dict[str, Any]:
        answer = self.http.post(path, **request)
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture
def backend(load: Callable[[str], ModuleType], data_dir: Path) -> Iterator[Backend]:
    with Receiver(secret=SECRET) as receiver:
        app = load("app.main").app
        load("app.core.webhooks").register_webhook(receiver.url, ["*"], secret=SECRET)
        # A connection for each request: after a 500 the server closes it, soon and unannounced.
        limits = httpx.Limits(max_keepalive_connections=0)
        with (
            serve(app) as url,
            httpx.Client(base_url=url, limits=limits, timeout=30, trust_env=False) as http,
        ):
            yield Backend(url, http, receiver, load, data_dir)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Keep the guide's log lines, leave out one line for each request the tests make."""
    caplog.set_level(logging.INFO, logger="hookline")
    logging.getLogger("httpx").setLevel(logging.WARNING)


def compact(payload: Any) -> bytes:
    """Return the payload as it must stand on the wire."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
