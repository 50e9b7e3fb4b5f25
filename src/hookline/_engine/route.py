"""Which endpoints want a message. Pure; the stores call it inside their routing transaction."""

from collections.abc import Iterable, Sequence

from hookline._domain.endpoint import Target, matches

MOST_REMEMBERED = 10_000
"""Event types remembered per table: a bound for applications that invent them as they go."""


class RoutingTable:
    """The endpoints of one application, as of one revision of it."""

    def __init__(self, revision: int, subscribers: Iterable[tuple[Sequence[str], Target]]) -> None:
        """Take each endpoint's subscriptions and target, in the order of their keys."""
        self.revision = revision
        self._subscribers = tuple(subscribers)
        self._wanted: dict[str, tuple[Target, ...]] = {}

    def wanted(self, event_type: str) -> tuple[Target, ...]:
        """Return the targets that want the event type, disabled ones too, in key order."""
        found = self._wanted.get(event_type)
        if found is None:
            if len(self._wanted) >= MOST_REMEMBERED:
                self._wanted.clear()
            found = tuple(t for events, t in self._subscribers if matches(events, event_type))
            self._wanted[event_type] = found
        return found
