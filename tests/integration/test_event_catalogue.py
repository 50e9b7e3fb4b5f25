"""Event types with models, from the code to the receiver, to the database and to documents."""

import json
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from jsonschema import Draft7Validator
from openapi_spec_validator import validate
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from tools import npm
from typer.testing import CliRunner

from hookline import Event
from hookline._storage.schema import message
from hookline.cli import app as cli
from hookline.errors import InvalidInput, InvalidPayload
from hookline.events import changes, event
from hookline.fastapi import describe

NODE = Path(__file__).parent / "node"


@event("order.placed", description="Somebody ordered.", group="orders")
class OrderPlaced(BaseModel):
    """An order."""

    number: str = Field(examples=["A-1"])
    total: int = 0


@event("order.gone", deprecated=date(2030, 1, 1), successor="order.placed")
class OrderGone(BaseModel):
    """As it was."""

    number: str


async def test_from_the_code_to_the_receiver(make_webhooks, receiver):
    """An instance, a dict, several at once, and a body of one's own."""
    webhooks = make_webhooks(events=[OrderPlaced, "plain.name"])
    webhooks.register(receiver.url, ["*"], secret="your-secret-key")
    await webhooks.trigger(OrderPlaced(number="A-1"), metadata={"user_id": "admin"})
    await webhooks.trigger("order.placed", {"number": "A-2", "more": "left out"})
    await webhooks.trigger_many(
        [OrderPlaced(number="A-3"), Event(OrderPlaced(number="A-4")), ("plain.name", {"x": 1})]
    )
    await webhooks.publish("order.placed", b'{"data":{"number":"A-5"},"own":true}')
    came = {
        json.dumps(each.json().get("data"), sort_keys=True): each for each in receiver.wait_for(6)
    }
    assert sorted(came) == [
        '{"number": "A-1", "total": 0}',
        '{"number": "A-2", "total": 0}',
        '{"number": "A-3", "total": 0}',
        '{"number": "A-4", "total": 0}',
        '{"number": "A-5"}',
        '{"x": 1}',
    ]
    assert all(each.verified for each in came.values())
    assert came['{"number": "A-1", "total": 0}'].json()["metadata"] == {"user_id": "admin"}
    assert came['{"number": "A-5"}'].body == b'{"data":{"number":"A-5"},"own":true}'


async def test_what_does_not_fit_is_written_nowhere(make_webhooks, database_file):
    """Neither by itself, nor with a session, nor with good ones, nor as a body of one's own."""
    webhooks = make_webhooks(events=[OrderPlaced], deliver=False)
    await webhooks.start()
    bad = {"number": 7}
    engine = sa.create_engine(f"sqlite:///{database_file}")
    with Session(engine) as session:
        for attempt in (
            webhooks.trigger("order.placed", bad),
            webhooks.trigger("order.placed", bad, session=session),
            webhooks.trigger_many([OrderPlaced(number="A-1"), ("order.placed", bad)]),
            webhooks.publish("order.placed", b'{"data":{"number":7}}'),
            webhooks.publish("order.placed", b'{"number":"A-1"}'),
        ):
            with pytest.raises(InvalidPayload, match=r"^order\.placed: data"):
                await attempt
        with pytest.raises(InvalidInput, match="data: missing"):
            await webhooks.trigger("order.placed")
        assert session.scalar(sa.select(sa.func.count()).select_from(message)) == 0
    engine.dispose()


async def test_declared_above_a_class(make_webhooks, receiver):
    """`@webhooks.event` gives the class back, before the start and after it."""
    webhooks = make_webhooks(events=())
    webhooks.register(receiver.url, ["*"])

    @webhooks.event("a.before")
    class Before(BaseModel):
        """Early."""

        id: int

    await webhooks.start()

    @webhooks.event("a.later")
    class Later(BaseModel):
        """Late."""

        id: int

    for each in (Before(id=1), Later(id=2)):
        await webhooks.trigger(each)
    assert sorted(each.json()["event"] for each in receiver.wait_for(2)) == ["a.before", "a.later"]
    page = await webhooks.event_types.page()
    assert [(t.name, t.description) for t in page.items] == [
        ("a.before", "Early."),
        ("a.later", "Late."),
    ]
    with pytest.raises(InvalidInput, match="cannot be its model"):
        webhooks.event("a.bad")(object)
    assert "a.bad" not in [d.name for d in webhooks._events.declarations]


