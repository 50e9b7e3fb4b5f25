"""Looking up what was published and what became of it, and sending or erasing single messages."""

from hookline._app.scope import Scope
from hookline._domain import ids
from hookline._domain.delivery import Attempt, DeliveryStatus
from hookline._domain.endpoint import Endpoint
from hookline._domain.history import Attempted, AttemptOf, Filter, Message
from hookline._domain.page import Page, Window
from hookline._engine.engine import Engine
from hookline.errors import AttemptNotFound, MessageNotFound


class History(Scope):
    """The messages of one application."""

    async def message(self, name: str) -> Message:
        """Return a message by id (`msg_…`) or by event id; raise MessageNotFound."""
        key = await self._message_key(name)
        found = await self._ask(lambda e, app: e.store.history.message(app, key))
        if found is None:
            raise MessageNotFound(f"no message {name!r} (any more)")
        return found

    async def messages(
        self, wanted: Filter | None = None, window: Window | None = None
    ) -> Page[Message]:
        """Return messages, the newest first. A page may be short and still have more behind it."""
        which, part = wanted or Filter(), window or NEWEST
        return await self._ask(lambda e, app: e.store.history.messages(app, which, part))

    async def attempts(self, message_id: str) -> list[Attempt]:
        """Return the log of a message, oldest attempt first; MessageNotFound for an unknown one."""
        key = await self._message_key(message_id)
        return await self._ask(lambda e, _: e.store.attempts(key))

    async def attempt(self, message_id: str, attempt_id: str) -> AttemptOf:
        """Return one attempt, with its message; raise AttemptNotFound."""
        key, own = await self._message_key(message_id), _attempt_key(attempt_id)
        found = await self._ask(lambda e, _: e.store.history.attempt(key, own))
        if found is None:
            raise _no_attempt(attempt_id)
        return found

    async def attempts_of(
        self, message_id: str, wanted: Filter | None = None, window: Window | None = None
    ) -> Page[AttemptOf]:
        """Return the attempts made for a message, the newest first."""
        key, which, part = await self._message_key(message_id), wanted or Filter(), window or NEWEST
        return await self._ask(lambda e, _: e.store.history.attempts_of_message(key, which, part))

    async def attempts_at(
        self,
        endpoint: str | Endpoint,
        wanted: Filter | None = None,
        window: Window | None = None,
    ) -> Page[AttemptOf]:
        """Return the attempts made at an endpoint, the newest first."""
        key, which, part = await self._endpoint_key(endpoint), wanted or Filter(), window or NEWEST
        return await self._ask(lambda e, _: e.store.history.attempts_at_endpoint(key, which, part))

    async def attempted(
        self,
        endpoint: str | Endpoint,
        wanted: Filter | None = None,
        window: Window | None = None,
    ) -> Page[Attempted]:
        """Return the messages sent to an endpoint, or to be sent, and where each stands there."""
        key, which, part = await self._endpoint_key(endpoint), wanted or Filter(), window or NEWEST
        return await self._ask(
            lambda e, app: e.store.history.attempted(app, key, which, part, e.clock.now())
        )

    async def destinations(self, message_id: str) -> list[tuple[Endpoint, DeliveryStatus]]:
        """Return the endpoints a message goes to, and where it stands at each.

        Empty until it is routed; endpoints that were deleted since are left out.
        """
        key = await self._message_key(message_id)

        async def look(engine: Engine, app: bytes) -> list[tuple[Endpoint, DeliveryStatus]]:
            stands = await engine.store.deliveries(key, engine.clock.now()) or []
            keys = [ids.decode(ids.ENDPOINT, each.endpoint_id) or b"" for each in stands]
            found = await engine.store.endpoints.get(app, keys)
            pairs = zip(keys, stands, strict=True)
            return [(found[own], status) for own, status in pairs if own in found]

        return await self._ask(look)

    async def resend(self, message_id: str, endpoint: str | Endpoint) -> bool:
        """Send a message to an endpoint once more, now; False when it is just being sent.

        (Or when it waits for its turn at an ordered endpoint.)

        A manual attempt that fails leaves the automatic schedule as it was; when none was running,
        a fresh one starts. Raises MessageNotFound, EndpointNotFound, or InvalidInput when what
        the message said was erased.
        """
        message, key = await self._message_key(message_id), await self._endpoint_key(endpoint)

        async def resend(engine: Engine, _: bytes) -> bool:
            done = await engine.store.resend(message, key, engine.clock.now())
            engine.ring_due()
            return done

        return await self._ask(resend)

    async def erase(self, message_id: str) -> None:
        """Erase what a message said and what was answered to it; that it was sent stays known."""
        key = await self._message_key(message_id)
        await self._ask(lambda e, _: e.store.erase(key, e.clock.now()))

    async def erase_answer(self, message_id: str, attempt_id: str) -> None:
        """Erase what was answered to one attempt; raise AttemptNotFound."""
        key, own = await self._message_key(message_id), _attempt_key(attempt_id)
        if not await self._ask(lambda e, _: e.store.history.forget_answer(key, own)):
            raise _no_attempt(attempt_id)


NEWEST = Window(descending=True)


def _attempt_key(attempt_id: str) -> bytes:
    key = ids.decode(ids.ATTEMPT, attempt_id)
    if key is None:
        raise _no_attempt(attempt_id)
    return key


def _no_attempt(attempt_id: str) -> AttemptNotFound:
    return AttemptNotFound(f"no attempt {attempt_id!r} of that message")
