"""Pending endpoints, on every database alike: who may try, what a result changes, what is held."""

from datetime import UTC, datetime

import pytest

from hookline._domain import ids
from hookline._domain.delivery import DeliveryState
from hookline._domain.endpoint import Endpoint
from hookline._domain.handshake import Proof
from hookline._domain.replay import JobState, Selection
from hookline.errors import InvalidInput

from .conftest import LEASE, NOW

PROVED = Proof(proved=True)
FAILED = Proof(proved=False, reason="HTTP 404", detail="HTTP 404 at 10.1.1.1")
BEFORE = datetime.fromtimestamp(NOW / 1000 - 60, UTC)
TIMEOUT = 15_000


@pytest.fixture
def demanding(database):
    """A bench on which endpoints have to return a challenge."""
    database.change(handshake="challenge")
    return database.bench()


async def claim(b, room=10, **options):
    return await b.store.handshakes.claim(room, b.now, LEASE, TIMEOUT, **options)


async def pending(b):
    """Return the names of the pending endpoints, and why they are."""
    return {
        e.url.split("/")[2].partition(".")[0]: e.pending_reason
        for e in await b.endpoints()
        if e.state == "pending"
    }


async def test_nothing_is_pending_unless_told(bench):
    """Without a handshake endpoints are active from the start."""
    async with bench as b:
        await b.declare("a")
        assert await pending(b) == {}
        assert await b.store.handshakes.next_due() is None
        assert await claim(b) == []


async def test_new_endpoints_are_pending(demanding):
    """What is for a pending endpoint is held, and due once it is verified."""
    async with demanding as b:
        [a] = await b.declare("a")
        assert await pending(b) == {"a": None}
        assert await b.store.handshakes.next_due() == NOW
        [message] = await b.publish()
        leased, counts = await b.route_all(room=10)
        assert (leased, [c[2] for c in counts]) == ([], [0])
        assert await b.states(message) == {"a": ("held", 0)}
        [leased] = await claim(b)
        assert (leased.target.key, leased.handshake, leased.tries) == (a, "challenge", 0)
        assert await b.store.handshakes.succeed(leased, PROVED, b.now) == 1
        assert await pending(b) == {}
        assert await b.store.handshakes.next_due() is None
        [delivery] = await b.claim_all()
        assert delivery.target.disabled_reason is None
        assert await b.settle([delivery]) == [True]
        [second] = await b.publish()
        [sent], _ = await b.route_all(room=10)
        assert sent.message == second


async def test_one_worker_at_a_time(demanding):
    """A try is one worker's until its lease runs out: timeout and lease after its claim."""
    async with demanding as b:
        await b.declare("a")
        await b.declare("b", timeout=2.0)
        assert len(await claim(b, room=1)) == 1
        assert len(await claim(b)) == 1
        assert await claim(b) == []
        b.now = NOW + 2000 + LEASE
        assert [each.target.timeout for each in await claim(b)] == [2.0]
        assert await b.store.handshakes.next_due() == NOW + TIMEOUT + LEASE
        b.now = NOW + TIMEOUT + LEASE
        assert len(await claim(b)) == 1


async def test_a_lost_lease_changes_nothing(demanding):
    """Whoever comes too late neither verifies nor fails anything."""
    async with demanding as b:
        await b.declare("a")
        [late] = await claim(b)
        b.now += TIMEOUT + LEASE
        [leased] = await claim(b)
        handshakes = b.store.handshakes
        assert await handshakes.succeed(late, PROVED, b.now) is None
        assert await handshakes.fail(late, FAILED, b.now + 1) is False
        await handshakes.give_back(late, b.now)
        assert await claim(b) == []
        assert await pending(b) == {"a": None}
        assert await handshakes.succeed(leased, PROVED, b.now) == 0
        assert await handshakes.succeed(leased, PROVED, b.now) is None


