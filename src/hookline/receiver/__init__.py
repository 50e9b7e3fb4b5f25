"""Verify the webhooks that arrive: standard library only.

    from hookline.receiver import VerificationError, verify

    try:
        event = verify(body, headers, "your-secret-key")   # body: the raw bytes, not parsed JSON
    except VerificationError as error:
        return 401, str(error)
    if event.type == "customer.created":
        ...

Two signatures may come with a request (Hookline sends both):

- Standard Webhooks 1.0 (`webhook-id`, `webhook-timestamp`, `webhook-signature`, or the same three
  under their `svix-` names) signs id, time and body, so an old request cannot be played again.
- The guide's `X-Webhook-Signature: sha256=<hex>` signs the body alone.

Where the endpoint's secret is an ed25519 key, verify with its public one (`whpk_…`, which needs
`cryptography`), or with the `whsec_…` derived from it.

Where a Standard Webhooks signature is present, it alone decides; otherwise the guide's header does.
Whoever recorded a request could strip the former and replay the latter for ever: a receiver that
knows its sender sends both says `scheme="standard"`, and nothing less is accepted.

Delivery is at least once. `Event.id` is the same on every retry: remember it, and do nothing when
it comes again (`hookline.once` does).

`hookline.flask`, `hookline.django`, `hookline.fastapi`, `hookline.asgi` and `hookline.wsgi` do all
of this for one route: each has `receive`.
"""

from hookline.receiver._diagnosis import Cause, Diagnosis, diagnose
from hookline.receiver._door import Answer, Options
from hookline.receiver._verify import TOLERANCE as TOLERANCE
from hookline.receiver._verify import (
    Event,
    HeaderSource,
    Reason,
    Scheme,
    VerificationError,
    verify,
    verify_signature,
)

__all__ = [
    "Answer",
    "Cause",
    "Diagnosis",
    "Event",
    "HeaderSource",
    "Options",
    "Reason",
    "Scheme",
    "VerificationError",
    "diagnose",
    "verify",
    "verify_signature",
]
