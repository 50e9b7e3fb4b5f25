"""Certificates and keys, looked at before anything is sent with them.

With `cryptography` (the extra `crypto`). Without it the standard library checks a `ca`, and a
client certificate cannot be used: whether its key fits would show at the first webhook only.
"""

import ssl
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from hookline._said import Said
from hookline.errors import InvalidInput

if TYPE_CHECKING:
    from cryptography import x509

MISSING = "pip install 'hookline[crypto]'"


class Term(NamedTuple):
    """A certificate's subject, and when it is valid."""

    subject: str
    begins: datetime
    ends: datetime


def check(ca: str | None, certificate: str | None, key: str | None, *, name: str = "ca") -> None:
    """Raise InvalidInput for certificates that cannot be read, or a key that is not theirs.

    What can be used but not now (expired) is no error: see `terms`.
    """
    if ca is not None:
        _check_ca(name, ca)
    if certificate is not None and key is not None:
        _check_pair(certificate, key)


def terms(pem: str) -> list[Term] | None:
    """Return the certificates of a PEM text; None without `cryptography`, or if it is none."""
    try:
        found = _load("", pem)
    except (ImportError, InvalidInput):
        return None
    return [
        Term(c.subject.rfc4514_string() or "(no subject)", c.not_valid_before_utc, ends)
        for c in found
        for ends in [c.not_valid_after_utc]
    ]


def expired(pem: str, now: datetime) -> list[str]:
    """Return, in words, which certificates of a PEM text are not valid at the moment."""
    words = []
    for term in terms(pem) or ():
        if term.ends <= now:
            words.append(f"the certificate of {term.subject} expired on {term.ends:%Y-%m-%d}")
        elif term.begins > now:
            words.append(f"the certificate of {term.subject} begins on {term.begins:%Y-%m-%d}")
    return words


def _check_ca(name: str, pem: str) -> None:
    try:
        _load(name, pem)
    except ImportError:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
        except (ssl.SSLError, ValueError):
            raise InvalidInput(_unreadable(name)) from None


def _check_pair(certificate: str, key: str) -> None:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    except ImportError:
        raise InvalidInput(
            Said("client_certificate: needs cryptography; {remedy}", remedy=MISSING)
        ) from None
    leaf = _load("client_certificate", certificate)[0]
    try:
        private = serialization.load_pem_private_key(key.encode(), None)
        public = private.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):  # its words might quote the key
        raise InvalidInput(
            Said("client_key: is not a private key in PEM that can be read")
        ) from None
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if public.public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise InvalidInput(
            Said(
                "client_key: is not the key of client_certificate (of its first certificate, "
                "that of {name})",
                name=leaf.subject.rfc4514_string(),
            )
        )


def _load(name: str, pem: str) -> "list[x509.Certificate]":
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise InvalidInput(_unreadable(name)) from None


def _unreadable(name: str) -> Said:
    return Said(
        "{name}: holds a certificate that cannot be read; expected the text of a PEM file",
        name=name,
    )
