"""Where a server listens, and where people reach it: as people write it."""

import pytest

from hookline import Settings
from hookline._domain.listening import parse_place
from hookline.errors import InvalidInput, InvalidSettings


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("8081", ("127.0.0.1", 8081)),
        (" 0.0.0.0:80 ", ("0.0.0.0", 80)),
        ("[::]:8080", ("::", 8080)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_places(text, place):
    """A port alone is on loopback."""
    assert parse_place(text) == place


@pytest.mark.parametrize(
    "text", ["", ":80", "x", "host:", "host:x", "1:70000", "host:-1", "tcp://x"]
)
def test_no_places(text):
    """What is none is named, also as a setting: container platforms set such variables."""
    with pytest.raises(InvalidInput, match="no place to listen"):
        parse_place(text)
    with pytest.raises(InvalidSettings, match=r"HOOKLINE_LISTEN: listen: .*no place to listen"):
        Settings.load({"HOOKLINE_LISTEN": text})


@pytest.mark.parametrize("url", ["", "https://hooks.example.com", "http://127.0.0.1:8080/hooks/"])
def test_public_urls(url):
    """None, or that of a server."""
    assert Settings.load({"HOOKLINE_PUBLIC_URL": url}).public_url == url


@pytest.mark.parametrize(
    "url",
    ["hooks.example.com", "ftp://x", "https://", "https://a b", "https://x?y", "https://u:p@x"],
)
def test_no_public_urls(url):
    """What is none is refused when it is set."""
    with pytest.raises(InvalidSettings, match="public_url"):
        Settings.load({"HOOKLINE_PUBLIC_URL": url})
