"""The official Svix clients, unchanged, through the whole life cycle, against `hookline serve`.

Python: the newest, which the development environment has, and the last of 1.x, installed beside it.
Node: the newest 2.x that npm has, and the last of 1.x. (2.x asks for Node 22 and runs on 20.) Each
does the same in a process of its own, with its own receiver and its own verifier, and says step by
step what came of it: `clients/cycle.py`, `clients/node/cycle.mjs`.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.integration.test_cli_serve import Serving
from tools.npm import install

HERE = Path(__file__).parent / "clients"
OLD, NEW = "1.99.1", "2.9.1"
CLIENTS = {
    f"Python {NEW}": "python",
    f"Python {OLD}": "python-1",
    "Node 2.5.0": "svix",
    "Node 1.99.1": "svix-1",
}
SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "string", "examples": ["cus_1", "cus_2"]}},
    "required": ["id"],
}
PAYLOAD = {"id": "cus_1", "name": "张三 😀"}
GONE = ["HttpError", 404, "not_found"]
STRANGER = ["HttpError", 401, "authentication_failed"]
TAKEN = ["HttpError", 409, "conflict"]


def steps(uid):
    """Return what each step is to say, in their order."""
    return {
        "application": ["Acme", uid, {"plan": "pro"}, 9, "app_"],
        "application again": TAKEN,
        "application ensured": True,
        "application by uid": True,
        "application patched": ["Acme", uid, {"plan": "free"}, None],
        "application put": "New",
        "application made by put": f"{uid}-2",
        "applications": [[], True],
        "event type again": TAKEN,
        "event type": [True, "One", {"1": SCHEMA}, "g"],
        "event type patched": ["Two", {"1": SCHEMA}, False],
        "event type made by put": ["Made", False],
        "event types": [2, 3],
        "endpoint": ["ep_", True, "First", 50, "first", False, True, ["red"], {"a": "b"}],
        "endpoint again": TAKEN,
        "endpoint nowhere": ["HTTPValidationError", 422, ["body", "url"]],
        "endpoint made by put": ["third", None],
        "endpoint put": ["third", True],
        "endpoint patched": ["3rd", None, True, "third"],
        "endpoints ascending": [[["first", "second"], ["third"]], [["first", "second"]]],
        "endpoints descending": [[["third", "second"], ["first"]], [["third", "second"]]],
        "endpoint deleted": GONE,
        "headers": [{"X-Team": "billing", "X-Other": "y"}, ["X-Auth-Token"]],
        "secret": True,
        "message": ["msg_", "evt-1", PAYLOAD, ["red"], ["vip"]],
        "message again": TAKEN,
        "message repeated": True,
        "verified": PAYLOAD,
        "headers arrived": ["billing", "t", "y"],
        "by event id": True,
        "messages by channel": ["cus_1"],
        "messages by tag": ["cus_1"],
        "messages by type": ["cus_2"],
        "messages by before": [],
        "messages by after": ["cus_2", "cus_1"],
        "messages by none": [],
        "messages without content": [{}, {}],
        "precheck": [True, True],
        "attempts": [[0, 200, 0], [2, 500, 0]],
        "failed attempts": [True],
        "attempt": ["ok", True, True],
        "attempt by id": "ok",
        "attempt pages": [[2, 2, 1], [2, 2], True],
        "attempted messages": [[[0, 1], [2, 3], [4]], [[2, 3], [0, 1]]],
        "destinations": [
            [[["first", 0, "success"]], [["second", 2, "fail"]]],
            [[["first", 0, "success"]]],
        ],
        "resent": [[0, 200, 1], [2, 500, 0]],
        "recover": ["endpoint.recover", "finished", True],
        "recovered": 10,
        "replay missing": ["endpoint.replay", "finished", True],
        "missing arrived": ["cus_1", "cus_2", "more_0", "more_1", "more_2"],
        "bulk replay": ["endpoint.bulk-replay", "finished", True],
        "bulk arrived": ["cus_1", 6],
        "tasks": True,
        "stats": [6, 0, 0, 0],
        "rotated": [True, True],
        "example": [{"id": "cus_2"}, {"id": "cus_2"}],
        "another secret": "refused",
        "expunged": [{"expired": True}],
        "answer expunged": "EXPUNGED",
        "portal": [True, 3],
        "portal publishes": ["HttpError", 403, "insufficient access"],
        "portal elsewhere": GONE,
        "portal left": STRANGER,
        "portal expired": STRANGER,
        "stranger": STRANGER,
        "nobody": GONE,
        "no message": GONE,
        "bad limit": ["HTTPValidationError", 422, ["query", "limit"]],
        "other iterator": ["HTTPValidationError", 422, ["query", "iterator"]],
        "application deleted": GONE,
        "gone with it": GONE,
    }


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request, tmp_path_factory):
    """A server on each database in turn, whose deliveries are tried once, and a key."""
    folder = tmp_path_factory.mktemp("served")
    if request.param == "sqlite":
        yield from _served(f"sqlite:///{folder}/hookline.db", folder)
        return
    with request.getfixturevalue("postgres").fresh() as url:
        yield from _served(url, folder)


def _served(url, folder):
    settings = {"HOOKLINE_RETRY_SCHEDULE": "0", "HOOKLINE_DATABASE": url}
    serving = Serving("serve", "--port", "0", cwd=folder, **settings)
    try:
        serving.wait_until_ready()
        made = subprocess.run(
            [sys.executable, "-m", "hookline", "keys", "create", "clients", "--scope", "admin"],
            env={**os.environ, **settings},
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        yield serving.base, made.stdout.strip()
        serving.stop()
        assert not serving.containing("Answered 500")
    finally:
        if serving.process.poll() is None:
            serving.process.kill()
            serving.ended()


def old_client(cache):
    """Return where the last 1.x for Python is; it is installed there once."""
    folder = cache.mkdir("svix") / OLD
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "svix").exists():
            # It needs what the newest needs, which is here.
            command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
            options = ["--quiet", "--no-deps", "--target", str(folder), f"svix=={OLD}"]
            subprocess.run([*command, *options], check=True, timeout=300)
    return folder


def command(client, cache):
    """Return the command that runs a client's life cycle, and what its environment has besides."""
    if client == "python":
        assert version("svix") == NEW
        return [sys.executable, HERE / "cycle.py"], {}
    if client == "python-1":
        return [sys.executable, HERE / "cycle.py"], {"PYTHONPATH": str(old_client(cache))}
    if not install(HERE / "node"):
        pytest.skip("needs Node and npm")
    return [shutil.which("node"), HERE / "node" / "cycle.mjs", client], {}


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_the_whole_life_cycle(server, client, pytestconfig):
    """Every step does what it does at Svix, on both databases."""
    base, token = server
    run, environment = command(client, pytestconfig.cache)
    prefix = f"c-{client}"
    done = subprocess.run(
        [*run, base, token, prefix],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = dict(json.loads(line) for line in done.stdout.splitlines())
    wanted = steps(f"{prefix}-app")
    assert {name: said.get(name, "never reached") for name in wanted} == wanted, done.stderr[-2000:]
    assert list(said) == list(wanted)
    assert done.returncode == 0
