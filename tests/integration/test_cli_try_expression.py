"""`hookline try-expression`: what it takes, what it says, how it exits."""

import json

import pytest
from typer.testing import CliRunner

from hookline.cli import app

EVENT = {"event": "order.created", "data": {"id": "o-1", "amount": 129.5, "name": "张三"}}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a runner of the command in a folder with an event."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "event.json").write_text(json.dumps(EVENT))

    def invoke(*args, stdin=None):
        done = CliRunner().invoke(app, ["try-expression", *args], input=stdin)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return invoke


FILE = ("--data", "event.json")


def test_a_filter(run):
    """True exits 0, false 1; the event comes from a file or from standard input."""
    done = run("--filter", "data.amount > `100`", *FILE)
    assert (done.exit_code, done.stdout) == (
        0,
        "✓ the filter is true: the endpoint gets the event\n",
    )
    done = run("--filter", "data.amount > `900`", stdin=json.dumps(EVENT))
    assert done.exit_code == 1
    assert "the filter is false: the endpoint does not get the event" in done.stdout


def test_a_filter_that_fails(run):
    """It exits 3, and says what becomes of the event."""
    done = run("--filter", "starts_with(data.amount, 'a')", *FILE)
    assert done.exit_code == 3
    assert "! the filter fails: starts_with: argument 1 is number, expected string" in done.stdout
    assert "The endpoint gets the event" in done.stdout


def test_a_transformation(run, tmp_path):
    """The body is shown as it would be sent; an expression may come from a file."""
    (tmp_path / "t.txt").write_text("{\n  text: data.name,\n  n: data.amount\n}\n")
    done = run("--transform-file", "t.txt", *FILE)
    assert done.exit_code == 0
    assert done.stdout == '✓ sent instead, 27 bytes:\n{"text":"张三","n":129.5}\n'
    done = run("--transform", "data.name", *FILE)
    assert done.exit_code == 3
    assert "✗ the transformation fails: the result is string, expected object" in done.stdout


def test_json(run):
    """With --json a program gets the same."""
    done = run("--filter", "data.none", "--transform", "{a: data.id}", *FILE, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout) == {
        "filter": {"matched": False, "problem": None},
        "transform": {"result": {"a": "o-1"}, "bytes": 11, "problem": None},
    }
    done = run("--transform", "data.id", *FILE, "--json")
    assert json.loads(done.stdout)["transform"] == {
        "result": None,
        "bytes": None,
        "problem": "the result is string, expected object",
    }


def test_a_mark_shows_where(run, tmp_path):
    """What cannot be used exits 2, with the place marked below its line."""
    done = run("--filter", "data.amount > 100", *FILE)
    assert done.exit_code == 2
    assert done.stdout == (
        "✗ filter: position 15: unexpected 100; a number is written in backticks, `100`\n"
        "  data.amount > 100\n"
        "                ^\n"
    )
    (tmp_path / "t.txt").write_text("{\n  text: data.name,\n  vip: true\n}\n")
    done = run("--transform-file", "t.txt", *FILE)
    assert done.exit_code == 2
    assert done.stdout.splitlines()[1:] == ["    vip: true", "         ^"]
    done = run("--filter", "data.amount > 100", *FILE, "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["error"]["position"] == 15


def test_data_alone(run):
    """With --event the file has the data only, and the body is made as `trigger` makes it."""
    done = run("--filter", "event == 'a.b' && data.n == `1`", "--event", "a.b", stdin='{"n": 1}')
    assert done.exit_code == 0
    for event, data in (("a b", "{}"), ("a.b", "[1]"), ("a.b", "{"), ("a.b", '{"n": NaN}')):
        assert run("--filter", "event", "--event", event, stdin=data).exit_code == 2


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ((), "give --filter, --transform"),
        (("--filter", "a", "--filter-file", "b"), "not both"),
        (("--filter", "a", "--data", "none.json"), "No such file"),
        (("--filter-file", "none.txt", *FILE), "No such file"),
        (("--filter-file", "-"), "standard input is the event"),
        (("--filter", ""), "filter: is empty"),
        (("--filter", "a", "--data", "event.json", "--event", ""), "event: ''"),
    ],
)
def test_what_cannot_be_used(run, args, why):
    """Options that make no trial exit 2, with the reason."""
    done = run(*args, stdin="{}")
    assert done.exit_code == 2
    assert why in " ".join(done.output.replace("│", " ").split())


def test_nothing_plays_tricks_on_a_terminal(run):
    """Control characters of the event are not printed."""
    body = json.dumps({"a": "\x1b[31m\u202e"}, ensure_ascii=False).replace("\x1b", "\\u001b")
    done = run("--transform", "{a: a}", stdin=body)
    assert done.exit_code == 0
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
