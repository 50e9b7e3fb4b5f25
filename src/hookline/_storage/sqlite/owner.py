"""Which process delivers from an SQLite file: the one that holds a lock beside it."""

import os
from collections import Counter
from weakref import WeakSet

from hookline.errors import StorageError

try:
    import fcntl
except ImportError:  # a platform without flock: every process may deliver, leases keep order
    fcntl = None  # type: ignore[assignment]


class FileLock:
    """An exclusive lock on a file of its own; the kernel frees it when the process ends."""

    def __init__(self, path: str) -> None:
        """The file is made when the lock is first asked for."""
        self._path = path
        self._fd: int | None = None
        _locks.add(self)

    def acquire(self) -> bool:
        """Return whether this lock is ours; never waits."""
        if self._fd is not None or fcntl is None:
            return True
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(
                f"{self._path}: {error.strerror}; the lock file of the process that delivers must "
                "be writable, beside the database"
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        """Give the lock up. Safe to call twice."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


_locks: WeakSet[FileLock] = WeakSet()


open_files: Counter[str] = Counter()
"""SQLite files with connections of ours, counted."""
_forked: set[str] = set()


def check_not_forked(path: str) -> None:
    """Raise StorageError when the file was open in the process this one was forked from.

    SQLite's own bookkeeping of locks is copied by a fork and wrong from then on: two processes
    believe they hold the same lock, and what one writes the other may throw away.
    """
    if path in _forked:
        raise StorageError(
            f"{path}: this process was forked while Hookline was running on this SQLite file, "
            "which SQLite does not survive. Start it after the fork: call init() in each worker "
            "process (gunicorn: post_fork, or no --preload), or use PostgreSQL"
        )


def _close_in_child() -> None:
    """Close the descriptors a forked child inherited: the lock stays with the parent."""
    for lock in list(_locks):
        lock.release()
    _forked.update(path for path, count in open_files.items() if count > 0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
