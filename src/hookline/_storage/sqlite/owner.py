"""Which process delivers from an SQLite file: the one that holds a lock beside it."""

import os
from weakref import WeakSet

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
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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


def _close_in_child() -> None:
    """Close the descriptors a forked child inherited: the lock stays with the parent."""
    for lock in list(_locks):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
