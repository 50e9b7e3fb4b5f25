"""What operators do in the pages beyond a look: options, event types, dead letters, the log."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from tests.web.visitor import visiting

from hookline import Filter
from hookline._domain import ids
from hookline._domain.options import KNOWN
from hookline._web.dashboard.endpoint_form import FIRST, GROUPS
from hookline._web.dashboard.sent import HIDDEN
from hookline.testing import Answer

LIST = "/apps/default/endpoints"
NEW = "Reasons & <b>more</b>"


def _fields(page):
    """Return the fields of the page's large form as a browser would send them."""
    form = re.search(r'<form method="post" class="(?:card )?form".*?</form>', page, re.DOTALL)[0]
    found = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name = re.search(r'name="([^"]*)"', tag)
        kind = re.search(r'type="([^"]*)"', tag)
        if name and (kind is None or kind[1] != "checkbox" or " checked" in tag):
            value = re.search(r'value="([^"]*)"', tag)
            found.setdefault(name[1], []).append(_plain(value[1]) if value else "")
    for name, text in re.findall(
        r'<textarea[^>]*name="([^"]*)"[^>]*>\n?(.*?)</textarea>', form, re.DOTALL
    ):
        found[name] = [_plain(text)]
    for name, options in re.findall(
        r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL
    ):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[name] = [chosen[1] if chosen else ""]
    return found


def _plain(text):
    for name, character in (("&lt;", "<"), ("&gt;", ">"), ("&#34;", '"'), ("&#39;", "'")):
        text = text.replace(name, character)
    return text.replace("&amp;", "&")


# every option ------------------------------------------------------------------------------------


def test_the_form_has_every_option():
    """What an endpoint may have can be set here, and under its own name."""
    names = {f.name.partition(".")[0] for fields in (*GROUPS.values(), FIRST) for f in fields}
    assert names == {*KNOWN, "url", "events", "headers", "uid"}


OPTIONS = {
    "url": "https://example.com/a",
    "events": "a.b\nc.*",
    "description": "Mine",
    "channels": "eu, us",
    "filter": "data.n > `1`",
    "transform": "{n: data.n}",
    "ordered": "1",
    "rate_limit": "2.5",
    "concurrency": "7",
    "timeout": "9",
    "retry_schedule": "0, 5\n60",
    "headers": "X-Key: Bearer hush-1\nX-Team: billing: eu",
    "signatures": ["standard", "github"],
    "http2": "1",
    "oauth2.token_url": "https://login.example.com/token",
    "oauth2.client_id": "me",
    "oauth2.client_secret": "hush-2",
    "oauth2.scope": "hooks",
    "oauth2.auth": "body",
    "oauth2.params": "resource: hush-3",
    "uid": "mine",
    "metadata": "team: billing",
    "allowed_networks": "10.1.0.0/16",
    "proxy": "http://ada:hush-4@proxy.example.com:3128",
    "handshake": "none",
}


async def _made(v, webhooks):
    await v.see(f"{LIST}/new")
    made = await v.client.post(LIST, data={"csrf": v.token(), **OPTIONS})
    assert made.status_code == 201, re.findall(r'role="alert">([^<]*)', made.text)
    return await webhooks.endpoint("mine")