async def test_a_try_that_failed(demanding):
    """It is made again when it is due, and the reason is the customer's, not the operator's."""
    async with demanding as b:
        [a] = await b.declare("a")
        handshakes = b.store.handshakes
        for step in range(3):
            [leased] = await claim(b)
            assert (leased.step, leased.tries) == (step, step)
            assert await handshakes.fail(leased, FAILED, b.now + 5000)
            assert await claim(b) == []
            b.now += 5000
        assert await pending(b) == {"a": "HTTP 404"}
        assert await handshakes.tries(a) == 3
        [leased] = await claim(b)
        assert await handshakes.fail(leased, FAILED, None)
        assert await handshakes.next_due() is None
        b.now += 10**9
        assert await claim(b) == []
        assert await handshakes.ask(a, b.now) == 4
        [leased] = await claim(b)
        assert (leased.step, leased.tries) == (0, 4)


async def test_asking_does_not_double_a_try(demanding):
    """Who asks while a try is under way waits for that one."""
    async with demanding as b:
        [a] = await b.declare("a")
        [leased] = await claim(b)
        assert await b.store.handshakes.ask(a, b.now) == 0
        assert await claim(b) == []
        assert await b.store.handshakes.succeed(leased, PROVED, b.now) == 0
        assert await b.store.handshakes.ask(a, b.now) is None
        assert await b.store.handshakes.tries(a) is None


async def test_given_back(demanding):
    """A try that was not made is another worker's at once."""
    async with demanding as b:
        await b.declare("a")
        [leased] = await claim(b)
        await b.store.handshakes.give_back(leased, b.now)
        [again] = await claim(b)
        assert (again.step, again.tries) == (0, 0)


async def test_exempt(demanding):
    """An endpoint's own option wins, at first and when it is declared later."""
    async with demanding as b:
        await b.declare("a", handshake="none")
        await b.declare("b")
        assert await pending(b) == {"b": None}
        [message] = await b.publish()
        await b.route_all()
        assert (await b.states(message))["b"] == ("held", 0)
        await b.declare("b", handshake="none")
        assert await pending(b) == {}
        assert (await b.states(message))["b"] == ("pending", 0)


async def test_one_endpoint_may_need_it(bench):
    """An option demands it of one endpoint where the application does not."""
    async with bench as b:
        await b.declare("a", handshake="challenge")
        await b.declare("b")
        assert await pending(b) == {"a": None}
        [leased] = await claim(b)
        assert leased.handshake == "challenge"


async def test_a_changed_declaration_is_another_chance(demanding):
    """Whoever corrects the secret of a pending endpoint need not wait for the next try."""
    async with demanding as b:
        await b.declare("a")
        [leased] = await claim(b)
        await b.store.handshakes.fail(leased, FAILED, None)
        await b.declare("a")
        assert await claim(b) == []
        await b.declare("a", secret="another")
        [leased] = await claim(b)
        assert (leased.step, leased.target.secrets[0].text) == (0, "another")


async def test_another_url_is_pending_again(demanding):
    """Nothing is sent to a new URL before it is verified; an answer of the old one is too late."""
    async with demanding as b:
        [a] = await b.declare("a")
        [leased] = await claim(b)
        await b.store.endpoints.change_url(a, "https://moved.example/", b.now)
        assert await b.store.handshakes.succeed(leased, PROVED, b.now) is None
        [leased] = await claim(b)
        assert leased.target.url == "https://moved.example/"
        await b.store.handshakes.succeed(leased, PROVED, b.now)
        assert await pending(b) == {}
        await b.store.endpoints.change_url(a, "https://moved.example/", b.now)
        assert await pending(b) == {}
        await b.store.endpoints.change_url(a, "https://again.example/", b.now)
        assert await pending(b) == {"again": None}
        [message] = await b.publish()
        assert (await b.route_all(room=10))[0] == []
        assert (await b.status(message)).state is DeliveryState.HELD
        same = Endpoint("https://a.example/", ("*",))
        await b.store.endpoints.declare(b.app, [same], b.now)  # what was changed since stays
        assert await pending(b) == {"again": None}
        await b.declare("a", description="changed: it is back where it is declared")
        [leased] = await claim(b)
        assert leased.target.url == "https://a.example/"


