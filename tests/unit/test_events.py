"""Declaring event types, and what becomes of the data of one with a model."""

import subprocess
import sys
import types
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, NotRequired
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator
from typing_extensions import TypedDict

from hookline._app.catalogue import DeclaredEvents
from hookline.errors import InvalidInput, InvalidPayload, UnknownEventType
from hookline.events import event


class Names(StrEnum):
    """The guide's way."""

    CREATED = "customer.created"
    DELETED = "customer.deleted"


class Address(BaseModel):
    """Where."""

    city: str


@event(Names.CREATED)
class CustomerCreated(BaseModel):
    """A customer
    was created.

    Only for those who read the code.
    """

    id: UUID
    name: str = Field(examples=["Ada"], min_length=1)
    balance: Decimal = Decimal(0)
    since: datetime | None = None
    state: Literal["new", "old"] = "new"
    address: Address | None = None
    number: int = Field(default=1, alias="customerNumber")


ID = "00000000-0000-0000-0000-000000000001"
CREATED = CustomerCreated(id=UUID(int=1), name="Ada")


def shaped(declared, given, data=None):
    """Return the data as they are sent."""
    events = DeclaredEvents([declared])
    return events.shaped(*((given,) if data is None else (given, data)), *_rest(data))[1]


def _rest(data):
    from hookline._app.catalogue import MISSING

    return (MISSING,) if data is None else ()


# What is sent ------------------------------------------------------------------------------------


def test_an_instance_is_an_event():
    """Its class says which; it is sent as JSON has it: by alias, with defaults, in order."""
    name, data = DeclaredEvents([CustomerCreated]).shaped(CREATED, *_rest(None))
    assert (name, data["balance"], data["customerNumber"]) == ("customer.created", "0", 1)
    assert list(data) == [
        "id",
        "name",
        "balance",
        "since",
        "state",
        "address",
        "customerNumber",
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"id": ID, "name": "Ada", "number": 7},
        {"id": UUID(ID), "name": "Ada", "customerNumber": 7, "unknown": "left out"},
        types.SimpleNamespace(id=UUID(ID), name="Ada", number=7),
        types.MappingProxyType({"id": ID, "name": "Ada", "number": 7}),
        CustomerCreated(id=UUID(ID), name="Ada", customerNumber=7),
    ],
)
def test_what_may_be_given(given):
    """Dicts by name or alias, any object with the attributes, the model itself: all the same."""
    data = shaped(CustomerCreated, "customer.created", given)
    assert data["id"] == ID
    assert data["customerNumber"] == 7
    assert "unknown" not in data
    assert Draft202012Validator(
        DeclaredEvents([CustomerCreated]).whole()[0].schemas["1"]["properties"]["data"]
        | {"$defs": DeclaredEvents([CustomerCreated]).whole()[0].schemas["1"].get("$defs", {})}
    ).is_valid(data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": 5}, r"^customer\.created: data\.name: expected a valid string, got 5 \(int\)$"),
        ({"name": None}, r"data\.name: expected a valid string, got None$"),
        ({"address": {"city": 7}}, r"data\.address\.city: expected a valid string, got 7 \(int\)"),
        ({"address": {}}, r"data\.address\.city: missing"),
        ({"state": "x"}, r"data\.state: expected 'new' or 'old', got 'x' \(str\)"),
        ({"name": "", "id": "z"}, r"data\.id: .*; data\.name: .*at least 1 character"),
        ({"since": "x" * 999}, r"data\.since: .*got 'xxxx"),
    ],
)
def test_data_that_do_not_fit(change, words):
    """The event, the field, what was expected and what came; a long value is cut short."""
    given = {"id": ID, "name": "Ada", **change}
    with pytest.raises(InvalidPayload, match=words) as caught:
        shaped(CustomerCreated, "customer.created", given)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("data", [None, 7, "text", [], [("id", ID)], object(), b"{}", Names])
def test_data_that_are_nothing_of_the_kind(data):
    """Whatever comes, it is refused as input."""
    with pytest.raises(InvalidPayload, match=r"customer\.created: data"):
        DeclaredEvents([CustomerCreated]).shaped("customer.created", data)


def test_an_instance_that_was_changed_since():
    """What does not fit its field any more is refused, and not sent by mistake."""
    changed = CREATED.model_copy(update={"name": 5})
    with pytest.raises(InvalidPayload, match=r"customer\.created: data: cannot be sent .*name"):
        shaped(CustomerCreated, changed)


