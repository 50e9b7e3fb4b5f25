"""Log lines on standard error: the guide's, or JSON."""

import logging
import sys

from hookline import JsonFormatter


def set_up(*, as_json: bool) -> None:
    """Send Hookline's log to standard error, and of the rest what is a warning or worse."""
    handler = logging.StreamHandler(sys.stderr)
    # The time is left to what collects the lines: journald, Docker and Kubernetes add their own.
    plain = logging.Formatter("%(levelname)s: %(message)s")
    handler.setFormatter(JsonFormatter() if as_json else plain)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("hookline").setLevel(logging.INFO)
    # The pool's tracebacks while the database is away: the engine says the same in one line.
    logging.getLogger("asyncpg").setLevel(logging.ERROR)
    logging.captureWarnings(True)
