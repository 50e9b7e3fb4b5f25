"""The documentation in a real browser, as the server serves it: its policy, and no network."""

import threading
from urllib.parse import quote

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from starlette.applications import Starlette
from tests.docs.site_support import built

from hookline._web.shell import Shell
from hookline._web.site import Site

PAGES = ("", "how-to/verify.html", "reference/deliveries.html", "reference/settings.html")
CHINESE = ("guide.zh-CN.html", "tutorial/first-webhook.zh-CN.html", "how-to/receive.zh-CN.html")


@pytest.fixture(scope="module")
def documentation(tmp_path_factory):
    """The address of the site, served."""
    app = Shell(Starlette(routes=Site(built(tmp_path_factory)).routes()), limit=1000)
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/docs/"
    server.should_exit = True
    thread.join()


@pytest.fixture
def visit(browser, documentation):
    """Return what opens a page and says of it whatever the browser complained about."""
    contexts = []

    def visit(path, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda said: page.complaints.append(said.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith((documentation, "data:"))
                else page.complaints.append(f"asks for {asked.url}")
            ),
        )
        page.goto(documentation + path)
        return page

    yield visit
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", PAGES + CHINESE)
def test_a_page_fits_and_nobody_complains(visit, path, width):
    """On a desk and on a phone; what is wide scrolls by itself. The policy blocks nothing."""
    page = visit(path, viewport={"width": width, "height": 800})
    page.wait_for_load_state("networkidle")
    assert page.locator("h1").is_visible()
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") == 0
    assert page.complaints == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("rotate secret", "Rotate a signing secret"),
        ("exhausted", "Replay what failed"),
        ("verify_signature", "hookline.receiver"),
        ("验签", "接收 Webhook"),
        ("配置文件", "Webhook 使用指南"),
        ("去重", "Webhook 使用指南"),
    ],
)
def test_search_finds(visit, asked, found):
    """English by words, Chinese by whatever is in the text."""
    page = visit(f"search.html?q={quote(asked)}")
    page.get_by_role("link", name=found).first.wait_for()
    assert page.locator("ul.search > li").count() < 40
    assert page.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", [*PAGES, CHINESE[0], "search.html?q=secret"])
def test_what_screen_readers_need_is_there(visit, path, scheme):
    """Levels, names, focus and contrast: nothing that axe calls serious."""
    page = visit(path, color_scheme=scheme)
    page.wait_for_load_state("networkidle")
    found = Axe().run(page).response["violations"]
    grave = [each for each in found if each["impact"] in {"serious", "critical"}]
    assert [(each["id"], each["nodes"][0]["html"]) for each in grave] == []


def test_light_and_dark(visit):
    """As the system has it, until the reader chooses; the choice is kept."""

    def colour(page):
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light, dark = visit("", color_scheme="light"), visit("", color_scheme="dark")
    assert colour(light) != colour(dark)
    button = light.locator(".theme-toggle:visible")
    while light.evaluate("document.body.dataset.theme") != "dark":
        button.click()
    assert colour(light) == colour(dark)
    light.reload()
    assert colour(light) == colour(dark)


def test_a_diagram_is_drawn(visit):
    """As a picture with its own styles, which the policy of the page does not reach."""
    page = visit("reference/deliveries.html")
    picture = page.locator("img.diagram")
    assert picture.get_attribute("alt") == "Diagram: Deliveries"
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 0
    assert picture.bounding_box()["width"] > 300
    assert page.complaints == []


def test_from_the_start_to_a_page_and_on(visit):
    """Links of the index, of the navigation, and to the next page."""
    page = visit("", viewport={"width": 1280, "height": 800})
    page.locator("article").get_by_role("link", name="Run the server").first.click()
    assert page.locator("h1").inner_text().startswith("Run the server")
    page.locator(".sidebar-tree").get_by_role("link", name="十分钟发出第一个 Webhook").first.click()
    assert page.locator("h1").inner_text().startswith("十分钟")
    assert page.locator(".sidebar-tree .caption").first.inner_text() == "中文"
    page.locator("a.next-page").click()
    assert page.locator("h1").inner_text().startswith("接收 Webhook")
    assert page.complaints == []
