"""Endpoints made and changed by people, on each database."""

import pytest
import sqlalchemy as sa

from hookline._domain import ids
from hookline._domain.breaker import CircuitState
from hookline._domain.delivery import Failure, Outcome
from hookline._domain.endpoint import Endpoint, EndpointState
from hookline._domain.page import Cursor, Window
from hookline._storage.schema import delivery, endpoint, endpoint_secret, handshake
from hookline.errors import AlreadyExists, EndpointNotFound

HOUR = 3_600_000
FAILED = Outcome(503, Failure.STATUS)


@pytest.fixture
def make(bench):
    """Return a maker of endpoints on an open bench; it returns endpoint and key."""

    async def make(b, url="https://one.example/", events=("*",), app=None, **options):
        b.now += 1
        new = Endpoint(url, tuple(events), source="api", **options)
        made = await b.store.endpoints.create(app or b.app, new, b.now)
        return made, ids.decode(ids.ENDPOINT, made.id)

    return make


async def rows(b, table):
    """Return how many rows a table has."""
    async with b.store._reading() as connection:
        return await connection.scalar(sa.select(sa.func.count()).select_from(table))


async def test_it_is_what_was_asked_for(bench, make):
    """With a secret, headers, channels, metadata and a uid, and found by each of its names."""
    async with bench as b:
        asked = {
            "secret": "whsec_" + "A" * 32,
            "headers": {"X-A": "1"},
            "channels": ("red",),
            "metadata": {"plan": "pro"},
            "uid": "main",
            "ordered": True,
            "oauth2": {"token_url": "https://auth.example/", "client_id": "a"},
        }
        made, key = await make(b, **asked)
        assert {name: getattr(made, name) for name in asked} == asked
        assert (made.source, made.created_at) == ("api", made.updated_at)
        for name in (made.id, "main", made.url):
            assert await b.store.endpoints.find(b.app, [name]) == made
        assert await b.store.endpoints.find(b.app, ["other", "ep_" + "0" * 27]) is None
        assert await b.store.endpoints.get(b.app, [key, b"0" * 16]) == {key: made}


async def test_two_may_have_one_url(bench, make):
    """Only what is declared in code or file is known by its URL."""
    async with bench as b:
        [declared] = await b.declare("one")
        (first, _), (second, _) = await make(b), await make(b)
        assert {first.url, second.url} == {"https://one.example/"}
        await b.publish()
        assert len((await b.route()).leased) == 3
        assert await b.declare("one") != []
        assert len(await b.endpoints()) == 3
        assert declared in await b.store.endpoints.get(b.app, [declared])


async def test_a_second_try_finds_the_first(bench):
    """The same key makes one endpoint."""
    async with bench as b:
        new = Endpoint("https://one.example/", ("*",), secret="s" * 24, source="api")
        key = b"\x01" * 16
        first = await b.store.endpoints.create(b.app, new, b.now, key)
        assert await b.store.endpoints.create(b.app, new, b.now, key) == first
        assert await rows(b, endpoint_secret) == 1


async def test_a_uid_is_taken_once_in_an_application(bench, make):
    """In another application it is free."""
    async with bench as b:
        await make(b, uid="main")
        with pytest.raises(AlreadyExists, match="'main'"):
            await make(b, uid="main")
        other, _ = await b.store.applications.create({"name": "n", "uid": "other"}, b.now)
        theirs, key = await make(b, uid="main", app=ids.decode(ids.APPLICATION, other.id))
        _, mine = await make(b)
        with pytest.raises(AlreadyExists, match="'main'"):
            await b.store.endpoints.update(b.app, mine, {"uid": "main"}, b.now)
        # And what is theirs is not found through mine.
        assert await b.store.endpoints.get(b.app, [key]) == {}
        assert await b.store.endpoints.find(b.app, [theirs.id]) is None
        with pytest.raises(EndpointNotFound):
            await b.store.endpoints.update(b.app, key, {"uid": "x"}, b.now)
        assert not await b.store.endpoints.delete(b.app, key, b.now)
        assert await b.store.endpoints.health(b.app, key, b.now) is None


async def test_what_is_not_named_stays(bench, make):
    """A change of one option leaves the others, the headers, the secret and the credentials."""
    async with bench as b:
        made, key = await make(
            b,
            secret="whsec_" + "A" * 32,
            headers={"X-A": "1"},
            channels=("red",),
            oauth2={"token_url": "https://auth.example/", "client_id": "a"},
        )
        b.now += 1000
        changed, released = await b.store.endpoints.update(
            b.app, key, {"metadata": {"a": "b"}, "timeout": 3.0}, b.now
        )
        assert released == 0
        assert (changed.metadata, changed.timeout) == ({"a": "b"}, 3.0)
        for name in ("secret", "headers", "channels", "oauth2", "url", "events"):
            assert getattr(changed, name) == getattr(made, name)
        assert changed.updated_at > made.updated_at == made.created_at
        bare, _ = await b.store.endpoints.update(
            b.app, key, {"oauth2": None, "channels": (), "headers": {}, "timeout": None}, b.now
        )
        assert (bare.oauth2, bare.channels, bare.headers, bare.timeout) == (None, (), {}, None)


