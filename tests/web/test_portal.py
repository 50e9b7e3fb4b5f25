"""The customer portal over ASGI: what it shows, to whom, and what it refuses."""

import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from hookline._domain import branding
from hookline._web.api.app import build
from hookline._web.portal.app import PAGES
from hookline.errors import InvalidSettings

SAME = {"sec-fetch-site": "same-origin"}
LOOKS = (
    "/endpoints", "/overview", "/messages", "/dead-letters", "/replays", "/event-types",
    "/signatures",
)  # fmt: skip


class Customer:
    def __init__(self, client, webhooks, mine, other):
        self.client, self.webhooks, self.mine, self.other = client, webhooks, mine, other
        self.last = None

    async def see(self, path, **options):
        self.last = await self.client.get(f"/portal{path}", **options)
        return self.last

    async def post(self, path, **fields):
        token = re.search(r'name="csrf" value="([^"]*)"', self.last.text)[1]
        return await self.client.post(f"/portal{path}", data={"csrf": token, **fields})

    async def enter(self, token, **headers):
        return await self.client.post(
            "/portal/session", data={"key": token}, headers={**SAME, **headers}
        )


@asynccontextmanager
async def customer(webhooks, *scopes, link=True):
    app = build(webhooks)
    await webhooks.start()
    one = await webhooks.applications.create("Acme", uid="acme")
    two = await webhooks.applications.create("Other", uid="other")
    mine, other = [await webhooks.for_application(each.id) for each in (one, two)]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://hookline.test") as client:
        c = Customer(client, webhooks, mine, other)
        key = await webhooks.create_api_key("link", [f"application:{one.id}", "portal", *scopes])
        c.key = key
        if link:
            assert (await c.enter(key.token)).headers["location"] == "/portal/endpoints"
        yield c
    await webhooks.stop()


async def test_a_link_opens_endpoints(make_webhooks):
    """The cookie is the portal's alone, and scripts cannot read it."""
    async with customer(make_webhooks(deliver=False), link=False) as c:
        assert (await c.see("/endpoints")).status_code == 401
        assert "This link has ended" in c.last.text
        assert 'id="entry"' in (await c.see("")).text
        answer = await c.enter(c.key.token)
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=lax", "Path=/portal"} <= set(cookie.split("; "))
        for path in (*LOOKS, "/endpoints/new"):
            page = await c.see(path)
            assert page.status_code == 200, page.text
            assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
            assert "<script>" not in page.text


async def test_wrong_ended_and_foreign(make_webhooks):
    """None of them opens anything."""
    webhooks = make_webhooks(deliver=False)
    async with customer(webhooks, link=False) as c:
        assert (await c.enter("hk_wrong")).status_code == 401
        admin = await webhooks.create_api_key("a", ["admin"])
        assert (await c.enter(admin.token)).status_code == 403
        soon = datetime.now(UTC) + timedelta(seconds=1)
        key = await webhooks.create_api_key("b", c.key.scopes, expires_at=soon)
        while (answer := await c.enter(key.token)).status_code == 303:
            assert datetime.now(UTC) < soon + timedelta(seconds=5)
        assert answer.status_code == 401
        assert (await c.enter(c.key.token, **{"sec-fetch-site": "cross-site"})).status_code == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://hookline.test", 303),
        ("https://evil.example", 403),
        ("null", 403),
        (None, 403),
    ],
)
async def test_no_other_site_begins_a_session(make_webhooks, origin, status):
    """By plain http browsers tell no `Sec-Fetch-Site`; then the origin is what counts."""
    async with customer(make_webhooks(deliver=False), link=False) as c:
        headers = {"origin": origin} if origin else {}
        answer = await c.client.post("/portal/session", data={"key": c.key.token}, headers=headers)
        assert answer.status_code == status


async def test_make_show_rotate_delete(make_webhooks):
    """Everything a customer does to an endpoint; a look at the secret is noted."""
    webhooks = make_webhooks(deliver=False)
    async with customer(webhooks) as c:
        await c.see("/endpoints/new")
        made = await c.post("/endpoints", url="http://127.0.0.1:9/x", events="*")
        assert (made.status_code, "whsec_" in made.text) == (201, True)
        [endpoint] = await c.mine.endpoints()
        one = f"/endpoints/{endpoint.id}"
        page = await c.see(one)
        assert endpoint.secret not in page.text
        assert endpoint.secret in (await c.post(f"{one}/secret")).text
        noted = await webhooks.audit()
        assert noted.items[0].target == endpoint.id
        assert noted.items[0].actor.id == c.key.id
        assert "For 24h both secrets sign" in (await c.post(f"{one}/rotate", overlap="24h")).text
        await c.post(f"{one}/pause")
        assert "Paused" in (await c.see(one)).text
        await c.post(f"{one}/resume")
        sent = await c.post(f"{one}/send")
        assert (await c.see(sent.headers["location"].removeprefix("/portal"))).status_code == 200
        since = "2026-01-01T00:00"
        await c.see(one)
        assert "big-number" in (await c.post(f"{one}/recover", since=since)).text
        assert "Delete this endpoint?" in (await c.see(f"{one}/delete")).text
        await c.post(f"{one}/delete")
        assert await c.mine.endpoints() == []


