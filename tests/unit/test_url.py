"""The one URL parser: what it accepts and how it writes it, and everything it refuses."""

import pytest

from hookline._domain.url import MAX_LENGTH, Url, parse
from hookline.errors import InvalidInput, InvalidUrl

ACCEPTED = {
    "https://example.com/webhook": "https://example.com/webhook",
    "https://example.com": "https://example.com/",
    "HTTPS://EXAMPLE.com/Path": "https://example.com/Path",
    "http://example.com:80/": "http://example.com/",
    "https://example.com:443/": "https://example.com/",
    "http://example.com:443/": "http://example.com:443/",
    "https://example.com:8443/a": "https://example.com:8443/a",
    "https://example.com:08443/a": "https://example.com:8443/a",
    "https://example.com?x=1": "https://example.com/?x=1",
    "https://example.com/a?b=c&d=%E5%BC%A0": "https://example.com/a?b=c&d=%E5%BC%A0",
    "https://example.com/a;b=c,d/@x:y/~z/'(*)!$": "https://example.com/a;b=c,d/@x:y/~z/'(*)!$",
    "https://example.com//double//": "https://example.com//double//",
    "https://example.com/../a/./b": "https://example.com/../a/./b",
    "https://example.com./": "https://example.com/",
    "http://localhost:8000/hook": "http://localhost:8000/hook",
    "http://my_service.internal/": "http://my_service.internal/",
    "http://a-b.example/": "http://a-b.example/",
    "http://123.example/": "http://123.example/",
    "http://127.0.0.1:9000/": "http://127.0.0.1:9000/",
    "http://0.0.0.0/": "http://0.0.0.0/",
    "http://255.255.255.255/": "http://255.255.255.255/",
    "http://[::1]:8000/x": "http://[::1]:8000/x",
    "http://[2001:DB8:0:0:0:0:0:1]/": "http://[2001:db8::1]/",
    "https://例え.テスト/": "https://xn--r8jz45g.xn--zckzah/",
    "https://BÜCHER.example/": "https://xn--bcher-kva.example/",
    "https://xn--bcher-kva.example/": "https://xn--bcher-kva.example/",
    "https://中国。cn/": "https://xn--fiqs8s.cn/",
}


@pytest.mark.parametrize(("text", "normal"), ACCEPTED.items(), ids=ACCEPTED)
def test_accepted(text, normal):
    """A usable URL is written one way: lower-case host, IDNA, no default port, a path."""
    assert str(parse(text)) == normal
    assert parse(normal) == parse(text)


def test_the_parts():
    """The parts are what a request is built from."""
    assert parse("https://Example.com/a?b") == Url("https", "example.com", 443, "/a?b")
    assert parse("http://[::1]:81") == Url("http", "[::1]", 81, "/")


