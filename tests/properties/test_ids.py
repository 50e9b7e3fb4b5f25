"""Identifiers keep the order of time, read back, and refuse a slip of the pen."""

from hypothesis import given
from hypothesis import strategies as st

from hookline._domain.ids import (
    ALPHABET,
    APPLICATION,
    ATTEMPT,
    ENDPOINT,
    MESSAGE,
    decode,
    encode,
    milliseconds,
    uuid7,
)

prefixes = st.sampled_from([APPLICATION, ATTEMPT, ENDPOINT, MESSAGE])
keys = st.binary(min_size=16, max_size=16)
made = st.builds(
    uuid7, st.integers(0, 2**48 - 1), st.integers(0, 2**20 - 1), st.integers(0, 2**54 - 1)
)


@given(prefixes, keys | made)
def test_round_trip(prefix, key):
    """Every key has one text of fixed form, and the text gives the key back."""
    text = encode(prefix, key)
    assert len(text) == len(prefix) + 27
    assert set(text.removeprefix(prefix)) <= set(ALPHABET)
    assert decode(prefix, text) == key


@given(st.lists(made, min_size=2, max_size=10, unique=True))
def test_order(keys):
    """Texts sort as their keys do, and keys by time and then by counter."""
    assert sorted(keys, key=lambda key: encode(MESSAGE, key)) == sorted(keys)
    assert [milliseconds(key) for key in sorted(keys)] == sorted(map(milliseconds, keys))


@given(
    st.integers(0, 2**48 - 1),
    st.integers(0, 2**20 - 2),
    st.integers(0, 2**54 - 1),
    st.integers(0, 2**54 - 1),
)
def test_order_within_a_millisecond(moment, counter, one, other):
    """What one process makes in one millisecond keeps its order, whatever the random part."""
    assert uuid7(moment, counter, one) < uuid7(moment, counter + 1, other)


@given(prefixes, keys, st.integers(0, 26), st.sampled_from(ALPHABET))
def test_a_wrong_character(prefix, key, where, character):
    """One character exchanged is refused."""
    text = encode(prefix, key)
    where += len(prefix)
    wrong = text[:where] + character + text[where + 1 :]
    assert decode(prefix, wrong) == (key if wrong == text else None)


@given(prefixes, keys, st.integers(0, 25))
def test_two_characters_swapped(prefix, key, where):
    """Two neighbours swapped are refused."""
    body = encode(prefix, key).removeprefix(prefix)
    swapped = body[:where] + body[where + 1] + body[where] + body[where + 2 :]
    assert decode(prefix, prefix + swapped) == (key if swapped == body else None)


@given(prefixes, prefixes, keys)
def test_another_kind(one, other, key):
    """An id of one kind is none of another, also when only its prefix is exchanged."""
    text = encode(one, key)
    assert decode(other, text) == (key if one == other else None)
    exchanged = other + text.removeprefix(one)
    assert decode(other, exchanged) == (key if one == other else None)


@given(prefixes, st.text())
def test_anything_else(prefix, text):
    """Arbitrary text is refused, never an exception."""
    assert decode(prefix, text) is None
    assert decode(prefix, prefix + text) is None
