"""The URL parser on arbitrary text: it has one form for each URL and one error for the rest."""

from urllib.parse import urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from hookline._domain.url import parse
from hookline.errors import InvalidUrl

pieces = st.sampled_from(
    ["http", "https", "://", ":", "/", "//", "@", "\\", "?", "#", "[", "]", "%", "%2e", ".", "..",
     "-", "_", "0x7f", "127", "0", "1", "::1", "example", "com", "xn--", "例", "１２７", "。", "é",
     " ", "\t", "\n", "\0", "\x85", "\u200b", "\ud800", ":80", ":443", ":0", "&", "=", "a", "A"]
)  # fmt: skip
soups = st.lists(pieces, max_size=12).map("".join)
texts = st.text() | soups | soups.map("https://".__add__) | soups.map("http://".__add__)

labels = st.from_regex(r"[a-z_]([a-z0-9_-]{0,10}[a-z0-9_])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
hosts = (
    names
    | st.ip_addresses(v=4).map(str)
    | st.ip_addresses(v=6).map(lambda a: f"[{a}]")
    | st.from_regex(r"[a-zéü例中]{1,10}\.example", fullmatch=True)
)
paths = st.from_regex(
    r"(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}){0,8}){0,3}(\?[a-z0-9=&/?]{0,8})?",
    fullmatch=True,
)
urls = st.builds(
    lambda scheme, host, port, path: f"{scheme}://{host}{port}{path}",
    st.sampled_from(["http", "https", "HTTP", "HttpS"]),
    hosts | hosts.map(str.upper),
    st.just("") | st.integers(1, 65535).map(lambda port: f":{port}"),
    paths,
)


def parsed(text):
    """Return the parts, None when it is refused; any other exception fails the test."""
    try:
        return parse(text)
    except InvalidUrl:
        return None


@given(texts | urls)
@example("https://")
@example("http://[")
@example("http://[::ffff:1.2.3.4]/")
@example("http://" + "1" * 5000 + "/")
def test_one_form_or_one_error(text):
    """Any text is refused as InvalidUrl, or has one written form that reads back the same."""
    url = parsed(text)
    if url is not None:
        assert parse(str(url)) == url
        assert str(parse(str(url))) == str(url)


@given(urls)
def test_well_formed_urls_are_accepted(text):
    """A URL made by the rules is accepted, its path and query kept as written."""
    url = parse(text)
    assert text.lower().startswith(f"{url.scheme}://")
    assert text.endswith(url.target.removeprefix("/"))


@given(soups.map("https://".__add__) | urls)
def test_the_standard_library_reads_the_same(text):
    """Where our parser accepts a URL, another parser finds the same host, port and no user."""
    url = parsed(text)
    if url is None:
        return
    other = urlsplit(str(url))
    assert other.scheme == url.scheme
    assert other.hostname == url.host.strip("[]")
    assert (other.port or {"http": 80, "https": 443}[url.scheme]) == url.port
    assert (other.username, other.password, other.fragment) == (None, None, "")


@given(soups.map("https://".__add__) | urls)
def test_what_is_accepted_is_safe_on_the_wire(text):
    """An accepted URL is visible ASCII without anything that could end a line or a host."""
    url = parsed(text)
    if url is None:
        return
    assert all("!" <= character <= "~" for character in str(url))
    assert not set(url.host) & set("@/\\?#% ")
    assert url.host == url.host.lower()
    assert 0 < url.port < 65536
