"""Who may do what: keys, their scopes, and how long one that was revoked still opens."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from hookline._web import keys as module


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer hk_nonsense", "Basic aGs6", "hk_x", "Bearer \u00e9"],
)
async def test_without_a_valid_key(serve, header):
    """One answer, whatever is wrong."""
    async with serve() as s, s.client() as nobody:
        answer = await nobody.get(
            "/api/v1/probe/caller", headers={"Authorization": header.encode("latin-1")}
        )
    assert answer.status_code == 401
    assert answer.json()["code"] == "authentication_failed"


async def test_the_scheme_has_no_case(serve):
    """RFC 9110 §11.1."""
    async with serve() as s, s.client() as nobody:
        header = {"Authorization": f"bearer  {s.token}"}
        assert (await nobody.get("/api/v1/probe/caller", headers=header)).status_code == 200


SCOPES = {
    ("admin",): (200, 200, 200, 200, 200),
    ("read",): (200, 200, 403, 200, 403),
    ("application:default",): (200, 403, 403, 200, 200),
    ("application:default", "read"): (200, 403, 403, 200, 403),
}


@pytest.mark.parametrize("scopes", SCOPES)
async def test_scopes(serve_each, scopes):
    """What each scope lets in: anybody's, reader's, administrator's, an application's."""
    async with serve_each() as s, s.client((await s.key(*scopes)).token) as client:
        found = [
            (await client.get(f"/api/v1/{path}")).status_code
            for path in ("probe/caller", "probe/reader", "probe/admin", "app/default/probe")
        ]
        changed = await client.post("/api/v1/app/default/probe")
    assert (*found, changed.status_code) == SCOPES[scopes]
    if changed.status_code == 403:
        assert changed.json()["code"] == "insufficient access"


async def test_another_application_is_not_there(serve):
    """One that is not the key's is answered as one that does not exist."""
    async with serve() as s:
        store = s.webhooks._runtime.engine.store
        await s.webhooks._runtime.on_home(
            store.applications.create({"name": "a", "uid": "acme"}, 1)
        )
        async with s.client((await s.key("application:acme")).token) as client:
            other = await client.get("/api/v1/app/default/probe")
            none = await client.get("/api/v1/app/nobody/probe")
            assert other.status_code == none.status_code == 404
            assert other.json()["code"] == none.json()["code"] == "not_found"
            assert other.json()["detail"].replace("default", "nobody") == none.json()["detail"]


async def test_a_customer_does_not_learn_which_applications_there_are(serve):
    """What customers may not do at all is answered as elsewhere: 404 where it is not theirs."""
    async with serve() as s:
        await s.api.post("/api/v1/app", json={"name": "Acme", "uid": "acme"})
        customer = await s.key("application:acme", "portal")
        sent = {"eventType": "a.b", "payload": {}}
        asked = (("msg", sent), ("msg/bulk-expunge", {}), ("msg/expunge-all-contents", None))
        async with s.client(customer.token) as client:
            for path, body in asked:
                found = [
                    await client.post(f"/api/v1/app/{app}/{path}", json=body)
                    for app in ("acme", "default", "nobody")
                ]
                assert [each.status_code for each in found] == [403, 404, 404], path
                said = found[1].json()["detail"].replace("default", "nobody")
                assert said == found[2].json()["detail"]


async def test_keys_are_remembered_for_a_moment(serve, monkeypatch):
    """Many requests are one look; a key revoked elsewhere opens for a second at most."""
    async with serve() as s:
        key = await s.key(name="short")
        looks, authenticate = [], s.webhooks.authenticate

        async def counting(token):
            looks.append(token)
            return await authenticate(token)

        monkeypatch.setattr(s.webhooks, "authenticate", counting)
        clock = [100.0]
        monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
        async with s.client(key.token) as client:

            async def status():
                return (await client.get("/api/v1/probe/caller")).status_code

            assert set(await asyncio.gather(*(status() for _ in range(20)))) == {200}
            assert len(looks) == 1
            await s.webhooks.revoke_api_key(key.id)
            clock[0] += module.FRESH / 2
            assert await status() == 200
            clock[0] += module.FRESH
            assert await status() == 401
            assert await status() == 401


async def test_what_is_revoked_here_is_forgotten_at_once(serve):
    """`forget` is for the route that revokes."""
    async with serve() as s:
        key = await s.key(name="short")
        async with s.client(key.token) as client:
            assert (await client.get("/api/v1/probe/caller")).status_code == 200
            await s.webhooks.revoke_api_key(key.id)
            s.app.state.keys.forget(key.id)
            assert (await client.get("/api/v1/probe/caller")).status_code == 401
        assert (await s.api.get("/api/v1/probe/caller")).status_code == 200


async def test_a_key_does_not_outlive_its_expiry(serve, monkeypatch):
    """Also while it is remembered."""
    async with serve() as s:
        key = await s.key(expires_at=datetime.now(UTC) + timedelta(hours=1))
        async with s.client(key.token) as client:
            assert (await client.get("/api/v1/probe/caller")).status_code == 200
            later = datetime.now(UTC) + timedelta(hours=2)

            class Later(datetime):
                @classmethod
                def now(cls, tz=None):
                    return later

            monkeypatch.setattr(module, "datetime", Later)
            monkeypatch.setattr(
                s.webhooks._runtime.clock, "now", lambda: round(later.timestamp() * 1000)
            )
            assert (await client.get("/api/v1/probe/caller")).status_code == 401


async def test_few_keys_are_remembered(serve, monkeypatch):
    """The memory has a bound, and the newest stays."""
    monkeypatch.setattr(module, "MOST", 2)
    async with serve() as s:
        for number in range(5):
            key = await s.key(name=f"key {number}")
            async with s.client(key.token) as client:
                assert (await client.get("/api/v1/probe/caller")).json() == {"name": key.name}
        assert len(s.app.state.keys._known) == 2
