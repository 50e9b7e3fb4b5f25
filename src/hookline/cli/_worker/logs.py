"""Log lines on standard error: the guide's, or JSON."""

import json
import logging
import os
import sys
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, process, message, and the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "pid": os.getpid(),
            "message": record.getMessage(),
        }
        line |= {k: v for k, v in vars(record).items() if k not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


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