async def test_a_restart_changes_nothing(make_webhooks, caplog):
    """What an operator changed stays, is said in the log, and one line of the audit is enough."""
    for description in ("Somebody ordered.", "By hand.", "By hand."):
        async with make_webhooks(events=[OrderPlaced], deliver=False) as webhooks:
            found = await webhooks.event_types.get("order.placed")
            assert found.description == description
            await webhooks.event_types.update("order.placed", description="By hand.")
            assert [e.action for e in (await webhooks.audit()).items if e.actor.kind == "code"] == [
                "event_type.updated",
                "event_type.created",
            ]
    assert found.group_name == "orders"
    assert found.schema["properties"]["data"]["properties"]["number"]["type"] == "string"


async def test_a_test_event_is_an_example(make_webhooks, receiver):
    """Of an event type with a model, unless data are given."""
    webhooks = make_webhooks(events=[OrderPlaced])
    webhooks.register(receiver.url, ["*"])
    await webhooks.send_test(receiver.url, "order.placed")
    [came] = receiver.wait_for(1)
    assert came.json()["data"] == {"number": "A-1", "total": 0}


async def test_other_applications_have_the_same_catalogue(make_webhooks):
    """What is declared counts for every customer."""
    webhooks = make_webhooks(events=[OrderPlaced], deliver=False)
    await webhooks.applications.create("Acme", uid="acme")
    acme = await webhooks.for_application("acme")
    await acme.trigger(OrderPlaced(number="A-1"))
    with pytest.raises(InvalidPayload):
        await acme.trigger("order.placed", {})


def test_documents(make_webhooks):
    """OpenAPI, AsyncAPI, JSON Schemas and Markdown of one catalogue; nothing is opened for them."""
    catalogue = make_webhooks(
        events=[OrderPlaced, OrderGone, "plain.name"], database="sqlite:////nowhere/x.db"
    ).catalogue
    validate(catalogue.openapi("Shop", "2.0"))
    assert catalogue.openapi("Shop")["info"]["title"] == "Shop"
    page = catalogue.markdown("Shop | events")
    assert page.startswith("# Shop \\| events\n\n")
    assert "| `data.number` | string | yes |  |" in page
    assert "**Deprecated since 2030-01-01; use order.placed instead.**" in page
    schemas = catalogue.json_schemas()
    assert [*schemas["event_types"]] == ["order.gone", "order.placed", "plain.name"]
    assert changes(schemas, json.loads(json.dumps(schemas)), today=date(2030, 1, 1)) == []


def test_the_asyncapi_document_is_one(make_webhooks):
    """By the official JSON Schema of AsyncAPI 3.0."""
    if not npm.install(NODE):
        pytest.skip("needs Node and npm")
    official = json.loads((NODE / "node_modules/@asyncapi/specs/schemas/3.0.0.json").read_text())
    second = event("order.placed", version=2, description="<b>|`").of(OrderGone)
    webhooks = make_webhooks(events=[OrderPlaced, second, OrderGone, "plain.name"])
    document = webhooks.catalogue.asyncapi()
    check = Draft7Validator(official)
    assert [error.message for error in check.iter_errors(document)] == []
    assert [*document["channels"]["order.placed"]["messages"]] == [
        "order.placed.v1",
        "order.placed",
    ]
    del document["channels"]["plain.name"]["messages"]["plain.name"]["$ref"]
    document["channels"]["plain.name"]["adress"] = 1
    assert [*check.iter_errors(document)]


def test_in_the_application_s_own_document(make_webhooks):
    """`describe` adds what is sent, also what is declared later, and takes nothing away."""
    app, webhooks = FastAPI(), make_webhooks(events=[OrderPlaced])

    @app.post("/orders")
    def create(order: OrderPlaced) -> OrderPlaced:
        return order

    @app.webhooks.post("own.webhook")
    def own(order: OrderPlaced) -> None:
        """One of FastAPI's own."""

    describe(app, webhooks)
    webhooks.event("order.gone")(OrderGone)
    document = app.openapi()
    validate(document)
    assert [*document["webhooks"]] == ["own.webhook", "order.gone", "order.placed"]
    assert {"OrderPlaced", "order.placed", "HTTPValidationError"} <= {
        *document["components"]["schemas"]
    }
    assert "/orders" in document["paths"]


