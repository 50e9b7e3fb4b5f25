"""Tallies: how many attempts ended how, and how long they took, minute by minute.

What the pages draw. The log is the truth; a tally is what can be drawn of ten million rows of it
in a moment. A process that is killed forgets the last seconds of its tallies, and nothing else.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

EDGES_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
"""Upper edges of the latency buckets, in milliseconds; the last bucket has none."""
BUCKETS = len(EDGES_MS) + 1
MINUTE, FIVE_MINUTES, HOUR = 60, 300, 3600
STEPS = (MINUTE, FIVE_MINUTES, 600, 900, 1800, HOUR, 2 * HOUR, 6 * HOUR, 24 * HOUR)
"""Seconds that a point of what is drawn may stand for."""
FINE_SECONDS = 48 * HOUR
"""For how long tallies are kept minute by minute; afterwards by the hour."""


class Kind(IntEnum):
    """Whose tally it is."""

    ALL = 0
    APPLICATION = 1
    ENDPOINT = 2


SPANS = {Kind.ALL: MINUTE, Kind.APPLICATION: MINUTE, Kind.ENDPOINT: FIVE_MINUTES}
"""Seconds of one row. There are many endpoints, so theirs are coarser."""


@dataclass(slots=True)
class Tally:
    """Counts of one span. `buckets` has the attempts that got an answer, by how long it took."""

    succeeded: int = 0
    failed: int = 0
    exhausted: int = 0
    buckets: list[int] | None = None

    def count(self, *, ok: bool, final: bool, milliseconds: float | None) -> None:
        """Count one attempt; `milliseconds` is None when there was no answer."""
        if ok:
            self.succeeded += 1
        else:
            self.failed += 1
            self.exhausted += final
        if milliseconds is not None:
            if self.buckets is None:
                self.buckets = [0] * BUCKETS
            self.buckets[bisect_left(EDGES_MS, milliseconds)] += 1

    def plus(self, other: "Tally") -> "Tally":
        """Return both together."""
        return total((self, other))

    @property
    def attempts(self) -> int:
        """All of them."""
        return self.succeeded + self.failed

    @property
    def success_rate(self) -> float | None:
        """From 0 to 1; None when nothing was attempted."""
        return self.succeeded / self.attempts if self.attempts else None

    def quantile(self, q: float) -> float | None:
        """Return the time in milliseconds within which a part `q` of the answers came.

        Interpolated within its bucket; in the last one, which has no upper edge, its lower one.
        None when there was no answer.
        """
        total = sum(self.buckets or ())
        if not self.buckets or not total:
            return None
        rank, seen = q * total, 0
        for number, count in enumerate(self.buckets):
            if count and seen + count >= rank:
                low = EDGES_MS[number - 1] if number else 0
                if number == len(EDGES_MS):
                    return float(low)
                return low + (EDGES_MS[number] - low) * (rank - seen) / count
            seen += count
        return float(EDGES_MS[-1])


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    whole = Tally()
    for each in tallies:
        whole.succeeded += each.succeeded
        whole.failed += each.failed
        whole.exhausted += each.exhausted
        if each.buckets is not None:
            sums = whole.buckets or [0] * BUCKETS
            whole.buckets = [a + b for a, b in zip(sums, each.buckets, strict=True)]
    return whole


@dataclass(frozen=True, slots=True)
class Series:
    """Tallies one after the other, `step` seconds each, the first at `start` (Unix seconds)."""

    start: int
    step: int
    tallies: Sequence[Tally]

    @property
    def total(self) -> Tally:
        """All of them together."""
        return total(self.tallies)


def step_of(seconds: int, *, points: int = 120) -> int:
    """Return how many seconds one of about `points` points of a range stands for."""
    return next((step for step in STEPS if seconds <= step * points), STEPS[-1])


def series(start: int, end: int, step: int, rows: Iterable[tuple[int, Tally]]) -> Series:
    """Return rows, each with its time in Unix seconds, sorted into the points of a range.

    Both ends are moved to whole steps. A row that is longer than a step counts at its beginning.
    """
    first, last = start // step * step, -(-end // step) * step
    points: list[list[Tally]] = [[] for _ in range((last - first) // step)]
    for at, tally in rows:
        place = (at - first) // step
        if 0 <= place < len(points):
            points[place].append(tally)
    return Series(first, step, [each[0] if len(each) == 1 else total(each) for each in points])
