"""Event types, subscriptions and the catalogue."""

from enum import Enum, StrEnum

import pytest

from hookline._domain.endpoint import Catalogue, Endpoint, matches
from hookline.errors import InvalidInput, UnknownEventType


class Event(StrEnum):
    """A catalogue as the guide writes it."""

    CUSTOMER_CREATED = "customer.created"
    CUSTOMER_UPDATED = "customer.updated"
    DOCUMENT_UPLOADED = "document.uploaded"


class Plain(Enum):
    """The same as a plain Enum."""

    CREATED = "customer.created"


@pytest.mark.parametrize(
    ("subscriptions", "event", "wanted"),
    [
        (["customer.created"], "customer.created", True),
        (["customer.created"], "customer.updated", False),
        (["*"], "anything", True),
        (["customer.*"], "customer.created", True),
        (["customer.*"], "customer.address.changed", True),
        (["customer.*"], "customer", False),
        (["customer.*"], "customers.created", False),
        (["customer"], "customer.created", False),
        (["invoice.paid", "customer.*"], "customer.created", True),
        ([], "customer.created", False),
        (["Customer.Created"], "customer.created", False),
    ],
)
def test_matching(subscriptions, event, wanted):
    """`*` is everything, `a.*` all below `a`, and a name is that name in that case."""
    assert matches(subscriptions, event) is wanted
    assert Endpoint("https://example.com/", tuple(subscriptions)).wants(event) is wanted


@pytest.mark.parametrize("given", [Event.CUSTOMER_CREATED, "customer.created", Plain.CREATED])
def test_a_member_is_its_text(given):
    """An event may be given as a member of any Enum or as text."""
    assert Catalogue(Event).event_type(given) == "customer.created"
    assert type(Catalogue(Event).event_type(given)) is str or given is Event.CUSTOMER_CREATED


def test_an_unknown_event_names_the_nearest():
    """The error lists the nearest names, or all when none is near."""
    with pytest.raises(UnknownEventType) as caught:
        Catalogue(Event).event_type("customer.crated")
    assert str(caught.value) == (
        "unknown event type 'customer.crated'; did you mean 'customer.created' or "
        "'customer.updated'?"
    )
    with pytest.raises(UnknownEventType) as caught:
        Catalogue(Event).event_type("xyz")
    for name in Event:
        assert name in str(caught.value)


def test_a_catalogue_of_names():
    """A catalogue may be any iterable of names and members, repeats and generators included."""
    names = (name for name in ["a.b", Event.CUSTOMER_CREATED, "a.b"])
    catalogue = Catalogue(names)
    assert catalogue.names == ("a.b", "customer.created")
    assert catalogue.event_type("a.b") == "a.b"


def test_an_empty_catalogue_knows_nothing():
    """A catalogue without names refuses every event; no catalogue accepts every well-formed one."""
    with pytest.raises(UnknownEventType):
        Catalogue([]).event_type("a.b")
    assert Catalogue().event_type("a.b") == "a.b"


@pytest.mark.parametrize("names", [["a b"], ["a..b"], [""], ["*"], ["a.*"], [7], ["a" * 129]])
def test_a_catalogue_of_malformed_names(names):
    """A name that could never be triggered is refused when the catalogue is made."""
    with pytest.raises(InvalidInput, match="event"):
        Catalogue(names)


def test_subscriptions():
    """Subscriptions come back as text, without repeats, in their order."""
    given = [Event.CUSTOMER_UPDATED, "customer.*", "customer.updated", "*"]
    assert Catalogue(Event).subscriptions(given) == ("customer.updated", "customer.*", "*")
    assert Catalogue().subscriptions({"a.b"}) == ("a.b",)
    assert Catalogue().subscriptions(name for name in ["a.b"]) == ("a.b",)


@pytest.mark.parametrize(
    ("events", "error", "words"),
    [
        ([], InvalidInput, "events: empty"),
        ("customer.created", InvalidInput, "expected a list"),
        (Event.CUSTOMER_CREATED, InvalidInput, "expected a list"),
        (["customer.crated"], UnknownEventType, "did you mean 'customer.created'"),
        (["invoice.*"], UnknownEventType, "invoice"),
        (["customer"], UnknownEventType, "customer"),
        (["cust*"], InvalidInput, r"cust\*"),
        (["*.created"], InvalidInput, r"\*\.created"),
        (["customer.**"], InvalidInput, r"customer\.\*\*"),
        ([7], InvalidInput, "got int"),
        ([None], InvalidInput, "got NoneType"),
    ],
)
def test_subscriptions_that_cannot_be(events, error, words):
    """A subscription nothing can match is refused by its name."""
    with pytest.raises(error, match=words):
        Catalogue(Event).subscriptions(events)


@pytest.mark.parametrize("events", [None, 7, object()])
def test_subscriptions_that_are_no_list(events):
    """Something that is no list of events is refused as input, not as a programming error."""
    with pytest.raises(InvalidInput, match="events"):
        Catalogue().subscriptions(events)
