"""What every request goes through before it reaches a route. Plain ASGI, a few microseconds.

Paths lose their trailing slashes; bodies are read whole, within a size, a time and a common budget;
whatever happens, the answer is JSON.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from hookline._web import errors
from hookline._web.answers import refusal
from hookline._web.errors import Refused
from hookline.errors import HooklineError

log = logging.getLogger("hookline")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

SLASH = "hookline.slash"
"""In the scope of a request whose path ended with one, before that was trimmed."""
BODY_SECONDS = 30.0
"""Seconds within which a body has to arrive."""
BODIES_BYTES = 64 << 20
"""Bytes of all bodies together that come in pieces; beyond, requests are refused."""
_SAYS_SO = frozenset({"1.0", "1.1"})
"""Versions of HTTP whose requests say in a header that they have a body."""


class Shell:
    """The outermost layer of the application."""

    def __init__(self, app: App, *, limit: int) -> None:
        """`limit` are the bytes of one body."""
        self._app = app
        self.limit = limit
        self.held = 0
        """Bytes of bodies that came in pieces and are not answered yet."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI 3.0)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path[-1:] == "/" and len(path) > 1:
            scope[SLASH] = True
            scope["path"] = path.rstrip("/") or "/"
            scope["raw_path"] = scope.get("raw_path", b"").rstrip(b"/") or b"/"
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        arriving = _Body(self, scope, receive)
        try:
            body = await arriving.read()
            if body is not None:
                await self._app(scope, _replayed(body, receive), sending)
        except Exception as error:
            answer = refusal(_judge(error))
            if begun:  # too late for another answer: the connection is ended instead
                raise
            await answer(scope, receive, send)
        finally:
            self.held -= arriving.held


class _Body:
    """The body of one request."""

    __slots__ = ("_receive", "_scope", "_shell", "held")

    def __init__(self, shell: Shell, scope: Message, receive: Receive) -> None:
        self._shell = shell
        self._scope = scope
        self._receive = receive
        self.held = 0

    async def read(self) -> bytes | None:
        """Return it whole; None when the client went away. Raises Refused."""
        limit = self._shell.limit
        announced, chunked = 0, self._scope["http_version"] not in _SAYS_SO
        for name, value in self._scope["headers"]:
            if name == b"content-length":
                announced = int(value) if value.isdigit() else limit + 1
            elif name == b"transfer-encoding":
                chunked = True
        if announced > limit:
            raise errors.too_large(limit)
        if not announced and not chunked:
            return b""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                message = await self._receive()
                if message["type"] == "http.request" and not message.get("more_body"):
                    body: bytes = message.get("body", b"")
                    if len(body) > limit:
                        raise errors.too_large(limit)
                    return body
                return await self._parts(message)
        except TimeoutError:
            raise Refused(
                408,
                f"body: did not arrive within {BODY_SECONDS:g} s",
                headers={"Connection": "close"},
            ) from None

    async def _parts(self, message: Message) -> bytes | None:
        """Read on. What is there counts against the budget of all until it is answered."""
        parts = []
        while message["type"] == "http.request":
            part: bytes = message.get("body", b"")
            parts.append(part)
            self._hold(len(part))
            if not message.get("more_body"):
                return b"".join(parts)
            message = await self._receive()
        return None

    def _hold(self, size: int) -> None:
        shell = self._shell
        self.held += size
        shell.held += size
        if self.held > shell.limit:
            raise errors.too_large(shell.limit)
        if shell.held > max(BODIES_BYTES, 4 * shell.limit):
            raise Refused(
                503,
                "too many large bodies at once; try again",
                headers={**errors.RETRY_SOON, "Connection": "close"},
            )


def _judge(error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, HooklineError):
        return errors.of(error)
    return errors.unexpected(error)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once, and afterwards what the server has to say."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
