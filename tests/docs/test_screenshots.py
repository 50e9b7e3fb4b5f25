"""The pictures of the pages: there is one of each, and each is shown."""

import re
from pathlib import Path

import pytest
from tools.screenshots.shots import SHOTS, WITHOUT

from hookline._web.dashboard.app import PAGES as DASHBOARD
from hookline._web.portal.app import PAGES as PORTAL

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 2_200_000


@pytest.mark.parametrize(("face", "pages"), [("dashboard", DASHBOARD), ("portal", PORTAL)])
def test_each_page_has_its_picture(face, pages):
    """Every route that is a page is in a picture, or it is said why it is in none."""
    routes = {page.path for page in pages if page.method == "GET"}
    taken = {shot.route for shot in SHOTS if shot.face == face}
    assert routes - taken == set(WITHOUT[face])
    assert taken <= routes


def test_the_pictures_are_those_of_the_list():
    """None is missing, none is left over, and together they are small."""
    files = list(IMAGES.iterdir())
    assert {file.name for file in files} == {f"{shot.name}.webp" for shot in SHOTS}
    assert sum(file.stat().st_size for file in files) < MOST_BYTES


def test_each_picture_is_shown():
    """A page of the documentation has it, with words for those who do not see it."""
    text = "".join(
        (ROOT / f"docs/how-to/{name}.md").read_text() for name in ("dashboard", "portal")
    )
    shown = re.findall(r"!\[[^]]+\]\(\.\./images/([\w-]+)\.webp\)", text)
    assert sorted(shown) == sorted(shot.name for shot in SHOTS)
