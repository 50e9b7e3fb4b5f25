"""The guide, word for word: its code blocks run unchanged against the backend.

They are taken from the guide when the tests run. Where the guide isn't at hand, the same ground is
covered by receivers of our own and by the other tests of this folder.
"""

import asyncio
import fcntl
import hashlib
import hmac
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from backend_support import REPOSITORY, SECRET, Backend, serve
from fastapi import FastAPI, HTTPException, Request
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from hookline.testing import Received, Receiver

GUIDE = REPOSITORY.parent / "shared" / "guide" / "webhook-guide.zh.md"
EXAMPLE = "https://example.com/webhook"  # the guide's
NODE = Path(__file__).parent / "node"

needs_guide = pytest.mark.skipif(not GUIDE.exists(), reason="the guide isn't at hand")
# FastAPI would rather have a lifespan than the guide's on_event.
on_event = pytest.mark.filterwarnings(r"ignore:\s*on_event is deprecated:DeprecationWarning")


def block(language: str, *marks: str) -> str:
    """Return the one code block of the guide that contains all the marks."""
    blocks = re.findall(
        rf"^```{language}\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (found,) = [each for each in blocks if all(mark in each for mark in marks)]
    return found


def run(code: str, **names: Any) -> dict[str, Any]:
    """Execute a block as a module of its own, with these names already there."""
    exec(compile(code, str(GUIDE), "exec"), names)  # noqa: S102 (the guide's own code)
    return names


# The sending side --------------------------------------------------------------------------------


@needs_guide
def test_guide_registers_one_event_and_then_several(backend: Backend) -> None:
    """The second registration of the same URL updates the first."""
    run(block("python", "# 注册单个事件", "# 注册多个事件"))

    (endpoint,) = [each for each in endpoints(backend) if "your-domain" in each.url]
    assert endpoint.url == "https://your-domain.com/webhook"
    assert sorted(endpoint.events) == ["customer.created", "customer.updated", "document.approved"]
    assert dict(endpoint.headers) == {"Authorization": "Bearer your-api-token"}
    assert endpoint.secret == "your-secret-key"


@needs_guide
def test_guide_registers_a_site_to_debug_with(backend: Backend) -> None:
    """Without a secret, with the names of the block before."""
    core = backend.load("app.core.webhooks")
    names = {name: getattr(core, name) for name in ("register_webhook", "WebhookEvent")}
    run(block("python", "webhook.site"), **names)

    (endpoint,) = [each for each in endpoints(backend) if "webhook.site" in each.url]
    assert (list(endpoint.events), endpoint.secret) == (["customer.created"], None)


@needs_guide
def test_guide_triggers_after_its_own_commit(backend: Backend) -> None:
    """`Customer`, `db` and `current_user` are the application's: here a plain session."""
    models, settings = backend.load("app.models"), backend.load("app.settings").settings
    engine = create_engine(settings.database_url)
    with Session(engine) as db:
        names = run(
            block("python", "async def create_customer"),
            Customer=models.Customer,
            db=db,
            current_user=SimpleNamespace(id="admin"),
        )
        data = {"customer_no": "C001", "name": "张三", "phone": "13800138000"}
        customer = asyncio.run(names["create_customer"](data))
        assert customer.id == 1
    engine.dispose()

    received = backend.webhook("customer.created")
    assert received.verified
    assert received.json()["data"] == {"id": 1, **dict(sorted(data.items()))}
    assert list(received.json()["data"]) == ["id", "name", "customer_no", "phone"]
    assert received.json()["metadata"] == {"user_id": "admin", "action": "create"}


@on_event
@needs_guide
def test_guide_starts_from_its_configuration_file(
    load: Callable[[str], Any], tmp_path: Path
) -> None:
    """The startup block in an application of its own; the file of the guide in the folder."""
    app = FastAPI()
    config = block("json", '"webhooks"')
    (tmp_path / "webhooks.json").write_text(config, "utf-8")
    run(block("python", "startup_event"), app=app)
    core = load("app.core.webhooks")

    with serve(app):
        (endpoint,) = asyncio.run(core.webhooks.endpoints())
    asyncio.run(core.webhooks.stop())

    (entry,) = json.loads(config)["webhooks"]
    assert endpoint.url == entry["url"]
    assert list(endpoint.events) == entry["events"]
    assert dict(endpoint.headers) == entry["headers"]


@needs_guide
def test_configuration_example_of_the_backend_is_the_guides() -> None:
    """What people copy is what they read."""
    example = (REPOSITORY / "backend" / "webhooks.example.json").read_text("utf-8")
    assert json.loads(example) == json.loads(block("json", '"webhooks"'))


def test_backend_starts_with_its_configuration_example(
    load: Callable[[str], Any], tmp_path: Path
) -> None:
    """Copied to webhooks.json it is loaded at the start."""
    shutil.copy(REPOSITORY / "backend" / "webhooks.example.json", tmp_path / "webhooks.json")
    app, core = load("app.main").app, load("app.core.webhooks")
    with serve(app):
        (endpoint,) = asyncio.run(core.webhooks.endpoints())
    assert endpoint.url == "https://example.com/webhook"


@needs_guide
def test_events_of_the_backend_are_those_of_the_guide(load: Callable[[str], Any]) -> None:
    """Eleven, in the order of the guide."""
    listed = re.findall(r"^- `([a-z_.]+)` - ", GUIDE.read_text("utf-8"), re.MULTILINE)
    assert [event.value for event in load("app.core.webhooks").WebhookEvent] == listed


@needs_guide
def test_log_lines_are_those_of_the_guide(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """How many webhooks an event triggers, and what became of each."""
    triggering, success, failure = block("", "Triggering").splitlines()
    core = backend.load("app.core.webhooks")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        dead = f"http://127.0.0.1:{listening.getsockname()[1]}/webhook"
    core.register_webhook(dead, ["customer.*"], retry_schedule=[0])

    async def send() -> None:
        receipt = await core.trigger_webhook("customer.created", {"id": "1"})
        await receipt.delivered(10)

    asyncio.run(send())

    lines = [f"{record.levelname}: {record.getMessage()}" for record in caplog.records]
    assert triggering in lines
    assert success.replace("https://example.com/webhook", backend.receiver.url) in lines
    beginning = failure.replace("https://example.com/webhook", dead).removesuffix(
        "Connection timeout"
    )
    assert any(line.startswith(beginning) for line in lines), lines


def endpoints(backend: Backend) -> list[Any]:
    return asyncio.run(backend.load("app.core.webhooks").webhooks.endpoints())


# The receiving side ------------------------------------------------------------------------------


def own_fastapi() -> AbstractContextManager[str]:
    """A receiver in Python, written from the wire format alone."""
    app = FastAPI()

    @app.post("/webhook")
    async def receive(request: Request) -> dict[str, str]:
        body = await request.body()
        expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        given = request.headers.get("x-webhook-signature", "")
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise HTTPException(401, "bad signature")
        json.loads(body)
        return {"status": "ok"}

    return serve(app)


def own_express() -> AbstractContextManager[str]:
    """A receiver in JavaScript, the same."""
    return express((NODE / "receiver.js").read_text("utf-8"))


def guide_verification() -> AbstractContextManager[str]:
    """The guide's first Python block: verification with a FastAPI handler."""
    app = FastAPI()
    code = block("python", "def verify_webhook_signature")
    run(code, app=app, Request=Request, HTTPException=HTTPException)
    return serve(app)


def guide_receiver() -> AbstractContextManager[str]:
    """The guide's second Python block: a whole receiver, which leaves verification to the first."""
    first = block("python", "def verify_webhook_signature")
    names = run(first, app=FastAPI(), Request=Request, HTTPException=HTTPException)
    verify = names["verify_webhook_signature"]
    whole = run(
        block("python", "verify_signature(payload, signature)"),
        verify_signature=lambda payload, signature: verify(payload, signature, SECRET),
    )
    return serve(whole["app"])


def guide_express() -> AbstractContextManager[str]:
    """The guide's Node block, with what it takes for granted before it and a port after it."""
    before = "const express = require('express');\nconst app = express();\n"
    after = (
        "\nconst server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));\n"
    )
    return express(before + block("javascript", "verifyWebhookSignature") + after)


RECEIVERS = [own_fastapi, own_express]
if GUIDE.exists():
    RECEIVERS += [guide_verification, guide_receiver, guide_express]


@contextmanager
def express(code: str) -> Iterator[str]:
    """Run a receiver under Node; it prints its port first."""
    environment = {**os.environ, "NODE_PATH": str(NODE / "node_modules"), "WEBHOOK_SECRET": SECRET}
    command = ["node", "--input-type=commonjs", "-"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as node:
        assert node.stdin
        assert node.stdout
        try:
            node.stdin.write(code)
            node.stdin.close()
            port = node.stdout.readline().strip()
            assert port.isdigit(), f"Node said {port!r}"
            yield f"http://127.0.0.1:{port}"
        finally:
            node.kill()


@pytest.fixture(scope="session")
def _express_installed() -> None:
    """Let npm install Express, once, whichever test process comes first."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs Node and npm")
    with (NODE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = json.load(lock)["dependencies"]["express"]
        installed = NODE / "node_modules" / "express" / "package.json"
        if installed.exists() and json.loads(installed.read_text())["version"] == wanted:
            return
        command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=NODE, check=True, timeout=300, stdout=subprocess.DEVNULL)


@pytest.fixture(params=RECEIVERS, ids=lambda start: start.__name__)
def receiver_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A receiver that knows the secret and nothing of this project."""
    if request.param in (own_express, guide_express):
        request.getfixturevalue("_express_installed")
    with request.param() as url:
        yield f"{url}/webhook"


@dataclass(frozen=True, slots=True)
class Sent:
    """A real request of ours, to be sent again, whole or spoiled."""

    body: bytes
    headers: dict[str, str]

    @classmethod
    def of(cls, received: Received) -> "Sent":
        return cls(received.body, dict(received.headers))

    def to(self, url: str) -> int:
        headers = {name: value for name, value in self.headers.items() if name != "host"}
        return httpx.post(url, content=self.body, headers=headers, trust_env=False).status_code

    def without_signature(self) -> "Sent":
        kept = {name: v for name, v in self.headers.items() if "signature" not in name}
        return Sent(self.body, kept)

    def with_body(self, body: bytes) -> "Sent":
        return Sent(body, {**self.headers, "content-length": str(len(body))})


def test_receiver_accepts_what_the_backend_sends(backend: Backend, receiver_url: str) -> None:
    """Delivered by the engine, at the first attempt, Chinese text, emoji and all."""
    core = backend.load("app.core.webhooks")
    core.register_webhook(receiver_url, ["*"], secret=SECRET)

    async def send(event: str, data: dict[str, str]) -> None:
        receipt = await core.trigger_webhook(event, data)
        states = {each.url: each for each in await receipt.delivered(20)}
        assert (states[receiver_url].state, states[receiver_url].attempts) == ("succeeded", 1)

    asyncio.run(send("customer.created", {"id": "1", "name": "张三 😀"}))
    asyncio.run(send("document.approved", {"id": "1", "file_name": "身份证.jpg"}))


def test_receiver_refuses_what_was_tampered_with(backend: Backend, receiver_url: str) -> None:
    """A changed body, a wrong secret and a missing or cut signature are not accepted."""
    core = backend.load("app.core.webhooks")
    with Receiver() as stranger:
        core.register_webhook(stranger.url, ["product.created"], secret="another-secret")
        backend.create_product()
        ours = Sent.of(backend.webhook("product.created"))
        (theirs,) = (Sent.of(each) for each in stranger.wait_for(1))

    assert ours.to(receiver_url) == 200
    assert theirs.body == ours.body
    signature = ours.headers["x-webhook-signature"]
    cut = Sent(ours.body, {**ours.headers, "x-webhook-signature": signature[:-1]})
    changed = ours.body.replace("个人".encode(), "企业".encode())
    assert changed != ours.body
    refused = {
        "changed body": ours.with_body(changed).to(receiver_url),
        "one more blank": ours.with_body(ours.body + b" ").to(receiver_url),
        "wrong secret": theirs.to(receiver_url),
        "no signature": ours.without_signature().to(receiver_url),
        "cut signature": cut.to(receiver_url),
    }
    # The guide's Node block answers 500 where timingSafeEqual throws; refused is refused.
    accepted = [name for name, status in refused.items() if status < 400]
    assert accepted == [], refused
