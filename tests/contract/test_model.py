"""Queue and store against a small model in memory, driven by Hypothesis.

The model knows every delivery as one of: waiting (due at a time), leased (by a number, until a
time), held, or done. After each step what the database says about the messages that were touched
must be what the model says; at the end everything is delivered and counted.
"""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hookline._domain.delivery import Decision, Failure, Outcome
from hookline.errors import IdempotencyConflict

LEASE = 30_000
NAMES = ["ann", "bob", "cid", "dan"]
SUBSCRIPTIONS = {"all": ("*",), "a": ("a.*",), "c": ("b.c",)}
FAILED = Outcome(503, Failure.STATUS)
NEVER = 1 << 62
MOST_FAILURES = 8
"""In a row at one endpoint: two fewer than open its circuit, which has tests of its own."""


@dataclass
class Delivery:
    """What the model knows of one delivery."""

    due: int
    state: str = "waiting"
    lease: int | None = None
    attempts: int = 0
    logged: str = ""
    """The state its last attempt left it in."""

    def seen(self, now):
        """Return the state people see."""
        if self.state == "leased":
            return "sending" if self.due > now else "pending"
        return {"waiting": "pending"}.get(self.state, self.state)


@dataclass
class Endpoint:
    """What the model knows of one endpoint."""

    key: bytes
    events: tuple = ()
    secret: str | None = None
    disabled: bool = False
    failures: int = 0

    def wants(self, event):
        """Return whether it wants the event."""
        return any(s in ("*", event) or s == f"{event[:1]}.*" for s in self.events)


@dataclass
class Message:
    """What the model knows of one message."""

    event: str
    due: int
    routed: bool = False
    to: dict = field(default_factory=dict)


