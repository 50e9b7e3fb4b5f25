"""`deploy/` and the page about the server name what there is: commands, settings, paths."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
from typer.main import get_command

from hookline import Settings
from hookline._web.api.app import build
from hookline.cli import app

ROOT = Path(__file__).parents[2]
FILES = [
    *sorted(f for f in (ROOT / "deploy").rglob("*") if f.is_file()),
    ROOT / "docs/how-to/serve.md",
]
COMMAND = re.compile(r"(?:^|[\s/(`])hookline ((?:[a-z][a-z-]*)(?: [^`)\n]*)?)", re.MULTILINE)
LISTED = re.compile(r'\["hookline", ([^\]]+)\]')
OF_TESTS = {"HOOKLINE_CONFIG"}


def commands(text):
    """Return the arguments of every `hookline …` in a text."""
    found = [shlex.split(match, comments=True) for match in COMMAND.findall(text)]
    return found + [re.findall(r'"([^"]+)"', match) for match in LISTED.findall(text)]


def command(words):
    """Return the command that words begin with, None when it is prose."""
    found = get_command(app)
    for word in words:
        inner = getattr(found, "commands", {})
        if word not in inner:
            break
        found = inner[word]
    return None if found.name == "hookline" else found


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_commands_and_settings_exist(file):
    """Every option of a command, and every variable."""
    text = file.read_text("utf-8")
    known = {f"HOOKLINE_{f.name.upper()}" for f in fields(Settings)}
    assert set(re.findall(r"HOOKLINE_[A-Z_]+", text)) - known - OF_TESTS == set()
    for words in commands(text):
        if (found := command(words)) is None:
            continue
        options = {option for p in found.params for option in (*p.opts, *p.secondary_opts)}
        given = {w.partition("=")[0] for w in words if w.startswith("--")}
        assert given <= options, (words, given - options)


def test_something_is_checked():
    """The commands are found at all."""
    found = [words for file in FILES for words in commands(file.read_text("utf-8"))]
    names = {command(words).name for words in found if command(words)}
    assert {"serve", "worker", "migrate", "create", "generate"} <= names


def test_paths_of_the_health_checks_exist(make_webhooks):
    """What probes ask for is there."""
    paths = build(make_webhooks()).openapi()["paths"]
    asked = {p for f in FILES for p in re.findall(r"/api/v1/health[\w/]*", f.read_text("utf-8"))}
    assert asked
    assert asked <= set(paths)