async def test_every_option_is_set_and_none_of_the_secrets_shown(make_webhooks):
    """Saved again as the form shows it, nothing changes."""
    webhooks = make_webhooks(deliver=False)
    async with visiting(webhooks) as v:
        made = await _made(v, webhooks)
        assert made.channels == ("eu", "us")
        assert (made.filter, made.transform, made.ordered) == ("data.n > `1`", "{n: data.n}", True)
        assert (made.rate_limit, made.concurrency, made.timeout) == (2.5, 7, 9.0)
        assert made.retry_schedule == (0.0, 5.0, 60.0)
        assert made.headers == {"X-Key": "Bearer hush-1", "X-Team": "billing: eu"}
        assert made.signatures == ("standard", "github")
        assert made.oauth2["client_secret"] == "hush-2"
        assert made.oauth2["params"] == {"resource": "hush-3"}
        assert made.oauth2["auth"] == "body"
        assert (made.metadata, made.allowed_networks) == ({"team": "billing"}, ("10.1.0.0/16",))
        assert (made.proxy, made.handshake, made.http2) == (OPTIONS["proxy"], "none", True)
        one = f"{LIST}/{made.id}"
        for path in (one, f"{one}/edit"):
            page = (await v.see(path)).text
            assert "hush" not in page
            assert HIDDEN in page
        fields = _fields(page)
        assert (await v.client.post(f"{one}/edit", data=fields)).status_code == 303
        assert await webhooks.endpoint(made.id) == made
        changes = [e for e in (await webhooks.audit()).items if e.action == "endpoint.updated"]
        assert [e.fields for e in changes] in ([], [()])


async def test_options_go_back_to_their_defaults(make_webhooks):
    """What is emptied is gone, secrets too; others stay what they were."""
    webhooks = make_webhooks(deliver=False)
    async with visiting(webhooks) as v:
        made = await _made(v, webhooks)
        edit = f"{LIST}/{made.id}/edit"
        await v.see(edit)
        kept = {"csrf": v.token(), "url": made.url, "events": "*", "uid": "mine"}
        await v.client.post(
            edit, data={**kept, "headers": f"X-Key: {HIDDEN}\nX-New: 1", "timeout": "9"}
        )
        now = await webhooks.endpoint("mine")
        assert now.headers == {"X-Key": "Bearer hush-1", "X-New": "1"}
        assert (now.oauth2, now.proxy, now.filter, now.ordered) == (None, None, None, False)
        assert (now.channels, now.retry_schedule, now.signatures) == ((), None, None)
        assert now.timeout == 9.0


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("concurrency", "1.5", "concurrency: expected a number"),
        ("concurrency", "1001", "concurrency"),
        ("timeout", "0, 1", "timeout: expected a number"),
        ("retry_schedule", "-1", "retry_schedule"),
        ("headers", "no colon", "headers: expected Name: value"),
        ("headers", f"X-A: {HIDDEN}", "has no value yet"),
        ("headers", "Host: evil.example", "Host"),
        ("filter", "data.[", "filter"),
        ("signatures", "rot13", "signatures"),
        ("oauth2.client_id", "x", "oauth2.token_url"),
        ("allowed_networks", "everywhere", "allowed_networks"),
        ("proxy", "ftp://x", "proxy"),
        ("ca", "-----BEGIN NONSENSE-----", "ca"),
        ("url", "https://169.254.169.254/", "169.254"),
    ],
)
async def test_what_is_wrong_is_said_and_what_was_typed_stays(make_webhooks, field, value, said):
    """Of a secret, nothing comes back."""
    async with visiting(make_webhooks(deliver=False)) as v:
        await v.see(f"{LIST}/new")
        fields = {
            "url": "https://example.com/a",
            "description": NEW,
            "oauth2.client_secret": "hush",
        }
        answer = await v.post(LIST, **{**fields, field: value})
        assert answer.status_code == 422
        assert said in answer.text
        assert _fields(answer.text)["description"] == [NEW]
        assert "<b>more" not in answer.text
        assert "hush" not in answer.text


async def test_a_secret_is_shown_to_writers_and_noted(make_webhooks):
    """While two sign, the page says how long."""
    webhooks = make_webhooks(deliver=False)
    endpoint = await webhooks.create_endpoint("https://example.com/a")
    async with visiting(webhooks) as v:
        one = f"{LIST}/{endpoint.id}"
        assert "Two secrets sign" not in (await v.see(one)).text
        assert endpoint.secret in (await v.post(f"{one}/secret")).text
        assert (await webhooks.audit()).items[0].action == "endpoint.secret_read"
        await v.post(f"{one}/rotate", overlap="1h")
        assert "Two secrets sign just now" in (await v.see(one)).text
        assert "Delete this endpoint?" in (await v.see(f"{one}/delete")).text


