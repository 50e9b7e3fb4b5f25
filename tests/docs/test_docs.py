"""The documentation is true: its code runs, its links lead somewhere, what is generated is current.

The Python blocks of a page run in order and share their names, with top-level `await` allowed. A
receiver of ours stands in for the pages' example addresses. A block after `<!-- fragment: why -->`
is only compiled. What else a page claims is checked by its function below, under `SHOWS`.
"""

import ast
import asyncio
import inspect
import json
import os
import re
import runpy
import subprocess
import sys
import time
import types
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.orm import Session as OrmSession
from tests.docs.reading import DOCS, FENCE, HEADING, LINK, PAGES, ROOT, blocks, slug
from tests.integration.private_support import authority
from tools import npm

from hookline import Webhooks, generate_secret
from hookline._domain.delivery import Outcome
from hookline._domain.handshake import challenge_body, judge_challenge
from hookline._domain.signature import Signer, guide_signature
from hookline.errors import InvalidPayload
from hookline.events import changes
from hookline.receiver import Cause, verify
from hookline.testing import Receiver

SECRET = "your-secret-key"
RECEIVE = "docs/how-to/receive.md"
EXAMPLES = ("https://example.com/webhook", "http://127.0.0.1:9000/webhook")

WITH_CODE = [page for page in PAGES if blocks(page, "python")]


# Code --------------------------------------------------------------------------------------------


@pytest.fixture
def receiver():
    with Receiver(SECRET) as running:
        yield running


@contextmanager
def module(page, monkeypatch):
    """Give the module a page's blocks run in; close what they left open."""
    home = types.ModuleType("page")
    home.__file__ = page
    monkeypatch.setitem(sys.modules, "page", home)
    with asyncio.Runner() as runner:
        try:
            yield home, runner
        finally:
            for value in list(vars(home).values()):
                if isinstance(value, Webhooks):
                    value.close()
                elif isinstance(value, AsyncEngine):
                    runner.run(value.dispose())
                elif isinstance(value, sa.Engine):
                    value.dispose()


def execute(block, page, home, runner, receiver):
    text = block.text
    for example in EXAMPLES:
        text = text.replace(example, receiver.url)
    await_allowed = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile("\n" * block.line + text, ROOT / page, "exec", flags=await_allowed)
    if block.fragment:
        return
    if code.co_flags & inspect.CO_COROUTINE:
        runner.run(types.FunctionType(code, vars(home))())
    else:
        exec(code, vars(home))  # noqa: S102 - our own documentation


@pytest.mark.parametrize("page", WITH_CODE)
def test_code_runs(page, place, receiver, monkeypatch):
    """Every Python block of a page runs, and what the page says of it is true."""
    for block in blocks(page, "json"):
        if '"webhooks"' in block.text:
            text = block.text.replace(EXAMPLES[0], receiver.url)
            (place / "webhooks.json").write_text(text, "utf-8")
    with module(page, monkeypatch) as (home, runner):
        prepare, show = SHOWS.get(page, (None, None))
        if prepare:
            prepare(home, runner)
        for block in blocks(page, "python"):
            execute(block, page, home, runner, receiver)
        if show:
            show(home, runner, receiver)


# What pages show ---------------------------------------------------------------------------------


def own_tables(home, runner):
    """The application that README and how-to speak of: its tables and its sessions."""

    class Base(DeclarativeBase):
        pass

    class Order(Base):
        __tablename__ = "orders"
        id: Mapped[int] = mapped_column(primary_key=True)
        number: Mapped[str] = mapped_column(unique=True)

    class NewOrder(BaseModel):
        number: str

    engine = create_async_engine("sqlite+aiosqlite:///shop.db")

    async def create():
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    runner.run(create())
    home.engine, home.Base, home.Order, home.NewOrder = engine, Base, Order, NewOrder
    home.Session = async_sessionmaker(engine)


