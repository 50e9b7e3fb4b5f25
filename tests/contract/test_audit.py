"""The audit log on each database: every change a person can make leaves a line with it."""

import inspect
from datetime import UTC, datetime

import pytest
from tests.contract.conftest import FAILED, NOW

from hookline import _ports
from hookline._domain import ids
from hookline._domain.api_key import ApiKey
from hookline._domain.audit import Actor, AuditFilter, acting
from hookline._domain.catalogue.described import Declared
from hookline._domain.endpoint import Endpoint
from hookline._domain.page import Window
from hookline._domain.replay import Selection
from hookline._engine.keys import new_key
from hookline.errors import AlreadyExists

NEWEST = Window(descending=True)
SELECTION = Selection(since=datetime.fromtimestamp(NOW / 1000, UTC))

# What is looked at only, or done by the system, or by publishing: no line.
SILENT = {
    _ports.Applications: {"key", "get", "page"},
    _ports.EventTypes: {"get", "page"},
    _ports.Endpoints: {"all", "page", "find", "get", "health"},
    _ports.History: {
        "heads",
        "message_key",
        "read",
        "messages",
        "attempted",
        "attempt",
        "attempts_of_message",
        "attempts_at_endpoint",
        "stats",
    },
    _ports.ApiKeys: {"all", "page", "find", "used"},
    _ports.Jobs: {"preview", "get", "find", "page", "newest", "next_due", "claim", "step", "fail"},
    _ports.Audit: {"page"},
    _ports.Usages: {"days", "add_up"},
    _ports.Operational: {"application", "wanted", "publish"},
    _ports.Handshakes: {
        "next_due",
        "claim",
        "succeed",
        "fail",
        "give_back",
        "ask",
        "tries",
        "target",
    },
    _ports.Answers: {"claim", "keep", "forget", "prune", "give_back"},
    _ports.Store: {
        "backlog",
        "start",
        "stop",
        "attempts",
        "deliveries",
        "join",
        "migrate",
        "reencrypt",
        "prune",
        "publish_to",
        "release_held",
        "reach",
        "pulse",
        "vitals",
    },
}

HERE = {
    _ports.Applications: "applications",
    _ports.EventTypes: "event_types",
    _ports.Endpoints: "endpoints",
    _ports.History: "history",
    _ports.ApiKeys: "api_keys",
    _ports.Jobs: "jobs",
    _ports.Audit: "audit",
}


async def lines(b, wanted=None, app=None):
    """Return the log, newest first, as `(action, target, fields)`."""
    page = await b.store.audit.page(app, wanted or AuditFilter(), NEWEST)
    return [(e.action, e.target, e.fields) for e in page.items]


