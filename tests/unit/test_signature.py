"""What is signed, to the byte: the vectors of the standards."""

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from hookline._domain.signature import (
    Signer,
    check_secret,
    guide_signature,
    key_bytes,
    secret_from,
    standard_signature,
)
from hookline.errors import InvalidSecret

VECTORS = Path(__file__).parents[1] / "vectors"
STANDARD = json.loads((VECTORS / "standard_webhooks.json").read_text("utf-8"))["symmetric"]
GUIDE = json.loads((VECTORS / "guide_signature.json").read_text("utf-8"))["vectors"]


@pytest.mark.parametrize("vector", STANDARD, ids=lambda v: v["body"])
def test_standard_vectors(vector):
    """The published Standard Webhooks vectors come out of both ways to sign."""
    body = vector["body"].encode()
    signed = standard_signature(
        key_bytes(vector["secret"]), vector["id"], vector["timestamp"], body
    )
    assert signed == vector["signature"]
    signer = Signer([vector["secret"]])
    assert signer.standard(vector["id"], vector["timestamp"], body) == vector["signature"]


@pytest.mark.parametrize("vector", GUIDE, ids=lambda v: v["body"])
def test_guide_vectors(vector):
    """GitHub's published vector comes out of both ways to sign."""
    body = vector["body"].encode()
    assert guide_signature(vector["secret"], body) == vector["signature"]
    assert Signer([vector["secret"]]).guide(body) == vector["signature"]


def test_guide_key_is_the_text_of_the_secret():
    """The guide's header takes a whsec_ secret as text, as the guide's own samples do."""
    secret = STANDARD[0]["secret"]
    expected = hmac.new(secret.encode(), b"{}", hashlib.sha256).hexdigest()
    assert guide_signature(secret, b"{}") == f"sha256={expected}"


def test_overlap_keeps_the_old_guide_signature_and_carries_both_standard_ones():
    """During a rotation the guide's header stays with the old secret; the other has both."""
    signer = Signer(["new-secret", "old-secret"])
    assert signer.guide(b"{}") == guide_signature("old-secret", b"{}")
    assert signer.standard("msg_1", 1, b"{}") == " ".join(
        standard_signature(secret.encode(), "msg_1", 1, b"{}")
        for secret in ("new-secret", "old-secret")
    )


def test_signing_twice_gives_the_same():
    """A signer's prepared state is not used up by signing."""
    signer = Signer(["secret"])
    assert signer.guide(b"a") == signer.guide(b"a") != signer.guide(b"b")
    assert signer.standard("m", 1, b"a") == signer.standard("m", 1, b"a")


def test_generated_secrets_are_importable():
    """A new secret is whsec_ and unpadded base64 of 24 bytes, and passes its own check."""
    secret = secret_from(bytes(range(24)))
    assert secret == "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
    assert key_bytes(check_secret(secret)) == bytes(range(24))


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "empty"),
        (" spaced", "white space"),
        ("ends in newline\n", "white space"),
        ("whsec_!!!", "base64"),
        ("whsec_AAAA", "24 to 64 bytes"),
        ("\ud800", "Unicode"),
        (b"bytes", "expected text"),
        (None, "expected text"),
    ],
)
def test_unusable_secrets_are_refused_without_being_shown(secret, reason):
    """A secret that cannot sign is refused with the reason, and never quoted."""
    with pytest.raises(InvalidSecret, match=reason) as caught:
        check_secret(secret)
    assert "AAAA" not in str(caught.value)
    assert "spaced" not in str(caught.value)
