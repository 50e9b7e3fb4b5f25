"""Usage over REST and on the command line."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from hookline.cli import app


async def test_usage_is_told_by_day(serve):
    """Of one application, and of all."""
    async with serve() as s:
        made = (await s.api.post("/app", json={"name": "Acme", "uid": "acme"})).json()
        for name in ("acme", "acme", "default"):
            body = {"eventType": "a.b", "payload": {}}
            assert (await s.api.post(f"/app/{name}/msg", json=body)).status_code == 202
        today = datetime.now(UTC).date().isoformat()
        [own] = (await s.api.get("/app/acme/usage")).json()["data"]
        assert own == {"appId": made["id"], "day": today, "messages": 2, "attempts": 0}
        assert len((await s.api.get("/usage")).json()["data"]) == 2
        yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
        query = {"since": yesterday, "until": today}
        assert (await s.api.get("/usage", params=query)).json() == {"data": []}
        query = {"since": today}
        assert len((await s.api.get("/usage", params=query)).json()["data"]) == 2


@pytest.mark.parametrize(
    "query",
    [
        {"since": "2020-01-01T00:00:00Z"},
        {"since": "2020-01-02T00:00:00Z", "until": "2020-01-01T00:00:00Z"},
    ],
)
async def test_a_span_that_is_none_is_refused(serve, query):
    """Too long, or the wrong way round."""
    async with serve() as s:
        answer = await s.api.get("/usage", params=query)
        assert answer.status_code == 422
        assert "expected 1 to 366" in answer.text
        assert await s.status(["application:default"], "GET", "/usage") == 403
        assert await s.status(["application:default"], "GET", "/app/default/usage") == 200


def test_the_command_line_shows_it(database_file, make_webhooks, monkeypatch):
    """By application, by day, as JSON."""
    monkeypatch.setenv("HOOKLINE_DATABASE", f"sqlite:///{database_file}")
    run = CliRunner().invoke
    assert "nothing was published" in run(app, ["usage"]).stdout
    webhooks = make_webhooks(deliver=False)

    async def publish():
        await webhooks.trigger("a.b", {})
        await webhooks.stop()

    import asyncio

    asyncio.run(publish())
    today = datetime.now(UTC).date().isoformat()
    lines = run(app, ["usage"]).stdout.splitlines()
    assert lines[0].split() == ["application", "messages", "attempts"]
    assert lines[1].split()[0] == "default"
    assert lines[1].split()[2:] == ["1", "0"]
    assert today in run(app, ["usage", "--app", "default"]).stdout
    [row] = json.loads(run(app, ["usage", "--json"]).stdout)
    assert (row["day"], row["messages"]) == (today, 1)
    assert run(app, ["usage", "--app", "nobody"]).exit_code == 1
