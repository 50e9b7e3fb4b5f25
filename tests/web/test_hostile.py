"""What nobody sends by mistake: the answer is a clear 4xx, or the thing itself, and never a 500."""

import asyncio
import json

import pytest

NUL, SURROGATE = "a\0b", "\ud800"
APP = "/api/v1/app/default"
NUMBERS = [
    "0",
    "-1",
    "1e400",
    "9" * 400,
    "0x10",
    "1.5",
    "true",
    "",
    " ",
    "١",
    "9223372036854775808",
]
TIMES = [
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-23:59",
    "1969-12-31T23:59:59Z",
    "-1",
    "1e308",
    "99999999999999",
    "2026-02-30T00:00:00Z",
    "2026-01-01",
    "2026-01-01T00:00:00",
    "now",
    "",
]
STRINGS = [
    NUL,
    "x" * 70_000,
    "'; DROP TABLE hookline_message; --",
    "../../etc/passwd",
    "😀",
    "%s%n",
    "",
]


def bodies(text):
    """Yield operations with a text in each of their places."""
    yield "POST", "/api/v1/app", {"name": text}
    yield "POST", "/api/v1/app", {"name": "a", "uid": text}
    yield "POST", "/api/v1/app", {"name": "a", "metadata": {text: "v"}}
    yield "POST", "/api/v1/app", {"name": "a", "metadata": {"k": text}}
    yield "PATCH", APP, {"metadata": {"k": text}}
    yield "POST", "/api/v1/event-type", {"name": text, "description": "d"}
    yield "POST", "/api/v1/event-type", {"name": f"n{len(text)}", "description": text}
    yield "PUT", "/api/v1/event-type/x", {"description": "", "schemas": {text: {"title": text}}}
    yield "PUT", "/api/v1/event-type/x", {"description": "", "groupName": text}
    yield "PUT", "/api/v1/event-type/x", {"description": "", "featureFlags": [text]}
    for field in ("url", "description", "uid", "secret", "ca", "proxy", "handshake", "clientKey"):
        body = {"url": "https://example.com/", field: text}
        yield "POST", f"{APP}/endpoint", body
    for field in ("eventTypes", "channels", "signatures", "allowedNetworks"):
        yield "POST", f"{APP}/endpoint", {"url": "https://example.com/", field: [text]}
    yield "POST", f"{APP}/endpoint", {"url": f"https://example.com/{text}"}
    yield "POST", f"{APP}/endpoint", {"url": f"https://{text}/"}
    yield "POST", f"{APP}/endpoint", {"url": "https://example.com/", "headers": {"X-A": text}}
    yield "POST", f"{APP}/endpoint", {"url": "https://example.com/", "headers": {text: "v"}}
    yield "POST", f"{APP}/endpoint", {"url": "https://example.com/", "oauth2": {"token_url": text}}
    yield "PATCH", f"{APP}/endpoint/ep", {"description": text}
    yield "PUT", f"{APP}/endpoint/ep/headers", {"headers": {"X-A": text}}
    yield "POST", f"{APP}/endpoint/ep/secret/rotate", {"key": text}
    yield "POST", f"{APP}/endpoint/ep/send-example", {"eventType": text}
    yield "POST", f"{APP}/endpoint/ep/recover", {"since": text}
    yield "POST", f"{APP}/endpoint/ep/bulk-replay", {"since": "2026-01-01T00:00:00Z", "tag": text}
    yield "POST", f"{APP}/endpoint/ep/bulk-replay", {"since": text, "channel": text}
    for field in ("eventType", "eventId", "orderingKey", "deliverAt"):
        yield "POST", f"{APP}/msg", {"eventType": "a.b", "payload": {}, field: text}
    for field in ("channels", "tags"):
        yield "POST", f"{APP}/msg", {"eventType": "a.b", "payload": {}, field: [text]}
    yield "POST", f"{APP}/msg", {"eventType": "a.b", "payload": {text: text}}
    raw = {"rawPayload": text}
    yield "POST", f"{APP}/msg", {"eventType": "a.b", "payload": {}, "transformationsParams": raw}
    yield "POST", f"{APP}/msg/precheck/active", {"eventType": text, "channels": [text]}
    yield "POST", "/api/v1/auth/app-portal-access/default", {"sessionId": text}
    yield "POST", "/api/v1/auth/app-portal-access/x", {"application": {"name": text}}


