"""Tools for whoever wonders why: verdicts on URLs, and signatures that do not fit."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Request
from pydantic import Field

from hookline._domain.address import Verdict, remedy
from hookline._domain.url import parse
from hookline._sending.guard import Unresolved, Way, check, delegated
from hookline._settings import Settings
from hookline._web.answers import NO_STORE, Answer
from hookline._web.api.attempts import NOT_TOLD
from hookline._web.api.callers import Caller, facade
from hookline._web.api.models.wire import Time, Url, Wire
from hookline._web.api.repeats import by_itself
from hookline._web.api.routes import Router, errors_of
from hookline.receiver import diagnose

router = Router("Tools")


class CheckUrlIn(Wire):
    """Where somebody wants webhooks to go."""

    url: Url


class CheckUrlOut(Wire):
    """Whether they may go there. The reason, the remedy and addresses are the operator's."""

    url: Annotated[str, Field(description="As it is stored and called.")]
    allowed: bool
    verdict: Annotated[
        str | None,
        Field(
            description="`blocked_address`, `blocked_name` or `blocked_scheme`; for customers "
            "`blocked_destination`."
        ),
    ] = None
    reason: str | None = None
    remedy: str | None = None
    resolved: Annotated[bool | None, Field(description="False: it leads nowhere now.")] = None
    addresses: list[str] | None = None


class DebugSignatureIn(Wire):
    """A webhook as it arrived, and the secrets that ought to fit."""

    body: Annotated[str, Field(description="The body as it arrived, before anything parsed it.")]
    headers: Annotated[dict[str, str], Field(description="Those of the signature at least.")]
    secrets: Annotated[list[str], Field(min_length=1, max_length=10)]
    original: Annotated[
        str | None, Field(description="The body as it was sent: the first difference is named.")
    ] = None
    tolerance: Annotated[float | None, Field(ge=0, le=1e9, description="Seconds.")] = None
    any_age: bool = False
    at: Annotated[Time | None, Field(description="Judge the age as of then.")] = None


class DebugSignatureOut(Wire):
    """Why it does not fit; none of it holds a secret or a signature."""

    valid: bool
    cause: str
    sentence: str
    remedy: str
    scheme: str | None = None
    secret: Annotated[int | None, Field(description="Which secret fits, 1 for the first.")] = None


@router.post(
    "/check-url",
    operation_id="v1.tools.check-url",
    response_model=CheckUrlOut,
    responses=errors_of(),
)
@by_itself
async def check_url(request: Request, key: Caller, body: CheckUrlIn) -> Answer:
    """Say whether webhooks may be sent to a URL. Resolves its name, and sends nothing.

    Keys that see the whole deployment hear why not and what to do about it; others hear
    `blocked_destination`.
    """
    found = await asyncio.to_thread(_judged, facade(request).settings, body.url)
    if not key.allows(None, write=False):
        told = CheckUrlOut(url=found.url, allowed=found.allowed)
        if not found.allowed:
            told.verdict = NOT_TOLD
        return Answer(told)
    return Answer(found)


def _judged(settings: Settings, url: str) -> CheckUrlOut:
    policy, proxy = settings.policy(), settings.proxying().default
    parsed = parse(url)
    by_proxy = proxy is not None and proxy.resolves
    way: Way | Verdict | Unresolved = (
        delegated(parsed, policy) if by_proxy else check(parsed, policy)
    )
    if isinstance(way, Verdict):
        return CheckUrlOut(
            url=str(parsed),
            allowed=False,
            verdict=way.code,
            reason=way.reason,
            remedy=remedy(way),
        )
    if isinstance(way, Unresolved):
        # It may be registered: each attempt looks again.
        return CheckUrlOut(url=str(parsed), allowed=True, resolved=False, reason=way.reason)
    return CheckUrlOut(
        url=str(parsed), allowed=True, resolved=not by_proxy, addresses=list(way.addresses)
    )


@router.post(
    "/debug-signature",
    operation_id="v1.tools.debug-signature",
    response_model=DebugSignatureOut,
    responses=errors_of(),
)
@by_itself
async def debug_signature(_: Caller, body: DebugSignatureIn) -> Answer:
    """Say why a webhook that was received does not verify: the exact cause, and the remedy.

    What usually happens to bodies, secrets and headers on the way is tried. Nothing of it is kept.
    """
    headers: Any = body.headers
    options: dict[str, Any] = {} if body.tolerance is None else {"tolerance": body.tolerance}
    if body.any_age:
        options = {"tolerance": None}
    if body.at is not None:
        options["now"] = body.at.timestamp()
    found = await asyncio.to_thread(
        diagnose, body.body, headers, body.secrets, original=body.original, **options
    )
    return Answer(DebugSignatureOut(valid=found.valid, **asdict(found)), headers=NO_STORE)
