"""The operator's pages over ASGI: what they say, to whom, and what they refuse."""

import ast
import asyncio
import hashlib
import hmac
import html
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.web.visitor import visiting

from hookline import Filter, Webhooks
from hookline._domain import ids
from hookline._domain.audit import Actor
from hookline._domain.finding import nouns
from hookline._domain.tally import Tally
from hookline._web import dashboard
from hookline._web.dashboard import session, text
from hookline._web.dashboard.app import PAGES
from hookline._web.dashboard.words import TABLES, zh, zh_errors, zh_findings, zh_signatures
from hookline._web.engine import on_engine
from hookline.receiver import diagnose
from hookline.testing import Answer

HOME = Path(dashboard.__file__).parent
EVIL = "</pre><script>alert(1)</script>\u202e\u0007"
KEYED = "hookline_session"


# the house ---------------------------------------------------------------------------------------


async def test_first_visit_says_how_to_make_a_key(make_webhooks):
    """On this machine, before there is any."""
    async with visiting(make_webhooks(deliver=False), scope=None) as v:
        assert (await v.see("/")).headers["location"] == "/sign-in?to=%2F"
        assert "hookline keys create me --scope admin" in (await v.see("/sign-in")).text
        await make_webhooks(deliver=False).create_api_key("first", ["admin"])
        assert "Welcome" not in (await v.see("/sign-in")).text


async def test_signing_in_and_out(make_webhooks):
    """A session is a cookie scripts cannot read; a wrong key gets none."""
    webhooks = make_webhooks(deliver=False)
    async with visiting(webhooks, scope=None) as v:
        wrong = await v.sign_in("hk_wrong")
        assert (wrong.status_code, KEYED in wrong.cookies) == (401, False)
        key = await webhooks.create_api_key("ada", ["admin"])
        answer = await v.sign_in(key.token)
        cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith(KEYED))
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
        assert key.token not in cookie
        kept = v.client.cookies[KEYED]
        assert (await v.see("/")).status_code == 200
        assert (await v.post("/sign-out")).headers["location"] == "/sign-in"
        v.client.cookies.set(KEYED, kept)
        assert (await v.see("/")).status_code == 303  # what was ended stays ended


async def test_secure_cookie_behind_tls(make_webhooks):
    """The public URL says how people come."""
    webhooks = make_webhooks(deliver=False, public_url="https://hooks.example.com")
    async with visiting(webhooks, scope=None) as v:
        answer = await v.see("/sign-in")
    assert "Secure" in answer.headers["set-cookie"]


async def test_a_session_ends_with_its_key(make_webhooks):
    """Revoked: at once in this process."""
    webhooks = make_webhooks(deliver=False)
    async with visiting(webhooks) as v:
        await v.see("/keys")
        [key] = await webhooks.api_keys()
        await v.post(f"/keys/{key.id}/revoke")
        assert (await v.see("/")).status_code == 303


@pytest.mark.parametrize("change", [0, 1, 2, 3])
async def test_a_forged_session_is_none(make_webhooks, change):
    """Whatever part of the cookie was changed."""
    async with visiting(make_webhooks(deliver=False)) as v:
        parts = v.client.cookies[KEYED].split(".")
        parts[change] = parts[change][:-1] + ("1" if parts[change][-1] != "1" else "2")
        v.client.cookies.set(KEYED, ".".join(parts))
        assert (await v.see("/")).status_code == 303


async def test_a_session_has_an_end(make_webhooks, monkeypatch):
    """Twelve hours, whatever the cookie's."""
    async with visiting(make_webhooks(deliver=False)) as v:
        later = session.time.time() + session.LASTS + 1
        monkeypatch.setattr(session.time, "time", lambda: later)
        assert (await v.see("/")).status_code == 303


async def test_an_encryption_key_is_part_of_sessions(make_webhooks):
    """A copy of the database alone makes none; after a rotation the old ones are still good."""
    webhooks = make_webhooks(deliver=False)
    key = await webhooks.create_api_key("ada", ["admin"])
    made = make_webhooks(
        deliver=False, encryption_key="MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
    )
    cookie = session.Sessions(made).begin(key.token, key)
    assert await session.Sessions(made).find(cookie) is not None
    assert await session.Sessions(webhooks).find(cookie) is None


async def test_guessing_is_slowed(make_webhooks):
    """After ten wrong keys an address waits, and hears how long."""
    async with visiting(make_webhooks(deliver=False), scope=None) as v:
        for _ in range(session.GUESSES):
            assert (await v.sign_in("hk_guess")).status_code == 401
        answer = await v.sign_in("hk_guess")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60


