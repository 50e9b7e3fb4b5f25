"""A server, a receiver, and a real browser where there is one. Nothing is installed for it."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import uvicorn
from tools import chromium

from hookline._web.api.app import build

PATIENCE = 15_000
"""Milliseconds that a page may take."""


@pytest.fixture(scope="module")
def browser(migrated_file):
    """A browser of this machine; HOOKLINE_TEST_BROWSER names another.

    For a module: Playwright's loop runs in this thread while it is open, and lets no other.
    """
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = chromium.find()
    if not found:
        pytest.skip(chromium.MISSING)
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


class Site:
    """A running server."""

    def __init__(self, webhooks, base):
        self.webhooks = webhooks
        self.base = base

    def do(self, work):
        """Wait for something the façade does."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, work).result()

    def key(self, *scopes):
        """Make a key, return its token."""
        return self.do(self.webhooks.create_api_key("ada", scopes or ["admin"])).token

    def hour_ago(self):
        return datetime.now(UTC) - timedelta(hours=1)


@contextmanager
def serving(app, **options):
    """Serve an ASGI application on a free port, which is given."""
    config = uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=3, **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)  # uvicorn has no signal for it
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.fixture
def site(make_webhooks):
    """A server on a free port, which delivers."""
    webhooks = make_webhooks()
    with serving(build(webhooks), lifespan="on") as port:
        yield Site(webhooks, f"http://127.0.0.1:{port}")


@pytest.fixture
def faults():
    """Return what finds faults in a page: axe, against WCAG 2.1 A and AA, and best practice."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}

    def faults(page):
        found = axe.run(page, options=rules).response["violations"]
        return [(v["id"], [node["html"][:150] for node in v["nodes"][:3]]) for v in found]

    return faults


@pytest.fixture
def visit(browser, site):
    """Return what opens a page of its own; nothing may be complained about in its console."""
    contexts, complaints = [], []

    def visit(path="/", *, signed_in=True, scope="admin", **options):
        context = browser.new_context(base_url=site.base, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                complaints.append(said.text) if "Content Security Policy" in said.text else None
            ),
        )
        page.on("request", lambda request: _ours(request.url))
        if signed_in:
            page.goto("/sign-in")
            page.fill("#key", site.key(scope))
            page.click("main button.primary")
            page.locator("form.account").wait_for(state="attached")
        page.goto(path)
        return page

    def _ours(url):
        if not url.startswith((site.base, "data:")):
            complaints.append(f"asked for {url}")

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []
