"""ASGI: a whole application, or a Starlette route, that receives webhooks.

@receive("your-secret-key")
async def application(event: Event) -> None: ...

routes = [Route("/webhook", application)]   # Starlette
"""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import partial, update_wrapper
from inspect import iscoroutinefunction
from typing import Any, TypeAlias, Unpack

from hookline.receiver import Answer, Event, Options
from hookline.receiver._door import Door, adrive, refusal, succeeded

__all__ = ["Application", "receive"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Result: TypeAlias = Answer | int | None
Handler: TypeAlias = Callable[[Event], Result | Awaitable[Result]]


def receive(
    secret: str | Sequence[str], **options: Unpack[Options]
) -> Callable[[Handler], "Application"]:
    """Return a decorator that makes a handler of events an ASGI application.

    `secret` is the endpoint's, or several while one replaces another; `options` are those of
    `hookline.receiver.Options`. The handler may be a coroutine function, or a plain one, which
    runs in a thread; it returns None (204), a status, or an `Answer`. What it raises goes to the
    server.

    Raises InvalidSecret at once for a secret that cannot verify anything, such as an empty one.
    """
    door = Door(secret, **options, on_loop=True)
    return lambda handler: Application(door, handler)


class Application:
    """A handler as an ASGI application, for `POST` at any path."""

    def __init__(self, door: Door, handler: Handler) -> None:
        """Use `receive`, which makes the door."""
        self._door = door
        self._handler = handler
        update_wrapper(self, handler, updated=())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3.0); take part in a server's start and end."""
        if scope["type"] == "http":
            await _respond(send, await self._answer(scope, receive))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await _live(receive, send)

    async def _answer(self, scope: Message, receive: Receive) -> Answer:
        headers = scope["headers"]
        if answer := self._door.early(scope["method"], headers):
            return answer
        body = await _read(receive, self._door)
        verdict = body if isinstance(body, Answer) else self._door.judge(body, headers)
        if isinstance(verdict, Answer):
            return verdict
        run = partial(self._run, verdict)
        answer = await adrive(self._door.handle(verdict, run, succeeded))
        assert isinstance(answer, Answer)  # noqa: S101 - for the type checker
        return answer

    async def _run(self, event: Event) -> Answer:
        if iscoroutinefunction(self._handler):
            return Answer.of(await self._handler(event))
        from asyncio import to_thread  # noqa: PLC0415

        return Answer.of(await to_thread(self._handler, event))


async def _read(receive: Receive, door: Door) -> bytes | Answer:
    """Return the body, or the answer to one that is too large or ended early."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return refusal(400, "body: ended early")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > door.limit:
            return door.too_large()
    return bytes(body)


async def _respond(send: Send, answer: Answer) -> None:
    headers = {**answer.headers, "Content-Length": str(len(answer.body))}
    if answer.status == 204:  # noqa: PLR2004 - RFC 9110 §8.6: no Content-Length
        del headers["Content-Length"]
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [
                (n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in headers.items()
            ],
        }
    )
    await send({"type": "http.response.body", "body": answer.body})


async def _live(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})
