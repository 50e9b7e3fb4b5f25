"""Proxies' URLs, certificates and keys: what is accepted, and that nothing of a secret is said."""

import builtins
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.integration.private_support import Authority, authority

from hookline._domain.endpoint import Endpoint
from hookline._domain.identity import DIRECT, Identity, Proxying, check_pem, parse_proxy
from hookline._domain.options import SENSITIVE, checked
from hookline._sending import certificates
from hookline._settings import Settings
from hookline.errors import InvalidInput, InvalidSettings

# proxies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown", "user", "password"),
    [
        ("http://proxy.example.com:3128", "http://proxy.example.com:3128", "", ""),
        ("HTTP://Proxy.Example.COM:3128/", "http://proxy.example.com:3128", "", ""),
        ("https://me:secret@10.0.0.1:443", "https://10.0.0.1:443", "me", "secret"),
        ("socks5://me@[fd00::1]:1080", "socks5://[fd00::1]:1080", "me", ""),
        ("http://me:p%40ss%3A%2F@squid:3128", "http://squid:3128", "me", "p@ss:/"),
    ],
)
def test_a_proxy(text, shown, user, password):
    """User and password are decoded, and not shown."""
    proxy = parse_proxy(text)
    assert (str(proxy), proxy.user, proxy.password) == (shown, user, password)
    assert "secret" not in repr(proxy)
    assert "secret" not in str(proxy)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "0 characters"),
        (5, "expected text, got int"),
        ({"http": "x"}, "expected text, got dict"),
        ("proxy.example.com:3128", "is not a proxy's URL"),
        ("http://geheim@proxy.example.com", "is not a proxy's URL"),
        ("http://me:geheim@proxy.example.com/x:1", "is not a proxy's URL"),
        ("http://me:geheim@a@b:1", "is not a proxy's URL"),
        ("http://me:geheim@proxy.example.com:1\r\nX: 1", "is not a proxy's URL"),
        ("http://me:geheim%0d%0a@proxy.example.com:1", "contains a control character"),
        ("http://me:geheim%ff@proxy.example.com:1", "is not UTF-8"),
        ("http://me%3Ayou:geheim@proxy.example.com:1", "contains a colon"),
        ("http://:geheim@proxy.example.com:1", "the user is missing"),
        ("socks5h://proxy.example.com:1", "write socks5://"),
        ("socks4://proxy.example.com:1", "scheme 'socks4' is not supported"),
        ("http://proxy.example.com:0", "port 0 is not a number from 1 to 65535"),
        ("http://proxy.example.com:65536", "port 65536"),
        ("http://127.1:1", "is not an address"),
        ("http://2130706433:1", "is not an address"),
        ("http://[::g]:1", "is not a proxy's URL"),
        ("http://[1.2.3.4]:1", "is not an address"),
        ("http://a..b:1", "is not a host's name"),
        ("socks5://" + "u" * 256 + ":geheim@h:1", "longer than SOCKS5 allows"),
        ("http://" + "a" * 3000 + ":1", "3009 characters"),
    ],
)
def test_no_proxy(text, words):
    """The refusal names the option, and nothing of the password."""
    with pytest.raises(InvalidInput, match=r"^proxy: ") as told:
        parse_proxy(text)
    assert words in str(told.value)
    assert "geheim" not in str(told.value)


def test_whose_proxy():
    """The endpoint's own, none by its word, the deployment's otherwise; all resolve or none."""
    for resolves in (False, True):
        default = parse_proxy("http://default:1", resolves=resolves)
        proxying = Proxying(default, resolves)
        assert proxying.of(None) is default
        assert proxying.of(DIRECT) is None
        assert proxying.of("http://own:1") == parse_proxy("http://own:1", resolves=resolves)
    assert Proxying().of(None) is None


def test_the_setting():
    """It is checked when settings are made; its password is in no `repr` and no refusal."""
    settings = Settings.load({"HOOKLINE_PROXY": "http://me:geheim@proxy:1"})
    assert settings.proxying().default.password == "geheim"
    assert "geheim" not in repr(settings)
    assert Settings.load({}).proxying() == Proxying()
    assert Settings.load({"HOOKLINE_PROXY_RESOLVES": "1"}).proxying() == Proxying(
        None, resolves=True
    )
    for wrong in ("http://me:geheim@proxy", "socks5h://me:geheim@proxy:1"):
        with pytest.raises(InvalidSettings, match="HOOKLINE_PROXY: proxy: ") as told:
            Settings.load({"HOOKLINE_PROXY": wrong})
        assert "geheim" not in str(told.value)
    with pytest.raises(InvalidSettings) as told:
        Settings.load({}, proxy=["http://me:geheim@proxy:1"])
    assert "geheim" not in str(told.value)


# identities ---------------------------------------------------------------------------------------


def test_equal_identities_are_one():
    """So that connections are found by it; the plain one is none."""
    assert Identity.of() is None
    assert Identity.of(ca="a", http2=True) is Identity.of(ca="a", http2=True)
    several = [{"ca": "a"}, {"ca": "b"}, {"http2": True}, {"certificate": "c", "key": "k"}]
    several += [{"proxy": parse_proxy(f"http://{user}@p:1")} for user in ("me:x", "me:y")]
    several += [{"proxy": parse_proxy("http://p:1", resolves=r)} for r in (False, True)]
    assert len({Identity.of(**each) for each in several}) == len(several)


# certificates and keys ----------------------------------------------------------------------------


