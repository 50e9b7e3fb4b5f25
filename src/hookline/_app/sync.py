"""The façade for code without an event loop: each method waits for the coroutine of that name.

Nothing is done twice: the coroutines are those of `Webhooks`, and run on the engine's own loop. The
one exception is publishing in the caller's transaction, which stays on the caller's thread, where
the connection belongs.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from enum import Enum
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, Unpack, overload

from hookline._app.application import ApplicationWebhooks
from hookline._app.applications import Applications
from hookline._app.event_types import EventTypes
from hookline._app.publishing import Publishable, TriggerOptions
from hookline._app.runtime import Runtime
from hookline._domain.delivery import DeliveryStatus
from hookline._domain.instance import MISSING, Instance
from hookline._domain.replay import Job
from hookline._engine.receipt import Receipt
from hookline._storage.default import DEFAULT_APPLICATION
from hookline._storage.joined import is_asynchronous
from hookline.errors import SessionMismatch, StorageError

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_END = object()


class SyncReceipt:
    """A `Receipt` whose `delivered` waits."""

    def __init__(self, receipt: Receipt, face: "Face[Any]") -> None:
        """`face` waits."""
        self._receipt = receipt
        self._face = face
        self.message_id = receipt.message_id
        self.event = receipt.event
        self.duplicate = receipt.duplicate

    def __repr__(self) -> str:
        return f"Sync{self._receipt!r}"

    def delivered(self, timeout: float = 30.0) -> list[DeliveryStatus]:
        """Wait until every delivery is final; see `Receipt.delivered`."""
        return self._face.wait(self._receipt.delivered(timeout))


class Face(Generic[S]):
    """What is behind a synchronous face, and how its coroutines are waited for."""

    def __init__(self, of: S, runtime: Runtime) -> None:
        """`of` runs on that runtime."""
        self._of = of
        self._runtime = runtime

    def wait(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine of Hookline's on the engine's loop and return what it returns.

        Starts the engine when nobody did. Raises RuntimeError on the engine's own thread, which
        would wait for itself.
        """
        return self._runtime.wait(coroutine)

    def _each(self, found: AsyncIterator[R]) -> Iterator[R]:
        async def following() -> Any:
            return await anext(found, _END)

        while (item := self.wait(following())) is not _END:
            yield item

    def _joining(self, coroutine: Coroutine[Any, Any, R], held: object) -> R:
        """Publish in the caller's transaction, here: a connection belongs to its thread."""
        try:
            if is_asynchronous(held):
                raise SessionMismatch(
                    f"session: a {type(held).__name__} is asynchronous; use await "
                    "webhooks.trigger(…), or hand over a synchronous one"
                )
            if self._runtime.engine is None:
                self._runtime.start()
            coroutine.send(None)  # to its end: nothing in it waits
        except StopIteration as end:
            result: R = end.value
            return result
        finally:
            coroutine.close()
        raise StorageError("Hookline was stopped meanwhile; nothing was published")


class _Method(Generic[S, P, T, R]):
    """A method that waits for a coroutine of that name."""

    def __init__(self, method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, face: None, owner: Any = None) -> Self: ...

    @overload
    def __get__(self, face: Face[Any], owner: Any = None) -> Callable[P, R]: ...

    def __get__(self, face: Face[Any] | None, owner: Any = None) -> Any:
        if face is None:
            return self

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            coroutine = self._method(face._of, *args, **kwargs)  # noqa: SLF001 - one house
            return self._result(face, coroutine, kwargs)

        return wraps(self._method)(call)

    def _result(
        self, face: Face[Any], coroutine: Coroutine[Any, Any, T], kwargs: dict[str, Any]
    ) -> R:
        raise NotImplementedError


class Waiting(_Method[S, P, T, T]):
    """One that runs on the engine's loop."""

    def _result(self, face: Face[Any], coroutine: Any, kwargs: Any) -> T:  # noqa: ARG002
        result: T = face.wait(coroutine)
        return result


class Apart(_Method[S, P, T, T]):
    """One that needs no engine, and runs on a loop of its own."""

    def _result(self, face: Face[Any], coroutine: Any, kwargs: Any) -> T:  # noqa: ARG002
        result: T = asyncio.run(coroutine)
        return result


def _published(face: Face[Any], coroutine: Coroutine[Any, Any, T], kwargs: dict[str, Any]) -> T:
    held = kwargs.get("session")
    held = kwargs.get("connection") if held is None else held
    return face.wait(coroutine) if held is None else face._joining(coroutine, held)  # noqa: SLF001


class _One(_Method[S, P, Receipt, SyncReceipt]):
    def _result(self, face: Face[Any], coroutine: Any, kwargs: Any) -> SyncReceipt:
        return SyncReceipt(_published(face, coroutine, kwargs), face)


class _Several(_Method[S, P, list[Receipt], list[SyncReceipt]]):
    def _result(self, face: Face[Any], coroutine: Any, kwargs: Any) -> list[SyncReceipt]:
        return [SyncReceipt(receipt, face) for receipt in _published(face, coroutine, kwargs)]


