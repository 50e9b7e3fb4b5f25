"""The API's own description, and the page that shows it."""

import re

import pytest

from hookline._web.answers import Answer, encoded
from hookline._web.api.app import build

METHODS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture
def description(make_webhooks):
    """The description of the routes that the server has."""
    return build(make_webhooks(public_url="https://hooks.example.com/")).openapi()


def operations(document):
    return [
        (f"{method} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_it_is_openapi_3_1(description):
    """With where the server is, and how a caller says who it is."""
    assert description["openapi"].startswith("3.1.")
    assert description["servers"] == [{"url": "https://hooks.example.com"}]
    [(name, scheme)] = description["components"]["securitySchemes"].items()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert description["security"] == [{name: []}]


def test_every_operation_is_described(description):
    """What it does, its errors, and an example of each answer with a body."""
    assert operations(description)
    ids = [operation["operationId"] for _, operation in operations(description)]
    assert len(set(ids)) == len(ids)
    for name, operation in operations(description):
        assert name.split()[0] in METHODS
        assert operation["description"], name
        assert operation["tags"], name
        for status, answer in operation["responses"].items():
            assert answer["description"], (name, status)
            for content in answer.get("content", {}).values():
                assert "example" in content or "examples" in content, (name, status)
        if operation.get("security") != []:
            assert {"401", "403"} <= set(operation["responses"]), name


def test_references_lead_somewhere(description):
    """Every schema that is referred to is there."""
    text = encoded(description).decode()
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert names <= set(description["components"]["schemas"])


async def test_errors_are_described_as_they_are(serve):
    """`loc` is a list of texts, as the clients of typed languages need it."""
    async with serve() as s:
        answer = await s.api.get("/api/v1/openapi.json")
    document = answer.json()
    schemas = document["components"]["schemas"]
    assert schemas["ValidationError"]["properties"]["loc"]["items"] == {"type": "string"}
    assert set(schemas["HttpErrorOut"]["properties"]) == {"code", "detail"}
    described = document["paths"]["/api/v1/probe/model"]["post"]["responses"]
    assert described["422"]["content"]["application/json"]["example"]["detail"][0]["loc"]
    described = document["paths"]["/api/v1/probe/raise"]["post"]["responses"]
    assert described["404"]["content"]["application/json"]["example"]["code"] == "not_found"


async def test_the_page_has_nothing_from_outside(serve):
    """No script in it, none from elsewhere, and its policy says so."""
    async with serve() as s, s.client() as nobody:
        page = await nobody.get("/api/docs")
        found = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(found) == 4
        for each in found:
            answer = await nobody.get(f"/api/{each}")
            assert answer.status_code == 200, each
        start = (await nobody.get("/api/docs/start.js")).text
        url = re.search(r'url: "([^"]+)"', start)[1]
        assert (await nobody.get(f"/api/{url}")).json()["openapi"]
    assert not re.search(r"<script(?! src=)", page.text)
    assert "https://" not in page.text + start
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy


async def test_the_page_does_not_show_files(serve):
    """Nothing of the disk beside the assets."""
    async with serve() as s:
        for path in ("/../core.py", "/%2e%2e/core.py", "/%2e%2e%2fcore.py"):
            assert (await s.api.get(f"/api/docs{path}")).status_code == 404


def test_raw_payloads_go_out_untouched():
    """Bytes stay bytes inside of an answer."""
    import orjson

    raw = b'{"n": 1.000000000000000000000001,   "\\u00e9":"\\/"}'
    answer = Answer({"data": [{"id": "x", "payload": orjson.Fragment(raw)}]})
    assert raw in answer.body
    assert answer.headers["content-length"] == str(len(answer.body))
