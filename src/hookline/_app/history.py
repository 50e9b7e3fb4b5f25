"""Looking up what was published and what became of it, and sending or erasing single messages."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from datetime import datetime
from enum import Enum

from hookline._app.scope import Scope
from hookline._domain import check, ids
from hookline._domain.delivery import Attempt, DeliveryStatus
from hookline._domain.endpoint import Endpoint, in_channels, matches
from hookline._domain.history import Attempted, AttemptOf, Filter, Followed, Head, Message
from hookline._domain.page import NEWEST, Page, Window
from hookline._domain.usage import Usage, span
from hookline._engine.engine import Engine
from hookline._said import Said
from hookline._storage.rows import first_key
from hookline.errors import AttemptNotFound, InvalidInput, MessageNotFound


class History(Scope):
    """The messages of one application."""

    async def message(self, name: str) -> Message:
        """Return a message by id (`msg_…`) or by event id; raise MessageNotFound."""
        key = await self._message_key(name)
        found = await self._read([key])
        if not found:
            raise MessageNotFound(Said("no message {name!r} (any more)", name=name))
        return found[0]

    async def messages(
        self, wanted: Filter | None = None, window: Window | None = None
    ) -> Page[Message]:
        """Return messages, the newest first. A page may be short and still have more behind it."""
        which, part = wanted or Filter(), window or NEWEST
        return await self._ask(lambda e, app: e.store.history.messages(app, which, part))

    async def follow(
        self,
        events: Iterable[str | Enum] = ("*",),
        channels: Collection[str] = (),
        *,
        after: str | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[Followed]:
        """Yield messages as they are published, once a second, also when there is none.

        Those an endpoint with these `events` and `channels` would get, whenever they are to be
        sent; neither erased nor canceled ones. From now on; or `since` a time; or `after` a
        `position` that was yielded before: those of the 10 seconds before it come again, among them
        what was committed late. A message that took longer to be committed may be missed.
        """
        wanted = self._admission.catalogue.subscriptions(events)
        floor = self._floor(after, since)
        seen: set[bytes] = set()
        position = floor
        while True:
            at = self._runtime.clock.now()
            heads = await self._heads(floor)
            fresh = [head for head in heads if head.key not in seen]
            seen.update(head.key for head in fresh)
            mine = [head.key for head in fresh if _is_for(head, wanted, channels)]
            position = max([position, *(head.key for head in fresh)])
            for some in range(0, len(mine) or 1, FOLLOWED):
                part = await self._read(mine[some : some + FOLLOWED])
                found = [each for each in part if not each.erased and not each.canceled_at]
                yield Followed(found, ids.encode(ids.MESSAGE, position))
            if len(heads) == HEADS:
                floor = heads[-1].key  # there are more
                continue
            # What is older than this and not yet committed is not waited for.
            floor = max(floor, first_key(at - LATE_MS))
            position = max(position, floor)
            seen = {key for key in seen if key > floor}
            await asyncio.sleep(LOOK)

    def _floor(self, after: str | None, since: datetime | None) -> bytes:
        if after is None:
            now = self._runtime.clock.now()
            return first_key(now if since is None else check.milliseconds("since", since))
        key = ids.decode(ids.MESSAGE, after)
        if key is None:
            raise InvalidInput(f"after: {after!r} is no position, msg_…")
        return first_key(ids.milliseconds(key) - LATE_MS)

    async def _heads(self, after: bytes) -> list[Head]:
        return await self._ask(lambda e, app: e.store.history.heads(app, after, HEADS))

    async def _read(self, keys: Sequence[bytes]) -> list[Message]:
        return await self._ask(lambda e, app: e.store.history.read(app, keys))

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

    async def usage(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[Usage]:
        """Count messages and attempts day by day (UTC), the oldest first; 30 days by default.

        From the day of `since` until before `until`, 366 days at most; days without any are left
        out. Days that are over are kept when messages and log have gone by retention.
        """
        now = self._runtime.clock.now()
        days = span(since, until, now)
        return await self._ask(lambda e, app: e.store.usage.days(app, days, now))

    async def erase(self, message_id: str) -> None:
        """Erase what a message said and what was answered to it; that it was sent stays known."""
        key = await self._message_key(message_id)
        await self._ask(lambda e, _: e.store.erase(key, e.clock.now()))

    async def erase_answer(self, message_id: str, attempt_id: str) -> None:
        """Erase what was answered to one attempt; raise AttemptNotFound."""
        key, own = await self._message_key(message_id), _attempt_key(attempt_id)
        if not await self._ask(lambda e, _: e.store.history.forget_answer(key, own, e.clock.now())):
            raise _no_attempt(attempt_id)


LOOK = 1.0
"""Seconds between looks for new messages."""
LATE_MS = 10_000
"""Milliseconds a message may take from its id to its commit, and is still seen by who follows."""
HEADS = 5000
FOLLOWED = 20
"""Messages of one look, and those read and yielded at once."""


def _is_for(head: Head, events: Iterable[str], channels: Collection[str]) -> bool:
    return in_channels(channels, head.channels) and matches(events, head.event_type)


def _attempt_key(attempt_id: str) -> bytes:
    key = ids.decode(ids.ATTEMPT, attempt_id)
    if key is None:
        raise _no_attempt(attempt_id)
    return key


def _no_attempt(attempt_id: str) -> AttemptNotFound:
    return AttemptNotFound(Said("no attempt {name!r} of that message", name=attempt_id))
