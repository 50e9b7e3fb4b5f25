"""The receivers of `docs/how-to/receive.md`, in both languages: started, and sent to."""

import asyncio
import re
import shutil
import subprocess
from contextlib import closing

import pytest
from django.core.handlers.asgi import ASGIHandler
from tests.docs.reading import PAGES, ROOT, blocks, slug, under
from tests.receivers import servers

from hookline import Webhooks

SECRET = "your-secret-key"

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
IN_CHINESE = {
    "Starlette": "Starlette, and any ASGI server",
    "WSGI": "Any WSGI server",
    "其他 Python 代码": "Any other Python",
    "每个事件只处理一次": "Once per event",
}
PROGRAMS = [(RECEIVE, heading, heading) for heading in RECEIVERS] + [
    ("docs/how-to/receive.zh-CN.md", heading, IN_CHINESE.get(heading, heading))
    for heading in ("FastAPI", "Flask", "Django", *IN_CHINESE)
]


@pytest.mark.parametrize(("page", "heading", "kind"), PROGRAMS)
def test_receivers_take_what_is_sent(page, heading, kind, place, capfd):
    """The first program under each heading takes a delivery, and refuses another secret."""
    block = under(page, heading, "python")
    home = {"__name__": "page"}
    exec(compile(block.text, page, "exec"), home)  # noqa: S102 - our own documentation

    async def send():
        receipt = await webhooks.trigger("customer.created", {"id": "7", "name": "张三"})
        return await receipt.delivered(timeout=30)

    with RECEIVERS[kind](home) as url, closing(Webhooks()) as webhooks:
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
    (chinese,) = blocks("docs/how-to/receive.zh-CN.md", "js")

    def without_words(text):
        return re.sub(r"'[^']*：'|'new customer:'|//.*", "", text)

    assert without_words(chinese.text) == without_words(example.text)


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
