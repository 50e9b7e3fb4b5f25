"""What an endpoint gets in each form is accepted by the verifier of whoever uses that form.

Every request goes through a real `Webhooks` to a real receiver; the bytes and headers captured
there are given to the official packages: PyPI's in this process, npm's in a Node beside it.
"""

import base64
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import standardwebhooks
import stripe
import svix
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from slack_sdk.signature import SignatureVerifier
from tools import npm

from hookline import generate_secret
from hookline.errors import InvalidHeader, InvalidInput, InvalidSecret
from hookline.receiver import Reason, VerificationError, verify

NODE = Path(__file__).parent / "node"
OLD, NEW, OTHER = ("whsec_" + text * 8 for text in ("b2xk", "bmV3", "b3Ro"))
ALL = ["guide", "standard", "svix", "github", "stripe", "slack", "shopify"]
DATA = {"id": "1", "name": "张三", "note": "Zoë 漢字 😀", "quote": "\\u5f20 <&>"}


def pypi(call):
    """Return whether a verifier accepts, which raises when it does not."""

    def accepts(body, headers, secret):
        try:
            call(body, headers, secret)
        except (
            standardwebhooks.WebhookVerificationError,
            svix.WebhookVerificationError,
            stripe.SignatureVerificationError,
        ):
            return False
        return True

    return accepts


def only(family):
    """Return what passes on the headers of one family, so that the other one cannot help."""
    return lambda headers: {n: v for n, v in headers.items() if n.startswith(family)}


PYPI = {
    "PyPI standardwebhooks": (
        "standard",
        pypi(lambda body, h, s: standardwebhooks.Webhook(s).verify(body, only("webhook-")(h))),
    ),
    "PyPI svix": ("svix", pypi(lambda body, h, s: svix.Webhook(s).verify(body, only("svix-")(h)))),
    "PyPI stripe": (
        "stripe",
        pypi(lambda body, h, s: stripe.Webhook.construct_event(body, h["stripe-signature"], s)),
    ),
    "PyPI slack_sdk": (
        "slack",
        lambda body, h, s: SignatureVerifier(s).is_valid_request(body, h),
    ),
}
NPM = {
    "npm standardwebhooks": ("standard", "standardwebhooks", "webhook-"),
    "npm svix": ("svix", "svix", "svix-"),
    "npm stripe": ("stripe", "stripe", "stripe-"),
    "npm @octokit/webhooks-methods": ("github", "octokit", "x-hub-"),
    "npm @shopify/shopify-api": ("shopify", "shopify", "x-shopify-"),
}
VERIFIERS = [*PYPI, *NPM]
SEVERAL = {"standard", "svix", "stripe"}
"""Forms whose header carries the signatures of all active secrets."""


@pytest.fixture(scope="session")
def node():
    """Return an asker of npm's verifiers."""
    if not npm.install(NODE):
        pytest.skip("needs Node and npm")
    with subprocess.Popen(
        ["node", "verify.js"], cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def ask(verifier, body, headers, secret):
            question = {
                "verifier": verifier,
                "body": base64.b64encode(body).decode(),
                "headers": headers,
                "secret": secret,
            }
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())["accepted"]

        yield ask
        process.stdin.close()


@pytest.fixture(params=VERIFIERS)
def verifier(request):
    """The form that an official verifier is for, and whether it accepts a body and headers."""
    if request.param in PYPI:
        return PYPI[request.param]
    form, name, family = NPM[request.param]
    ask, pick = request.getfixturevalue("node"), only(family)
    return form, lambda body, headers, secret: ask(name, body, pick(headers), secret)


@pytest.fixture
def deliver(make_webhooks, receiver):
    """Return a coroutine that registers, sends, and returns what arrived: body and headers."""
    receiver.secret = None
    webhooks = make_webhooks()

    async def send(**options):
        if options:
            webhooks.register(receiver.url, ["*"], **options)
        await (await webhooks.trigger("customer.created", DATA)).delivered()
        arrived = receiver.received[-1]
        return arrived.body, dict(arrived.headers)

    send.webhooks, send.url = webhooks, receiver.url
    return send


