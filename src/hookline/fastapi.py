"""FastAPI: receive webhooks with a dependency, send them with a lifespan.

@app.post("/webhook")
async def receive(event: Annotated[Event, Depends(webhook("your-secret-key"))]) -> None: ...

app = FastAPI(lifespan=lifespan(webhooks))
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, Protocol, TypeAlias

from fastapi import FastAPI, HTTPException, Request, status
from starlette.requests import ClientDisconnect

from hookline._domain.signature import check_receiver_secret
from hookline.receiver import TOLERANCE, Event, Scheme, VerificationError, verify

__all__ = ["BODY_LIMIT", "lifespan", "webhook"]

BODY_LIMIT = 1024 * 1024
"""Bytes of the largest body `webhook` reads unless told otherwise: what Hookline sends at most."""


def webhook(
    secret: str | Sequence[str],
    *,
    tolerance: float | timedelta | None = TOLERANCE,
    scheme: Scheme = "any",
    limit: int = BODY_LIMIT,
) -> Callable[[Request], Awaitable[Event]]:
    """Return a dependency that verifies the request and gives its `Event`.

    `secret`, `tolerance` (seconds) and `scheme` are those of `hookline.receiver.verify`. Answers
    401 when the request cannot be verified, with the reason as `detail`, and 413 when the body is
    larger than `limit` bytes; no more than that is ever held. The raw body is `event.body`.

    Raises InvalidSecret at once for a secret that cannot verify anything, such as an empty one.
    """
    for each in [secret] if isinstance(secret, str) else secret or [""]:
        check_receiver_secret(each)

    async def verified(request: Request) -> Event:
        body = await _read(request, limit)
        try:
            return verify(body, request.headers, secret, tolerance=tolerance, scheme=scheme)
        except VerificationError as error:
            raise HTTPException(status.HTTP_401_UNAUTHORIZED, detail=str(error)) from error

    return verified


async def _read(request: Request, limit: int) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise HTTPException(413, detail=f"body: larger than {limit} bytes")
    except ClientDisconnect:
        raise HTTPException(400, detail="body: ended early") from None
    return bytes(body)


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
