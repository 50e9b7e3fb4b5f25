"""A POST that is sent again is done once: `Idempotency-Key`, remembered for 24 hours.

Before it is done, a row claims it; afterwards the row has the answer. A repeat gets that answer,
and one that comes meanwhile waits for it. What was refused is forgotten. When a process dies in
between, or the database does, nobody knows whether it was done: the next try does it, with the same
id for what it makes (`resource`), so that making it again finds what is there already.

Messages need no such row: they carry the key themselves (`message_key`), in the transaction that
publishes them.
"""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any, TypeVar, cast

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from hookline import Webhooks
from hookline._engine.engine import Engine
from hookline._engine.keys import new_key
from hookline._engine.publish import IDEMPOTENCY_WINDOW
from hookline._ports import Claim
from hookline._web import errors
from hookline._web.answers import Answer
from hookline._web.api.callers import caller, facade
from hookline._web.engine import on_engine
from hookline._web.errors import Refused
from hookline.errors import HooklineError, StorageError

log = logging.getLogger("hookline")
Operation = TypeVar("Operation", bound=Callable[..., Any])
Handle = Callable[[Request], Awaitable[Response]]

HEADER = "idempotency-key"
MOST = 256
"""Characters of a key."""
LEASE_MS = 60_000
"""Milliseconds until a request whose process died may be done again."""
PATIENCE = 10.0
"""Seconds a repeat waits for the first."""
PAUSES = (0.02, 0.05, 0.1, 0.2)
"""Seconds between looks at the first; the last one repeats."""
REPEATED = {"Idempotent-Replayed": "true"}
_ALONE = "hookline_repeats_by_itself"
_RESOURCE = "hookline_resource"


def by_itself(operation: Operation) -> Operation:
    """Mark an operation that sees to repeats itself."""
    setattr(operation, _ALONE, True)
    return operation


def remembers(operation: Callable[..., Any], methods: Collection[str]) -> bool:
    """Tell whether repeats of an operation are to be recognised here."""
    return "POST" in methods and not getattr(operation, _ALONE, False)


def resource(request: Request) -> bytes | None:
    """Return the id for what a request makes: the same in every try. None: it has no key."""
    return cast("bytes | None", request.scope.get(_RESOURCE))


async def message_key(request: Request) -> str | None:
    """Return the idempotency key of the message that a request publishes; None when it has none."""
    given = _given(request)
    if given is None:
        return None
    key = await caller(request)
    return f"api:{hashlib.sha256(f'{key.id} {given}'.encode()).hexdigest()}"


def _given(request: Request) -> str | None:
    given = request.headers.get(HEADER)
    if given is None:
        return None
    if not 1 <= len(given) <= MOST or not (given.isascii() and given.isprintable()):
        raise Refused(400, f"{HEADER}: expected 1 to {MOST} printable ASCII characters")
    return given


async def once(request: Request, handle: Handle) -> Response:
    """Handle a request, unless it was handled before."""
    given = _given(request)
    if given is None:
        return await handle(request)
    key = await caller(request)
    target = f"{request.method} {request.url.path}?{request.url.query}"
    name = hashlib.sha256(f"{key.id}\0{given}\0{target}".encode()).digest()
    digest = hashlib.sha256(await request.body()).digest()
    lease = secrets.randbits(63)
    webhooks = facade(request)
    claim = await _claimed(webhooks, name, digest, lease)
    if not claim.mine:
        return _repeated(claim)
    request.scope[_RESOURCE] = claim.resource
    try:
        response = await handle(request)
    except BaseException as error:
        with suppress(HooklineError):  # then its lease ends by itself
            await _end(webhooks, name, lease, forget=_is_refusal(error))
        raise
    await _remember(webhooks, name, lease, response)
    return response


async def _claimed(webhooks: Webhooks, name: bytes, digest: bytes, lease: int) -> Claim:
    """Return a claim; wait for the request that has it, a moment."""

    async def claim(engine: Engine) -> Claim:
        now = engine.clock.now()
        return await engine.store.answers.claim(
            name, digest, new_key(now), lease, now, now + LEASE_MS, now + IDEMPOTENCY_WINDOW
        )

    loop = asyncio.get_running_loop()
    deadline, looks = loop.time() + PATIENCE, 0
    while True:
        found = await on_engine(webhooks, claim)
        if found.mine or not found.same or found.status is not None or loop.time() >= deadline:
            return found
        await asyncio.sleep(PAUSES[min(looks, len(PAUSES) - 1)])
        looks += 1


def _repeated(claim: Claim) -> Response:
    if not claim.same:
        raise errors.conflict(
            f"{HEADER}: was used within 24 hours with another body; use a key for each request"
        )
    if claim.status is None:
        raise errors.conflict(f"{HEADER}: the first request is still being handled", retry=True)
    if claim.body is None:
        raise errors.conflict(
            f"{HEADER}: this was done before; its answer held a secret and was not kept"
        )
    if not claim.body:
        return Response(status_code=claim.status, headers=REPEATED)
    return Answer(claim.body, claim.status, REPEATED)


def _is_refusal(error: BaseException) -> bool:
    """Tell whether an error means that nothing was done, for certain."""
    if isinstance(error, StorageError):
        return False
    if isinstance(error, Refused | HTTPException):
        return (error.status if isinstance(error, Refused) else error.status_code) < 500  # noqa: PLR2004
    return isinstance(error, HooklineError | RequestValidationError)


async def _remember(webhooks: Webhooks, name: bytes, lease: int, response: Response) -> None:
    status = response.status_code
    if not 200 <= status < 300:  # noqa: PLR2004
        await _end(webhooks, name, lease, forget=status < 500)  # noqa: PLR2004
        return
    secret = "no-store" in response.headers.get("cache-control", "")
    body = None if secret else getattr(response, "body", None)
    try:
        await on_engine(webhooks, lambda e: e.store.answers.keep(name, lease, status, body))
    except StorageError as error:  # it was done, and is answered; a repeat does it with the same id
        log.warning("An answer could not be remembered: %s", error)


async def _end(webhooks: Webhooks, name: bytes, lease: int, *, forget: bool) -> None:
    async def end(engine: Engine) -> None:
        if forget:
            await engine.store.answers.forget(name, lease)
        else:
            await engine.store.answers.give_back(name, lease, engine.clock.now())

    await on_engine(webhooks, end)
