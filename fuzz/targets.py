"""What is fuzzed: each target takes any bytes and says by assertion what holds for them.

A target raises for what must not happen: another class of error than ours, a blocked address that
is allowed, a changed body that verifies. `tests/unit/test_fuzz_findings.py` runs each of them over
`corpus/`, where what was found once stays.
"""

import hashlib
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from time import process_time
from urllib.parse import urlsplit

from hookline._domain.address import Policy, judge, judge_url
from hookline._domain.expression import (
    MAX_RESULT,
    check_filter,
    check_transform,
    try_filter,
    try_transform,
)
from hookline._domain.headers import check as check_headers
from hookline._domain.signature import Signer, check_secret, key_bytes
from hookline._domain.url import parse
from hookline.errors import InvalidHeader, InvalidInput, InvalidSecret, InvalidUrl
from hookline.receiver import VerificationError, diagnose, verify, verify_signature

PUBLIC = Policy.of(http=True)
NOW = 1_760_697_000
SECRET = "s3cret-of-the-fuzzer"
BODY = b'{"event":"a.b","data":{"n":1.0}}'
EXAMPLE = (
    b'{"a":[[1,2.5],{"a":"xyz","b":[null,true]},"text"],"b":{"a":["x","y"],"c":' + b"9" * 40 + b"}}"
)
MOST_SECONDS = 3
"""Seconds of CPU an evaluation takes at most, on a machine that is ten times slower than ours."""


def _text(data: bytes) -> str:
    # Lone surrogates and all: text of any kind reaches the parsers.
    return data.decode("utf-8", "surrogateescape")


# Where a webhook may go --------------------------------------------------------------------------


def url(data: bytes) -> None:
    """A URL is refused as InvalidUrl, or has one form; what others read in it is judged too."""
    text = _text(data)
    try:
        parsed = parse(text)
    except InvalidUrl:
        return
    again = parse(str(parsed))
    assert again == parsed, f"{again} is not {parsed}"
    assert str(parsed).isascii()
    assert not set(str(parsed)) & set(" \\\r\n\t\0"), str(parsed)
    others = urlsplit(str(parsed))
    assert others.username is None
    assert others.hostname is not None
    assert others.hostname == parsed.host.strip("[]").lower(), (others.hostname, parsed.host)
    assert (others.port or parsed.port) == parsed.port
    if judge_url(parsed, PUBLIC) is None:
        _assert_no_disguise(parsed.host)
        with suppress(ValueError):  # what the text itself is to another parser
            host = urlsplit(text).hostname
            if host is not None and host.isascii():
                _assert_no_disguise(host)


def _assert_no_disguise(host: str) -> None:
    """Assert that no reader of numbers takes an allowed host for a special address."""
    with suppress(OSError, ValueError):
        # The C library's reading: 127.1, 0x7f.1, 2130706433.
        _assert_public(IPv4Address(socket.inet_aton(host)))
    with suppress(ValueError):
        _assert_public(ip_address(host.strip("[]")))


def _assert_public(address: IPv4Address | IPv6Address) -> None:
    inside = getattr(address, "ipv4_mapped", None) or address
    if not inside.is_global or inside.is_multicast or inside.is_reserved:
        raise AssertionError(f"{address} is allowed")


def address(data: bytes) -> None:
    """An address, 4 or 16 bytes, is blocked at least where Python's own list says it is special."""
    packed = data[:16] if len(data) >= 16 else data[:4].ljust(4, b"\0")  # noqa: PLR2004
    taken = ip_address(packed)
    if judge(str(taken), PUBLIC) is None:
        _assert_public(taken)
    if isinstance(taken, IPv4Address):
        mapped = IPv6Address(b"\0" * 10 + b"\xff\xff" + packed)
        assert judge(str(mapped), PUBLIC) == judge(str(taken), PUBLIC)


def headers(data: bytes) -> None:
    """Headers are refused as InvalidHeader, or are safe lines that claim no name of ours."""
    lines = [line.partition(b":") for line in data.split(b"\xff")]
    given = {_text(name): _text(value) for name, _, value in lines}
    try:
        passed = check_headers(given)
    except InvalidHeader as error:
        for value in given.values():  # long enough to be a secret, and no part of a name
            secret = value.isalnum() and len(value) > 12 and not any(value in n for n in given)  # noqa: PLR2004
            assert not secret or value not in str(error), "a value is told"
        return
    assert passed == given
    for name, value in passed.items():
        line = f"{name}: {value}".lower()
        assert line.isascii()
        assert not set(line) & set("\r\n\0\x7f")
        assert not line.startswith(("webhook-", "x-webhook-", "svix-", "host:", "content-length:"))


