"""Every answer is JSON, errors have the codes the clients know, and bodies are read strictly."""

import asyncio
import json
import logging

import httpx
import pytest
from fastapi import FastAPI

from hookline import errors
from hookline._web.errors import Refused
from hookline._web.shell import Shell


def raising(error):
    async def act(request):
        raise error

    return act


ERRORS = [
    (errors.InvalidInput("rate_limit: 0 is not between 1 and 5"), 422, ["body", "rateLimit"]),
    (errors.InvalidInput("metadata.plan: expected text"), 422, ["body", "metadata", "plan"]),
    (errors.InvalidInput("says nothing of a place"), 422, ["body"]),
    (errors.InvalidUrl("url: no scheme"), 422, ["body", "url"]),
    (errors.UnknownEventType("events: 'a.b' is not in the catalogue"), 422, ["body", "events"]),
    (errors.PayloadTooLarge("payload: 9 bytes"), 413, "payload_too_large"),
    (errors.EndpointNotFound("no endpoint 'x'"), 404, "not_found"),
    (errors.MessageNotFound("no message"), 404, "not_found"),
    (errors.AlreadyExists("uid: there is an application 'a' already"), 409, "conflict"),
    (errors.IdempotencyConflict("key"), 409, "conflict"),
    (errors.EndpointDisabled("is disabled"), 409, "conflict"),
    (errors.InvalidApiKey("API key: key_1 was revoked"), 401, "authentication_failed"),
    (errors.StorageError("postgresql://10.0.0.7: connection refused"), 503, "server_error"),
    (errors.SecretsLocked("endpoint ep_1"), 503, "server_error"),
    (errors.DeliveryTimeout("not delivered within 5 s"), 504, "server_error"),
    (errors.SessionMismatch("another database"), 500, "server_error"),
    (RuntimeError("the password is hunter2"), 500, "server_error"),
    (Refused(403, "no"), 403, "insufficient access"),
    (Refused(501, "not yet"), 501, "not_implemented"),
    (Refused(400, "no"), 400, "generic_error"),
]


@pytest.mark.parametrize(("error", "status", "told"), ERRORS, ids=lambda v: type(v).__name__)
async def test_each_error_has_its_answer(serve, error, status, told):
    """The table of errors, from the façade's exceptions to what a client reads."""
    async with serve() as s:
        s.probe.act = raising(error)
        answer = await s.api.get("/api/v1/probe/raise")
    document = answer.json()
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    if status == 422:
        [fault] = document["detail"]
        assert (fault["loc"], fault["type"]) == (told, "value_error")
    else:
        assert (document["code"], type(document["detail"])) == (told, str)
        assert set(document) == {"code", "detail"}


async def test_errors_of_ours_keep_their_secrets(serve, caplog):
    """A 500 and a 503 say nothing of the inside; the log has the traceback, and the reason."""
    async with serve() as s:
        s.probe.act = raising(RuntimeError("the password is hunter2"))
        broken = await s.api.get("/api/v1/probe/raise")
        s.probe.act = raising(errors.StorageError("no route to 10.0.0.7"))
        away = await s.api.get("/api/v1/probe/raise")
    assert "hunter2" not in broken.text
    assert "10.0.0.7" not in away.text
    assert away.headers["retry-after"] == "1"
    [traceback] = [r for r in caplog.records if r.exc_info]
    assert (traceback.name, traceback.levelno) == ("hookline", logging.ERROR)
    assert "the password is hunter2" in caplog.text
    assert "10.0.0.7" in caplog.text


async def test_a_blocked_destination_names_no_network(serve, caplog):
    """The tenant hears `blocked_destination`, the operator why."""
    error = errors.BlockedDestination("url: private network 10.0.0.0/8", ("blocked_address", "x"))
    with caplog.at_level(logging.INFO, "hookline"):
        async with serve() as s:
            s.probe.act = raising(error)
            answer = await s.api.post("/api/v1/probe/raise", content=b"{}")
    assert answer.status_code == 422
    assert answer.json()["detail"] == [
        {"loc": ["body", "url"], "msg": "blocked_destination", "type": "value_error"}
    ]
    assert "10.0.0.0/8" in caplog.text


async def test_a_challenge_goes_with_401(serve):
    """RFC 9110 §15.5.2."""
    async with serve() as s, s.client() as nobody:
        answer = await nobody.get("/api/v1/probe/caller")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


# Paths and methods -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/v1", "/api/v2/health", "/nothing//x", "/api/v1/health/x"]
)
async def test_nothing_there(serve, path):
    """404, in JSON."""
    async with serve() as s:
        answer = await s.api.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("path", ["/nothing", "/nothing/here/", "/docs/nothing.js", "/apiary"])
