"""Forms of a Chinese reader: what is wrong with them is said in Chinese, too."""

import re
from contextlib import asynccontextmanager

import pytest
from tests.web.test_portal import customer
from tests.web.visitor import visiting

CHINESE = {"Accept-Language": "zh-CN"}
EVIL = "https://{host}/<script>alert(1)</script>\u202e"
ENDPOINTS = "/apps/default/endpoints"
CHECK = f"{ENDPOINTS}/check"


def problem(page):
    """Return what the form says is wrong, as HTML."""
    return re.search(r'<p class="notice bad" role="alert">(.*?)</p>', page.text, re.DOTALL)[1]


@asynccontextmanager
async def operating(make_webhooks):
    async with visiting(make_webhooks(deliver=False, development=False)) as v:
        v.client.headers.update(CHINESE)
        await v.see(f"{ENDPOINTS}/new")
        yield v


@asynccontextmanager
async def buying(make_webhooks):
    async with customer(make_webhooks(deliver=False, development=False)) as c:
        c.client.headers.update(CHINESE)
        await c.see("/endpoints/new")
        yield c


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://example.com/", "url：不支持协议 &#39;ftp&#39;；请用 https（或 http）"),
        ("https://example.com/#a", "url：片段（&#39;#…&#39;）不会发送，请去掉"),
        (
            "https://10.0.0.1/",
            "url：blocked_address：私有网络 10.0.0.0/8。要向本地网络发送，请在 allowed_networks",
        ),
        ("https://localhost/", "url：blocked_name：&#39;localhost&#39; 是本地使用的名称。若接收方"),
        ("http://example.com/", "url：blocked_scheme：未加密的 http；请用 https。若接收方在本机"),
    ],
)
async def test_an_operators_url(make_webhooks, url, said):
    """As it is typed, and when it is sent."""
    async with operating(make_webhooks) as operator:
        assert said in (await operator.see(CHECK, params={"url": url})).text
        await operator.see(f"{ENDPOINTS}/new")
        refused = await operator.post(ENDPOINTS, url=url, events="*")
        assert refused.status_code == 422
        assert said in problem(refused)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("headers", "Host: a", "请求头 &#39;Host&#39;：已保留，端点不能设置"),
        ("headers", "no colon", "headers：应写成 Name: value，收到的是 &#39;no colon&#39;"),
        ("signatures", "ed25519", "secret：signatures=[&#39;ed25519&#39;] 需要 ed25519 密钥"),
        ("rate_limit", "0", "rate_limit：0.0 不在 0.001 到 100,000 之间"),
        ("rate_limit", "fast", "rate_limit：应为数字，收到的是 &#39;fast&#39;"),
        ("timeout", "99", "timeout：99.0 不在 1 到 30 之间"),
        ("events", "a b!", "events：&#39;b!&#39; 不是事件类型"),
        ("filter", "lenght(a)", "filter：第 1 个字符：没有函数 lenght；您是想写 length 吗？"),
        ("ca", "x", "ca：没有 -----BEGIN CERTIFICATE-----；应为 PEM 文件的文本"),
        ("oauth2.token_url", "x", "oauth2.client_id：缺少"),
        ("proxy", "ftp://a:1", "proxy：不支持协议 &#39;ftp&#39;；应为 http://"),
        ("allowed_networks", "x", "allowed_networks：&#39;x&#39; 不是 10.0.0.0/8 这样的网络"),
    ],
)
async def test_an_operators_options(make_webhooks, field, value, said):
    """Each by its own name."""
    async with operating(make_webhooks) as operator:
        given = {"url": "https://example.com/a", "events": "*", field: value}
        refused = await operator.post(ENDPOINTS, **given)
        assert refused.status_code == 422
        assert said in problem(refused)


