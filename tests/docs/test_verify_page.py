"""Every receiver of `docs/how-to/verify.md` is started, takes what is sent, and nothing else."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import types
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from django.core.handlers.wsgi import WSGIHandler
from tests.docs.reading import DOCS, PAGES, ROOT, blocks, slug, under
from tests.receivers import servers
from tools import npm

from hookline import Webhooks
from hookline.testing import Receiver

PAGE = "docs/how-to/verify.md"
SECRET = "your-secret-key"
NODE = ROOT / "tests/docs/node"
PACKAGE = ROOT / "receivers/node"
PATIENCE = 120
"""Seconds a program may take to listen: Go compiles first."""


pytestmark = pytest.mark.usefixtures("place")


def takes_only_what_fits(url):
    """Publish to a URL with its secret and with another; return what was answered to each."""

    async def send(webhooks):
        receipt = await webhooks.trigger("customer.created", {"id": "7", "name": "张三"})
        return await receipt.delivered(timeout=60)

    with closing(Webhooks()) as webhooks:
        for path, secret in (("", SECRET), ("?bad", "another")):
            webhooks.register(url + path, ["*"], secret=secret)
        ended = {each.url.endswith("bad"): each for each in asyncio.run(send(webhooks))}
    assert (ended[False].state, ended[False].last_status) == ("succeeded", 204)
    assert (ended[True].state, ended[True].last_status) == ("exhausted", 401)


# Python ------------------------------------------------------------------------------------------

PYTHON = {
    "FastAPI": lambda home: servers.asgi_server(home["app"]),
    "Starlette": lambda home: servers.asgi_server(home["app"]),
    "Flask": lambda home: servers.wsgi_server(home["app"]),
    "Django": lambda home: servers.django_views(
        servers.wsgi_server(WSGIHandler()), home["urlpatterns"]
    ),
    "Litestar": lambda home: servers.asgi_server(home["app"]),
    "WSGI": lambda home: servers.wsgi_server(home["application"]),
}


@pytest.mark.parametrize("heading", PYTHON)
def test_python_receiver(heading, capfd, monkeypatch):
    """Under a real server of its kind."""
    module = types.ModuleType("receiver")
    monkeypatch.setitem(sys.modules, "receiver", module)  # Litestar looks its types up there
    home = vars(module)
    block = under(PAGE, heading, "python")
    exec(compile("\n" * block.line + block.text, ROOT / PAGE, "exec"), home)  # noqa: S102 - ours
    with PYTHON[heading](home) as url:
        takes_only_what_fits(url)
    assert "张三" in capfd.readouterr().out


# Programs ----------------------------------------------------------------------------------------


@contextmanager
def running(command, **options):
    """Run a program; give its standard streams once it can be reached, end it afterwards."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    ) as program:
        try:
            yield program
        finally:
            program.terminate()


def free_port():
    """Return a port nobody listens on."""
    with Receiver() as receiver:
        return int(re.search(r":(\d+)", receiver.base)[1])


def wait_for(port, program):
    """Wait until a program listens."""

    async def connect():
        async with asyncio.timeout(PATIENCE):
            while program.poll() is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return
            raise AssertionError(program.stdout.read())

    asyncio.run(connect())


def try_program(command, port):
    with running(command) as program:
        wait_for(port, program)
        takes_only_what_fits(f"http://127.0.0.1:{port}/webhook")


def at(port, heading, *languages):
    """Return the program below a heading, which listens on 3000, for another port."""
    text = under(PAGE, heading, *languages).text
    assert text.count("3000") == 1
    return text.replace("3000", str(port))


def test_aiohttp(place):
    """As the page runs it."""
    port = free_port()
    (place / "receiver.py").write_text(at(port, "aiohttp", "python"), "utf-8")
    try_program([sys.executable, "receiver.py"], port)


def test_go(place):
    """Compiled from the page."""
    if not shutil.which("go"):
        pytest.skip("there is no Go here")
    port = free_port()
    (place / "main.go").write_text(at(port, "Go", "go"), "utf-8")
    subprocess.run(["go", "vet", "main.go"], check=True, timeout=PATIENCE)
    subprocess.run(["go", "build", "-o", "receiver", "main.go"], check=True, timeout=PATIENCE)
    try_program(["./receiver"], port)


@pytest.fixture
def modules(place):
    """The frameworks and our package, where a program in `place` finds them."""
    if not (npm.install(NODE) and npm.compiled(PACKAGE)):
        pytest.skip("needs Node and npm")
    folder = place / "node_modules"
    folder.mkdir()
    for each in (NODE / "node_modules").iterdir():
        (folder / each.name).symlink_to(each)
    (folder / "hookline-webhooks").symlink_to(PACKAGE)
    (place / "package.json").write_text('{"type": "module"}')
    return place


@pytest.mark.parametrize("heading", ["Express", "Fastify", "Hono"])
def test_node_framework(heading, modules):
    """With the real framework, on a port."""
    port = free_port()
    (modules / "receiver.js").write_text(at(port, heading, "js"), "utf-8")
    try_program(["node", "receiver.js"], port)


BRIDGE = """
import {{ serve }} from '@hono/node-server';
import * as page from './page.js';
const answer = page.POST ?? page.default.fetch;
serve({{ fetch: (request) => answer(request), port: {port} }});
"""


@pytest.mark.parametrize("heading", ["Next.js", "Cloudflare Workers, Deno, Bun"])
def test_fetch_handler(heading, modules):
    """What the page exports answers requests as its host hands them over: by Fetch."""
    port = free_port()
    (modules / "page.js").write_text(under(PAGE, heading, "js").text, "utf-8")
    (modules / "host.js").write_text(BRIDGE.format(port=port), "utf-8")
    try_program(["node", "host.js"], port)


@pytest.mark.parametrize("secret", [SECRET, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_shell(place, secret):
    """The function takes a recorded delivery, and neither another body nor another secret."""
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl here")

    async def send(webhooks):
        await (await webhooks.trigger("customer.created", {"name": "张三"})).delivered(timeout=60)

    with Receiver() as receiver, closing(Webhooks()) as webhooks:
        webhooks.register(receiver.url, ["*"], secret=secret)
        asyncio.run(send(webhooks))
    came = receiver.received[0]
    Path("body").write_bytes(came.body)
    Path("changed").write_bytes(came.body + b" ")
    signed = [came.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")]

    def fits(body, key):
        script = f'{under(PAGE, "The shell", "bash").text}\nfits "$@"'
        command = ["bash", "-c", script, "fits", body, *signed]
        return subprocess.run(command, env={**os.environ, "SECRET": key}, check=False).returncode

    assert (fits("body", secret), fits("changed", secret), fits("body", "another")) == (0, 1, 1)


def test_no_receiver_of_the_page_is_untried():
    """Each that its table names is in a test above, and each is named."""
    named = re.findall(r"\]\(#([\w-]+)\)", PAGES[PAGE].partition("Three things")[0])
    tried = [*PYTHON, "aiohttp", "Express", "Fastify", "Hono", "Next.js"]
    tried += ["Cloudflare Workers, Deno, Bun", "Go", "The shell"]
    assert sorted(named) == sorted(map(slug, tried))
    assert len(named) > 10
    programs = sum(len(blocks(PAGE, kind)) for kind in ("python", "js", "go", "bash"))
    assert programs == len(named)
    assert (DOCS.parent / PAGE).exists()
