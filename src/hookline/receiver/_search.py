"""The search behind `diagnose`: which body, key and signed text would have made this signature.

One thing at a time first, then a body and a key together. What is tried is bounded in bytes, so a
large body cannot keep the search going.
"""

import base64
import binascii
import hmac
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from hookline._domain import ed25519
from hookline._domain.signature import check_receiver_secret
from hookline.errors import InvalidSecret
from hookline.receiver._bodies import difference, originals, unique
from hookline.receiver._diagnosis import REMEDY, Cause, Diagnosis
from hookline.receiver._secrets import Key, keys, usable
from hookline.receiver._verify import (
    HeaderSource,
    Reason,
    VerificationError,
    _pairs,
    _plain_name,
    _texts,
    verify,
)

BUDGET = 256 * 1024 * 1024
"""Bytes hashed at most: about half a second."""

GUESSING = 16
"""How much more a guess costs to write than to hash."""

_GUIDE = "x-webhook-signature"
_PARTS = ("id", "timestamp", "signature")
_FAMILIES = ("webhook", "svix")
_WANTED = (_GUIDE, *(f"{family}-{part}" for family in _FAMILIES for part in _PARTS))
_MAX_DIGITS = 11
"""Digits of a timestamp in seconds; one in milliseconds has 13."""


def search(
    body: Any,
    headers: HeaderSource,
    secret: str | Sequence[str],
    original: Any,
    tolerance: float | timedelta | None,
    now: float | None,
) -> Diagnosis:
    """See `diagnose`."""
    raw, sent = _bytes(body), None if original is None else _bytes(original)
    if raw is None or (original is not None and sent is None):
        return _said(
            Cause.BODY_CHANGED,
            f"the body is {type(body if raw is None else original).__name__}, not the raw bytes",
        )
    secrets = [secret] if isinstance(secret, str | bytes) else _listed(secret)
    if not secrets or not all(isinstance(each, str) for each in secrets):
        return _said(Cause.SECRET_MALFORMED, "the secret is no text")
    if not all(secrets):
        return _said(Cause.SECRET_EMPTY, "the secret is empty")
    try:
        found = _headers(headers)
    except (AttributeError, TypeError, ValueError, VerificationError):
        sentence = f"the headers cannot be read: {type(headers).__name__}"
        return _said(Cause.HEADERS_UNREADABLE, sentence)
    at = time.time() if now is None else now
    return _Search(raw, found, secrets, sent, tolerance, at).diagnosis()


def _bytes(body: Any) -> bytes | None:
    if isinstance(body, str):
        return body.encode(errors="surrogatepass")
    return bytes(body) if isinstance(body, bytes | bytearray | memoryview) else None


def _listed(secret: Any) -> list[Any]:
    try:
        return list(secret)
    except TypeError:
        return []


def _headers(headers: Any) -> list[tuple[str, str]]:
    """Return all headers with text in them, by plain lower-case name."""
    return [
        (key, text)
        for name, value in _pairs(headers)
        if (key := _plain_name(name)) and isinstance(value, str | bytes | list | tuple)
        for text in _texts(key, value)
    ]


def _said(
    cause: Cause,
    sentence: str,
    scheme: Literal["standard", "guide"] | None = None,
    number: int | None = None,
    remedy: str | None = None,
) -> Diagnosis:
    return Diagnosis(cause, sentence, REMEDY[cause] if remedy is None else remedy, scheme, number)


# Signatures as they came -------------------------------------------------------------------------


class _Item(NamedTuple):
    """A signature's digest as it can be read, and what is odd about how it is written."""

    digest: bytes
    cause: Cause | None = None
    sentence: str = ""


_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_ALGORITHMS = {16: "md5", 20: "sha1", 32: "sha256", 48: "sha384", 64: "sha512"}


