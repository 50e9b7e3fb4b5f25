"""What is signed, to the byte: the vectors of the standards."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from hookline import Endpoint, generate_secret
from hookline._domain import ed25519
from hookline._domain.forms import HEADERS
from hookline._domain.signature import (
    Signer,
    check_receiver_secret,
    check_secret,
    guide_signature,
    hmac_secret,
    key_bytes,
    secret_from,
    standard_signature,
)
from hookline.errors import InvalidSecret

VECTORS = Path(__file__).parents[1] / "vectors"
STANDARD = json.loads((VECTORS / "standard_webhooks.json").read_text("utf-8"))["symmetric"]
GUIDE = json.loads((VECTORS / "guide_signature.json").read_text("utf-8"))["vectors"]
ED25519 = json.loads((VECTORS / "standard_webhooks.json").read_text("utf-8"))["ed25519"]
PROVIDERS = [
    (form, vector)
    for form in ("github", "stripe", "slack", "shopify")
    for vector in json.loads((VECTORS / f"{form}.json").read_text("utf-8"))["vectors"]
]
KEY = ED25519[0]["secret"]


def v1a(raw):
    """Return a `v1a` item of a signature's bytes."""
    return "v1a," + base64.b64encode(raw).decode()


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


@pytest.mark.parametrize(
    ("form", "vector"), PROVIDERS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_provider_vectors(form, vector):
    """What GitHub, Stripe, Slack and Shopify publish comes out, to the byte."""
    timestamp = vector.get("timestamp", 1)
    signer = Signer([vector["secret"]], [form])
    lines = dict(
        line.split(": ", 1) for line in signer.lines("msg_1", timestamp, vector["body"].encode())
    )
    assert tuple(lines) == HEADERS[form]
    assert lines.pop(HEADERS[form][-1]) == vector["signature"]
    assert list(lines.values()) == [str(timestamp)] * len(lines)


@pytest.mark.parametrize("vector", ED25519, ids=lambda v: v["body"])
def test_ed25519_vectors(vector):
    """The published v1a vector comes out, beside a `v1` of the secret derived from the key."""
    body = vector["body"].encode()
    signed = Signer([vector["secret"]]).standard(vector["id"], vector["timestamp"], body)
    derived = key_bytes(hmac_secret(vector["secret"]))
    v1 = standard_signature(derived, vector["id"], vector["timestamp"], body)
    assert signed == f"{v1} {vector['signature']}"
    assert ed25519.public_key(vector["secret"]) == vector["public"]


def test_the_derived_secret_is_hkdf():
    """The HMAC secret of an ed25519 key is HKDF-SHA256 of its seed, as documented."""
    seed, _ = ed25519.pair(KEY)
    label = b"hookline: HMAC key of an ed25519 key"
    expected = HKDF(hashes.SHA256(), length=24, salt=None, info=label).derive(seed)
    assert key_bytes(hmac_secret(KEY)) == expected
    assert hmac_secret(KEY) == "whsec_UJOmxdKB4RPrawYp2SDmkkOZXvOsobmp"
    assert hmac_secret("any text") == "any text"


@given(st.sampled_from([1, 24, 63, 64, 65, 128, 500]), st.binary(max_size=200))
def test_prepared_keys_are_hmac(length, body):
    """The two prepared halves of a key make the HMAC of the standard library, for any length."""
    key = ("key of any length, " * 30)[:length]
    expected = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    assert Signer([key]).guide(body) == f"sha256={expected}"


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
        ("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", "public key, which cannot sign"),
        ("whsk_AAAA", "64 bytes"),
        ("whsk_" + "A" * 43 + "=", "64 bytes"),
        ("whsk_AAAA!", "base64"),
        ("whsk_", "64 bytes"),
        (KEY[:20] + "AAAA" + KEY[24:], "do not belong together"),
        (KEY[:-20] + "AAAA" + KEY[-16:], "do not belong together"),
    ],
)
def test_unusable_secrets_are_refused_without_being_shown(secret, reason):
    """A secret that cannot sign is refused with the reason, and never quoted."""
    with pytest.raises(InvalidSecret, match=reason) as caught:
        check_secret(secret)
    assert "AAAA" not in str(caught.value)
    assert "spaced" not in str(caught.value)


