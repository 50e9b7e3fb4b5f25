"""What the database says to whoever monitors: asked when it is wanted, every few seconds."""

import threading
import time
from collections.abc import Callable

from hookline._domain.backlog import Backlog
from hookline.errors import StorageError

FRESH = 5.0
"""Seconds for which what the database said is told again."""
Ask = Callable[[], Backlog | None]
"""Asks the database, on any thread; None when there is nobody to ask. May raise StorageError."""


class BacklogSource:
    """The backlog, some seconds old at most. May be asked on any thread."""

    def __init__(self, ask: Ask) -> None:
        """Nothing is asked before somebody wants to know."""
        self._ask = ask
        self._lock = threading.Lock()
        self._found: Backlog | None = None
        self._up: bool | None = None
        self._asked_at = -FRESH

    def look(self) -> tuple[bool | None, Backlog | None]:
        """Return whether the database answered (None: it was not asked), and what it said."""
        with self._lock:
            if time.monotonic() - self._asked_at >= FRESH:
                try:
                    self._found = self._ask()
                    self._up = None if self._found is None else True
                except (StorageError, TimeoutError):
                    self._found, self._up = None, False
                # Nobody to ask costs nothing: the engine may be there a moment later.
                self._asked_at = -FRESH if self._up is None else time.monotonic()
            return self._up, self._found
