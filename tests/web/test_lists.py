"""Pages, as the official clients walk through them; and the queries that narrow lists."""

import pytest

from hookline._domain import ids

PATH = "/api/v1/probe/things"


@pytest.fixture
def make():
    """Return a maker of applications in the order of their names."""

    async def make(s, names):
        for at, name in enumerate(names, 1_800_000_000_000):
            engine = s.webhooks._runtime.engine
            await s.webhooks._runtime.on_home(
                engine.store.applications.create({"name": "n", "uid": name}, at)
            )

    return make


async def walk(client, **query):
    """Follow `iterator` to the end; return the pages."""
    pages = []
    while True:
        page = (await client.get(PATH, params=query)).json()
        pages.append(page)
        if page["done"]:
            return pages
        query["iterator"] = page["iterator"]


@pytest.mark.parametrize("order", [None, "ascending", "descending"])
async def test_pages_forth_and_back(serve_each, make, order):
    """Every item once, in order; `prevIterator` leads back to the page before."""
    async with serve_each() as s:
        await make(s, "abcde")
        query = {"limit": 2} | ({"order": order} if order else {})
        pages = await walk(s.api, **query)
        names = [item["uid"] for page in pages for item in page["data"]]
        everything = ["default", *"abcde"]
        assert sorted(names) == sorted(everything)
        assert [n for n in names if n != "default"] == (
            list("edcba") if order == "descending" else list("abcde")
        )
        assert [len(page["data"]) for page in pages] == [2, 2, 2]
        assert [page["done"] for page in pages] == [False, False, True]
        assert pages[1]["iterator"] == pages[1]["data"][-1]["id"]
        assert pages[1]["prevIterator"] == "-" + pages[1]["data"][0]["id"]
        back = await s.api.get(PATH, params={**query, "iterator": pages[1]["prevIterator"]})
        assert back.json()["data"] == pages[0]["data"]
        assert back.json()["done"] is True


async def test_an_empty_page(serve):
    """`iterator` is there, and null."""
    async with serve() as s:
        [last] = await walk(s.api)
        page = (await s.api.get(PATH, params={"iterator": last["iterator"]})).json()
    assert page == {"data": [], "iterator": None, "done": True}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=1", 200),
        ("limit=250", 200),
        ("limit=0", 422),
        ("limit=251", 422),
        ("limit=-1", 422),
        ("limit=abc", 400),
        ("limit=1.5", 400),
        ("limit=", 400),
        ("order=sideways", 400),
        ("iterator=app_nonsense", 422),
        ("iterator=-", 422),
        (f"iterator={ids.encode(ids.ENDPOINT, bytes(16))}", 422),
        (f"iterator={ids.encode(ids.APPLICATION, bytes(16))}", 200),
        ("iterator=", 200),
        ("unknown=1", 200),
    ],
)
async def test_what_a_query_may_say(serve, query, status):
    """Unreadable is 400, out of range 422."""
    async with serve() as s:
        answer = await s.api.get(f"{PATH}?{query}")
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["code"] == "generic_error"
    elif status == 422:
        assert answer.json()["detail"][0]["loc"][0] == "query"


@pytest.mark.parametrize(
    "query",
    [
        "event_types=a.b,c.d",
        "event_types=a.b&event_types=c.d",
        "event_types[]=a.b&event_types[]=c.d",
        "event_types%5B%5D=a.b&event_types%5B%5D=c.d",
        "event_types[0]=a.b&event_types[1]=c.d",
        "event_types=a.b,,a.b&event_types[7]=c.d&event_type=no&event_types[x]=no",
    ],
)
async def test_event_types_in_every_form(serve, query):
    """As the clients of eleven languages write lists."""
    async with serve() as s:
        assert (await s.api.get(f"/api/v1/probe/names?{query}")).json() == ["a.b", "c.d"]
        assert (await s.api.get("/api/v1/probe/names")).json() == []


async def test_event_types_have_a_limit(serve):
    """A query is no place for a thousand names."""
    async with serve() as s:
        names = ",".join(f"e{n}" for n in range(501))
        assert (await s.api.get(f"/api/v1/probe/names?event_types={names}")).status_code == 422


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2030-01-01T00:00:00", "2030-01-01T00:00:00.000Z"),
        ("2030-01-01T00:00:00.123456", "2030-01-01T00:00:00.123Z"),
        ("2030-01-01T02:00:00+02:00", "2030-01-01T00:00:00.000Z"),
        ("2030-01-01T00:00:00.5Z", "2030-01-01T00:00:00.500Z"),
    ],
)
async def test_times(serve, given, shown):
    """In: without a zone it is UTC. Out: always `Z`, in milliseconds."""
    async with serve() as s:
        answer = await s.api.get("/api/v1/probe/times", params={"at": given})
        bad = await s.api.get("/api/v1/probe/times", params={"at": "soon"})
        flag = await s.api.get("/api/v1/probe/times", params={"at": given, "flag": "perhaps"})
    assert answer.json() == {"at": shown}
    assert (bad.status_code, flag.status_code) == (400, 400)
