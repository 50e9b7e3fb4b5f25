"""Export and import over REST."""

import pytest

ACME = {
    "uid": "acme",
    "name": "Acme",
    "endpoints": [
        {"uid": "books", "url": "https://a.example/hooks", "secret": "whsec_" + "A" * 32}
    ],
}


async def test_what_is_exported_can_be_imported(serve):
    """A dry run changes nothing; afterwards there is nothing to do."""
    async with serve() as s:
        document = {"hookline": 1, "applications": [ACME]}
        dry = await s.api.post("/import", params={"dry_run": True}, json=document)
        assert dry.status_code == 200
        assert (dry.json()["applied"], dry.json()["create"]) == (False, 2)
        assert "A" * 32 not in dry.text
        real = (await s.api.post("/import", json=document)).json()
        assert real == {**dry.json(), "applied": True}
        exported = await s.api.get("/export", params={"secrets": True})
        assert exported.json()["applications"][1]["endpoints"][0]["secret"] == "whsec_" + "A" * 32
        assert exported.headers["cache-control"] == "no-store"
        again = (await s.api.post("/import", json=exported.json())).json()
        assert (again["create"], again["update"], again["changes"]) == (0, 0, [])


async def test_a_fault_is_answered_with_its_place(serve):
    """As a list of where it is."""
    async with serve() as s:
        bad = {**ACME, "endpoints": [{"url": "ftp://a.example/"}]}
        answer = await s.api.post("/import", json={"hookline": 1, "applications": [bad]})
        assert answer.status_code == 422
        [fault] = answer.json()["detail"]
        assert fault["loc"] == ["body", "applications[0]", "endpoints[0]", "url"]


@pytest.mark.parametrize(
    ("scopes", "method", "path", "status"),
    [
        (["read"], "GET", "/export", 200),
        (["read"], "GET", "/export?secrets=true", 403),
        (["read"], "POST", "/import", 403),
        (["application:default"], "GET", "/export", 403),
        (["application:default"], "POST", "/import", 403),
    ],
)
async def test_who_may(serve, scopes, method, path, status):
    """Looking needs `read`, everything else `admin`."""
    async with serve() as s:
        body = {"json": {"hookline": 1}} if method == "POST" else {}
        assert await s.status(scopes, method, path, **body) == status
