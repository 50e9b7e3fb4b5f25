"""The search behind `diagnose`: which body, key and signed text would have made this signature.

One thing at a time first, then a body and a key together. What is tried is bounded in bytes, so a
large body cannot keep the search going.
"""

import base64
import hmac
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce
from typing import Any, Literal

from hookline._domain import ed25519
from hookline._domain.signature import check_receiver_secret
from hookline._said import Said, joined, listed
from hookline.errors import InvalidSecret
from hookline.receiver._bodies import originals, unique
from hookline.receiver._diagnosis import REMEDY, Cause, Diagnosis, both
from hookline.receiver._difference import EMPTY, difference
from hookline.receiver._secrets import Key, keys, usable
from hookline.receiver._signed import (
    ALGORITHMS,
    FAMILIES,
    Content,
    Item,
    guide_contents,
    guide_items,
    standard_contents,
    standard_items,
)
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
_WANTED = (_GUIDE, *(f"{family}-{part}" for family in FAMILIES for part in _PARTS))
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
        wrong = body if raw is None else original
        return _diagnosed(
            Cause.BODY_CHANGED,
            Said("the body is {kind}, not the raw bytes", kind=type(wrong).__name__),
        )
    secrets = [secret] if isinstance(secret, str | bytes) else _listed(secret)
    if not secrets or not all(isinstance(each, str) for each in secrets):
        return _diagnosed(Cause.SECRET_MALFORMED, Said("the secret is no text"))
    if not all(secrets):
        return _diagnosed(Cause.SECRET_EMPTY, Said("the secret is empty"))
    try:
        found = _headers(headers)
    except (AttributeError, TypeError, ValueError, VerificationError):
        sentence = Said("the headers cannot be read: {kind}", kind=type(headers).__name__)
        return _diagnosed(Cause.HEADERS_UNREADABLE, sentence)
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