def test_values_that_a_model_keeps_to_itself():
    """`hide_input_in_errors` holds for our messages too."""

    @event("a.b")
    class Secretive(BaseModel):
        model_config = ConfigDict(hide_input_in_errors=True)
        pin: int

    with pytest.raises(InvalidPayload) as caught:
        shaped(Secretive, "a.b", {"pin": "s3cr3t"})
    assert "s3cr3t" not in str(caught.value)


def test_a_model_that_fails_in_its_own_way():
    """Whatever its validators raise is an InvalidPayload with the event in it."""

    @event("a.b")
    class Failing(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def check(cls, value):
            return 1 // value

    with pytest.raises(InvalidPayload, match=r"a\.b: data: cannot be read as Failing: .*zero"):
        shaped(Failing, "a.b", {"n": 0})


@event("dataclass.sent")
@dataclass
class Plain:
    """As the standard library has them."""

    id: int
    note: str | None = None


class Typed(TypedDict):
    id: int
    note: NotRequired[str]


def test_dataclasses_and_typed_dicts():
    """They are checked as models are; of a TypedDict nothing is filled in."""
    assert shaped(Plain, Plain(1)) == {"id": 1, "note": None}
    with pytest.raises(InvalidPayload, match=r"data\.id: expected a valid integer"):
        shaped(Plain, Plain("x"))
    typed = event("typed.sent").of(Typed)
    assert shaped(typed, "typed.sent", {"id": 1}) == {"id": 1}


def test_a_model_that_only_describes(caplog):
    """With `enforce=False` data go out as they came; the log has what does not fit."""
    loose = event("a.b", enforce=False).of(Address)
    given = {"city": 7, "more": 1}
    assert shaped(loose, "a.b", given) is given
    assert "Event a.b: data.city: expected a valid string, got 7 (int)" in caplog.text


# Which event -------------------------------------------------------------------------------------


def test_a_model_of_several_events():
    """By itself it does not say which one is meant."""
    events = DeclaredEvents([Names])
    for name in Names:
        events.declare(event(name).of(Address))
    assert events.shaped(Names.DELETED, Address(city="x"))[0] == "customer.deleted"
    with pytest.raises(InvalidInput, match=r"is the model of customer\.created, customer\.d"):
        events.shaped(Address(city="x"), *_rest(None))


def test_data_missing_and_given_twice():
    """Both say what was meant."""
    events = DeclaredEvents([CustomerCreated, "a.b"])
    for name in ("customer.created", "a.b"):
        with pytest.raises(InvalidInput, match="data: missing"):
            events.shaped(name, *_rest(None))
    with pytest.raises(InvalidInput, match="goes into metadata="):
        events.shaped(CREATED, {"user_id": "admin"})
    with pytest.raises(InvalidInput, match="expected text or an Enum member, got Address"):
        events.shaped(Address(city="x"), *_rest(None))


def test_versions():
    """An instance is of its own version, a dict of the newest; `publish` is held to that too."""

    class One(BaseModel):
        name: str

    class Two(BaseModel):
        first: str

    events = DeclaredEvents([event("a.b", version=2).of(Two), event("a.b").of(One)])
    assert events.shaped(One(name="x"), *_rest(None))[1] == {"name": "x"}
    assert events.shaped("a.b", One(name="x"))[1] == {"name": "x"}
    assert events.shaped("a.b", {"first": "x"})[1] == {"first": "x"}
    with pytest.raises(InvalidPayload, match=r"a\.b version 2: data\.first: missing"):
        events.shaped("a.b", {"name": "x"})
    events.check_body("a.b", b'{"data":{"first":"x"},"mine":1}')
    with pytest.raises(InvalidPayload, match="data: missing; publish sends a body as it is"):
        events.check_body("a.b", b'{"first":"x"}')
    [found] = events.described()
    assert [*found.schemas] == ["1", "2"]


def test_declared_twice():
    """The same is fine, as when a module is loaded again; another one says who was first."""
    events = DeclaredEvents([CustomerCreated, CustomerCreated])
    with pytest.raises(InvalidInput, match=r"already, by .*CustomerCreated; give .*Address"):
        events.declare(event("customer.created").of(Address))
    assert events.names == ("customer.created",)


# What `events=` takes ----------------------------------------------------------------------------


def test_enums_modules_and_names_in_one():
    """In any mixture, each once."""
    module = types.ModuleType("app.events")
    module.CustomerCreated, module.Plain, module.other = CustomerCreated, Plain, Address
    assert DeclaredEvents(module).names == ("customer.created", "dataclass.sent")
    mixed = DeclaredEvents([Names, module, Names.CREATED, "a.b", event("c.d", description="x")])
    assert sorted(mixed.names) == [
        "a.b",
        "c.d",
        "customer.created",
        "customer.deleted",
        "dataclass.sent",
    ]
    assert DeclaredEvents(CustomerCreated).names == ("customer.created",)
    assert {each.name: each.description for each in mixed.whole()}["c.d"] == "x"
    with pytest.raises(UnknownEventType, match=r"did you mean 'customer\.created'"):
        mixed.event_type("customer.crated")


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (types.ModuleType("empty"), "module empty has no event types"),
        ([Address], r"Address is no event type: put @event"),
        ("a.b", "events: expected an Enum"),
        (7, "events: expected an Enum"),
        ([7], "event: expected text"),
        (["a b"], "not a valid event type"),
    ],
)
def test_what_holds_no_events(events, words):
    """Each says what to do."""
    with pytest.raises(InvalidInput, match=words):
        DeclaredEvents(events)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"version": 0}, "version: expected a number from 1"),
        ({"version": True}, "version: expected a number from 1"),
        ({"version": "2"}, "version: expected a number from 1"),
        ({"description": "x" * 5000}, "description: 5000 characters"),
        ({"group": "a b"}, "group_name"),
        ({"deprecated": "soon"}, "deprecated: expected a date, got 'soon'"),
        ({"sunset": datetime(2027, 1, 1, tzinfo=UTC)}, "sunset: expected a date"),
        ({"sunset": True}, "sunset: expected a date"),
        ({"deprecated": date(2027, 2, 1), "sunset": date(2027, 1, 1)}, "is before 2027-02-01"),
        ({"successor": "a.b"}, "cannot follow itself"),
        ({"successor": "a b"}, "not a valid event type"),
    ],
)
def test_options_that_cannot_be(options, words):
    """Refused where they are written."""
    with pytest.raises(InvalidInput, match=words):
        event("a.b", **options)


