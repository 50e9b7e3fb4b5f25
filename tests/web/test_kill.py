"""kill -9 between commit and answer: whoever asks again finds what is there; there is no second."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.web.conftest import serving

from hookline._web.api import repeats

SERVER = Path(__file__).with_name("killed.py")
KEY = {"idempotency-key": "auto_1"}
WHAT = {
    "app": {"name": "Acme", "uid": "acme"},
    "app/default/endpoint": {"url": "http://127.0.0.1:9/"},
    "app/default/msg": {"eventType": "a.b", "payload": {"x": 1}},
    "event-type": {"name": "a.b", "description": "d"},
}


def die_at(database_url, path):
    """Ask a server for something that kills it before it answers; return the key it gave."""
    killed = subprocess.Popen([sys.executable, SERVER, database_url], stdout=subprocess.PIPE)
    try:
        port, token = killed.stdout.readline().decode().split()
        headers = {"Authorization": f"Bearer {token}", **KEY}
        url = f"http://127.0.0.1:{port}/api/v1/{path}"
        with httpx.Client(trust_env=False, timeout=10) as client, pytest.raises(httpx.HTTPError):
            client.post(url, json=WHAT[path], headers=headers)
        assert killed.wait(10) == -9
    finally:
        killed.kill()
        killed.wait()
        killed.stdout.close()
    return token


@pytest.mark.parametrize("path", WHAT)
async def test_killed_before_the_answer(database_url, tmp_path, monkeypatch, path):
    """The connection breaks; with the same idempotency key there is one afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(repeats, "PATIENCE", 0.0)
    token = await asyncio.to_thread(die_at, database_url, path)
    async with serving(database=database_url, deliver=False) as s, s.client(token) as client:
        if path != "app/default/msg":  # messages carry their key themselves: nothing to wait for
            early = await client.post(f"/api/v1/{path}", json=WHAT[path], headers=KEY)
            assert (early.status_code, early.headers["retry-after"]) == (409, "1")
            clock = s.webhooks._runtime.clock
            now = clock.now()
            monkeypatch.setattr(type(clock), "now", lambda _: now + repeats.LEASE_MS + 1)
        again = await client.post(f"/api/v1/{path}", json=WHAT[path], headers=KEY)
        assert again.is_success, again.text
        found = [
            each
            for each in (await client.get(f"/api/v1/{path}")).json()["data"]
            if each.get("uid") != "default"
        ]
        assert len(found) == 1
        assert found[0].get("id", found[0].get("name")) == again.json().get("id", "a.b")