def readme(home, runner, receiver):
    """A committed order is told of; one that fails is not."""

    async def orders():
        transport = httpx.ASGITransport(home.app, raise_app_exceptions=False)
        async with (
            home.app.router.lifespan_context(home.app),
            httpx.AsyncClient(transport=transport, base_url="http://app") as client,
        ):
            for number, status in (("A-1", 200), ("A-1", 500), ("A-2", 200)):
                answer = await client.post("/orders", json={"number": number})
                assert answer.status_code == status
            await receiver.arrived(2)

    runner.run(orders())
    assert all(each.verified for each in receiver.received)
    assert {each.json()["data"]["number"] for each in receiver.received} == {"A-1", "A-2"}
    assert receiver.count == 2


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_example_request_verifies(page):
    """The request that the README shows is what Hookline sends: both signatures fit."""
    (block,) = blocks(page, "http")
    head, _, body = block.text.rstrip("\n").partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    event = verify(body, headers, SECRET, now=float(headers["webhook-timestamp"]))
    assert (event.scheme, event.data["name"]) == ("standard", "张三")
    assert headers["X-Webhook-Signature"] == guide_signature(SECRET, body.encode())
    assert int(headers["Content-Length"]) == len(body.encode())
    assert event.timestamp == datetime(2025, 10, 17, 10, 30, tzinfo=UTC)


def tutorial(home, runner, receiver):
    """The first program sent one webhook; of the second one's two, one was rolled back."""
    assert all(each.verified for each in receiver.received)
    assert [each.json()["data"]["name"] for each in receiver.received] == ["张三", "李四"]


def transactions(home, runner, receiver):
    """What was repeated or canceled is not sent; Alembic leaves our tables alone when told to."""
    receiver.wait_for(7)
    events = Counter(each.event for each in receiver.received)
    assert events == {"order.placed": 5, "order.paid": 2}
    engine = sa.create_engine("sqlite:///shop.db")
    with engine.connect() as connection:

        def proposed(**options):
            context = MigrationContext.configure(connection, opts=options)
            return compare_metadata(context, home.Base.metadata)

        assert "remove_table" in {change[0] for change in proposed()}
        assert proposed(include_name=home.include_name) == []
    engine.dispose()


def shop_of_both_kinds(home, runner):
    """The same application, with synchronous sessions too."""
    own_tables(home, runner)
    home.sync_engine = sa.create_engine("sqlite:///shop.db")
    home.SyncSession = OrmSession


def frameworks(home, runner, receiver):
    """FastAPI and Flask tell of what they committed, as the script did; both lifespans start."""
    place_order(home, runner, home.app)
    home.app.router.lifespan_context = home.lifespan
    place_order(home, runner, home.app, "B-1")
    assert home.flask_app.test_client().post("/orders").status_code == 201
    heard = receiver.wait_for(4)
    assert {each.json()["data"]["number"] for each in heard} == {"S-1", "A-1", "B-1", "F-1"}
    with home.flask_app.app_context():
        home.hookline.sync.close()
    home.shop.close()


def place_order(home, runner, app, number="A-1"):
    """Place one order."""

    async def order():
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://app") as client,
        ):
            answer = await client.post("/orders", json={"number": number})
            assert answer.status_code == 200

    runner.run(order())


def certificates(home, runner):
    """The PEM files the page reads."""
    certificate, key = authority().issue("shop")
    Path("receiver-ca.pem").write_text(authority().certificate)
    Path("shop.pem").write_text(certificate)
    Path("shop.key").write_text(key)


def private(home, runner, receiver):
    """What the page declared last is stored, and goes nowhere near the proxy of the page."""

    async def send():
        receipt = await home.webhooks.trigger("order.placed", {"id": "123"})
        return await receipt.delivered(timeout=10)

    assert [each.state for each in runner.run(send())] == ["succeeded"]
    assert "the-password" not in repr(home.webhooks.settings)


