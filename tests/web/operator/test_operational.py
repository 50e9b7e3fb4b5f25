"""Operational endpoints over REST, as the official clients ask for them."""

ROOT = "/operational-webhook/endpoint"
SECRET = "whsec_" + "A" * 32


async def test_an_endpoint_lives_its_life(serve):
    """Made, listed, changed, its headers and secret seen, rotated, deleted."""
    async with serve() as s:
        body = {
            "url": "https://ops.example/hooks",
            "eventTypes": ["endpoint.disabled"],
            "uid": "ops",
            "secret": SECRET,
            "throttleRate": 5,
        }
        made = await s.api.post(ROOT, json=body)
        assert made.status_code == 201, made.text
        found = made.json()
        assert (found["eventTypes"], found["throttleRate"]) == (["endpoint.disabled"], 5)
        assert [e["id"] for e in (await s.api.get(ROOT)).json()["data"]] == [found["id"]]
        assert (await s.api.get(f"{ROOT}/ops")).json() == found
        put = await s.api.put(f"{ROOT}/ops", json={"url": body["url"]})
        assert (put.status_code, put.json().get("eventTypes")) == (200, None)
        assert put.json()["uid"] == "ops"
        headers = {"headers": {"X-Token": "s3cr3t", "X-A": "1"}}
        assert (await s.api.put(f"{ROOT}/ops/headers", json=headers)).status_code == 204
        assert (await s.api.get(f"{ROOT}/ops/headers")).json() == {
            "headers": {"X-A": "1"},
            "sensitive": ["X-Token"],
        }
        assert (await s.api.get(f"{ROOT}/ops/secret")).json() == {"key": SECRET}
        rotated = (await s.api.post(f"{ROOT}/ops/secret/rotate", json={})).json()["key"]
        assert (await s.api.get(f"{ROOT}/ops/secret")).json() == {"key": rotated}
        assert (await s.api.put(f"{ROOT}/new", json={"url": body["url"]})).status_code == 201
        assert (await s.api.delete(f"{ROOT}/ops")).status_code == 204
        assert (await s.api.get(f"{ROOT}/ops")).status_code == 404
        assert len((await s.api.get("/app")).json()["data"]) == 1


async def test_what_cannot_be_is_refused(serve):
    """Event types that there are not, places that are not sent to, keys that may not."""
    async with serve() as s:
        bad = {"url": "https://ops.example/", "eventTypes": ["invoice.paid"]}
        assert (await s.api.post(ROOT, json=bad)).status_code == 422
        inside = {"url": "https://10.0.0.1/"}
        assert "blocked_destination" in (await s.api.post(ROOT, json=inside)).text
        assert await s.status(["read"], "GET", ROOT) == 200
        assert await s.status(["read"], "POST", ROOT, json=inside) == 403
        assert await s.status(["application:default"], "GET", ROOT) == 403
