"""Real answers of every operation of Svix's, checked against the schemas of its specification."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from tests.web.conftest import serving
from tests.web.test_access import LAST, TABLE, ask, one_of_everything
from tests.web.test_specification import OTHER_STATUS

THEIRS = json.loads((Path(__file__).parents[1] / "vectors" / "svix-api.json").read_text())
OPEN = {"GET /api/v1/health", "GET /api/v1/health/ping"}
MORE = {
    # bodies with every field of theirs, so that every field of an answer is there
    "POST /api/v1/app": {"name": "N", "uid": "n", "throttleRate": 5, "metadata": {"a": "b"}},
    "POST /api/v1/event-type": {
        "name": "full.made",
        "description": "d",
        "archived": False,
        "deprecated": True,
        "schemas": {"1": {"type": "object"}},
        "featureFlag": "f",
    },
    "POST /api/v1/app/{app_id}/endpoint": {
        "url": "http://127.0.0.1:9/",
        "description": "d",
        "uid": "full",
        "throttleRate": 5,
        "eventTypes": ["a.b"],
        "channels": ["c"],
        "metadata": {"a": "b"},
    },
    "POST /api/v1/app/{app_id}/msg": {
        "eventType": "a.b",
        "eventId": "e-1",
        "channels": ["c"],
        "payload": {"x": 1},
        "payloadRetentionPeriod": 30,
    },
}


def problems(model, document):
    """Return what is wrong with an answer, by a model of theirs."""
    schema = {"$ref": f"#/models/{model}", "models": THEIRS["models"]}
    checker = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{each.json_path}: {each.message}" for each in checker.iter_errors(document)]


async def test_every_answer_fits(database_url, tmp_path, monkeypatch):
    """With everything filled in, on success; and as an error, without a key and for no such id."""
    monkeypatch.chdir(tmp_path)
    names = [name for name in THEIRS["operations"] if name not in OPEN]
    # What the session's own key would end, and what leaves nothing to ask for, come last.
    names.sort(key=lambda name: LAST.index(name) if name in LAST else -1)
    wrong, seen = {}, 0
    async with serving(database=database_url) as s, s.client() as nobody:
        ids = await one_of_everything(s, "mine") | {"event_type_name": "x.y"}
        await s.api.post("/api/v1/event-type", json={"name": "x.y", "description": ""})
        for name in names:
            await s.api.get("/api/v1/app")
            body = MORE.get(name, TABLE[name][1])
            answer = await ask(s.api, name, ids, body)
            models = THEIRS["operations"][name]["answers"] | OTHER_STATUS.get(name, {})
            model = models.get(str(answer.status_code))
            if name.endswith("/logout"):
                assert answer.status_code == 403  # this one is no customer's
                continue
            assert answer.is_success, (name, answer.text)
            assert str(answer.status_code) in models
            if model is None:
                assert answer.content == b""
            else:
                wrong[name] = problems(model, answer.json())
                seen += 1
            for client, unknown in ((nobody, ids), (s.api, dict.fromkeys(ids, "nobody"))):
                refused = await ask(client, name, unknown, body)
                if not refused.is_success:
                    error = "HTTPValidationError" if refused.status_code == 422 else "HttpErrorOut"
                    wrong[name, refused.status_code] = problems(error, refused.json())
    assert {name: found for name, found in wrong.items() if found} == {}
    assert seen > 25


async def test_null_and_absent_fields(serve):
    """Lists always have `iterator`, null when they are empty; they leave out `prevIterator`."""
    async with serve() as s:
        await s.api.post("/api/v1/app", json={"name": "a", "uid": "a"})
        empty = (await s.api.get("/api/v1/app/a/msg")).json()
        assert empty == {"data": [], "iterator": None, "done": True}
        some = (await s.api.get("/api/v1/app")).json()
        assert some["iterator"] == some["data"][-1]["id"]
        assert some["prevIterator"] == f"-{some['data'][0]['id']}"
        assert "uid" not in (await s.api.post("/api/v1/app", json={"name": "b"})).json()


ZULU = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_times_out_and_in(serve):
    """Out: UTC, milliseconds, `Z`. In: any zone, and none, which is UTC."""
    async with serve() as s:
        made = (await s.api.post("/api/v1/app", json={"name": "a", "uid": "a"})).json()
        assert ZULU.fullmatch(made["createdAt"])
        sent = {"eventType": "a.b", "payload": {}}
        for _ in range(2):
            await s.api.post("/api/v1/app/a/msg", json=sent)
        first = (await s.api.get("/api/v1/app/a/msg")).json()["data"][0]["timestamp"]
        year = int(first[:4])
        for before, found in (
            (f"{year + 1}-01-01T00:00:00", 2),
            (f"{year + 1}-01-01T00:00:00+05:00", 2),
            (f"{year - 1}-01-01T00:00:00.000Z", 0),
            (f"{year - 1}-01-01T00:00:00", 0),
        ):
            page = await s.api.get("/api/v1/app/a/msg", params={"before": before})
            assert len(page.json()["data"]) == found


async def test_put_makes_and_changes(serve_each):
    """201 for an unknown uid, 200 afterwards; 404 for an unknown id; fields left out go back."""
    async with serve_each() as s:
        for path, full in (
            ("app/new", {"name": "a", "metadata": {"a": "b"}}),
            ("app/default/endpoint/new", {"url": "http://127.0.0.1:9/", "channels": ["c"]}),
            ("event-type/new.type", {"description": "d", "schemas": {"1": {}}}),
        ):
            first, extra = full
            made = await s.api.put(f"/api/v1/{path}", json=full)
            same = await s.api.put(f"/api/v1/{path}", json=full)
            less = await s.api.put(f"/api/v1/{path}", json={first: full[first]})
            assert (made.status_code, same.status_code, less.status_code) == (201, 200, 200)
            assert same.json()[extra] == full[extra]
            assert not less.json().get(extra)
        assert (await s.api.put("/api/v1/app/app_nobody", json={"name": "a"})).status_code == 404
        other = "/api/v1/app/default/endpoint/ep_nobody"
        assert (await s.api.put(other, json={"url": "http://127.0.0.1:9/"})).status_code == 404


async def test_patch_tells_null_from_absent(serve_each):
    """What is not named stays; null takes away."""
    full = {"url": "http://127.0.0.1:9/", "uid": "e", "eventTypes": ["a.b"], "channels": ["c"]}
    path = "/api/v1/app/default/endpoint/e"
    async with serve_each() as s:
        await s.api.post("/api/v1/app/default/endpoint", json={**full, "throttleRate": 7})
        kept = (await s.api.patch(path, json={})).json()
        assert (kept["eventTypes"], kept["channels"], kept["throttleRate"]) == (["a.b"], ["c"], 7)
        less = {"eventTypes": None, "channels": None, "throttleRate": None}
        gone = (await s.api.patch(path, json=less)).json()
        assert not {"eventTypes", "channels", "throttleRate"} & gone.keys()
        assert gone["uid"] == "e"


async def test_older_names(serve):
    """`filterTypes`, `rateLimit`, `data`; an empty list of types is all of them."""
    async with serve() as s:
        body = {"url": "http://127.0.0.1:9/", "filterTypes": ["a.b"], "rateLimit": 7}
        made = (await s.api.post("/api/v1/app/default/endpoint", json=body)).json()
        assert made["filterTypes"] == made["eventTypes"] == ["a.b"]
        assert (made["rateLimit"], made["throttleRate"], made["version"]) == (7, 7, 1)
        body = {"url": "http://127.0.0.1:9/", "filterTypes": []}
        everything = await s.api.post("/api/v1/app/default/endpoint", json=body)
        assert everything.status_code == 201
        assert "eventTypes" not in everything.json()
        sent = {"eventType": "a.b", "data": {"x": 1}}
        found = (await s.api.post("/api/v1/app/default/msg", json=sent)).json()
        assert found["payload"] == {"x": 1}


async def test_event_ids_are_used_once(serve_each):
    """Again with the same idempotency key: the same message. Otherwise 409, and one message."""
    async with serve_each() as s:
        sent = {"eventType": "a.b", "payload": {}, "eventId": "e"}
        path, key = "/api/v1/app/default/msg", {"idempotency-key": "k"}
        first = await s.api.post(path, json=sent, headers=key)
        again = await s.api.post(path, json=sent, headers=key)
        other = await s.api.post(path, json={**sent, "payload": {"x": 1}}, headers=key)
        third = await s.api.post(path, json=sent)
        assert first.json()["id"] == again.json()["id"]
        assert (other.status_code, third.status_code) == (409, 409)
        assert len((await s.api.get(path)).json()["data"]) == 1


# Our own tools -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["admin", "application:default"])
async def test_verdicts_on_urls(serve, scope):
    """The operator hears why and what to do; a customer that it is blocked, and no network."""
    async with serve() as s, s.client((await s.key(scope)).token) as client:
        url = {"url": "https://10.0.0.5/hooks"}
        found = (await client.post("/api/v1/check-url", json=url)).json()
        assert not found["allowed"]
        if scope == "admin":
            assert found["verdict"] == "blocked_address"
            assert "10.0.0.0/8" in found["reason"]
            assert "allowed_networks" in found["remedy"]
        else:
            assert found == {**url, "allowed": False, "verdict": "blocked_destination"}
        good = (await client.post("/api/v1/check-url", json={"url": "http://127.0.0.1/"})).json()
        assert good["allowed"]
        assert ("addresses" in good) == (scope == "admin")
        bad = await client.post("/api/v1/check-url", json={"url": "http://a b/"})
        assert bad.json()["detail"][0]["loc"] == ["body", "url"]


async def test_signatures_that_do_not_fit(serve, receiver):
    """A real delivery fits; with its body reformatted, that is what is found; no secret in it."""
    async with serve(deliver=True) as s:
        made = {"url": receiver.url, "uid": "e"}
        await s.api.post("/api/v1/app/default/endpoint", json=made)
        path = "/api/v1/app/default/endpoint/e/secret"
        secret = (await s.api.get(path)).json()["key"]
        sent = {"eventType": "a.b", "payload": {"a": 1, "b": [1, 2]}}
        await s.api.post("/api/v1/app/default/msg", json=sent)
        [request] = await receiver.arrived(1)
        body = request.body.decode()
        asked = {"headers": dict(request.headers), "secrets": ["other", secret]}
        fits = await s.api.post("/api/v1/debug-signature", json={**asked, "body": body})
        spaced = json.dumps(json.loads(body), indent=2)
        broken = await s.api.post("/api/v1/debug-signature", json={**asked, "body": spaced})
        assert (fits.json()["valid"], fits.json()["secret"]) == (True, 2)
        assert (broken.json()["valid"], broken.json()["cause"]) == (False, "body_reformatted")
        assert secret not in fits.text + broken.text
        assert broken.headers["cache-control"] == "no-store"


async def test_headers_of_an_attempt(database_file):
    """What the receiver answered, and of the request what is known; no secret."""
    async with serving(database=f"sqlite:///{database_file}") as s:
        ids = await one_of_everything(s, "mine")
        path = f"/api/v1/app/mine/msg/{ids['msg_id']}/attempt/{ids['attempt_id']}/headers"
        found = (await s.api.get(path)).json()
        assert found["sentHeaders"]["webhook-id"] == ids["msg_id"]
        assert found["sentHeaders"]["X-Webhook-Attempt"] == "1"
        assert "content-length" in {name.lower() for name, _ in found["responseHeaders"]}


async def test_bulk_expunge(serve_each):
    """Those that are there are erased, the others are named."""
    async with serve_each() as s:
        path = "/api/v1/app/default/msg"
        sent = {"eventType": "a.b", "payload": {"x": 1}}
        message = (await s.api.post(path, json=sent)).json()["id"]
        answer = await s.api.post(f"{path}/bulk-expunge", json={"ids": [message, "none"]})
        assert answer.json() == {"results": {message: "expunged", "none": "not-found"}}
        assert (await s.api.get(f"{path}/{message}")).json()["payload"] == {"expired": True}


async def test_canceled_tasks_have_failed(serve):
    """The clients know no other word; `data` says which."""
    async with serve() as s:
        since = {"since": "2026-01-01T00:00:00Z"}
        task = (await s.api.post("/api/v1/app/default/replay", json=since)).json()["id"]
        done = (await s.api.post(f"/api/v1/background-task/{task}/cancel")).json()
        assert (done["status"], done["data"]["state"]) == ("failed", "canceled")
        failed = (await s.api.get("/api/v1/background-task?status=failed")).json()["data"]
        assert [each["id"] for each in failed] == [task]


async def test_tasks_of_an_application_go_both_ways(serve_each):
    """The newest first, on by `iterator`, back by `prevIterator`; `done` in time."""
    async with serve_each() as s:
        path, since = "/api/v1/app/default", {"since": "2026-01-01T00:00:00Z"}
        made = [(await s.api.post(f"{path}/replay", json=since)).json()["id"] for _ in range(4)]
        pages, iterator = [], None
        for _ in range(2):
            params = {"limit": 2} | ({"iterator": iterator} if iterator else {})
            pages.append((await s.api.get(f"{path}/background-task", params=params)).json())
            iterator = pages[-1]["iterator"]
        assert [[each["id"] for each in page["data"]] for page in pages] == [
            made[:1:-1],
            made[1::-1],
        ]
        assert [page["done"] for page in pages] == [False, True]
        params = {"limit": 2, "iterator": pages[1]["prevIterator"]}
        back = (await s.api.get(f"{path}/background-task", params=params)).json()
        assert back["data"] == pages[0]["data"]


async def test_webhooks_are_described(serve):
    """The event catalogue, as anybody may know it: what has feature flags is not in it."""
    async with serve() as s, s.client() as nobody:
        schema = {"$defs": {"n": {"type": "integer"}}, "properties": {"n": {"$ref": "#/$defs/n"}}}
        for name, more in (
            ("a.b", {"schemas": {"1": {}, "2": schema}}),
            ("c", {"featureFlag": "f"}),
        ):
            body = {"name": name, "description": "Told.", **more}
            assert (await s.api.post("/api/v1/event-type", json=body)).status_code == 201
        document = (await nobody.get("/api/v1/openapi.json")).json()
        assert [*document["webhooks"]] == ["a.b"]
        own = document["webhooks"]["a.b"]["post"]
        assert own["description"] == "Told."
        assert own["requestBody"]["content"]["application/json"]["schema"] == {
            "$ref": "#/components/schemas/a.b"
        }
        described = document["components"]["schemas"]["a.b"]
        assert described["$defs"] == schema["$defs"]
        assert described["properties"]["n"]["$ref"] == "#/components/schemas/a.b/$defs/n"
        from openapi_spec_validator import validate

        validate(document)