def _diagnosed(
    cause: Cause,
    sentence: str,
    scheme: Literal["standard", "guide"] | None = None,
    number: int | None = None,
    remedy: str | None = None,
) -> Diagnosis:
    return Diagnosis(cause, sentence, REMEDY[cause] if remedy is None else remedy, scheme, number)


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
                    sentence = Said("the signature fits, but the body is not JSON in UTF-8")
                    return _diagnosed(Cause.NOT_JSON, sentence, None, number)
                if error.reason in (Reason.TIMESTAMP_TOO_OLD, Reason.TIMESTAMP_TOO_NEW):
                    return self._late(number)
                continue
            return _diagnosed(Cause.VALID, self._praise(event.scheme, number), event.scheme, number)
        return None

    def _verify(self, secret: str, tolerance: float | timedelta | None) -> Any:
        return verify(self.raw, self.headers, secret, tolerance=tolerance, now=self.now)

    def _praise(self, scheme: str, number: int) -> Said:
        name = "webhook-signature" if scheme == "standard" else "X-Webhook-Signature"
        which, note, many = "", "", len(self.secrets)
        if many > 1:
            which = Said(" with secret {number} of {many}", number=number, many=many)
        if scheme == "guide" and not self.found[_GUIDE][0].startswith("sha256="):
            note = Said("; it lacks its sha256=, which other verifiers may insist on")
        return Said(
            "the webhook is valid: {name} fits{which}{note}", name=name, which=which, note=note
        )

    def _late(self, number: int) -> Diagnosis:
        family = self._family()
        away = self.now - int(self.found[f"{family}-timestamp"][0])
        span = _span(abs(away))
        sentence = Said("the signature fits, but it was made {span} ago", span=span)
        if away <= 0:
            sentence = Said("the signature fits, but it was made {span} from now", span=span)
        zones = abs(away) / 1800
        if 1 < zones <= 29 and abs(zones - round(zones)) < 120 / 1800:  # noqa: PLR2004
            sentence = Said(
                "{sentence}, about a time zone's difference: a clock may be set to local time",
                sentence=sentence,
            )
        return _diagnosed(Cause.CLOCK, sentence, "standard", number)

    def _family(self) -> str | None:
        return next((each for each in FAMILIES if self.found.get(f"{each}-signature")), None)

    def _unsigned(self) -> Diagnosis | None:
        """Return what is wrong with the headers where there is nothing to check."""
        if renamed := self._renamed():
            return renamed
        family = self._family()
        if family is None and _GUIDE in self.found:
            return None
        if family is None:
            return self._stripped()
        names = [f"{family}-{part}" for part in ("id", "timestamp")]
        missing = [name for name in names if not self.found.get(name)]
        if not missing:
            return self._versions(family) or self._twice(family)
        first, last = missing[0], missing[-1]
        sentence = Said(
            "{signature} is there, but {missing} did not arrive",
            signature=f"{family}-signature",
            missing=listed(dict.fromkeys((first, last))),
        )
        return _diagnosed(Cause.HEADERS_MISSING, sentence, "standard")

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
        self.renamed = Said("{wanted} arrived as {name}", wanted=wanted, name=name)
        inner = self._verified()
        if inner is None:
            return None
        return _diagnosed(Cause.HEADERS_RENAMED, self.renamed, inner.scheme, inner.secret)

    def _stripped(self) -> Diagnosis:
        known = [n for n in self.found if n.startswith(("webhook-", "svix-", "x-webhook-"))]
        if any(name.endswith(("-id", "-timestamp")) for name in known):
            sentence = Said(
                "{name} arrived, but no signature: something on the way removed it", name=known[0]
            )
            return _diagnosed(Cause.HEADERS_MISSING, sentence)
        sentence = Said("no webhook-signature and no X-Webhook-Signature arrived")
        return _diagnosed(Cause.NO_SIGNATURE, sentence)

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
            sentence = Said(
                "the ed25519 signature (v1a) does not fit this public key: it is another "
                "endpoint's, or the body was changed"
            )
            return _diagnosed(Cause.UNKNOWN, sentence, "standard")
        which = "ed25519 (v1a)" if "v1a" in versions else ", ".join(sorted(versions))
        sentence = Said(
            "the only signature is {which}, which a shared secret cannot check", which=which
        )
        return _diagnosed(
            Cause.ALGORITHM,
            sentence,
            "standard",
            None,
            Said(
                "verify it with the public key, or have the sender sign with v1 (HMAC-SHA256) too"
            ),
        )

    def _twice(self, family: str) -> Diagnosis | None:
        for name in (f"{family}-id", f"{family}-timestamp"):
            if len(set(self.found[name])) > 1:
                sentence = Said("{name} arrived twice, with different values", name=name)
                return _diagnosed(Cause.HEADERS_CHANGED, sentence, "standard")
        return None

    # The search ----------------------------------------------------------------------------------

    def _searched(self) -> Diagnosis:
        family = self._family()
        scheme: Literal["standard", "guide"] = "standard" if family else "guide"
        if family:
            values = self.found[f"{family}-signature"]
            items = [item for value in values for item in standard_items(value)]
            parts = [self.found[f"{family}-{part}"][0] for part in ("id", "timestamp")]
            contents = list(standard_contents(*parts))
        else:
            items = [item for value in self.found[_GUIDE] for item in guide_items(value)]
            contents = list(guide_contents(self.found))
        try:
            fitting = self._fitting(scheme, items, contents)
        except _Spent:
            fitting = None
        return fitting or self._unexplained(scheme, family, items, contents)

    def _fitting(
        self, scheme: Literal["standard", "guide"], items: list[Item], contents: list[Content]
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
        usual: Content,
        unusual: list[Content],
        guesses: list[bytes],
    ) -> Iterator[tuple[tuple[int, Key], Content, bytes]]:
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

    def _fits(self, items: list[Item], key: bytes, content: Content, body: bytes) -> Item | None:
        text = b"%b%b%b" % (content.before, body, content.after)
        for size in {len(item.digest) for item in items} & set(ALGORITHMS):
            self.left -= len(text) + 128
            if self.left < 0:
                raise _Spent
            digest = hmac.digest(key, text, ALGORITHMS[size])
            for item in items:
                if hmac.compare_digest(item.digest, digest):
                    return item
        return None

    def _named(
        self,
        scheme: Literal["standard", "guide"],
        key: tuple[int, Key],
        content: Content,
        body: bytes,
        item: Item,
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
        algorithm = ALGORITHMS[len(item.digest)]
        if algorithm != "sha256":
            sentence = Said("the signature is HMAC-{name}", name=algorithm.upper())
            said.append((Cause.ALGORITHM, sentence))
        elif item.cause:
            said.append((item.cause, item.sentence))
        if self.renamed:
            said.append((Cause.HEADERS_RENAMED, self.renamed))
        if not said:
            said.append(self._refused(number))
        cause = said[0][0]
        remedy = reduce(_then, dict.fromkeys(REMEDY[each] for each, _ in said))
        return _diagnosed(cause, reduce(both, (text for _, text in said)), scheme, number, remedy)

    def _refused(self, number: int) -> tuple[Cause, str]:
        """Return why `verify` refuses a signature that fits."""
        try:
            self._verify(self.secrets[number - 1], None)
        except VerificationError as error:
            if error.reason == Reason.BAD_SECRET:
                return Cause.SECRET_MALFORMED, error.args[1]
            if error.reason == Reason.BAD_SIGNATURE:
                return Cause.SIGNATURE_FORMAT, Said(
                    "the items of the signature are not separated by exactly one space"
                )
            family = self._family()
            sent = self.found.get(f"{family}-timestamp", ["0"])[0]
            if family and sent.isdigit() and len(sent) > _MAX_DIGITS:
                sentence = Said("webhook-timestamp is not in seconds")
                return Cause.TIMESTAMP_MILLISECONDS, sentence
            if family and not sent.isdigit():
                return Cause.TIMESTAMP_FORMAT, _no_number(family)
            return Cause.HEADERS_CHANGED, error.args[1]
        return Cause.UNKNOWN, Said("the signature fits, in a way that verify does not take")

    # Without a fit -------------------------------------------------------------------------------

    def _unexplained(
        self,
        scheme: Literal["standard", "guide"],
        family: str | None,
        items: list[Item],
        contents: list[Content],
    ) -> Diagnosis:
        if cut := self._cut(scheme, contents[0]):
            return cut
        if self.original is not None and self.original != self.raw:
            cause, sentence = difference(self.original, self.raw)
            nor = Said("no secret given fits either")
            return _diagnosed(cause, both(sentence, nor), scheme)
        if family and _GUIDE in self.found and (number := self._guide_fits()):
            return _diagnosed(
                Cause.HEADERS_CHANGED,
                Said(
                    "X-Webhook-Signature fits, so body and secret are right: "
                    "{name} or {time} was changed on the way",
                    name=f"{family}-id",
                    time=f"{family}-timestamp",
                ),
                scheme,
                number,
            )
        if family and (odd := self._odd_timestamp(family)):
            return odd
        return self._by_length(scheme) or self._bad_secret(scheme) or _unknown(scheme, items)

    def _cut(self, scheme: Literal["standard", "guide"], content: Content) -> Diagnosis | None:
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
                        sentence = Said(
                            "the signature is cut: {came} of {whole} characters",
                            came=len(value),
                            whole=len(full),
                        )
                        return _diagnosed(Cause.SIGNATURE_TRUNCATED, sentence, scheme, number)
        return None

    def _cut_texts(self, scheme: str) -> Iterator[str]:
        if scheme == "guide":
            yield from (v.removeprefix("sha256=").lower() for v in self.found[_GUIDE])
            return
        for value in self.found[f"{self._family()}-signature"]:
            yield from (part.removeprefix("v1,") for part in value.split())

    def _guide_fits(self) -> int | None:
        items = [item for value in self.found[_GUIDE] for item in guide_items(value)]
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
            sentence = Said(
                "{name} has {digits} digits: it is not in seconds",
                name=f"{family}-timestamp",
                digits=len(sent),
            )
            return _diagnosed(Cause.TIMESTAMP_MILLISECONDS, sentence, "standard")
        return _diagnosed(Cause.TIMESTAMP_FORMAT, _no_number(family), "standard")

    def _by_length(self, scheme: Literal["standard", "guide"]) -> Diagnosis | None:
        if not self.raw:
            return _diagnosed(Cause.BODY_EMPTY, EMPTY, scheme)
        announced = self.found.get("content-length", [""])[0]
        if not re.fullmatch(r"[0-9]{1,12}", announced) or int(announced) == len(self.raw):
            return None
        sentence = Said(
            "Content-Length says {announced} bytes, the body has {came}",
            announced=int(announced),
            came=len(self.raw),
        )
        cause = Cause.BODY_TRUNCATED if int(announced) > len(self.raw) else Cause.BODY_CHANGED
        return _diagnosed(cause, sentence, scheme)

    def _bad_secret(self, scheme: Literal["standard", "guide"]) -> Diagnosis | None:
        for secret in self.secrets:
            try:
                check_receiver_secret(secret)
            except InvalidSecret as error:
                return _diagnosed(Cause.SECRET_MALFORMED, error.args[0], scheme)
        return None


def _unknown(scheme: Literal["standard", "guide"], items: list[Item]) -> Diagnosis:
    if not any(len(item.digest) in ALGORITHMS for item in items):
        sentence = Said("the signature is neither whole hex nor whole base64")
        return _diagnosed(Cause.SIGNATURE_FORMAT, sentence, scheme)
    sentence = Said(
        "no usual slip makes this signature: the secret is another endpoint's, or the body was "
        "changed beyond guessing"
    )
    return _diagnosed(Cause.UNKNOWN, sentence, scheme)


def _no_number(family: str) -> Said:
    return Said("{name} is no number of seconds", name=f"{family}-timestamp")


def _then(first: str, second: str) -> Said:
    return Said("{first}; {second}", first=first, second=second)


def _span(seconds: float) -> Said:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [
        (days, Said("{number} d", number=days)),
        (hours, Said("{number} h", number=hours)),
        (minutes, Said("{number} min", number=minutes)),
        (rest, Said("{number} s", number=rest)),
    ]
    shown = [said for number, said in parts if number] or [parts[-1][1]]
    return joined(" ", shown[:2])
