"""Keys of the REST API: tokens, scopes and what they allow."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hookline._domain import ids
from hookline._domain.api_key import (
    ApiKey,
    authenticated,
    checked_name,
    checked_scopes,
    hashed,
    key_of,
    token,
)
from hookline.errors import InvalidApiKey, InvalidInput

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = bytes(range(16))
TOKEN = token(KEY, bytes(32))


def key(*scopes, **fields):
    """Return a key with scopes."""
    return ApiKey("name", scopes, ids.encode(ids.API_KEY, KEY), NOW, **fields)


@pytest.mark.parametrize(
    ("scopes", "everywhere", "in_a", "in_b"),
    [
        # each: may read, may write
        (["admin"], (True, True), (True, True), (True, True)),
        (["read"], (True, False), (True, False), (True, False)),
        (["application:a"], (False, False), (True, True), (False, False)),
        (["application:a", "read"], (False, False), (True, False), (False, False)),
        (["application:a", "application:b"], (False, False), (True, True), (True, True)),
    ],
)
def test_what_scopes_allow(scopes, everywhere, in_a, in_b):
    """In no application in particular, in a, and in b."""
    for application, (reads, writes) in ((None, everywhere), ("a", in_a), ("b", in_b)):
        assert key(*scopes).allows(application, write=False) == reads
        assert key(*scopes).allows(application, write=True) == writes


@pytest.mark.parametrize(
    ("scopes", "reason"),
    [
        ([], "empty"),
        ("admin", "expected a list"),
        (None, "expected a list"),
        (["write"], "'write' is not admin, read or"),
        (["application:"], "'application:' is not"),
        (["admin", "read"], "stands alone"),
        ([7], "7 is not"),
        ([f"application:{n}" for n in range(101)], "101, at most 100"),
    ],
)
def test_scopes_that_make_no_sense(scopes, reason):
    """Each is refused with what is wrong."""
    with pytest.raises(InvalidInput, match=f"scopes: .*{reason}"):
        checked_scopes(scopes)


def test_repeated_scopes_count_once():
    """In the order given."""
    assert checked_scopes(["read", "application:a", "read"]) == ("read", "application:a")


@pytest.mark.parametrize("name", ["", "n" * 257, 7])
def test_a_key_has_a_name(name):
    """Of 1 to 256 characters."""
    with pytest.raises(InvalidInput, match="name"):
        checked_name(name)


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32))
def test_a_token_names_its_key(key, secret):
    """And is plain text for a header."""
    text = token(key, secret)
    assert key_of(text) == key
    assert text.isascii()
    assert text.replace("_", "").replace("-", "").isalnum()
    assert text.startswith("hk_")


@given(st.one_of(st.text(), st.text().map(lambda t: f"hk_{t}"), st.text().map(TOKEN.__add__)))
def test_anything_else_opens_nothing(text):
    """Whatever it is, one error comes out, and it does not repeat the text."""
    assume(text != TOKEN)

    def attempt():
        key_of(text)
        return authenticated(text, (hashed(TOKEN), key("admin")), NOW)

    with pytest.raises(InvalidApiKey) as caught:
        attempt()
    assert len(text) < 8 or text not in str(caught.value)


def test_a_token_opens_its_key():
    """The one whose hash is stored."""
    mine = key("admin")
    assert authenticated(TOKEN, (hashed(TOKEN), mine), NOW) is mine


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (None, "unknown"),
        ((hashed(token(KEY, bytes([1] * 32))), key("admin")), "unknown"),
        ((hashed(TOKEN), key("admin", revoked_at=NOW)), r"key_\w+ \(name\) was revoked at 2026"),
        ((hashed(TOKEN), key("admin", expires_at=NOW)), r"key_\w+ \(name\) expired at 2026"),
    ],
)
def test_a_token_that_opens_nothing(found, reason):
    """Unknown, changed, revoked or expired: the operator is told which."""
    with pytest.raises(InvalidApiKey, match=reason):
        authenticated(TOKEN, found, NOW)


def test_a_key_is_usable_until_it_expires():
    """To the last moment."""
    assert key("read", expires_at=NOW + timedelta(milliseconds=1)).usable(NOW) is None


def test_the_token_is_not_in_the_repr():
    """Of the key as it was made."""
    assert TOKEN not in repr(key("admin", token=TOKEN))