async def test_the_very_next_message_knows(bench, make):
    """What an endpoint wants from now on is what it gets from now on, on every worker."""
    async with bench as b:
        _, key = await make(b, events=("a.b",))
        await b.publish(event="a.b")
        assert len((await b.route()).leased) == 1
        await b.store.endpoints.update(b.app, key, {"events": ("c.d",)}, b.now)
        await b.publish(event="a.b")
        await b.publish(event="c.d")
        assert [each.event_type for each in (await b.route()).leased] == ["c.d"]
        await b.store.endpoints.update(b.app, key, {"channels": ("red",)}, b.now)
        await b.publish(event="c.d")
        await b.publish(event="c.d", channels=("red", "blue"))
        assert len((await b.route()).leased) == 1


async def test_disabled_holds_and_enabled_releases(bench, make):
    """Nothing is lost meanwhile."""
    async with bench as b:
        made, key = await make(b, disabled_reason="for now")
        assert (made.disabled, made.disabled_reason) == (True, "for now")
        await b.publish(3)
        assert (await b.route()).leased == []
        enabled, released = await b.store.endpoints.update(
            b.app, key, {"disabled_reason": None}, b.now
        )
        assert (enabled.disabled, released) == (False, 3)
        assert len(await b.claim_all()) == 3


async def test_deleted_cancels_what_waits_and_keeps_the_log(bench, make):
    """Who was sending meanwhile has lost the lease."""
    async with bench as b:
        _, key = await make(b, secret="whsec_" + "A" * 32)
        keys = await b.publish(5)
        leased = (await b.route(room=2)).leased
        assert (await b.queue.settle([b.settlement(leased[0])], b.now)).kept == [True]
        assert await b.store.endpoints.delete(b.app, key, b.now)
        assert not await b.store.endpoints.delete(b.app, key, b.now)
        assert await rows(b, delivery) == await rows(b, endpoint_secret) == 0
        assert (await b.queue.settle([b.settlement(leased[1])], b.now)).kept == [False]
        assert [len(await b.store.attempts(k)) for k in keys] == [1, 0, 0, 0, 0]
        await b.publish()
        assert (await b.route()).leased == []
        assert await b.endpoints() == []


async def test_what_was_routed_meanwhile_is_swept(bench, make):
    """A delivery for an endpoint that was deleted while it was routed waits for nobody."""
    async with bench as b:
        _, gone = await make(b)
        _, there = await make(b, "https://two.example/")
        await b.publish(3)
        await b.route_all()
        async with b.store._writing() as connection:
            await connection.execute(endpoint.delete().where(endpoint.c.id == gone))
        assert await b.store.endpoints.sweep() == 3
        assert await b.store.endpoints.sweep() == 0
        assert {each.target.key for each in await b.claim_all()} == {there}


async def test_moved_has_to_prove_itself_again(bench, make):
    """Where a handshake is demanded; the rest of a change asks for none."""
    async with bench as b:
        made, key = await make(b, handshake="challenge")
        assert made.state is EndpointState.PENDING
        async with b.store._writing() as connection:
            await connection.execute(handshake.delete())
        same, _ = await b.store.endpoints.update(b.app, key, {"description": "x"}, b.now)
        assert same.state is EndpointState.ACTIVE
        moved, _ = await b.store.endpoints.update(
            b.app, key, {"url": "https://two.example/"}, b.now
        )
        assert moved.state is EndpointState.PENDING


async def test_pages(bench, make):
    """In the order they were made, and back."""
    async with bench as b:
        made = [(await make(b, f"https://e{n}.example/"))[0] for n in range(5)]
        await make(b, app=await b.store.applications.key("default"))
        first = await b.store.endpoints.page(b.app, Window(2))
        assert (first.items, first.more) == (made[:2], True)
        second = await b.store.endpoints.page(b.app, Window(2, Cursor(first.last)))
        assert second.items == made[2:4]
        back = await b.store.endpoints.page(
            b.app, Window(2, Cursor(ids.decode(ids.ENDPOINT, made[2].id), backwards=True))
        )
        assert (back.items, back.more) == (made[:2], False)


async def test_health(bench, make):
    """What waits, what is sent, what is held, what was tried last, and the circuit."""
    async with bench as b:
        _, key = await make(b)
        well = await b.store.endpoints.health(b.app, key, b.now)
        assert (well.state, well.circuit, well.last_attempt_at) == (
            EndpointState.ACTIVE,
            CircuitState.CLOSED,
            None,
        )
        assert (well.pending, well.sending, well.held, well.next_attempt_at) == (0, 0, 0, None)
        await b.publish(4)
        leased = (await b.route(room=2)).leased
        await b.queue.settle([b.settlement(leased[0], FAILED)], b.now)
        ill = await b.store.endpoints.health(b.app, key, b.now)
        assert (ill.pending, ill.sending, ill.held) == (3, 1, 0)
        assert (ill.last_status, ill.failures) == (503, 1)
        assert ill.next_attempt_at is not None
        assert ill.failing_since is not None
        await b.store.endpoints.update(b.app, key, {"disabled_reason": "x"}, b.now)
        b.now += HOUR
        await b.claim_all()
        held = await b.store.endpoints.health(b.app, key, b.now)
        assert held.state is EndpointState.DISABLED
        assert held.held + held.pending == 4
