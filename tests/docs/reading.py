"""The pages of the documentation, their blocks, headings and links, for the tests about them."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in sorted(
        [
            *ROOT.glob("*.md"),
            *DOCS.rglob("*.md"),
            ROOT / "backend/README.md",
            ROOT / "receivers/node/README.md",
        ]
    )
}

FENCE = re.compile(
    r"^(?:<!-- fragment: (?P<why>[^\n]+) -->\n)?"
    r"(?P<indent> *)(?P<ticks>```+)(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)(?P=ticks) *$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block and the line of its page where it begins."""

    language: str
    text: str
    line: int
    fragment: bool


def every_block(page):
    """Return all blocks of a page, those without a language too."""
    return [
        Block(
            m["language"].strip(),
            textwrap.dedent(m["text"]),
            PAGES[page].count("\n", 0, m.start("text")),
            fragment=bool(m["why"]),
        )
        for m in FENCE.finditer(PAGES[page])
    ]


def blocks(page, language):
    """Return the blocks of a page in one language."""
    return [each for each in every_block(page) if each.language == language]


def under(page, heading, *languages):
    """Return the first block of these languages below a heading."""
    start = PAGES[page].count("\n", 0, PAGES[page].index(f"## {heading}\n"))
    return next(e for e in every_block(page) if e.language in languages and e.line > start)


def slug(heading):
    """Return the anchor GitHub makes of a heading."""
    text = re.sub(r"[`*]|\[|\]\([^)]*\)", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