async def test_what_was_queued_for_the_old_url_is_held(demanding):
    """A retry that is due after the URL changed waits for the new one to be verified."""
    async with demanding as b:
        [a] = await b.declare("a", handshake="none")
        [message] = await b.publish()
        await b.route_all(room=0)
        await b.declare("a", description="now it has to")
        await b.store.endpoints.change_url(a, "https://moved.example/", b.now)
        assert await b.claim_all() == []
        assert (await b.status(message)).state is DeliveryState.HELD
        assert await b.store.release_held(b.now) == 0
        [leased] = await claim(b)
        assert await b.store.handshakes.succeed(leased, PROVED, b.now) == 1


async def test_urls_are_not_shared(bench):
    """An endpoint cannot move to the URL of another, nor to one that another is declared with."""
    async with bench as b:
        a, c = await b.declare("a", "c")
        with pytest.raises(InvalidInput, match="that of another endpoint"):
            await b.store.endpoints.change_url(a, "https://c.example/", b.now)
        await b.store.endpoints.change_url(c, "https://d.example/", b.now)
        with pytest.raises(InvalidInput, match="that of another endpoint"):
            await b.store.endpoints.change_url(a, "https://c.example/", b.now)


async def test_disabled_and_pending(demanding):
    """A disabled endpoint is asked nothing; enabled, it is still pending."""
    async with demanding as b:
        [a] = await b.declare("a")
        [message] = await b.publish()
        await b.route_all()
        await b.store.endpoints.disable(a, "for a while", b.now)
        assert await b.store.handshakes.next_due() is None
        assert await claim(b) == []
        assert await b.store.endpoints.enable(a, b.now) == 0
        assert await b.store.release_held(b.now) == 0
        assert await b.states(message) == {"a": ("held", 0)}
        [leased] = await claim(b)
        await b.store.handshakes.succeed(leased, PROVED, b.now)
        assert (await b.states(message))["a"] == ("pending", 0)


async def test_what_was_granted(database):
    """CloudEvents: the rate granted holds when it is the lower one, the origin is sent along."""
    database.change(handshake="cloudevents", handshake_origin="hooks.example.com")
    async with database.bench() as b:
        await b.declare("a", rate_limit=50.0)
        await b.declare("b", rate_limit=0.5)
        await b.declare("c")
        for leased in await claim(b):
            assert leased.origin == "hooks.example.com"
            assert leased.target.header_lines == ()
            await b.store.handshakes.succeed(leased, PROVED._replace(granted_rate=2.0), b.now)
        await b.publish()
        leased, _ = await b.route_all(room=10)
        assert [each.target.rate_limit for each in leased] == [2.0, 0.5, 2.0]
        assert {each.target.header_lines for each in leased} == {
            ("WebHook-Request-Origin: hooks.example.com",)
        }
        assert [e.granted_rate for e in await b.endpoints()] == [2.0] * 3
        [a, *_] = [ids.decode(ids.ENDPOINT, e.id) for e in await b.endpoints()]
        await b.store.endpoints.change_url(a, "https://moved.example/", b.now)
        target = await b.store.handshakes.target(a)
        assert (target.rate_limit, target.header_lines) == (50.0, ())
        await b.store.endpoints.change_url(a, "https://a.example/", b.now)
        [leased] = await claim(b)
        await b.store.handshakes.succeed(leased, PROVED._replace(granted_rate=2.0), b.now)
        await b.store.endpoints.change_url(a, "https://moved.example/", b.now)
        [leased] = await claim(b)
        await b.store.handshakes.succeed(leased, PROVED._replace(granted_rate=2.0), b.now)
        await b.declare("a", description="back where it is declared, by a changed declaration")
        target = await b.store.handshakes.target(a)
        assert (target.url, target.rate_limit) == ("https://a.example/", None)
        assert target.header_lines == ()


