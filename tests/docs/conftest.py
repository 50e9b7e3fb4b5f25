"""Where the documentation's programs run."""

import os

import pytest


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to run in, nobody's settings, and retries that need no waiting."""
    monkeypatch.chdir(tmp_path)
    for name in [each for each in os.environ if each.startswith("HOOKLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOOKLINE_RETRY_SCHEDULE", "0,0,0")
    monkeypatch.setenv("HOOKLINE_DEVELOPMENT", "1")  # the page's receivers are played here
    return tmp_path
