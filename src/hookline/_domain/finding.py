"""What a check found, in words: one line, what to do about it, and the cases it is about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

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
    found, `advice` what to do about it (empty when all is well), `items` what it is about.
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
    return (*found[:MOST_ITEMS], f"and {len(found) - MOST_ITEMS:,} more")


def span(milliseconds: float) -> str:
    """Return a duration as people say it: `450 ms`, `14 s`, `3 h 20 min`, `2 days`."""
    if milliseconds < 1000:  # noqa: PLR2004 - a second
        return f"{max(0, round(milliseconds))} ms"
    seconds = round(milliseconds / 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return _parts((days, "day" if days == 1 else "days"), (hours, "h"))
    if hours:
        return _parts((hours, "h"), (minutes, "min"))
    return f"{minutes} min" if minutes else f"{seconds} s"


def _parts(*parts: tuple[int, str]) -> str:
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def size(count: int) -> str:
    """Return bytes as people say them."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":  # noqa: PLR2004 - the next unit
            return f"{amount:,.0f} {unit}" if amount >= 10 else f"{amount:,.3g} {unit}"  # noqa: PLR2004
        amount /= 1024
    raise AssertionError


def number(count: int, thing: str, things: str = "") -> str:
    """Return a count with its noun: `1 endpoint`, `1,200 endpoints`."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def listed(names: Sequence[str]) -> str:
    """Return names as people list them: `a, b and c`."""
    if len(names) < 2:  # noqa: PLR2004 - nothing to join
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
