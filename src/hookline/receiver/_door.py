"""What each receiving door does with a request: everything but the framework's own objects.

A door asks `early` before it reads the body, `judge` once it has it, and `handle` to run the
handler. `handle` is a generator of steps, so that one implementation serves doors that wait in a
thread (`drive`) and doors that wait on an event loop (`adrive`).
"""

import json
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from functools import partial
from inspect import isawaitable
from secrets import token_hex
from typing import Any, Protocol, Self, TypeAlias, TypedDict, get_args

from hookline._domain.signature import check_receiver_secret
from hookline.receiver._verify import (
    TOLERANCE,
    Event,
    HeaderSource,
    Reason,
    Scheme,
    VerificationError,
    header,
    verify,
)

BODY_LIMIT = 1024 * 1024
"""Bytes of the largest body a door reads unless told otherwise: what Hookline sends at most."""

CHALLENGE = "webhook.challenge"
"""The event type that asks whether this receiver knows the secret."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a door answers: a handler may return one for a status, body and headers of its own."""

    status: int = 204
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any) -> Self:
        """Return the answer a handler's result means: None is 204, a number is a status.

        Raises TypeError for anything else.
        """
        if isinstance(value, cls):
            return value
        if value is None:
            return cls()
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(value)
        raise TypeError(
            f"a webhook handler returned {type(value).__name__}; "
            "expected None, a status or hookline.receiver.Answer"
        )

    @classmethod
    def json(cls, status: int, value: Any, headers: Mapping[str, str] | None = None) -> Self:
        """Return an answer with a JSON body."""
        body = json.dumps(value, ensure_ascii=True).encode()
        return cls(status, body, {"Content-Type": "application/json", **(headers or {})})


class Claim(Enum):
    """What is known of a message when it arrives."""

    FIRST = auto()
    """Nobody has it: it is the caller's now."""
    RUNNING = auto()
    """Another request is handling it."""
    DONE = auto()
    """It was handled."""


class Once(Protocol):
    """Remembers which messages were handled: see `hookline.once`.

    `token` tells one claim from another, so that a handler that overran its lease cannot end the
    claim of the one that came after it.
    """

    asynchronous: bool
    """Whether the methods return awaitables."""
    waits: bool
    """Whether the methods wait for something outside the process."""

    def claim(self, key: str, token: str) -> Claim | Awaitable[Claim]:
        """Take a message, or say who has it."""

    def finish(self, key: str, token: str) -> object:
        """Remember that it was handled."""

    def release(self, key: str, token: str) -> object:
        """Give it back: the handler failed, and the next copy may try again."""


class Options(TypedDict, total=False):
    """The options of every `receive`."""

    tolerance: float | timedelta | None
    """Seconds a signed time may be off, 300 unless given; None accepts any age."""
    scheme: Scheme
    """ "standard" insists on Standard Webhooks, "guide" on `X-Webhook-Signature`."""
    limit: int
    """Bytes of the largest body, 1 MiB unless given; more is answered with 413."""
    once: Once | None
    """Where handled messages are remembered, of `hookline.once`; None runs every copy."""
    origins: Sequence[str]
    """Senders whose CloudEvents handshake (`OPTIONS`) is granted, "*" for any; none by default."""
    rate: int | None
    """Requests a minute granted in that handshake; None for any number."""


Step: TypeAlias = Callable[[], Any]
Steps: TypeAlias = Generator[Step, Any, Any]