async def test_what_is_taken_or_not_there(make_webhooks):
    """Names, keys, and what an address leads to."""
    async with operating(make_webhooks) as operator:
        await operator.see("/apps")
        await operator.post("/apps", name="Acme", uid="acme")
        assert "uid：已有应用 &#39;acme&#39;" in problem(
            await operator.post("/apps", name="Acme", uid="acme")
        )
        assert "name：有 0 个字符，应为 1 到 256 个" in problem(
            await operator.post("/apps", name="")
        )
        assert "scopes：&#39;x&#39; 不是 admin、read" in problem(
            await operator.post("/keys", name="a", scope="x")
        )
        await operator.post("/event-types", name="a.b")
        assert "name：已有事件类型 &#39;a.b&#39;" in problem(
            await operator.post("/event-types", name="a.b")
        )
        assert "schema：不是 JSON：" in problem(
            await operator.post("/event-types", name="a.c", schema="{")
        )
        assert "没有应用 &#39;nobody&#39;" in (await operator.see("/apps/nobody")).text
        gone = await operator.see("/apps/default/messages/msg_x")
        assert (gone.status_code, "没有消息 &#39;msg_x&#39;" in gone.text) == (404, True)


async def test_sending_to_one_that_is_pending(make_webhooks):
    """What cannot be done as things stand, too."""
    async with operating(make_webhooks) as operator:
        webhooks = make_webhooks(deliver=False, development=False)
        made = await webhooks.create_endpoint("https://example.com/a")
        one = f"{ENDPOINTS}/{made.id}"
        wrong = await operator.post(f"{one}/send", type="a.b", data="{")
        assert "data：不是 JSON：" in wrong.text
        assert (
            "overlap：应为以下之一：0, 1h"
            in (await operator.post(f"{one}/rotate", overlap="9")).text
        )


async def test_a_customers_form(make_webhooks):
    """The same words; of the network behind the guard nothing."""
    async with buying(make_webhooks) as buyer:
        check = "/endpoints/check"
        assert (
            "url：不支持协议 &#39;ftp&#39;"
            in (await buyer.see(check, params={"url": "ftp://a.example/"})).text
        )
        blocked = (await buyer.see(check, params={"url": "https://10.0.0.1/"})).text
        assert "不会向此地址发送：blocked_destination。" in blocked
        assert "10.0.0.0" not in blocked
        await buyer.see("/endpoints/new")
        for given, said in [
            ({"url": "https://a b/"}, "url：含有控制字符或空白字符 &#39; &#39;"),
            ({"headers": "Content-Length: 1"}, "请求头 &#39;Content-Length&#39;：已保留"),
            ({"signatures": "ed25519"}, "secret：signatures=[&#39;ed25519&#39;] 需要 ed25519"),
            ({"events": "?"}, "events：&#39;?&#39; 不是事件类型"),
        ]:
            page = await buyer.post(
                "/endpoints", **{"url": "https://a.example.com/", "events": "*"} | given
            )
            assert page.status_code == 422
            assert said in problem(page)


async def test_what_is_hostile_is_a_value(make_webhooks):
    """Braces are braces, tags are text, and marks of direction are shown."""
    async with operating(make_webhooks) as operator, buying(make_webhooks) as buyer:
        for someone, home in ((operator, ENDPOINTS), (buyer, "/endpoints")):
            typed = await someone.see(f"{home}/check", params={"url": EVIL})
            await someone.see(f"{home}/new")
            sent = await someone.post(home, url=EVIL, events="*")
            assert sent.status_code == 422
            for page in (typed, sent):
                assert "主机 &#39;{host}&#39; 不是有效的名称" in page.text
                assert "<script>alert" not in page.text
            odd = await someone.post(home, url="https://example.com/", events="{0}<b>\u202e")
            assert "&#39;{0}&lt;b&gt;\\u202e&#39; 不是事件类型" in problem(odd)


async def test_english_is_as_it_was(make_webhooks):
    """For whoever reads English."""
    async with operating(make_webhooks) as operator:
        page = await operator.see(
            CHECK, params={"url": "https://10.0.0.1/"}, headers={"Accept-Language": "en"}
        )
        assert (
            "url: blocked_address: private network 10.0.0.0/8. To send into a local network, "
            "name it in allowed_networks (HOOKLINE_ALLOWED_NETWORKS)" in page.text
        )