def _guide_items(value: str) -> Iterator[_Item]:
    text, odd = value, _Item(b"")
    if text.strip("\"'") != text:
        text, odd = text.strip("\"'"), _Item(b"", Cause.SIGNATURE_FORMAT, "the signature is quoted")
    name, equals, rest = text.partition("=")
    if equals and re.fullmatch(r"[A-Za-z0-9-]{2,12}", name) and rest:
        text = rest
        if name != "sha256" and not odd.cause:
            odd = _Item(
                b"", Cause.SIGNATURE_FORMAT, f"the signature begins with {name}=, not sha256="
            )
    if _HEX.fullmatch(text):
        if text != text.lower() and not odd.cause:
            odd = _Item(b"", Cause.SIGNATURE_CASE, "the hex of the signature is in upper case")
        yield odd._replace(digest=bytes.fromhex(text))
    elif (digest := _from_base64(text)) is not None:
        sentence = "the signature is in base64, not in hex"
        yield _Item(digest, Cause.SIGNATURE_ENCODING, sentence)


def _standard_items(value: str) -> Iterator[_Item]:
    for part in re.split(r"\s*,\s*(?=v\d+[a-z]*,)|\s+", value.strip("\"'")):
        version, comma, text = part.partition(",")
        odd = _Item(b"")
        if not comma:
            text = re.sub(r"^v1a?[=:]", "", part)
            odd = _Item(b"", Cause.SIGNATURE_FORMAT, "the signature does not begin with 'v1,'")
        elif version != "v1":
            continue  # v1a is ed25519: no HMAC at all
        if _HEX.fullmatch(text) and len(text) in (40, 64, 96, 128):
            sentence = "the signature is in hex, not in base64"
            yield _Item(bytes.fromhex(text), Cause.SIGNATURE_ENCODING, sentence)
        elif (digest := _from_base64(text)) is not None:
            if re.search("[-_]", text) or len(text) % 4:
                sentence = "the base64 of the signature lacks its '=', or is in another alphabet"
                odd = odd if odd.cause else _Item(b"", Cause.SIGNATURE_FORMAT, sentence)
            yield odd._replace(digest=digest)
    if " " in value and "v1," in value:
        # A '+' that something decoded as a space.
        for part in re.split(r"(?:^|\s)v1,", value):
            digest = _from_base64(part.strip().replace(" ", "+")) if " " in part.strip() else None
            if digest is not None:
                sentence = "a '+' of the signature became a space"
                yield _Item(digest, Cause.SIGNATURE_FORMAT, sentence)


def _from_base64(text: str) -> bytes | None:
    standard = text.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


# What was signed ---------------------------------------------------------------------------------


class _Content(NamedTuple):
    """What may stand before and after the body in the signed text."""

    before: bytes
    after: bytes = b""
    cause: Cause | None = None
    sentence: str = ""


def _guide_contents(found: dict[str, list[str]]) -> Iterator[_Content]:
    yield _Content(b"")
    for family in _FAMILIES:
        sent = found.get(f"{family}-timestamp", [""])[0].encode(errors="replace")
        name = found.get(f"{family}-id", [""])[0].encode(errors="replace")
        if sent and name:
            sentence = "the signature is over 'id.timestamp.body', not over the body alone"
            yield _Content(b"%b.%b." % (name, sent), b"", Cause.SIGNED_CONTENT, sentence)
        if sent:
            sentence = "the signature is over 'timestamp.body', not over the body alone"
            yield _Content(sent + b".", b"", Cause.SIGNED_CONTENT, sentence)