PLACES = [
    "/api/v1/app/{}",
    "/api/v1/app/{}/endpoint",
    "/api/v1/event-type/{}",
    "/api/v1/background-task/{}",
    f"{APP}/endpoint/{{}}",
    f"{APP}/endpoint/{{}}/stats",
    f"{APP}/msg/{{}}",
    f"{APP}/msg/{{}}/endpoint",
    f"{APP}/attempt/msg/{{}}",
    f"{APP}/attempt/endpoint/{{}}",
]
QUERIES = {
    "/api/v1/app": ("limit", "iterator", "order"),
    "/api/v1/event-type": ("limit", "iterator", "order", "include_archived", "with_content"),
    "/api/v1/background-task": ("limit", "iterator", "status", "task"),
    f"{APP}/endpoint": ("limit", "iterator", "order"),
    f"{APP}/endpoint/ep/stats": ("since", "until"),
    f"{APP}/endpoint/ep/msg": ("limit", "iterator", "status", "channel", "tag", "before", "after"),
    f"{APP}/attempt/endpoint/ep": ("limit", "iterator", "status", "status_code_class", "with_msg"),
    f"{APP}/msg": ("iterator", "channel", "tag", "before", "after", "text", "event_types"),
}


async def endpoint(s):
    """Make the endpoint that the requests name."""
    made = {"url": "https://example.com/", "uid": "ep"}
    assert (await s.api.post(f"{APP}/endpoint", json=made)).status_code == 201


def clear(answer):
    """Tell whether an answer is none that a client cannot work with."""
    if answer.status_code >= 500:
        return False
    return answer.is_success or "detail" in answer.json()


@pytest.mark.parametrize("text", STRINGS, ids=range(len(STRINGS)))
async def test_texts_in_bodies(serve_each, text):
    """NUL, which PostgreSQL cannot store, among them."""
    async with serve_each() as s:
        await endpoint(s)
        wrong = []
        for method, path, body in bodies(text):
            answer = await s.api.request(method, path, json=body)
            if not clear(answer):
                wrong.append((method, path, str(body)[:200], answer.status_code))
        assert wrong == []


@pytest.mark.parametrize("text", STRINGS[:-1], ids=range(len(STRINGS) - 1))
async def test_texts_in_paths(serve_each, text):
    """Nothing is found under such a name."""
    async with serve_each() as s:
        await endpoint(s)
        for place in PLACES:
            quoted = "".join(f"%{byte:02x}" for byte in text[:5000].encode())
            for method in ("GET", "DELETE"):
                answer = await s.api.request(method, place.format(quoted))
                assert answer.status_code in (404, 405, 422), (method, place)
                assert "detail" in answer.json()


async def test_whatever_in_queries(serve_each):
    """Numbers, times and texts in every parameter."""
    async with serve_each() as s:
        await endpoint(s)
        wrong = []
        for path, names in QUERIES.items():
            for name in names:
                for value in (*NUMBERS, *TIMES, *STRINGS):
                    answer = await s.api.get(path, params={name: value[:1000]})
                    if not clear(answer):
                        wrong.append((path, name, value[:50], answer.status_code))
        assert wrong == []


@pytest.mark.parametrize("time", TIMES)
async def test_times_in_bodies(serve_each, time):
    """Those at the ends of the calendar, too."""
    async with serve_each() as s:
        await endpoint(s)
        since = {"since": "2026-01-01T00:00:00Z"}
        for path, body in (
            ("endpoint/ep/recover", {"since": time}),
            ("endpoint/ep/recover", {**since, "until": time}),
            ("endpoint/ep/replay-missing", {"since": time, "dryRun": True}),
            ("replay", {"since": time, "until": time}),
            ("msg", {"eventType": "a.b", "payload": {}, "deliverAt": time}),
        ):
            answer = await s.api.post(f"{APP}/{path}", json=body)
            assert clear(answer), (path, body, answer.text)


