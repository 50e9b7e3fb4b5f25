"""The documentation as a site: strict, whole, with nothing from elsewhere and no inline script."""

import re
import runpy
import tomllib
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag

import pytest
from tests.docs.reading import DOCS, PAGES, ROOT
from tests.docs.site_support import built

from hookline._web.site import BUILT

LARGEST = 8 << 20
"""Bytes of the whole site, unpacked; the wheel has some sixth of that."""
LOADS = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}


class Reading(HTMLParser):
    """What a page loads, where it leads, and what can be led to."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.leads, self.names, self.inline = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        for name, value in attrs:
            if (tag, name) in LOADS:
                self.loads.append(value)
            elif (tag, name) == ("a", "href"):
                self.leads.append(value)
            elif name == "id":
                self.names.add(value)
            elif name == "style" or name.startswith("on"):
                self.inline.append(f"<{tag} {name}={value!r}>")
        if tag == "style" or (tag == "script" and "src" not in values):
            self.inline.append(f"<{tag}>")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder, and each of its pages as read."""
    folder = built(tmp_path_factory)
    return folder, {
        page.relative_to(folder): Reading(page.read_text("utf-8"))
        for page in sorted(folder.rglob("*.html"))
    }


def test_every_page_is_on_it(site):
    """Of `docs/`, and those from elsewhere that readers want."""
    folder, pages = site
    expected = {p.removeprefix("docs/") for p in PAGES if p.startswith("docs/")}
    found = {page.as_posix().removesuffix(".html") for page in pages}
    assert {re.sub(r"README\.md$", "index.md", p).removesuffix(".md") for p in expected} <= found
    assert {"project/changelog", "project/security", "project/node", "search"} <= found
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < LARGEST


def test_nothing_comes_from_elsewhere(site):
    """Neither pages nor styles load anything that is not a file of the site."""
    folder, pages = site
    for page, reading in pages.items():
        for each in filter(lambda found: found != "#", reading.loads):
            assert not re.match(r"(\w+:)?//", each), f"{page} loads {each}"
            place = (folder / page).parent / unquote(re.sub(r"[?#].*", "", each))
            assert place.is_file(), f"{page} loads {each}"
    for style in folder.rglob("*.css"):
        for each in re.findall(r"url\(([^)]+)\)|@import", style.read_text("utf-8")):
            assert each.strip("'\"").startswith("data:"), f"{style} loads {each}"


def test_nothing_is_in_a_page_that_the_policy_forbids(site):
    """No script, style or handler in the page itself."""
    _, pages = site
    assert {page: r.inline for page, r in pages.items() if r.inline} == {}


def test_every_link_leads_to_a_page_and_a_heading(site):
    """On the site itself; what leads elsewhere begins with https, or is this machine's."""
    folder, pages = site
    broken = []
    for page, reading in pages.items():
        for each in reading.leads:
            if re.match(r"https://|mailto:|http://127\.0\.0\.1", each):
                continue
            path, name = urldefrag(unquote(each))
            place = ((folder / page).parent / path).resolve() if path else folder / page
            if place.is_dir():
                place /= "index.html"
            target = pages.get(place.relative_to(folder.resolve()) if path else page)
            there = place.is_file() and (not name or target is None or name in target.names)
            if not there:
                broken.append((str(page), each))
    assert broken == []


def test_a_chinese_page_says_so(site):
    """And its buttons are in Chinese."""
    folder, _ = site
    for name, language in (("first-webhook", "en"), ("first-webhook.zh-CN", "zh-CN")):
        text = (folder / f"tutorial/{name}.html").read_text("utf-8")
        assert f'lang="{language}"' in text
        assert ("本页内容" in text) == (language == "zh-CN")


BUILD = runpy.run_path(str(DOCS / "site/build.py"))


@pytest.mark.parametrize(
    ("target", "page", "link"),
    [
        ("index.md", "how-to/serve.md", "../index.md"),
        ("how-to/serve.md", "index.md", "how-to/serve.md"),
        ("how-to/serve.md", "how-to/deploy.md", "serve.md"),
        ("how-to/serve.md", "explanation/decisions/0001.md", "../../how-to/serve.md"),
    ],
)
def test_paths_between_pages(target, page, link):
    """From one to the other."""
    assert BUILD["relative"](target, page) == link


@pytest.mark.parametrize(
    "page",
    [
        "# A\n\n[nothing](nothing.md)\n",
        "# A\n\n[no heading](#nothing)\n",
        "# A\n\n```json\n{nothing\n```\n",
        "# A\n\n### Too deep\n",
    ],
)
def test_a_warning_fails_the_build(tmp_path, monkeypatch, page):
    """A link, a heading, a block, the order of headings: with the name of the page."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "README.md").write_text("# Start\n\n## Part\n\n- [A](a.md)\n")
    (docs / "a.md").write_text(page)
    build = BUILD["build"]
    for name, value in (("ROOT", tmp_path), ("DOCS", docs), ("ALSO", {})):
        monkeypatch.setitem(build.__globals__, name, value)
    with pytest.raises(SystemExit, match="not built"):
        build(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_package_has_what_was_built():
    """Where it is built, where the server looks and what the wheel takes along are one folder."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (taken,) = settings["tool"]["hatch"]["build"]["artifacts"]
    assert ROOT / taken == BUILD["BUILT"] == BUILT


def test_links_to_elsewhere_can_be_listed():
    """For whoever looks at them; nothing here fetches one."""
    found = BUILD["outside"]()
    assert "https://www.standardwebhooks.com/" in found
    assert all(each.startswith("http") for each in found)
