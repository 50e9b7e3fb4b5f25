"""What an operator does, in a real browser."""

import re

import pytest

EVIL = '</pre><script>document.title="owned"</script><img src=x onerror=alert(1)>\u202e'


def _endpoint(page, url):
    page.goto("/apps/default/endpoints")
    page.get_by_role("link", name="New endpoint").first.click()
    page.get_by_label("URL").fill(url)
    page.get_by_text("Allowed.").wait_for()  # the guard's verdict, as it is typed
    page.get_by_role("button", name="Make the endpoint").click()
    page.get_by_text("whsec_").first.wait_for()
    page.get_by_role("link", name="To the endpoint").click()
    page.get_by_role("heading", name=url).wait_for()


def test_first_visit_and_sign_in(visit, site):
    """From nothing to the overview, and out again."""
    page = visit("/", signed_in=False)
    page.get_by_text("hookline keys create me --scope admin").wait_for()
    page.get_by_label("API key").fill("hk_wrong")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("This is not a valid API key.").wait_for()
    page.get_by_label("API key").fill(site.key())
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Overview").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.goto("/keys")
    assert "/sign-in?to=%2Fkeys" in page.url


def test_create_an_endpoint_and_send_it_an_example(visit, receiver):
    """Its attempt shows up by itself."""
    receiver.secret = None
    page = visit("/")
    _endpoint(page, receiver.url)
    page.get_by_label("Data, as JSON").fill('{"hello": "world"}')
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("Attempt 1").wait_for()
    receiver.wait_for(1)
    assert page.get_by_text('"hello": "world"').count()


def test_messages_arrive_live(visit, site, receiver):
    """An open list shows what is published, without a reload; updates can be paused."""
    site.do(site.webhooks.create_endpoint(receiver.url))
    page = visit("/apps/default/messages")
    page.get_by_text("No messages yet").wait_for()
    site.do(site.webhooks.trigger("customer.created", {"id": 1}))
    page.get_by_role("link", name=re.compile("msg_")).wait_for()
    page.get_by_role("button", name="Pause updates").click()
    assert page.get_by_role("button", name="Resume updates").get_attribute("aria-pressed") == "true"


def test_find_a_failed_message_and_resend_it(visit, site, receiver):
    """From the list, by its status."""
    receiver.answer(500, times=1)
    site.do(site.webhooks.create_endpoint(receiver.url, retry_schedule=[0]))
    receipt = site.do(site.webhooks.trigger("order.paid", {"n": 1}))
    site.do(receipt.delivered(timeout=10))
    page = visit("/apps/default/messages")
    page.get_by_label("Status").select_option("exhausted")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name=receipt.message_id).click()
    page.get_by_text("HTTP 500").wait_for()
    page.get_by_role("button", name="Resend").click()
    page.get_by_text("It is being sent again.").wait_for()
    page.get_by_text("Attempt 2").wait_for()
    receiver.wait_for(2)


def test_recover_since_a_time(visit, site, receiver):
    """Counted first, then sent, with progress."""
    receiver.answer(500, times=3)
    endpoint = site.do(site.webhooks.create_endpoint(receiver.url, retry_schedule=[0]))
    for n in range(3):
        receipt = site.do(site.webhooks.trigger("order.paid", {"n": n}))
        site.do(receipt.delivered(timeout=10))
    page = visit(f"/apps/default/endpoints/{endpoint.id}")
    page.get_by_label("Since").fill(f"{site.hour_ago():%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Count").click()
    page.get_by_text("deliveries would be sent again").wait_for()
    page.get_by_role("button", name="Send them again").click()
    page.get_by_text("3 of 3 sent again").wait_for()
    receiver.wait_for(6)


def test_rotate_a_secret(visit, site):
    """It asks first, and shows the new one with how long the old one signs."""
    endpoint = site.do(site.webhooks.create_endpoint("http://127.0.0.1:9/x"))
    page = visit(f"/apps/default/endpoints/{endpoint.id}")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
    page.get_by_label("The old one signs along for").select_option("72h")
    page.get_by_role("button", name="Rotate the secret").click()
    page.get_by_text("For 72h both secrets sign").wait_for()
    assert asked == ["Make a new secret now?"]
    assert page.get_by_text("whsec_").first.text_content() != endpoint.secret


