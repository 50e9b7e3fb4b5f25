"""Replay: what is to be sent again, how fast, and how far it got."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hookline._domain.delivery import DeliveryState
from hookline._domain.times import rfc3339
from hookline._said import Said
from hookline.errors import InvalidInput

LIVE_STATES = frozenset({DeliveryState.HELD, DeliveryState.PENDING})
"""What can be replayed and has a live row: `pending` means a retry that waits for its time."""
FINAL_STATES = frozenset({DeliveryState.EXHAUSTED, DeliveryState.SUCCEEDED})
"""What can be replayed and is told by the last attempt in the log."""
FAILED = (DeliveryState.EXHAUSTED, DeliveryState.HELD)
"""What a replay of a time range selects unless told otherwise."""
EVERYTHING = (*FAILED, DeliveryState.PENDING, DeliveryState.SUCCEEDED)
"""What a replay of one message selects unless told otherwise."""


class JobState(StrEnum):
    """The states of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELED = "canceled"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether nothing more happens."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which deliveries a replay makes due. `str` says it in words.

    Messages published from `since` until before `until`, or the one `message`; at one `endpoint`
    or, without it, at every one that is enabled; in one of the `states`; of one of the
    `event_types` (`customer.*` counts for a whole family), or of any when there are none. `missing`
    adds what an endpoint wants today and never got: no delivery, and no attempt. `channel` and
    `tag` narrow it to messages that were sent to the one and have the other, `status_class` to
    deliveries whose last attempt was answered so: 500 for 500 to 599, 0 for no answer.
    """

    since: datetime | None = None
    until: datetime | None = None
    endpoint: str | None = None
    message: str | None = None
    states: tuple[DeliveryState, ...] = FAILED
    event_types: tuple[str, ...] = ()
    missing: bool = False
    channel: str | None = None
    tag: str | None = None
    status_class: int | None = None

    def __post_init__(self) -> None:
        """Raise InvalidInput for a selection that says too little, or nothing that can be met."""
        if (self.since is None) == (self.message is None):
            raise InvalidInput(Said("since: give either the time to begin at, or message="))
        if self.message is not None and self.until is not None:
            raise InvalidInput(Said("until: a single message has no time range"))
        if self.since and self.until and self.until <= self.since:
            raise InvalidInput(
                Said(
                    "until: {until} is not after since, {since}", until=self.until, since=self.since
                )
            )
        if not self.states and not self.missing:
            raise InvalidInput(
                Said("states: none, and missing is not asked for: nothing is selected")
            )
        for state in self.states:
            if state not in LIVE_STATES | FINAL_STATES:
                raise InvalidInput(
                    f"states: {state.value} is not replayed; expected some of "
                    f"{', '.join(s.value for s in EVERYTHING)}"
                )
        if self.status_class not in (None, 0, 100, 200, 300, 400, 500):
            raise InvalidInput(
                f"status_class: {self.status_class} is none of 0, 100, 200, 300, 400 and 500"
            )
        if self.status_class is not None and self.missing:
            raise InvalidInput("status_class: what is missing was not answered; leave one out")

    @property
    def live(self) -> frozenset[DeliveryState]:
        """The states among them that live rows have."""
        return LIVE_STATES.intersection(self.states)

    @property
    def final(self) -> frozenset[DeliveryState]:
        """The states among them that the log tells."""
        return FINAL_STATES.intersection(self.states)

    def __str__(self) -> str:
        words = [s.value for s in self.states] + (["missing"] if self.missing else [])
        kinds = " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
        types = f" of {', '.join(self.event_types)}" if self.event_types else ""
        if self.channel is not None:
            types += f" in channel {self.channel}"
        if self.tag is not None:
            types += f" tagged {self.tag}"
        if self.status_class is not None:
            types += f" last answered {self.status_class or 'nothing'}"
        if self.message is not None:
            which = f" of {self.message}"
        else:
            until = f" until {rfc3339(self.until)}" if self.until else ""
            which = f" since {rfc3339(self.since)}{until}" if self.since else ""
        return f"{kinds}{types}{which}, at {self.endpoint or 'every enabled endpoint'}"


REPLAY, PURGE = "replay", "purge"


@dataclass(frozen=True, slots=True)
class Job:
    """A replay: what it selects, and how far it got.

    With `purge` for its `task`, the erasure of an application's contents: `done` were erased.
    `total` were selected when it was counted; while `counted` is false the number still grows.
    `done` of them were made due, `rate` per second at most. A job is finished when all were made
    due; delivering them goes on. `done` may differ from `total` by what has changed since the
    count: what was sent again by other means is passed over. `id` is None for a dry run, which
    counts and changes nothing. `reason` says why a job failed.
    """

    id: str | None
    state: JobState
    selection: Selection
    rate: float | None
    total: int
    counted: bool
    done: int
    created_at: datetime
    updated_at: datetime
    reason: str | None = None
    task: str = REPLAY
    _wait: Callable[[float], Awaitable["Job"]] | None = field(
        default=None, repr=False, compare=False
    )

    async def finished(self, timeout: float = 60.0) -> "Job":
        """Wait until the job is finished, canceled or failed, and return it as it is then.

        `timeout` in seconds. Raises DeliveryTimeout when it runs out; the job goes on.
        """
        if self._wait is None:
            return self
        return await self._wait(timeout)


def batch_of(rate: float | None, most: int) -> int:
    """Return how many deliveries one step makes due: a second's worth, `most` at most."""
    return most if rate is None else max(1, min(most, int(rate)))


def pause_after(made_due: int, rate: float | None) -> int:
    """Return the milliseconds until the next step, so that the rate is never exceeded."""
    return 0 if rate is None else math.ceil(made_due * 1000 / rate)