def test_an_endpoint_shows_what_its_receiver_needs():
    """`public_key` and `hmac_secret` follow from the secret; the secret is in no repr."""
    signed = Endpoint("https://example.com/", ("*",), secret=KEY)
    assert signed.public_key == ED25519[0]["public"]
    assert signed.hmac_secret == hmac_secret(KEY)
    assert "whs" not in repr(signed)
    plain = Endpoint("https://example.com/", ("*",), secret="any text")
    assert (plain.public_key, plain.hmac_secret) == (None, "any text")
    unsigned = Endpoint("https://example.com/", ("*",))
    assert (unsigned.public_key, unsigned.hmac_secret) == (None, None)


def test_generated_keys_sign_and_differ():
    """Each generated secret is new, passes its own check, and an ed25519 one has its pair."""
    for kind, prefix in (("hmac", "whsec_"), ("ed25519", "whsk_")):
        one, two = generate_secret(kind), generate_secret(kind)
        assert check_secret(one).startswith(prefix)
        assert one != two
    seed, public = ed25519.pair(one)
    assert (len(seed), len(public)) == (32, 32)


def test_a_receivers_secrets():
    """A receiver takes the public key, and is told what to take instead of the private one."""
    assert check_receiver_secret(ED25519[0]["public"]) == ED25519[0]["public"]
    assert check_receiver_secret("any text") == "any text"
    with pytest.raises(InvalidSecret, match=r"private key.*Endpoint\.public_key") as caught:
        check_receiver_secret(KEY)
    assert KEY not in str(caught.value)
    for short in ("whpk_AAAA", "whpk_", KEY.replace("whsk_", "whpk_")):
        with pytest.raises(InvalidSecret, match="32 bytes"):
            check_receiver_secret(short)


@given(st.lists(st.text(max_size=100) | st.binary(min_size=64, max_size=64).map(v1a), max_size=5))
def test_no_other_item_fits(items):
    """Whatever the items are: none but a signature of the content fits, and nothing raises."""
    assert not ed25519.any_fits(items, [ed25519.verifier(ED25519[0]["public"])], b"content")


def test_items_beyond_the_first_sixteen_are_not_looked_at():
    """A header full of items costs a receiver sixteen verifications, not a thousand."""
    asked = []

    def fits(signature, content):
        asked.append(signature)
        return False

    items = [v1a(bytes([n % 256]) * 64) for n in range(1000)]
    assert not ed25519.any_fits(items, [fits], b"content")
    assert len(asked) == 16
    right = v1a(ed25519.signer(KEY)(b"content"))
    keys = [ed25519.verifier(ED25519[0]["public"])]
    assert ed25519.any_fits(["v1,AAAA", *items[:15], right], keys, b"content")
    assert not ed25519.any_fits([*items[:16], right], keys, b"content")


def test_without_cryptography_ed25519_says_what_to_install():
    """Where the package is missing, all else works; ed25519 keys are refused with the command."""
    code = f"""
import sys
sys.modules["cryptography"] = None
from hookline import Webhooks, generate_secret
from hookline.receiver import VerificationError, verify
webhooks = Webhooks(database="sqlite:///x.db", development=True)
webhooks.register("http://127.0.0.1/", ["*"], secret=generate_secret())
for call in (
    lambda: webhooks.register("http://127.0.0.1/", ["*"], secret={KEY!r}),
    lambda: generate_secret("ed25519"),
    lambda: verify(b"", {{}}, {ED25519[0]["public"]!r}),
):
    try:
        call()
    except (ValueError, VerificationError) as error:
        print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "InvalidSecret",
        "InvalidSecret",
        "VerificationError",
    ]
    assert all("pip install 'hookline[crypto]'" in line for line in lines)