def _standard_contents(message_id: str, sent: str) -> Iterator[_Content]:
    name, at = message_id.encode(errors="replace"), sent.encode(errors="replace")
    yield _Content(b"%b.%b." % (name, at))
    wrong = Cause.SIGNED_CONTENT
    yield _Content(b"", b"", wrong, "the signature is over the body alone, without id and time")
    yield _Content(at + b".", b"", wrong, "the signature is over 'timestamp.body', without the id")
    yield _Content(name + b".", b"", wrong, "the signature is over 'id.body', without the time")
    yield _Content(b"%b.%b." % (at, name), b"", wrong, "id and time are signed the wrong way round")
    yield _Content(name + at, b"", wrong, "the signed parts have no full stops between them")
    if not re.fullmatch(r"[0-9]{1,19}", sent):
        return
    changed, number = Cause.HEADERS_CHANGED, int(sent)
    milliseconds = Cause.TIMESTAMP_MILLISECONDS
    for other, cause, sentence in (
        (number // 1000, milliseconds, "webhook-timestamp became milliseconds on the way"),
        (number * 1000, milliseconds, "the signature is over a time in milliseconds"),
        *((number + hours * 3600, changed, f"webhook-timestamp was moved by {-hours} h")
          for hours in range(-14, 15) if hours),
    ):  # fmt: skip
        yield _Content(b"%b.%d." % (name, other), b"", cause, sentence)


class _Spent(Exception):
    """The budget is used up."""


@dataclass
class _Search:
    """One request, and how much may still be hashed for it."""

    raw: bytes
    headers: list[tuple[str, str]]
    secrets: list[str]
    original: bytes | None
    tolerance: float | timedelta | None
    now: float
    left: int = BUDGET
    found: dict[str, list[str]] = field(default_factory=dict)
    renamed: str = ""

    def diagnosis(self) -> Diagnosis:
        self.found = {}
        for name, value in self.headers:
            self.found.setdefault(name, []).append(value)
        return self._verified() or self._unsigned() or self._searched()

    # What needs no search ------------------------------------------------------------------------

    def _verified(self) -> Diagnosis | None:
        """Return what `verify` says where the signature fits."""
        for number, secret in enumerate(self.secrets, 1):
            if not usable(secret):
                continue
            try:
                event = self._verify(secret, self.tolerance)
            except VerificationError as error:
                if error.reason == Reason.BAD_BODY:
                    sentence = "the signature fits, but the body is not JSON in UTF-8"
                    return _said(Cause.NOT_JSON, sentence, None, number)
                if error.reason in (Reason.TIMESTAMP_TOO_OLD, Reason.TIMESTAMP_TOO_NEW):
                    return self._late(number)
                continue
            return _said(Cause.VALID, self._praise(event.scheme, number), event.scheme, number)
        return None

    def _verify(self, secret: str, tolerance: float | timedelta | None) -> Any:
        return verify(self.raw, self.headers, secret, tolerance=tolerance, now=self.now)

    def _praise(self, scheme: str, number: int) -> str:
        name = "webhook-signature" if scheme == "standard" else "X-Webhook-Signature"
        which = f" with secret {number} of {len(self.secrets)}" if len(self.secrets) > 1 else ""
        bare = scheme == "guide" and not self.found[_GUIDE][0].startswith("sha256=")
        note = "; it lacks its sha256=, which other verifiers may insist on" if bare else ""
        return f"the webhook is valid: {name} fits{which}{note}"

    def _late(self, number: int) -> Diagnosis:
        family = self._family()
        away = self.now - int(self.found[f"{family}-timestamp"][0])
        way = "ago" if away > 0 else "from now"
        sentence = f"the signature fits, but it was made {_span(abs(away))} {way}"
        zones = abs(away) / 1800
        if 1 < zones <= 29 and abs(zones - round(zones)) < 120 / 1800:  # noqa: PLR2004
            sentence += ", about a time zone's difference: a clock may be set to local time"
        return _said(Cause.CLOCK, sentence, "standard", number)

    def _family(self) -> str | None:
        return next((each for each in _FAMILIES if self.found.get(f"{each}-signature")), None)

    def _unsigned(self) -> Diagnosis | None:
        """Return what is wrong with the headers where there is nothing to check."""
        if renamed := self._renamed():
            return renamed
        family = self._family()
        if family is None and _GUIDE in self.found:
            return None
        if family is None:
            return self._stripped()
        missing = [part for part in ("id", "timestamp") if not self.found.get(f"{family}-{part}")]
        if not missing:
            return self._versions(family) or self._twice(family)
        names = " and ".join(f"{family}-{part}" for part in missing)
        sentence = f"{family}-signature is there, but {names} did not arrive"
        return _said(Cause.HEADERS_MISSING, sentence, "standard")

    def _renamed(self) -> Diagnosis | None:
        """Give missing headers their names back; return the diagnosis where that is the cause."""
        back = {}
        for name, value in self.headers:
            bare = re.sub("[^a-z0-9]", "", name)
            for wanted in _WANTED:
                ends = bare.endswith(wanted.replace("-", ""))
                if ends and name not in _WANTED and wanted not in self.found:
                    back[wanted] = name, value
                    break
        if not back:
            return None
        for wanted, (_, value) in back.items():
            self.found[wanted] = [value]
        self.headers = [*self.headers, *((w, v) for w, (_, v) in back.items())]
        wanted, (name, _) = next(iter(back.items()))
        self.renamed = f"{wanted} arrived as {name}"
        inner = self._verified()
        if inner is None:
            return None
        return _said(Cause.HEADERS_RENAMED, self.renamed, inner.scheme, inner.secret)

    def _stripped(self) -> Diagnosis:
        known = [n for n in self.found if n.startswith(("webhook-", "svix-", "x-webhook-"))]
        if any(name.endswith(("-id", "-timestamp")) for name in known):
            sentence = f"{known[0]} arrived, but no signature: something on the way removed it"
            return _said(Cause.HEADERS_MISSING, sentence)
        return _said(Cause.NO_SIGNATURE, "no webhook-signature and no X-Webhook-Signature arrived")

    def _versions(self, family: str) -> Diagnosis | None:
        versions = {
            part.partition(",")[0]
            for value in self.found[f"{family}-signature"]
            for part in value.split()
            if re.match(r"v\d+[a-z]*,", part)
        }
        if not versions or "v1" in versions:
            return None
        if "v1a" in versions and any(map(ed25519.is_public, self.secrets)):
            sentence = (
                "the ed25519 signature (v1a) does not fit this public key: it is another "
                "endpoint's, or the body was changed"
            )
            return _said(Cause.UNKNOWN, sentence, "standard")
        which = "ed25519 (v1a)" if "v1a" in versions else ", ".join(sorted(versions))
        sentence = f"the only signature is {which}, which a shared secret cannot check"
        return _said(
            Cause.ALGORITHM,
            sentence,
            "standard",
            None,
            "verify it with the public key, or have the sender sign with v1 (HMAC-SHA256) too",
        )

    def _twice(self, family: str) -> Diagnosis | None:
        for part in ("id", "timestamp"):
            values = self.found[f"{family}-{part}"]
            if len(set(values)) > 1:
                sentence = f"{family}-{part} arrived twice, with different values"
                return _said(Cause.HEADERS_CHANGED, sentence, "standard")
        return None

    # The search ----------------------------------------------------------------------------------

    def _searched(self) -> Diagnosis:
        family = self._family()
        scheme: Literal["standard", "guide"] = "standard" if family else "guide"
        if family:
            values = self.found[f"{family}-signature"]
            items = [item for value in values for item in _standard_items(value)]
            parts = [self.found[f"{family}-{part}"][0] for part in ("id", "timestamp")]
            contents = list(_standard_contents(*parts))
        else:
            items = [item for value in self.found[_GUIDE] for item in _guide_items(value)]
            contents = list(_guide_contents(self.found))
        try:
            fitting = self._fitting(scheme, items, contents)
        except _Spent:
            fitting = None
        return fitting or self._unexplained(scheme, family, items, contents)

    def _fitting(
        self, scheme: Literal["standard", "guide"], items: list[_Item], contents: list[_Content]
    ) -> Diagnosis | None:
        usual, *unusual = contents
        own, slipped = self._keys(scheme)
        guesses = [] if self.original is None else [self.original]
        for key, content, body in self._combinations(own, slipped, usual, unusual, guesses):
            item = self._fits(items, key[1].key, content, body)
            if item is not None:
                return self._named(scheme, key, content, body, item)
        for some in (own, slipped):
            for guess in unique(originals(self.raw), self.raw):
                self.left -= GUESSING * len(guess)
                for key in some:
                    if item := self._fits(items, key[1].key, usual, guess):
                        return self._named(scheme, key, usual, guess, item)
        return None

    def _combinations(
        self,
        own: list[tuple[int, Key]],
        slipped: list[tuple[int, Key]],
        usual: _Content,
        unusual: list[_Content],
        guesses: list[bytes],
    ) -> Iterator[tuple[tuple[int, Key], _Content, bytes]]:
        for body in (self.raw, *guesses):
            yield from ((key, usual, body) for key in own + slipped)
        for content in unusual:
            yield from ((key, content, self.raw) for key in own + slipped)

    def _keys(
        self, scheme: Literal["standard", "guide"]
    ) -> tuple[list[tuple[int, Key]], list[tuple[int, Key]]]:
        """Return the keys of the secrets as they are, and those with a slip, by secret."""
        own: list[tuple[int, Key]] = []
        slipped: list[tuple[int, Key]] = []
        for number, secret in enumerate(self.secrets, 1):
            for key in keys(secret, scheme):
                (slipped if key.cause else own).append((number, key))
        return own, slipped

    def _fits(self, items: list[_Item], key: bytes, content: _Content, body: bytes) -> _Item | None:
        text = b"%b%b%b" % (content.before, body, content.after)
        for size in {len(item.digest) for item in items} & set(_ALGORITHMS):
            self.left -= len(text) + 128
            if self.left < 0:
                raise _Spent
            digest = hmac.digest(key, text, _ALGORITHMS[size])
            for item in items:
                if hmac.compare_digest(item.digest, digest):
                    return item
        return None

    def _named(
        self,
        scheme: Literal["standard", "guide"],
        key: tuple[int, Key],
        content: _Content,
        body: bytes,
        item: _Item,
    ) -> Diagnosis:
        """Say all that lies between the request and a signature that fits."""
        number, (_, slip, how) = key
        said: list[tuple[Cause, str]] = []
        if body != self.raw:
            said.append(difference(body, self.raw))
        if slip:
            said.append((slip, how))
        if content.cause:
            said.append((content.cause, content.sentence))
        algorithm = _ALGORITHMS[len(item.digest)]
        if algorithm != "sha256":
            said.append((Cause.ALGORITHM, f"the signature is HMAC-{algorithm.upper()}"))
        elif item.cause:
            said.append((item.cause, item.sentence))
        if self.renamed:
            said.append((Cause.HEADERS_RENAMED, self.renamed))
        if not said:
            said.append(self._refused(number))
        cause = said[0][0]
        remedy = "; ".join(dict.fromkeys(REMEDY[each] for each, _ in said))
        return _said(cause, "; and ".join(text for _, text in said), scheme, number, remedy)

    def _refused(self, number: int) -> tuple[Cause, str]:
        """Return why `verify` refuses a signature that fits."""
        try:
            self._verify(self.secrets[number - 1], None)
        except VerificationError as error:
            if error.reason == Reason.BAD_SECRET:
                return Cause.SECRET_MALFORMED, str(error)
            if error.reason == Reason.BAD_SIGNATURE:
                sentence = "the items of the signature are not separated by exactly one space"
                return Cause.SIGNATURE_FORMAT, sentence
            family = self._family()
            sent = self.found.get(f"{family}-timestamp", ["0"])[0]
            if family and sent.isdigit() and len(sent) > _MAX_DIGITS:
                return Cause.TIMESTAMP_MILLISECONDS, "webhook-timestamp is not in seconds"
            if family and not sent.isdigit():
                return Cause.TIMESTAMP_FORMAT, f"{family}-timestamp is no number of seconds"
            return Cause.HEADERS_CHANGED, str(error)
        return Cause.UNKNOWN, "the signature fits, in a way that verify does not take"

    # Without a fit -------------------------------------------------------------------------------

    def _unexplained(
        self,
        scheme: Literal["standard", "guide"],
        family: str | None,
        items: list[_Item],
        contents: list[_Content],
    ) -> Diagnosis:
        if cut := self._cut(scheme, contents[0]):
            return cut
        if self.original is not None and self.original != self.raw:
            cause, sentence = difference(self.original, self.raw)
            return _said(cause, f"{sentence}; and no secret given fits either", scheme)
        if family and _GUIDE in self.found and (number := self._guide_fits()):
            return _said(
                Cause.HEADERS_CHANGED,
                "X-Webhook-Signature fits, so body and secret are right: "
                f"{family}-id or {family}-timestamp was changed on the way",
                scheme,
                number,
            )
        if family and (odd := self._odd_timestamp(family)):
            return odd
        return self._by_length(scheme) or self._bad_secret(scheme) or _unknown(scheme, items)

    def _cut(self, scheme: Literal["standard", "guide"], content: _Content) -> Diagnosis | None:
        """Return whether a signature is the beginning of the right one."""
        for number, secret in enumerate(self.secrets, 1):
            for key in keys(secret, scheme):
                if key.cause:
                    continue
                text = b"%b%b" % (content.before, self.raw)
                whole = hmac.digest(key.key, text, "sha256")
                for value in self._cut_texts(scheme):
                    full = whole.hex() if scheme == "guide" else base64.b64encode(whole).decode()
                    if 8 <= len(value) < len(full) and full.startswith(value):  # noqa: PLR2004
                        sentence = f"the signature is cut: {len(value)} of {len(full)} characters"
                        return _said(Cause.SIGNATURE_TRUNCATED, sentence, scheme, number)
        return None

    def _cut_texts(self, scheme: str) -> Iterator[str]:
        if scheme == "guide":
            yield from (v.removeprefix("sha256=").lower() for v in self.found[_GUIDE])
            return
        for value in self.found[f"{self._family()}-signature"]:
            yield from (part.removeprefix("v1,") for part in value.split())

    def _guide_fits(self) -> int | None:
        items = [item for value in self.found[_GUIDE] for item in _guide_items(value)]
        for number, secret in enumerate(self.secrets, 1):
            digest = hmac.digest(secret.encode(errors="replace"), self.raw, "sha256")
            if any(hmac.compare_digest(item.digest, digest) for item in items):
                return number
        return None

    def _odd_timestamp(self, family: str) -> Diagnosis | None:
        sent = self.found[f"{family}-timestamp"][0]
        if sent.isascii() and sent.isdigit():
            if len(sent) <= _MAX_DIGITS:
                return None
            sentence = f"{family}-timestamp has {len(sent)} digits: it is not in seconds"
            return _said(Cause.TIMESTAMP_MILLISECONDS, sentence, "standard")
        sentence = f"{family}-timestamp is no number of seconds"
        return _said(Cause.TIMESTAMP_FORMAT, sentence, "standard")

    def _by_length(self, scheme: Literal["standard", "guide"]) -> Diagnosis | None:
        if not self.raw:
            sentence = "the body is empty: something read it before it was verified"
            return _said(Cause.BODY_EMPTY, sentence, scheme)
        announced = self.found.get("content-length", [""])[0]
        if not re.fullmatch(r"[0-9]{1,12}", announced) or int(announced) == len(self.raw):
            return None
        sentence = f"Content-Length says {int(announced)} bytes, the body has {len(self.raw)}"
        cause = Cause.BODY_TRUNCATED if int(announced) > len(self.raw) else Cause.BODY_CHANGED
        return _said(cause, sentence, scheme)

    def _bad_secret(self, scheme: Literal["standard", "guide"]) -> Diagnosis | None:
        for secret in self.secrets:
            try:
                check_receiver_secret(secret)
            except InvalidSecret as error:
                return _said(Cause.SECRET_MALFORMED, str(error), scheme)
        return None


def _unknown(scheme: Literal["standard", "guide"], items: list[_Item]) -> Diagnosis:
    if not any(len(item.digest) in _ALGORITHMS for item in items):
        sentence = "the signature is neither whole hex nor whole base64"
        return _said(Cause.SIGNATURE_FORMAT, sentence, scheme)
    sentence = (
        "no usual slip makes this signature: the secret is another endpoint's, or the body was "
        "changed beyond guessing"
    )
    return _said(Cause.UNKNOWN, sentence, scheme)


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(shown[:2]) or "0 s"
