"""Receivers without a network: what a URL is answered with, inside this process."""

import asyncio
import ipaddress
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from inspect import isawaitable
from typing import Any

from hookline._domain.delivery import Failure, Outcome, Timings, judge_status
from hookline._domain.url import Url, parse
from hookline._engine.clock import FakeClock
from hookline._ports import Request, Results, Sender
from hookline.receiver import TOLERANCE
from hookline.testing._received import Answer, Received, Responder
from hookline.testing._recorder import Recorder

AT_ONCE = 16
"""Requests that are answered at the same time."""


class LocalReceiver(Recorder):
    """Stands for a URL without any network; records, verifies and answers as `Receiver` does.

    Made by `WebhookOutbox.receive`. A `delay` is not waited for: beyond the endpoint's timeout it
    is a timeout.
    """

    def __init__(
        self,
        url: str,
        secret: str | Sequence[str] | None = None,
        *,
        tolerance: float | timedelta | None = TOLERANCE,
        clock: FakeClock | None = None,
    ) -> None:
        """Raises InvalidUrl, or InvalidSecret."""
        super().__init__(secret, tolerance=tolerance, clock=clock)
        self.url = str(parse(url))
        """The URL to register."""

    def handle(self, request: Request) -> Outcome:
        """Take a request; runs in a thread of its own."""
        lines = (line.partition(":") for line in request.header_lines)
        headers = [(name, value.strip()) for name, _, value in lines if value.strip()]
        answer = self.take(request.method, request.url.target, headers, request.body)
        if answer.drop:
            return Outcome(failure=Failure.RESET)
        if answer.delay * 1000 >= request.timeout_ms:
            return Outcome(
                failure=Failure.TIMEOUT, timings=Timings(total=request.timeout_ms * 1000)
            )
        return Outcome(
            status=answer.status,
            failure=judge_status(answer.status),
            headers=tuple((name.lower(), value) for name, value in answer.headers.items()),
            body=answer.body,
            timings=Timings(total=round(answer.delay * 1e6)),
        )

    def _respond(self, responder: Responder, received: Received) -> Answer | int:
        said = responder(received)
        return asyncio.run(_awaited(said)) if isawaitable(said) else said


async def _awaited(said: Any) -> Answer | int:
    answer: Answer | int = await said
    return answer


AsyncResponder = Callable[[Received], Coroutine[Any, Any, Answer | int]]


class LocalSender:
    """`_ports.Sender` that reaches local receivers and, through a real one, this machine.

    Nothing else: a test must not call a customer.
    """

    def __init__(self, real: Sender, receivers: dict[str, LocalReceiver]) -> None:
        """`real` sends to loopback addresses; `receivers` are asked by URL at each request."""
        self._real = real
        self._receivers = receivers
        self._pool: ThreadPoolExecutor | None = None
        self._on_results: Callable[[Results], None] = _nowhere

    def start(self, on_results: Callable[[Results], None]) -> None:
        """Start the real sender and a pool of threads."""
        self._on_results = on_results
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="local-receiver")
        self._real.start(on_results)

    def send(self, requests: Sequence[Request]) -> None:
        """Answer requests, each in a thread, or send them to this machine."""
        outside = []
        for request in requests:
            receiver = self._receivers.get(str(request.url))
            if receiver is not None and self._pool is not None:
                self._pool.submit(self._handle, receiver, request)
            elif is_here(request.url):
                outside.append(request)
            else:
                self._on_results([(request.tag, _nobody(request.url))])
        if outside:
            self._real.send(outside)

    def stop(self) -> None:
        """Stop. Safe to call twice."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
            self._real.stop()

    def _handle(self, receiver: LocalReceiver, request: Request) -> None:
        try:
            outcome = receiver.handle(request)
        except Exception as error:  # noqa: BLE001 - it is the test's, and is raised there
            receiver.failed(error)
            outcome = Outcome(failure=Failure.OTHER, detail=f"the receiver raised {error!r}"[:200])
        self._on_results([(request.tag, outcome)])


def is_here(url: Url) -> bool:
    """Tell whether a URL is on this machine's loopback."""
    with suppress(ValueError):
        return ipaddress.ip_address(url.host.strip("[]")).is_loopback
    return url.host == "localhost"


def _nobody(url: Url) -> Outcome:
    detail = f"nobody stands for it in this test; webhook_outbox.receive({str(url)!r})"
    return Outcome(failure=Failure.OTHER, detail=detail[:200])


def _nowhere(_results: Results) -> None:
    """Leave results where nobody asked for any."""
