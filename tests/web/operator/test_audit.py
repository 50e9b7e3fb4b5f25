"""The audit log over REST, with who was at work: a key, the command line, code, a file."""

import json

import pytest
from typer.testing import CliRunner

from hookline import Webhooks
from hookline.cli import app


async def entries(api, **query):
    """Return the log as REST gives it."""
    answer = await api.get("/audit", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_a_change_over_rest_is_its_key(serve):
    """With id and name, of the application it was made in; a secret that was shown, too."""
    async with serve() as s:
        made = (await s.api.post("/app", json={"name": "Acme", "uid": "acme"})).json()
        endpoint = await s.api.post("/app/acme/endpoint", json={"url": "https://a.example/"})
        name = endpoint.json()["id"]
        await s.api.patch(f"/app/acme/endpoint/{name}", json={"description": "books"})
        await s.api.get(f"/app/acme/endpoint/{name}/secret")
        found = await entries(s.api, app_id="acme")
        assert [(e["action"], e["fields"]) for e in found] == [
            ("endpoint.secret_read", []),
            ("endpoint.updated", ["description"]),
            ("endpoint.created", ["events", "url"]),
            ("application.created", ["name", "uid"]),
        ]
        assert {e["appId"] for e in found} == {made["id"]}
        actor = {"kind": "api_key", "id": s.key.id, "name": "operator"}
        assert all(e["actor"] == actor for e in found)
        [first, *_] = await entries(s.api, action="api_key.*")
        assert (first["actor"]["kind"], first["target"]) == ("code", s.key.id)


async def test_the_log_comes_in_pages(serve):
    """Forth and back."""
    async with serve() as s:
        for n in range(5):
            await s.api.post("/event-type", json={"name": f"t{n}", "description": ""})
        first = (await s.api.get("/audit", params={"limit": 2})).json()
        assert [e["target"] for e in first["data"]] == ["t4", "t3"]
        assert not first["done"]
        again = await entries(s.api, limit=2, iterator=first["iterator"])
        assert [e["target"] for e in again] == ["t2", "t1"]


@pytest.mark.parametrize(("scopes", "status"), [(["read"], 200), (["application:default"], 403)])
async def test_who_may_look(serve, scopes, status):
    """Keys of one application do not see it."""
    async with serve() as s:
        assert await s.status(scopes, "GET", "/audit") == status
        assert (await s.api.get("/audit", params={"app_id": "nobody"})).status_code == 404


async def test_code_may_say_who_it_is(make_webhooks):
    """On the engine's own loop, and not beyond the block; what a file declares is the file's."""
    webhooks = make_webhooks(deliver=False)
    with webhooks.acting("alice@example.com"):
        await webhooks.create_endpoint("https://a.example/", uid="a")
    await webhooks.disable("a", "why")
    page = await webhooks.audit()
    assert [(e.action, e.actor.kind, e.actor.name) for e in page.items] == [
        ("endpoint.disabled", "code", ""),
        ("endpoint.created", "code", "alice@example.com"),
    ]


def test_the_command_line_is_named(database_file, tmp_path, monkeypatch):
    """And shows the log."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKLINE_DATABASE", f"sqlite:///{database_file}")
    run = CliRunner().invoke
    assert "nothing was changed" in run(app, ["audit"]).stdout
    (tmp_path / "webhooks.json").write_text(
        json.dumps({"webhooks": [{"url": "https://a.example/", "events": ["*"]}]})
    )
    webhooks = Webhooks(deliver=False)
    webhooks.init()
    webhooks.close()
    assert run(app, ["keys", "create", "ci", "--scope", "admin"]).exit_code == 0
    shown = run(app, ["audit"]).stdout
    assert "api_key.created key_" in shown
    assert "(name, scopes)  cli" in shown
    [entry] = json.loads(run(app, ["audit", "--actor", "file", "--json"]).stdout)["entries"]
    assert (entry["action"], entry["fields"]) == ("endpoint.created", ["events", "url"])
    assert run(app, ["audit", "--app", "nobody"]).exit_code == 1
