"""A Chromium of this machine, for tests of pages and for their pictures. None is downloaded."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "no browser found; apt-get install chromium, or set HOOKLINE_TEST_BROWSER"


def find() -> str:
    """Return its path, or what HOOKLINE_TEST_BROWSER names; empty when there is none."""
    return os.environ.get("HOOKLINE_TEST_BROWSER") or next(
        filter(None, map(shutil.which, NAMES)), ""
    )