async def test_a_delivery_is_accepted(verifier, deliver):
    """The official verifier takes the request as it came, and neither another body nor key."""
    form, accepts = verifier
    body, headers = await deliver(secret=OLD, signatures=[form])
    assert "张三" in body.decode()
    assert accepts(body, headers, OLD)
    assert not accepts(body + b" ", headers, OLD)
    assert not accepts(json.dumps(json.loads(body), separators=(",", ":")).encode(), headers, OLD)
    assert not accepts(body, headers, OTHER)


async def test_all_forms_at_once(verifier, deliver):
    """One request may carry every form; none disturbs another."""
    _, accepts = verifier
    body, headers = await deliver(secret=OLD, signatures=ALL)
    assert accepts(body, headers, OLD)
    assert not accepts(body + b" ", headers, OLD)


async def test_an_overlap(verifier, deliver):
    """Old and new secret are both accepted, the old one alone where there is room for one."""
    form, accepts = verifier
    await deliver(secret=OLD, signatures=[form])
    await deliver.webhooks.rotate_secret(deliver.url, NEW)
    body, headers = await deliver()
    assert accepts(body, headers, OLD)
    assert accepts(body, headers, NEW) == (form in SEVERAL)
    assert not accepts(body, headers, OTHER)
    for secret in (OLD, NEW):
        assert not accepts(body + b" ", headers, secret)

    await deliver.webhooks.rotate_secret(deliver.url, NEW, overlap=timedelta(0))
    body, headers = await deliver()
    assert not accepts(body, headers, OLD)
    assert accepts(body, headers, NEW)


async def test_an_ed25519_endpoint_has_an_hmac_secret_too(verifier, deliver):
    """Every verifier that knows HMAC only accepts with the secret derived from the key."""
    form, accepts = verifier
    body, headers = await deliver(secret=generate_secret("ed25519"), signatures=[form])
    endpoint = await deliver.webhooks.endpoint(deliver.url)
    assert endpoint.hmac_secret.startswith("whsec_")
    assert accepts(body, headers, endpoint.hmac_secret)
    assert not accepts(body + b" ", headers, endpoint.hmac_secret)
    assert not accepts(body, headers, OLD)


async def test_rotating_from_hmac_to_ed25519_and_back(verifier, deliver):
    """A rotation changes the kind of the key with an overlap, like any other."""
    form, accepts = verifier
    webhooks, url = deliver.webhooks, deliver.url
    await deliver(secret=OLD, signatures=[form])
    key = await webhooks.rotate_secret(url, kind="ed25519")
    derived = (await webhooks.endpoint(url)).hmac_secret
    assert (key[:5], derived[:6]) == ("whsk_", "whsec_")
    body, headers = await deliver()
    assert accepts(body, headers, OLD)
    assert accepts(body, headers, derived) == (form in SEVERAL)

    await webhooks.rotate_secret(url, key, overlap=timedelta(0))
    back = await webhooks.rotate_secret(url, kind="hmac")
    assert back.startswith("whsec_")
    body, headers = await deliver()
    assert not accepts(body, headers, OLD)
    assert accepts(body, headers, derived)
    assert accepts(body, headers, back) == (form in SEVERAL)


