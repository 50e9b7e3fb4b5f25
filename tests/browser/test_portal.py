"""What a customer does, in a real browser."""

import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.responses import HTMLResponse
from tests.browser.conftest import Site, serving

from hookline._web.api.app import build


def _link(site):
    """Make an application and a customer's key of it; return both and where the link leads."""
    app = site.do(site.webhooks.applications.create("Acme", uid="acme"))
    key = site.do(site.webhooks.create_api_key("link", [f"application:{app.id}", "portal"]))
    return site.do(site.webhooks.for_application(app.id)), f"/portal#key={key.token}"


def test_from_the_link_to_the_secret(visit, site, receiver):
    """An endpoint is made and tried; the address bar keeps no key; another's ids are not found."""
    receiver.secret = None
    _, link = _link(site)
    foreign = site.do(site.webhooks.create_endpoint("http://127.0.0.1:9/x"))
    message = site.do(site.webhooks.trigger("a.b", {"n": 1})).message_id
    page = visit(link, signed_in=False)
    page.get_by_role("heading", name="Endpoints", exact=True).wait_for()
    assert page.url.endswith("/portal/endpoints")
    page.get_by_role("link", name="New endpoint").first.click()
    page.get_by_role("textbox", name="URL required").fill(receiver.url)
    page.get_by_text("Allowed.").wait_for()
    page.get_by_role("button", name="Make the endpoint").click()
    page.get_by_role("link", name="To the endpoint").click()
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("Attempt 1").wait_for()
    receiver.wait_for(1)
    page.goto("/portal/endpoints")
    page.get_by_text("Working: in the last 24 hours everything arrived.").wait_for()
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("button", name="Show the secret").click()
    page.get_by_text(re.compile("whsec_")).first.wait_for()
    for path in (
        f"/portal/endpoints/{foreign.id}",
        f"/portal/messages/{message}",
        f"/portal/messages/{message}/payload",
        "/portal/apps/default/messages",
        "/portal/audit",
    ):
        assert page.goto(path).status == 404, path
    page.goto("/portal/messages?app=default")
    assert page.get_by_text(message).count() == 0


@pytest.fixture
def rooms(site, receiver):
    """Return a link, and the paths of the portal with something in every room."""
    receiver.answer(500)
    app, link = _link(site)
    made = site.do(app.create_endpoint(receiver.url, retry_schedule=[0], description="Billing"))
    receipt = site.do(app.trigger("order.paid", {"n": 1}))
    site.do(receipt.delivered(timeout=20))
    schema = {"1": {"type": "object", "examples": [{"id": "o_7"}]}}
    site.do(site.webhooks.event_types.create("order.paid", "It was paid", schemas=schema))
    job = site.do(app.replay(made, since=datetime(2026, 1, 1, tzinfo=UTC)))
    one = f"/endpoints/{made.id}"
    paths = (
        "", "/endpoints", "/endpoints/new", one, f"{one}/edit", f"{one}/delete", "/overview",
        "/messages", f"/messages/{receipt.message_id}", "/dead-letters", "/replays",
        f"/replays/{job.id}", "/event-types", "/event-types/order.paid", "/signatures", "/nothing",
    )  # fmt: skip
    return link, [f"/portal{path}" for path in paths]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(visit, rooms, scheme, faults):
    """axe finds nothing in any room."""
    link, paths = rooms
    page = visit(link, signed_in=False, color_scheme=scheme)
    page.get_by_role("heading", name="Endpoints", exact=True).wait_for()
    for path in paths:
        page.goto(path)
        assert faults(page) == [], path


def test_phone_dark_and_chinese(visit, rooms):
    """Nothing is wider than the screen."""
    link, paths = rooms
    page = visit(
        link,
        signed_in=False,
        viewport={"width": 360, "height": 740},
        color_scheme="dark",
        locale="zh-CN",
    )
    page.get_by_role("heading", name="端点", exact=True).wait_for()
    for path in paths:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def _reach(page, name, most=60):
    """Press Tab until what has this name has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() and name in (
            focused.evaluate("e => e.labels?.[0]?.textContent ?? e.textContent").strip()
        ):
            shown = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert shown != "none", f"the focus on {name!r} cannot be seen"
            return
    raise AssertionError(f"{name!r} cannot be reached")


def test_by_keyboard_alone(visit, site, receiver):
    """From the list to an endpoint that was made and tried: no pointer is needed."""
    receiver.secret = None
    _, link = _link(site)
    page = visit(link, signed_in=False)
    page.get_by_role("heading", name="Endpoints", exact=True).wait_for()
    page.keyboard.press("Tab")
    assert page.locator(":focus").text_content() == "Skip to content"
    page.keyboard.press("Enter")
    _reach(page, "New endpoint")
    page.keyboard.press("Enter")
    page.wait_for_url("**/endpoints/new")
    _reach(page, "URL")
    page.keyboard.type(receiver.url)
    page.get_by_text("Allowed.").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("whsec_").first.wait_for()
    _reach(page, "To the endpoint")
    page.keyboard.press("Enter")
    page.wait_for_url("**/endpoints/ep_*")
    _reach(page, "Send")
    page.keyboard.press("Enter")
    page.get_by_text("Attempt 1").wait_for()
    receiver.wait_for(1)


# in a frame of another site ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Options of a server that speaks TLS as localhost and 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return {"ssl_certfile": str(certificate), "ssl_keyfile": str(private)}


class Host:
    """Somebody's own page, with whatever is asked for in a frame. Plain ASGI."""

    def __init__(self):
        self.framed = ""

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            page = HTMLResponse(f'<h1>Ours</h1><iframe src="{self.framed}"></iframe>')
            await page(scope, receive, send)


@pytest.mark.parametrize("allowed", [True, False])
def test_in_a_frame_of_another_site(browser, make_webhooks, tls, allowed):
    """Where its origin is named the portal works, its cookie too; elsewhere nothing is shown."""
    host = Host()
    with serving(host, lifespan="off", **tls) as outer:
        origin = f"https://localhost:{outer}"
        webhooks = make_webhooks(
            portal_origins=[origin if allowed else "https://app.example.com"],
            public_url="https://127.0.0.1",
        )
        with serving(build(webhooks), lifespan="on", **tls) as port:
            site = Site(webhooks, f"https://127.0.0.1:{port}")
            app, link = _link(site)
            made = site.do(app.create_endpoint("http://127.0.0.1:9/x"))
            host.framed = site.base + link
            context = browser.new_context(ignore_https_errors=True)
            context.set_default_timeout(15_000)
            page, refused = context.new_page(), []
            page.on("console", lambda said: refused.append(said.text))
            page.goto(origin)
            page.get_by_role("heading", name="Ours").wait_for()
            frame = page.frame_locator("iframe")
            if allowed:
                frame.get_by_role("heading", name="Endpoints", exact=True).wait_for()
                frame.get_by_role("link", name=made.url).click()
                frame.get_by_role("button", name="Pause", exact=True).click()
                frame.get_by_text("It is paused: what is for it is held.").wait_for()
                [cookie] = context.cookies()
                assert (cookie["name"], cookie["sameSite"]) == ("hookline_portal", "None")
                assert cookie["secure"]
                assert cookie["httpOnly"]
            else:
                while not any("frame-ancestors" in each for each in refused):
                    page.wait_for_timeout(20)  # the console is written to by another process
                assert frame.get_by_role("heading", name="Endpoints").count() == 0
                assert context.cookies() == []
            context.close()