# event types -------------------------------------------------------------------------------------


async def test_event_types_are_made_changed_archived_and_forgotten(make_webhooks):
    """A new version of a schema is kept beside the old."""
    webhooks = make_webhooks(deliver=False)
    async with visiting(webhooks) as v:
        assert "No event types yet" in (await v.see("/event-types")).text
        await v.see("/new-event-type?name=order.paid")
        assert _fields(v.last.text)["name"] == ["order.paid"]
        fields = {"name": "order.paid", "description": NEW, "version": "1"}
        made = await v.post("/event-types", **fields, schema='{"examples": [{"id": "o_7"}]}')
        assert made.headers["location"] == "/event-types/order.paid?done=made"
        page = (await v.see("/event-types/order.paid")).text
        assert "o_7" in page
        assert "<b>more" not in page
        edit = "/event-types/order.paid/edit"
        fields = _fields((await v.see(edit)).text)
        changed = fields | {"version": "2", "schema": '{"type": "object"}', "deprecated": "1"}
        await v.client.post(edit, data={**changed, "feature_flags": "beta, eu"})
        found = await webhooks.event_types.get("order.paid")
        assert set(found.schemas) == {"1", "2"}
        assert (found.deprecated, found.feature_flags) == (True, ("beta", "eu"))
        assert (await v.post("/event-types", name="order.paid")).status_code == 422
        await v.post("/event-types/order.paid/archive")
        assert "order.paid" not in (await v.see("/event-types")).text
        assert "order.paid" in (await v.see("/event-types?archived=1")).text
        await v.see("/event-types/order.paid")
        await v.post("/event-types/order.paid/restore")
        assert "order.paid" in (await v.see("/event-types")).text
        await v.see("/event-types/order.paid")
        await v.post("/event-types/order.paid/delete")
        assert (await v.see("/event-types/order.paid")).status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "name"),
        ({"name": "a b"}, "other characters"),
        ({"schema": "{nope"}, "is not JSON"),
        ({"schema": "[1]"}, "expected a JSON schema"),
        ({"group_name": "a b"}, "group_name"),
    ],
)
async def test_a_bad_event_type_is_none(make_webhooks, fields, said):
    """It says why, and keeps what was typed."""
    webhooks = make_webhooks(deliver=False)
    async with visiting(webhooks) as v:
        await v.see("/new-event-type")
        answer = await v.post("/event-types", **{"name": "a.b", "description": NEW, **fields})
        assert answer.status_code == 422
        assert said in answer.text
        assert _fields(answer.text)["description"] == [NEW]
        assert (await webhooks.event_types.page()).items == []


# dead letters ------------------------------------------------------------------------------------


async def _dead(webhooks, receiver, types):
    receiver.answer(500)
    endpoint = await webhooks.create_endpoint(receiver.url, retry_schedule=[0])
    other = await webhooks.create_endpoint(receiver.url, ["order.paid"], retry_schedule=[0])
    receipts = [await webhooks.trigger(name, {"n": 1}) for name in types]
    for receipt in receipts:
        await receipt.delivered(timeout=30)
    return endpoint, other, receipts


async def test_dead_letters_are_found(on_each_database, receiver):
    """By type, endpoint, time and application."""
    webhooks = on_each_database()
    endpoint, other, receipts = await _dead(webhooks, receiver, ["order.paid", "user.seen"])
    name = (await webhooks.applications.create("Other", uid="other")).id
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for wanted, count in (
        (Filter(), 3),
        (Filter(event_types=["order.paid"]), 2),
        (Filter(endpoint=ids.decode(ids.ENDPOINT, other.id)), 1),
        (Filter(endpoint=ids.decode(ids.ENDPOINT, endpoint.id), event_types=["user.seen"]), 1),
        (Filter(after=tomorrow), 0),
        (Filter(before=tomorrow), 3),
    ):
        assert len((await webhooks.overview.dead_letters(None, wanted)).items) == count, wanted
    assert (await webhooks.overview.dead_letters(name)).items == []
    async with visiting(webhooks) as v:
        page = (await v.see("/dead-letters?type=user.seen")).text
        assert receipts[1].message_id in page
        assert receipts[0].message_id not in page
        assert "Nothing fits" in (await v.see("/dead-letters?type=never")).text
        assert (await v.see("/dead-letters?from=noon")).status_code == 400