# What arrives ------------------------------------------------------------------------------------


def secret(data: bytes) -> None:
    """A secret is refused as InvalidSecret, or signs what verifies."""
    text = _text(data)
    try:
        check_secret(text)
    except InvalidSecret as error:
        assert len(text) < 12 or text not in str(error)  # noqa: PLR2004
        return
    if text.startswith("whsec_"):
        assert 24 <= len(key_bytes(text)) <= 64  # noqa: PLR2004 - Standard Webhooks 1.0
    assert verify(BODY, _signed(BODY, text), text, now=NOW).id == "msg_1"
    assert verify_signature(BODY, _signed(BODY, text)["X-Webhook-Signature"], text)


def body(data: bytes) -> None:
    """A changed body never verifies: the first byte says where the change is, the rest what."""
    changed = BODY[: data[0] % (len(BODY) + 1)] + data[1:] if data else b""
    if changed == BODY:
        return
    signed = _signed(BODY)
    for given in (signed, {"X-Webhook-Signature": signed["X-Webhook-Signature"]}):
        with suppress(VerificationError):
            verify(changed, given, SECRET, now=NOW)
            raise AssertionError("a changed body verified")
    assert not verify_signature(changed, signed["X-Webhook-Signature"], SECRET)


def request(data: bytes) -> None:
    """Headers of any kind give the signed event or VerificationError, and never another id."""
    lines = [line.partition(b":") for line in data.split(b"\xff")]
    given = [(_text(name), _text(value)) for name, _, value in lines]
    pairs = [*_signed(BODY).items(), *given]
    for some in (given, pairs, dict(pairs), {name: [value] for name, value in pairs}):
        with suppress(VerificationError):
            event = verify(BODY, some, SECRET, now=NOW, scheme="standard")
            assert (event.id, event.body, event.scheme) == ("msg_1", BODY, "standard")
            assert event.sent_at is not None
            assert event.sent_at.timestamp() == NOW


def diagnosis(data: bytes) -> None:
    """A diagnosis is never an error, says valid of what verifies only, and shows no secret."""
    parts = data.split(b"\xff")
    lines = [line.partition(b":") for line in parts[1:]]
    pairs = [*_signed(BODY).items(), *((_text(n), _text(v)) for n, _, v in lines)]
    for raw in (parts[0], BODY + parts[0]):
        found = diagnose(raw, pairs, SECRET, now=NOW)
        try:
            verify(raw, pairs, SECRET, now=NOW)
            valid = True
        except VerificationError:
            valid = False
        assert found.valid == valid
        assert SECRET not in str(found)
        if raw != BODY:
            other = diagnose(raw, pairs[:4], SECRET, now=NOW, original=BODY)
            assert other.cause.startswith("body_"), other


# What an endpoint may ask for ---------------------------------------------------------------------


def expression(data: bytes) -> None:
    """An expression is refused as InvalidInput, or ends, with a bounded result, on any body."""
    text, _, content = data.partition(b"\0")
    for check, apply in ((check_filter, try_filter), (check_transform, try_transform)):
        try:
            check(_text(text))
        except InvalidInput:
            continue
        for example in (content, EXAMPLE):
            began = process_time()
            with suppress(InvalidInput):  # the body is not JSON
                trial = apply(_text(text), example)
                assert trial.matched is not False or trial.problem is None
                assert len(trial.result or b"") <= MAX_RESULT
            assert process_time() - began < MOST_SECONDS, text


def _signed(content: bytes, secret: str = SECRET) -> dict[str, str]:
    signer = Signer([secret])
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(NOW),
        "webhook-signature": signer.standard("msg_1", NOW, content),
        "X-Webhook-Signature": signer.guide(content),
    }


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (url, address, headers, secret, body, request, diagnosis, expression)
}


def name_of(data: bytes) -> str:
    """Return the file name of a finding."""
    return f"found-{hashlib.sha256(data).hexdigest()[:16]}"
