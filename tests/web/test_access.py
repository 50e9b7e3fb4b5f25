"""Who may do what: every operation of the description, for every kind of key; and tenants apart."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from tests.web.conftest import serving

from hookline import Webhooks
from hookline._web.api.app import build
from hookline.testing import Receiver

KEYS = {
    "admin": ("admin",),
    "read": ("read",),
    "application": ("application:mine",),
    "looking": ("application:mine", "read"),
    "portal": ("application:mine", "portal"),
    "portal looking": ("application:mine", "portal", "read"),
}
ALL = {*KEYS}
WRITING = {"admin", "application", "portal"}
PRODUCING = {"admin", "application"}
WHOLE = {"admin", "read"}
ADMIN = {"admin"}
PORTAL = {"portal", "portal looking"}
APP, ENDPOINT = "/api/v1/app/{app_id}", "/api/v1/app/{app_id}/endpoint/{endpoint_id}"
MESSAGE = "/api/v1/app/{app_id}/msg/{msg_id}"
OPERATIONAL = "/api/v1/operational-webhook/endpoint"
SINCE = {"since": (datetime.now(UTC) - timedelta(days=1)).isoformat()}
NEW = {"name": "New"}

TABLE = {
    # operation: who may, and a body that will do
    "GET /api/v1/app": (WHOLE, None),
    "POST /api/v1/app": (ADMIN, NEW),
    f"GET {APP}": (ALL, None),
    f"PUT {APP}": (ADMIN, {"name": "Mine", "uid": "mine"}),
    f"PATCH {APP}": (ADMIN, {"name": "Mine"}),
    f"DELETE {APP}": (ADMIN, None),
    f"GET {APP}/endpoint": (ALL, None),
    f"POST {APP}/endpoint": (WRITING, {"url": "http://127.0.0.1:9/"}),
    f"GET {ENDPOINT}": (ALL, None),
    f"PUT {ENDPOINT}": (WRITING, {"url": "http://127.0.0.1:9/"}),
    f"PATCH {ENDPOINT}": (WRITING, {"description": "x"}),
    f"DELETE {ENDPOINT}": (WRITING, None),
    f"GET {ENDPOINT}/headers": (ALL, None),
    f"PUT {ENDPOINT}/headers": (WRITING, {"headers": {}}),
    f"PATCH {ENDPOINT}/headers": (WRITING, {"headers": {}}),
    f"GET {ENDPOINT}/secret": (WRITING, None),
    f"POST {ENDPOINT}/secret/rotate": (WRITING, {}),
    f"GET {ENDPOINT}/stats": (ALL, None),
    f"GET {ENDPOINT}/health": (ALL, None),
    f"POST {ENDPOINT}/pause": (WRITING, None),
    f"POST {ENDPOINT}/resume": (WRITING, None),
    f"POST {ENDPOINT}/send-example": (PRODUCING, {"eventType": "svix.ping"}),
    f"POST {ENDPOINT}/recover": (WRITING, SINCE),
    f"POST {ENDPOINT}/replay-missing": (WRITING, SINCE),
    f"POST {ENDPOINT}/bulk-replay": (WRITING, SINCE),
    f"POST {APP}/replay": (WRITING, SINCE),
    "GET /api/v1/event-type": (ALL, None),
    "POST /api/v1/event-type": (ADMIN, {"name": "made.now", "description": ""}),
    "GET /api/v1/event-type/{event_type_name}": (ALL, None),
    "PUT /api/v1/event-type/{event_type_name}": (ADMIN, {"description": ""}),
    "PATCH /api/v1/event-type/{event_type_name}": (ADMIN, {"description": ""}),
    "DELETE /api/v1/event-type/{event_type_name}": (ADMIN, None),
    f"GET {APP}/msg": (ALL, None),
    f"POST {APP}/msg": (PRODUCING, {"eventType": "a.b", "payload": {}}),
    f"POST {APP}/msg/precheck/active": (ALL, {"eventType": "a.b"}),
    f"GET {MESSAGE}": (ALL, None),
    f"DELETE {MESSAGE}/content": (PRODUCING, None),
    f"GET {APP}/attempt/endpoint/{{endpoint_id}}": (ALL, None),
    f"GET {APP}/attempt/msg/{{msg_id}}": (ALL, None),
    f"GET {MESSAGE}/attempt/{{attempt_id}}": (ALL, None),
    f"DELETE {MESSAGE}/attempt/{{attempt_id}}/content": (PRODUCING, None),
    f"GET {ENDPOINT}/msg": (ALL, None),
    f"GET {MESSAGE}/endpoint": (ALL, None),
    f"POST {MESSAGE}/endpoint/{{endpoint_id}}/resend": (WRITING, None),
    "GET /api/v1/background-task": (WHOLE, None),
    "GET /api/v1/background-task/{task_id}": (ALL, None),
    "POST /api/v1/background-task/{task_id}/cancel": (WRITING, None),
    "POST /api/v1/auth/app-portal-access/{app_id}": (ADMIN, {}),
    "POST /api/v1/auth/app/{app_id}/expire-all": (ADMIN, None),
    "POST /api/v1/auth/logout": (PORTAL, None),
    f"GET {APP}/background-task": (ALL, None),
    f"GET {APP}/usage": (ALL, None),
    f"POST {APP}/msg/expunge-all-contents": (PRODUCING, None),
    f"POST {APP}/msg/bulk-expunge": (PRODUCING, {"ids": []}),
    f"POST {MESSAGE}/cancel": (PRODUCING, None),
    f"GET {MESSAGE}/attempt/{{attempt_id}}/headers": (ALL, None),
    "GET /api/v1/usage": (WHOLE, None),
    "GET /api/v1/audit": (WHOLE, None),
    "GET /api/v1/export": (WHOLE, None),
    "POST /api/v1/import": (ADMIN, {"hookline": 1}),
    "GET /api/v1/whoami": (ALL, None),
    "GET /api/v1/api-key": (WHOLE, None),
    "POST /api/v1/api-key": (ADMIN, {"name": "k", "scopes": ["read"]}),
    "DELETE /api/v1/api-key/{key_id}": (ADMIN, None),
    f"GET {OPERATIONAL}": (WHOLE, None),
    f"POST {OPERATIONAL}": (ADMIN, {"url": "http://127.0.0.1:9/"}),
    f"GET {OPERATIONAL}/{{endpoint_id}}": (WHOLE, None),
    f"PUT {OPERATIONAL}/{{endpoint_id}}": (ADMIN, {"url": "http://127.0.0.1:9/"}),
    f"DELETE {OPERATIONAL}/{{endpoint_id}}": (ADMIN, None),
    f"GET {OPERATIONAL}/{{endpoint_id}}/headers": (WHOLE, None),
    f"PUT {OPERATIONAL}/{{endpoint_id}}/headers": (ADMIN, {"headers": {}}),
    f"GET {OPERATIONAL}/{{endpoint_id}}/secret": (ADMIN, None),
    f"POST {OPERATIONAL}/{{endpoint_id}}/secret/rotate": (ADMIN, {}),
    "POST /api/v1/check-url": (ALL, {"url": "https://127.0.0.1/"}),
    "POST /api/v1/debug-signature": (ALL, {"body": "{}", "headers": {}, "secrets": ["s"]}),
}
STREAMS = {f"GET {APP}/listen"}
"""What does not end by itself: test_listen.py has it."""
FREE = {"GET /api/v1/health", "GET /api/v1/health/ping", "GET /api/v1/health/ready"}
"""What is answered without a key."""
LAST = (
    f"DELETE {OPERATIONAL}/{{endpoint_id}}",
    f"POST {APP}/msg/expunge-all-contents",
    f"DELETE {MESSAGE}/content",
    f"DELETE {ENDPOINT}",
    f"DELETE {APP}",
)
"""What is done after all else, because nothing is left then."""


def described():
    """Return the names of our operations."""
    document = build(Webhooks(database="sqlite:///unused.db", deliver=False)).openapi()
    return {f"{m.upper()} {path}" for path, item in document["paths"].items() for m in item}


def test_the_table_has_every_operation():
    """A new operation says who may before it is let in."""
    assert described() == {*TABLE} | FREE | STREAMS


def in_order():
    """Return the operations, those that take something away last."""
    return sorted(TABLE, key=lambda name: LAST.index(name) if name in LAST else -1)


async def one_of_everything(s, name):
    """Make an application of a name with one of everything, and return the ids."""
    with Receiver() as receiver:
        app = (await s.api.post("/api/v1/app", json={"name": name, "uid": name})).json()
        base = f"/api/v1/app/{app['id']}"
        endpoint = await s.api.post(f"{base}/endpoint", json={"url": receiver.url})
        sent = await s.api.post(f"{base}/msg", json={"eventType": "a.b", "payload": {}})
        tenant = await s.webhooks.for_application(name)
        message = sent.json()["id"]
        while not await tenant.attempts(message):  # committed just after it arrived
            await tenant.message(message)
    attempts = await s.api.get(f"{base}/attempt/msg/{message}")
    ids = {"app_id": app["id"], "endpoint_id": endpoint.json()["id"], "msg_id": message}
    recover = f"{base}/endpoint/{ids['endpoint_id']}/recover"
    task = await s.api.post(recover, json=SINCE)
    spare = await s.key("read", name="spare")
    told = await s.api.post(OPERATIONAL, json={"url": "http://127.0.0.1:9/"})
    ids |= {"key_id": spare.id, "operational": told.json()["id"]}
    return ids | {"attempt_id": attempts.json()["data"][0]["id"], "task_id": task.json()["id"]}


async def ask(client, name, ids, body=None):
    """Ask for an operation, with ids in its path."""
    method, path = name.split(" ")
    if OPERATIONAL in path:
        ids = {**ids, "endpoint_id": ids.get("operational", "x")}
    body = TABLE[name][1] if body is None else body
    path = re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], path)
    return await client.request(method, path, json=body)


@pytest.mark.parametrize("kind", KEYS)
async def test_what_a_key_allows(database_file, kind):
    """Everything in the table for whom it says, and 403 for the others."""
    async with serving(database=f"sqlite:///{database_file}") as s:
        ids = await one_of_everything(s, "mine")
        kind_of = {"name": "x.y", "description": ""}
        await s.api.post("/api/v1/event-type", json=kind_of)
        scopes = [each.replace("mine", ids["app_id"]) for each in KEYS[kind]]
        key = await s.key(*scopes)
        wrong = {}
        async with s.client(key.token) as client:
            for name in in_order():
                answer = await ask(client, name, ids | {"event_type_name": "x.y"})
                if name == "POST /api/v1/auth/logout" and kind in PORTAL:
                    key = await s.key(*scopes)
                    client.headers["Authorization"] = f"Bearer {key.token}"
                allowed = answer.is_success
                refused = answer.status_code == 403
                if kind in TABLE[name][0] and not allowed:
                    wrong[name] = answer.text
                elif kind not in TABLE[name][0] and not refused:
                    wrong[name] = f"{answer.status_code}: {answer.text}"
        assert wrong == {}


async def test_without_a_key(serve):
    """401 for all but the questions after health."""
    ids = dict.fromkeys(("app_id", "endpoint_id", "msg_id", "attempt_id", "task_id", "key_id"), "x")
    async with serve() as s, s.client() as nobody:
        for name in TABLE:
            answer = await ask(nobody, name, ids | {"event_type_name": "x"})
            assert answer.status_code == 401, name
        for name in FREE:
            answer = await nobody.get(name.removeprefix("GET "))
            assert answer.status_code in (200, 204, 503)


@pytest.mark.parametrize("kind", ["admin", "application"])
async def test_tenants_are_apart(database_url, tmp_path, monkeypatch, kind):
    """Every id of another application is answered as one that does not exist, on every operation.

    Also for an administrator, who names the one application and an id of the other.
    """
    monkeypatch.chdir(tmp_path)
    async with serving(database=database_url) as s:
        mine, theirs = await one_of_everything(s, "mine"), await one_of_everything(s, "theirs")
        key = await s.key(
            *([f"application:{mine['app_id']}"] if kind == "application" else KEYS[kind])
        )
        wrong, tried = {}, 0
        async with s.client(key.token) as client:
            for name in in_order():
                parts = set(re.findall(r"\{(\w+)\}", name)) & theirs.keys()
                if OPERATIONAL in name or "key_id" in parts:
                    continue  # the deployment's, not an application's
                for part in parts:
                    if kind == "admin" and part in ("app_id", "task_id"):
                        continue  # an administrator's own
                    answer = await ask(
                        client, name, {**mine, "event_type_name": "x", part: theirs[part]}
                    )
                    tried += 1
                    # What needs an administrator says so, whatever the id.
                    if "application" in TABLE[name][0] or kind == "admin":
                        expected = {404}
                    else:
                        expected = {403, 404}
                    if answer.status_code not in expected:
                        wrong[name, part] = answer.text
        assert wrong == {}
        assert tried > 25
        admin = s.api  # and nothing of theirs has changed
        for path in ("", f"/endpoint/{theirs['endpoint_id']}", f"/msg/{theirs['msg_id']}"):
            answer = await admin.get(f"/api/v1/app/theirs{path}")
            assert answer.status_code == 200
        found = (await admin.get(f"/api/v1/app/theirs/msg/{theirs['msg_id']}")).json()
        assert found["payload"] == {}
