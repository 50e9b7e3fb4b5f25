"""A message that was published, as a test sees it, and how what was published is shown."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from hookline._domain.history import Message
from hookline.testing._lookups import Lookup

SHOWN = 20
WIDTH = 300
"""How many messages an error shows, and how many characters of each."""


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that was published and committed. `payload` is its body, parsed."""

    id: str
    event: str
    data: Any
    """What was given to `trigger`; of `publish`, the whole body."""
    metadata: Any
    application: str
    """The uid of the application, or its id where it has none."""
    created_at: datetime
    body: bytes = field(repr=False)
    payload: Any = field(repr=False)
    event_id: str | None = None
    channels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    ordering_key: str | None = None
    deliver_at: datetime | None = None

    @classmethod
    def of(cls, message: Message, application: str) -> Self:
        """Return what is stored of a message."""
        payload = json.loads(message.body or b"null")
        enveloped = isinstance(payload, dict) and payload.keys() >= {"event", "data"}
        return cls(
            id=message.id,
            event=message.event_type,
            data=payload["data"] if enveloped else payload,
            metadata=payload.get("metadata") if enveloped else None,
            application=application,
            created_at=message.created_at,
            body=message.body,
            payload=payload,
            event_id=message.event_id,
            channels=message.channels,
            tags=message.tags,
            ordering_key=message.ordering_key,
            deliver_at=message.deliver_at,
        )

    def __str__(self) -> str:
        marks = "".join(
            f" {name}={value!r}"
            for name, value in (
                ("metadata", self.metadata),
                ("application", self.application if self.application != "default" else None),
                ("event_id", self.event_id),
                ("channels", self.channels),
                ("tags", self.tags),
            )
            if value
        )
        return shortened(f"{self.event} {shown(self.data)}{marks}")


def shown(value: Any) -> str:
    """Return a value as JSON shows it, readable in any script."""
    return json.dumps(value, ensure_ascii=False, default=repr)


def shortened(text: str, width: int = WIDTH) -> str:
    """Return a text that is not longer than that."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def listing(sent: Sequence[SentMessage]) -> str:
    """Return what was sent, a line each, the last ones."""
    if not sent:
        return "\nNothing was sent."
    first = max(0, len(sent) - SHOWN)
    lines = [f"  {i}. {each}" for i, each in enumerate(sent[first:], first + 1)]
    return "\n".join([f"\nSent ({len(sent)}):", *(["  …"] if first else []), *lines])


def nearest(event: str, lookups: Iterable[Lookup], sent: Sequence[SentMessage]) -> str:
    """Return what the most similar message has otherwise than expected; "" where none is similar.

    Similar is one of the same event, or one that meets some of the lookups.
    """
    wanted = list(lookups)

    def likeness(message: SentMessage) -> tuple[bool, int]:
        return message.event == event, sum(each.holds(message) for each in wanted)

    best = max(reversed(sent), key=likeness, default=None)
    if best is None or likeness(best) == (False, 0):
        return ""
    lines = [f"\nNearest: {best}"]
    if best.event != event:
        lines.append(f"  event: expected {event!r}, found {best.event!r}")
    for each in wanted:
        if not each.holds(best):
            where = "__".join(each.path)
            how = "" if each.operator == "exact" else f"{each.operator} "
            found = shortened(repr(each.find(best)))
            lines.append(f"  {where}: expected {how}{each.wanted!r}, found {found}")
    return "\n".join(lines)