async def test_of_the_guard_only_the_verdict(make_webhooks):
    """Where private networks are is not told."""
    async with customer(make_webhooks(deliver=False)) as c:
        page = await c.see("/endpoints/check", params={"url": "https://10.0.0.1/x"})
        assert "blocked_destination" in page.text
        assert "10.0.0.0" not in page.text
        await c.see("/endpoints/new")
        refused = await c.post("/endpoints", url="https://10.0.0.1/x", events="*")
        assert refused.status_code == 422
        assert "10.0.0.0" not in refused.text


@pytest.mark.parametrize("page", [p for p in PAGES if "{id}" in p.path], ids=lambda p: p.path)
async def test_another_applications_ids_are_not_found(make_webhooks, page):
    """By whatever page."""
    async with customer(make_webhooks(deliver=False)) as c:
        endpoint = await c.other.create_endpoint("http://127.0.0.1:9/x")
        receipt = await c.other.trigger("a.b", {"n": 1})
        job = await c.other.replay(endpoint, since=datetime(2026, 1, 1, tzinfo=UTC))
        kind = page.path.split("/")[1]
        name = {"endpoints": endpoint.id, "messages": receipt.message_id, "replays": job.id}
        path = page.path.format(id=name[kind])
        await c.see("/endpoints")
        fields = {"since": "2026-01-01T00:00", "url": "https://example.com/", "endpoint": "x"}
        answer = await (c.see(path) if page.method == "GET" else c.post(path, **fields))
        assert answer.status_code == 404, answer.text


@pytest.mark.parametrize("page", [p for p in PAGES if p.method == "POST"], ids=lambda p: p.path)
async def test_who_only_looks_changes_nothing(make_webhooks, page):
    """No forms, and none is taken; nor one without its token."""
    if page.path in ("/session", "/leave", "/signatures"):
        return
    async with customer(make_webhooks(deliver=False), "read") as c:
        endpoint = await c.mine.create_endpoint("http://127.0.0.1:9/x")
        text = (await c.see(f"/endpoints/{endpoint.id}")).text
        assert re.findall(r'action="([^"]*)"', text) == ["/portal/leave"]
        assert (await c.post(page.path.format(id=endpoint.id))).status_code == 403
    async with customer(make_webhooks(deliver=False, database="sqlite:///two.db")) as c:
        path = f"/portal{page.path.format(id='x')}"
        assert (await c.client.post(path, data={"csrf": "x"})).status_code == 403


async def test_embedded_and_branded(make_webhooks):
    """In frames of the sites that are named; the cookie is that site's alone."""
    webhooks = make_webhooks(
        deliver=False,
        public_url="https://hooks.example.com",
        portal_origins=["https://app.example.com"],
        portal_name="Acme hooks",
        portal_colour="#ffee00",
        portal_logo="https://cdn.example.com/logo.png",
    )
    async with customer(webhooks, link=False) as c:
        cookie = (await c.enter(c.key.token, **{"sec-fetch-dest": "iframe"})).headers["set-cookie"]
        assert {"SameSite=None", "Secure", "Partitioned"} <= set(cookie.split("; "))
        page = await c.see("", headers={"accept-language": "zh"})
        policy = page.headers["content-security-policy"]
        assert "frame-ancestors https://app.example.com" in policy
        assert "img-src 'self' data: https://cdn.example.com;" in policy
        assert "Acme hooks" in page.text
        assert "请通过" in page.text
        assert "--accent:" in (await c.see("/static/brand.css")).text


@pytest.mark.parametrize("colour", ["#ffff00", "#000000", "#ffffff", "#777777", "#3355cc"])
def test_a_colour_can_be_read(colour):
    """On it, and itself on its grounds."""
    for each in branding.palettes(colour).values():
        assert branding.contrast(each.accent, each.ink) >= branding.READABLE
        assert branding.contrast(each.accent, each.tint) >= branding.READABLE


