"""How much was sent: messages and attempts, by application and day."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from hookline._domain import check
from hookline.errors import InvalidInput

DAY_MS = 24 * 3600 * 1000
MOST_DAYS = 366
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one application did on one day (UTC): messages published, attempts to deliver made."""

    application: str
    day: date
    messages: int
    attempts: int


def number(day: date) -> int:
    """Return a day as the database counts it: since 1970."""
    return (day - EPOCH).days


def of(count: int) -> date:
    """Return that day again."""
    return EPOCH + timedelta(days=count)


def span(since: datetime | None, until: datetime | None, now: int) -> range:
    """Return the days from `since` (29 days before the last) until before `until` (now).

    Raises InvalidInput for more than 366 of them, or none, and for a time without a zone.
    """
    last = now // DAY_MS + 1
    if until is not None:
        last = -(-check.milliseconds("until", until) // DAY_MS)
    first = last - 30
    if since is not None:
        first = check.milliseconds("since", since) // DAY_MS
    if not 0 < last - first <= MOST_DAYS:
        raise InvalidInput(f"since: {last - first} days until `until`, expected 1 to {MOST_DAYS}")
    return range(max(0, first), last)
