"""What `make run` does: the backend, a receiver, and a first story of webhooks between them.

Both run until Ctrl-C. With `--once` they end after the story, with exit code 0 only when every
webhook arrived and every signature was right. What they keep lies in `var/demo/` of the
repository; each run begins with a fresh database.
"""

import argparse
import base64
import fcntl
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

BACKEND = Path(__file__).resolve().parent
STATE = BACKEND.parent / "var" / "demo"
HOST = "127.0.0.1"
WITHIN = 30.0  # seconds for a process to be ready, and for the webhooks to arrive
STOP_WITHIN = 10.0  # seconds for a process to end by itself
PORTS_TRIED = 100

# The webhooks that the story below causes.
EXPECTED = Counter(
    {
        "product.created": 1,
        "customer.created": 1,
        "document.uploaded": 1,
        "document.approved": 1,
        "customer.status_changed": 2,
    }
)

console = Console(highlight=False, soft_wrap=True)
# Everything is on this machine: a proxy from the environment could only be in the way.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class DemoError(Exception):
    """The demo can't go on; the text says why, and what to do."""


class Stopped(Exception):
    """The demo is to end."""


def main() -> int:
    """Run the demo; return the exit code."""
    options = _options()
    try:
        with _stop_signal() as stopping, _alone(options.state), ExitStack() as running:
            demo = _start(options, stopping, running)
            _tell(demo)
            _show_arrivals(demo)
            if not options.once:
                _stay(demo)
            console.print("\n[dim]Stopping the backend and the sink …[/]")
    except DemoError as error:
        console.print(f"\n[bold red]✗[/] {error}")
        return 1
    except Stopped:
        console.print("[dim]Stopped before the end.[/]")
        return 130
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The backend, a sink, and webhooks between them.")
    parser.add_argument("--once", action="store_true", help="end after the story")
    parser.add_argument("--port", type=int, default=8000, help="the backend's, or the next free")
    parser.add_argument("--sink-port", type=int, default=9000, help="the sink's, or the next free")
    parser.add_argument("--state", type=Path, default=STATE, help="folder for what is kept")
    return parser.parse_args()


# The two processes -------------------------------------------------------------------------------


