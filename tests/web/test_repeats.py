"""A POST that is sent again is done once: over real databases, with real concurrency."""

import asyncio

import httpx
import pytest

from hookline import errors
from hookline._web.api import repeats

MAKE = "/api/v1/probe/make"
KEY = {"Idempotency-Key": "auto_5b9a"}
BODY = b'{"name": "a"}'


async def test_the_second_gets_the_first_answer(serve_each):
    """Byte for byte, and marked; without a key, with another one or path, it is another request."""
    async with serve_each() as s:
        first = await s.api.post(MAKE, content=BODY, headers=KEY)
        again = await s.api.post(MAKE + "/", content=BODY, headers=KEY)
        assert (first.status_code, first.json()) == (201, {"n": 1, "name": '"a"'})
        assert (again.status_code, again.content) == (201, first.content)
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["content-type"] == "application/json"
        others = [
            await s.api.post(MAKE, content=BODY),
            await s.api.post(MAKE, content=BODY),
            await s.api.post(MAKE, content=BODY, headers={"Idempotency-Key": "auto_other"}),
            await s.api.post(f"{MAKE}?x=1", content=BODY, headers=KEY),
        ]
        assert [answer.json()["n"] for answer in others] == [2, 3, 4, 5]


async def test_another_body_is_refused(serve_each):
    """The key stands for the first."""
    async with serve_each() as s:
        await s.api.post(MAKE, content=BODY, headers=KEY)
        other = await s.api.post(MAKE, content=b'{"name": "b"}', headers=KEY)
        assert (other.status_code, other.json()["code"]) == (409, "conflict")
        assert "another body" in other.json()["detail"]
        assert len(s.probe.calls) == 1


async def test_each_api_key_has_its_own(serve):
    """One customer's idempotency key says nothing about another's."""
    async with serve() as s, s.client((await s.key("read")).token) as other:
        mine = await s.api.post(MAKE, content=BODY, headers=KEY)
        theirs = await other.post(MAKE, content=BODY, headers=KEY)
    assert [mine.json()["n"], theirs.json()["n"]] == [1, 2]


async def test_strangers_claim_nothing(serve):
    """Without a valid key there is no row."""
    async with serve() as s, s.client() as nobody:
        assert (await nobody.post(MAKE, content=BODY, headers=KEY)).status_code == 401
        assert (await s.api.post(MAKE, content=BODY, headers=KEY)).json()["n"] == 1


async def test_a_repeat_waits_for_the_first(serve_each, gate):
    """It is done once, and both get its answer."""
    reached, go_on = gate

    async def wait(request):
        reached.set()
        await go_on.wait()

    async with serve_each() as s:
        s.probe.act = wait
        first = asyncio.create_task(s.api.post(MAKE, content=BODY, headers=KEY))
        await reached.wait()
        second = asyncio.create_task(s.api.post(MAKE, content=BODY, headers=KEY))
        claims = s.webhooks._runtime.engine.store.answers
        looked, claim = asyncio.Event(), claims.claim
        loop = asyncio.get_running_loop()

        async def seen(*arguments):
            found = await claim(*arguments)
            loop.call_soon_threadsafe(looked.set)
            return found

        claims.claim = seen
        await looked.wait()
        go_on.set()
        assert (await first).content == (await second).content
        assert len(s.probe.calls) == 1


async def test_a_repeat_does_not_wait_for_ever(serve, gate, monkeypatch):
    """409, and when to come back."""
    reached, go_on = gate
    monkeypatch.setattr(repeats, "PATIENCE", 0.05)

    async def wait(request):
        reached.set()
        await go_on.wait()

    async with serve() as s:
        s.probe.act = wait
        first = asyncio.create_task(s.api.post(MAKE, content=BODY, headers=KEY))
        await reached.wait()
        early = await s.api.post(MAKE, content=BODY, headers=KEY)
        assert (early.status_code, early.headers["retry-after"]) == (409, "1")
        assert early.json()["code"] == "conflict"
        go_on.set()
        assert (await first).status_code == 201


