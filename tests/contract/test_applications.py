"""Applications and event types on each database: made, found, listed, changed, deleted."""

import asyncio

import pytest

from hookline._domain.audit import AuditFilter
from hookline._domain.catalogue.described import Declared
from hookline._domain.history import Filter
from hookline._domain.page import Cursor, Window
from hookline.errors import AlreadyExists


@pytest.fixture
def make(bench):
    """Return a maker of applications on an open bench."""

    async def make(b, uid=None, **values):
        b.now += 1
        found, _ = await b.store.applications.create({"name": "n", "uid": uid, **values}, b.now)
        return found

    return make


async def test_an_application_is_found_by_id_and_uid(bench, make):
    """And not by anything else."""
    async with bench as b:
        acme = await make(b, "acme", metadata={"plan": "pro"}, rate_limit=5.0)
        apps = b.store.applications
        key = await apps.key("acme")
        assert await apps.key(acme.id) == key
        assert await apps.get(key) == acme
        assert (acme.uid, acme.metadata, acme.rate_limit) == ("acme", {"plan": "pro"}, 5.0)
        assert await apps.key("nobody") is None
        assert await apps.key("default") == b.app


async def test_a_uid_is_taken_once(bench, make):
    """Two without one are two."""
    async with bench as b:
        acme = await make(b, "acme")
        with pytest.raises(AlreadyExists, match="'acme'"):
            await make(b, "acme")
        again, new = await b.store.applications.create(
            {"name": "other", "uid": "acme"}, b.now, get_if_exists=True
        )
        assert (again, new) == (acme, False)
        assert (await make(b)).id != (await make(b)).id
        key = await b.store.applications.key((await make(b, "other")).id)
        with pytest.raises(AlreadyExists, match="'acme'"):
            await b.store.applications.update(key, {"uid": "acme"}, b.now)
        assert (await b.store.applications.update(key, {"uid": "other"}, b.now)).uid == "other"


async def pages(list_page, window, name):
    """Return the items of all pages, one after the other."""
    found, cursor = [], None
    while True:
        page = await list_page(Window(window.limit, cursor, window.descending))
        found.append([name(item) for item in page.items])
        if not page.more:
            return found
        cursor = Cursor(page.last)


@pytest.mark.parametrize("descending", [False, True])
async def test_pages_go_on_and_back(bench, make, descending):
    """In either order; each application is on one page."""
    async with bench as b:
        names = ["default", *"abcdefg"]
        for uid in names[1:]:
            await make(b, uid)
        ordered = names[::-1] if descending else names

        async def read(window):
            return await b.store.applications.page(window)

        found = await pages(read, Window(3, descending=descending), lambda a: a.uid)
        assert found == [ordered[:3], ordered[3:6], ordered[6:]]
        sixth = await b.store.applications.key(ordered[6])
        back = await read(Window(3, Cursor(sixth, backwards=True), descending))
        assert [a.uid for a in back.items] == ordered[3:6]
        assert back.more
        third = await b.store.applications.key(ordered[3])
        first = await read(Window(3, Cursor(third, backwards=True), descending))
        assert [a.uid for a in first.items] == ordered[:3]
        assert not first.more


async def test_a_deleted_application_leaves_nothing(bench, make, monkeypatch):
    """Its name is free at once, nothing is sent any more, and upkeep removes the rest."""
    monkeypatch.setattr("hookline._storage.applications.BATCH", 2)
    async with bench as b:
        acme = await make(b, "acme")
        key, home = await b.store.applications.key("acme"), b.app
        b.app = key
        await b.declare("a", secret="x")
        for leased in await sent(b, 5):
            await b.settle([leased])
        await b.publish(2)
        b.app = home
        await b.declare("mine")
        [kept] = await b.publish()
        assert await b.store.applications.delete(key, b.now)
        assert not await b.store.applications.delete(key, b.now)
        assert await b.store.applications.get(key) is None
        assert await b.store.applications.key(acme.id) is None
        assert (await make(b, "acme")).id != acme.id
        leased = (await b.route()).leased
        assert [each.message for each in leased] == [kept]
        assert await b.store.applications.purge() == 7
        assert await b.store.applications.purge() == 0
        assert len(await b.store.history.read(home, [kept])) == 1
        assert (await b.store.history.messages(key, Filter(), Window())).items == []


async def sent(b, count):
    """Publish messages and return their deliveries, leased."""
    await b.publish(count)
    return (await b.route()).leased


