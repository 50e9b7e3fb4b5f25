"""When to try again: a schedule is the delay in seconds before each attempt."""

from collections.abc import Sequence

from hookline._said import Said
from hookline.errors import InvalidInput

MINUTE, HOUR = 60.0, 3600.0

DEFAULT = (
    0.0,
    5.0,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)
"""Ten attempts over 75 hours."""

JITTER = 0.2
"""Each delay is spread over ±20 %, so that what failed together does not return together."""

MAX_ATTEMPTS = 100
MAX_DELAY = 30 * 24 * HOUR


def check(schedule: Sequence[float]) -> tuple[float, ...]:
    """Return the schedule as a tuple, or raise InvalidInput with the reason."""
    try:
        delays = () if isinstance(schedule, str) else tuple(float(delay) for delay in schedule)
    except (TypeError, ValueError, OverflowError):
        delays = ()
    if not 1 <= len(delays) <= MAX_ATTEMPTS:
        raise InvalidInput(
            Said(
                "retry_schedule: expected 1 to {most} delays in seconds, got {got}",
                most=MAX_ATTEMPTS,
                got=repr(schedule),
            )
        )
    for delay in delays:
        if not 0 <= delay <= MAX_DELAY:
            raise InvalidInput(
                Said("retry_schedule: {delay} is not between 0 and 30 days in seconds", delay=delay)
            )
    return delays


def exponential(
    base: float, factor: float = 2.0, cap: float = HOUR, attempts: int = 10
) -> tuple[float, ...]:
    """Return 0, base, base·factor, base·factor² … seconds, each at most `cap`.

    `attempts` counts all of them, the first included (1 to 100).
    """
    if not 1 <= attempts <= MAX_ATTEMPTS:
        raise InvalidInput(f"attempts: {attempts} is not between 1 and {MAX_ATTEMPTS}")
    delays = [0.0]
    delays += [min(cap, base * factor**i) for i in range(attempts - 1)]
    return check(delays)


def delay_after(schedule: Sequence[float], attempts: int, spread: float) -> int | None:
    """Return the milliseconds to wait after `attempts` failed ones, None when it was the last.

    `spread` is a number from -1 to 1, handed in: it moves the delay within ±JITTER.
    """
    if attempts >= len(schedule):
        return None
    return round(schedule[attempts] * (1 + JITTER * spread) * 1000)