class Machine(RuleBasedStateMachine):
    """Two workers, up to four endpoints, and everything that may happen to their deliveries."""

    new_database = None

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.fresh = self.new_database()
        self.opened = self.fresh.__enter__().bench()
        self.b = self.run(self.opened.__aenter__())
        self.workers = [self.b.queue, self.run(self.b.worker())]
        self.endpoints = {}
        self.messages = {}
        self.keys = {}
        self.held = [[], []]
        self.touched = set()

    def run(self, coroutine):
        """Run a coroutine to its end, or fail instead of hanging."""
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 20))

    @property
    def now(self):
        """The time."""
        return self.b.now

    def name(self, key):
        """Return an endpoint's name."""
        return next(name for name, e in self.endpoints.items() if e.key == key)

    # rules

    @initialize(names=st.sets(st.sampled_from(NAMES), min_size=1))
    def begin(self, names):
        """Begin with some endpoints."""
        for name in sorted(names):
            self.declare(name, "all", None)

    @rule(
        name=st.sampled_from(NAMES),
        events=st.sampled_from(list(SUBSCRIPTIONS)),
        secret=st.sampled_from([None, "one", "two"]),
    )
    def declare(self, name, events, secret):
        """Declare an endpoint, new or changed."""
        [key] = [
            k
            for k in self.run(self.b.declare(name, events=SUBSCRIPTIONS[events], secret=secret))
            if name not in self.endpoints or k == self.endpoints[name].key
        ][:1] or [None]
        if name not in self.endpoints:
            self.endpoints[name] = Endpoint(key)
        self.endpoints[name].events = SUBSCRIPTIONS[events]
        self.endpoints[name].secret = secret

    @rule(
        event=st.sampled_from(["a.b", "b.c"]),
        delay=st.sampled_from([0, 0, 0, 5000]),
        key=st.sampled_from([None, None, "k1", "k2"]),
        count=st.integers(1, 3),
    )
    def publish(self, event, delay, key, count):
        """Publish messages, some with a key, some due later."""
        messages = [
            self.b.message(
                event, due_at=self.now + delay, idempotency_key=key, digest=event.encode()
            )
            for _ in range(count)
        ]
        results = self.run(self.b.queue.publish(messages))
        for message, result in zip(messages, results, strict=True):
            first, digest = self.keys.get(key, (message.key, event))
            if digest != event:
                assert isinstance(result, IdempotencyConflict)
                continue
            assert result == first
            if key is not None:
                self.keys[key] = first, digest
            if first == message.key:
                self.messages[first] = Message(event, self.now + delay)

    @rule(worker=st.integers(0, 1), room=st.integers(0, 6))
    def route(self, worker, room):
        """Route: every due message, in order, to the endpoints that want it."""
        routed = self.run(self.b.route(room, queue=self.workers[worker]))
        due = sorted(
            (m.due, key) for key, m in self.messages.items() if not m.routed and m.due <= self.now
        )
        leased, counts = [], []
        numbers = {d.lease for d in routed.leased}
        assert len(numbers) <= 1
        for _, key in due:
            message = self.messages[key]
            message.routed = True
            wanted = [e for e in self.by_age() if e.wants(message.event)]
            counts.append((key, message.event, sum(not e.disabled for e in wanted)))
            for endpoint in wanted:
                delivery = message.to[endpoint.key] = Delivery(self.now)
                if endpoint.disabled:
                    delivery.state = "held"
                elif len(leased) < room:
                    leased.append((key, endpoint.key))
                    self.lease(delivery, *numbers)
            self.touched.add(key)
        assert routed.counts == counts
        assert [(d.message, d.target.key) for d in routed.leased] == leased
        later = [m.due for m in self.messages.values() if not m.routed]
        assert routed.next_due == min(later, default=None)
        self.take(worker, routed.leased)

    def by_age(self):
        """Return the endpoints in the order of their keys."""
        return sorted(self.endpoints.values(), key=lambda e: e.key)

    def lease(self, delivery, number):
        """Lease a delivery in the model."""
        delivery.state, delivery.lease, delivery.due = "leased", number, self.now + LEASE

    def take(self, worker, leased):
        """Check what sending would use, and let the worker hold it."""
        for each in leased:
            endpoint = self.endpoints[self.name(each.target.key)]
            secrets = [s.text for s in each.target.secrets]
            assert secrets == ([endpoint.secret] if endpoint.secret else [])
            delivery = self.messages[each.message].to[each.target.key]
            assert each.attempts == delivery.attempts
            assert each.event_type == self.messages[each.message].event
        self.held[worker] += leased

    def due(self):
        """Return what is due: message, endpoint and delivery of each."""
        return [
            (key, self.endpoints[self.name(e)], d)
            for key, m in self.messages.items()
            for e, d in m.to.items()
            if d.state in ("waiting", "leased") and d.due <= self.now
        ]

    @rule(worker=st.integers(0, 1), room=st.integers(1, 8))
    def claim(self, worker, room):
        """Claim: only what is due, and all of it when the claim says that nothing is left."""
        claimed = self.run(self.b.claim(room, queue=self.workers[worker]))
        due = self.due()
        active = {(key, e.key): d for key, e, d in due if not e.disabled}
        got = [(d.message, d.target.key) for d in claimed.leased]
        assert len(got) == len(set(got)) <= room
        assert set(got) <= set(active)
        finished = claimed.next_due is None or claimed.next_due > self.now
        if finished:
            assert set(got) == set(active)
        for each in claimed.leased:
            self.lease(active[each.message, each.target.key], each.lease)
        for key, endpoint, delivery in due:
            self.touched.add(key)
            if endpoint.disabled:
                seen = self.run(self.b.states(key))[self.name(endpoint.key)][0]
                assert seen == "held" or (seen == "pending" and not finished)
                if seen == "held":
                    delivery.state, delivery.lease = "held", None
        if finished:
            later = {"active": [], "disabled": []}  # the latter only fall due to be held
            for key, message in self.messages.items():
                for e, d in message.to.items():
                    if d.state in ("waiting", "leased") and (key, e) not in got:
                        kind = "disabled" if self.endpoints[self.name(e)].disabled else "active"
                        later[kind].append(d.due)
            earliest = min(later["active"] + later["disabled"], default=NEVER)
            latest = min(later["active"], default=NEVER)
            assert earliest <= (claimed.next_due or NEVER) <= latest
        self.take(worker, claimed.leased)

    @precondition(lambda self: any(self.held))
    @rule(data=st.data(), how=st.sampled_from(["ok", "ok", "retry", "later", "exhausted", "gone"]))
    def settle(self, data, how):
        """Settle some of what a worker holds, its stale leases among them."""
        worker, batch = self.pick(data)
        settlements, expected = [], []
        for leased in batch:
            delivery = self.messages[leased.message].to[leased.target.key]
            endpoint = self.endpoints[self.name(leased.target.key)]
            ours = delivery.state == "leased" and delivery.lease == leased.lease
            verdict = how if endpoint.failures < MOST_FAILURES else "ok"
            settlements.append(self.b.settlement(leased, *self.end(verdict)))
            expected.append(ours)
            self.touched.add(leased.message)
            if ours:
                delivery.attempts += 1
                delivery.lease = None
                endpoint.failures = 0 if verdict == "ok" else endpoint.failures + 1
                self.move(delivery, endpoint, verdict)
        settled = self.run(self.workers[worker].settle(settlements, self.now))
        assert settled.kept == expected

    def end(self, verdict):
        """Return outcome and decision of a verdict."""
        return {
            "ok": (Outcome(200), Decision.succeeded()),
            "retry": (FAILED, Decision.retry(self.now, "HTTP 503")),
            "later": (FAILED, Decision.retry(self.now + 3000, "HTTP 503")),
            "exhausted": (FAILED, Decision.exhausted("HTTP 503")),
            "gone": (FAILED, Decision.held("HTTP 410", disable_endpoint="410 Gone")),
        }[verdict]

    def move(self, delivery, endpoint, verdict):
        """Move a delivery of the model on."""
        states = {"ok": "succeeded", "exhausted": "exhausted", "gone": "held"}
        delivery.logged = delivery.state = states.get(verdict, "waiting")
        delivery.due = self.now + (3000 if verdict == "later" else 0)
        if verdict == "gone":
            endpoint.disabled = True

    def pick(self, data):
        """Return a worker and some of what it holds; it holds them no more."""
        worker = data.draw(st.sampled_from([n for n in (0, 1) if self.held[n]]))
        size = data.draw(st.integers(1, len(self.held[worker])))
        batch, self.held[worker] = self.held[worker][:size], self.held[worker][size:]
        return worker, batch

    @precondition(lambda self: any(self.held))
    @rule(data=st.data())
    def release(self, data):
        """Give some deliveries back."""
        worker, batch = self.pick(data)
        self.run(self.workers[worker].release(batch, self.now))
        for leased in batch:
            delivery = self.messages[leased.message].to[leased.target.key]
            self.touched.add(leased.message)
            if delivery.state == "leased" and delivery.lease == leased.lease:
                delivery.state, delivery.lease, delivery.due = "waiting", None, self.now

    @precondition(lambda self: any(self.held))
    @rule(data=st.data())
    def renew(self, data):
        """Renew some leases, lost ones among them."""
        worker, batch = self.pick(data)
        self.held[worker] += batch
        self.run(self.workers[worker].renew(batch, self.now + LEASE))
        for leased in batch:
            delivery = self.messages[leased.message].to[leased.target.key]
            self.touched.add(leased.message)
            if delivery.state == "leased" and delivery.lease == leased.lease:
                delivery.due = self.now + LEASE

    @rule(by=st.sampled_from([1, 999, 3000, 10_000, LEASE]))
    def advance(self, by):
        """Let time pass."""
        self.b.now += by
        self.touched |= {key for key, m in self.messages.items() if m.routed}

    @rule(data=st.data())
    def disable(self, data):
        """Disable an endpoint."""
        endpoint = self.endpoints[data.draw(st.sampled_from(sorted(self.endpoints)))]
        self.run(self.b.store.endpoints.disable(endpoint.key, "why not", self.now))
        endpoint.disabled = True

    @rule(data=st.data())
    def enable(self, data):
        """Enable an endpoint: what was held is due."""
        endpoint = self.endpoints[data.draw(st.sampled_from(sorted(self.endpoints)))]
        held = self.run(self.b.store.endpoints.enable(endpoint.key, self.now))
        endpoint.disabled = False
        expected = 0
        for key, message in self.messages.items():
            delivery = message.to.get(endpoint.key)
            if delivery is not None and delivery.state == "held":
                delivery.state, delivery.due = "waiting", self.now
                expected += 1
                self.touched.add(key)
        assert held == expected

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def cancel(self, data):
        """Cancel a message: all but what is being sent."""
        key = data.draw(st.sampled_from(sorted(self.messages)))
        stopped = self.run(self.b.store.cancel(key, self.now))
        message, expected = self.messages[key], 0
        if not message.routed:
            message.routed, expected = True, 1
        for endpoint, delivery in list(message.to.items()):
            if delivery.seen(self.now) in ("pending", "held"):
                expected += 1
                # One that had ended before, and was to be sent again, stays what it was.
                ended = delivery.logged in ("succeeded", "exhausted")
                delivery.state = delivery.logged if ended else "canceled"
                delivery.lease = None
                if not delivery.attempts:
                    # Never tried, it leaves no trace at this endpoint; old leases of it are lost.
                    message.to[endpoint] = Delivery(0, "gone")
        assert stopped == expected
        self.touched.add(key)

    @precondition(lambda self: any(m.to for m in self.messages.values()))
    @rule(data=st.data())
    def resend(self, data):
        """Ask for a manual attempt of something that was routed."""
        pairs = sorted((key, e) for key, m in self.messages.items() for e in m.to)
        key, endpoint = data.draw(st.sampled_from(pairs))
        delivery = self.messages[key].to[endpoint]
        made = self.run(self.b.store.resend(key, endpoint, self.now))
        assert made == (delivery.seen(self.now) != "sending")
        if made:
            if delivery.state != "leased":  # an old lease still is its worker's to settle
                delivery.state = "waiting"
            delivery.due = self.now
        self.touched.add(key)

    @rule()
    def restart(self):
        """The second worker goes away with what it held, and a new one comes."""
        self.run(self.workers[1].stop())
        self.workers[1] = self.run(self.b.worker())
        self.held[1] = []

    # what must hold

    def check_invariants(self, *arguments, **options):
        """Compare what was touched after each step."""
        super().check_invariants(*arguments, **options)
        touched, self.touched = self.touched, set()
        for key in touched:
            self.compare(key)

    def compare(self, key):
        """Compare what the database and the model say about a message."""
        message = self.messages[key]
        seen = self.run(self.b.states(key))
        if not message.routed:
            assert seen is None
            return
        expected = {
            self.name(e): (d.seen(self.now), d.attempts)
            for e, d in message.to.items()
            if d.state != "gone"
        }
        assert seen == expected

    def teardown(self):
        """Deliver everything that is left, and count."""
        try:
            self.finish()
        finally:
            self.run(self.opened.__aexit__(None, None, None))
            self.run(self.loop.shutdown_asyncgens())
            self.run(self.loop.shutdown_default_executor())
            self.loop.close()
            self.fresh.__exit__(None, None, None)

    def finish(self):
        """Enable all, let all leases end, and settle whatever is due until nothing is."""
        self.held = [[], []]
        for endpoint in self.endpoints.values():
            self.run(self.b.store.endpoints.enable(endpoint.key, self.now))
        self.b.now += 10 * LEASE
        leased, _ = self.run(self.b.route_all(1000))
        leased += self.run(self.b.claim_all())
        for message in self.messages.values():
            if not message.routed:
                for endpoint in self.endpoints.values():
                    if endpoint.wants(message.event):
                        message.to[endpoint.key] = Delivery(0)
        assert all(self.run(self.b.settle(leased)))
        open_ones = {
            (key, e)
            for key, m in self.messages.items()
            for e, d in m.to.items()
            if d.state in ("waiting", "leased", "held")
        }
        assert {(d.message, d.target.key) for d in leased} == open_ones
        assert len(leased) == len(open_ones)
        for key, message in self.messages.items():
            numbers = {}
            for attempt in self.run(self.b.store.attempts(key)):
                numbers.setdefault(attempt.endpoint_id, []).append(attempt.number)
            made = sorted(
                d.attempts + ((key, e) in open_ones)
                for e, d in message.to.items()
                if d.attempts or (key, e) in open_ones
            )
            assert sorted(map(len, numbers.values())) == made
            assert all(each == list(range(1, len(each) + 1)) for each in numbers.values())


@pytest.fixture
def new_database(database_kind, fresh_database):
    """Return a maker of fresh databases of one kind."""
    return lambda: fresh_database(database_kind)


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
def test_against_the_model(new_database, database_kind):
    """Whatever two workers do, the database and the model agree, and nothing is lost or doubled."""

    class OnThisDatabase(Machine):
        pass

    OnThisDatabase.new_database = staticmethod(new_database)
    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(
            max_examples=settings.default.max_examples // (4 if database_kind == "sqlite" else 10),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