async def test_who_browses_gets_a_page(serve, path):
    """Outside of the API, the dashboard's; whoever asks for anything else gets JSON as ever."""
    async with serve() as s, s.client() as nobody:
        page = await nobody.get(path, headers={"Accept": BROWSER})
        assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "There is no such page." in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        head = await nobody.head(path, headers={"Accept": BROWSER})
        assert (head.status_code, head.headers["content-type"]) == (
            404,
            page.headers["content-type"],
        )
        for method, accepted in (("GET", "*/*"), ("GET", "application/json"), ("POST", BROWSER)):
            plain = await nobody.request(method, path, headers={"Accept": accepted})
            if plain.status_code != 405:
                assert (plain.status_code, plain.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/api", "/api/v1/nothing", "/api/v2"])
async def test_the_api_answers_in_json_whoever_asks(serve, path):
    """A browser too."""
    async with serve() as s, s.client() as nobody:
        answer = await nobody.get(path, headers={"Accept": BROWSER})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_another_method(serve):
    """405 names every method of the path, over all of its routes."""
    async with serve() as s:
        answer = await s.api.delete("/api/v1/app/default/probe")
        health = await s.api.post("/api/v1/health")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, POST"
    assert health.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/api/v1/health/", "/api/v1/health///", "/api/v1/openapi.json/"])
async def test_trailing_slashes_are_trimmed(serve, path):
    """Never redirected: clients do not follow."""
    async with serve() as s:
        answer = await s.api.get(path)
    assert answer.status_code in {200, 204}


@pytest.mark.parametrize(
    "path", ["api/v1/health/", "docs/", "api/docs", "api/docs/start.js", "api/v1/openapi.json"]
)
async def test_below_a_prefix(serve, path):
    """Mounted in another application, whose lifespan it does not hear of."""
    async with serve() as s, s.client() as client:
        outer = FastAPI()
        outer.mount("/hooks", s.app)
        client._transport = httpx.ASGITransport(outer)
        assert (await client.get(f"/hooks/{path}")).status_code in {200, 204}
        wrong = await client.post("/hooks/api/v1/health")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["health", "health/ping"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_health(serve, path, method):
    """204 without a body, without a key."""
    async with serve() as s, s.client() as nobody:
        answer = await nobody.request(method, f"/api/v1/{path}")
    assert (answer.status_code, answer.content) == (204, b"")


async def test_readiness_says_which_part(serve):
    """200 while all is well; 503 names the part that is not."""
    async with serve() as s, s.client() as nobody:
        well = await nobody.get("/api/v1/health/ready")
        s.app.state.lookout.stopping = True
        ill = await nobody.get("/api/v1/health/ready")
    assert (well.status_code, well.json()["ready"]) == (200, True)
    assert set(well.json()["parts"]) == {"database", "schema", "share", "heartbeats"}
    assert (ill.status_code, ill.json()["parts"]["share"]) == (503, "stopping")


async def test_readiness_is_asked_once_a_second(serve, monkeypatch):
    """However many ask, also at the same time."""
    async with serve() as s, s.client() as nobody:
        lookout, asked = s.app.state.lookout, []
        ask = lookout._ask

        async def counting():
            asked.append(1)
            return await ask()

        lookout._ask = counting
        monkeypatch.setattr("hookline._web.lookout.time.monotonic", lambda: 1000.0)
        await asyncio.gather(*(nobody.get("/api/v1/health/ready") for _ in range(10)))
        assert len(asked) == 1
        monkeypatch.setattr("hookline._web.lookout.time.monotonic", lambda: 1001.1)
        await nobody.get("/api/v1/health/ready")
        assert len(asked) == 2


# Bodies ------------------------------------------------------------------------------------------

BAD_JSON = [
    b"{",
    b"nope",
    b'{"name": NaN}',
    b'{"name": "a",}',
    b"\xff",
    b'"\\ud800"',
    b"\xef\xbb\xbf{}",
]


@pytest.mark.parametrize("body", BAD_JSON)
async def test_what_is_no_json(serve, body):
    """422 as the clients know it."""
    async with serve() as s:
        answer = await s.api.post("/api/v1/probe/model", content=body)
        assert s.probe.calls == []
    [fault] = answer.json()["detail"]
    assert (answer.status_code, fault["type"]) == (422, "value_error.jsondecode")
    assert fault["loc"][0] == "body"


async def test_what_does_not_fit(serve):
    """422: where, as texts, and what; never the value."""
    body = {"name": "", "metadata": {"a": ["hunter2"]}, "throttleRate": "fast"}
    async with serve() as s:
        answer = await s.api.post("/api/v1/probe/model", json=body)
        missing = await s.api.post("/api/v1/probe/model", json={})
        absent = await s.api.post("/api/v1/probe/model")
    assert answer.status_code == 422
    places = [fault["loc"] for fault in answer.json()["detail"]]
    assert ["body", "name"] in places
    assert ["body", "metadata", "a"] in places
    assert all(set(fault) == {"loc", "msg", "type"} for fault in answer.json()["detail"])
    assert "hunter2" not in answer.text
    assert missing.json()["detail"][0]["loc"] == ["body", "name"]
    assert (absent.status_code, absent.json()["detail"][0]["loc"]) == (422, ["body"])


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_is_json_whatever_it_says(serve, kind):
    """`curl -d` says that it sends a form."""
    headers = {"Content-Type": kind} if kind else {}
    async with serve() as s:
        answer = await s.api.post("/api/v1/probe/model", content=b'{"name":"a"}', headers=headers)
    assert answer.json() == {"name": "a", "throttleRate": None}


@pytest.mark.parametrize("depth", [100, 101, 900, 5000])
async def test_nesting_has_a_limit(serve, depth):
    """A hundred levels, and a clear answer beyond."""
    body = b'{"name":"a","x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
    async with serve() as s:
        answer = await s.api.post("/api/v1/probe/model", content=body)
    assert answer.status_code == (200 if depth <= 100 else 422)
    if depth > 100:
        assert answer.json()["detail"][0]["type"] == "value_error.jsondecode"


async def test_a_body_has_a_limit(serve):
    """The payload's and 64 KiB around it; announced, or sent in chunks."""
    limit = 1024 + (64 << 10)

    async def chunks(size):
        for _ in range(size // 1000):
            yield b" " * 1000
        yield b" " * (size % 1000)

    async with serve(payload_limit=1024) as s:
        s.probe.act = _said
        sizes = {}
        for size in (limit, limit + 1):
            for body in (b" " * size, chunks(size)):
                answer = await s.api.post("/api/v1/probe/raise", content=body)
                sizes.setdefault(size, []).append(answer.status_code)
        assert [len(body) for body in s.probe.calls] == [limit, limit]
    assert sizes == {limit: [200, 200], limit + 1: [413, 413]}
    assert answer.json() == {
        "code": "payload_too_large",
        "detail": "body: larger than 66,560 bytes",
    }


async def _said(request):
    from hookline._web.answers import Answer

    return Answer({})


async def call(app, messages, headers):
    """Send a request message by message, and return what is answered."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": headers,
    }
    sent = []

    async def send(message):
        sent.append(message)

    await app(scope, messages, send)
    return (sent[0]["status"], json.loads(sent[1]["body"])) if sent else None


async def never_called(scope, receive, send):
    raise AssertionError("a body that did not arrive came through")


CHUNKED = [(b"transfer-encoding", b"chunked")]


async def test_a_body_that_does_not_arrive(monkeypatch):
    """It is given up after a while, with an answer."""
    monkeypatch.setattr("hookline._web.shell.BODY_SECONDS", 0.01)
    shell = Shell(never_called, limit=1000)

    async def silent():
        await asyncio.Event().wait()

    status, document = await call(shell, silent, CHUNKED)
    assert (status, document["code"]) == (408, "generic_error")


async def test_a_client_that_goes_away():
    """Nobody is answered, and nothing is done."""

    async def gone():
        return {"type": "http.disconnect"}

    assert await call(Shell(never_called, limit=1000), gone, CHUNKED) is None


async def test_bodies_share_a_budget(monkeypatch):
    """Many slow large bodies cannot fill the memory; the budget is there again afterwards."""
    monkeypatch.setattr("hookline._web.shell.BODIES_BYTES", 2500)
    shell = Shell(never_called, limit=600)
    stalled, release = asyncio.Event(), asyncio.Event()
    told = set()

    async def slow():
        if asyncio.current_task() not in told:
            told.add(asyncio.current_task())
            stalled.set()
            return {"type": "http.request", "body": b"x" * 500, "more_body": True}
        await release.wait()
        return {"type": "http.disconnect"}

    slow_ones = []
    for _ in range(5):
        slow_ones.append(asyncio.create_task(call(shell, slow, CHUNKED)))
        await stalled.wait()
        stalled.clear()
    assert shell.held == 2500
    status, document = await call(shell, slow, CHUNKED)
    assert (status, document["code"]) == (503, "server_error")
    release.set()
    assert await asyncio.gather(*slow_ones) == [None] * 5
    assert shell.held == 0