# Schemas -----------------------------------------------------------------------------------------


def test_the_schema_is_of_the_whole_body():
    """What is always sent is required, defaults too; the example is one of such a body."""
    schema = DeclaredEvents([CustomerCreated]).whole()[0].schemas["1"]
    Draft202012Validator.check_schema(schema)
    assert schema["description"] == "A customer was created."
    data = schema["properties"]["data"]
    assert data["required"] == [*data["properties"]]
    assert "customerNumber" in data["properties"]
    [example] = schema["examples"]
    Draft202012Validator(schema).validate(example)
    assert example["data"]["name"] == "Ada"
    assert data["properties"]["balance"]["type"] == "string"


def test_an_example_of_ones_own():
    """It is checked as data are; one made up that does not fit is left out."""

    class Strict(BaseModel):
        code: str = Field(pattern="^[A-Z]{3}$")

    assert "examples" not in event("a.b").of(Strict).schema
    given = event("a.b", example={"code": "EUR"}).of(Strict).schema
    assert given["examples"][0]["data"] == {"code": "EUR"}
    with pytest.raises(InvalidPayload, match=r"a\.b: example\.code: .*got 'x' \(str\)"):
        _ = event("a.b", example={"code": "x"}).of(Strict).schema


def test_deprecation_is_in_the_schema():
    """So that the database's catalogue, and every document, can say it."""
    own = event("a.b", sunset=date(2031, 1, 1), successor="c.d").of(Address)
    assert str(own.deprecation) == "deprecated, not sent from 2031-01-01 on; use c.d instead"
    assert own.schema["deprecated"] is True
    assert (own.schema["x-sunset"], own.schema["x-successor"]) == ("2031-01-01", "c.d")
    assert DeclaredEvents([own]).described()[0].deprecated


def test_models_that_cannot_be():
    """Data are an object; a class that pydantic cannot read is named."""

    class Listed(RootModel[list[int]]):
        pass

    class Later(BaseModel):
        x: "Nowhere"  # noqa: F821 - on purpose

    class Odd:
        pass

    for model, words in (
        (Listed, "Listed cannot be its model: the data of an event are an object"),
        (Later, "Later cannot be its model: .*Nowhere"),
        (Odd, "Odd cannot be its model"),
    ):
        with pytest.raises(InvalidInput, match=rf"event type a\.b: .*{words}"):
            _ = event("a.b").of(model).schema


def test_without_pydantic():
    """Names need nothing; a model says what to install, where it is declared."""
    code = """
import sys
sys.modules["pydantic"] = None
from dataclasses import dataclass
from hookline import Webhooks
from hookline.events import event

webhooks = Webhooks(events=["a.b", event("c.d", description="Told.")])
print(webhooks.catalogue.json_schemas()["event_types"]["c.d"]["description"])
try:
    @event("e.f")
    @dataclass
    class Data:
        id: int
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "Told.",
        "event types with a model need pydantic 2.11 or newer: pip install 'hookline[events]'",
    ]