async def test_all_dead_letters_that_match_are_sent_again(make_webhooks, receiver):
    """Counted first; as a replay, with its progress; those that do not match stay."""
    webhooks = make_webhooks()
    await _dead(webhooks, receiver, ["order.paid", "user.seen", "user.seen"])
    receiver.answer(200)
    async with visiting(webhooks) as v:
        await v.see("/dead-letters?type=user.seen")
        dry = await v.post("/dead-letters/all", type="user.seen")
        assert '<p class="big-number">2</p>' in dry.text
        assert receiver.count == 4
        job = (await v.post("/dead-letters/all", type="user.seen", sure="1")).headers["location"]
        assert job.startswith("/replays/job_")
        await asyncio.to_thread(receiver.wait_for, 6)
        for wrong, status in (({"endpoint": "ep_x"}, 422), ({"from": "noon"}, 400)):
            assert (await v.post("/dead-letters/all", **wrong)).status_code == status
        await webhooks.applications.create("Other", uid="other")
        assert (await v.post("/dead-letters/all", type="order.paid")).status_code == 422
        assert "choose an application" in (await v.see("/dead-letters")).text
        only = await v.post("/dead-letters/all", type="order.paid", app="default")
        assert '<p class="big-number">2</p>' in only.text


# lists -------------------------------------------------------------------------------------------


async def test_messages_of_all_applications(on_each_database):
    """Each with whose it is; an application narrows it, an id leads to its page."""
    webhooks = on_each_database(deliver=False)
    other = await webhooks.for_application((await webhooks.applications.create("B", uid="b")).id)
    mine, theirs = await webhooks.trigger("a.b", {"n": 1}), await other.trigger("c.d", {"n": 2})
    async with visiting(webhooks) as v:
        page = (await v.see("/messages")).text
        assert f"/apps/{webhooks.id}/messages/{mine.message_id}" in page
        assert f"/apps/{other.id}/messages/{theirs.message_id}" in page
        assert theirs.message_id not in (await v.see("/messages?type=a.b")).text
        to = (await v.see("/messages?app=b&type=c.d")).headers["location"]
        assert to == "/apps/b/messages?type=c.d"
        assert mine.message_id not in (await v.see(to)).text
        straight = await v.see("/messages", params={"q": theirs.message_id})
        assert straight.headers["location"] == f"/apps/{other.id}/messages/{theirs.message_id}"
        assert (await v.see("/messages?app=nobody")).status_code == 404
        assert (await v.see("/messages", params={"q": mine.message_id[:-1] + "z"})).status_code in (
            200,
            404,
        )


async def test_how_endpoints_do_at_a_glance(on_each_database, receiver):
    """The last error in words, the circuit, and what waits: for all on one page."""
    webhooks = on_each_database()
    receiver.answer(lambda _: Answer(503, b"", {}))
    ill = await webhooks.create_endpoint(receiver.url, ["a.b"], retry_schedule=[0] * 20)
    well = await webhooks.create_endpoint("https://example.com/never", ["never"])
    await webhooks.trigger("a.b", {"n": 1})
    await asyncio.to_thread(receiver.wait_for, 10)

    async def opened():
        found = await webhooks.overview.glances([ill, well])
        return found if found[ill.id].circuit.value == "open" else None

    for _ in range(500):
        if found := await opened():
            break
        await asyncio.sleep(0.01)  # settled in a batch, which tells nobody
    glance = found[ill.id]
    assert (glance.last_status, glance.last_failure) == (503, "status")
    assert glance.failures >= 10
    assert glance.pending == 1
    assert glance.waits_until > datetime.now(UTC)
    assert found[well.id].failures == found[well.id].pending == 0
    assert found[well.id].last_attempt_at is None
    async with visiting(webhooks) as v:
        page = (await v.see(LIST)).text
        assert "no success (HTTP 503)" in page
        assert 'data-time="countdown"' in page
        assert "Nothing was sent in the last 24 hours." in page


