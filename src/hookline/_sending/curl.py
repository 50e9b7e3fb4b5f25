"""libcurl by its options, its errors and its words."""

import ssl
from functools import lru_cache

import pycurl

from hookline._domain.delivery import Failure
from hookline._domain.identity import Identity, Proxy
from hookline._said import Said

SHORT_HEAD = 512
"""Bytes of headers that are worth remembering."""
# libcurl has them, pycurl has no name for them.
_SUPPRESS_CONNECT_HEADERS = 265
_E_PROXY = 97
_E_HTTP2_STREAM = 92
_FAILURES = {
    pycurl.E_COULDNT_RESOLVE_HOST: Failure.DNS,
    pycurl.E_COULDNT_CONNECT: Failure.CONNECT,
    pycurl.E_SSL_CONNECT_ERROR: Failure.TLS,
    pycurl.E_PEER_FAILED_VERIFICATION: Failure.TLS,
    pycurl.E_SSL_CERTPROBLEM: Failure.TLS,
    pycurl.E_SSL_CIPHER: Failure.TLS,
    pycurl.E_SSL_CACERT_BADFILE: Failure.TLS,
    pycurl.E_SSL_ISSUER_ERROR: Failure.TLS,
    pycurl.E_GOT_NOTHING: Failure.RESET,
    pycurl.E_SEND_ERROR: Failure.RESET,
    pycurl.E_RECV_ERROR: Failure.RESET,
    pycurl.E_PARTIAL_FILE: Failure.RESET,
    pycurl.E_UNSUPPORTED_PROTOCOL: Failure.PROTOCOL,
    pycurl.E_FTP_WEIRD_SERVER_REPLY: Failure.PROTOCOL,
    pycurl.E_BAD_CONTENT_ENCODING: Failure.PROTOCOL,
    pycurl.E_HTTP2: Failure.PROTOCOL,
    _E_HTTP2_STREAM: Failure.RESET,
    pycurl.E_COULDNT_RESOLVE_PROXY: Failure.PROXY,
    _E_PROXY: Failure.PROXY,
}
NO_WAY_IN = frozenset(
    {
        _E_PROXY,
        pycurl.E_COULDNT_CONNECT,
        pycurl.E_COULDNT_RESOLVE_HOST,
        pycurl.E_COULDNT_RESOLVE_PROXY,
    }
)
"""Failures before there was a way to the receiver."""
_IN_TLS = frozenset({pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR})


def trust(curl: pycurl.Curl) -> None:
    """Trust the certificate authorities Python trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` too)."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        curl.setopt(pycurl.CAINFO, paths.cafile)
    if paths.capath:
        curl.setopt(pycurl.CAPATH, paths.capath)


def assume(curl: pycurl.Curl, identity: Identity) -> None:
    """Set up a new handle for an identity."""
    if identity.ca is not None:
        # Instead of the system's, in a file and in a folder.
        curl.unsetopt(pycurl.CAINFO)
        curl.unsetopt(pycurl.CAPATH)
        curl.setopt(pycurl.CAINFO_BLOB, identity.ca)
    if identity.certificate is not None and identity.key is not None:
        curl.setopt(pycurl.SSLCERT_BLOB, identity.certificate)
        curl.setopt(pycurl.SSLKEY_BLOB, identity.key)
    if identity.http2:
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        curl.setopt(pycurl.PIPEWAIT, 1)  # rather share a connection than open another
    if identity.proxy is not None:
        _use_proxy(curl, identity.proxy)


def _use_proxy(curl: pycurl.Curl, proxy: Proxy) -> None:
    """Go through a proxy, by a tunnel always: it sees an address and a port, no request."""
    by_name = proxy.socks and proxy.resolves
    curl.setopt(pycurl.PROXY, str(proxy).replace("socks5:", "socks5h:") if by_name else str(proxy))
    curl.setopt(pycurl.NOPROXY, "")
    curl.setopt(pycurl.HTTPPROXYTUNNEL, 1)
    curl.setopt(_SUPPRESS_CONNECT_HEADERS, 1)
    if proxy.user:
        curl.setopt(pycurl.PROXYAUTH, pycurl.HTTPAUTH_BASIC)
        curl.setopt(pycurl.PROXYUSERNAME, proxy.user)
        curl.setopt(pycurl.PROXYPASSWORD, proxy.password)
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        curl.setopt(pycurl.PROXY_CAINFO, paths.cafile)
    if paths.capath:
        curl.setopt(pycurl.PROXY_CAPATH, paths.capath)


def unsupported(*, ca: bool, certificate: bool, http2: bool) -> Said | None:
    """Return what libcurl and pycurl, as they are installed here, lack of what is asked for."""
    if http2 and not pycurl.version_info()[4] & pycurl.VERSION_HTTP2:
        return Said("http2: the installed libcurl has no HTTP/2: {version}", version=pycurl.version)
    for name, wanted, option in (
        ("ca", ca, "CAINFO_BLOB"),
        ("client_certificate", certificate, "SSLCERT_BLOB"),
    ):
        if wanted and not hasattr(pycurl, option):
            return Said(
                "{name}: the installed libcurl is too old, 7.77 is needed: {version}",
                name=name,
                version=pycurl.version,
            )
    return None


def microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000)


def judge_error(error: int, message: str, *, connected: bool) -> tuple[Failure, str]:
    if error == pycurl.E_OPERATION_TIMEDOUT:
        return (Failure.TIMEOUT if connected else Failure.CONNECT_TIMEOUT), ""
    if error in _IN_TLS and " alert " in message:
        error = pycurl.E_SSL_CONNECT_ERROR  # TLS 1.3 tells of a refused client after the handshake
    elif error == pycurl.E_RECV_ERROR and not message.startswith("Recv failure"):
        error = pycurl.E_FTP_WEIRD_SERVER_REPLY  # libcurl's word for what it cannot parse
    printable = "".join(c if c.isprintable() else "?" for c in message)
    return _FAILURES.get(error, Failure.OTHER), printable[:200]


def parsed(head: bytes) -> tuple[tuple[str, str], ...]:
    """Return names and values; short heads are remembered, as a receiver's answers are alike."""
    return _parsed_short(head) if len(head) <= SHORT_HEAD else _split_all(head)


def _split_all(head: bytes) -> tuple[tuple[str, str], ...]:
    return tuple(filter(None, map(_split, head.split(b"\n"))))


_parsed_short = lru_cache(maxsize=1024)(_split_all)


def _split(line: bytes) -> tuple[str, str] | None:
    name, colon, value = line.decode("latin-1").partition(":")
    return (name.strip().lower(), value.strip()) if colon else None
