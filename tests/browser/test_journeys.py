"""What an operator does, in a real browser."""

import re

import pytest

from hookline._web.dashboard import view
from hookline.testing import Answer

LONGEST = 1_000_000
EVIL = '</pre><script>document.title="owned"</script><img src=x onerror=alert(1)>\u202e'


def _endpoint(page, url):
    page.goto("/apps/default/endpoints")
    page.get_by_role("link", name="New endpoint").first.click()
    page.get_by_role("textbox", name="URL required").fill(url)
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


def test_a_lost_connection_is_told_of(visit, site, monkeypatch):
    """After a while, and when it is back, that too."""
    monkeypatch.setattr(view, "LONGEST", 0.2)
    monkeypatch.setattr(view, "TICK", 0.1)
    page = visit("/")
    page.get_by_text("Live", exact=True).wait_for()
    page.context.set_offline(True)
    page.get_by_text("No connection; trying again").wait_for()
    page.context.set_offline(False)
    page.get_by_text("Live", exact=True).wait_for()


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


def test_a_megabyte_of_hostile_answer_and_payload(visit, site, receiver):
    """The page stays small, and what it shows is text."""
    receiver.answer(lambda _: Answer(500, (EVIL * 20_000).encode(), {"X-Evil": "<b>bold</b>"}))
    site.do(site.webhooks.create_endpoint(receiver.url, retry_schedule=[0]))
    receipt = site.do(site.webhooks.trigger("a.b", {"evil": EVIL * 9_000}))
    site.do(receipt.delivered(timeout=20))
    page = visit(f"/apps/default/messages/{receipt.message_id}")
    page.get_by_text("Request, answer and timings").first.click()
    page.get_by_text("<b>bold</b>").wait_for()
    page.get_by_text("Only the beginning is shown.").first.wait_for(state="attached")
    assert page.title().startswith("a.b")
    assert page.locator("main img, main script, main pre b").count() == 0
    assert len(page.content()) < LONGEST


def test_an_open_circuit_says_when_it_is_tried_next(visit, site, receiver):
    """On the endpoint's page and on that of a message which waits behind it."""
    receiver.answer(503)
    endpoint = site.do(site.webhooks.create_endpoint(receiver.url, retry_schedule=[0] * 20))
    receipt = site.do(site.webhooks.trigger("a.b", {"n": 1}))
    receiver.wait_for(10)
    page = visit(f"/apps/default/endpoints/{endpoint.id}")
    page.locator(".circuit").get_by_text("open").wait_for()
    assert page.locator(".circuit time[data-time=countdown]").is_visible()
    page.goto(f"/apps/default/messages/{receipt.message_id}")
    page.get_by_text("It waits on purpose").wait_for()
    assert re.fullmatch(r"\d+:\d\d", page.locator(".next time").text_content())


def test_every_dead_letter_that_matches_is_resent(visit, site, receiver):
    """Found by its type, counted, and sent, with progress."""
    receiver.answer(500, times=3)
    site.do(site.webhooks.create_endpoint(receiver.url, retry_schedule=[0]))
    for name in ("order.paid", "user.seen", "order.paid"):
        site.do(site.do(site.webhooks.trigger(name, {"n": 1})).delivered(timeout=20))
    page = visit("/dead-letters")
    page.get_by_label("Event type").fill("order.paid")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("button", name="Resend all that match").click()
    assert page.locator(".big-number").text_content() == "2"
    page.get_by_role("button", name="Send them again").click()
    page.get_by_text("2 of 2 sent again").wait_for()
    receiver.wait_for(5)


def test_an_event_type_is_described_and_chosen(visit, site):
    """Made in the catalogue; a click takes it into an endpoint's events."""
    page = visit("/event-types")
    page.get_by_role("link", name="New event type").first.click()
    page.get_by_label("Name").fill("order.paid")
    page.get_by_label("Schema", exact=True).fill('{"examples": [{"id": "o_7"}]}')
    page.get_by_role("button", name="Save").click()
    page.get_by_text("It is in the catalogue.").wait_for()
    page.goto("/apps/default/endpoints/new")
    page.get_by_role("button", name="order.paid").click()
    assert page.get_by_label("Events").input_value() == "order.paid"


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
    "/", "/apps", "/apps/default", "/messages", "/apps/default/messages",
    "/apps/default/endpoints", "/apps/default/endpoints/new", "/dead-letters", "/event-types",
    "/event-types/order.paid", "/new-event-type", "/event-types/order.paid/edit", "/keys",
    "/replays", "/doctor", "/audit", "/settings", "/signatures", "/apps/nobody", "endpoint",
    "edit", "delete", "message", "replay",
]  # fmt: skip


@pytest.fixture
def filled(site, receiver):
    """Return the paths of the pages, with an endpoint that fails and a message behind them."""
    receiver.answer(500)
    endpoint = site.do(site.webhooks.create_endpoint(receiver.url, retry_schedule=[0]))
    receipt = site.do(site.webhooks.trigger("order.paid", {"n": 1}))
    site.do(receipt.delivered(timeout=10))
    schema = {"1": {"type": "object", "examples": [{"id": "o_7"}]}}
    site.do(site.webhooks.event_types.create("order.paid", "It was paid", schemas=schema))
    job = site.do(site.webhooks.replay(message=receipt.message_id))
    one = f"/apps/default/endpoints/{endpoint.id}"
    named = {
        "endpoint": one,
        "edit": f"{one}/edit",
        "delete": f"{one}/delete",
        "replay": f"/replays/{job.id}",
        "message": f"/apps/default/messages/{receipt.message_id}",
    }
    return [named.get(path, path) for path in PAGES]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(visit, filled, scheme, faults):
    """axe finds nothing on any page."""
    page = visit("/", color_scheme=scheme)
    for path in filled:
        page.goto(path)
        assert faults(page) == [], path


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