async def test_the_request_is_shown_as_it_was_sent(make_webhooks, receiver):
    """Its headers and its signature; the endpoint's own values are hidden."""
    webhooks = make_webhooks()
    await webhooks.create_endpoint(
        receiver.url, secret="whsec_" + "A" * 32, headers={"X-T": "hush"}
    )
    receiver.secret = None
    receipt = await webhooks.trigger("a.b", {"n": 1})
    await receipt.delivered(timeout=30)
    sent = receiver.received[0].headers
    async with visiting(webhooks) as v:
        page = (await v.see(f"/apps/default/messages/{receipt.message_id}")).text
    assert "hush" not in page
    assert f"X-T: {HIDDEN}" in page
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature", "x-webhook-attempt"):
        assert f"{name}: {sent[name]}".lower() in page.lower(), name


async def test_links_to_the_portal_are_no_flood(make_webhooks):
    """Each link is a key: they are listed only if asked for, and keys come in pages."""
    webhooks = make_webhooks(deliver=False)
    await webhooks.start()
    for _ in range(2):
        await webhooks.create_api_key("of acme", [f"application:{webhooks.id}", "portal"])
    for n in range(60):
        await webhooks.create_api_key(f"key {n}", ["read"])
    async with visiting(webhooks) as v:
        first = (await v.see("/keys")).text
        assert "of acme" not in first
        assert first.count("/revoke") == 50
        following = re.search(r'href="([^"]+)" rel="next"', first)[1].replace("&amp;", "&")
        assert (await v.see(following)).text.count("/revoke") == 11
        with_links = (await v.see("/keys?portal=1")).text
        following = re.search(r'href="([^"]+)" rel="next"', with_links)[1].replace("&amp;", "&")
        assert "of acme" in (await v.see(following)).text


# audit log, settings -----------------------------------------------------------------------------


async def test_audit_log(make_webhooks):
    """By action, who, what and application; in pages."""
    webhooks = make_webhooks(deliver=False)
    endpoint = await webhooks.create_endpoint("https://example.com/a")
    async with visiting(webhooks) as v:
        await v.see(f"{LIST}/{endpoint.id}")
        await v.post(f"{LIST}/{endpoint.id}/pause")
        page = (await v.see("/audit")).text
        assert "endpoint.disabled" in page
        assert "ada" in page
        for query, there in (
            ({"action": "endpoint.*"}, True),
            ({"action": "api_key.*"}, False),
            ({"actor": "ada"}, True),
            ({"target": endpoint.id}, True),
            ({"target": "ep_x"}, False),
            ({"app": "default"}, True),
            ({"until": "2020-01-01T00:00"}, False),
        ):
            shown = (await v.see("/audit", params=query)).text
            assert (">endpoint.disabled<" in shown) == there, query
        assert "Nothing fits" in shown
        assert (await v.see("/audit?app=nobody")).status_code == 404
        assert (await v.see("/audit?after=audit_x")).status_code == 400


async def test_settings_without_their_secrets(make_webhooks):
    """What was changed is marked."""
    key = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
    webhooks = make_webhooks(
        deliver=False, encryption_key=key, timeout=7, proxy="http://ada:hush@proxy.example.com:1"
    )
    async with visiting(webhooks, "read") as v:
        page = (await v.see("/settings")).text
    assert key not in page
    assert "hush" not in page
    assert "set, not shown" in page
    assert re.search(r"timeout <span[^>]*>changed</span></td><td[^>]*>7<", page)
    assert re.search(r"connect_timeout</td><td[^>]*>5<", page)
