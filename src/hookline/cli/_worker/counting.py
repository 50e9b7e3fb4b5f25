"""Counting over several processes: each writes a file that the others can read."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus_client's variable. It is read when that is imported: children are started with it."""


@contextmanager
def together(*, wanted: bool) -> Iterator[None]:
    """Have the children of this process count in one directory, which goes when they are gone.

    One that is set already is used and stays: it was emptied by whoever set it.
    """
    if not wanted or os.environ.get(DIRECTORY):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="hookline-metrics-") as directory:
        os.environ[DIRECTORY] = directory
        try:
            yield
        finally:
            del os.environ[DIRECTORY]


def forget(pid: int) -> None:
    """Leave what a child that ended had in flight out of the sum."""
    if os.environ.get(DIRECTORY):
        from hookline._observe.prometheus import forget as leave_out  # noqa: PLC0415 - an extra

        leave_out(pid)
