"""Which endpoints want a message. Pure; the stores call it inside their routing transaction."""

import json
from collections.abc import Collection, Iterable
from typing import NamedTuple

from hookline._domain.endpoint import Target, in_channels, matches

MOST_REMEMBERED = 10_000
"""Kinds of message remembered per table: a bound for applications that invent them as they go."""


class Subscriber(NamedTuple):
    """An endpoint: the event types it wants, and the channels, none for all of them."""

    events: Collection[str]
    channels: Collection[str]
    target: Target

    def wants(self, event_type: str, channels: Collection[str]) -> bool:
        """Return whether it wants a message of this type, sent to these channels."""
        return in_channels(self.channels, channels) and matches(self.events, event_type)


class RoutingTable:
    """The endpoints of one application, as of one revision of it."""

    def __init__(self, revision: int, subscribers: Iterable[Subscriber]) -> None:
        """Take the endpoints in the order of their keys."""
        self.revision = revision
        self._subscribers = tuple(subscribers)
        self._wanted: dict[tuple[str, str | None], tuple[Target, ...]] = {}

    def wanted(self, event_type: str, channels: str | None = None) -> tuple[Target, ...]:
        """Return the targets that want a message, disabled ones too, in key order.

        `channels` are the message's, as JSON.
        """
        found = self._wanted.get((event_type, channels))
        if found is None:
            if len(self._wanted) >= MOST_REMEMBERED:
                self._wanted.clear()
            names = json.loads(channels) if channels else ()
            found = tuple(s.target for s in self._subscribers if s.wants(event_type, names))
            self._wanted[event_type, channels] = found
        return found
