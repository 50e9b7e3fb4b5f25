"""A process dies between doing what a POST asks for and remembering that it was done."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, json, os, sys
import httpx
from fastapi import Request
from hookline import Webhooks
from hookline._web.answers import Answer
from hookline._web.api import repeats
from hookline._web.api.app import build
from hookline._web.api.callers import Caller
from hookline._web.api.routes import Router

url, token, dies = sys.argv[1], sys.argv[2], sys.argv[3] == "dies"
repeats.LEASE_MS = 300
router = Router("Things")

@router.post("/things", status_code=201)
async def make(request: Request, caller: Caller) -> Answer:
    print(repeats.resource(request).hex(), flush=True)
    if dies:
        os.kill(os.getpid(), 9)
    return Answer({"made": True}, 201)

async def main():
    async with Webhooks(database=url, deliver=False) as webhooks:
        transport = httpx.ASGITransport(build(webhooks, [router]))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "auto_1"}
            for _ in range(2):
                answer = await client.post("/api/v1/things", json={"n": 1}, headers=headers)
                replayed = answer.headers.get("idempotent-replayed")
                print(json.dumps([answer.status_code, answer.json(), replayed]))

asyncio.run(main())
"""


@pytest.fixture
def process(on_each_database, database_url, tmp_path):
    """Return a runner of the script in a process of its own: exit code and lines."""
    webhooks = on_each_database(deliver=False)
    token = asyncio.run(webhooks.create_api_key("test", ["admin"])).token
    webhooks.close()

    def run(how):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, database_url, token, how],
            cwd=tmp_path,
            env={**os.environ, "HOOKLINE_DEVELOPMENT": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert not done.stderr, done.stderr
        return done.returncode, done.stdout.splitlines()

    return run


def test_the_next_try_makes_the_same_thing(process):
    """It waits for the dead one's lease, then does it with the same id; later ones are told."""
    code, [first] = process("dies")
    assert code == -signal.SIGKILL
    code, [second, answer, again] = process("lives")
    assert code == 0
    assert second == first
    assert json.loads(answer) == [201, {"made": True}, None]
    assert json.loads(again) == [201, {"made": True}, "true"]
