"""What an application published during a test: asserted, delivered, and gone afterwards."""

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hookline._app import Webhooks
from hookline._app.webhooks import living, newcomers
from hookline._domain.endpoint import event_text
from hookline._engine.clock import FakeClock
from hookline.testing._aside import Aside
from hookline.testing._local import AsyncResponder, LocalReceiver
from hookline.testing._lookups import Lookup
from hookline.testing._sent import SentMessage, listing, nearest

if TYPE_CHECKING:
    from hookline.testing._received import Responder

BLOCKED_STEP = 60_000
"""Milliseconds the clock is moved by when only time says what holds something back."""


class WebhookOutbox:
    """Holds what the application publishes, for a test to look at; nothing leaves the machine.

        with WebhookOutbox() as outbox:
            client.post("/customers", json={"name": "张三"})
            outbox.assert_sent("customer.created", data__name="张三", times=1)

    In the meantime every `Webhooks` of the process (also one that is made then), or those that are
    given, runs on an empty SQLite file of its own; an engine that ran before goes on afterwards.
    With `session=`, what the application commits counts, whatever database that is on; what it
    rolls back does not. Nothing is delivered before `drain`, or with `inline` whenever something is
    published: then to receivers made with `receive`, and to URLs on this machine's loopback.

    `clock` stands still, at the present time unless one is given.
    """

    def __init__(
        self, *webhooks: Webhooks, clock: FakeClock | None = None, inline: bool = False
    ) -> None:
        """Takes effect with `start`, or in a `with`."""
        self.clock = clock or FakeClock.at_present()
        self._chosen = webhooks
        self._inline = inline
        self._receivers: dict[str, LocalReceiver] = {}
        self._asides: list[Aside] = []
        self._cleared: frozenset[str] = frozenset()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    # Life ----------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Begin. Safe to call twice."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="hookline-outbox-")
            for each in self._chosen or sorted(living, key=id):
                self._take(each)
            if not self._chosen:
                newcomers.append(self._take_newcomer)
        return self

    def close(self) -> None:
        """Put everything back as it was. Safe to call twice."""
        folder, self._folder = self._folder, None
        if folder is None:
            return
        if self._take_newcomer in newcomers:
            newcomers.remove(self._take_newcomer)
        for each in self._asides:
            each.end()
        self._asides = []
        folder.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()
        if error is None:
            self._check_receivers()

    def _take_newcomer(self, webhooks: Webhooks) -> None:
        self._take(webhooks, newcomer=True)

    def _take(self, webhooks: Webhooks, *, newcomer: bool = False) -> None:
        self._asides.append(
            Aside(
                webhooks,
                self._path(),
                self.clock,
                self._receivers,
                inline=self._inline,
                newcomer=newcomer,
            )
        )

    def _path(self) -> Path:
        if self._folder is None:
            raise RuntimeError("the outbox is not open: use it in a `with`, or call start()")
        return Path(self._folder.name)

    # What was published --------------------------------------------------------------------------

    @property
    def messages(self) -> list[SentMessage]:
        """What was published and committed since the beginning or the last `clear`, oldest first.

        A repeat under an idempotency key is no message.
        """
        self._path()
        found = [each for aside in self._asides for each in aside.sent()]
        return [m for m in sorted(found, key=lambda m: m.id) if m.id not in self._cleared]

    @property
    def last(self) -> SentMessage:
        """The newest of them; AssertionError when there is none."""
        __tracebackhide__ = True
        messages = self.messages
        if not messages:
            raise AssertionError(f"no webhook was sent{self._uncommitted()}")
        return messages[-1]

    def clear(self) -> None:
        """Forget what was published so far. What is due is delivered nevertheless."""
        self._cleared |= {each.id for each in self.messages}
        for aside in self._asides:
            aside.joined.rolled_back.clear()

    def assert_sent(
        self, event: str | Enum, *, times: int | None = None, **lookups: Any
    ) -> SentMessage:
        """Return the newest message of an event that meets all lookups; AssertionError without one.

        `times` is how many there have to be, at least one if it is not given. A lookup is a path
        and a value, `data__customer__name="Ada"`; it begins with `data`, `metadata`, `application`,
        `channels`, `tags`, `event_id`, `ordering_key`, `id` or `payload` (the whole body) and may
        end with `contains`, `startswith`, `endswith`, `regex`, `gt`, `gte`, `lt`, `lte`, `in`,
        `len` or `isnull`. Raises UnknownEventType for an event that no catalogue has.
        """
        __tracebackhide__ = True
        if times is not None and times < 1:
            raise ValueError(f"times: {times} is not 1 or more; use assert_not_sent")
        name, wanted = self._expectation(event, lookups)
        sent = self.messages
        found = _matching(sent, name, wanted)
        if found and times in (None, len(found)):
            return found[-1]
        expected = "at least once" if times is None else _times(times)
        raise AssertionError(
            f"{_described(name, wanted)} was sent {_times(len(found))}, expected {expected}"
            f"{self._uncommitted()}"
            f"{'' if found else nearest(name, wanted, sent)}{listing(sent)}"
        )

    def assert_not_sent(self, event: str | Enum, **lookups: Any) -> None:
        """Raise AssertionError when a message of an event meets all lookups. See `assert_sent`."""
        __tracebackhide__ = True
        name, wanted = self._expectation(event, lookups)
        sent = self.messages
        found = _matching(sent, name, wanted)
        if found:
            raise AssertionError(
                f"{_described(name, wanted)} was sent {_times(len(found))}, expected not at all"
                f"{listing(sent)}"
            )

    def assert_nothing_sent(self) -> None:
        """Raise AssertionError when anything was sent at all."""
        __tracebackhide__ = True
        sent = self.messages
        if sent:
            raise AssertionError(f"expected no webhook{listing(sent)}")

    def _expectation(self, event: str | Enum, lookups: dict[str, Any]) -> tuple[str, list[Lookup]]:
        self._path()
        catalogues = [a.webhooks._admission.catalogue for a in self._asides]  # noqa: SLF001
        name = event_text(event)
        if catalogues and all(c.bound and name not in c.names for c in catalogues):
            catalogues[0].event_type(event)  # says what it may have meant
        return name, [Lookup(name, value) for name, value in lookups.items()]

    def _uncommitted(self) -> str:
        said = ""
        for what, messages in (
            (
                "in a transaction that is not committed",
                [m for a in self._asides for m in a.joined.pending],
            ),
            ("rolled back", [m for a in self._asides for m in a.joined.rolled_back]),
        ):
            if messages:
                names = ", ".join(dict.fromkeys(m.event_type for m in messages))
                said += f"; {len(messages)} {what} ({names})"
        return said

    # Delivering ----------------------------------------------------------------------------------

    def receive(
        self,
        url: str,
        answer: "Responder | AsyncResponder | int" = 200,
        *,
        secret: str | Sequence[str] | None = None,
    ) -> LocalReceiver:
        """Return a receiver that stands for a URL, without any network.

        It verifies with `secret`, by the outbox's clock, and answers what `answer` says: a status,
        or a function of the `Received`, which may be a coroutine function. Raises InvalidUrl or
        InvalidSecret.
        """
        receiver = LocalReceiver(url, secret, clock=self.clock)
        receiver.answer(answer)  # type: ignore[arg-type]
        self._receivers[receiver.url] = receiver
        return receiver

    def inline(self, *, on: bool = True) -> Self:
        """From now on, have each publishing deliver before it returns; `on=False`: no more."""
        self._inline = on
        for aside in self._asides:
            aside.inline(on=on)
        return self

    def drain(self) -> None:
        """Deliver all that is due by the clock, and what becomes due by that.

        Blocks: in a coroutine whose loop also receives, use `drained`. Raises what a receiver's
        answer raised, and AssertionError when it is not done within 10 s of real time.
        """
        __tracebackhide__ = True
        self._path()
        for aside in self._asides:
            aside.drain()
        self._check_receivers()

    async def drained(self) -> None:
        """Deliver like `drain`, in a thread, so that the running loop goes on."""
        await asyncio.to_thread(self.drain)

    def advance(self, by: float | timedelta) -> None:
        """Let so many seconds pass by the clock, and deliver what falls due, each at its time."""
        __tracebackhide__ = True
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if seconds < 0:
            raise ValueError(f"by: {seconds:g} s is in the past; clock.advance sets a clock back")
        self.drain()
        left = round(seconds * 1000)
        while left > 0:
            step = min(left, self._until_next())
            for clock in {self.clock, *(a.clock for a in self._asides if a.clock)}:
                clock.advance(step / 1000)
            left -= step
            self.drain()

    async def advanced(self, by: float | timedelta) -> None:
        """Let time pass like `advance`, in a thread, so that the running loop goes on."""
        await asyncio.to_thread(self.advance, by)

    def _until_next(self) -> int:
        steps = [1 << 62]
        for aside in self._asides:
            now = (aside.clock or self.clock).now()
            due = aside.next_due(now)
            steps += [] if due is None else [due - now]
            steps += [BLOCKED_STEP] if aside.blocked(now) else []
        return min(steps)

    def _check_receivers(self) -> None:
        for receiver in self._receivers.values():
            receiver.check()


def _matching(sent: list[SentMessage], name: str, wanted: list[Lookup]) -> list[SentMessage]:
    return [m for m in sent if m.event == name and all(each.holds(m) for each in wanted)]


def _described(name: str, wanted: list[Lookup]) -> str:
    return f"{name} with {', '.join(map(str, wanted))}" if wanted else name


def _times(n: int) -> str:
    return {0: "0 times", 1: "once", 2: "twice"}.get(n, f"{n} times")
