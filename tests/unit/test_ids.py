"""Public identifiers."""

import pytest

from hookline._domain.ids import ALPHABET, ENDPOINT, MESSAGE, decode, encode, milliseconds, uuid7

KEY = uuid7(1_760_697_000_000, 5, 7)


def test_a_uuid7():
    """A key is a UUIDv7: time first, version 7, variant 0b10."""
    from uuid import UUID

    uuid = UUID(bytes=KEY)
    assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")
    assert milliseconds(KEY) == 1_760_697_000_000


def test_the_form():
    """The text is the prefix and 27 characters that a receiver may use in a file name."""
    text = encode(MESSAGE, KEY)
    assert text.startswith("msg_")
    assert len(text) == 31
    assert set(text.removeprefix("msg_")) <= set(ALPHABET)
    assert decode(MESSAGE, text) == KEY


@pytest.mark.parametrize("key", [b"\0" * 16, b"\xff" * 16, KEY])
def test_the_ends_of_the_range(key):
    """The least and the greatest key have their text too."""
    assert decode(MESSAGE, encode(MESSAGE, key)) == key


def test_another_kind_is_refused():
    """An endpoint's id is no message's, also with its prefix exchanged."""
    text = encode(ENDPOINT, KEY)
    assert decode(MESSAGE, text) is None
    assert decode(MESSAGE, text.replace("ep_", "msg_")) is None


@pytest.mark.parametrize(
    "text",
    ["", "msg_", "msg_" + "0" * 27, "msg_" + "z" * 27, "msg_" + "z" * 5000, "msg_" + "é" * 27],
)
def test_nonsense_is_refused(text):
    """What was never an id is None, not an exception."""
    assert decode(MESSAGE, text) is None