def signed_by(public, headers, body):
    """Return whether a `v1a` item of the headers fits, by `cryptography` itself."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_")))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    for item in headers["webhook-signature"].split(" "):
        version, signature = item.split(",")
        try:
            if version == "v1a":
                key.verify(base64.b64decode(signature), content)
                return True
        except InvalidSignature:
            continue
    return False


def reason(body, headers, secret, **options):
    """Return why `hookline.receiver` refuses, None when it does not."""
    try:
        verify(body, headers, secret, **options)
    except VerificationError as error:
        return error.reason
    return None


async def test_v1a_verifies_with_the_public_key(deliver):
    """An ed25519 endpoint's receiver verifies with `whpk_…`: cryptography's word, and ours."""
    body, headers = await deliver(secret=generate_secret("ed25519"))
    public = (await deliver.webhooks.endpoint(deliver.url)).public_key
    assert [item.split(",")[0] for item in headers["webhook-signature"].split()] == ["v1", "v1a"]
    assert signed_by(public, headers, body)
    assert reason(body, headers, public) is None
    assert reason(body, headers, public, scheme="standard") is None
    assert reason(body + b" ", headers, public) is Reason.BAD_SIGNATURE
    assert reason(body, {**headers, "webhook-id": "msg_x"}, public) is Reason.BAD_SIGNATURE
    another = (await deliver.webhooks.endpoint(deliver.url)).hmac_secret
    assert reason(body, headers, another) is None
    other = deliver.webhooks.register(deliver.url, ["*"], secret=generate_secret("ed25519"))
    assert reason(body, headers, other.public_key) is Reason.BAD_SIGNATURE
    assert reason(body, headers, [other.public_key, public]) is None


async def test_ed25519_alone(deliver):
    """The form `ed25519` sends v1a and nothing that an HMAC secret could verify."""
    key = generate_secret("ed25519")
    body, headers = await deliver(secret=key, signatures=["ed25519"])
    endpoint = await deliver.webhooks.endpoint(deliver.url)
    assert headers["webhook-signature"].startswith("v1a,")
    assert " " not in headers["webhook-signature"]
    assert "x-webhook-signature" not in headers
    assert reason(body, headers, endpoint.public_key) is None
    assert reason(body, headers, endpoint.hmac_secret) is Reason.BAD_SIGNATURE

    new = await deliver.webhooks.rotate_secret(deliver.url)
    assert new.startswith("whsk_")
    body, headers = await deliver()
    assert reason(body, headers, endpoint.public_key) is None
    assert reason(body, headers, (await deliver.webhooks.endpoint(deliver.url)).public_key) is None
    with pytest.raises(InvalidSecret, match="needs an ed25519 key"):
        await deliver.webhooks.rotate_secret(deliver.url, kind="hmac")


async def test_an_overlap_from_hmac_to_ed25519_alone(deliver):
    """Declared `ed25519` after a rotation: the old HMAC secret signs until its overlap ends."""
    await deliver(secret=OLD)
    key = await deliver.webhooks.rotate_secret(deliver.url, kind="ed25519")
    body, headers = await deliver(secret=key, signatures=["ed25519"])
    versions = [item.split(",")[0] for item in headers["webhook-signature"].split()]
    assert versions == ["v1a", "v1"]
    assert reason(body, headers, OLD) is None
    endpoint = await deliver.webhooks.endpoint(deliver.url)
    assert reason(body, headers, endpoint.public_key) is None
    assert reason(body, headers, endpoint.hmac_secret) is Reason.BAD_SIGNATURE


async def test_exactly_the_chosen_headers_are_sent(deliver):
    """Forms that were not asked for are not there; id, time, event and attempt always are."""
    always = {"webhook-id", "webhook-timestamp", "x-webhook-event", "x-webhook-attempt"}
    forms = {
        "guide": {"x-webhook-signature"},
        "standard": {"webhook-signature"},
        "svix": {"svix-id", "svix-timestamp", "svix-signature"},
        "github": {"x-hub-signature-256"},
        "stripe": {"stripe-signature"},
        "slack": {"x-slack-request-timestamp", "x-slack-signature"},
        "shopify": {"x-shopify-hmac-sha256"},
    }
    ours = always | {name for names in forms.values() for name in names}
    _, headers = await deliver(secret=OLD)
    assert ours & headers.keys() == always | forms["guide"] | forms["standard"]
    for form, names in forms.items():
        _, headers = await deliver(secret=OLD, signatures=[form])
        assert ours & headers.keys() == always | names
    _, headers = await deliver(secret=OLD, signatures=None)
    assert ours & headers.keys() == always | forms["guide"] | forms["standard"]


async def test_a_change_of_forms_applies_and_is_kept(on_each_database, receiver):
    """Forms are stored, shown and used on each database, and outlive the process."""
    receiver.secret = None
    webhooks = on_each_database()
    webhooks.register(receiver.url, ["*"], secret=OLD, signatures=["github", "slack", "github"])
    await webhooks.start()
    await webhooks.stop()
    webhooks = on_each_database()
    endpoint = await webhooks.endpoint(receiver.url)
    assert endpoint.signatures == ("github", "slack")
    await (await webhooks.trigger("a.b", {})).delivered()
    assert "x-hub-signature-256" in receiver.received[-1].headers
    assert "webhook-signature" not in receiver.received[-1].headers
    webhooks.register(receiver.url, ["*"], secret=OLD)
    assert (await webhooks.endpoint(receiver.url)).signatures is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["git-hub"], "signatures: 'git-hub': did you mean 'github'?"),
        (["GitHub"], "did you mean 'github'?"),
        (["stripe", "zzz"], "signatures: 'zzz': there is no such form. Known are guide, standard"),
        ([None], "signatures: None"),
        ([], "signatures: empty"),
        ("github", "expected a list of forms, got 'github'"),
        (7, "expected a list of forms, got 7"),
        (["ed25519", "standard"], "'ed25519' sends v1a without v1, 'standard' sends both"),
        (["svix", "ed25519"], "'svix' sends both"),
    ],
    ids=repr,
)
def test_forms_that_are_refused(make_webhooks, given, words):
    """A form nobody knows, none at all, or two that exclude each other: refused, and why."""
    webhooks = make_webhooks()
    with pytest.raises(InvalidInput) as caught:
        webhooks.register("https://example.com/", ["*"], secret=OLD, signatures=given)
    assert words in str(caught.value)
    assert OLD not in str(caught.value)


def test_forms_need_a_secret_of_their_kind(make_webhooks):
    """Forms without a secret, and `ed25519` with an HMAC one, are refused when registered."""
    webhooks = make_webhooks()
    with pytest.raises(InvalidSecret, match=r"missing; signatures=\['stripe'\] need one"):
        webhooks.register("https://example.com/", ["*"], signatures=["stripe"])
    with pytest.raises(InvalidSecret, match="needs an ed25519 key"):
        webhooks.register("https://example.com/", ["*"], secret=OLD, signatures=["ed25519"])


@pytest.mark.parametrize("form", ALL[3:])
def test_a_chosen_forms_header_cannot_be_set(make_webhooks, form):
    """An endpoint's own header cannot take the place of a signature it asked for."""
    webhooks = make_webhooks()
    name = {
        "github": "x-hub-signature-256",
        "stripe": "STRIPE-SIGNATURE",
        "slack": "X-Slack-Request-Timestamp",
        "shopify": "X-Shopify-Hmac-SHA256",
    }[form]
    with pytest.raises(InvalidHeader, match=f"header '{name}': carries .* has '{form}'"):
        webhooks.register(
            "https://example.com/", ["*"], OLD, headers={name: "x"}, signatures=["guide", form]
        )
    webhooks.register("https://example.com/", ["*"], OLD, headers={name: "x"})