def test_a_hostile_payload_is_shown_harmlessly(visit, site, receiver):
    """It is text; nothing of it runs."""
    site.do(site.webhooks.create_endpoint(receiver.url))
    receipt = site.do(site.webhooks.trigger("a.b", {"evil": EVIL}))
    page = visit(f"/apps/default/messages/{receipt.message_id}")
    dialogs = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.get_by_text("onerror=alert(1)").first.wait_for()
    assert page.title().startswith("a.b")
    assert page.locator("main img, main script").count() == 0
    assert page.get_by_text("U+202E").first.is_visible()
    assert dialogs == []


def test_language_and_colours(visit):
    """Both by a click, both stay."""
    page = visit("/", color_scheme="light")
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.get_by_role("link", name="Dark").click()
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.get_by_role("link", name="简体中文").click()
    page.get_by_role("heading", name="概览").wait_for()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert (
        light != dark == page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    )


def test_without_javascript(visit, site, receiver):
    """Found, looked at, sent again: all of it works."""
    endpoint = site.do(site.webhooks.create_endpoint(receiver.url))
    page = visit(f"/apps/default/endpoints/{endpoint.id}", java_script_enabled=False)
    page.get_by_role("button", name="Send", exact=True).click()
    receiver.wait_for(1)
    page.get_by_role("button", name="Resend").click()
    page.get_by_text("It is being sent again.").wait_for()
    receiver.wait_for(2)
    assert page.get_by_role("button", name="Copy link").count() == 0


def test_by_keyboard(visit):
    """The first stop leads to the content; focus can be seen."""
    page = visit("/")
    page.keyboard.press("Tab")
    assert page.locator(":focus").text_content() == "Skip to content"
    page.keyboard.press("Enter")
    assert page.locator(":focus").get_attribute("id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


PAGES = [
    "/", "/apps", "/apps/default/messages", "/apps/default/endpoints",
    "/apps/default/endpoints/new", "/dead-letters", "/event-types", "/keys", "/replays",
    "/doctor", "/signatures", "/apps/nobody", "endpoint", "message",
]  # fmt: skip


@pytest.fixture
def filled(site, receiver):
    """Return the paths of the pages, with an endpoint that fails and a message behind them."""
    receiver.answer(500)
    endpoint = site.do(site.webhooks.create_endpoint(receiver.url, retry_schedule=[0]))
    receipt = site.do(site.webhooks.trigger("order.paid", {"n": 1}))
    site.do(receipt.delivered(timeout=10))
    named = {
        "endpoint": f"/apps/default/endpoints/{endpoint.id}",
        "message": f"/apps/default/messages/{receipt.message_id}",
    }
    return [named.get(path, path) for path in PAGES]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(visit, filled, scheme):
    """axe finds nothing against WCAG 2.1 A and AA, on any page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit("/", color_scheme=scheme)
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
    for path in filled:
        page.goto(path)
        found = axe.run(page, options=rules).response["violations"]
        told = [(v["id"], [node["html"][:150] for node in v["nodes"][:3]]) for v in found]
        assert told == [], path


def test_on_a_phone(visit, filled):
    """No page is wider than the screen; the menu folds."""
    page = visit("/", viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    assert not page.get_by_role("link", name="Dead letters", exact=True).is_visible()
    page.get_by_text("Menu").click()
    page.get_by_role("link", name="Dead letters", exact=True).click()
    page.get_by_role("heading", name="Dead letters").wait_for()
    for path in filled:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_a_key_that_reads(visit, site):
    """It sees everything and no buttons."""
    endpoint = site.do(site.webhooks.create_endpoint("http://127.0.0.1:9/x"))
    page = visit(f"/apps/default/endpoints/{endpoint.id}", scope="read")
    page.get_by_text("read only").wait_for()
    names = page.get_by_role("button").all_text_contents()
    assert set(names) <= {"Sign out", "Pause updates"}