def rotation(home, runner, receiver):
    """The overlap was ended early: the new secret signs alone. Rotated anew, both sign."""

    async def send():
        receipt = await home.webhooks.trigger("customer.created", {"id": "123"})
        await receipt.delivered(timeout=10)
        return receiver.received[-1]

    last = runner.run(send())
    assert verify(last.body, last.headers, home.new).type == "customer.created"
    assert len(last.headers["webhook-signature"].split()) == 1
    newest = runner.run(home.webhooks.rotate_secret(receiver.url))
    last = runner.run(send())
    for secret in (home.new, newest):
        assert verify(last.body, last.headers, secret, scheme="standard")
    assert last.headers["X-Webhook-Signature"] == guide_signature(home.new, last.body)


def receive(home, runner, receiver):
    """`fits`, without Hookline, takes the guide's header."""
    body = b"{}"
    assert home.fits(body, guide_signature(SECRET, body), SECRET)
    assert not home.fits(body, "", SECRET)


DEBUG = "docs/how-to/debug-signatures.md"


def debug(home, runner, receiver):
    """The diagnosis of the page is what the page says."""
    assert home.found.cause is Cause.BODY_NUMBERS
    assert str(home.found.sentence) in PAGES[DEBUG]


def test_the_debugger_says_what_the_page_shows(place):
    """The commands of the page, with the files its own function wrote, say what it shows."""
    home = {}
    exec(blocks(DEBUG, "python")[0].text, home)  # noqa: S102 - our own documentation
    sent = b'{"event":"order.paid","data":{"total":1.0}}'
    now = int(time.time())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": Signer([SECRET]).standard("msg_1", now, sent),
    }
    home["record"](b'{"event":"order.paid","data":{"total":1}}', headers)
    (place / "sent.json").write_bytes(sent)
    (place / "secret.txt").write_text(SECRET + "\n")
    (shown,) = blocks(DEBUG, "text")
    for block in blocks(DEBUG, "sh"):
        done = subprocess.run(
            [sys.executable, "-m", *block.text.split()],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "HOOKLINE_SECRET": SECRET},
        )
        assert (done.returncode, done.stdout) == (1, shown.text)


def test_the_debugger_s_page_has_every_cause():
    """No cause is without its row, and no row without a cause."""
    rows = re.findall(r"^\| (`.+?`) \| ", PAGES[DEBUG], re.MULTILINE)
    named = re.findall(r"`(\w+)`", " ".join(rows))
    assert sorted(named) == sorted(each.value for each in Cause if each is not Cause.VALID)


