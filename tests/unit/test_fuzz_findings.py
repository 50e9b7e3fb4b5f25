"""What fuzzing found once, and the input it starts from: every target still keeps its promise."""

import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import targets
from fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
CORPUS = sorted((ROOT / "fuzz" / "corpus").glob("*/*"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_corpus_holds(path):
    """No input that was ever found, or is started from, breaks its target."""
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_input_to_start_from():
    """No target starts from nothing."""
    assert {path.parent.name for path in CORPUS} == set(TARGETS)


def test_a_broken_promise_is_found(monkeypatch, tmp_path):
    """A guard that forgets a network is noticed by the target of addresses, and the input kept."""
    monkeypatch.setattr(targets, "judge", lambda *_: None)
    with pytest.raises(AssertionError, match="is allowed"):
        targets.address(bytes([10, 0, 0, 1]))
    monkeypatch.setattr(targets, "judge_url", lambda *_: None)
    with pytest.raises(AssertionError, match="is allowed"):
        targets.url(b"https://127.0.0.1/")
    monkeypatch.setattr(targets, "verify", lambda *_, **__: None)
    with pytest.raises(AssertionError, match="changed body"):
        targets.body(b"\x05x")


def test_fuzzing_runs():
    """`make fuzz` finds nothing in a second, and says what it did."""
    done = subprocess.run(
        [sys.executable, "-m", "fuzz", "body", "headers", "--seconds", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed, 0 failed" in done.stdout
    other = [sys.executable, "-m", "fuzz", "nothing"]
    assert subprocess.run(other, cwd=ROOT, capture_output=True, check=False).returncode == 2
