"""What all tests share: coroutines as tests, a migrated database per test, signals to wait for."""

import asyncio
import inspect
import logging
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings
from tools.databases import PostgresDatabases

from hookline import Webhooks
from hookline._domain.audit import CODE, acting
from hookline.testing import FakeClock, Receiver

os.environ["HOOKLINE_DEVELOPMENT"] = "1"  # receivers are on this machine; child processes too

DEADLINE = 20.0
"""Seconds after which a test that waits for something has failed."""

for _name, _examples in (("quick", 60), ("thorough", 1000)):
    settings.register_profile(
        _name,
        max_examples=_examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test that is a coroutine on a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    values = {name: pyfuncitem.funcargs[name] for name in names}

    async def run():
        async with asyncio.timeout(DEADLINE):
            await pyfuncitem.obj(**values)

    asyncio.run(run())
    return True


@pytest.fixture(autouse=True)
def nobody_at_work():
    """Commands run inside the tests' process say for good who is at work: forget it."""
    acting.set(CODE)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory):
    """An SQLite file with the schema and nothing else: copying it is cheaper than migrating."""
    path = tmp_path_factory.mktemp("migrated") / "hookline.db"
    webhooks = Webhooks(database=f"sqlite:///{path}", deliver=False)
    asyncio.run(webhooks.start())
    webhooks.close()
    return path


@pytest.fixture
def database_file(tmp_path, migrated_file):
    """A migrated SQLite file for this test alone."""
    return shutil.copy(migrated_file, tmp_path / "hookline.db")


@pytest.fixture
def make_webhooks(database_file, monkeypatch, tmp_path):
    """Return a maker of `Webhooks` on this test's database; all are closed at its end."""
    monkeypatch.chdir(tmp_path)  # no webhooks.json or hookline.toml of somebody else
    with ExitStack() as stack:

        def make(**options):
            webhooks = Webhooks(**{"database": f"sqlite:///{database_file}", **options})
            stack.callback(webhooks.close)
            return webhooks

        yield make


@pytest.fixture
def clock():
    """A clock that stands still until the test moves it."""
    return FakeClock()


@pytest.fixture
def receiver():
    """A receiver on loopback that knows the guide's secret."""
    with Receiver(secret="your-secret-key") as receiver:
        yield receiver


class Told(logging.Handler):
    """What Hookline logs, as a signal: it logs an attempt once the attempt is committed."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.changed = threading.Condition()
        self.records = []

    def emit(self, record):
        with self.changed:
            self.records.append(record)
            self.changed.notify_all()

    @property
    def lines(self):
        """Return `LEVEL: message` of each record, as the guide shows them."""
        with self.changed:
            return [f"{record.levelname}: {record.getMessage()}" for record in self.records]

    def containing(self, text):
        """Return the lines that contain the text."""
        return [line for line in self.lines if text in line]

    async def wait(self, text, n=1):
        """Wait until `n` lines contain the text, and return them."""

        def enough():
            with self.changed:
                ready = self.changed.wait_for(lambda: len(self.containing(text)) >= n, DEADLINE / 2)
                assert ready, f"waited for {n} lines with {text!r}, there are: {self.lines}"
                return self.containing(text)

        return await asyncio.to_thread(enough)


@pytest.fixture
def told():
    """Everything the `hookline` logger says during the test."""
    handler, log = Told(), logging.getLogger("hookline")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


@pytest.fixture
def eventually():
    """Return a waiter for what has no signal: asks until true, for another process mostly."""

    async def wait(condition: Callable[[], bool], what: str):
        for _ in range(int(DEADLINE / 2 / 0.01)):
            if condition():
                return
            await asyncio.sleep(0.01)  # no signal crosses this border
        raise AssertionError(f"waited for {what}")

    return wait


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL for this session: ours from PyPI, or that of HOOKLINE_TEST_DATABASE_URL."""
    databases = PostgresDatabases(os.environ.get("HOOKLINE_TEST_DATABASE_URL"))
    yield databases
    databases.close()


@pytest.fixture
def postgres_url(postgres):
    """The URL of a migrated PostgreSQL database for this test alone."""
    with postgres.fresh() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, database_file):
    """The URL of a migrated database for this test alone, on each database in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{database_file}"
        return
    with request.getfixturevalue("postgres").fresh() as url:
        yield url


@pytest.fixture
def on_each_database(database_url, make_webhooks):
    """Return a maker of `Webhooks`, as `make_webhooks`, on each database in turn."""

    def make(**options):
        return make_webhooks(**{"database": database_url, **options})

    return make