class Process:
    """A child process in a group of its own: Ctrl-C reaches us alone, and we end it in order."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self.command = command
        self._popen = subprocess.Popen(  # noqa: S603 (a command of our own)
            command, env={**os.environ, **environment}, start_new_session=True
        )

    def ending(self) -> str | None:
        """Return how it ended; None while it runs."""
        code = self._popen.poll()
        if code is None:
            return None
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def check(self) -> None:
        """Raise when it has ended."""
        if how := self.ending():
            raise DemoError(f"The {self.name} has stopped ({how}); what it said stands above.")

    def stop(self) -> None:
        """Ask it to end, wait, and only then insist."""
        self._popen.terminate()
        try:
            self._popen.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


@dataclass(frozen=True, slots=True)
class Demo:
    """What runs, and where."""

    backend: Process
    sink: Process
    backend_url: str
    sink_url: str
    stopping: threading.Event

    def wait_until(self, what: str, done: Callable[[], bool]) -> None:
        """Poll until it is done; raise when that takes too long, or when there is no more point."""
        deadline = time.monotonic() + WITHIN
        while not done():
            self.backend.check()
            self.sink.check()
            if time.monotonic() > deadline:
                raise DemoError(f"Waited {WITHIN:g} seconds for {what}, in vain.")
            if self.stopping.wait(0.05):
                raise Stopped


def _start(options: argparse.Namespace, stopping: threading.Event, running: ExitStack) -> Demo:
    port = _free_port("backend", options.port)
    sink_port = _free_port("sink", options.sink_port, taken=port)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    data = options.state / "backend"
    shutil.rmtree(data, ignore_errors=True)
    webhooks_file = _write_webhooks_file(options.state, f"http://{HOST}:{sink_port}/", secret)
    sink = _sink(sink_port, secret)
    running.callback(sink.stop)
    backend = _backend(port, data, webhooks_file)
    # Ended first, while the sink still answers what is on its way.
    running.callback(backend.stop)
    demo = Demo(backend, sink, f"http://{HOST}:{port}", f"http://{HOST}:{sink_port}", stopping)
    demo.wait_until("the sink to be ready", lambda: _answers(f"{demo.sink_url}/received"))
    demo.wait_until("the backend to be ready", lambda: _answers(f"{demo.backend_url}/health"))
    return demo


def _sink(port: int, secret: str) -> Process:
    command = [sys.executable, "-m", "hookline", "sink", "--port", str(port), "--secret", secret]
    return Process("sink", command, {"PYTHONUNBUFFERED": "1"})


def _backend(port: int, data: Path, webhooks_file: Path) -> Process:
    command = [sys.executable, "-m", "uvicorn", "app.main:app", "--app-dir", str(BACKEND)]
    # Its own lines at `warning`: what shows then are the lines about the webhooks.
    command += ["--host", HOST, "--port", str(port), "--log-level", "warning"]
    command += ["--timeout-graceful-shutdown", "5"]
    environment = {
        "BACKEND_DATA_DIR": str(data),
        "BACKEND_DATABASE_URL": f"sqlite:///{data}/backend.db",
        "HOOKLINE_WEBHOOKS_FILE": str(webhooks_file),
        "HOOKLINE_DEVELOPMENT": "1",  # the sink is on this machine
    }
    return Process("backend", command, environment)


def _write_webhooks_file(state: Path, url: str, secret: str) -> Path:
    events = ["customer.*", "document.*", "product.*"]
    entry = {"url": f"{url}webhook", "events": events, "secret": secret}
    path = state / "webhooks.json"
    path.write_text(json.dumps({"webhooks": [entry]}, indent=2) + "\n", "utf-8")
    return path


def _free_port(name: str, preferred: int, taken: int | None = None) -> int:
    for port in range(preferred, preferred + PORTS_TRIED):
        if port != taken and _is_free(port):
            if port != preferred:
                console.print(f"[yellow]Port {preferred} is taken: the {name} uses {port}.[/]")
            return port
    last = preferred + PORTS_TRIED - 1
    raise DemoError(f"No port from {preferred} to {last} is free for the {name}.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set.

    Nothing is interrupted half-way, so no process is ever started and then forgotten.
    """
    stopping = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(each, lambda *_: stopping.set()) for each in signals]
    try:
        yield stopping
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Hold the folder: a second demo would take the database away under the first."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            detail = f"Another demo is running in {state}: end it, or give this one its own --state"
            raise DemoError(detail) from None
        yield


# The story ---------------------------------------------------------------------------------------


def _tell(demo: Demo) -> None:
    """Create a product and a customer, upload and approve a document, decide."""
    api = f"{demo.backend_url}/api"
    console.print("\n[bold]One customer, from the first call to the decision[/]")

    _step("create a product", "个人住房贷款")
    product = _post(demo, f"{api}/products", {"name": "个人住房贷款"})

    _step("create a customer", "C001 张三")
    customer = {"customer_no": "C001", "name": "张三", "phone": "13800138000"}
    customer = _post(demo, f"{api}/customers", {**customer, "product_id": product["id"]})

    _step("upload a document", "身份证.jpg")
    document = _upload(demo, f"{api}/documents", customer["id"], "身份证.jpg", tiny_jpeg())

    _step("approve it", "审核通过")
    _post(demo, f"{api}/documents/{document['id']}/approve", {"review_note": "审核通过"})

    for status in ("reviewing", "completed"):
        _step("move the customer", status)
        move = f"{api}/customers/{customer['id']}/status"
        _post(demo, move, {"status": status}, method="PUT")


def _show_arrivals(demo: Demo) -> None:
    """Wait until the sink has everything; show it, or say what is wrong."""
    demo.wait_until(
        f"{EXPECTED.total()} webhooks to arrive",
        lambda: Counter(each["event"] for each in _received(demo)) >= EXPECTED,
    )
    received = _received(demo)
    if bad := [each["event"] for each in received if each["verified"] is not True]:
        raise DemoError(f"Arrived, but not verified: {', '.join(bad)}.")
    console.print(
        f"\n[bold green]✓[/] {len(received)} webhooks arrived at the sink, "
        "every signature verified\n"
    )


