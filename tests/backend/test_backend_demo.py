"""`make run`: from nothing to verified webhooks, and an end without leftovers."""

import fcntl
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from backend_support import BACKEND

DEADLINE = 120


def free_port() -> int:
    """Return a port that is free, and not one the system hands out by itself meanwhile."""
    while True:
        port = 15_000 + secrets.randbelow(17_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def command(state: Path, *options: str) -> list[str]:
    ports = ["--port", str(free_port()), "--sink-port", str(free_port())]
    return [sys.executable, str(BACKEND / "demo.py"), "--state", str(state), *ports, *options]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        check=False,
        timeout=DEADLINE,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@contextmanager
def running(state: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Start the demo, wait until it says that both keep running; give the addresses it printed."""
    with subprocess.Popen(
        command(state), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as demo:
        assert demo.stdout
        said = ""
        try:
            while "Ctrl-C ends them" not in said:
                line = demo.stdout.readline()
                assert line, f"the demo ended: {said}"
                said += line
            yield demo, dict(re.findall(r"^  (Backend|API docs|Sink) +(\S+)", said, re.MULTILINE))
        finally:
            demo.terminate()


def end(demo: subprocess.Popen[str], number: signal.Signals) -> str:
    demo.send_signal(number)
    output, _ = demo.communicate(timeout=60)
    return output


def test_demo_delivers_verified_webhooks(tmp_path: Path) -> None:
    """The whole story: six webhooks, each verified, with the guide's log lines in sight."""
    done = run(*command(tmp_path, "--once"))
    assert done.returncode == 0, done.stdout
    assert "6 webhooks arrived at the sink, every signature verified" in done.stdout
    assert "INFO: Triggering 1 webhooks for event customer.created" in done.stdout
    assert "INFO: Webhook sent successfully to http://127.0.0.1:" in done.stdout
    assert "Traceback" not in done.stdout

    again = run(*command(tmp_path, "--once"))
    assert again.returncode == 0, again.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_demo_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """Both answer at the printed addresses; after the signal nobody does, and nothing complains."""
    with running(tmp_path) as (demo, addresses):
        assert set(addresses) == {"Backend", "API docs", "Sink"}
        for url in addresses.values():
            assert httpx.get(url, follow_redirects=True, trust_env=False).status_code == 200

        output = end(demo, number)

        assert demo.returncode == 0, output
        assert "Traceback" not in output
        for url in addresses.values():
            with pytest.raises(httpx.ConnectError):
                httpx.get(url, trust_env=False)


def test_demo_registers_the_sink_in_webhooks_json(tmp_path: Path) -> None:
    """As a user would: by the configuration file, with a secret made for this run."""
    with running(tmp_path) as (demo, addresses):
        (entry,) = json.loads((tmp_path / "webhooks.json").read_text())["webhooks"]
        assert entry["url"].startswith(addresses["Sink"])
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{32}", entry["secret"])
        end(demo, signal.SIGTERM)


def test_demo_says_when_its_port_is_taken(tmp_path: Path) -> None:
    """It takes the next one and tells."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        done = run(*command(tmp_path, "--once", "--port", str(port)))
    assert done.returncode == 0, done.stdout
    assert f"Port {port} is taken: the backend uses " in done.stdout


def test_second_demo_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    """It would take the database away under the first."""
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run(*command(tmp_path, "--once"))
    assert done.returncode == 1
    assert f"Another demo is running in {tmp_path}" in done.stdout.replace("\n", "")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the sink in /proc")
def test_demo_says_when_the_sink_was_stopped(tmp_path: Path) -> None:
    """The backend goes on, and the terminal shows how to start the sink again."""
    with running(tmp_path) as (demo, addresses):
        children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()
        (sink,) = (
            child for child in children if b"sink" in Path(f"/proc/{child}/cmdline").read_bytes()
        )
        os.kill(int(sink), signal.SIGTERM)
        assert demo.stdout
        while "start it anew with" not in (line := demo.stdout.readline()):
            assert line, "the demo ended"
        assert " -m hookline sink --port " in demo.stdout.readline()
        assert httpx.get(addresses["Backend"] + "/health", trust_env=False).status_code == 200
        end(demo, signal.SIGINT)
    assert demo.returncode == 0
