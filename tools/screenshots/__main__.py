"""`make screenshots`: serve a demo, walk its pages in Chromium, and write docs/images."""

import argparse
import asyncio
import base64
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from hookline import Webhooks
from hookline._web.api.app import build
from tools import chromium
from tools.screenshots.demo import Day, Demo, people
from tools.screenshots.shots import SHOTS, Shot

IMAGES = Path(__file__).parents[2] / "docs" / "images"
QUALITY = 72
"""Of WebP: text stays sharp, and a picture has some 30 KB."""
PATIENCE = 60_000
"""Milliseconds that a page may take."""


def main() -> int:
    """Make all pictures, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m tools.screenshots", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these pictures")
    names = parser.parse_args().names
    shots = [shot for shot in SHOTS if not names or shot.name in names]
    found = chromium.find()
    if not found:
        print(chromium.MISSING, file=sys.stderr)
        return 1
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hookline-demo-") as folder:
        os.chdir(folder)  # pages show where the database is
        webhooks, demo = filled(Path("hookline.db"))
        with served(webhooks) as base, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
            for shot in shots:
                size = take(browser, base, demo, shot)
                print(f"{size / 1000:>6.1f} KB  docs/images/{shot.name}.webp")
            browser.close()
    total = sum(path.stat().st_size for path in IMAGES.glob("*.webp"))
    print(f"{total / 1000:,.0f} KB in all")
    return 0


def filled(file: Path) -> tuple[Webhooks, Demo]:
    """Return a façade on a new database with the demo in it."""
    webhooks = Webhooks(
        database=f"sqlite:///{file}", portal_name="Northwind Cloud", portal_colour="#0b6e4f"
    )

    async def fill() -> Demo:
        quiet = Webhooks(database=f"sqlite:///{file}", deliver=False)
        async with quiet:
            demo = await people(quiet)
            day = Day(demo)
            await asyncio.to_thread(day.write, file)
            await quiet._ask(lambda e, _: e.store.tallies.add(day.tallies))
        return demo

    return webhooks, asyncio.run(fill())


@contextmanager
def served(webhooks: Webhooks) -> Iterator[str]:
    """Serve the pages, with a worker that finds nothing due; give the address."""
    config = uvicorn.Config(build(webhooks), port=0, log_level="error", lifespan="on")
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(server.run)
        try:
            while not server.started:
                if running.done():
                    raise SystemExit("the server did not start")
                threading.Event().wait(0.01)  # uvicorn has no signal for it
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True


def take(browser: Browser, base: str, demo: Demo, shot: Shot) -> int:
    """Take a picture; return its size in bytes."""
    width, height = shot.size
    context = browser.new_context(
        base_url=base,
        viewport={"width": width, "height": height},
        color_scheme="dark" if shot.dark else "light",
        locale=shot.language,
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    if shot.signed_in:
        enter(page, demo, shot)
    page.goto(shot.path(demo))
    if shot.act is not None:
        shot.act(page)
    page.wait_for_load_state("load")
    page.evaluate("document.fonts.ready")
    tall: int = page.evaluate("document.documentElement.scrollHeight")
    tall = max(height, min(tall, shot.tallest))
    page.set_viewport_size({"width": width, "height": tall})  # the navigation is as tall as this
    taken: Any = context.new_cdp_session(page).send(
        "Page.captureScreenshot",
        {
            "format": "webp",
            "quality": QUALITY,
            "clip": {"x": 0, "y": 0, "width": width, "height": tall, "scale": 1},
        },
    )
    context.close()
    picture = base64.b64decode(taken["data"])
    (IMAGES / f"{shot.name}.webp").write_bytes(picture)
    return len(picture)


def enter(page: Page, demo: Demo, shot: Shot) -> None:
    """Sign in, or come by a customer's link."""
    if shot.face == "portal":
        page.goto(f"/portal#key={demo.link}")
        page.wait_for_url("**/portal/endpoints")
        return
    page.goto("/sign-in")
    page.fill("#key", demo.token)
    page.click("main button.primary")
    page.locator("form.account").wait_for(state="attached")


if __name__ == "__main__":
    sys.exit(main())
