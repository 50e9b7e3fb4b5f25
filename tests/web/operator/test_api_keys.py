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