RAW = [
    b'{"eventType":"a.b","payload":{},"payload":{"x":1}}',
    b'{"eventType":"a.b","payload":{},"pay\\u006coad":{"x":1}}',
    b'{"eventType":"a.b","payload":{"a":"\\ud800"}}',
    b'{"eventType":"a.b","payload":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
    b'{"eventType":"a.b","payload":[]}',
    b'{"eventType":"a.b","payload":"text"}',
    b'{"eventType":"a.b","payload":null}',
    b'{"eventType":["a.b"],"payload":{}}',
    b'{"eventType":"a.b"}',
    b"[]",
    b"null",
    b'"text"',
    b"{}",
    b"",
    b'{"eventType":"a.b","payload":{"n":1e999}}',
    b'{"eventType":"a.b","payload":{}}x',
    b"\x00",
]


@pytest.mark.parametrize("body", RAW, ids=range(len(RAW)))
async def test_bodies_that_are_none(serve, body):
    """422, and nothing is published."""
    async with serve() as s:
        answer = await s.api.post(f"{APP}/msg", content=body)
        assert answer.status_code == 422, answer.text
        assert answer.json()["detail"][0]["loc"][0] == "body"
        assert (await s.api.get(f"{APP}/msg")).json()["data"] == []


@pytest.mark.parametrize("name", ["X-A\r\nX-B", "X A", "Host", "Content-Length", "webhook-id", ""])
@pytest.mark.parametrize("way", ["create", "put", "patch"])
async def test_headers_cannot_be_smuggled(serve, name, way):
    """Neither by name nor by value, whichever way they come."""
    async with serve() as s:
        await endpoint(s)
        for headers in ({name: "v"}, {"X-A": f"v\r\n{name or 'X-B'}: w"}):
            if way == "create":
                body = {"url": "https://example.com/", "headers": headers}
                answer = await s.api.post(f"{APP}/endpoint", json=body)
            else:
                method = way.upper()
                path = f"{APP}/endpoint/ep/headers"
                answer = await s.api.request(method, path, json={"headers": headers})
            assert answer.status_code == 422, headers
            assert "headers" in answer.json()["detail"][0]["loc"][1]
        kept = (await s.api.get(f"{APP}/endpoint/ep/headers")).json()
        assert kept == {"headers": {}, "sensitive": []}


PAYLOADS = [
    b'{"a": 1.000000000000000000000000001, "b": 1e2, "c": 12345678901234567890123}',
    b'{"text":"\\u00e9\\/ \\ud83d\\ude00"}',
    b'{\n  "x" : [ 1 , 2 ] ,\t"10":1, "2":2 }',
    '{"name":"张三 😀"}'.encode(),
    b'{"a":1,"a":2}',
    b"{}",
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
@pytest.mark.parametrize("field", ["payload", "data"])
async def test_payloads_stay_as_they_are(serve_each, receiver, payload, field):
    """Byte for byte: to the receiver, and back to whoever looks."""
    async with serve_each(deliver=True) as s:
        await s.api.post(f"{APP}/endpoint", json={"url": receiver.url})
        body = b'{ "eventType" : "a.b", "%s": %s }' % (field.encode(), payload)
        made = await s.api.post(f"{APP}/msg", content=body)
        assert made.status_code == 202
        found = await s.api.get(f"{APP}/msg/{made.json()['id']}")
        listed = await s.api.get(f"{APP}/msg")
        for answer in (made, found, listed):
            assert payload in answer.content
        [request] = await asyncio.to_thread(receiver.wait_for, 1)
        assert request.body == payload


async def test_raw_payloads(serve):
    """As a text, for clients that make JSON of everything else; and not both."""
    async with serve() as s:
        raw = '{"n": 1.0}'
        body = {"eventType": "a.b", "payload": {}, "transformationsParams": {"rawPayload": raw}}
        made = await s.api.post(f"{APP}/msg", json=body)
        assert raw.encode() in made.content
        body["payload"] = {"x": 1}
        both = await s.api.post(f"{APP}/msg", json=body)
        assert both.json()["detail"][0]["loc"][-1] == "rawPayload"


async def test_lone_surrogates_in_a_query(serve):
    """They are no UTF-8, and are taken as what they are not."""
    async with serve() as s:
        answer = await s.api.get(f"{APP}/msg?text=%ed%a0%80&channel=%ff")
        assert clear(answer)


async def test_a_name_in_two_places(serve):
    """Old and new name of a field: the new one counts."""
    async with serve() as s:
        body = {"name": "a", "throttleRate": 5, "rateLimit": 9}
        answer = await s.api.post("/api/v1/app", content=json.dumps(body))
        assert answer.json()["throttleRate"] == 5
