"""What is wrong with a signature, named: the result of `diagnose`; `_search` finds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from hookline._said import Said
from hookline.receiver._verify import TOLERANCE, HeaderSource


class Cause(StrEnum):
    """Why a webhook does not verify."""

    VALID = "valid"
    """It does verify."""
    # The body
    BODY_EMPTY = "body_empty"
    BODY_WHITESPACE = "body_whitespace"
    BODY_LINE_ENDS = "body_line_ends"
    BODY_BOM = "body_bom"
    BODY_REFORMATTED = "body_reformatted"
    BODY_ESCAPES = "body_escapes"
    BODY_NUMBERS = "body_numbers"
    BODY_KEY_ORDER = "body_key_order"
    BODY_VALUES = "body_values"
    BODY_CHARSET = "body_charset"
    BODY_FORM = "body_form"
    BODY_ENCODED = "body_encoded"
    BODY_COMPRESSED = "body_compressed"
    BODY_WRAPPED = "body_wrapped"
    BODY_TRUNCATED = "body_truncated"
    BODY_CHANGED = "body_changed"
    # The secret
    SECRET_EMPTY = "secret_empty"
    SECRET_WHITESPACE = "secret_whitespace"
    SECRET_QUOTED = "secret_quoted"
    SECRET_LINE = "secret_line"
    SECRET_CASE = "secret_case"
    SECRET_PREFIX = "secret_prefix"
    SECRET_AS_TEXT = "secret_as_text"
    SECRET_DECODED = "secret_decoded"
    SECRET_ALPHABET = "secret_alphabet"
    SECRET_HEX = "secret_hex"
    SECRET_MALFORMED = "secret_malformed"
    # The headers
    NO_SIGNATURE = "no_signature"
    HEADERS_MISSING = "headers_missing"
    HEADERS_RENAMED = "headers_renamed"
    HEADERS_CHANGED = "headers_changed"
    HEADERS_UNREADABLE = "headers_unreadable"
    # The time
    CLOCK = "clock"
    TIMESTAMP_MILLISECONDS = "timestamp_milliseconds"
    TIMESTAMP_FORMAT = "timestamp_format"
    # The signature
    SIGNATURE_TRUNCATED = "signature_truncated"
    SIGNATURE_CASE = "signature_case"
    SIGNATURE_FORMAT = "signature_format"
    SIGNATURE_ENCODING = "signature_encoding"
    SIGNED_CONTENT = "signed_content"
    ALGORITHM = "algorithm"
    # None of these
    NOT_JSON = "not_json"
    """The signature fits, but the body is not JSON."""
    UNKNOWN = "unknown"
    """Another secret, most likely, or a body changed beyond what can be guessed."""


_RAW = Said("verify the bytes as they came, before anything parses them")
_SECRET = Said("correct the secret where it is kept")
REMEDY: dict[Cause, str] = {
    Cause.VALID: "",
    Cause.BODY_EMPTY: Said("read the body once, verify those bytes, and parse them afterwards"),
    Cause.BODY_WHITESPACE: _RAW,
    Cause.BODY_LINE_ENDS: Said("pass the bytes on in binary mode, without translating line ends"),
    Cause.BODY_BOM: Said("pass the bytes on as they are, without a byte order mark"),
    Cause.BODY_REFORMATTED: _RAW,
    Cause.BODY_ESCAPES: _RAW,
    Cause.BODY_NUMBERS: _RAW,
    Cause.BODY_KEY_ORDER: _RAW,
    Cause.BODY_VALUES: _RAW,
    Cause.BODY_CHARSET: Said("do not decode the body, or decode and encode it as UTF-8 both times"),
    Cause.BODY_FORM: Said("read the raw body, not the fields of a form"),
    Cause.BODY_ENCODED: Said("decode it first: a gateway hands it over in another encoding"),
    Cause.BODY_COMPRESSED: Said("decompress it first"),
    Cause.BODY_WRAPPED: Said("verify what is inside, not the gateway's message around it"),
    Cause.BODY_TRUNCATED: Said("raise the limit on bodies, or read until the end"),
    Cause.BODY_CHANGED: _RAW,
    Cause.SECRET_EMPTY: Said("give the secret of this endpoint"),
    Cause.SECRET_WHITESPACE: _SECRET,
    Cause.SECRET_QUOTED: _SECRET,
    Cause.SECRET_LINE: _SECRET,
    Cause.SECRET_CASE: _SECRET,
    Cause.SECRET_PREFIX: Said("keep the secret whole, with whsec_ before it"),
    Cause.SECRET_AS_TEXT: Said("for webhook-signature, the key is the decoded base64 after whsec_"),
    Cause.SECRET_DECODED: Said(
        "for X-Webhook-Signature, the key is the secret's text, whsec_ included"
    ),
    Cause.SECRET_ALPHABET: Said("write the secret in standard base64, with + and /"),
    Cause.SECRET_HEX: Said("write the secret as whsec_ and base64"),
    Cause.SECRET_MALFORMED: Said("take the secret from the sender once more"),
    Cause.NO_SIGNATURE: Said("give the endpoint a secret, or let the proxy pass the header on"),
    Cause.HEADERS_MISSING: Said("let every proxy, gateway and cache pass the header on"),
    Cause.HEADERS_RENAMED: Said("map the name back before verifying"),
    Cause.HEADERS_CHANGED: Said("pass webhook-id and webhook-timestamp on as they came"),
    Cause.HEADERS_UNREADABLE: Said("give a mapping, a framework's headers or a list of pairs"),
    Cause.CLOCK: Said("set both clocks by NTP; a recorded request verifies only at its own time"),
    Cause.TIMESTAMP_MILLISECONDS: Said("webhook-timestamp is in whole seconds"),
    Cause.TIMESTAMP_FORMAT: Said("webhook-timestamp is in whole Unix seconds, as 1760697000"),
    Cause.SIGNATURE_TRUNCATED: Said("look for a column, a variable or a log that cuts it"),
    Cause.SIGNATURE_CASE: Said("the hex of a signature is in lower case"),
    Cause.SIGNATURE_FORMAT: Said(
        "compare the header as it came: 'v1,<base64>' items, one space between"
    ),
    Cause.SIGNATURE_ENCODING: Said("X-Webhook-Signature is hex, webhook-signature is base64"),
    Cause.SIGNED_CONTENT: Said(
        "webhook-signature is over 'id.timestamp.body'; X-Webhook-Signature over the body alone"
    ),
    Cause.ALGORITHM: Said("the algorithm is HMAC-SHA256"),
    Cause.NOT_JSON: Said("look at what the sender posts"),
    Cause.UNKNOWN: Said(
        "compare the secret with the sender's, then the body, byte by byte: with "
        "original the first difference is named"
    ),
}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What `diagnose` found. None of it holds a secret or a signature."""

    cause: Cause
    """The code to branch on."""
    sentence: str
    """What is wrong; may quote names and values of the body."""
    remedy: str
    """What to do about it; "" where the webhook is valid."""
    scheme: Literal["standard", "guide"] | None = None
    """Which signature was looked at; None where there was none."""
    secret: int | None = None
    """Which of the given secrets fits, 1 for the first; None where none does."""

    @property
    def valid(self) -> bool:
        """Whether the webhook verifies as it is."""
        return self.cause is Cause.VALID

    def __str__(self) -> str:
        return f"{self.sentence}; {self.remedy}" if self.remedy else self.sentence


def both(first: str, second: str) -> str:
    """Return two sentences as one; either may be empty."""
    if first and second:
        return Said("{first}; and {second}", first=first, second=second)
    return first or second


def diagnose(
    body: bytes | str,
    headers: HeaderSource,
    secret: str | Sequence[str],
    *,
    original: bytes | str | None = None,
    tolerance: float | timedelta | None = TOLERANCE,
    now: float | None = None,
) -> Diagnosis:
    """Say why a webhook does not verify: the exact cause, by trying the usual ones.

    `body`, `headers`, `secret`, `tolerance` (seconds) and `now` (Unix seconds) are those of
    `verify`; a secret may have any of the slips it is to be searched for. `original` is the body as
    it was sent (`hookline sink` shows it, and the sender's log has it), where it is known: then the
    first difference is named.

    For a developer's desk (`hookline verify`, `hookline sink` and `hookline.testing` use it), not
    for production: it parses a body that nobody vouches for, and takes up to a second. Never
    raises VerificationError.
    """
    from hookline.receiver._search import search  # noqa: PLC0415 - who verifies needs none of it

    return search(body, headers, secret, original, tolerance, now)