class SyncPublisher:
    """A `Publisher` that waits."""

    def __init__(self, webhooks: "SyncApplication", held: Any) -> None:
        """`held` is a synchronous session or connection."""
        self._webhooks = webhooks
        self._held = held

    def trigger(
        self,
        event: str | Enum | Instance,
        data: Any = MISSING,
        metadata: Any = None,
        **options: Unpack[TriggerOptions],
    ) -> SyncReceipt:
        """Publish an event in the transaction; see `Webhooks.trigger`."""
        return self._webhooks.trigger(event, data, metadata, session=self._held, **options)

    def trigger_many(self, events: Iterable[Publishable]) -> list[SyncReceipt]:
        """Publish several events in the transaction; see `Webhooks.trigger_many`."""
        return self._webhooks.trigger_many(events, session=self._held)


class SyncApplication(Face[ApplicationWebhooks]):
    """`ApplicationWebhooks` for code without an event loop; see there for each method."""

    @property
    def id(self) -> str:
        """The application's id."""
        return self._of.id

    def within(self, held: Any) -> SyncPublisher:
        """Return what publishes in the transaction of a synchronous session or connection."""
        return SyncPublisher(self, held)

    def enclose(
        self,
        connection: Any,
        events: Iterable[Publishable],
        *,
        application: str = DEFAULT_APPLICATION,
    ) -> list[SyncReceipt]:
        """Publish in the transaction of a connection, and open nothing else: `Webhooks.enclose`."""
        receipts = self._of.enclose(connection, events, application=application)
        return [SyncReceipt(receipt, self) for receipt in receipts]

    def watch_job(self, job_id: str) -> Iterator[Job]:
        """Yield a replay as it is, and again whenever it got further, until it has ended."""
        return self._each(self._of.watch_job(job_id))

    trigger = _One(ApplicationWebhooks.trigger)
    trigger_many = _Several(ApplicationWebhooks.trigger_many)
    publish = _One(ApplicationWebhooks.publish)
    cancel = Waiting(ApplicationWebhooks.cancel)

    endpoint = Waiting(ApplicationWebhooks.endpoint)
    endpoints = Waiting(ApplicationWebhooks.endpoints)
    endpoint_page = Waiting(ApplicationWebhooks.endpoint_page)
    create_endpoint = Waiting(ApplicationWebhooks.create_endpoint)
    update_endpoint = Waiting(ApplicationWebhooks.update_endpoint)
    delete_endpoint = Waiting(ApplicationWebhooks.delete_endpoint)
    endpoint_health = Waiting(ApplicationWebhooks.endpoint_health)
    endpoint_stats = Waiting(ApplicationWebhooks.endpoint_stats)
    pause = Waiting(ApplicationWebhooks.pause)
    resume = Waiting(ApplicationWebhooks.resume)
    rotate_secret = Waiting(ApplicationWebhooks.rotate_secret)
    show_secret = Waiting(ApplicationWebhooks.show_secret)
    disable = Waiting(ApplicationWebhooks.disable)
    enable = Waiting(ApplicationWebhooks.enable)
    change_url = Waiting(ApplicationWebhooks.change_url)
    verify_endpoint = Waiting(ApplicationWebhooks.verify_endpoint)
    send_test = _One(ApplicationWebhooks.send_test)
    send_to = _One(ApplicationWebhooks.send_to)
    check_receiver = Waiting(ApplicationWebhooks.check_receiver)
    try_filter = Waiting(ApplicationWebhooks.try_filter)
    try_transform = Waiting(ApplicationWebhooks.try_transform)

    message = Waiting(ApplicationWebhooks.message)
    messages = Waiting(ApplicationWebhooks.messages)
    attempt = Waiting(ApplicationWebhooks.attempt)
    attempts = Waiting(ApplicationWebhooks.attempts)
    attempts_of = Waiting(ApplicationWebhooks.attempts_of)
    attempts_at = Waiting(ApplicationWebhooks.attempts_at)
    attempted = Waiting(ApplicationWebhooks.attempted)
    destinations = Waiting(ApplicationWebhooks.destinations)
    resend = Waiting(ApplicationWebhooks.resend)
    erase = Waiting(ApplicationWebhooks.erase)
    erase_answer = Waiting(ApplicationWebhooks.erase_answer)
    erase_all = Waiting(ApplicationWebhooks.erase_all)
    usage = Waiting(ApplicationWebhooks.usage)
    figures = Waiting(ApplicationWebhooks.figures)
    figures_of_each = Waiting(ApplicationWebhooks.figures_of_each)

    replay = Waiting(ApplicationWebhooks.replay)
    job = Waiting(ApplicationWebhooks.job)
    jobs = Waiting(ApplicationWebhooks.jobs)
    job_page = Waiting(ApplicationWebhooks.job_page)
    cancel_job = Waiting(ApplicationWebhooks.cancel_job)


class SyncApplications(Face[Applications]):
    """`Webhooks.applications` for code without an event loop."""

    create = Waiting(Applications.create)
    ensure = Waiting(Applications.ensure)
    restore = Waiting(Applications.restore)
    get = Waiting(Applications.get)
    page = Waiting(Applications.page)
    update = Waiting(Applications.update)
    delete = Waiting(Applications.delete)


class SyncEventTypes(Face[EventTypes]):
    """`Webhooks.event_types` for code without an event loop."""

    create = Waiting(EventTypes.create)
    get = Waiting(EventTypes.get)
    page = Waiting(EventTypes.page)
    update = Waiting(EventTypes.update)
    delete = Waiting(EventTypes.delete)
