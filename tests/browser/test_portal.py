"""What a customer does, in a real browser."""

import re


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
    page = visit(link, signed_in=False)
    page.get_by_role("heading", name="Endpoints", exact=True).wait_for()
    assert page.url.endswith("/portal/endpoints")
    page.get_by_role("link", name="New endpoint").first.click()
    page.get_by_label("URL").fill(receiver.url)
    page.get_by_text("Allowed.").wait_for()
    page.get_by_role("button", name="Make the endpoint").click()
    page.get_by_role("link", name="To the endpoint").click()
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("Attempt 1").wait_for()
    receiver.wait_for(1)
    page.goto("/portal/endpoints")
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("button", name="Show the secret").click()
    page.get_by_text(re.compile("whsec_")).first.wait_for()
    assert page.goto(f"/portal/endpoints/{foreign.id}").status == 404


def test_phone_dark_and_chinese(visit, site):
    """Nothing is wider than the screen."""
    app, link = _link(site)
    made = site.do(app.create_endpoint("http://127.0.0.1:9/a-rather-long-path/of/an/endpoint"))
    page = visit(
        link,
        signed_in=False,
        viewport={"width": 360, "height": 740},
        color_scheme="dark",
        locale="zh-CN",
    )
    page.get_by_role("heading", name="端点", exact=True).wait_for()
    for path in ("/portal/endpoints", f"/portal/endpoints/{made.id}", "/portal/messages"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
