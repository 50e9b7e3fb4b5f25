"""What a check found, in words: one line, what to do about it, and the cases it is about."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from hookline._said import Said, joined

MOST_ITEMS = 20
"""Cases one finding names; the rest is counted."""


class Level(StrEnum):
    """How bad it is. A warning can wait until tomorrow, a problem cannot."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"

    @property
    def rank(self) -> int:
        """0, 1, 2: the worse, the higher."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    `check` is its name, which stays the same from release to release. `summary` says what was
    found, `advice` what to do about it (empty when all is well), `items` what it is about. Where
    they are sentences they are `Said`, so that pages can say them in another language.
    """

    check: str
    level: Level
    summary: str
    advice: str = ""
    items: tuple[str, ...] = ()


def ok(check: str, summary: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, summary)


def warning(check: str, summary: str, advice: str, items: Iterable[str] = ()) -> Finding:
    """Something to look after."""
    return Finding(check, Level.WARNING, summary, advice, shortened(items))


def problem(check: str, summary: str, advice: str, items: Iterable[str] = ()) -> Finding:
    """Something that does harm now."""
    return Finding(check, Level.PROBLEM, summary, advice, shortened(items))


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level among findings."""
    return max((f.level for f in findings), key=lambda level: level.rank, default=Level.OK)


# Words ---------------------------------------------------------------------------------------


def shortened(items: Iterable[str]) -> tuple[str, ...]:
    """Return the first items and how many there are besides."""
    found = tuple(items)
    if len(found) <= MOST_ITEMS:
        return found
    return (*found[:MOST_ITEMS], Said("and {count:,} more", count=len(found) - MOST_ITEMS))


def span(milliseconds: float) -> Said:
    """Return a duration as people say it: `450 ms`, `14 s`, `3 h 20 min`, `2 days`."""
    if milliseconds < 1000:  # noqa: PLR2004 - a second
        return Said("{milliseconds} ms", milliseconds=max(0, round(milliseconds)))
    seconds = round(milliseconds / 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    said_hours = Said("{hours} h", hours=hours)
    said_minutes = Said("{minutes} min", minutes=minutes)
    if days:
        said_days = Said("{days} day", days=days) if days == 1 else Said("{days} days", days=days)
        return joined(" ", [said_days, said_hours]) if hours else said_days
    if hours:
        return joined(" ", [said_hours, said_minutes]) if minutes else said_hours
    return said_minutes if minutes else Said("{seconds} s", seconds=seconds)


def size(count: int) -> str:
    """Return bytes as people say them."""
    amount = float(count)
    for unit in (Said("bytes"), "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":  # noqa: PLR2004 - the next unit
            digits = f"{amount:,.0f}" if amount >= 10 else f"{amount:,.3g}"  # noqa: PLR2004
            return joined(" ", [digits, unit])
        amount /= 1024
    raise AssertionError


def number(count: int, thing: str, things: str = "") -> Said:
    """Return a count with its noun: `1 endpoint`, `1,200 endpoints`.

    The noun is written where this is called, for the tables to have both patterns.
    """
    one, several = nouns(thing, things)
    return Said(one if count == 1 else several, count=count)


def nouns(thing: str, things: str = "") -> tuple[str, str]:
    """Return the patterns of a count of one, and of several."""
    return f"{{count:,}} {thing}", f"{{count:,}} {things or thing + 's'}"
