"""Every fenced block of the documentation is run, parsed or checked, by its kind.

Python blocks run in `test_docs.py`. What a page shows beside, programs in other languages and what
they print, is tried by the page's own test, where it has one; here every block is at least what it
says it is. A block of a kind that nobody checks fails.
"""

import configparser
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from dataclasses import fields

import mmdr
import pytest
import yaml
from tests.docs.reading import PAGES, every_block
from typer.main import get_command

from hookline import Settings
from hookline.cli import app

SETTINGS = {f.name for f in fields(Settings)}
OF_OTHERS = {
    "HOOKLINE_CONFIG",
    "HOOKLINE_SECRET",
    "HOOKLINE_SERVER",
    "HOOKLINE_API_KEY",
    "HOOKLINE_APP",
    "HOOKLINE_TEST_DATABASE_URL",
}
"""Variables that are no settings."""


def python(text):
    """Compiled and run in `test_docs.py`."""


def output(text):
    """What something prints: nothing to run. It is not empty, and hides no command."""
    assert text.strip()


def shell(text):
    """Bash can parse it; every command of ours in it exists, with its options and variables."""
    done = subprocess.run(
        ["bash", "-n"], input=text.replace("…", "_"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for words in commands(text):
        known_command(words)
    assert {
        name
        for name in re.findall(r"\bHOOKLINE_[A-Z_]+", text)
        if name not in OF_OTHERS and name.removeprefix("HOOKLINE_").lower() not in SETTINGS
    } == set()


def console(text):
    """The lines after a prompt are commands."""
    typed = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    assert typed, "no line begins with '$ '"
    shell("\n".join(typed))


def http(text):
    """A request or an answer: its first line, headers, and a body of JSON where there is one."""
    head, _, body = text.rstrip("\n").partition("\n\n")
    first, *headers = head.splitlines()
    assert re.fullmatch(r"[A-Z]+ \S+ HTTP/1\.1|HTTP/1\.1 \d{3} .+", first)
    assert all(re.fullmatch(r"[\w-]+: .*", each) for each in headers)
    if body:
        json.loads(body)


def javascript(text):
    """Node can parse it as a module."""
    if not shutil.which("node"):
        pytest.skip("needs Node")
    done = subprocess.run(
        ["node", "--input-type=module", "--check"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def go(text):
    """It is a whole file; that it compiles and runs is its page's test."""
    assert text.startswith("package main\n")


def toml(text):
    """`hookline.toml`: settings, by their names."""
    assert set(tomllib.loads(text)) <= SETTINGS


def ini(text):
    """A unit of systemd: sections of names and values, a name perhaps more than once."""
    configparser.ConfigParser(strict=False, interpolation=None).read_string(text)


KINDS = {
    "python": python,
    "text": output,
    "sh": shell,
    "bash": shell,
    "console": console,
    "http": http,
    "js": javascript,
    "javascript": javascript,
    "go": go,
    "json": json.loads,
    "toml": toml,
    "yaml": yaml.safe_load,
    "ini": ini,
    "mermaid": lambda text: mmdr.render(text).svg(),
}


def commands(text):
    """Return the words of every `hookline …` in a script."""
    text = re.sub(r"\\\n", " ", text)
    for line in text.splitlines():
        for part in re.split(r"\$\(|\||;|&&", line):
            found = re.match(r"\s*(?:[A-Z_]+=\S+ )*hookline (\S.*)", part)
            if found:
                yield shlex.split(found[1].rstrip(")"), comments=True)


def known_command(words):
    """Fail unless there is such a command with such options."""
    found = get_command(app)
    for word in words:
        inner = getattr(found, "commands", {})
        if not inner:
            break
        if word.startswith("-"):
            break
        assert word in inner, f"hookline {' '.join(words)}: there is no {word!r}"
        found = inner[word]
    known = {option for p in found.params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
    given = {w.partition("=")[0] for w in words if w.startswith("--")} - {"--version"}
    assert given <= known, f"hookline {' '.join(words)}: no {given - known}"


BLOCKS = [(page, block) for page in PAGES for block in every_block(page)]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_kind_that_is_checked(page):
    """And is what it says it is."""
    for block in every_block(page):
        place = f"{page}:{block.line}"
        assert block.language in KINDS, f"{place}: a block of a kind nobody checks"
        if block.fragment:
            continue
        try:
            KINDS[block.language](block.text)
        except Exception as error:
            raise AssertionError(f"{place}: {error}") from error


@pytest.mark.parametrize("page", PAGES)
def test_no_fence_is_left_open(page):
    """Every line of a fence belongs to a block that was found."""
    fences = re.findall(r"^ *```+.*$", PAGES[page], re.MULTILINE)
    assert len(fences) == 2 * len(every_block(page))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("sh", "hookline nothing"),
        ("sh", "hookline serve --nothing"),
        ("sh", "HOOKLINE_NOTHING=1 hookline serve"),
        ("sh", "if true; then"),
        ("console", "hookline serve"),
        ("http", "POST /\nHost"),
        ("js", "const = 1"),
        ("json", "{"),
        ("toml", "nothing = 1"),
        ("yaml", "a: b: c"),
        ("mermaid", "nothing"),
    ],
)
def test_the_checks_can_fail(kind, text):
    """Each of them, on what is wrong."""
    with pytest.raises(Exception):  # noqa: B017 - each parser has its own
        KINDS[kind](text)