async def test_a_customers_key_opens_nothing(make_webhooks):
    """The dashboard is the operator's."""
    webhooks = make_webhooks(deliver=False)
    async with visiting(webhooks, scope=None) as v:
        key = await webhooks.create_api_key("acme", ["application:default"])
        assert (await v.sign_in(key.token)).status_code == 403
        assert (await v.see("/")).status_code == 303


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "/\\evil.example"])
async def test_nobody_is_led_away(make_webhooks, back):
    """Where to go afterwards is a place in here."""
    webhooks = make_webhooks(deliver=False)
    async with visiting(webhooks, scope=None) as v:
        key = await webhooks.create_api_key("ada", ["admin"])
        await v.see("/sign-in")
        answer = await v.post("/sign-in", key=key.token, to=back)
        assert answer.headers["location"] == "/"
        switched = await v.see("/language", params={"to": "en", "back": back})
        assert switched.headers["location"] == "/"


async def test_a_place_in_no_ascii_leads_home(make_webhooks):
    """A header has none; a link of the dashboard is written in percents."""
    webhooks = make_webhooks(deliver=False)
    async with visiting(webhooks, scope=None) as v:
        key = await webhooks.create_api_key("ada", ["admin"])
        await v.see("/sign-in")
        assert (await v.post("/sign-in", key=key.token, to="/消息")).headers["location"] == "/"
        assert (await v.see("/theme?to=dark&back=/消息")).headers["location"] == "/"


async def test_signing_in_needs_the_forms_token(make_webhooks):
    """Or another site could sign somebody in as somebody else."""
    webhooks = make_webhooks(deliver=False)
    async with visiting(webhooks, scope=None) as v:
        key = await webhooks.create_api_key("ada", ["admin"])
        for data in ({}, {"csrf": ""}, {"csrf": "x"}):
            answer = await v.client.post("/sign-in", data={"key": key.token, **data})
            assert (answer.status_code, KEYED in answer.cookies) == (403, False)
            await v.see("/sign-in")  # from here on with the form's cookie


async def test_changes_are_the_keys(make_webhooks):
    """In the audit log, with its name; not the application's that runs the pages."""
    webhooks = make_webhooks(deliver=False)
    endpoint = await webhooks.create_endpoint("https://example.com/a")
    async with visiting(webhooks, mounted="/hookline") as v:
        [key] = await webhooks.api_keys()
        await v.post(f"/apps/default/endpoints/{endpoint.id}/pause")
        await v.post("/keys", name="ci", scope="read")
    noted = (await webhooks.audit()).items[:2]
    assert {each.action for each in noted} == {"endpoint.disabled", "api_key.created"}
    assert {each.actor for each in noted} == {Actor("api_key", key.id, "ada")}


LOOKS = [
    "/", "/apps", "/apps/default", "/apps/default/messages", "/apps/default/endpoints",
    "/messages", "/dead-letters", "/event-types", "/keys", "/replays", "/doctor", "/audit",
    "/settings", "/signatures",
]  # fmt: skip


