"""One request that arrived, and what is answered to it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from hookline._domain.handshake import EVENT as CHALLENGE


class ReceivedHeaders(Mapping[str, str]):
    """Headers as they came: names in any case, repeated ones kept apart.

    A lookup joins repeated values with ", " (RFC 9110 §5.3); `get_all` returns them one by one.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = tuple(pairs)

    def __getitem__(self, name: str) -> str:
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self._pairs))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._pairs})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._pairs)!r})"

    def get_all(self, name: str) -> list[str]:
        """Return every value of a header, in the order they came."""
        return [value for each, value in self._pairs if each.lower() == name.lower()]

    def multi_items(self) -> list[tuple[str, str]]:
        """Return all pairs, names as written, in the order they came."""
        return list(self._pairs)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver answers, see `Receiver.answer`."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False


@dataclass(slots=True)
class Received:
    """One request that arrived."""

    number: int
    """1, 2, 3 … in the order of arrival."""
    method: str
    path: str
    """The request target as sent, query included."""
    headers: ReceivedHeaders
    body: bytes = field(repr=False)
    arrived_at: datetime
    verified: bool | None = None
    """Whether the signature fits; None when the receiver has no secret."""
    problem: str | None = None
    """Why it is not verified, or what is wrong with a verified body."""
    answer: int | None = None
    """The status given in answer; None when the connection was dropped."""

    def json(self) -> Any:
        """Return the parsed body; raises ValueError when it is not JSON."""
        return json.loads(self.body)

    @property
    def event(self) -> str:
        """The event type by header, else by the body's `event`, else ""."""
        if named := self.headers.get("x-webhook-event"):
            return named
        try:
            payload = self.json()
        except (ValueError, RecursionError):
            return ""
        named = payload.get("event") if isinstance(payload, dict) else None
        return named if isinstance(named, str) else ""

    @property
    def id(self) -> str | None:
        """The message id, the same on every retry."""
        return self.headers.get("webhook-id") or self.headers.get("svix-id")

    @property
    def attempt(self) -> int | None:
        """The number of the attempt, from 1; None where the sender does not say."""
        text = self.headers.get("x-webhook-attempt", "")
        return (
            int(text) if text.isascii() and text.isdigit() and len(text) < len("10000000") else None
        )

    def __str__(self) -> str:
        verdict = {True: "verified", False: f"NOT verified: {self.problem}", None: "no secret"}
        answer = "dropped" if self.answer is None else f"answered {self.answer}"
        return (
            f"{self.number}. {self.method} {self.path} {self.event or '(no event)'} "
            f"id={self.id} attempt={self.attempt} {verdict[self.verified]}, {answer}"
        )


Responder: TypeAlias = Callable[[Received], Answer | int]
"""Decides the answer to one request; runs in the thread of its connection."""


def agree(received: Received) -> Answer:
    """Answer the handshake's question as a receiver should, and everything else with 200.

    `receiver.answer(agree)`. A question whose signature does not fit is not answered.
    """
    if received.event != CHALLENGE or received.verified is False:
        return Answer()
    try:
        text = received.json()["data"]["challenge"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return Answer()
    body = json.dumps({"challenge": text}).encode()
    return Answer(body=body, headers={"Content-Type": "application/json"})
