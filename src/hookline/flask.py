"""Flask: a view that receives webhooks.

@app.post("/webhook")
@receive("your-secret-key")
def on_webhook(event: Event) -> None: ...
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeAlias, Unpack

try:
    from flask import Response, current_app, make_response, request
    from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
except ImportError as error:
    raise ImportError("hookline.flask needs Flask: pip install 'hookline[flask]'") from error

from hookline.receiver import Answer, Event, Options
from hookline.receiver._door import Door, drive, is_success, refusal

__all__ = ["receive"]

View: TypeAlias = Callable[..., Response]


def receive(
    secret: str | Sequence[str], **options: Unpack[Options]
) -> Callable[[Callable[..., Any]], View]:
    """Return a decorator that makes a handler of events a Flask view.

    `secret` is the endpoint's, or several while one replaces another; `options` are those of
    `hookline.receiver.Options`. The handler gets the event, and the values of the route by name;
    it returns None (204), a status, or whatever a view may return. What it raises goes to Flask.

    Raises InvalidSecret at once for a secret that cannot verify anything, such as an empty one.
    """
    door = Door(secret, **options)

    def decorate(handler: Callable[..., Any]) -> View:
        @wraps(handler)
        def view(**values: Any) -> Response:
            verdict = _verdict(door)
            if isinstance(verdict, Answer):
                return _response(verdict)
            run = current_app.ensure_sync(handler)
            steps = door.handle(
                verdict,
                lambda: _response(run(verdict, **values)),
                lambda response: is_success(response.status_code),
            )
            return _response(drive(steps))

        if options.get("origins"):
            # Flask adds these methods to the route, and leaves OPTIONS to the view.
            view.required_methods = {"OPTIONS"}  # type: ignore[attr-defined]
            view.provide_automatic_options = False  # type: ignore[attr-defined]
        return view

    return decorate


def _verdict(door: Door) -> Event | Answer:
    if answer := door.early(request.method, request.headers):
        return answer
    # One more than the limit: a body of unknown length is cut there without an error.
    request.max_content_length = door.limit + 1
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        return door.too_large()
    except BadRequest:  # the sender went away
        return refusal(400, "body: ended early")
    return door.too_large() if len(body) > door.limit else door.judge(body, request.headers)


def _response(value: Any) -> Response:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        value = Answer.of(value)
    if isinstance(value, Answer):
        return Response(value.body, value.status, dict(value.headers))
    response = make_response(value)
    assert isinstance(response, Response)  # noqa: S101 - for the type checker
    return response