def _stay(demo: Demo) -> None:
    """Print the addresses and wait for Ctrl-C; without the backend there is nothing to wait for."""
    console.print(f"  Backend   [link={demo.backend_url}]{demo.backend_url}[/]")
    console.print(
        f"  API docs  [link={demo.backend_url}/docs]{demo.backend_url}/docs[/]  (try it out there)"
    )
    console.print(f"  Sink      [link={demo.sink_url}/]{demo.sink_url}/[/]  (what arrived)")
    console.print("\n[dim]Both keep running. Ctrl-C ends them.[/]\n")
    sink_is_gone = False
    while not demo.stopping.wait(0.5):
        demo.backend.check()
        if not sink_is_gone and (how := demo.sink.ending()):
            sink_is_gone = True
            console.print(
                f"\n[yellow]The sink has stopped ({how}).[/] Webhooks are kept and tried again; "
                f"start it anew with\n  {shlex.join(demo.sink.command)}\n"
            )


def _step(what: str, which: str) -> None:
    console.print(f"\n[bold cyan]→ {what}[/] {which}")


def _received(demo: Demo) -> list[dict[str, Any]]:
    received: list[dict[str, Any]] = _request(f"{demo.sink_url}/received")
    return received


# HTTP, with the standard library -----------------------------------------------------------------


def _answers(url: str) -> bool:
    try:
        _request(url)
    except DemoError:
        return False
    return True


def _post(demo: Demo, url: str, body: dict[str, Any], method: str = "POST") -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    return _act(demo, url, json.dumps(body).encode(), headers, method)


def _upload(
    demo: Demo, url: str, customer_id: str, file_name: str, content: bytes
) -> dict[str, Any]:
    boundary = secrets.token_hex(16)
    field = f'--{boundary}\r\nContent-Disposition: form-data; name="customer_id"\r\n\r\n'
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n'
    )
    file += "Content-Type: image/jpeg\r\n\r\n"
    body = f"{field}{customer_id}\r\n{file}".encode() + content + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return _act(demo, url, body, headers)


def _act(
    demo: Demo, url: str, body: bytes, headers: dict[str, str], method: str = "POST"
) -> dict[str, Any]:
    """Do one step of the story and wait for its webhook, so that both read as one."""
    before = len(_received(demo))
    answer: dict[str, Any] = _request(url, body, {**headers, "X-User-Id": "admin"}, method)
    demo.wait_until("the webhook to arrive", lambda: len(_received(demo)) > before)
    return answer


def _request(
    url: str, body: bytes | None = None, headers: dict[str, str] | None = None, method: str = "GET"
) -> Any:
    request = urllib.request.Request(url, body, headers or {}, method=method)  # noqa: S310
    try:
        with _opener.open(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            detail = error.read().decode(errors="replace")
        raise DemoError(f"{method} {url} was answered with {error.code}: {detail}") from None
    except (OSError, ValueError) as error:
        raise DemoError(f"{method} {url}: {error}") from None


def tiny_jpeg() -> bytes:
    """Return a grey picture of one pixel: a whole JPEG file, table by table."""

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content

    one_code = bytes([1] + [0] * 15 + [0])  # a Huffman table: the code `0` for the symbol 0
    return b"".join(
        [
            b"\xff\xd8",
            segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
            segment(0xDB, bytes([0]) + bytes([1] * 64)),  # quantisation: change nothing
            segment(0xC0, bytes([8, 0, 1, 0, 1, 1, 1, 0x11, 0])),  # 8 bits, 1 x 1, one component
            segment(0xC4, b"\x00" + one_code),
            segment(0xC4, b"\x10" + one_code),
            segment(0xDA, bytes([1, 1, 0x00, 0, 63, 0])),
            b"\x3f",  # `0` no difference, `0` end of block, then ones up to the whole byte
            b"\xff\xd9",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
