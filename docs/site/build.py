"""The documentation as a static site: `python docs/site/build.py [FOLDER]`, or `make docs`.

The pages are written for the repository, where links lead to files and `README.md` is the index of
its folder. Here they are laid out as Sphinx wants them, then built with every warning as an error.
"""

# A script, not a package.
# ruff: noqa: INP001, T201

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import mmdr
from sphinx.cmd.build import build_main

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DOCS = ROOT / "docs"
BUILT = ROOT / "src/hookline/_web/site/built"
"""Where the server and the wheel look for it."""
MARK = ROOT / "src/hookline/_web/dashboard/static/mark.svg"
ALSO = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "backend/README.md": "project/backend.md",
    "receivers/node/README.md": "project/node.md",
}
"""Pages from elsewhere in the repository, and where they are on the site."""
DOWNLOADS = ("deploy/", "backend/")
"""What a link to a file below these leads to is offered for download; others become plain text."""

CHINESE = ".zh-CN."
FENCE = re.compile(r"^(```+)(\w*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
COMMENT = re.compile(r"^<!--.*?-->$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#{1,3}) (.+)$")
# What the theme writes into each page, and the policy of the server forbids there.
THEME_SCRIPT = re.compile(r"<script>\s*document\.body\.dataset\.theme = [^<]*</script>")
THEME_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
PRESENTATION = {
    ' style="opacity: 50%"': ' opacity="0.5"',
    ' style="display: none;"': ' display="none"',
}
ACCESS = {
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    '<aside class="toc-drawer': '<aside aria-label="This page" class="toc-drawer',
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    '<th class="head"><p></p></th>': '<td class="head"></td>',
}
"""What screen readers and keyboards need: levels, names, focus for what scrolls."""
FORBIDDEN = re.compile(r"<script(?![^>]* src=)|<style|<[^>]+ (?:on\w+|style)=")


def places() -> dict[str, str]:
    """Return the path in the repository of every page, and its path on the site."""
    found = {
        path.relative_to(ROOT).as_posix(): _on_site(path.relative_to(DOCS).as_posix())
        for path in sorted(DOCS.rglob("*.md"))
    }
    return found | ALSO


def _on_site(path: str) -> str:
    return re.sub(r"README\.md$", "index.md", path)


def relative(target: str, page: str) -> str:
    """Return the path from a page of the site to another."""
    up = PurePosixPath(page).parts[:-1]
    to = PurePosixPath(target).parts
    common = 0
    while common < min(len(up), len(to) - 1) and up[common] == to[common]:
        common += 1
    return "/".join([".."] * (len(up) - common) + list(to[common:]))


class Layout:
    """The folder that Sphinx reads."""

    def __init__(self, folder: Path) -> None:
        """Of a folder that is empty."""
        self.folder = folder
        self.pages = places()

    def write(self) -> None:
        """Write every page, what it shows and what it links to."""
        for source, target in self.pages.items():
            text = self._text(source, target, (ROOT / source).read_text("utf-8"))
            self._put(target, text.encode())
        for name in ("conf.py", "static"):
            place = self.folder / name
            copy = shutil.copytree if (HERE / name).is_dir() else shutil.copy
            copy(HERE / name, place)
        shutil.copy(MARK, self.folder / "static")
        for path in DOCS.rglob("*"):  # pictures
            if path.suffix in {".png", ".svg", ".webp", ".jpg"} and HERE not in path.parents:
                self._put(path.relative_to(DOCS).as_posix(), path.read_bytes())

    def _put(self, path: str, content: bytes) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def _text(self, source: str, target: str, text: str) -> str:
        out, end = [], 0
        for fence in FENCE.finditer(text):
            out += [self._prose(source, target, text[end : fence.start()])]
            out += [self._picture(target, text, fence[3]) if fence[2] == "mermaid" else fence[0]]
            end = fence.end()
        out += [self._prose(source, target, text[end:])]
        return "".join(out) + "".join(self._contents(source, text))

    def _prose(self, source: str, target: str, text: str) -> str:
        text = COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
        return LINK.sub(lambda found: self._link(source, target, found), text)

    def _link(self, source: str, target: str, found: re.Match[str]) -> str:
        path, _, anchor = found[2].partition("#")
        if re.match(r"[a-z]+:", found[2]) or not path:
            return found[0]
        there = (ROOT / source).parent / path
        name = there.resolve().relative_to(ROOT).as_posix()
        if there.is_dir():
            name = f"{name}/README.md"
        if name in self.pages:
            link = relative(self.pages[name], target)
            return f"[{found[1]}]({link}{'#' * bool(anchor)}{anchor})"
        if there.suffix in {".png", ".svg", ".webp", ".jpg"}:
            return found[0]
        if there.is_file() and name.startswith(DOWNLOADS):
            self._put(f"files/{name}", there.read_bytes())
            return f"[{found[1]}]({relative(f'files/{name}', target)})"
        if there.exists() or name.endswith("/README.md"):
            return found[1]
        return found[0]  # leads nowhere: Sphinx says so

    def _picture(self, target: str, page: str, code: str) -> str:
        name = f"diagrams/{PurePosixPath(target).stem}.svg"
        self._put(name, mmdr.render(code).svg().encode())
        title = next(line for line in page.splitlines() if line.startswith("# "))
        options = f":alt: Diagram: {title[2:]}\n:class: diagram"
        return f"```{{image}} {relative(name, target)}\n{options}\n```"

    def _contents(self, source: str, text: str) -> Iterator[str]:
        """Yield the navigation: what the index lists, under its headings."""
        if source != "docs/README.md":
            if source.startswith("docs/") and source.endswith("/README.md"):
                yield toctree("", ["*"], glob=True)
            return
        sections: dict[str, list[str]] = {}
        heads = ["", "", ""]
        for line in text.splitlines():
            if head := HEADING.match(line):
                level = len(head[1]) - 1
                heads[level:] = [head[2]] + [""] * (2 - level)
            elif line.startswith("- "):
                links = [link for _, link in LINK.findall(line)]
                caption = heads[2] or heads[1]
                sections.setdefault(caption, []).extend(self._listed(links, caption))
        for caption, entries in sections.items():
            yield toctree(caption, entries)

    def _listed(self, links: list[str], caption: str) -> Iterator[str]:
        for link in links:
            if CHINESE in link and caption != "中文":
                continue  # has its place further down, among its own
            name = (DOCS / link).resolve().relative_to(ROOT).as_posix()
            if "#" not in link and name in self.pages:
                yield self.pages[name].removesuffix(".md")


def toctree(caption: str, entries: list[str], *, glob: bool = False) -> str:
    """Return a hidden table of contents, which the theme shows at the side."""
    options = [
        ":hidden:",
        *([":glob:"] if glob else []),
        *([f":caption: {caption}"] if caption else []),
    ]
    return "\n\n```{toctree}\n" + "\n".join([*options, "", *entries]) + "\n```\n"


def finish(folder: Path) -> None:
    """Put into files what a strict policy forbids in a page; leave out what no reader needs."""
    styles: set[str] = set()
    for page in folder.rglob("*.html"):
        text = page.read_text("utf-8")
        up = "../" * (len(page.relative_to(folder).parts) - 1) + "_static/theme"
        styles.update(THEME_STYLE.findall(text))
        text = THEME_SCRIPT.sub(f'<script src="{up}.js"></script>', text)
        text = THEME_STYLE.sub(f'<link rel="stylesheet" href="{up}.css">', text)
        for written, meant in (PRESENTATION | ACCESS).items():
            text = text.replace(written, meant)
        if found := FORBIDDEN.search(text):
            raise SystemExit(f"{page}: {found[0]}: the policy of the server forbids it in a page")
        page.write_text(text, "utf-8")
    (style,) = styles
    (folder / "_static/theme.css").write_text(style, "utf-8")
    for name in ("objects.inv", ".buildinfo", ".doctrees"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def build(folder: Path) -> None:
    """Build the site into a folder, which is replaced when that succeeded."""
    with tempfile.TemporaryDirectory() as temporary:
        source, out, kept = (Path(temporary) / name for name in ("source", "out", "kept"))
        source.mkdir()
        Layout(source).write()
        options = ["-b", "html", "-q", "-W", "--keep-going", "-n", "-d", str(kept)]
        if build_main([*options, str(source), str(out)]) != 0:
            raise SystemExit("docs: not built, see above (files are those of docs/)")
        finish(out)
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(out, folder)


def outside() -> list[str]:
    """Return every link to elsewhere, once. Nothing fetches them: look at them now and then."""
    found = set()
    for source in places():
        prose = FENCE.sub("", (ROOT / source).read_text("utf-8"))
        found.update(link for _, link in LINK.findall(prose) if re.match(r"https?:", link))
        found.update(re.findall(r"<(https?://[^>]+)>", prose))
    return sorted(found)


def main() -> None:
    """Build it and say where it is; with --outside, list the links that lead elsewhere."""
    if sys.argv[1:] == ["--outside"]:
        print("\n".join(outside()))
        return
    begun = time.monotonic()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else BUILT
    build(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    took = time.monotonic() - begun
    print(f"{folder}/index.html: {size / 1e6:.1f} MB in {took:.0f} s")


if __name__ == "__main__":
    main()
