"""`hookline bench`, and completion: real processes, real figures."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import closing

import pytest
from typer.testing import CliRunner

from hookline import Webhooks
from hookline.cli import app
from hookline.cli._bench.run import machine, percentile


def bench(*arguments):
    """Run it; return the exit code, and what it printed."""
    ended = CliRunner().invoke(app, ["bench", "--messages=60", "--rate=200", *arguments])
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended.exit_code, ended.stdout, ended.stderr


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """In a folder of the test's own."""
    monkeypatch.chdir(tmp_path)


def test_it_measures_with_a_temporary_database(tmp_path):
    """And leaves nothing behind."""
    code, out, err = bench("--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["messages"] == 60
    assert found["delivered_per_second"] > 1
    assert found["published_per_second"] >= found["delivered_per_second"]
    assert 0 < found["paced_p50_ms"] <= found["paced_p99_ms"]
    assert found["machine"]["cores"] == os.cpu_count()
    assert list(tmp_path.iterdir()) == []


def test_it_measures_with_a_database(database_url):
    """In an application of its own, which is gone afterwards."""
    code, out, err = bench("--database", database_url)
    assert code == 0, err
    assert "per second" in out
    with closing(Webhooks(database=database_url, deliver=False)) as webhooks:
        page = asyncio.run(webhooks.applications.page())
        assert [each.uid for each in page.items] == ["default"]
        assert asyncio.run(webhooks.messages()).items == []


def test_it_does_not_measure_where_others_deliver(postgres_url):
    """Their workers may be on another machine, where the receiver is not."""
    with closing(Webhooks(database=postgres_url)) as webhooks:
        asyncio.run(webhooks.start())
        code, _, err = bench("--database", postgres_url)
    assert (code, "other processes deliver" in err) == (1, True)


def test_a_database_that_has_nothing_is_not_made(tmp_path):
    """A mistyped name must not leave a file behind."""
    code, _, err = bench("--database", "sqlite:///mistyped.db")
    assert (code, "hookline migrate" in err) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_a_busy_machine_is_owned_up_to():
    """Its figures are too low."""
    cores = os.cpu_count() or 1
    assert machine(cores * 0.6)["busy"]
    assert not machine(cores * 0.4)["busy"]


def test_percentiles_are_those_of_the_nearest_rank():
    """Of a hundred, the 99th."""
    assert percentile(range(1000, 101_000, 1000), 99) == 99
    assert percentile([7000], 50) == 7


def test_the_shell_completes(monkeypatch):
    """Commands, their groups' commands, and options."""

    def completed(words):
        done = subprocess.run(
            [sys.executable, "-m", "hookline"],
            env={
                **os.environ,
                "_HOOKLINE_COMPLETE": "complete_bash",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split(" ")) - 1),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.split()

    assert {"send", "serve"} <= set(completed("hookline se"))
    assert completed("hookline endpoints rot") == ["rotate-secret"]
    assert "--dry-run" in completed("hookline replay start --dr")