REFUSED = {
    "empty": ("", "empty"),
    "no scheme": ("example.com/webhook", "not of the form"),
    "scheme only": ("https://", "not of the form"),
    "one slash": ("https:/example.com", "not of the form"),
    "no slashes": ("https:example.com", "not of the form"),
    "three slashes": ("https:///example.com", "not of the form"),
    "relative": ("//example.com/", "not of the form"),
    "ftp": ("ftp://example.com/", "scheme 'ftp'"),
    "file": ("file:///etc/passwd", "not of the form"),
    "javascript": ("javascript://example.com/%0aalert(1)", "scheme 'javascript'"),
    "ws": ("ws://example.com/", "scheme 'ws'"),
    "user": ("https://user@example.com/", "user and password"),
    "user and password": ("https://user:pw@example.com/", "user and password"),
    "empty user": ("https://@example.com/", "user and password"),
    "host hidden by user": ("https://good.example@127.0.0.1/", "user and password"),
    "host of a colon": ("https://:80/", "not a valid name"),
    "backslash as slash": ("https://example.com\\evil.example/", "backslash"),
    "backslash before @": ("http://127.0.0.1\\@evil.example/", "backslash"),
    "backslash in path": ("https://example.com/a\\b", "backslash"),
    "leading space": (" https://example.com/", "white space"),
    "trailing space": ("https://example.com/ ", "white space"),
    "trailing line break": ("https://example.com/\n", "white space"),
    "inner space": ("https://example.com/a b", "control or space"),
    "tab": ("https://exam\tple.com/", "control or space"),
    "line break": ("https://example.com/a\r\nHost: evil", "control or space"),
    "NUL": ("https://example.com/\0", "control or space"),
    "DEL": ("https://example.com/\x7f", "control or space"),
    "escape": ("https://example.com/\x1b[0m", "control or space"),
    "next line": ("https://example.com/\x85", "white space"),
    "no-break space in host": ("https://exa\xa0mple.com/", "host"),
    "percent in host": ("https://exa%6dple.com/", "percent-encoding in the host"),
    "percent dot in host": ("https://127%2e0.0.1/", "percent-encoding in the host"),
    "zone": ("http://[fe80::1%eth0]/", "percent-encoding in the host"),
    "fragment": ("https://example.com/#top", "fragment"),
    "empty fragment": ("https://example.com/#", "fragment"),
    "fragment as path": ("https://example.com#@evil.example/", "fragment"),
    "decimal": ("http://2130706433/", "unusual spelling"),
    "hexadecimal": ("http://0x7f000001/", "unusual spelling"),
    "hexadecimal parts": ("http://0x7f.0.0.1/", "unusual spelling"),
    "last part hexadecimal": ("http://127.0.0.0x1/", "unusual spelling"),
    "short hexadecimal": ("http://0x7f.1/", "unusual spelling"),
    "empty hexadecimal": ("http://0x/", "unusual spelling"),
    "octal": ("http://0177.0.0.1/", "unusual spelling"),
    "leading zero": ("http://127.0.0.01/", "unusual spelling"),
    "too short": ("http://127.1/", "unusual spelling"),
    "too long": ("http://127.0.0.0.1/", "unusual spelling"),
    "too large": ("http://256.0.0.1/", "unusual spelling"),
    "full width": ("http://１２７.0.0.1/", "unusual spelling"),
    "one full width digit": ("http://127.0.0.１/", "unusual spelling"),
    "ideographic stops": ("http://127。0。0。1/", "unusual spelling"),
    "circled digits": ("http://①②⑦.0.0.1/", "unusual spelling"),
    "empty label": ("https://example..com/", "host"),
    "leading dot": ("https://.example.com/", "host"),
    "two trailing dots": ("https://example.com../", "host"),
    "only a dot": ("https://./", "host"),
    "leading hyphen": ("https://-example.com/", "not a valid name"),
    "trailing hyphen": ("https://example-.com/", "not a valid name"),
    "long label": (f"https://{'a' * 64}.example/", "not a valid name"),
    "long name": (f"https://{'a.' * 127}example/", "not a valid name"),
    "long international label": (f"https://{'é' * 64}.example/", "international name"),
    "comma": ("https://a,b.example/", "not a valid name"),
    "slash by normalisation": ("https://a℀b.example/", "host"),
    "quote": ("https://exa'mple.com/", "not a valid name"),
    "star": ("https://*.example.com/", "not a valid name"),
    "port zero": ("https://example.com:0/", "port"),
    "port too large": ("https://example.com:65536/", "port"),
    "port empty": ("https://example.com:/", "port"),
    "port negative": ("https://example.com:-1/", "port"),
    "port of letters": ("https://example.com:http/", "port"),
    "port full width": ("https://example.com:８０/", "port"),
    "port with sign": ("https://example.com:+80/", "port"),
    "port of six digits": ("https://example.com:000080/", "port"),
    "two ports": ("https://example.com:80:81/", "port"),
    "bracket open": ("http://[::1/", "malformed IPv6"),
    "after bracket": ("http://[::1]x/", "malformed IPv6"),
    "port after bracket": ("http://[::1]:x/", "port"),
    "bracket around name": ("http://[example.com]/", "not an IPv6 address"),
    "bracket around IPv4": ("http://[127.0.0.1]/", "not an IPv6 address"),
    "empty bracket": ("http://[]/", "not an IPv6 address"),
    "IPv6 without bracket": ("http://::1/", "host"),
    "Chinese path": ("https://example.com/路径", "percent-encode"),
    "quote in path": ('https://example.com/"', "must be percent-encoded"),
    "angle in path": ("https://example.com/<x>", "must be percent-encoded"),
    "caret in query": ("https://example.com/?a=^", "must be percent-encoded"),
    "bar in path": ("https://example.com/a|b", "must be percent-encoded"),
    "brace in path": ("https://example.com/{id}", "must be percent-encoded"),
    "half an escape": ("https://example.com/%a", "two hexadecimal digits"),
    "no escape": ("https://example.com/100%", "two hexadecimal digits"),
    "surrogate": ("https://\ud800.example/", "host"),
    "too long a URL": ("https://example.com/" + "a" * MAX_LENGTH, "at most 2048"),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(text, words):
    """A malformed or two-faced URL is refused, and the message says what is wrong."""
    with pytest.raises(InvalidUrl) as caught:
        parse(text)
    assert str(caught.value).startswith("url: ")
    assert words in str(caught.value)
    assert isinstance(caught.value, InvalidInput)


@pytest.mark.parametrize("thing", [None, 7, b"https://example.com/", ["https://example.com/"]])
def test_not_text(thing):
    """Anything but text is refused by the name of its type."""
    with pytest.raises(InvalidUrl, match=f"expected text, got {type(thing).__name__}"):
        parse(thing)


def test_the_password_is_not_told():
    """A URL with a password is refused without repeating it."""
    with pytest.raises(InvalidUrl) as caught:
        parse("https://user:s3cret@example.com/")
    assert "s3cret" not in str(caught.value)


def test_the_longest_url_stays_parsable():
    """A URL that IDNA makes longer than the limit is refused at once, not at the next reading."""
    text = "http://例.com/" + "a" * (MAX_LENGTH - len("http://例.com/"))
    try:
        parsed = parse(text)
    except InvalidUrl:
        return
    assert parse(str(parsed)) == parsed
