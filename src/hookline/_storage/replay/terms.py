"""What a replay selects, in the terms of the tables, and to whom it may send."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._domain import ids
from hookline._domain.endpoint import matches
from hookline._domain.replay import Selection
from hookline._storage.replay.audience import Audience
from hookline._storage.rows import START, first_key, milliseconds

SKEW = 3_600_000
"""Milliseconds by which the clocks of two machines may differ: an attempt made on one may seem that
much older than its message, or than the attempt before it."""
_ALONG_INDEXES = sa.select(
    *(
        sa.func.set_config(name, "off", sa.true())
        for name in ("enable_seqscan", "enable_bitmapscan", "jit")
    )
)


class Walk(IntEnum):
    """The order in which a job reads; stored in its row."""

    LIVE = 0
    LOG = 1
    MISSING = 2


class Cursor(NamedTuple):
    """Where a page ended: in which walk, and after which keys of it.

    Message and endpoint in the live queue and among the messages, endpoint and attempt in the log.
    """

    walk: Walk
    first: bytes
    second: bytes


HERE = Cursor(Walk.LIVE, START, START)
"""The place of a delivery that was not found by walking."""


class Candidate(NamedTuple):
    """A delivery that may be selected, and where it was found; `number` is its attempt's."""

    at: Cursor
    message: bytes
    endpoint: bytes
    number: int = 0


class Page(NamedTuple):
    """Candidates of one walk, and where the next page begins; None after the last one."""

    candidates: list[Candidate]
    end: Cursor | None


class Chosen(NamedTuple):
    """A selected delivery: its live row if there is one, and what a new one would need."""

    candidate: Candidate
    live: Any
    line: str | None


@dataclass(slots=True)
class Frame:
    """A selection in the terms of the tables.

    Messages from `low` until before `high`; only attempts before `fence` count, the key of the job:
    what the job itself sets off is never selected again. `log_begins` is the oldest message of
    which the log is still complete.
    """

    app: bytes
    selection: Selection
    audience: Audience
    message: bytes | None
    low: bytes
    high: bytes
    fence: bytes
    log_begins: bytes
    walks: list[Walk] = field(default_factory=list)

    @property
    def start(self) -> Cursor | None:
        """Where the first page begins."""
        return Cursor(self.walks[0], START, START) if self.walks else None

    def after(self, walk: Walk) -> Cursor | None:
        """Where the next walk begins, None after the last one."""
        later = [w for w in self.walks if w > walk]
        return Cursor(later[0], START, START) if later else None

    def wants_type(self, event_type: str) -> bool:
        """Whether the selection takes the event type."""
        types = self.selection.event_types
        return not types or matches(types, event_type)

    def wants(self, row: Any) -> bool:
        """Whether the selection takes a message."""
        marks = (self.selection.channel, row.channels), (self.selection.tag, row.tags)
        return self.wants_type(row.event_type) and all(
            mark is None or mark in json.loads(own or "[]") for mark, own in marks
        )

    def answered(self, status: Any) -> sa.ColumnElement[bool]:
        """Return the condition for a column: that the selection takes what was answered."""
        wanted = self.selection.status_class
        if wanted is None:
            return sa.true()
        none: sa.ColumnElement[bool] = status.is_(None)
        return none if wanted == 0 else status.between(wanted, wanted + 99)


async def along_indexes(connection: AsyncConnection) -> None:
    """Have PostgreSQL walk indexes only until the transaction ends.

    Statistics of a queue and of today's log are out of date as soon as they are made: a plan that
    was right for a small table must not read a large one.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(_ALONG_INDEXES)


def frame(
    app: bytes, selection: Selection, audience: Audience, fence: bytes, log_begins: bytes
) -> Frame:
    """Return the frame of a selection."""
    low, high, only = START, fence, None
    if selection.message is not None:
        only = low = ids.decode(ids.MESSAGE, selection.message) or START
        high = (int.from_bytes(low) + 1).to_bytes(16)
    if selection.since is not None:
        low = first_key(milliseconds(selection.since))
    if selection.until is not None:
        high = min(fence, first_key(milliseconds(selection.until)))
    asked = {
        Walk.LIVE: bool(selection.live),
        Walk.LOG: bool(selection.final),
        Walk.MISSING: selection.missing,
    }
    walks = [walk for walk in Walk if asked[walk] and low < high]
    return Frame(app, selection, audience, only, low, high, fence, log_begins, walks)


def padded(keys: Iterable[bytes]) -> list[bytes]:
    """Return the keys, some repeated up to a power of two: ten statements to prepare, not 500."""
    own = sorted(keys)
    return own + own[-1:] * ((1 << (len(own) - 1).bit_length()) - len(own))