class Door:
    """The options of one route, checked when the application is built."""

    def __init__(
        self,
        secret: str | Sequence[str],
        *,
        tolerance: float | timedelta | None = TOLERANCE,
        scheme: Scheme = "any",
        limit: int = BODY_LIMIT,
        once: Once | None = None,
        origins: Sequence[str] = (),
        rate: int | None = None,
        on_loop: bool = False,
    ) -> None:
        """Check them: raises InvalidSecret, ValueError or TypeError; `on_loop` may await."""
        for each in [secret] if isinstance(secret, str) else secret or [""]:
            check_receiver_secret(each)
        if scheme not in get_args(Scheme):
            raise ValueError(f"scheme: expected 'any', 'standard' or 'guide', got {scheme!r}")
        if once is not None and once.asynchronous and not on_loop:
            raise TypeError(
                "once: an asynchronous client or engine needs an asynchronous handler; "
                "give a synchronous one here"
            )
        self.limit = limit
        self._verify = partial(verify, secret=secret, tolerance=tolerance, scheme=scheme)
        self._once = once
        self._aside = on_loop and once is not None and once.waits and not once.asynchronous
        names = [origins] if isinstance(origins, str) else origins
        self._origins = frozenset(each.lower() for each in names)
        self._rate = "*" if rate is None else str(rate)
        self._allow = "POST, OPTIONS" if self._origins else "POST"

    # Before the body is read ---------------------------------------------------------------------

    def early(self, method: str, headers: HeaderSource) -> Answer | None:
        """Return the answer that needs no body, or None to go on and read it."""
        if method == "OPTIONS" and self._origins:
            return self._handshake(headers)
        if method != "POST":
            return refusal(405, "method: a webhook is a POST", {"Allow": self._allow})
        length = header(headers, "content-length")
        if length is None:
            return None
        if not (length.isascii() and length.isdigit()):
            return refusal(400, "Content-Length: expected a whole number")
        return self.too_large() if len(length) > 18 or int(length) > self.limit else None  # noqa: PLR2004

    def too_large(self) -> Answer:
        """Return the answer to a body over the limit."""
        return refusal(413, f"body: larger than {self.limit} bytes")

    def _handshake(self, headers: HeaderSource) -> Answer:
        # CloudEvents 1.0, HTTP 1.1 Web Hooks, §4: permission is given by naming the origin.
        origin = header(headers, "webhook-request-origin")
        if origin is None:
            return refusal(400, "WebHook-Request-Origin: missing")
        if "*" not in self._origins and origin.lower() not in self._origins:
            return refusal(403, "WebHook-Request-Origin: not one of the origins allowed here")
        return Answer(
            200,
            headers={
                "Allow": self._allow,
                "WebHook-Allowed-Origin": origin,
                "WebHook-Allowed-Rate": self._rate,
            },
        )

    # With the body -------------------------------------------------------------------------------

    def judge(self, body: bytes, headers: HeaderSource) -> Event | Answer:
        """Return the verified event, or the answer to what is none or needs no handler."""
        if not body and (header(headers, "content-length") or "0").strip("0"):
            # The receiver's fault, so no 4xx: nothing the sender can change would help.
            return refusal(500, "body: something read it before its signature was checked")
        try:
            event = self._verify(body, headers)
        except VerificationError as error:
            return refusal(400 if error.reason == Reason.BAD_BODY else 401, str(error))
        return _challenge(event) or event

    def handle(self, event: Event, run: Step, succeeded: Callable[[Any], bool]) -> Steps:
        """Run the handler, once per message: the steps for `drive` or `adrive`.

        Returns what `run` returned, or an Answer where the handler was not to run. What it raises
        comes out as it is, after the claim was given back.
        """
        if self._once is None or event.id is None:
            return (yield run)
        key, token = event.id, token_hex(8)
        try:
            claim = yield self._step(self._once.claim, key, token)
        except Exception:  # noqa: BLE001 - whatever the client of the store raises
            _log("webhook %s is refused: whether it was handled cannot be asked", key)
            return refusal(503, "the receiver cannot tell whether this was handled; send it again")
        if claim is Claim.DONE:
            return Answer()
        if claim is Claim.RUNNING:
            # Not 503 with Retry-After, which would hold up the sender's other messages.
            return refusal(409, "another copy of this is being handled; send it again")
        try:
            result = yield run
            verb = self._once.finish if succeeded(result) else self._once.release
        except BaseException:
            yield from self._settle(self._once.release, key, token)
            raise
        yield from self._settle(verb, key, token)
        return result

    def _settle(self, verb: Callable[[str, str], object], key: str, token: str) -> Steps:
        try:
            yield self._step(verb, key, token)
        except Exception:  # noqa: BLE001 - the handler's own outcome stands
            _log("webhook %s was handled, which cannot be remembered: a copy would run again", key)

    def _step(self, verb: Callable[[str, str], object], key: str, token: str) -> Step:
        step = partial(verb, key, token)
        return partial(_in_thread, step) if self._aside else step


def drive(steps: Steps) -> Any:
    """Take the steps in this thread."""
    try:
        step = next(steps)
        while True:
            try:
                value = step()
            except BaseException as error:  # noqa: BLE001 - the steps decide
                step = steps.throw(error)
            else:
                step = steps.send(value)
    except StopIteration as ended:
        return ended.value


async def adrive(steps: Steps) -> Any:
    """Take the steps on the running loop; what they return is awaited where it can be."""
    try:
        step = next(steps)
        while True:
            try:
                value = step()
                if isawaitable(value):
                    value = await value
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - the steps decide
                step = steps.throw(error)
            else:
                step = steps.send(value)
    except StopIteration as ended:
        return ended.value


def succeeded(answer: Answer) -> bool:
    """Tell whether the sender takes this as delivered."""
    return is_success(answer.status)


def is_success(status: int) -> bool:
    """Tell whether the sender takes this status as delivered."""
    return 200 <= status < 300  # noqa: PLR2004


def refusal(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer that says what is wrong, as FastAPI says it."""
    return Answer.json(status, {"detail": detail}, headers)


def _challenge(event: Event) -> Answer | None:
    """Return the answer to a question for the secret, None for any other event."""
    if event.type != CHALLENGE or not isinstance(event.data, dict):
        return None
    text = event.data.get("challenge")
    return Answer.json(200, {"challenge": text}) if isinstance(text, str) else None


def _in_thread(step: Step) -> Any:
    import asyncio  # noqa: PLC0415 - there is a loop, so it is loaded

    return asyncio.to_thread(step)


def _log(line: str, key: str) -> None:
    import logging  # noqa: PLC0415 - whoever only verifies need not load it

    logging.getLogger("hookline.receiver").error(line, key, exc_info=sys.exception())