async def test_a_kind_is_for_fresh_secrets(make_webhooks):
    """A secret of one's own has its kind already; an unknown kind is named."""
    webhooks = make_webhooks(deliver=False)
    webhooks.register("https://example.com/", ["*"], secret=OLD)
    with pytest.raises(InvalidInput, match="leave it out"):
        await webhooks.rotate_secret("https://example.com/", NEW, kind="hmac")
    with pytest.raises(InvalidInput, match="expected 'hmac' or 'ed25519', got 'rsa'"):
        await webhooks.rotate_secret("https://example.com/", kind="rsa")
    assert (await webhooks.rotate_secret("https://example.com/")).startswith("whsec_")


async def test_a_worker_without_cryptography_says_so(make_webhooks, receiver, monkeypatch):
    """Where the package is missing in the process that sends, the attempt's log says what to do."""
    webhooks = make_webhooks(retry_schedule=(0,))
    webhooks.register(receiver.url, ["*"], secret=generate_secret("ed25519"))
    await webhooks.start()
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    receipt = await webhooks.trigger("a.b", {})
    [status] = await receipt.delivered()
    assert status.state == "exhausted"
    [attempt] = await webhooks.attempts(receipt.message_id)
    assert "pip install 'hookline[crypto]'" in attempt.detail
    assert receiver.count == 0
