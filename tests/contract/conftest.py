"""One bench for every database: the port's verbs with the bookkeeping tests need around them."""

import shutil
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from itertools import count

import pytest

from hookline import Settings
from hookline._domain import ids
from hookline._domain.delivery import Decision, Failure, Outcome, Timings
from hookline._domain.endpoint import Endpoint
from hookline._engine.keys import new_key
from hookline._ports import NewMessage, Settlement
from hookline._storage.database import open_database, parse_url

LEASE = 30_000
NOW = 1_800_000_000_000
"""The time on the bench, Unix milliseconds; it stands still until a test moves it."""

OK = Outcome(200, None, "", (("x-a", "b"),), b"thanks", Timings(1, 2, 3, 4, 5), "127.0.0.1")
FAILED = Outcome(503, Failure.STATUS)


class Bench:
    """An open database: one store and one queue, and more queues for other workers."""

    def __init__(self, make_queue, store, app):
        self._make_queue = make_queue
        self.store = store
        self.app = app
        self.now = NOW
        self._queues = []

    async def worker(self):
        """Return the queue of one more worker."""
        queue = self._make_queue()
        await queue.start(lambda: None)
        self._queues.append(queue)
        return queue

    async def close(self):
        """Close everything."""
        for queue in self._queues:
            await queue.stop()
        await self.store.stop()

    # endpoints

    async def declare(self, *names, events=("*",), **options):
        """Declare endpoints `https://<name>.example/` and return their keys in that order."""
        declared = [
            Endpoint(f"https://{name}.example/", tuple(events), **options) for name in names
        ]
        await self.store.endpoints.declare(self.app, declared, self.now)
        keys = await self.keys()
        return [keys[name] for name in names]

    async def keys(self):
        """Return the key of each endpoint by its name."""
        return {name(e.url): ids.decode(ids.ENDPOINT, e.id) for e in await self.endpoints()}

    async def endpoints(self):
        """Return the endpoints."""
        return await self.store.endpoints.all(self.app)

    # messages

    def message(self, event="a.b", **options):
        """Return a new message."""
        at = options.pop("at", self.now)
        options = {"app": self.app, "due_at": at, "created_at": at, **options}
        options = {"body": b'{"n":1}', **options}
        return NewMessage(new_key(at), event_type=event, **options)

    async def publish(self, count=1, **options):
        """Publish messages and return their keys."""
        messages = [self.message(**options) for _ in range(count)]
        results = await self.queue.publish(messages)
        assert results == [m.key for m in messages]
        return results

    async def route(self, room=1000, *, queue=None, room_of=None):
        """Route once."""
        queue = queue or self.queue
        return await queue.route(room, self.now, self.now + LEASE, room_of or unlimited)

    async def claim(self, room=1000, *, queue=None, room_of=None):
        """Claim once."""
        queue = queue or self.queue
        return await queue.claim(room, self.now, self.now + LEASE, room_of or unlimited)

    async def route_all(self, room=0):
        """Route until nothing is due; return all that was leased and counted."""
        leased, counts = [], []
        while True:
            routed = await self.route(max(0, room - len(leased)))
            leased += routed.leased
            counts += routed.counts
            if routed.next_due is None or routed.next_due > self.now:
                return leased, counts

    async def claim_all(self, **options):
        """Claim until nothing is due; return all that was leased."""
        leased = []
        while True:
            claimed = await self.claim(**options)
            leased += claimed.leased
            if claimed.next_due is None or claimed.next_due > self.now:
                return leased

    def settlement(self, leased, outcome=OK, decision=None):
        """Return the end of an attempt that began now."""
        if decision is None:
            decision = (
                Decision.succeeded()
                if outcome.ok
                else Decision.retry(self.now + 5000, f"HTTP {outcome.status}")
            )
        return Settlement(leased, new_key(self.now), self.now, outcome, decision)

    async def settle(self, leased, outcome=OK, decision=None, *, queue=None):
        """Settle deliveries alike; return which were kept."""
        settlements = [self.settlement(each, outcome, decision) for each in leased]
        settled = await (queue or self.queue).settle(settlements, self.now)
        return settled.kept

    # where things stand

    async def states(self, message):
        """Return `{endpoint's name: (state, attempts)}` of a message, None when not routed."""
        found = await self.store.deliveries(message, self.now)
        if found is None:
            return None
        return {name(s.url): (s.state.value, s.attempts) for s in found}

    async def status(self, message):
        """Return the only delivery of a message."""
        [status] = await self.store.deliveries(message, self.now)
        return status


def unlimited(_target):
    """Allow any number for each endpoint."""
    return 1 << 30


def name(url):
    """Return the name an endpoint was declared by."""
    return url.removeprefix("https://").partition(".")[0]


class Contract:
    """A database to test: makes queues and stores on it."""

    def __init__(self, url):
        self.url = url
        self.settings = Settings(database=url)

    def change(self, **settings):
        """Make later stores and queues with other settings."""
        self.settings = replace(self.settings, **settings)

    def make_queue(self):
        """Return a queue of its own; nothing is opened yet."""
        return open_database(parse_url(self.url), self.settings).queue

    def make_store(self):
        """Return a store of its own; nothing is opened yet."""
        return open_database(parse_url(self.url), self.settings).store

    @asynccontextmanager
    async def bench(self):
        """Open a bench with one worker."""
        store = self.make_store()
        bench = Bench(self.make_queue, store, await store.start(NOW))
        try:
            bench.queue = await bench.worker()
            yield bench
        finally:
            await bench.close()


@pytest.fixture
def database(database_url):
    """A migrated database, each kind in turn."""
    return Contract(database_url)


@pytest.fixture
def bench(database):
    """Return an open bench as a context manager: `async with bench as b`."""
    return database.bench()


@pytest.fixture
def fresh_database(request, tmp_path, migrated_file):
    """Return a context manager giving a fresh migrated database of a kind, as often as asked."""
    numbers = count()

    @contextmanager
    def fresh(kind):
        if kind == "sqlite":
            path = shutil.copy(migrated_file, tmp_path / f"{next(numbers)}.db")
            yield Contract(f"sqlite:///{path}")
        else:
            with request.getfixturevalue("postgres").fresh() as url:
                yield Contract(url)

    return fresh
