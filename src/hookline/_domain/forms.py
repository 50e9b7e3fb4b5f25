"""The forms a signature is sent in: which headers each has, and what may be asked for together."""

import difflib
from collections.abc import Iterable
from typing import Any

from hookline._domain import ed25519
from hookline._domain.signature import DEFAULT_FORMS
from hookline._said import Said, either
from hookline.errors import InvalidInput, InvalidSecret

HEADERS = {
    "guide": ("X-Webhook-Signature",),
    "standard": ("webhook-signature",),
    "svix": ("svix-id", "svix-timestamp", "svix-signature"),
    "ed25519": ("webhook-signature",),
    "github": ("X-Hub-Signature-256",),
    "stripe": ("Stripe-Signature",),
    "slack": ("X-Slack-Request-Timestamp", "X-Slack-Signature"),
    "shopify": ("X-Shopify-Hmac-Sha256",),
}


def parse(names: Any) -> tuple[str, ...]:
    """Return the forms without repeats, or raise InvalidInput with the nearest names."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InvalidInput(Said("signatures: expected a list of forms, got {got}", got=repr(names)))
    forms = tuple(dict.fromkeys(_known(name) for name in names))
    if not forms:
        raise InvalidInput(
            Said(
                "signatures: empty; leave it out for 'guide' and 'standard', or leave the "
                "secret out for an unsigned endpoint"
            )
        )
    for other in ("standard", "svix"):
        if "ed25519" in forms and other in forms:
            raise InvalidInput(
                Said(
                    "signatures: 'ed25519' sends v1a without v1, {other!r} sends both: name only "
                    "one",
                    other=other,
                )
            )
    return forms


def _known(name: Any) -> str:
    if isinstance(name, str) and name in HEADERS:
        return name
    near = difflib.get_close_matches(str(name).lower(), HEADERS, n=3, cutoff=0.5)
    hint = (
        Said("did you mean {hint}?", hint=either(map(repr, near)))
        if near
        else Said("there is no such form.")
    )
    raise InvalidInput(
        Said(
            "signatures: {got}: {hint} Known are {known}",
            got=repr(name),
            hint=hint,
            known=", ".join(HEADERS),
        )
    )


def check(forms: tuple[str, ...] | None, secret: str | None) -> None:
    """Raise InvalidSecret when an endpoint that asks for these forms cannot have this secret."""
    if forms is None:
        return
    if secret is None:
        raise InvalidSecret(
            Said(
                "secret: missing; signatures={signatures} need one, for example from "
                "hookline.generate_secret()",
                signatures=repr(list(forms)),
            )
        )
    if "ed25519" in forms and not ed25519.is_private(secret):
        raise InvalidSecret(
            Said(
                "secret: signatures=['ed25519'] needs an ed25519 key, whsk_… from "
                "hookline.generate_secret('ed25519')"
            )
        )


def reserved(forms: tuple[str, ...] | None) -> dict[str, str]:
    """Return the headers these forms send, in lower case, each with its form."""
    return {name.lower(): form for form in forms or DEFAULT_FORMS for name in HEADERS[form]}
