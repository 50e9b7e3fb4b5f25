"""Lookups of `assert_sent`: paths, operators, and what they do not take for equal."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.testing._lookups import OPERATORS, ROOTS, Lookup

MESSAGE = SimpleNamespace(
    data={
        "customer": {"name": "张三", "age": 41, "vip": True, "note": None},
        "items": [{"sku": "a"}, {"sku": "b"}],
        "in": "a member named as an operator",
        "gt": {"lt": 1},
    },
    metadata=None,
    application="acme",
    channels=("eu", "beta"),
    tags=(),
    event_id="evt-1",
    id="msg_1",
    ordering_key=None,
    payload={"event": "customer.created"},
)


def holds(**lookup):
    [(name, wanted)] = lookup.items()
    return Lookup(name, wanted).holds(MESSAGE)


@pytest.mark.parametrize(
    "lookup",
    [
        {"data__customer__name": "张三"},
        {"data__items__1__sku": "b"},
        {"data__customer__name__exact": "张三"},
        {"data__customer__name__contains": "三"},
        {"data__customer__contains": {"name": "张三", "vip": True}},
        {"data__items__contains": {"sku": "a"}},
        {"data__items__len": 2},
        {"data__customer__age__gt": 40},
        {"data__customer__age__gte": 41},
        {"data__customer__age__lt": 41.5},
        {"data__customer__age__lte": 41},
        {"data__customer__age__in": [1, 41]},
        {"data__customer__name__startswith": "张"},
        {"data__customer__name__endswith": "三"},
        {"data__customer__name__regex": "^张.$"},
        {"data__customer__note__isnull": True},
        {"data__customer__missing__isnull": True},
        {"data__customer__name__isnull": False},
        {"data__in__exact": "a member named as an operator"},
        {"data__gt__lt__exact": 1},
        {"metadata": None},
        {"application": "acme"},
        {"channels__contains": "eu"},
        {"channels": ["eu", "beta"]},
        {"channels__0": "eu"},
        {"tags__len": 0},
        {"event_id__startswith": "evt-"},
        {"payload__event": "customer.created"},
    ],
    ids=str,
)
def test_what_holds(lookup):
    """A path leads through names and positions; its last part may be an operator."""
    assert holds(**lookup)


@pytest.mark.parametrize(
    "lookup",
    [
        {"data__customer__name": "李四"},
        {"data__customer__missing": None},  # missing is not null
        {"data__customer__vip": 1},  # nor is true a number
        {"data__customer__age": True},
        {"data__customer__age__gt": "40"},  # nor is a number compared with a text
        {"data__customer__name__gt": 1},
        {"data__customer__vip__gte": 0},
        {"data__items__2__sku": "a"},
        {"data__items__-1__sku": "b"},
        {"data__customer__age__contains": 4},
        {"data__customer__contains": {"name": "张三", "other": 1}},
        {"data__customer__name__x": 1},
        {"data__customer__note__len": 0},
        {"data__customer__age__startswith": "4"},
        {"metadata__source": "x"},
    ],
    ids=str,
)
def test_what_does_not_hold(lookup):
    """Kinds that cannot be compared, and paths that lead nowhere, are no errors and no match."""
    assert not holds(**lookup)


def test_a_path_begins_with_what_a_message_has():
    """A misspelt root is an error, not a lookup that never holds."""
    with pytest.raises(TypeError, match=r"dat__name: a message has no 'dat'.*data"):
        Lookup("dat__name", 1)
    with pytest.raises(TypeError, match="event_type"):
        Lookup("event_type", "customer.created")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc_", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(data=VALUES, wanted=VALUES, operator=st.sampled_from(sorted({*OPERATORS} - {"in", "regex"})))
def test_any_data_can_be_looked_at(data, wanted, operator):
    """Whatever was published, a lookup holds or does not; `exact` holds for itself."""
    message = SimpleNamespace(data=data)
    if operator in ("startswith", "endswith") and not isinstance(wanted, str):
        wanted = "a"
    assert Lookup(f"data__{operator}", wanted).holds(message) in (True, False)
    assert Lookup("data", data).holds(message)


def test_every_root_is_there():
    """The roots are what `SentMessage` has."""
    assert all(hasattr(MESSAGE, root) for root in ROOTS)