async def test_the_demand_changes(database):
    """What is pending is asked in the new way, or not at all; what is active stays so."""
    async with database.bench() as b:
        await b.declare("a")
    database.change(handshake="challenge")
    async with database.bench() as b:
        await b.declare("a", "b")
        assert await pending(b) == {"b": None}
        [leased] = await claim(b)
        await b.store.handshakes.fail(leased, FAILED, None)
    database.change(handshake="cloudevents", handshake_origin="hooks.example.com")
    async with database.bench() as b:
        [leased] = await claim(b)
        assert (leased.handshake, leased.origin) == ("cloudevents", "hooks.example.com")
        await b.store.handshakes.give_back(leased, b.now)
    database.change(handshake="", handshake_origin="")
    async with database.bench() as b:  # a process that was not told changes nothing
        [leased] = await claim(b)
        assert (leased.handshake, leased.origin) == ("cloudevents", "hooks.example.com")
        await b.store.handshakes.fail(leased, FAILED, None)
    database.change(handshake="none")
    async with database.bench() as b:
        [leased] = await claim(b)
        assert leased.handshake == "none"
        await b.declare("c")
        assert await pending(b) == {"b": "HTTP 404"}


async def test_replays_leave_pending_endpoints_alone(demanding):
    """A replay to all endpoints skips a pending one; one to it alone fails and says why."""
    async with demanding as b:
        [a] = await b.declare("a")
        await b.declare("b", handshake="none")
        [message] = await b.publish()
        await b.route_all()
        jobs = b.store.jobs
        states = (DeliveryState.HELD, DeliveryState.SUCCEEDED)
        everyone = Selection(since=BEFORE, states=states)
        assert (await jobs.preview(b.app, everyone, b.now)).total == 0
        only = Selection(since=BEFORE, states=states, endpoint=ids.encode(ids.ENDPOINT, a))
        job = await jobs.add(b.app, only, None, b.now)
        await jobs.step(await jobs.claim(b.now, b.now + LEASE), b.now)
        job = await jobs.get(b.app, ids.decode(ids.JOB, job.id))
        assert job.state is JobState.FAILED
        assert "is pending; verify it" in job.reason
        assert (await b.states(message))["a"] == ("held", 0)


async def test_for_one_endpoint_alone(bench):
    """A message for one endpoint goes nowhere else, not even when others ask what they missed."""
    async with bench as b:
        a, _ = await b.declare("a", "b")
        [c] = await b.declare("c", events=["other"], ordered=True)
        for_a, for_c = b.message(event="webhook.test"), b.message(event="webhook.test")
        await b.store.publish_to(for_a, a)
        await b.store.publish_to(for_c, c)
        assert (await b.route_all(room=10)) == ([], [])
        leased = await b.claim_all()
        assert {(each.message, each.target.key) for each in leased} == {
            (for_a.key, a),
            (for_c.key, c),
        }
        assert await b.settle(leased) == [True, True]
        missing = Selection(since=BEFORE, missing=True, states=())
        assert (await b.store.jobs.preview(b.app, missing, b.now)).total == 0
        await b.declare("late")
        assert (await b.store.jobs.preview(b.app, missing, b.now)).total == 0


async def test_what_is_demanded_of_one_endpoint_changes(demanding):
    """Freed of its handshake, an endpoint is sent what was held; active, it stays active."""
    async with demanding as b:
        [a] = await b.declare("a")
        [message] = await b.publish()
        await b.route_all(room=10)
        assert await b.states(message) == {"a": ("held", 0)}
        _, released = await b.store.endpoints.update(b.app, a, {"handshake": "none"}, b.now)
        assert (released, await pending(b)) == (1, {})
        assert len(await b.claim_all()) == 1
        await b.store.endpoints.update(b.app, a, {"handshake": "challenge"}, b.now)
        assert await pending(b) == {}


async def test_any_change_is_another_chance(demanding):
    """What was changed may have been what was missing, however it was changed."""
    async with demanding as b:
        [a] = await b.declare("a")
        [leased] = await claim(b)
        await b.store.handshakes.fail(leased, FAILED, None)
        assert await claim(b) == []
        await b.store.endpoints.update(b.app, a, {"headers": {"X-Token": "right"}}, b.now)
        [leased] = await claim(b)
        assert leased.step == 0
