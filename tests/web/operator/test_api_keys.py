"""API keys as a resource."""

from datetime import UTC, datetime, timedelta

import pytest


async def test_a_key_lives_its_life(serve):
    """Made with its token, used, listed without it, revoked at once."""
    async with serve() as s:
        ends = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        body = {"name": "ci", "scopes": ["application:default", "read"], "expiresAt": ends}
        made = await s.api.post("/api-key", json=body)
        assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
        key = made.json()
        async with s.client(key["token"]) as mine:
            own = (await mine.get("/whoami")).json()
            assert (own["id"], own["name"], own["scopes"]) == (key["id"], "ci", key["scopes"])
            assert "token" not in own
            listed = await s.api.get("/api-key")
            assert [k["name"] for k in listed.json()["data"]] == ["operator", "ci"]
            assert key["token"] not in listed.text
            assert (await s.api.delete(f"/api-key/{key['id']}")).status_code == 204
            assert (await mine.get("/whoami")).status_code == 401
        assert (await s.api.get("/api-key")).json()["data"][1]["revokedAt"] is not None
        assert (await s.api.delete("/api-key/key_nobody")).status_code == 404


async def test_portal_keys_are_listed_when_asked_for(serve):
    """There may be very many."""
    async with serve() as s:
        await s.api.post("/auth/app-portal-access/default", json={})
        assert len((await s.api.get("/api-key")).json()["data"]) == 1
        [_, portal] = (await s.api.get("/api-key", params={"portal": True})).json()["data"]
        assert portal["name"] == "portal of default"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"name": "", "scopes": ["admin"]}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["root"]}, "scopes"),
        ({"name": "x", "scopes": ["application:nobody"]}, "scopes"),
        ({"name": "x", "scopes": ["admin"], "expiresAt": "2001-01-01T00:00:00Z"}, "expiresAt"),
    ],
)
async def test_a_bad_one_is_refused(serve, body, place):
    """With its place."""
    async with serve() as s:
        answer = await s.api.post("/api-key", json=body)
        assert answer.status_code == 422, answer.text
        assert answer.json()["detail"][0]["loc"] == ["body", place]


async def test_who_may(serve):
    """Nobody makes a key that may more than theirs: only admins make keys."""
    async with serve() as s:
        body = {"json": {"name": "x", "scopes": ["admin"]}}
        assert await s.status(["read"], "POST", "/api-key", **body) == 403
        assert await s.status(["application:default"], "POST", "/api-key", **body) == 403
        assert await s.status(["application:default"], "GET", "/api-key") == 403
        assert await s.status(["read"], "GET", "/api-key") == 200
        assert await s.status(["application:default"], "GET", "/whoami") == 200


async def test_all_of_a_portal_end_together(serve):
    """Those of one application's portal; not its other keys, nor those of another's portal."""
    async with serve() as s:
        await s.api.post("/app", json={"name": "Acme", "uid": "acme"})
        links = {}
        for name in ("default", "acme", "acme"):
            link = (await s.api.post(f"/auth/app-portal-access/{name}", json={})).json()
            links.setdefault(name, []).append(link["token"])
        own = await s.webhooks.create_api_key("shop", ["application:acme"])

        async def opens(token, app):
            async with s.client(token) as client:
                return (await client.get(f"/app/{app}")).status_code

        assert await opens(links["acme"][0], "acme") == 200
        for _ in range(2):
            assert (await s.api.post("/auth/app/acme/expire-all")).status_code == 204
        assert [await opens(token, "acme") for token in links["acme"]] == [401, 401]
        assert await opens(links["default"][0], "default") == await opens(own.token, "acme") == 200
        noted = (await s.api.get("/audit", params={"action": "api_key.revoked"})).json()["data"]
        assert len(noted) == 2
        assert {line["actor"]["name"] for line in noted} == {"operator"}
        assert (await s.api.post("/auth/app/nobody/expire-all")).status_code == 404
