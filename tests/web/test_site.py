"""The documentation under `/docs/`: the site where it was built, else a page that says so."""

import re

import pytest
from starlette.applications import Starlette

from hookline._web.shell import Shell
from hookline._web.site import Site


@pytest.fixture
def built(tmp_path):
    """A folder like the one that `make docs` writes, and a secret beside it."""
    folder = tmp_path / "built"
    for name, text in {
        "index.html": "<p>start",
        "_static/theme.js": "go()",
        "how-to/index.html": "<p>how to",
        "how-to/serve.html": "<p>serve",
        "how-to/接收.html": "<p>接收",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def ask(built):
    """Return a client of the site alone."""
    import httpx

    app = Shell(Starlette(routes=Site(built).routes()), limit=1000)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://docs")


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        ("/docs/", "<p>start", "text/html; charset=utf-8"),
        ("/docs/index.html", "<p>start", "text/html; charset=utf-8"),
        ("/docs/how-to/", "<p>how to", "text/html; charset=utf-8"),
        ("/docs/how-to/接收.html", "<p>接收", "text/html; charset=utf-8"),
        ("/docs/_static/theme.js", "go()", "text/javascript; charset=utf-8"),
    ],
)
async def test_a_page_is_served_with_its_policy(ask, path, text, kind):
    """As what it is, with nothing from elsewhere allowed, and no script within."""
    answer = await ask.get(path)
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, text, kind)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("path", "leads"), [("/docs", "docs/"), ("/docs/how-to", "how-to/")])
async def test_a_folder_gets_its_slash(ask, path, leads):
    """Relative, so that it holds below a prefix too."""
    answer = await ask.get(path)
    assert (answer.status_code, answer.headers["location"]) == (307, leads)


async def test_what_has_not_changed_is_not_sent_again(ask):
    """By the tag that came with it."""
    first = await ask.get("/docs/how-to/serve.html")
    again = await ask.get(
        "/docs/how-to/serve.html", headers={"If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    ["nothing", "../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "%00", "how-to/%2e"],
)
async def test_nothing_else_is_shown(ask, path):
    """Neither what is beside the folder nor anything by a strange path."""
    answer = await ask.get(f"/docs/{path}")
    assert answer.status_code in {307, 404}
    assert "secret" not in answer.text


async def test_a_file_that_went_away_is_not_there(ask, built):
    """A site that is built anew while the server runs."""
    (built / "how-to/serve.html").unlink()
    assert (await ask.get("/docs/how-to/serve.html")).status_code == 404


async def test_without_a_site_a_page_says_what_to_do(tmp_path):
    """And where the API is described."""
    import httpx

    app = Shell(Starlette(routes=Site(tmp_path / "nothing").routes()), limit=1000)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://docs", follow_redirects=True
    ) as client:
        answer = await client.get("/docs")
        assert (answer.status_code, answer.url.path) == (200, "/docs/")
        assert "make docs" in answer.text
        assert re.findall('href="(.+?)"', answer.text) == ["../api/docs"]
        assert (await client.get("/docs/how-to/serve.html")).status_code == 404


async def test_the_description_of_the_api_moved(serve):
    """To `/api/docs`, whose own links count on there being no slash."""
    async with serve() as s, s.client() as nobody:
        answer = await nobody.get("/api/docs/")
        assert (answer.status_code, answer.headers["location"]) == (307, "../docs")
        assert "swagger-ui" in (await nobody.get("/api/docs")).text
        assert (await nobody.get("/docs/")).headers["content-type"].startswith("text/html")
