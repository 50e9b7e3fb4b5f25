"""FastAPI: publish in the request's session, receive with a decorator or a dependency.

@app.post("/webhook")
@receive("your-secret-key")
async def on_webhook(event: Event) -> None: ...

app = FastAPI(lifespan=webhooks.lifespan)
Publish = Annotated[Publisher, Depends(publisher(webhooks, get_session))]

@app.post("/orders")
async def place(order: Order, session: SessionDep, publish: Publish) -> None: ...
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Unpack, overload

try:
    from fastapi import Depends, FastAPI, HTTPException, Request, Response
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import ClientDisconnect
except ImportError as error:
    raise ImportError("hookline.fastapi needs FastAPI: pip install 'hookline[fastapi]'") from error

from hookline.receiver import TOLERANCE, Answer, Event, Options, Scheme
from hookline.receiver._door import BODY_LIMIT, Door, adrive, is_success, refusal

if TYPE_CHECKING:
    from hookline import ApplicationWebhooks, SyncApplication
    from hookline._app.publishing import Publisher
    from hookline._app.sync import SyncPublisher

__all__ = ["BODY_LIMIT", "describe", "lifespan", "publisher", "receive", "webhook"]


def receive(
    secret: str | Sequence[str], **options: Unpack[Options]
) -> Callable[[Callable[..., Any]], Callable[..., Awaitable[Any]]]:
    """Return a decorator, for below `@app.post`, that hands verified events to an endpoint.

    `secret` is the endpoint's, or several while one replaces another; `options` are those of
    `hookline.receiver.Options`. The event goes to the parameter annotated with `Event`, else to the
    first; all others are FastAPI's: dependencies, path, query. The endpoint may be a coroutine
    function, or a plain one, which runs in a thread; it returns what any endpoint may, or an
    `Answer`. To answer a CloudEvents handshake the route must take `OPTIONS` too.

    Raises InvalidSecret at once for a secret that cannot verify anything, such as an empty one.
    """
    door = Door(secret, **options, on_loop=True)

    def decorate(handler: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        name, signature = _without_event(handler)
        later = inspect.iscoroutinefunction(handler)

        @wraps(handler)
        async def endpoint(**values: Any) -> Any:
            verdict = await _verdict(door, values.pop(_REQUEST))
            if isinstance(verdict, Answer):
                return _response(verdict)
            run = partial(handler, **{name: verdict}, **values)
            step = run if later else partial(run_in_threadpool, run)
            return _response(await adrive(door.handle(verdict, step, _succeeded)))

        endpoint.__signature__ = signature  # type: ignore[attr-defined]
        return endpoint

    return decorate


_REQUEST = "hookline_request"


def _without_event(handler: Callable[..., Any]) -> tuple[str, inspect.Signature]:
    """Return the event's parameter, and the signature FastAPI is to see: the request instead."""
    try:
        signature = inspect.signature(handler, eval_str=True)
    except NameError as error:
        raise TypeError(
            f"{handler.__qualname__}: an annotation names {error.name!r}, "
            "which is not there when the module is loaded"
        ) from None
    ours = list(signature.parameters.values())
    if not ours:
        raise TypeError(f"{handler.__qualname__}: expected a parameter for the event")
    event = next((each for each in ours if each.annotation is Event), ours[0])
    request = inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request)
    others = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in ours if each != event]
    return event.name, signature.replace(parameters=[request, *others])


def _succeeded(result: Any) -> bool:
    if isinstance(result, Answer):
        return is_success(result.status)
    return is_success(result.status_code) if isinstance(result, Response) else True


def _response(result: Any) -> Any:
    if not isinstance(result, Answer):
        return result
    return Response(result.body, result.status, dict(result.headers))