# The command line --------------------------------------------------------------------------------

SHOP = """
from pydantic import BaseModel
from hookline import Webhooks

webhooks = Webhooks(events=())

@webhooks.event("order.placed")
class OrderPlaced(BaseModel):
    number: str
    total: int
"""


@pytest.fixture
def hookline(tmp_path, monkeypatch, database_file):
    """Return a runner of `hookline event-types …` in a folder, and a writer of modules there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKLINE_DATABASE", f"sqlite:///{database_file}")
    numbers = iter(range(100))

    def run(*arguments):
        ended = CliRunner().invoke(cli, ["event-types", *arguments])
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return ended.exit_code, ended.stdout, ended.stderr

    def module(text):
        name = f"shop_{tmp_path.name.replace('-', '_')}_{next(numbers)}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    run.module = module
    return run


def test_check_in_ci(hookline):
    """A first file, no change, a safe one, a breaking one; the exit code says which."""
    first = hookline.module(SHOP)
    assert hookline("check", "lock.json", f"{first}:webhooks", "--write")[0] == 0
    assert hookline("check", "lock.json", first, "--exact") == (
        0,
        "Nothing changed for receivers.\n",
        "",
    )
    more = hookline.module(SHOP + "    note: str | None = None\n")
    code, out, _ = hookline("check", "lock.json", more)
    assert (code, out) == (
        0,
        "✓ order.placed 1: data.note: was added\nNo change breaks receivers.\n",
    )
    code, _, error = hookline("check", "lock.json", more, "--exact")
    assert (code, "not current; accept with --write" in error) == (1, True)
    less = hookline.module(SHOP.replace("    total: int\n", "    total: str\n    note: str\n"))
    code, out, _ = hookline("check", "lock.json", less)
    assert code == 1
    assert out.splitlines() == [
        "✗ order.placed 1: data.total: was integer, is string",
        "✓ order.placed 1: data.note: was added",
        "1 of 2 changes breaks receivers.",
    ]
    found = json.loads(hookline("check", "lock.json", less, "--json")[1])
    assert found["breaking"] == 1
    assert found["changes"][0]["path"] == "data.total"
    assert hookline("check", "lock.json", less, "--write")[0] == 0
    assert hookline("check", "lock.json", less, "--exact")[0] == 0
    assert hookline("check", "lock.json", "lock.json")[0] == 0


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("nowhere_at_all", "No module named 'nowhere_at_all'; looked in"),
        ("json:nothing", "json has no 'nothing'"),
        ("json", "the module json has no event types"),
        ("missing.json", "missing.json: No such file"),
        ("broken.json", "broken.json: line 1, column 2"),
        ("other.json", "other.json: expected a catalogue"),
    ],
)
def test_what_cannot_be_checked(hookline, tmp_path, new, words):
    """Ends with 2, and says why."""
    (tmp_path / "lock.json").write_text('{"hookline": 1, "event_types": {}}')
    (tmp_path / "broken.json").write_text("{oh")
    (tmp_path / "other.json").write_text("{}")
    code, _, error = hookline("check", "lock.json", new)
    assert (code, words in error) == (2, True), error


def test_a_module_that_fails(hookline, tmp_path):
    """Its own error is shown in a line; two of them are asked about."""
    (tmp_path / "lock.json").write_text('{"hookline": 1, "event_types": {}}')
    failing = hookline.module("raise RuntimeError('no database')")
    assert "RuntimeError: no database" in hookline("check", "lock.json", failing)[2]
    two = hookline.module(SHOP + "\nother = Webhooks()\n")
    assert f"which one? {two}:webhooks, {two}:other" in hookline("check", "lock.json", two)[2]


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("json-schema", '{\n  "hookline": 1'),
        ("openapi", '{\n  "openapi": "3.1.0"'),
        ("asyncapi", '{\n  "asyncapi": "3.0.0"'),
        ("markdown", "# Shop\n"),
    ],
)
async def test_export(hookline, make_webhooks, tmp_path, form, start):
    """From a module, into a file, or what a database has; both say the same."""
    name = hookline.module(SHOP)
    code, out, _ = hookline("export", name, "--format", form, "--title", "Shop")
    assert (code, out.startswith(start)) == (0, True)
    assert hookline("export", name, "--format", form, "--title", "Shop", "-o", "x")[0] == 0
    assert (tmp_path / "x").read_text("utf-8") == out