def looked_at(ca, certificate, key):
    """What `register` does with them."""
    check_pem(ca, certificate, key)
    certificates.check(ca, certificate, key)


def refusal(ca=None, certificate=None, key=None):
    with pytest.raises(InvalidInput) as told:
        looked_at(ca, certificate, key)
    words = str(told.value)
    for line in (key or "").splitlines()[1:-1]:
        assert line not in words
    return words


def test_a_pair_that_fits():
    """A certificate and its key, a chain behind it, EC and RSA, both forms of PEM."""
    certificate, key = authority().issue("shop")
    check_pem(authority().certificate, certificate, key)
    certificates.check(authority().certificate, certificate, key)
    certificates.check(None, certificate + authority().certificate, key)
    loaded = serialization.load_pem_private_key(key.encode(), None)
    old = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    check_pem(None, certificate, old)
    certificates.check(None, certificate, old)


def test_a_pair_that_does_not_fit():
    """It is said at the door, not by the first webhook; so is a chain in the wrong order."""
    certificate, key = authority().issue("shop")
    _, other_key = authority().issue("other")
    rsa_key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for wrong in (other_key, rsa_key.decode()):
        words = refusal(certificate=certificate, key=wrong)
        assert words.startswith("client_key: is not the key of client_certificate")
        assert "CN=shop" in words
    assert "CN=Private CA" in refusal(certificate=authority().certificate + certificate, key=key)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c, k: (c, None), "client_key: is missing"),
        (lambda c, k: (None, k), "client_certificate: is missing"),
        (lambda c, k: (k, k), "client_certificate: no -----BEGIN CERTIFICATE-----"),
        (lambda c, k: (c, c), "client_key: no -----BEGIN PRIVATE KEY-----"),
        (lambda c, k: (c[:200] + c[210:], k), "client_certificate: holds a certificate that can"),
        (lambda c, k: (c, k[:60] + k[70:]), "client_key: is not a private key in PEM"),
        (lambda c, k: (c, k.replace("PRIVATE", "ENCRYPTED PRIVATE")), "client_key: is encrypted"),
        (lambda c, k: (c, k + "é"), "client_key: is not ASCII"),
        (lambda c, k: (c, k + "x" * 70_000), "client_key: 70"),
        (lambda c, k: (c.encode(), k), "client_certificate: expected text, got bytes"),
        (lambda c, k: (c, 5), "client_key: expected text, got int"),
        (lambda c, k: ("/etc/ssl/cert.pem", k), "client_certificate: no -----BEGIN CERTIFICATE"),
    ],
)
def test_no_pair(change, words):
    """Each refusal says which of the two, and what was expected."""
    certificate, key = change(*authority().issue("shop"))
    with pytest.raises(InvalidInput) as told:
        looked_at(None, certificate, key)
    assert words in str(told.value)


def test_no_authority():
    """A `ca` is looked at too."""
    broken = authority().certificate[:300] + authority().certificate[310:]
    assert refusal(ca=broken) == (
        "ca: holds a certificate that cannot be read; expected the text of a PEM file"
    )
    assert refusal(ca="nonsense").startswith("ca: no -----BEGIN CERTIFICATE-----")


def test_without_cryptography(monkeypatch):
    """The standard library checks an authority; a client certificate says what to install."""
    certificate, key = authority().issue("shop")
    real = builtins.__import__

    def without(name, *rest):
        if name.partition(".")[0] == "cryptography":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    certificates.check(authority().certificate, None, None)
    assert "cannot be read" in refusal(ca=authority().certificate[:300] + "\n" + certificate)
    words = refusal(certificate=certificate, key=key)
    assert words == "client_certificate: needs cryptography; pip install 'hookline[crypto]'"
    assert certificates.terms(certificate) is None
    assert certificates.expired(certificate, datetime.now(UTC)) == []


def test_when_they_end():
    """Subject, begin and end of each; what is not valid now is said in words."""
    now = datetime.now(UTC)
    old, _ = authority().issue("old", ends=timedelta(days=-2))
    [first, second] = certificates.terms(old + authority().certificate)
    assert (first.subject, second.subject) == ("CN=old", "CN=Private CA")
    assert first.begins < first.ends < now < second.ends
    [words] = certificates.expired(old + authority().certificate, now)
    assert words.startswith("the certificate of CN=old expired on 20")
    early = first.begins - timedelta(days=1)
    assert certificates.expired(old, early)[0].startswith("the certificate of CN=old begins on ")


# options ------------------------------------------------------------------------------------------


def test_sensitive_options_are_not_shown():
    """Those named in SENSITIVE are in no `repr` of an endpoint."""
    certificate, key = Authority().issue("shop")
    oauth2 = {"token_url": "https://l.example.com/", "client_id": "i", "client_secret": "geheim-1"}
    given = checked(
        {
            "client_certificate": certificate,
            "client_key": key,
            "oauth2": oauth2,
            "proxy": "http://me:geheim-2@proxy:1",
        }
    )
    shown = repr(Endpoint("https://a.example.com/", ("*",), **given))
    assert {"client_key", "oauth2", "proxy"} == SENSITIVE
    for name in SENSITIVE:
        assert f"{name}=" not in shown
    assert "geheim" not in shown
    assert "PRIVATE KEY" not in shown


@pytest.mark.parametrize("name", ["http2", "ordered"])
def test_switches(name):
    """True or false, nothing that passes for it."""
    with pytest.raises(InvalidInput, match=f"{name}: expected true or false, got 'yes'"):
        checked({name: "yes"})
