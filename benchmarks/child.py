"""The processes of a benchmark, and the one protocol they speak.

A child is a module of this package. It gets its spec as JSON in its first argument, says JSON
objects line by line, and does what is measured when it is told to go.
"""

import json
import subprocess
import sys
import tempfile
import threading
from typing import Any, Self

PATIENCE = 300.0
"""Seconds after which a silent child is killed."""


class ChildFailed(Exception):
    """A child ended, or was killed, without the answer that was expected."""


class Child:
    """A running child, seen from its parent. A context manager: killed at the end."""

    def __init__(self, module: str, **spec: Any) -> None:
        """Start `benchmarks.<module>`."""
        self.module = module
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def read(self, patience: float = PATIENCE) -> dict[str, Any]:
        """Return the next thing it says."""
        assert self.process.stdout is not None
        timer = threading.Timer(patience, self.process.kill)
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            code = self.process.wait()
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace")[-2000:]
            raise ChildFailed(f"benchmarks.{self.module} ended with {code}: {said}")
        said: dict[str, Any] = json.loads(line)
        return said

    def go(self) -> None:
        """Tell it to begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._errors.close()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


# Inside the child ------------------------------------------------------------------------------


def spec() -> dict[str, Any]:
    """Return what this child was asked to do."""
    found: dict[str, Any] = json.loads(sys.argv[1])
    return found


def say(**values: Any) -> None:
    """Say something to the parent."""
    print(json.dumps(values), flush=True)


def wait_for_go() -> None:
    """Say 'ready' and wait for the parent; end when it is gone."""
    say(ready=True)
    if not sys.stdin.readline():
        sys.exit(0)
