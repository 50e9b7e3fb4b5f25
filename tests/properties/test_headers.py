"""The header policy on arbitrary input: what passes cannot break a request or claim our names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline._domain.headers import check
from hookline.errors import InvalidHeader

names = st.text() | st.from_regex(r"[A-Za-z0-9-]{1,20}", fullmatch=True) | st.just("Webhook-Id")
values = st.text() | st.text(st.characters(codec="ascii")) | st.integers() | st.binary()


@given(st.dictionaries(names, values, max_size=5))
def test_what_passes_is_safe(headers):
    """Whatever passes is one line of visible ASCII per header, bounded, and no name of ours."""
    try:
        passed = check(headers)
    except InvalidHeader:
        return
    assert passed == headers
    lines = [f"{name}: {value}" for name, value in passed.items()]
    assert sum(map(len, lines)) <= 4096 + 2 * len(lines)
    for line in lines:
        assert line.isascii()
        assert not set(line) & set("\r\n\0\x7f")
        assert not line.lower().startswith(("webhook-", "x-webhook-", "svix-", "host", "content-l"))


@given(st.from_regex(r"s3cret[\x00-\uffff]{1,40}", fullmatch=True))
def test_a_value_is_never_told(value):
    """The refusal of a header never contains its value."""
    try:
        check({"Authorization": value})
    except InvalidHeader:
        pass
    else:
        value += "\n"
    with pytest.raises(InvalidHeader) as caught:
        check({"Authorization": value})
    assert "s3cret" not in str(caught.value)
