"""Keys of secrets at rest, and texts sealed with them."""

import base64
import os
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline import Settings
from hookline._domain.encryption import key_text, parse_keys
from hookline._storage.vault import PLAIN, SEALED, Vault
from hookline.errors import InvalidInput, InvalidSettings, SecretsLocked

ROW, OTHER = bytes(16), bytes(15) + b"\1"
RAW = bytes(range(200, 232))
"""Whose base64 has characters that differ between the alphabets."""


def vault(*numbers):
    """Return a vault with keys made from numbers, the first of which seals."""
    return Vault(parse_keys([key_text(bytes([n]) * 32) for n in numbers]))


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(RAW).decode(),
        base64.urlsafe_b64encode(RAW).decode(),
        base64.b64encode(RAW).decode().rstrip("="),
        f"  {key_text(RAW)}\n",
    ],
)
def test_a_key_is_read_in_either_alphabet(text):
    """What openssl prints is as good as ours."""
    assert parse_keys([text])[0].key == RAW


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["not base64!"], "key 1 is not base64"),
        ([key_text(RAW), base64.b64encode(b"short").decode()], "key 2 has 5 bytes, expected 32"),
        ([key_text(RAW), base64.b64encode(RAW).decode()], "key 2 is given twice"),
        (["żółć"], "key 1 is not base64"),
        ([""], "key 1 has 0 bytes"),
    ],
)
def test_a_bad_key_is_named_by_its_position(texts, reason):
    """Its text is never in the message."""
    with pytest.raises(InvalidInput, match=reason) as caught:
        parse_keys(texts)
    assert not any(text and text in str(caught.value) for text in texts)


@pytest.mark.parametrize("value", ["c2hvcnQ=", "s3cr3t-that-is-no-key", 7])
def test_a_bad_setting_does_not_show_its_value(value):
    """Neither from the environment nor as an argument."""
    with pytest.raises(InvalidSettings, match="encryption_key") as caught:
        Settings.load({"HOOKLINE_ENCRYPTION_KEY": str(value)})
    assert str(value) not in str(caught.value).replace("key 1 has 5", "")
    with pytest.raises(InvalidSettings, match="encryption_key") as caught:
        Settings.load({}, encryption_key=value)
    assert repr(value) not in str(caught.value)


def test_settings_show_that_there_is_a_key_and_not_which():
    """Several, separated by commas, are in neither repr."""
    texts = [key_text(os.urandom(32)) for _ in range(2)]
    settings = Settings.load({"HOOKLINE_ENCRYPTION_KEY": ", ".join(texts)})
    assert settings.encryption_key == tuple(texts)
    assert "encryption_key='***'" in repr(settings)
    assert "encryption_key=()" in repr(Settings.load({}))
    shown = repr(settings) + repr(parse_keys(texts))
    assert not any(text in shown for text in texts)


@given(st.text(), st.sampled_from([(), (1,), (1, 2)]))
def test_what_is_stored_opens_again(text, keys):
    """Whatever the text, and with no key too."""
    stored = vault(*keys).seal(text, "t.c", ROW)
    assert vault(*keys).open(stored, "t.c", ROW) == text
    assert stored.startswith(SEALED) == bool(keys)
    assert vault(*keys).is_current(stored)


@pytest.mark.parametrize("text", [f"{SEALED}0123abcd:AAAA", f"{PLAIN}x", SEALED, PLAIN + SEALED])
def test_a_text_that_looks_sealed_is_kept_as_it_is(text):
    """Nobody can plant something for the vault to open."""
    stored = vault().seal(text, "t.c", ROW)
    for opener in (vault(), vault(1)):
        assert opener.open(stored, "t.c", ROW) == text
    assert vault().is_current(stored)


def test_the_same_text_is_sealed_differently_each_time():
    """Equal secrets cannot be told by their looks."""
    assert len({vault(1).seal("same", "t.c", ROW) for _ in range(100)}) == 100


def test_every_key_opens_and_the_first_seals():
    """So that a key can be changed while both are in use."""
    old = vault(1).seal("text", "t.c", ROW)
    both = vault(2, 1)
    assert both.open(old, "t.c", ROW) == "text"
    assert not both.is_current(old)
    new = both.seal("text", "t.c", ROW)
    assert both.is_current(new)
    assert vault(2).open(new, "t.c", ROW) == "text"


def test_a_missing_key_is_asked_for_by_name():
    """And those that are there are named beside it."""
    sealed = vault(1).seal("text", "t.c", ROW)
    [name] = vault(1).ids
    with pytest.raises(SecretsLocked, match=f"key {name}, not in .*, which is not set"):
        vault().open(sealed, "t.c", ROW)
    with pytest.raises(SecretsLocked, match=f"key {name}, .* which has {vault(2).ids[0]}: add it"):
        vault(2).open(sealed, "t.c", ROW)


@pytest.mark.parametrize(("column", "row"), [*product(["t.c", "t.d"], [ROW, OTHER])][1:])
def test_a_text_opens_only_where_it_was_sealed(column, row):
    """Moved to another row or column it is worth nothing."""
    sealed = vault(1).seal("text", "t.c", ROW)
    with pytest.raises(SecretsLocked, match="moved from another one"):
        vault(1).open(sealed, column, row)


@given(st.data())
def test_no_changed_byte_goes_unnoticed(data):
    """Nonce, ciphertext and tag are all authenticated."""
    sealed = vault(1).seal("a secret of some length", "t.c", ROW)
    head, _, content = sealed.rpartition(":")
    raw = bytearray(base64.b64decode(content))
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SecretsLocked):
        vault(1).open(f"{head}:{base64.b64encode(raw).decode()}", "t.c", ROW)


@given(st.text())
def test_nonsense_after_the_key_is_refused_by_our_own_error(content):
    """No error of a library comes out."""
    with pytest.raises(SecretsLocked):
        vault(1).open(f"{SEALED}{vault(1).ids[0]}:{content}", "t.c", ROW)