@pytest.mark.parametrize("path", LOOKS)
async def test_every_page_is_strict_and_has_an_empty_state(make_webhooks, path):
    """No script, style or asset from outside, and none inside the page."""
    async with visiting(make_webhooks(deliver=False)) as v:
        answer = await v.see(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script>", answer.text)
    assert not re.search(r'(?:src|href|action|sse-connect|hx-get)="(?!/|#)', answer.text)
    assert answer.text.count("<h1>") == 1


POSTS = [page.path for page in PAGES if page.method == "POST" and page.path != "/sign-in"]
WRITES = [p for p in POSTS if p not in ("/sign-out", "/signatures")]
WEB = HOME.parent


def _filled(path):
    return re.sub(r"\{\w+\}", "default", path)


@pytest.mark.parametrize("path", POSTS)
async def test_every_form_needs_its_token(make_webhooks, path):
    """403 without it, with another session's, or from another site."""
    async with visiting(make_webhooks(deliver=False)) as v:
        good = v.token()
        for data, headers in (
            ({}, {}),
            ({"csrf": "0" * 64}, {}),
            ({"csrf": good}, {"Sec-Fetch-Site": "cross-site"}),
        ):
            answer = await v.client.post(_filled(path), data=data, headers=headers)
            assert answer.status_code == 403


@pytest.mark.parametrize("path", WRITES)
async def test_a_key_that_reads_changes_nothing(make_webhooks, path):
    """403, whatever it sends."""
    async with visiting(make_webhooks(deliver=False), "read") as v:
        assert (await v.post(_filled(path))).status_code == 403


async def test_a_key_that_reads_sees_no_forms(make_webhooks):
    """But that to sign out, and the debugger's."""
    webhooks = make_webhooks(deliver=False)
    endpoint = await webhooks.create_endpoint("https://example.com/a", secret=None)
    receipt = await webhooks.trigger("a.b", {})
    async with visiting(webhooks, "read") as v:
        for path in [
            *LOOKS[:-1],
            f"/apps/default/endpoints/{endpoint.id}",
            f"/apps/default/messages/{receipt.message_id}",
        ]:
            page = (await v.see(path)).text
            forms = re.findall(r'<form[^>]*method="post"[^>]*action="([^"]*)"', page)
            assert forms == ["/sign-out"], path
        assert (await v.see("/apps/default/endpoints/new")).status_code == 403


async def test_another_language(make_webhooks):
    """The browser's wish, and a choice that stays."""
    async with visiting(make_webhooks(deliver=False)) as v:
        wished = await v.see("/", headers={"Accept-Language": "fr, zh-TW;q=0.8, en;q=0.5"})
        assert '<html lang="zh-CN"' in wished.text
        assert "概览" in wished.text
        chosen = await v.see("/language", params={"to": "zh-CN", "back": "/keys?a=1"})
        assert chosen.headers["location"] == "/keys?a=1"
        assert "API 密钥" in (await v.see("/keys")).text


async def test_findings_in_another_language(make_webhooks, receiver, clock):
    """With their numbers, spans and items; what came from outside stays as it is."""
    webhooks = make_webhooks(clock=clock)
    webhooks.register(f"{receiver.base}/held", ["*"], secret="your-secret-key")
    webhooks.register(receiver.url, ["*"], secret="your-secret-key")
    for n in range(22):
        webhooks.register(f"{receiver.base}/{n}", ["c"], secret=None)
    await webhooks.start()
    await webhooks.disable(f"{receiver.base}/held", "<b>{count}</b>")
    for _ in range(2):
        await (await webhooks.trigger("a.b", {})).delivered()
    await webhooks.stop()
    looking = make_webhooks(clock=clock, deliver=False)
    await looking.trigger_many([("c", {})] * 1200)
    clock.advance(25 * 3600)
    async with visiting(looking) as v:
        page = (await v.see("/doctor", headers={"Accept-Language": "zh"})).text
        for text in (
            "没有工作进程在运行；等待中：1,200 条新消息",
            "1,200 条消息尚未路由，最早的已等待 1 天 1 小时",
            "1 个停用的端点保留了 2 个投递",
            f"{receiver.base}/held：&lt;b&gt;{{count}}&lt;/b&gt;，1 天 1 小时前；保留 2 个",
            "接收方恢复后：await webhooks.enable(url) 会发送保留的投递",
            "22 个端点没有签名密钥：接收方无法辨别来源",
            "另有 2 个",
        ):
            assert text in page
        page = (await v.see("/doctor")).text
        assert "/held: &lt;b&gt;{count}&lt;/b&gt;, 1 day 1 h ago; 2 held" in page


async def test_dark_by_choice(make_webhooks):
    """Without a script."""
    async with visiting(make_webhooks(deliver=False)) as v:
        await v.see("/theme", params={"to": "dark", "back": "/"})
        assert 'data-theme="dark"' in (await v.see("/")).text


def _sentences():
    found = set()
    for home in (WEB / "dashboard", WEB / "portal"):
        for path in (home / "templates").glob("*.html"):
            found.update(re.findall(r"_\('((?:[^'\\]|\\.)*)'", path.read_text("utf-8")))
        for path in home.glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                name = getattr(node, "func", None)
                said = getattr(name, "attr", "") == "say" or getattr(name, "id", "") == "to_say"
                if isinstance(node, ast.Call) and said:
                    found.update(a.value for a in node.args if isinstance(a, ast.Constant))
    return found | _patterns()


def _patterns():
    """What is said with `Said("…")` anywhere, and the nouns of `number(…, "…")`."""
    found = set()
    for path in WEB.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            words = [a.value for a in node.args if isinstance(a, ast.Constant)]
            match getattr(node.func, "id", ""):
                case "Said" if words:
                    found.add(words[0])
                case "number" if words:
                    found.update(nouns(*words))
    return found


@pytest.mark.parametrize("language", list(TABLES))
def test_every_language_has_every_sentence(language):
    """None is missing, none is left over, and the same values go into each."""
    table, needed = TABLES[language], _sentences()
    assert needed - table.keys() == set()
    assert table.keys() - needed == set()
    for sentence, said in table.items():
        values = re.compile(r"\{(\w+)[^}]*\}")
        assert sorted(values.findall(sentence)) == sorted(values.findall(said))


def test_no_sentence_has_two_translations():
    """The tables of a language are put together; none hides what another says."""
    tables = [zh.ZH, zh_errors.ERRORS, zh_findings.FINDINGS, zh_signatures.SIGNATURES]
    assert sum(map(len, tables)) == len(TABLES["zh-CN"])


async def test_error_pages(make_webhooks, monkeypatch):
    """404 and 500 are pages, and tell nothing of the inside."""
    webhooks = make_webhooks(deliver=False)
    async with visiting(webhooks) as v:
        for path in (
            "/apps/nobody",
            "/apps/default/messages/msg_x",
            "/event-types/x",
            "/keys/a/b/c",
        ):
            answer = await v.see(path)
            assert answer.status_code == 404
            assert "<h1>Nothing here</h1>" in answer.text

        async def fails(*_):
            raise RuntimeError("secret inside")

        monkeypatch.setattr(webhooks.overview, "backlog", fails)
        answer = await v.see("/")
        assert (answer.status_code, "secret inside" in answer.text) == (500, False)


async def test_the_database_is_away(make_webhooks, monkeypatch):
    """503, a page, also when not even the session can be looked up."""
    webhooks = make_webhooks(deliver=False)
    async with visiting(webhooks) as v:
        from hookline.errors import StorageError

        async def away(*_):
            raise StorageError("password authentication failed for 10.0.0.5")

        monkeypatch.setattr(session.Sessions, "find", away)
        answer = await v.see("/")
    assert answer.status_code == 503
    assert "The database does not answer" in answer.text
    assert "10.0.0.5" not in answer.text


async def test_assets_are_ours_alone(make_webhooks):
    """What the pages link is there, by what is in it; nothing else of the folder is."""
    async with visiting(make_webhooks(deliver=False), scope=None) as v:
        page = (await v.see("/sign-in")).text
        for link in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
            content = (await v.see(link)).content
            assert hashlib.sha256(content).hexdigest().startswith(link.partition("?v=")[2])
        for other in ("VENDORED.md", "..%2fapp.py", "nothing.css"):
            assert (await v.see(f"/static/{other}")).status_code == 404


# pages -------------------------------------------------------------------------------------------


async def test_overview_shows_what_was_counted(make_webhooks):
    """Figures from the tallies, each a link to what is behind it."""
    webhooks = make_webhooks(deliver=False)
    endpoint = await webhooks.create_endpoint("https://example.com/a")
    minute = int(datetime.now(UTC).timestamp()) // 60 * 60 - 120
    counted = {(ids.decode(ids.ENDPOINT, endpoint.id), minute): Tally(90, 10, 3, [100] + [0] * 11)}
    await on_engine(webhooks, lambda e: e.store.tallies.add(counted))
    async with visiting(webhooks) as v:
        page = (await v.see("/?range=1h")).text
        assert "90.00 %" in page
        assert "100 attempts" in page
        assert "10 failed" in page
        for link in re.findall(r'<a class="tile" href="(/[^"]*)"', page):
            assert (await v.see(link.replace("&amp;", "&"))).status_code == 200, link


async def test_overview_shows_the_backlog(on_each_database):
    """What waits and since when: in all applications, or in one."""
    webhooks = on_each_database(deliver=False)
    await webhooks.create_endpoint("https://example.com/a")
    for n in range(3):
        await webhooks.trigger("a.b", {"n": n})

    async def route(engine):
        now = engine.clock.now()
        await engine.queue.route(100, now, now - 1000, lambda _: 0)

    await on_engine(webhooks, route)
    other = await webhooks.for_application(
        (await webhooks.applications.create("Other", uid="other")).id
    )
    paused = await other.create_endpoint("https://example.com/b")
    await other.pause(paused)
    await webhooks.trigger("a.b", {"n": 3})  # not routed
    for app, found in ((None, (3, 1, 2, 1)), ("default", (3, 1, 1, 0)), ("other", (0, 0, 1, 1))):
        backlog = await webhooks.overview.backlog(app)
        assert backlog[:2] + backlog[4:6] == found
        assert (backlog.oldest_due_ms > 0) == (app != "other")
    async with visiting(webhooks) as v:
        assert "late by so much" in (await v.see("/")).text
        assert "late by so much" in (await v.see("/apps/default")).text
        assert "nothing is due" in (await v.see("/apps/other")).text
        listed = (await v.see("/apps/default/endpoints")).text
        assert re.search(r'status=pending">3</a>', listed)
        assert "example.com/b" not in (await v.see("/apps/default")).text


async def test_messages_are_found(on_each_database, receiver):
    """By type, text, status, endpoint, time and id."""
    webhooks = on_each_database()
    receiver.answer(500)
    endpoint = await webhooks.create_endpoint(receiver.url, ["order.*"], retry_schedule=[0])
    failed = await webhooks.trigger("order.paid", {"who": "Grace"})
    await failed.delivered(timeout=10)
    other = await webhooks.trigger("user.seen", {"who": "Ada"})
    now = datetime.now(UTC)
    async with visiting(webhooks) as v:
        list_ = "/apps/default/messages"
        for query, shown, hidden in (
            ({"type": "order.paid"}, failed, other),
            ({"q": "Grace"}, failed, other),
            ({"status": "exhausted"}, failed, other),
            ({"endpoint": endpoint.id}, failed, other),
            ({"endpoint": endpoint.id, "status": "exhausted"}, failed, other),
            ({"status": "succeeded"}, None, failed),
            ({"status": "pending"}, None, failed),
            ({"status": "sending"}, None, failed),
            ({"status": "held"}, None, failed),
            ({"until": f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M}"}, failed, None),
            ({"from": f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M}"}, None, failed),
        ):
            page = (await v.see(list_, params=query)).text
            assert shown is None or shown.message_id in page, query
            assert hidden is None or hidden.message_id not in page, query
        straight = await v.see(list_, params={"q": failed.message_id})
        assert straight.headers["location"] == f"{list_}/{failed.message_id}"
        assert (await v.see(list_, params={"from": "noon"})).status_code == 400
        assert (await v.see(list_, params={"after": "msg_x"})).status_code == 400


async def test_messages_come_in_pages(make_webhooks):
    """Each one once, and the way on is a link."""
    webhooks = make_webhooks(deliver=False)
    made = {
        r.message_id for r in await webhooks.trigger_many([("a.b", {"n": n}) for n in range(120)])
    }
    async with visiting(webhooks) as v:
        seen, link = [], "/apps/default/messages"
        while link:
            page = (await v.see(link)).text
            seen += re.findall(r'messages/(msg_\w+)"', page)
            found = re.search(r'href="([^"]+)" rel="next"', page)
            link = found and found[1].replace("&amp;", "&")
    assert len(seen) == len(made)
    assert set(seen) == made


async def test_a_message_is_harmless_whatever_it_says(make_webhooks, receiver):
    """Markup, marks of direction and controls are text, in payloads and in answers."""
    webhooks = make_webhooks()
    receiver.answer(lambda _: Answer(400, EVIL.encode(), {"X-Evil": "<b>"}))
    await webhooks.create_endpoint(receiver.url, retry_schedule=[0], description=EVIL[:20])
    receipt = await webhooks.trigger("a.b", {"evil": EVIL, "exact": 1.10})
    await receipt.delivered(timeout=10)
    async with visiting(webhooks) as v:
        page = (await v.see(f"/apps/default/messages/{receipt.message_id}")).text
        raw = await v.see(f"/apps/default/messages/{receipt.message_id}/payload")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\u202e" not in page
    assert "U+202E" in page
    assert "HTTP 400" in page
    assert "&lt;b&gt;" in page
    assert raw.headers["content-type"].startswith("text/plain")
    assert raw.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in raw.headers["content-security-policy"]


async def test_what_is_asked_for_is_repeated_harmlessly(make_webhooks):
    """Queries, names and paths that come back in a page are text."""
    webhooks = make_webhooks(deliver=False)
    await webhooks.applications.create(f'"{EVIL}', uid="acme")
    async with visiting(webhooks) as v:
        evil = f'"{EVIL}'
        for path, query in (
            ("/apps/default/messages", {"q": evil, "type": evil, "from": "", "endpoint": evil}),
            ("/dead-letters", {"app": "acme", "endpoint": evil}),
            ("/apps/acme", {"range": evil}),
            ("/apps", {"done": evil}),
            ("/sign-in", {"to": f"/{evil}"}),
            ("/messages", {"q": evil, "endpoint": evil}),
            ("/audit", {"action": evil, "actor": evil, "target": evil}),
            ("/dead-letters", {"type": evil}),
            ("/new-event-type", {"name": evil}),
            (f"/apps/{quote(evil)}/messages", {}),
        ):
            page = (await v.see(path, params=query)).text
            assert "<script>alert" not in page, path


async def test_a_large_payload_is_a_download(make_webhooks):
    """A megabyte makes no page of a megabyte."""
    webhooks = make_webhooks(deliver=False)
    receipt = await webhooks.trigger("a.b", {"long": "<" * 900_000})
    async with visiting(webhooks) as v:
        answer = await v.see(f"/apps/default/messages/{receipt.message_id}")
        raw = await v.see(f"/apps/default/messages/{receipt.message_id}/payload")
    assert "Only the beginning is shown." in answer.text
    assert len(answer.content) < 600_000
    assert len(raw.content) > 900_000


def test_pretty_changes_no_digit():
    """What is between the strings is moved, never rewritten."""
    body = b'{"a":1.10,"b":[],"c":[1e400,12345678901234567890123],"d":{"e":"x,{}"},"f":{}}'
    shown = text.pretty(body.replace(b"1e400", b"1e40"))
    assert '"a": 1.10' in shown
    assert "12345678901234567890123" in shown
    assert re.sub(r"\s", "", shown).encode() == body.replace(b"1e400", b"1e40")
    assert text.pretty(b"{nope") is None


async def test_resend_cancel_erase(make_webhooks, receiver):
    """What a message's forms do."""
    webhooks = make_webhooks()
    endpoint = await webhooks.create_endpoint(receiver.url)
    receipt = await webhooks.trigger("a.b", {"n": 1})
    await receipt.delivered(timeout=10)
    async with visiting(webhooks) as v:
        path = f"/apps/default/messages/{receipt.message_id}"
        answer = await v.post(f"{path}/resend", endpoint=endpoint.id)
        assert answer.headers["location"] == f"{path}?done=resent"
        await asyncio.to_thread(receiver.wait_for, 2)
        replayed = await v.post(f"{path}/replay")
        assert replayed.headers["location"].startswith("/replays/job_")
        assert (await v.see(replayed.headers["location"])).status_code == 200
        assert (await v.post(f"{path}/cancel")).status_code == 303
        await v.see(path)
        await v.post(f"{path}/erase")
        assert "It was erased" in (await v.see(path)).text


async def test_an_endpoint_is_made_and_changed(make_webhooks):
    """Its secret is shown once; what is wrong is said on the form, which keeps what was typed."""
    webhooks = make_webhooks(deliver=False)
    async with visiting(webhooks) as v:
        list_ = "/apps/default/endpoints"
        await v.see(f"{list_}/new")
        wrong = await v.post(list_, url="https://10.0.0.1/x", events="a.b", description="Mine")
        assert wrong.status_code == 422
        assert "private network" in wrong.text
        assert 'value="Mine"' in wrong.text
        number = await v.post(list_, url="https://example.com/a", rate_limit="many")
        assert "expected a number" in number.text
        made = await v.post(
            list_, url="https://example.com/a", events="a.b\nc.*", description="Mine"
        )
        [endpoint] = await webhooks.endpoints()
        assert endpoint.events == ("a.b", "c.*")
        assert endpoint.secret in made.text
        one = f"{list_}/{endpoint.id}"
        assert endpoint.secret not in (await v.see(one)).text
        await v.see(f"{one}/edit")
        await v.post(f"{one}/edit", url=endpoint.url, events="*", rate_limit="5", description="")
        [changed] = await webhooks.endpoints()
        assert (changed.events, changed.rate_limit, changed.description) == (("*",), 5.0, "")


async def test_verdict_while_typing(make_webhooks):
    """The guard's own words."""
    async with visiting(make_webhooks(deliver=False, development=False)) as v:
        check = "/apps/default/endpoints/check"
        good = (await v.see(check, params={"url": "https://example.com/x"})).text
        bad = (await v.see(check, params={"url": "https://169.254.169.254/"})).text
    assert "Allowed" in good
    assert "169.254" in bad
    assert "<html" not in bad


async def test_rotation_pause_disable_delete(make_webhooks):
    """What an endpoint's forms do."""
    webhooks = make_webhooks(deliver=False)
    endpoint = await webhooks.create_endpoint("https://example.com/a")
    async with visiting(webhooks) as v:
        one = f"/apps/default/endpoints/{endpoint.id}"
        rotated = await v.post(f"{one}/rotate", overlap="1h")
        [now] = await webhooks.endpoints()
        assert now.secret != endpoint.secret
        assert now.secret in rotated.text
        assert "For 1h both secrets sign" in rotated.text
        await v.post(f"{one}/pause")
        assert (await webhooks.endpoint(endpoint.id)).disabled_reason == "paused"
        await v.post(f"{one}/resume")
        assert (await v.post(f"{one}/disable", reason="")).status_code == 422
        await v.post(f"{one}/disable", reason="They <asked>")
        assert "They &lt;asked&gt;" in (await v.see(one)).text
        await v.post(f"{one}/delete")
        assert await webhooks.endpoints() == []


async def test_recover_counts_first(make_webhooks, receiver):
    """Then it is sent again, with a page that shows how far it got."""
    webhooks = make_webhooks()
    receiver.answer(500, times=2)
    endpoint = await webhooks.create_endpoint(receiver.url, retry_schedule=[0])
    for n in range(2):
        await (await webhooks.trigger("a.b", {"n": n})).delivered(timeout=10)
    async with visiting(webhooks) as v:
        one = f"/apps/default/endpoints/{endpoint.id}/recover"
        since = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M}"
        dry = await v.post(one, since=since)
        assert '<p class="big-number">2</p>' in dry.text
        assert receiver.count == 2
        assert (await v.post(one, since="")).status_code == 422
        job = (await v.post(one, since=since, sure="1")).headers["location"]
        await asyncio.to_thread(receiver.wait_for, 4)
        assert (await v.see(job)).status_code == 200


async def test_dead_letters_are_sent_again(on_each_database, receiver):
    """Those that were marked; afterwards they are none."""
    webhooks = on_each_database()
    receiver.answer(500, times=3)
    endpoint = await webhooks.create_endpoint(receiver.url, retry_schedule=[0])
    receipts = [await webhooks.trigger("a.b", {"n": n}) for n in range(3)]
    for receipt in receipts:
        await receipt.delivered(timeout=10)
    page = await webhooks.overview.dead_letters()
    assert [d.attempt.message_id for d in page.items] == [r.message_id for r in reversed(receipts)]
    async with visiting(webhooks) as v:
        await v.see("/dead-letters")
        marked = re.findall(r'name="letter" value="([^"]+)"', v.last.text)
        answer = await v.client.post(
            "/dead-letters", data={"csrf": v.token(), "letter": [*marked[:2], "default/msg_x/ep_x"]}
        )
        assert "2 of 3 are being sent again" in answer.text
        await asyncio.to_thread(receiver.wait_for, 5)
        assert (await v.post("/dead-letters")).status_code == 422
    left = await webhooks.overview.dead_letters(
        "default", Filter(endpoint=ids.decode(ids.ENDPOINT, endpoint.id))
    )
    assert receipts[0].message_id in {d.attempt.message_id for d in left.items}


async def test_catalogue_and_keys(make_webhooks):
    """Event types with who listens; keys shown once."""
    webhooks = make_webhooks(deliver=False)
    await webhooks.create_endpoint("https://example.com/a", ["order.*"])
    schema = {"type": "object", "properties": {"id": {"type": "string", "examples": ["o_7"]}}}
    await webhooks.event_types.create("order.paid", "It was paid", schemas={"1": schema})
    async with visiting(webhooks) as v:
        page = (await v.see("/event-types/order.paid")).text
        assert "https://example.com/a" in page
        assert "o_7" in page
        await v.see("/keys")
        made = await v.post("/keys", name="ci", scope="read", days="2")
        token = re.search(r"hk_\w+[\w-]+", made.text)[0]
        assert (await webhooks.authenticate(token)).name == "ci"
        assert token not in (await v.see("/keys")).text
        for wrong in ({"scope": "all"}, {"days": "soon"}, {"name": ""}):
            answer = await v.post("/keys", **{"name": "x", "scope": "read", **wrong})
            assert answer.status_code == 422
        await v.see("/apps")
        assert (await v.post("/apps", name="Acme", uid="acme")).headers["location"] == "/apps/acme"
        assert (await v.post("/apps", name="Acme", uid="acme")).status_code == 422


async def test_signature_debugger(make_webhooks):
    """It says the cause, and keeps no secret."""
    async with visiting(make_webhooks(deliver=False), "read") as v:
        await v.see("/signatures")
        answer = await v.post("/signatures", body="{}", headers="X-A: b", secret="whsec_c2VjcmV0")
    assert "no_signature" in answer.text
    assert "whsec_c2VjcmV0" not in answer.text


HOSTILE = '{"{secret}":"<script>alert(1)</script>\u202e","\u202egnp":"{0.__class__}"}'
NOR = "；另外，给出的密钥也都不匹配"
TIMED = "webhook-id: m\nwebhook-timestamp: 1760697000\n"
SIGNATURES = {
    "nothing": (
        {"headers": "X-A: b", "body": "{}"},
        "没有收到 webhook-signature，也没有收到 X-Webhook-Signature",
    ),
    "missing": (
        {"headers": "webhook-signature: v1,AAAA", "body": "{}"},
        "收到了 webhook-signature，但没有收到 webhook-id 和 webhook-timestamp",
    ),
    "value": (
        {
            "headers": f"{TIMED}webhook-signature: v1,{'A' * 43}=",
            "body": HOSTILE,
            "original": HOSTILE.replace('"<script>alert(1)</script>\u202e"', "1.0"),
        },
        '{secret}：值变了（发送：数字 1.0，收到："<script>alert(1)</script>U+202E"）' + NOR,
    ),
    "order": (
        {
            "headers": f"{TIMED}webhook-signature: v1,{'A' * 43}=",
            "body": HOSTILE,
            "original": '{"\u202egnp":"{0.__class__}","{secret}":1}',
        },
        "请求体：各名称的顺序变了（经过排序）；发送时 '\\u202egnp' 在 '{secret}' 之前" + NOR,
    ),
    "renamed": (
        {
            "headers": "x-<b>{pattern}</b>-x-webhook-signature: sha256="
            + hmac.digest(b"s3cret", b"{}", "sha256").hex(),
            "body": "{}",
        },
        "x-webhook-signature 到达时名称是 x-<b>{pattern}</b>-x-webhook-signature",
    ),
    "slips": (
        {
            "headers": "X-Webhook-Signature: sha1=" + hmac.digest(b"s3cret", b"{}\n", "sha1").hex(),
            "body": "{}",
            "secret": "s3cret ",
        },
        "请求体与发送时不同：末尾的换行被删除；另外，密钥首尾有空白；另外，签名是 HMAC-SHA1",
    ),
    "valid": (
        {
            "headers": "X-Webhook-Signature: " + hmac.digest(b"s3cret", b"{}", "sha256").hex(),
            "body": "{}",
        },
        "webhook 有效：X-Webhook-Signature 匹配；它缺少 sha256=，其他验签程序可能要求有",
    ),
}


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("name", SIGNATURES)
async def test_the_debugger_speaks_the_readers_language(make_webhooks, name, language):
    """Sentence and remedy, whole; what they quote is text, however it is written."""
    given, chinese = SIGNATURES[name]
    fields = {"secret": "s3cret", **given}
    pairs = [line.split(": ", 1) for line in fields["headers"].splitlines()]
    found = diagnose(fields["body"], pairs, fields["secret"], original=fields.get("original"))
    async with visiting(make_webhooks(deliver=False), "read") as v:
        v.client.headers["accept-language"] = language
        await v.see("/signatures")
        page = (await v.post("/signatures", **fields)).text
    assert "<script>alert" not in page
    assert "<b>" not in page
    notice = re.search(r'<div class="notice [^>]*>(.*?)</div>', page, re.DOTALL)[1]
    assert "lang=" not in notice
    cause, sentence, *remedy = map(_read, re.findall(r"<p>(.*?)</p>", notice, re.DOTALL))
    assert cause == found.cause
    if language == "en":
        english = (_read(text.harmless(said)) for said in (found.sentence, found.remedy))
        assert [sentence, *remedy] == [said for said in english if said]
    else:
        assert sentence == chinese
        assert bool(remedy) is not found.valid
        assert all(re.search(r"[\u4e00-\u9fff]", said) for said in remedy)


def _read(markup):
    return html.unescape(re.sub("<[^>]*>", "", markup))


async def test_endpoints_in_trouble(on_each_database, receiver):
    """Those that fail, and those that are disabled, with their application."""
    webhooks = on_each_database()
    receiver.answer(500)
    fails = await webhooks.create_endpoint(receiver.url, retry_schedule=[0])
    paused = await webhooks.create_endpoint("https://example.com/paused")
    await webhooks.create_endpoint("https://example.com/well", ["never"])
    await webhooks.pause(paused)
    await (await webhooks.trigger("a.b", {})).delivered(timeout=10)
    found = {each.endpoint_id: each for each in await webhooks.overview.troubled()}
    assert found.keys() == {fails.id, paused.id}
    assert found[fails.id].failures == 1
    assert found[paused.id].disabled_reason == "paused"
    assert {each.application_id for each in found.values()} == {webhooks.id}


# live, and mounted -------------------------------------------------------------------------------


async def test_live_sends_what_changes(make_webhooks, monkeypatch):
    """The same address, asked for events: the part of the page that is live."""
    from hookline._web.dashboard import view

    monkeypatch.setattr(view, "LONGEST", 0.01)
    monkeypatch.setattr(view, "TICK", 0.02)
    async with visiting(make_webhooks(deliver=False)) as v:
        for path in ("/", "/apps/default/messages", "/apps/default/endpoints", "/replays"):
            answer = await v.see(path, headers={"Accept": "text/event-stream"})
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.text.startswith("event: live\ndata: ")
            assert "<html" not in answer.text


@pytest.mark.parametrize(
    ("where", "root"),
    [
        ({"mounted": "/webhooks"}, "/webhooks"),
        ({"included": ""}, "/hookline"),
        ({"included": "/ops"}, "/ops/hookline"),
    ],
)
async def test_a_part_of_an_application(make_webhooks, where, root):
    """Mounted or included as a router: all links are below its path."""
    async with visiting(make_webhooks(deliver=False), **where) as v:
        for path in LOOKS:
            page = (await v.see(path)).text
            links = re.findall(r'(?:href|src|action|hx-get|sse-connect)="(/[^"]*)"', page)
            assert links
            assert all(link.startswith(f"{root}/") for link in links), path
        assert f"Path={root}" in (await v.see("/sign-in?x=1")).headers.get(
            "set-cookie", f"Path={root}"
        )
        assert "There is no such page" in (await v.client.get(f"{root}/nothing")).text
        assert (await v.client.get(f"{root}else")).json() == {"detail": "Not Found"}


def test_dashboard_without_its_extra():
    """The façade's method is there, and a Webhooks of its own."""
    assert callable(Webhooks.dashboard)
