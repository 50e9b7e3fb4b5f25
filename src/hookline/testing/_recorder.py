"""What every receiver does: record what arrives, verify it, answer as told."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from hookline._domain.signature import check_receiver_secret
from hookline._engine.clock import FakeClock
from hookline.receiver import TOLERANCE, Cause, Reason, VerificationError, diagnose, verify
from hookline.testing._received import Answer, Received, ReceivedHeaders, Responder


@dataclass(slots=True)
class _Rule:
    answer: Answer | Responder
    left: int


class Recorder:
    """Records what arrives, verifies it and answers as told. `Receiver` and `LocalReceiver` are.

    `secret` (one or several) verifies each request; InvalidSecret when it cannot. Signatures may be
    `tolerance` seconds old (None: as old as they like), by `clock` where one is given. `keep`
    bounds how many requests are remembered, and `on_received` is called for each before it is
    answered.

    What a callable answer or `on_received` raises is raised again at the end of the `with`.
    """

    def __init__(
        self,
        secret: str | Sequence[str] | None = None,
        *,
        tolerance: float | timedelta | None = TOLERANCE,
        clock: FakeClock | None = None,
        keep: int | None = None,
        on_received: Callable[[Received], None] | None = None,
    ) -> None:
        for each in [secret] if isinstance(secret, str) else secret or ():
            check_receiver_secret(each)
        self.secret = secret
        self.tolerance = tolerance
        self._clock = clock
        self._on_received = on_received
        self._changed = threading.Condition()
        self._received: deque[Received] = deque(maxlen=keep)
        self._count = 0
        self._rules: deque[_Rule] = deque()
        self._standing: Answer | Responder = Answer()
        self._errors: list[Exception] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            self.check()

    def check(self) -> None:
        """Raise what the test's own code raised while it answered, if it did: once."""
        with self._changed:
            errors, self._errors = self._errors, []
        if errors:
            raise errors[0]

    def _now(self) -> float:
        return time.time() if self._clock is None else self._clock.now() / 1000

    # What arrived --------------------------------------------------------------------------------

    @property
    def received(self) -> list[Received]:
        """What arrived so far, oldest first: a copy."""
        with self._changed:
            return list(self._received)

    @property
    def count(self) -> int:
        """How many requests arrived, forgotten ones included."""
        with self._changed:
            return self._count

    def clear(self) -> None:
        """Forget what arrived; `count` and the numbering start anew."""
        with self._changed:
            self._received.clear()
            self._count = 0

    def wait_for(self, n: int, timeout: float = 10.0) -> list[Received]:
        """Return what arrived once there are `n` requests; AssertionError lists what is there.

        `timeout` is in seconds. Blocks: in a coroutine use `arrived`.
        """
        return self.wait_until(lambda: self._count >= n, timeout, f"{n} webhook(s)")

    def wait_until(
        self, condition: Callable[[], bool], timeout: float = 10.0, what: str = "the condition"
    ) -> list[Received]:
        """Return what arrived once `condition()` holds, which is asked after each arrival."""
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                last = list(self._received)[-20:]
                lines = "".join(f"\n  {each}" for each in last) or "\n  nothing"
                raise AssertionError(
                    f"waited {timeout:g} s for {what}, {self._count} arrived, the last:{lines}"
                )
            return list(self._received)

    async def arrived(self, n: int, timeout: float = 10.0) -> list[Received]:
        """Wait like `wait_for`, in a thread, so that the running loop goes on."""
        return await asyncio.to_thread(self.wait_for, n, timeout)

    # What is answered ----------------------------------------------------------------------------

    def answer(
        self,
        status: int | Responder = 200,
        *,
        body: bytes | str = b"",
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
        drop: bool = False,
        times: int | None = None,
    ) -> Self:
        """Say how to answer from now on, or the next `times` requests.

        Answers with `times` are used up first, in the order they were given; after them the last
        one without `times` stands (200 until told otherwise). `delay` is in seconds before the
        answer; `drop` resets the connection instead of answering. `status` may be a function that
        gets the `Received` and returns a status or an `Answer`.
        """
        content = body.encode() if isinstance(body, str) else body
        answer = status if callable(status) else Answer(status, content, headers or {}, delay, drop)
        with self._changed:
            if times is None:
                self._standing = answer
            elif times > 0:
                self._rules.append(_Rule(answer, times))
        return self

    def take(
        self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> Answer:
        """Record a request and return what to answer."""
        named = ReceivedHeaders(headers)
        verified, problem = self._verify(named, body)
        with self._changed:
            self._count += 1
            received = Received(
                number=self._count,
                method=method,
                path=path,
                headers=named,
                body=body,
                arrived_at=datetime.fromtimestamp(self._now(), UTC),
                verified=verified,
                problem=problem,
            )
            chosen = self._choose()
            if isinstance(chosen, Answer):
                received.answer = None if chosen.drop else chosen.status
            self._received.append(received)
            self._changed.notify_all()
        # Outside the lock, and after the request is visible: a test's function may wait for
        # the test, which may wait for the request.
        answer = chosen if isinstance(chosen, Answer) else self._ask(chosen, received)
        if self._on_received:
            self._on_received(received)
        return answer

    def failed(self, error: Exception) -> None:
        """Remember an error of the test's own code, to raise it in the test's own thread."""
        with self._changed:
            self._errors.append(error)

    def _choose(self) -> Answer | Responder:
        if not self._rules:
            return self._standing
        rule = self._rules[0]
        rule.left -= 1
        if not rule.left:
            self._rules.popleft()
        return rule.answer

    def _ask(self, responder: Responder, received: Received) -> Answer:
        try:
            said = self._respond(responder, received)
        except Exception as error:  # noqa: BLE001 - it is the test's, and is raised there
            self.failed(error)
            said = Answer(500, f"the answer raised {error!r}".encode())
        answer = Answer(said) if isinstance(said, int) else said
        received.answer = None if answer.drop else answer.status
        return answer

    def _respond(self, responder: Responder, received: Received) -> Answer | int:
        return responder(received)

    def _verify(self, headers: ReceivedHeaders, body: bytes) -> tuple[bool | None, str | None]:
        if self.secret is None:
            return None, None
        tolerance, now = self.tolerance, self._now()
        try:
            verify(body, headers, self.secret, tolerance=tolerance, now=now)
        except VerificationError as error:
            if error.reason == Reason.BAD_BODY:
                return True, str(error)
            found = diagnose(body, headers, self.secret, tolerance=tolerance, now=now)
            return False, str(error) if found.cause is Cause.UNKNOWN else str(found)
        return True, None