def webhook(
    secret: str | Sequence[str],
    *,
    tolerance: float | timedelta | None = TOLERANCE,
    scheme: Scheme = "any",
    limit: int = BODY_LIMIT,
) -> Callable[[Request], Awaitable[Event]]:
    """Return a dependency that verifies the request and gives its `Event`.

    `secret`, `tolerance` (seconds), `scheme` and `limit` (bytes) are those of `receive`. Answers
    401 when the request cannot be verified, with the reason as `detail`, 400 when the body is not
    JSON, and 413 when it is over the limit; no more than that is ever held. The raw body is
    `event.body`. A dependency cannot see how its endpoint ends: to run once per message, use
    `receive`.

    Raises InvalidSecret at once for a secret that cannot verify anything, such as an empty one.
    """
    door = Door(secret, tolerance=tolerance, scheme=scheme, limit=limit, on_loop=True)

    async def verified(request: Request) -> Event:
        verdict = await _verdict(door, request)
        if isinstance(verdict, Answer):
            raise _Answered(request, verdict)
        return verdict

    return verified


class _Answered(HTTPException):
    """A dependency's own answer, which FastAPI's handler for HTTPException cannot carry."""

    def __init__(self, request: Request, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer
        # A dependency may end a request by raising only. Where Starlette keeps the handlers for
        # exceptions, ours is added, so that nobody has to register it with the application.
        handlers, _ = request.scope["starlette.exception_handlers"]
        handlers.setdefault(_Answered, _answered)


async def _answered(_request: Request, error: _Answered) -> Response:
    response: Response = _response(error.answer)
    return response


async def _verdict(door: Door, request: Request) -> Event | Answer:
    if answer := door.early(request.method, request.headers):
        return answer
    body = await _read(request, door)
    return body if isinstance(body, Answer) else door.judge(body, request.headers)


async def _read(request: Request, door: Door) -> bytes | Answer:
    # Not receive(): where FastAPI has read the body for other parameters, the stream still has it.
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > door.limit:
                return door.too_large()
    except ClientDisconnect:
        return refusal(400, "body: ended early")
    return bytes(body)


@overload
def publisher(
    webhooks: "ApplicationWebhooks", session: Callable[..., Any]
) -> "Callable[..., Publisher]": ...


@overload
def publisher(
    webhooks: "SyncApplication", session: Callable[..., Any]
) -> "Callable[..., SyncPublisher]": ...


def publisher(webhooks: Any, session: Callable[..., Any]) -> Callable[..., Any]:
    """Return a dependency that publishes in the session that the dependency `session` gives.

    FastAPI gives the endpoint and this the same session, once per request: what is triggered is
    part of the transaction that the endpoint commits. With `webhooks.sync` and a synchronous
    session it is for endpoints written as plain `def`.
    """

    def within(held: Any = Depends(session)) -> Any:  # noqa: B008 - so says FastAPI
        return webhooks.within(held)

    return within


class _Startable(Protocol):
    def init(self) -> object: ...

    async def stop(self) -> object: ...


Lifespan: TypeAlias = Callable[[FastAPI], AbstractAsyncContextManager[Any]]


def lifespan(webhooks: _Startable, *, inner: Lifespan | None = None) -> Lifespan:
    """Return a lifespan that loads and starts `webhooks`, and drains it when the app ends.

    Calls `webhooks.init()` before the first request and `await webhooks.stop()` after the last.
    `inner` is the application's own lifespan; it runs inside, so that it may still trigger
    webhooks while it shuts down.
    """

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[Mapping[str, Any] | None]:
        webhooks.init()
        try:
            if inner is None:
                yield None
            else:
                async with inner(app) as state:
                    yield state
        finally:
            await webhooks.stop()

    return run


class _Described(Protocol):
    @property
    def catalogue(self) -> Any: ...


def describe(app: FastAPI, webhooks: _Described) -> None:
    """Have the event types in the application's own OpenAPI document, as its `webhooks`.

    With envelope, headers and signatures, and a schema for each event type. What is declared later
    is in it too. The application's document must be of OpenAPI 3.1, as FastAPI's are by default.
    """
    own = app.openapi

    def openapi() -> dict[str, Any]:
        sent = webhooks.catalogue.openapi()
        document = dict(own())
        document["webhooks"] = {**document.get("webhooks", {}), **sent["webhooks"]}
        components = document["components"] = dict(document.get("components", {}))
        for kind, found in sent["components"].items():
            components[kind] = {**components.get(kind, {}), **found}
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's own way to extend it