REFUSALS = [errors.InvalidInput("name: no"), errors.AlreadyExists("uid: taken")]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda e: type(e).__name__)
async def test_what_is_refused_is_judged_anew(serve_each, error):
    """Nothing was done, so the same request may succeed later; with a new id."""

    async def refuse(request):
        raise error

    async with serve_each() as s:
        s.probe.act = refuse
        assert (await s.api.post(MAKE, content=BODY, headers=KEY)).status_code in {409, 422}
        s.probe.act = None
        assert (await s.api.post(MAKE, content=b'{"name": "c"}', headers=KEY)).status_code == 201
        assert s.probe.calls[0] != s.probe.calls[1]


FAILURES = [errors.StorageError("the commit's answer never came"), RuntimeError("a bug")]


@pytest.mark.parametrize("error", FAILURES, ids=lambda e: type(e).__name__)
async def test_what_failed_is_done_again_with_the_same_id(serve_each, error):
    """Nobody knows whether it was done: making it again has to find what is there."""

    async def fail(request):
        raise error

    async with serve_each() as s:
        s.probe.act = fail
        assert (await s.api.post(MAKE, content=BODY, headers=KEY)).status_code >= 500
        s.probe.act = None
        assert (await s.api.post(MAKE, content=BODY, headers=KEY)).status_code == 201
        first, second = s.probe.calls
        assert first == second
        assert len(first) == 16


async def test_without_a_key_there_is_no_id(serve):
    """The façade makes one."""
    async with serve() as s:
        await s.api.post(MAKE, content=BODY)
        assert s.probe.calls == [None]


async def test_an_answer_that_cannot_be_stored_is_given(serve, monkeypatch):
    """It was done. A repeat meanwhile waits, later it does it with the same id."""

    async def away(*_):
        raise errors.StorageError("the disk is full")

    monkeypatch.setattr(repeats, "PATIENCE", 0.0)
    async with serve() as s:
        monkeypatch.setattr(s.webhooks._runtime.engine.store.answers, "keep", away)
        assert (await s.api.post(MAKE, content=BODY, headers=KEY)).status_code == 201
        assert (await s.api.post(MAKE, content=BODY, headers=KEY)).status_code == 409


async def test_secrets_are_not_kept(serve, database_file):
    """What may not be stored is not there to repeat; that it was done is said."""
    async with serve() as s:
        path = "/api/v1/probe/secret"
        assert (await s.api.post(path, headers=KEY)).json() == {"token": "hk_secret"}
        again = await s.api.post(path, headers=KEY)
        assert (again.status_code, len(s.probe.calls)) == (409, 1)
        assert "was done before" in again.json()["detail"]
    for suffix in ("", "-wal"):
        file = database_file.with_name(database_file.name + suffix)
        assert not file.exists() or b"hk_secret" not in file.read_bytes()


async def test_an_empty_answer_is_repeated(serve_each):
    """204 has no body, then as now."""
    async with serve_each() as s:
        for _ in range(2):
            answer = await s.api.post("/api/v1/probe/nothing", headers=KEY)
            assert (answer.status_code, answer.content) == (204, b"")
        assert len(s.probe.calls) == 1


async def test_messages_carry_their_key(serve):
    """One per API key and idempotency key, of a fixed length; the route itself is not stopped."""
    path = "/api/v1/probe/message"
    async with serve() as s, s.client((await s.key("read")).token) as other:
        first = (await s.api.post(path, headers=KEY)).json()["key"]
        assert (await s.api.post(path, headers=KEY)).json()["key"] == first
        assert (await other.post(path, headers=KEY)).json()["key"] != first
        long = {"Idempotency-Key": "x" * 256}
        assert len((await s.api.post(path, headers=long)).json()["key"]) == len(first) <= 256
        assert (await s.api.post(path)).json()["key"] is None
        assert len(s.probe.calls) == 5


@pytest.mark.parametrize("key", ["", "x" * 257, "\u00e9", "a\tb"])
async def test_keys_that_cannot_be_used(serve, key):
    """400, and what was expected."""
    async with serve() as s:
        headers = httpx.Headers({b"Idempotency-Key": key.encode("utf-8")})
        answer = await s.api.post(MAKE, content=BODY, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "generic_error")
