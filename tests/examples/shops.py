"""The examples, each as its own process, as a reader would start it."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
STARTED = 30.0
"""Seconds until a server must listen."""


def environment(place, receiver, url=None, **more):
    """Return the variables of an example in a folder of its own, nobody else's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    found = {"WEBHOOK": receiver.url, "HOOKLINE_DEVELOPMENT": "1", **more}
    found["DATABASE"] = url or f"sqlite:///{place}/shop.db"
    return {**kept, **found, "PYTHONWARNINGS": "error::DeprecationWarning:hookline"}


def libpq(url):
    """Return a PostgreSQL URL as the variables that Django's example reads."""
    parts = sa.make_url(url)
    found = {
        "PGDATABASE": parts.database,
        "PGUSER": parts.username,
        "PGPASSWORD": parts.password,
        "PGHOST": parts.host or parts.query.get("host"),
        "PGPORT": parts.port or parts.query.get("port"),
    }
    return {name: str(value) for name, value in found.items() if value}


def run(arguments, variables, cwd):
    """Run a command to its end and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=variables,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def process(arguments, variables, cwd):
    """Run a process meanwhile; it must end by itself when it is asked to."""
    with (Path(cwd) / f"log-{len(list(Path(cwd).iterdir()))}").open("w+") as log:
        running = subprocess.Popen(
            [sys.executable, *arguments], env=variables, cwd=cwd, stdout=log, stderr=log
        )
        try:
            yield running
            assert running.poll() is None, f"it ended: {Path(log.name).read_text()}"
        except BaseException:
            sys.stderr.write(Path(log.name).read_text())
            raise
        finally:
            running.terminate()
            try:
                code = running.wait(40)
            except subprocess.TimeoutExpired:
                running.kill()
                raise
        assert code in {0, -15}, Path(log.name).read_text()


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(arguments, variables, cwd):
    """Run a server whose arguments have `{port}` in them; give its base URL once it listens."""
    port = free_port()
    with process([each.format(port=port) for each in arguments], variables, cwd) as running:
        until = time.monotonic() + STARTED
        while running.poll() is None and time.monotonic() < until:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)  # another process: nothing tells
        yield f"http://127.0.0.1:{port}"