def ownership(home, runner, receiver):
    """The application of the page proves what is asked, and nothing to whoever cannot sign."""
    body, now = challenge_body("abc", int(time.time() * 1000)), int(time.time())
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": Signer([SECRET]).standard("msg_1", now, body),
    }

    async def ask(headers):
        transport = httpx.ASGITransport(home.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            answer = await client.post("/webhook", content=body, headers=headers)
            return answer.status_code, answer.content

    status, said = runner.run(ask(signed))
    assert judge_challenge(Outcome(status, body=said), "abc").proved
    assert runner.run(ask({}))[0] == 401
    assert home.moved.url == f"{receiver.url}?v=2"


def sign(home, runner, receiver):
    """Each verifier of the page takes what is sent for it; none takes a changed body."""
    arrived = signed_in_all_forms(home, runner, receiver)
    for accepts in (
        home.standard,
        home.with_svix,
        home.github,
        home.with_stripe,
        home.slack,
        home.shopify,
        home.ed25519,
    ):
        accepts(arrived.body, dict(arrived.headers))
        with pytest.raises(Exception):  # noqa: B017 - each package has its own
            accepts(arrived.body + b" ", dict(arrived.headers))


def signed_in_all_forms(home, runner, receiver):
    """Return a request of an ed25519 endpoint in all forms; the page's secret is its HMAC one."""
    forms = ["guide", "standard", "svix", "github", "stripe", "slack", "shopify"]
    receiver.secret = None

    async def send():
        endpoint = home.webhooks.register(receiver.url, ["*"], home.key, signatures=forms)
        await (await home.webhooks.trigger("order.placed", {"name": "张三"})).delivered()
        return endpoint, receiver.received[-1]

    home.endpoint, arrived = runner.run(send())
    home.secret = home.endpoint.hmac_secret
    return arrived


NODE = ROOT / "tests/integration/node"


@pytest.mark.parametrize("block", blocks("docs/how-to/sign.md", "javascript"), ids=lambda b: b.line)
def test_node_verifiers_take_what_is_sent(place, receiver, monkeypatch, block):
    """Each Node block of the page accepts what is sent, and throws for a changed body."""
    if not npm.install(NODE):
        pytest.skip("needs Node and npm")
    with module("docs/how-to/sign.md", monkeypatch) as (home, runner):
        home.webhooks, home.key = Webhooks(), generate_secret("ed25519")
        arrived = signed_in_all_forms(home, runner, receiver)
    came = {
        "headers": dict(arrived.headers),
        "secret": home.endpoint.hmac_secret,
        "publicKey": home.endpoint.public_key,
    }
    code = f"Object.assign(globalThis, JSON.parse(process.env.CAME));\n{block.text}"
    failed = []
    for body in (arrived.body.decode(), arrived.body.decode() + " "):
        environment = {**os.environ, "CAME": json.dumps({**came, "body": body})}
        command = ["node", "--input-type=module", "--eval", code]
        done = subprocess.run(
            command, cwd=NODE, env=environment, capture_output=True, text=True, check=False
        )
        failed.append(done.returncode != 0)
    assert failed == [False, True], done.stderr


def filtered(home, runner, receiver):
    """Of the page's two orders one arrives, transformed, and another one after them."""
    order = {"number": "A-3", "country": "AT", "total": 101}
    runner.run(runner.run(home.webhooks.trigger("order.placed", order)).delivered(timeout=10))
    assert all(each.verified for each in receiver.wait_for(2))
    assert sorted(each.body for each in receiver.received) == [
        b'{"text":"Order A-1 from DE","sum":250}',
        b'{"text":"Order A-3 from AT","sum":101}',
    ]
    assert home.trial.result == b'{"n":"A-1","items":null}'


def embedded(home, runner, receiver):
    """Each framework's view tells of its order, and the job did of its own."""
    with home.shop.test_client() as client:
        assert client.post("/orders", json={"number": "A-2"}).status_code == 201

    async def orders():
        transport = httpx.ASGITransport(home.app)
        async with (
            home.app.router.lifespan_context(home.app),
            httpx.AsyncClient(transport=transport, base_url="http://app") as client,
        ):
            answer = await client.post("/orders", json={"number": "A-3"})
            assert answer.status_code == 201
            await receiver.arrived(3)

    runner.run(orders())
    told = {(each.event, each.json()["data"]["number"]) for each in receiver.received}
    assert told == {("order.paid", "A-1"), ("order.placed", "A-2"), ("order.placed", "A-3")}


def from_celery(home, runner, receiver):
    """The order of the page arrives as the old task sent it."""
    (came,) = receiver.wait_for(1)
    assert came.verified
    assert came.json() == {"event": "order.placed", "data": {"number": "A-1"}}


def from_the_guide(home, runner, receiver):
    """The three functions did what they always did, and the customer was told of."""
    told = receiver.wait_for(2)
    assert all(each.verified and each.headers["x-team"] == "crm" for each in told)
    assert {each.json()["data"]["name"] for each in told} == {"张三", "李四"}
    assert all(each.headers["x-webhook-signature"] for each in told)


def chinese_guide(home, runner, receiver):
    """Its customer is told of, signed, with headers; its events are the guide's eleven."""
    (came,) = receiver.wait_for(1)
    assert came.verified
    assert came.headers["authorization"] == "Bearer your-api-token"
    assert came.json()["metadata"] == {"user_id": "admin", "action": "create"}
    named = re.findall(r"^\| `(\w+\.\w+)` \|", PAGES["docs/guide.zh-CN.md"], re.MULTILINE)
    assert sorted(named) == sorted(home.WebhookEvent)
    assert len(named) == 11


CATALOGUE = "docs/how-to/event-catalogue.md"


def catalogue(home, runner, receiver):
    """What fits the model arrived as it writes it; refusal and check are what the page shows."""
    receiver.wait_for(2)
    assert all(each.verified for each in receiver.received)
    data = {each.json()["data"]["number"]: each.json()["data"] for each in receiver.received}
    line = {"sku": "T-100", "price": "9.90"}
    assert data["A-1"] == {"number": "A-1", "lines": [line], "note": None}
    assert {*home.app.openapi()["webhooks"]} == {"order.placed", "order.created"}
    said, checked = (each.text for each in blocks(CATALOGUE, "text"))

    async def refused():
        with pytest.raises(InvalidPayload) as caught:
            await home.webhooks.trigger("order.placed", {"number": 7, "lines": [{"sku": "T-100"}]})
        return str(caught.value)

    assert runner.run(refused()) == said.strip()
    old = home.webhooks.catalogue.json_schemas()
    changed = json.loads(json.dumps(old))
    schema = changed["event_types"]["order.placed"]["schemas"]["1"]
    del schema["$defs"]["Line"]["properties"]["price"]
    schema["properties"]["data"]["properties"]["currency"] = {"type": "string"}
    found = changes(old, changed, today=date(2026, 1, 1))
    shown = [f"{'✗' if each.breaking else '✓'} {each}" for each in found]
    assert shown == checked.splitlines()[:2]


SHOWS = {
    "README.md": (own_tables, readme),
    "README.zh-CN.md": (own_tables, readme),
    "docs/tutorial/first-webhook.md": (None, tutorial),
    "docs/tutorial/first-webhook.zh-CN.md": (None, tutorial),
    DEBUG: (None, debug),
    CATALOGUE: (None, catalogue),
    "docs/how-to/filter-and-transform.md": (None, filtered),
    "docs/how-to/frameworks.md": (shop_of_both_kinds, frameworks),
    "docs/how-to/private-receivers.md": (certificates, private),
    RECEIVE: (None, receive),
    "docs/how-to/receive.zh-CN.md": (None, receive),
    "docs/guide.zh-CN.md": (own_tables, chinese_guide),
    "docs/how-to/embed.md": (own_tables, embedded),
    "docs/how-to/move-from-celery.md": (own_tables, from_celery),
    "docs/how-to/move-from-fire-and-forget.md": (own_tables, from_the_guide),
    "docs/how-to/rotate-secrets.md": (None, rotation),
    "docs/how-to/sign.md": (None, sign),
    "docs/how-to/transactions.md": (own_tables, transactions),
    "docs/how-to/verify-ownership.md": (None, ownership),
}


# The rest of the pages ---------------------------------------------------------------------------


def leads_somewhere(page, link):
    path, _, anchor = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    if not target.exists():
        return False
    return not anchor or anchor in map(slug, HEADING.findall(target.read_text("utf-8")))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    """Every link to a file of the repository, and to a heading in it, resolves."""
    prose = FENCE.sub("", PAGES[page])
    links = [each for each in LINK.findall(prose) if not re.match(r"[a-z]+:", each)]
    assert [each for each in links if not leads_somewhere(page, each)] == []


def test_generated_pages_are_current():
    """Settings, errors and the diagram of deliveries are what the code says today."""
    made = runpy.run_path(str(DOCS / "generate.py"))["pages"]()
    stale = [path for path, text in made.items() if (DOCS / path).read_text("utf-8") != text]
    assert stale == [], "run: python docs/generate.py"
    for folder in ("python", "rest"):
        there = {
            f"reference/{folder}/{path.name}" for path in (DOCS / "reference" / folder).iterdir()
        }
        assert there <= set(made), "a page of something that is gone"
