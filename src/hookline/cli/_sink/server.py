"""The sink's server: a receiver that also shows what it received.

`GET /` is the page, `GET /events` what feeds it (server-sent events), `GET /received` the same as
a list, `DELETE /received` empties it. Everything posted, to whatever path, is a webhook.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from hookline.cli._sink import text
from hookline.cli._values import is_address, is_loopback
from hookline.testing import Handler, Received, Receiver

KEEP = 1000
KEEP_BYTES = 64 * 1024 * 1024
"""How many webhooks, and how many bytes of bodies, the sink remembers."""

SHOWN_BODY = 64 * 1024
"""Bytes of a body that go to the page and into `/received`."""

KEEP_ALIVE = 15.0
"""Seconds of silence after which the event stream says that it still lives."""

_PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/sink.css": ("sink.css", "text/css; charset=utf-8"),
    "/sink.js": ("sink.js", "text/javascript; charset=utf-8"),
    "/sink.svg": ("sink.svg", "image/svg+xml"),
}
_NUMBER = re.compile(r"[0-9]{1,15}")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class News(NamedTuple):
    """What a reader of the event stream does not have yet."""

    mark: str
    """Where the reader stands after it."""
    anew: bool
    """Whether what the reader has is of another run, or was cleared."""
    received: list[Received]


class Sink(Receiver):
    """A receiver with a page, bounded memory, and a count of everything it ever took."""

    def __init__(
        self,
        secret: Sequence[str] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        show: Callable[[Received], None] | None = None,
        summary: str = "",
    ) -> None:
        super().__init__(secret or None, host=host, port=port, keep=KEEP, on_received=self._arrived)
        self.summary = summary
        self.total = self.verified = self.refused = 0
        # Bound to loopback, the page is for this machine's people only: see SinkHandler._ours.
        self.guarded = is_loopback(host)
        self._show = show
        self._bytes = 0
        self._run = secrets.token_hex(4)
        self._clearings = 0
        self._closing = False

    def close(self) -> None:
        """Stop, and let the readers of the event stream go first."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        super().close()

    def clear(self) -> None:
        """Forget what arrived, here and on every open page."""
        with self._changed:
            super().clear()
            self._bytes = 0
            self._clearings += 1
            self._changed.notify_all()

    def news(self, mark: str, timeout: float = KEEP_ALIVE) -> News | None:
        """Return what came after `mark`, once there is something; None when closing.

        After `timeout` seconds of silence the answer is empty.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._mark() != mark, timeout)
            if self._closing:
                return None
            series, _, number = mark.rpartition(".")
            anew = series != self._series()
            seen = int(number) if not anew and _NUMBER.fullmatch(number) else 0
            return News(self._mark(), anew, [r for r in self._received if r.number > seen])

    def _series(self) -> str:
        return f"{self._run}.{self._clearings}"

    def _mark(self) -> str:
        return f"{self._series()}.{self._count}"

    def _arrived(self, received: Received) -> None:
        with self._changed:
            self.total += 1
            self.verified += received.verified is True
            self.refused += received.verified is False
            self._bytes = sum(len(each.body) for each in self._received)
            while self._bytes > KEEP_BYTES and len(self._received) > 1:
                self._bytes -= len(self._received.popleft().body)
        if self._show:
            self._show(received)


def as_json(received: Received, limit: int | None = SHOWN_BODY) -> dict[str, Any]:
    """Return a webhook as the page, `/received` and `--json` show it."""
    body = received.body if limit is None else received.body[:limit]
    return {
        "number": received.number,
        "event": text.decoded(received.event),
        "id": received.id and text.decoded(received.id),
        "attempt": received.attempt,
        "verified": received.verified,
        "problem": received.problem,
        "answered": received.answer,
        "method": received.method,
        "path": received.path,
        "headers": [[name, text.decoded(value)] for name, value in received.headers.multi_items()],
        "body": body.decode(errors="replace"),
        "size": len(received.body),
        "truncated": len(body) < len(received.body),
        "received_at": received.arrived_at.isoformat(timespec="milliseconds"),
    }


def as_frame(received: Received) -> dict[str, Any]:
    """Return a webhook for the page: the body is laid out for reading, and cut."""
    raw = received.body.decode(errors="replace")
    shown = text.indented(raw, SHOWN_BODY) or raw
    frame = as_json(received, limit=0)
    del frame["body"], frame["truncated"]
    return {**frame, "shown": shown[:SHOWN_BODY], "cut": len(shown) > SHOWN_BODY}


class SinkHandler(Handler):
    """The receiver's connection, with the pages beside it."""

    def do_GET(self) -> None:  # noqa: N802 - the standard library's naming
        """Serve a page, the list, or the event stream."""
        path = urlsplit(self.path).path
        if not self._ours():
            self._refuse(HTTPStatus.FORBIDDEN, "this page answers to loopback names only")
        elif path in _PAGES:
            name, kind = _PAGES[path]
            content = files(__package__).joinpath("page", name).read_bytes()
            self.respond(HTTPStatus.OK, content, {**_HEADERS, "Content-Type": kind})
        elif path == "/received":
            content = json.dumps([as_json(each) for each in self._sink.received]).encode()
            self.respond(HTTPStatus.OK, content, {**_HEADERS, "Content-Type": "application/json"})
        elif path == "/events":
            self._stream()
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "webhooks are posted here; the page is at /")

    do_HEAD = do_GET  # noqa: N815

    def do_DELETE(self) -> None:  # noqa: N802
        """Empty the list."""
        if not self._ours():
            self._refuse(HTTPStatus.FORBIDDEN, "this page answers to loopback names only")
        elif urlsplit(self.path).path != "/received":
            self._refuse(HTTPStatus.NOT_FOUND, "only /received can be emptied")
        else:
            self._sink.clear()
            self.respond(HTTPStatus.NO_CONTENT)

    @property
    def _sink(self) -> Sink:
        receiver = self.server.receiver
        assert isinstance(receiver, Sink)  # noqa: S101 - for the type checker
        return receiver

    def _ours(self) -> bool:
        # A foreign site can point its own name at 127.0.0.1 and read what we serve ("DNS
        # rebinding"): its pages then come with that name as Host.
        if not self._sink.guarded:
            return True
        try:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        except ValueError:
            return False
        return is_loopback(host) or is_address(host)

    def _refuse(self, status: int, why: str) -> None:
        self.respond(status, f"{why}\n".encode(), {**_HEADERS, "Content-Type": "text/plain"})

    def _stream(self) -> None:
        self.close_connection = True
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
            b"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\nretry: 1000\n\n"
        )
        mark = self.headers.get("Last-Event-ID", "")
        while self.command != "HEAD" and (news := self._sink.news(mark)):
            for frame in self._frames(news):
                self.wfile.write(frame.encode())
            mark = news.mark

    def _frames(self, news: News) -> Iterator[str]:
        series = news.mark.rpartition(".")[0]
        if news.anew:
            about = {"url": self._sink.url, "summary": self._sink.summary}
            yield f"event: anew\nid: {series}.0\ndata: {json.dumps(about)}\n\n"
        for each in news.received:
            yield f"id: {series}.{each.number}\ndata: {json.dumps(as_frame(each))}\n\n"
        if not news.received:
            yield ": still here\n\n"


Sink.handler = SinkHandler