@pytest.mark.parametrize(
    "bad",
    [
        {"portal_origins": ["https://*.example.com"]},
        {"portal_origins": ["https://a.example; script-src *"]},
        {"portal_origins": ["http://a.example"]},
        {"portal_colour": "red"},
        {"portal_logo": "http://a.example/x.png"},
        {"portal_logo": "https://a.example;x/y"},
        {"portal_name": "x" * 61},
    ],
)
def test_bad_settings_are_refused(make_webhooks, bad):
    """Naming the setting."""
    with pytest.raises(InvalidSettings, match=next(iter(bad))):
        make_webhooks(**bad)


async def test_the_first_delivery_is_told_of_at_once(make_webhooks, receiver):
    """The figures lag by seconds; what an endpoint's page says of it does not."""
    receiver.secret = None
    async with customer(make_webhooks()) as c:
        endpoint = await c.mine.create_endpoint(receiver.url)
        one = f"/endpoints/{endpoint.id}"
        assert "Nothing was sent in the last 24 hours." in (await c.see(one)).text
        await (await c.mine.trigger("a.b", {"n": 1})).delivered(timeout=30)
        for path in (one, "/endpoints"):
            assert "Working: in the last 24 hours everything arrived." in (await c.see(path)).text


async def test_the_same_rooms_for_its_own(make_webhooks, receiver):
    """Overview, dead letters and replays: of what is another's, nothing, and nothing of it sent."""
    receiver.answer(500)
    async with customer(make_webhooks()) as c:
        letters = []
        for app in (c.mine, c.other):
            await app.create_endpoint(receiver.url, retry_schedule=[0])
            receipt = await app.trigger("order.paid", {"n": 1})
            await receipt.delivered(timeout=30)
            await app.replay(since=datetime(2026, 1, 1, tzinfo=UTC))
            letters.append(receipt.message_id)
        mine, foreign = letters
        for query in ("", "?app=other", f"?app={c.other.id}"):
            page = (await c.see(f"/dead-letters{query}")).text
            assert mine in page
            assert foreign not in page
        [endpoint] = await c.other.endpoints()
        letter = f"{c.other.id}/{foreign}/{endpoint.id}"
        before = len(await c.other.attempts(foreign))
        assert "0 of 1" in (await c.post("/dead-letters", letter=letter)).text
        counted = await c.post("/dead-letters/all", app=c.other.id)
        assert '<p class="big-number">1</p>' in counted.text
        assert foreign not in counted.text
        assert (await c.post("/dead-letters/all", endpoint=endpoint.id)).status_code == 422
        assert len(await c.other.attempts(foreign)) == before
        listed = (await c.see("/replays")).text
        [job], [theirs] = await c.mine.jobs(), await c.other.jobs()
        assert job.id in listed
        assert theirs.id not in listed
        overview = (await c.see("/overview")).text
        assert (await c.other.endpoints())[0].id not in overview
        for path in ("/keys", "/audit", "/settings", "/doctor", "/apps", "/apps/other/messages"):
            assert (await c.see(path)).status_code == 404


async def test_what_is_the_operators_is_not_in_the_form(make_webhooks):
    """Neither shown nor taken: the network, the proxy, and how an endpoint proves itself."""
    async with customer(make_webhooks(deliver=False)) as c:
        page = (await c.see("/endpoints/new")).text
        for name in ("allowed_networks", "proxy", "handshake", "uid", "metadata"):
            assert f'name="{name}"' not in page
        await c.post(
            "/endpoints",
            url="https://example.com/x",
            events="*",
            headers="X-Mine: 1",
            allowed_networks="10.0.0.0/8",
            proxy="http://evil.example:1",
            handshake="none",
            uid="x",
        )
        [made] = await c.mine.endpoints()
        assert made.headers == {"X-Mine": "1"}
        assert (made.allowed_networks, made.proxy, made.handshake, made.uid) == ((),) + (None,) * 3
        refused = await c.post(
            "/endpoints", url="https://10.0.0.1/", events="*", allowed_networks="10.0.0.0/8"
        )
        assert refused.status_code == 422


async def test_event_types_that_are_not_offered(make_webhooks):
    """Archived ones and those behind a flag: neither listed nor found."""
    webhooks = make_webhooks(deliver=False)
    await webhooks.event_types.create("a.shown", "Seen")
    await webhooks.event_types.create("a.flagged", feature_flags=["beta"])
    await webhooks.event_types.create("a.archived", archived=True)
    async with customer(webhooks) as c:
        for query in ("", "?archived=1"):
            page = (await c.see(f"/event-types{query}")).text
            assert "a.shown" in page
            assert "a.flagged" not in page
            assert "a.archived" not in page
        for name in ("a.flagged", "a.archived"):
            assert (await c.see(f"/event-types/{name}")).status_code == 404
        assert (await c.see("/event-types/a.shown/edit")).status_code == 404
        assert (await c.see("/new-event-type")).status_code == 404
