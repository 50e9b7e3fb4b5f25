"""What a signature says as it came, and the texts it may be over."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import NamedTuple

from hookline._said import Said
from hookline.receiver._diagnosis import Cause

FAMILIES = ("webhook", "svix")
ALGORITHMS = {16: "md5", 20: "sha1", 32: "sha256", 48: "sha384", 64: "sha512"}
"""HMACs by the bytes of their digests."""


# Signatures as they came -------------------------------------------------------------------------


class Item(NamedTuple):
    """A signature's digest as it can be read, and what is odd about how it is written."""

    digest: bytes
    cause: Cause | None = None
    sentence: str = ""


_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")


def guide_items(value: str) -> Iterator[Item]:
    """Yield what a value of X-Webhook-Signature can be read as."""
    text, odd = value, Item(b"")
    if text.strip("\"'") != text:
        text, odd = (
            text.strip("\"'"),
            Item(b"", Cause.SIGNATURE_FORMAT, Said("the signature is quoted")),
        )
    name, equals, rest = text.partition("=")
    if equals and re.fullmatch(r"[A-Za-z0-9-]{2,12}", name) and rest:
        text = rest
        if name != "sha256" and not odd.cause:
            sentence = Said("the signature begins with {name}=, not sha256=", name=name)
            odd = Item(b"", Cause.SIGNATURE_FORMAT, sentence)
    if _HEX.fullmatch(text):
        if text != text.lower() and not odd.cause:
            odd = Item(b"", Cause.SIGNATURE_CASE, Said("the hex of the signature is in upper case"))
        yield odd._replace(digest=bytes.fromhex(text))
    elif (digest := _from_base64(text)) is not None:
        sentence = Said("the signature is in base64, not in hex")
        yield Item(digest, Cause.SIGNATURE_ENCODING, sentence)


def standard_items(value: str) -> Iterator[Item]:
    """Yield what the items of a webhook-signature can be read as."""
    for part in re.split(r"\s*,\s*(?=v\d+[a-z]*,)|\s+", value.strip("\"'")):
        version, comma, text = part.partition(",")
        odd = Item(b"")
        if not comma:
            text = re.sub(r"^v1a?[=:]", "", part)
            odd = Item(b"", Cause.SIGNATURE_FORMAT, Said("the signature does not begin with 'v1,'"))
        elif version != "v1":
            continue  # v1a is ed25519: no HMAC at all
        if _HEX.fullmatch(text) and len(text) in (40, 64, 96, 128):
            sentence = Said("the signature is in hex, not in base64")
            yield Item(bytes.fromhex(text), Cause.SIGNATURE_ENCODING, sentence)
        elif (digest := _from_base64(text)) is not None:
            if re.search("[-_]", text) or len(text) % 4:
                sentence = Said(
                    "the base64 of the signature lacks its '=', or is in another alphabet"
                )
                odd = odd if odd.cause else Item(b"", Cause.SIGNATURE_FORMAT, sentence)
            yield odd._replace(digest=digest)
    if " " in value and "v1," in value:
        # A '+' that something decoded as a space.
        for part in re.split(r"(?:^|\s)v1,", value):
            digest = _from_base64(part.strip().replace(" ", "+")) if " " in part.strip() else None
            if digest is not None:
                sentence = Said("a '+' of the signature became a space")
                yield Item(digest, Cause.SIGNATURE_FORMAT, sentence)


def _from_base64(text: str) -> bytes | None:
    standard = text.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


# What was signed ---------------------------------------------------------------------------------


class Content(NamedTuple):
    """What may stand before and after the body in the signed text."""

    before: bytes
    after: bytes = b""
    cause: Cause | None = None
    sentence: str = ""


def guide_contents(found: dict[str, list[str]]) -> Iterator[Content]:
    """Yield what X-Webhook-Signature may be over, the right thing first."""
    yield Content(b"")
    for family in FAMILIES:
        sent = found.get(f"{family}-timestamp", [""])[0].encode(errors="replace")
        name = found.get(f"{family}-id", [""])[0].encode(errors="replace")
        if sent and name:
            sentence = Said("the signature is over 'id.timestamp.body', not over the body alone")
            yield Content(b"%b.%b." % (name, sent), b"", Cause.SIGNED_CONTENT, sentence)
        if sent:
            sentence = Said("the signature is over 'timestamp.body', not over the body alone")
            yield Content(sent + b".", b"", Cause.SIGNED_CONTENT, sentence)


def standard_contents(message_id: str, sent: str) -> Iterator[Content]:
    """Yield what webhook-signature may be over, the right thing first."""
    name, at = message_id.encode(errors="replace"), sent.encode(errors="replace")
    yield Content(b"%b.%b." % (name, at))
    wrong = Cause.SIGNED_CONTENT
    yield Content(
        b"", b"", wrong, Said("the signature is over the body alone, without id and time")
    )
    yield Content(
        at + b".", b"", wrong, Said("the signature is over 'timestamp.body', without the id")
    )
    yield Content(
        name + b".", b"", wrong, Said("the signature is over 'id.body', without the time")
    )
    yield Content(
        b"%b.%b." % (at, name), b"", wrong, Said("id and time are signed the wrong way round")
    )
    yield Content(name + at, b"", wrong, Said("the signed parts have no full stops between them"))
    if not re.fullmatch(r"[0-9]{1,19}", sent):
        return
    number = int(sent)
    milliseconds = Cause.TIMESTAMP_MILLISECONDS
    for other, cause, sentence in (
        (number // 1000, milliseconds, Said("webhook-timestamp became milliseconds on the way")),
        (number * 1000, milliseconds, Said("the signature is over a time in milliseconds")),
        *(_moved(number, hours) for hours in range(-14, 15) if hours),
    ):
        yield Content(b"%b.%d." % (name, other), b"", cause, sentence)


def _moved(number: int, hours: int) -> tuple[int, Cause, Said]:
    sentence = Said("webhook-timestamp was moved by {hours} h", hours=-hours)
    return number + hours * 3600, Cause.HEADERS_CHANGED, sentence
