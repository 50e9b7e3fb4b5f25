"""Django: a view that receives webhooks, synchronous or asynchronous.

@receive("your-secret-key")
def on_webhook(request: HttpRequest, event: Event) -> None: ...

urlpatterns = [path("webhook", on_webhook)]
"""

from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeAlias, Unpack

try:
    from django.core.exceptions import RequestDataTooBig
    from django.http import HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
    from django.http.request import RawPostDataException
    from django.views.decorators.csrf import csrf_exempt
except ImportError as error:
    raise ImportError("hookline.django needs Django: pip install 'hookline[django]'") from error

from hookline.receiver import Answer, Event, Options
from hookline.receiver._door import Door, Steps, adrive, drive, is_success, refusal

__all__ = ["receive"]

View: TypeAlias = Callable[..., HttpResponseBase | Coroutine[Any, Any, HttpResponseBase]]


def receive(
    secret: str | Sequence[str], **options: Unpack[Options]
) -> Callable[[Callable[..., Any]], View]:
    """Return a decorator that makes a handler of events a Django view, exempt from CSRF checks.

    `secret` is the endpoint's, or several while one replaces another; `options` are those of
    `hookline.receiver.Options`. The handler gets the request, the event, and the values of the
    route; it returns None (204), a status, an `Answer` or an `HttpResponse`. A coroutine function
    becomes an asynchronous view. What it raises goes to Django.

    A `limit` above Django's `DATA_UPLOAD_MAX_MEMORY_SIZE` (2.5 MB) has no effect.
    Raises InvalidSecret at once for a secret that cannot verify anything, such as an empty one.
    """

    def decorate(handler: Callable[..., Any]) -> View:
        on_loop = iscoroutinefunction(handler)
        door = Door(secret, **options, on_loop=on_loop)

        def steps(request: HttpRequest, event: Event, *args: Any, **values: Any) -> Steps:
            return door.handle(
                event,
                lambda: handler(request, event, *args, **values),
                lambda result: is_success(_response(result).status_code),
            )

        @wraps(handler)
        def view(request: HttpRequest, *args: Any, **values: Any) -> HttpResponseBase:
            verdict = _verdict(door, request)
            if isinstance(verdict, Event):
                verdict = drive(steps(request, verdict, *args, **values))
            return _response(verdict)

        @wraps(handler)
        async def async_view(request: HttpRequest, *args: Any, **values: Any) -> HttpResponseBase:
            verdict = _verdict(door, request)
            if isinstance(verdict, Event):
                verdict = await adrive(steps(request, verdict, *args, **values))
            return _response(verdict)

        return csrf_exempt(async_view if on_loop else view)

    Door(secret, **options, on_loop=True)  # a bad secret is told where it is written
    return decorate


def _verdict(door: Door, request: HttpRequest) -> Event | Answer:
    if answer := door.early(request.method or "", request.headers):
        return answer
    try:
        body = request.body
    except RequestDataTooBig:
        return refusal(413, "body: larger than Django's DATA_UPLOAD_MAX_MEMORY_SIZE")
    except RawPostDataException:
        return refusal(500, "body: something read it before its signature was checked")
    except UnreadablePostError:
        return refusal(400, "body: ended early")
    return door.too_large() if len(body) > door.limit else door.judge(body, request.headers)


def _response(value: Any) -> HttpResponseBase:
    if isinstance(value, HttpResponseBase):
        return value
    answer = Answer.of(value)
    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))
