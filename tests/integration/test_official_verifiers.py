"""The reference packages of Standard Webhooks accept what Hookline signs."""

import json
import time

import pytest
import standardwebhooks
import svix

from hookline._domain.signature import Signer, secret_from
from hookline.receiver import verify

SECRET = secret_from(bytes(range(24)))
OTHER = secret_from(bytes(range(24, 48)))
BODIES = [
    '{"event":"customer.created","data":{"name":"张三"}}',
    '{"event":"a","data":{"text":"Zoë 漢字 😀 👨‍👩‍👧"}}',
    json.dumps({"event": "big", "data": "x" * 100_000}),
    "[]",
]
VERIFIERS = {
    "standardwebhooks": (standardwebhooks.Webhook, "webhook"),
    "svix": (svix.Webhook, "webhook"),
    "svix, its own names": (svix.Webhook, "svix"),
}


def headers(body, family, *secrets):
    """Return the Standard Webhooks headers of an attempt made now."""
    now = int(time.time())
    return {
        f"{family}-id": "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
        f"{family}-timestamp": str(now),
        f"{family}-signature": Signer(secrets).standard(
            "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", now, body.encode()
        ),
    }


@pytest.mark.parametrize("body", BODIES, ids=["Chinese", "emoji", "100 kB", "no object"])
@pytest.mark.parametrize("verifier", VERIFIERS.values(), ids=VERIFIERS)
def test_reference_verifiers_accept(verifier, body):
    """Each reference package verifies our headers, Chinese, emoji and 100 kB included."""
    webhook, family = verifier
    signed = headers(body, family, SECRET)
    webhook(SECRET).verify(body.encode(), signed)  # raises when it does not fit
    with pytest.raises(Exception, match="matching signature"):
        webhook(SECRET).verify(body.encode() + b" ", signed)


@pytest.mark.parametrize("known", [SECRET, OTHER])
@pytest.mark.parametrize("verifier", VERIFIERS.values(), ids=VERIFIERS)
def test_reference_verifiers_accept_both_keys_of_an_overlap(verifier, known):
    """While a secret is rotated, a reference package with either secret verifies."""
    webhook, family = verifier
    signed = headers(BODIES[0], family, OTHER, SECRET)
    webhook(known).verify(BODIES[0].encode(), signed)


def test_what_a_reference_package_signs_verifies_here():
    """The other way round: `hookline.receiver` verifies what the reference package signs."""
    now = time.time()
    stamp = standardwebhooks.webhooks.datetime.fromtimestamp(
        now, standardwebhooks.webhooks.timezone.utc
    )
    signature = standardwebhooks.Webhook(SECRET).sign("msg_1", stamp, BODIES[0])
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now)),
        "webhook-signature": signature,
    }
    assert verify(BODIES[0], signed, SECRET).data == {"name": "张三"}
