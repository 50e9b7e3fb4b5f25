"""WSGI: a whole application that receives webhooks, under any server or framework of that kind.

@receive("your-secret-key")
def application(event: Event) -> None: ...
"""

from collections.abc import Callable, Iterable, Sequence
from functools import update_wrapper
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from hookline.receiver import Answer, Event, Options
from hookline.receiver._door import Door, drive, refusal, succeeded

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

__all__ = ["Application", "receive"]

Handler: TypeAlias = Callable[[Event], Answer | int | None]


def receive(
    secret: str | Sequence[str], **options: Unpack[Options]
) -> Callable[[Handler], "Application"]:
    """Return a decorator that makes a handler of events a WSGI application.

    `secret` is the endpoint's, or several while one replaces another; `options` are those of
    `hookline.receiver.Options`. The handler returns None (204), a status, or an `Answer`. What it
    raises goes to the server.

    Raises InvalidSecret at once for a secret that cannot verify anything, such as an empty one.
    """
    door = Door(secret, **options)
    return lambda handler: Application(door, handler)


class Application:
    """A handler as a WSGI application, for `POST` at any path."""

    def __init__(self, door: Door, handler: Handler) -> None:
        """Use `receive`, which makes the door."""
        self._door = door
        self._handler = handler
        update_wrapper(self, handler, updated=())

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        answer = self._answer(environ)
        headers = {**answer.headers, "Content-Length": str(len(answer.body))}
        if answer.status == HTTPStatus.NO_CONTENT:  # RFC 9110 §8.6: no Content-Length
            del headers["Content-Length"]
        start_response(_status_line(answer.status), list(headers.items()))
        return [answer.body]

    def _answer(self, environ: dict[str, Any]) -> Answer:
        if answer := self._door.early(environ["REQUEST_METHOD"], environ):
            return answer
        body = _read(environ, self._door)
        verdict = body if isinstance(body, Answer) else self._door.judge(body, environ)
        if isinstance(verdict, Answer):
            return verdict
        event = verdict
        run = lambda: Answer.of(self._handler(event))  # noqa: E731 - named for what it is
        answer = drive(self._door.handle(event, run, succeeded))
        assert isinstance(answer, Answer)  # noqa: S101 - for the type checker
        return answer


def _read(environ: dict[str, Any], door: Door) -> bytes | Answer:
    """Return the body, or the answer to one that is too large or ended early."""
    length = environ.get("CONTENT_LENGTH")
    if not length and not environ.get("wsgi.input_terminated"):
        return b""  # nothing says where it would end
    wanted = int(length) if length else door.limit + 1
    body = bytearray()
    while len(body) < wanted and (chunk := environ["wsgi.input"].read(wanted - len(body))):
        body += chunk
    if length and len(body) < wanted:
        return refusal(400, "body: ended early")
    return door.too_large() if len(body) > door.limit else bytes(body)


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"