class Changes:
    """One call of every method that a person's change goes through, and the line it leaves."""

    def __init__(self, b):
        self.b = b

    async def setup(self):
        b = self.b
        [self.endpoint] = await b.declare("a")
        [self.message] = await b.publish()
        [leased] = (await b.route()).leased
        await b.settle([leased], FAILED)
        [self.attempt] = await b.store.attempts(self.message)
        made, _ = await b.store.applications.create({"name": "x", "uid": "x"}, b.now)
        self.app = ids.decode(ids.APPLICATION, made.id)
        await b.store.event_types.create({"name": "made"}, b.now)
        self.job = await b.store.jobs.add(b.app, SELECTION, None, b.now)
        self.key = new_key(b.now)
        await b.store.api_keys.add(self.key, b"h", self.api_key(self.key), b.now)
        portal = new_key(b.now)
        scopes = ("portal", f"application:{made.id}")
        await b.store.api_keys.add(portal, b"h", self.api_key(portal, scopes), b.now)

    def api_key(self, key, scopes=("admin",)):
        at = datetime.fromtimestamp(NOW / 1000, UTC)
        return ApiKey("k", scopes, ids.encode(ids.API_KEY, key), at)

    def calls(self):
        b, now, ep = self.b, self.b.now, self.endpoint
        new = Endpoint("https://new.example/", ("*",), source="api")
        return {
            (_ports.Applications, "create"): (({"name": "y"}, now), "application.created"),
            (_ports.Applications, "update"): (
                (self.app, {"name": "z"}, now),
                "application.updated",
            ),
            (_ports.Applications, "delete"): ((self.app, now), "application.deleted"),
            (_ports.EventTypes, "create"): (({"name": "t"}, now), "event_type.created"),
            (_ports.EventTypes, "declare"): (([Declared("d")], now), "event_type.created"),
            (_ports.EventTypes, "update"): (
                ("made", {"deprecated": True}, now),
                "event_type.updated",
            ),
            (_ports.EventTypes, "delete"): (("made", now), "event_type.archived"),
            (_ports.Endpoints, "declare"): (
                (b.app, [Endpoint("https://b.example/", ("*",))], now),
                "endpoint.created",
            ),
            (_ports.Endpoints, "retire"): ((b.app, "code", [], "gone", now), "endpoint.disabled"),
            (_ports.Endpoints, "create"): ((b.app, new, now), "endpoint.created"),
            (_ports.Endpoints, "update"): (
                (b.app, ep, {"timeout": 3.0}, now),
                "endpoint.updated",
            ),
            (_ports.Endpoints, "delete"): ((b.app, ep, now), "endpoint.deleted"),
            (_ports.Endpoints, "rotate_secret"): (
                (ep, "s" * 24, now, now),
                "endpoint.secret_rotated",
            ),
            (_ports.Endpoints, "enable"): ((ep, now), "endpoint.enabled"),
            (_ports.Endpoints, "disable"): ((ep, "why", now), "endpoint.disabled"),
            (_ports.Endpoints, "change_url"): (
                (ep, "https://moved.example/", now),
                "endpoint.updated",
            ),
            (_ports.History, "forget_answer"): (
                (self.message, ids.decode(ids.ATTEMPT, self.attempt.id), now),
                "message.answer_erased",
            ),
            (_ports.ApiKeys, "add"): (
                (new_key(now), b"h", self.api_key(new_key(now)), now),
                "api_key.created",
            ),
            (_ports.ApiKeys, "revoke"): ((self.key, now), "api_key.revoked"),
            (_ports.ApiKeys, "revoke_portals"): ((self.app, now), "api_key.revoked"),
            (_ports.Jobs, "add"): ((b.app, SELECTION, None, now), "replay.started"),
            (_ports.Jobs, "cancel"): (
                (b.app, ids.decode(ids.JOB, self.job.id), now),
                "replay.canceled",
            ),
            (_ports.Audit, "secret_read"): ((ep, now), "endpoint.secret_read"),
            (_ports.Store, "cancel"): ((self.message, now), "message.canceled"),
            (_ports.Store, "resend"): ((self.message, ep, now), "message.resent"),
            (_ports.Store, "erase"): ((self.message, now), "message.erased"),
        }


def methods(port):
    """Return the names of the methods of a port."""
    return {name for name, _ in inspect.getmembers(port, inspect.iscoroutinefunction)}


async def test_every_method_of_the_store_is_accounted_for(bench):
    """Whoever adds one says here whether a person's change goes through it."""
    async with bench as b:
        changes = Changes(b)
        await changes.setup()
        audited = set(changes.calls())
    assert [f"{port.__name__}.{name}" for port, name in changes.calls()] == NAMES
    known = audited | {(port, name) for port, names in SILENT.items() for name in names}
    there = {(port, name) for port in SILENT for name in methods(port)}
    assert there == known
    parts = {name for name, value in vars(_ports.Store).items() if isinstance(value, property)}
    assert parts == {*HERE.values(), "handshakes", "answers", "usage", "operational"} | READ


READ = {"tallies", "overview"}
"""What no person changes."""
NAMES = [
    "Applications.create",
    "Applications.update",
    "Applications.delete",
    "EventTypes.create",
    "EventTypes.declare",
    "EventTypes.update",
    "EventTypes.delete",
    "Endpoints.declare",
    "Endpoints.retire",
    "Endpoints.create",
    "Endpoints.update",
    "Endpoints.delete",
    "Endpoints.rotate_secret",
    "Endpoints.enable",
    "Endpoints.disable",
    "Endpoints.change_url",
    "History.forget_answer",
    "ApiKeys.add",
    "ApiKeys.revoke",
    "ApiKeys.revoke_portals",
    "Jobs.add",
    "Jobs.cancel",
    "Audit.secret_read",
    "Store.cancel",
    "Store.resend",
    "Store.erase",
]


