"""How many messages a second a core of the server accepts for certain over HTTP."""

import asyncio
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import payload
from benchmarks.child import Child
from benchmarks.runner import Bar, Bench, Row, Run, judged, rate, scenario
from hookline import Webhooks

MESSAGES = 15_000
CALLERS = 64
PATIENCE = 120.0
APPLICATION = "bench"


@scenario()
def rest_api(bench: Bench) -> Row:
    """64 clients post messages over the REST API, each waiting until its message is on the disk."""
    count = bench.n(MESSAGES, 1000)

    def ours() -> Run:
        with bench.fresh() as database:
            token = asyncio.run(key(database))
            with served(database) as (url, pid):
                said = bench.measure(
                    Child(
                        "rest_client",
                        url=f"{url}/api/v1/app/{APPLICATION}/msg?with_content=false",
                        token=token,
                        messages=count,
                        callers=CALLERS,
                        pid=pid,
                        warm_up=500,
                    )
                )
        run = rate(said, count)
        run.more["a second, by the clock"] = run.figure
        run.figure = round(count / said["cpu"], 1)
        return run

    def library() -> Run:
        with bench.fresh() as database:
            said = bench.measure(
                bench.engine(
                    "publish",
                    database,
                    endpoints=[("http://127.0.0.1:9/", payload.EVENT)],
                    events=[payload.EVENT],
                    messages=count,
                    warm_up=500,
                    callers=CALLERS,
                    settings={"deliver": False},
                )
            )
        run = rate(said, count)
        run.figure = round(count / said["cpu"], 1)
        return run

    found = bench.versus(ours, library, "the library's trigger, in process")
    best = max(found["runs"], key=lambda run: run["figure"])["more"]["a second, by the clock"]
    row = Row(
        scenario="rest_api",
        what=f"{count:,} messages, {CALLERS} clients",
        unit="/s a core",
        note=f"{best:,.0f}/s by the clock, the clients on the same machine",
        **found,
    )
    return judged(row, Bar(figure=1500))


async def key(database: str) -> str:
    """Return a key for the API, and make the application."""
    webhooks = Webhooks(database=database, deliver=False)
    await webhooks.migrate()
    async with webhooks:
        await webhooks.applications.create("Bench", uid=APPLICATION)
        made = await webhooks.create_api_key("bench", ["admin"])
        return made.token or ""


@contextmanager
def served(database: str, **settings: str) -> Iterator[tuple[str, int]]:
    """Serve without delivering, in a process of its own; give its URL and process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "hookline", "serve", "--port", str(port), "--api-only"]
    environment = {**os.environ, "HOOKLINE_DATABASE": database, "HOOKLINE_DEVELOPMENT": "1"}
    environment |= settings
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers("127.0.0.1", port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("hookline serve did not come up")
            time.sleep(0.05)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()


def answers(host: str, port: int) -> bool:
    """Return whether the server is up."""
    connection = http.client.HTTPConnection(host, port, timeout=1)
    try:
        connection.request("GET", "/api/v1/health")
        return connection.getresponse().status == 204
    except OSError:
        return False
    finally:
        connection.close()
