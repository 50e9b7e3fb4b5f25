"""Operational webhooks: what happens to endpoints is told to endpoints of the operator's."""

import json
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest

from hookline.errors import InvalidInput, UnknownEventType
from hookline.testing import Receiver

THEIRS = json.loads((Path(__file__).parents[1] / "vectors" / "svix-api.json").read_text())


def told_of(receiver):
    """Return what a receiver was told, as `(type, data)`."""
    return [(r.json()["type"], r.json()["data"]) for r in receiver.received]


async def test_changes_are_told(on_each_database, receiver):
    """Of every application, with who it is about; committed with the change."""
    webhooks = on_each_database()
    operational = await webhooks.operational()
    await operational.create_endpoint(receiver.url, secret="your-secret-key")
    acme = await webhooks.applications.create("Acme", uid="acme")
    scope = await webhooks.for_application("acme")
    made = await scope.create_endpoint("https://a.example/", uid="books")
    await scope.update_endpoint("books", description="Books", headers={"X-A": "s3cr3t"})
    await scope.disable("books", "why")
    await scope.enable("books")
    await scope.delete_endpoint("books")
    await receiver.arrived(5)
    about = {
        "appId": acme.id,
        "appUid": "acme",
        "endpointId": made.id,
        "endpointUid": "books",
    }
    found = dict(told_of(receiver))
    assert found["endpoint.created"] == {**about, "changed": ["events", "uid", "url"]}
    assert found["endpoint.updated"] == {**about, "changed": ["description", "headers"]}
    disabled = found["endpoint.disabled"]
    assert datetime.fromisoformat(disabled.pop("failSince"))
    assert disabled == {**about, "trigger": "manual"}
    assert found["endpoint.enabled"] == about
    assert found["endpoint.deleted"] == about
    assert all(r.verified for r in receiver.received)


async def test_failures_are_told_and_never_of_themselves(make_webhooks, receiver, told):
    """An operational endpoint that is disabled is no reason for another event."""
    with Receiver() as broken:
        broken.answer(410)
        webhooks = make_webhooks()
        operational = await webhooks.operational()
        await operational.create_endpoint(receiver.url, secret="your-secret-key")
        await operational.create_endpoint(broken.url, ["endpoint.disabled"])
        made = await webhooks.create_endpoint(broken.url)
        receipt = await webhooks.trigger("a.b", {})
        await told.wait("is disabled", 2)
        await receiver.arrived(2)
        await webhooks.stop()
        kind, data = told_of(receiver)[-1]
        assert (kind, data["endpointId"]) == ("endpoint.disabled", made.id)
        assert (data["trigger"], "410" in data["reason"]) == ("automatic", True)
        assert [e.disabled for e in await operational.endpoints()] == [False, True]
        assert len((await operational.messages()).items) == 2
        assert receipt.message_id not in repr(told_of(receiver))


async def test_who_knows_the_events_of_svix_hears_them(on_each_database, receiver):
    """All of its published ones: under its names, with all of its data, of the right attempt."""
    webhooks = on_each_database(retry_schedule=[0, 0.01, 0.01, 0.01, 0.01])
    operational = await webhooks.operational()
    await operational.create_endpoint(receiver.url, [*THEIRS["webhooks"]], "your-secret-key")
    await webhooks.applications.create("Acme", uid="acme")
    acme = await webhooks.for_application("acme")
    with Receiver() as customer:
        await acme.create_endpoint(customer.url, uid="books")
        await acme.update_endpoint("books", description="Books")
        customer.answer(500, times=5)
        lost = await acme.publish("a.b", b"{}", event_id="one")
        await lost.delivered(10)
        customer.answer(500, times=1)
        found = await acme.trigger("a.b", {})
        await found.delivered(10)
        customer.answer(410)
        await acme.trigger("a.b", {})
        await receiver.arrived(6)
        await acme.delete_endpoint("books")
        await receiver.arrived(7)
        heard = dict(told_of(receiver))
        for kind, model in THEIRS["webhooks"].items():
            schema = {"$ref": f"#/models/{model}", "models": THEIRS["models"]}
            checker = jsonschema.Draft202012Validator(
                schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
            )
            checker.validate({"type": kind, "data": heard[kind]})
        attempts = await acme.attempts(lost.message_id)
    for kind, which in (("failing", 3), ("exhausted", 4)):
        data = heard[f"message.attempt.{kind}"]
        assert (data["msgId"], data["msgEventId"]) == (lost.message_id, "one")
        assert data["lastAttempt"]["id"] == attempts[which].id
        assert data["lastAttempt"]["responseStatusCode"] == 500
    assert heard["message.attempt.recovered"]["msgId"] == found.message_id
    assert "msgEventId" not in heard["message.attempt.recovered"]
    assert heard["message.attempt.recovered"]["lastAttempt"]["responseStatusCode"] == 200


async def test_nobody_is_told_of_what_they_do_not_want(on_each_database, receiver):
    """Event types are those there are."""
    webhooks = on_each_database(events=["invoice.paid"])
    operational = await webhooks.operational()
    with pytest.raises(UnknownEventType):
        await operational.create_endpoint(receiver.url, ["invoice.paid"])
    await operational.create_endpoint(receiver.url, ["endpoint.deleted"], "your-secret-key")
    await webhooks.create_endpoint("https://a.example/", uid="a")
    await webhooks.delete_endpoint("a")
    await receiver.arrived(1)
    assert [kind for kind, _ in told_of(receiver)] == ["endpoint.deleted"]


async def test_its_application_is_nobodys(on_each_database):
    """Not listed, not made, not changed, not exported; without it nothing is published."""
    webhooks = on_each_database(deliver=False)
    await webhooks.create_endpoint("https://a.example/")
    assert (await webhooks.messages()).items == []
    scope = await webhooks.operational()
    assert (await webhooks.operational()).id == scope.id
    await webhooks.create_endpoint("https://b.example/")
    assert (await scope.messages()).items == []
    await scope.create_endpoint("https://c.example/")
    await webhooks.create_endpoint("https://d.example/")
    assert len((await scope.messages()).items) == 1
    assert [a.uid for a in (await webhooks.applications.page()).items] == ["default"]
    assert "c.example" not in repr(await webhooks.export(secrets=True))
    for refused in (
        webhooks.applications.create("x", uid="operational"),
        webhooks.applications.update(scope.id, name="x"),
        webhooks.applications.delete("operational"),
        webhooks.plan({"hookline": 1, "applications": [{"uid": "operational", "name": "x"}]}),
    ):
        with pytest.raises(InvalidInput, match="operational"):
            await refused


async def test_what_happens_last_is_told_by_the_next(make_webhooks, receiver, told):
    """A stop waits until it is committed that somebody is to hear of it."""
    with Receiver() as broken:
        broken.answer(500)
        webhooks = make_webhooks(retry_schedule=[0])
        operational = await webhooks.operational()
        wanted = ["message.attempt.exhausted"]
        await operational.create_endpoint(receiver.url, wanted, "your-secret-key")
        await webhooks.create_endpoint(broken.url)
        receipt = await webhooks.trigger("a.b", {})
        await told.wait("Giving up")
        await webhooks.stop()
        await webhooks.start()
        await receiver.arrived(1)
        [(kind, data)] = told_of(receiver)
        assert (kind, data["msgId"], data["attempts"]) == (
            "message.attempt.exhausted",
            receipt.message_id,
            1,
        )