@pytest.mark.parametrize("name", NAMES)
async def test_a_change_leaves_its_line(bench, name):
    """Exactly one, of whoever is at work, of the application it belongs to."""
    async with bench as b:
        changes = Changes(b)
        await changes.setup()
        [(port, method)] = [
            each for each in changes.calls() if f"{each[0].__name__}.{each[1]}" == name
        ]
        arguments, action = changes.calls()[port, method]
        before = len(await lines(b))
        acting.set(Actor("api_key", "key_1", "alice"))
        where = getattr(b.store, HERE[port]) if port in HERE else b.store
        options = {"expunge": False} if name == "EventTypes.delete" else {}
        await getattr(where, method)(*arguments, **options)
        page = await b.store.audit.page(None, AuditFilter(), NEWEST)
        assert len(page.items) - before == 1
        entry = page.items[0]
        assert entry.action == action
        of_code = name in ("Endpoints.retire", "EventTypes.declare")
        assert entry.actor == (Actor("code") if of_code else Actor("api_key", "key_1", "alice"))
        owned = port not in (_ports.EventTypes, _ports.ApiKeys)
        assert (entry.application is not None) == owned


async def test_what_changes_nothing_leaves_nothing(bench):
    """Neither an update with the same values, nor a refused change, nor a second deletion."""
    async with bench as b:
        changes = Changes(b)
        await changes.setup()
        before = await lines(b)
        ends, apps = b.store.endpoints, b.store.applications
        same = {"timeout": None, "headers": {}, "channels": (), "url": "https://a.example/"}
        await ends.update(b.app, changes.endpoint, same, b.now)
        await b.declare("a")
        await apps.update(changes.app, {"name": "x", "metadata": {}}, b.now)
        with pytest.raises(AlreadyExists):
            await apps.create({"name": "other", "uid": "x"}, b.now)
        await b.store.event_types.update("made", {"deprecated": False}, b.now)
        assert await b.store.event_types.delete("nobody", b.now, expunge=True) is False
        assert await ends.delete(b.app, new_key(b.now), b.now) is False
        assert await lines(b) == before


async def test_fields_are_named_and_values_are_not(bench):
    """Those that changed, secrets among them by name only."""
    async with bench as b:
        [key] = await b.declare("a", headers={"X-A": "s3cr3t"}, secret="s3cr3t-s3cr3t")
        created = (await lines(b))[0]
        assert created[2] == ("events", "headers", "secret", "url")
        changes = {"headers": {"X-A": "other"}, "events": ("a.b",), "timeout": None}
        await b.store.endpoints.update(b.app, key, changes, b.now)
        assert (await lines(b))[0] == (
            "endpoint.updated",
            ids.encode(ids.ENDPOINT, key),
            ("events", "headers"),
        )
        await b.declare("a", headers={"X-A": "other"}, secret="another-s3cr3t-s3cr3t")
        assert "secret" in (await lines(b))[0][2]
        page = await b.store.audit.page(None, AuditFilter(), NEWEST)
        assert "s3cr3t" not in repr(page)


async def test_the_log_is_narrowed(bench):
    """By application, action or family, actor, target and time."""
    async with bench as b:
        changes = Changes(b)
        await changes.setup()
        b.now += 1000
        acting.set(Actor("api_key", "key_1", "alice"))
        await b.store.endpoints.disable(changes.endpoint, "why", b.now)
        target = ids.encode(ids.ENDPOINT, changes.endpoint)
        last = ("endpoint.disabled", target, ())
        at = datetime.fromtimestamp(NOW / 1000, UTC)
        for wanted in (
            {"action": "endpoint.disabled"},
            {"actor": "alice"},
            {"actor": "key_1"},
            {"actor": "api_key"},
            {"after": at},
        ):
            assert await lines(b, AuditFilter(**wanted)) == [last]
        assert [a for a, _, _ in await lines(b, AuditFilter(action="endpoint.*"))] == [
            "endpoint.disabled",
            "endpoint.created",
        ]
        assert len(await lines(b, AuditFilter(target=target))) == 2
        assert last not in await lines(
            b, AuditFilter(before=datetime.fromtimestamp(b.now / 1000, UTC))
        )
        assert [a for a, _, _ in await lines(b, app=changes.app)] == ["application.created"]


async def test_the_log_is_kept_for_its_time(database):
    """And goes with it; the line of a deleted application stays until then."""
    database.change(retention_audit=1)
    async with database.bench() as b:
        await b.store.applications.create({"name": "old"}, b.now)
        b.now += 24 * 3600 * 1000 - 1
        await b.store.applications.create({"name": "new"}, b.now)
        await b.store.prune(b.now)
        assert len(await lines(b)) == 2
        await b.store.prune(b.now + 2)
        assert [f for _, _, f in await lines(b)] == [("name",)]
        await b.store.prune(b.now + 24 * 3600 * 1000 + 2)
        assert await lines(b) == []