async def test_event_types(bench):
    """Made, listed by name, changed; archived ones are out of sight, and can be made anew."""
    async with bench as b:
        types = b.store.event_types
        for name in ("b.two", "a.one", "c.three"):
            await types.create({"name": name, "schemas": {"1": {"type": "object"}}}, b.now)
        with pytest.raises(AlreadyExists, match=r"'a\.one'"):
            await types.create({"name": "a.one"}, b.now)
        found = await types.page(Window(2), archived=False)
        assert [t.name for t in found.items] == ["a.one", "b.two"]
        assert found.more
        rest = await types.page(Window(2, Cursor("b.two")), archived=False)
        assert [t.name for t in rest.items] == ["c.three"]
        changed = await types.update("a.one", {"description": "one", "deprecated": True}, b.now + 1)
        assert (changed.description, changed.deprecated) == ("one", True)
        assert changed.schemas == {"1": {"type": "object"}}
        assert await types.update("nobody", {"description": ""}, b.now) is None
        assert await types.delete("a.one", b.now, expunge=False)
        assert (await types.get("a.one")).archived
        assert [t.name for t in (await types.page(Window(), archived=False)).items] == [
            "b.two",
            "c.three",
        ]
        assert len((await types.page(Window(), archived=True)).items) == 3
        again = await types.create({"name": "a.one", "description": "anew"}, b.now)
        assert await types.get("a.one") == again
        assert (again.description, again.archived, again.schemas) == ("anew", False, None)
        assert await types.delete("a.one", b.now, expunge=True)
        assert await types.get("a.one") is None
        assert not await types.delete("a.one", b.now, expunge=False)


def declared(name="a.b", text="", schema=None, **more):
    """An event type as code declares it, with one version of a schema."""
    return Declared(name, text, {"1": schema or {"type": "object"}}, **more)


async def told(b):
    """Return the audit log about event types, oldest first."""
    page = await b.store.audit.page(None, AuditFilter(action="event_type.*"), Window(50))
    return [(e.actor.kind, e.action, e.target, e.fields) for e in page.items]


async def test_what_code_declares_is_catalogued_once(bench):
    """Declared again it changes nothing, and leaves one line in the audit log."""
    async with bench as b:
        types = b.store.event_types
        for later in range(3):
            both = [declared("b.c", group_name="g"), declared("a.b", "What.", deprecated=True)]
            assert await types.declare(both, b.now + later) == {}
        one, two = (await types.page(Window(), archived=False)).items
        assert (one.name, one.description, one.deprecated) == ("a.b", "What.", True)
        assert (two.name, two.group_name, two.schemas) == ("b.c", "g", {"1": {"type": "object"}})
        assert one.updated_at == one.created_at
        assert await told(b) == [
            ("code", "event_type.created", "a.b", ("deprecated", "description", "name", "schemas")),
            ("code", "event_type.created", "b.c", ("group_name", "name", "schemas")),
        ]


async def test_a_change_of_the_code_is_applied_alone(bench):
    """What an operator changed stays, and is told of, until the code changes that field too."""
    async with bench as b:
        types = b.store.event_types
        await types.declare([declared(text="One.")], b.now)
        await types.update("a.b", {"description": "By hand.", "feature_flags": ["beta"]}, b.now)
        assert await types.declare([declared(text="One.")], b.now) == {"a.b": ["description"]}
        newer = {"type": "object", "properties": {"id": {"type": "string"}}}
        assert await types.declare([declared(text="One.", schema=newer)], b.now) == {
            "a.b": ["description"]
        }
        found = await types.get("a.b")
        assert (found.description, found.schemas) == ("By hand.", {"1": newer})
        assert await types.declare([declared(text="Two.", schema=newer)], b.now) == {}
        found = await types.get("a.b")
        assert (found.description, found.feature_flags) == ("Two.", ("beta",))
        assert [line[1:] for line in (await told(b))[2:]] == [
            ("event_type.updated", "a.b", ("schemas",)),
            ("event_type.updated", "a.b", ("description",)),
        ]


async def test_what_was_archived_stays_archived(bench):
    """Declaring is no reason to bring it back; forgotten altogether it is made anew."""
    async with bench as b:
        types = b.store.event_types
        await types.declare([declared()], b.now)
        await types.delete("a.b", b.now, expunge=False)
        await types.declare([declared(text="New.")], b.now)
        found = await types.get("a.b")
        assert (found.archived, found.description) == (True, "New.")
        await types.delete("a.b", b.now, expunge=True)
        await types.declare([declared(text="New.")], b.now)
        assert not (await types.get("a.b")).archived


async def test_what_people_made_first_is_only_filled(bench):
    """Of an event type that was there before any code declared it, empty fields are filled."""
    async with bench as b:
        types = b.store.event_types
        await types.create({"name": "a.b", "description": "By hand."}, b.now)
        kept = await types.declare([declared(text="Code.", group_name="g")], b.now)
        assert kept == {"a.b": ["description"]}
        found = await types.get("a.b")
        assert (found.description, found.group_name) == ("By hand.", "g")
        assert found.schemas == {"1": {"type": "object"}}


async def test_declaring_at_once(bench):
    """Processes that start together catalogue one event type."""
    async with bench as b:
        many = [declared(f"a.n{n}") for n in range(5)]
        await asyncio.gather(*(b.store.event_types.declare(many, b.now) for _ in range(4)))
        page = await b.store.event_types.page(Window(), archived=True)
        assert [t.name for t in page.items] == [each.name for each in many]
        assert len(await told(b)) == 5
