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
import shutil
import subprocess
import sys
import time
import types
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from django.core.handlers.asgi import ASGIHandler
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tests.integration.private_support import authority
from tests.receivers import servers
from tools import npm

from hookline import Webhooks, generate_secret
from hookline._domain.delivery import Outcome
from hookline._domain.handshake import challenge_body, judge_challenge
from hookline._domain.signature import Signer, guide_signature
from hookline.errors import InvalidPayload
from hookline.events import changes
from hookline.receiver import Cause, verify
from hookline.testing import Receiver

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
}
SECRET = "your-secret-key"
EXAMPLES = ("https://example.com/webhook", "http://127.0.0.1:9000/webhook")

BLOCK = re.compile(r"^(<!-- fragment: .+ -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block and the line of its page where it begins."""

    language: str
    text: str
    line: int
    fragment: bool


def blocks(page, language):
    found = (
        Block(m[2], m[3], PAGES[page].count("\n", 0, m.start(3)), fragment=bool(m[1]))
        for m in BLOCK.finditer(PAGES[page])
    )
    return [each for each in found if each.language == language]


WITH_CODE = [page for page in PAGES if blocks(page, "python")]


# Code --------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to run in, nobody's settings, and retries that need no waiting."""
    monkeypatch.chdir(tmp_path)
    for name in [each for each in os.environ if each.startswith("HOOKLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOOKLINE_RETRY_SCHEDULE", "0,0,0")
    monkeypatch.setenv("HOOKLINE_DEVELOPMENT", "1")  # the page's receivers are played here
    return tmp_path


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
    receiver.wait_for(5)
    events = Counter(each.event for each in receiver.received)
    assert events == {"order.placed": 3, "order.paid": 2}
    engine = sa.create_engine("sqlite:///shop.db")
    with engine.connect() as connection:

        def proposed(**options):
            context = MigrationContext.configure(connection, opts=options)
            return compare_metadata(context, home.Base.metadata)

        assert "remove_table" in {change[0] for change in proposed()}
        assert proposed(include_name=home.include_name) == []
    engine.dispose()


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


RECEIVERS = {
    "FastAPI": lambda home: servers.asgi_server(home["app"]),
    "Flask": lambda home: servers.wsgi_server(home["app"]),
    "Django": lambda home: servers.django_views(
        servers.asgi_server(ASGIHandler()), home["urlpatterns"]
    ),
    "Starlette, and any ASGI server": lambda home: servers.asgi_server(home["app"]),
    "Any WSGI server": lambda home: servers.wsgi_server(home["application"]),
    "Any other Python": lambda home: servers.wsgi_server(home["application"]),
    "Once per event": lambda home: servers.wsgi_server(home["application"]),
}
RECEIVE = "docs/how-to/receive.md"


@pytest.mark.parametrize("heading", RECEIVERS)
def test_receivers_take_what_is_sent(heading, place, capfd):
    """The first program under each heading takes a delivery, and refuses another secret."""
    start = PAGES[RECEIVE].count("\n", 0, PAGES[RECEIVE].index(f"## {heading}\n"))
    block = next(each for each in blocks(RECEIVE, "python") if each.line > start)
    home = {"__name__": "page"}
    exec(compile(block.text, RECEIVE, "exec"), home)  # noqa: S102 - our own documentation

    async def send():
        receipt = await webhooks.trigger("customer.created", {"id": "7", "name": "张三"})
        return await receipt.delivered(timeout=30)

    with RECEIVERS[heading](home) as url, closing(Webhooks()) as webhooks:
        for path, secret in (("", SECRET), ("?bad", "another")):
            webhooks.register(url + path, ["*"], secret=secret)
        ended = {each.url.endswith("bad"): each for each in asyncio.run(send())}
    assert (ended[False].state, ended[False].last_status) == ("succeeded", 204)
    assert (ended[True].state, ended[True].last_status) == ("exhausted", 401)
    if "engine" in home:
        with home["Session"]() as session:
            assert [each.name for each in session.query(home["Customer"])] == ["张三"]
        home["engine"].dispose()
    else:
        assert "张三" in capfd.readouterr().out


def test_every_framework_of_the_table_has_its_program():
    """No receiver that the page names is left untried."""
    named = re.findall(r"^\| \[(?:.+)\]\(#(.+)\) \| `hookline", PAGES[RECEIVE], re.MULTILINE)
    assert len(named) > 5
    assert set(named) <= set(map(slug, RECEIVERS))


def test_the_node_example_is_the_package_s():
    """What the page shows of the npm package is what the package's own page shows and tests."""
    (example,) = blocks(RECEIVE, "js")
    assert example.text in (ROOT / "receivers/node/README.md").read_text("utf-8")


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


@pytest.mark.skipif(not shutil.which("node"), reason="there is no node here")
def test_node_receiver_takes_what_is_sent(place):
    """The Node server of the page verifies a real delivery, and refuses one with another secret."""
    (block,) = blocks("docs/how-to/receive.md", "javascript")
    (place / "receiver.mjs").write_text(block.text.replace("listen(3000", "listen(0"), "utf-8")
    with (
        subprocess.Popen(["node", "receiver.mjs"], stdout=subprocess.PIPE, text=True) as node,
        closing(Webhooks()) as webhooks,
    ):
        try:
            port = node.stdout.readline().split()[-1]
            for path, secret in (("good", SECRET), ("bad", "another")):
                webhooks.register(f"http://127.0.0.1:{port}/{path}", ["*"], secret=secret)

            async def send():
                receipt = await webhooks.trigger("customer.created", {"name": "张三"})
                return await receipt.delivered(timeout=30)

            ended = {each.url.rpartition("/")[2]: each for each in asyncio.run(send())}
        finally:
            node.terminate()
    assert (ended["good"].state, ended["good"].attempts) == ("succeeded", 1)
    assert (ended["bad"].state, ended["bad"].last_status) == ("exhausted", 401)


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
    "docs/how-to/private-receivers.md": (certificates, private),
    RECEIVE: (None, receive),
    "docs/how-to/rotate-secrets.md": (None, rotation),
    "docs/how-to/sign.md": (None, sign),
    "docs/how-to/transactions.md": (own_tables, transactions),
    "docs/how-to/verify-ownership.md": (None, ownership),
}


# The rest of the pages ---------------------------------------------------------------------------


def slug(heading):
    """Return the anchor GitHub makes of a heading."""
    text = re.sub(r"[`*]|\[|\]\([^)]*\)", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def leads_somewhere(page, link):
    path, _, anchor = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    if not target.exists():
        return False
    return not anchor or anchor in map(slug, HEADING.findall(target.read_text("utf-8")))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    """Every link to a file of the repository, and to a heading in it, resolves."""
    prose = BLOCK.sub("", PAGES[page])
    links = [each for each in LINK.findall(prose) if not re.match(r"[a-z]+:", each)]
    assert [each for each in links if not leads_somewhere(page, each)] == []


def test_generated_pages_are_current():
    """Settings, errors and the diagram of deliveries are what the code says today."""
    made = runpy.run_path(str(DOCS / "generate.py"))["pages"]()
    stale = [path for path, text in made.items() if (DOCS / path).read_text("utf-8") != text]
    assert stale == [], "run: python docs/generate.py"
