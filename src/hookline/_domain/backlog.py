"""What waits, in a few numbers: for monitoring, asked again and again."""

from typing import NamedTuple


class Backlog(NamedTuple):
    """What waits, and for how long.

    `due` are deliveries that could be sent now and `unrouted` messages nobody has looked at, each
    counted to `MOST_COUNTED`. `oldest_due_ms` is how long the oldest of them waits, without
    those at endpoints whose circuit is open: they are not late, they wait on purpose.
    """

    due: int = 0
    unrouted: int = 0
    oldest_due_ms: int = 0
    open_circuits: int = 0
    endpoints: int = 0
    disabled_endpoints: int = 0
    workers: int = 0


MOST_COUNTED = 100_000
"""Where counting stops: past it, what is said is that there are so many."""
