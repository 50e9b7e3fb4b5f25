"""`GET /health`, `GET /ready` and `GET /metrics`, for whatever watches over the process."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6
from typing import Any, ClassVar

from hookline._domain.readiness import FRESH, Readiness

Measure = Callable[[], bytes]
"""Returns the metrics, in Prometheus' text format."""
METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """The HTTP server, on a thread of its own."""

    def __init__(
        self, host: str, port: int, ask: Callable[[], Readiness], measure: Measure | None = None
    ) -> None:
        """Listen; `ask` and `measure` are called on any thread and may take their time.

        Raises OSError.
        """
        self.measure = measure
        self._ask = ask
        self._lock = threading.Lock()
        self._answer: Readiness | None = None
        self._asked_at = 0.0
        self._server = _Server((host, port), self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="hookline-health", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        name = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"http://{name}:{port}"

    def readiness(self) -> Readiness:
        """Return what is ready, at most a second old."""
        with self._lock:
            if self._answer is None or time.monotonic() - self._asked_at > FRESH:
                self._answer = self._ask()
                self._asked_at = time.monotonic()
            return self._answer

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], health: Health) -> None:
        self.health = health
        if ":" in address[0]:
            self.address_family = AF_INET6
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a prober that hangs up early is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout: ClassVar[float] = 5.0

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/health":
            self._answer(204)
        elif path == "/ready":
            found = self.server.health.readiness()
            self._answer(200 if found.ready else 503, found.document)
        elif path == "/metrics" and self.server.health.measure is not None:
            self._write(200, self.server.health.measure(), METRICS)
        else:
            also = "" if self.server.health.measure is None else ", /metrics"
            self._answer(404, {"error": f"there are /health and /ready{also} here"})

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _answer(self, status: int, document: dict[str, Any] | None = None) -> None:
        if document is None:
            self._write(status, b"", None)
        else:
            self._write(status, json.dumps(document).encode() + b"\n", "application/json")

    def _write(self, status: int, body: bytes, kind: str | None) -> None:
        self.send_response_only(status)
        self.send_header("Cache-Control", "no-store")
        if kind is not None:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
