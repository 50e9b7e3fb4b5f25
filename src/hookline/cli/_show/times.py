"""Times, as people read them: local, with how long ago that is."""

from datetime import UTC, datetime, timedelta

_STEPS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
SOON = timedelta(seconds=1)


def utc(moment: datetime | None) -> str | None:
    """Return a time for programs: UTC, milliseconds, `Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local(moment: datetime | None, now: datetime) -> str:
    """Return a local time and its distance from now: `14:03:22, 5 min ago`; `–` for none."""
    if moment is None:
        return "–"
    here, today = moment.astimezone(), now.astimezone()
    if here.date() == today.date():
        text = f"{here:%H:%M:%S}"
    elif here.year == today.year:
        text = f"{here:%b %d %H:%M}"
    else:
        text = f"{here:%Y-%m-%d %H:%M}"
    return f"{text}, {distance(moment, now)}"


def distance(moment: datetime, now: datetime) -> str:
    """Return how far a time is away: `5 min ago`, `in 2 h`, `now`."""
    gap = abs(now - moment)
    if gap < SOON:
        return "now"
    words = span(gap.total_seconds())
    return f"{words} ago" if moment < now else f"in {words}"


def span(seconds: float) -> str:
    """Return a duration in its largest unit: `5 min`, `3 h`, `12 d`."""
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds * 1000:.0f} ms"
