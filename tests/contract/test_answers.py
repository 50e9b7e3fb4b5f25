"""Answers to repeated requests, on each database: claimed once, kept, fenced, pruned."""

import asyncio

import pytest

from hookline._engine.keys import new_key
from hookline._ports import Claim

NAME, OTHER = b"n" * 32, b"o" * 32
BODY = b"d" * 32
LEASE, KEPT = 60_000, 86_400_000


@pytest.fixture
def claim():
    """Return a maker of claims at the bench's time."""

    async def make(b, lease, name=NAME, digest=BODY, resource=None):
        resource = resource or new_key(b.now)
        return await b.store.answers.claim(
            name, digest, resource, lease, b.now, b.now + LEASE, b.now + KEPT
        )

    return make


async def test_a_request_is_done_once(bench, claim):
    """The first claims it, the second has to wait, and later ones get the answer."""
    async with bench as b:
        resource = new_key(b.now)
        assert await claim(b, 1, resource=resource) == Claim(resource, mine=True)
        assert await claim(b, 2) == Claim(resource)
        assert await b.store.answers.keep(NAME, 1, 201, b'{"id":"x"}')
        assert await claim(b, 3) == Claim(resource, status=201, body=b'{"id":"x"}')
        assert (await claim(b, 4, name=OTHER)).mine


async def test_of_many_at_once_one_does_it(bench, claim):
    """Whatever the database does with them."""
    async with bench as b:
        claims = await asyncio.gather(*(claim(b, lease) for lease in range(1, 9)))
        assert sum(each.mine for each in claims) == 1
        assert len({each.resource for each in claims}) == 1


async def test_another_body_is_another_request(bench, claim):
    """Before and after it was answered."""
    async with bench as b:
        await claim(b, 1)
        assert not (await claim(b, 2, digest=b"e" * 32)).same
        await b.store.answers.keep(NAME, 1, 200, b"{}")
        found = await claim(b, 2, digest=b"e" * 32)
        assert (found.same, found.status, found.body, found.mine) == (False, None, None, False)


async def test_what_was_refused_is_forgotten(bench, claim):
    """The next is judged anew."""
    async with bench as b:
        await claim(b, 1)
        await b.store.answers.forget(NAME, 1)
        assert (await claim(b, 2, digest=b"e" * 32)).mine


@pytest.mark.parametrize("how", ["its lease ended", "it was given back"])
async def test_what_was_left_open_is_taken_over(bench, claim, how):
    """With the same id for what it makes; the one that was too slow writes nothing any more."""
    async with bench as b:
        first = await claim(b, 1)
        if how == "its lease ended":
            b.now += LEASE - 1
            assert not (await claim(b, 2)).mine
            b.now += 1
        else:
            assert await b.store.answers.give_back(NAME, 1, b.now)
        assert await claim(b, 2) == Claim(first.resource, mine=True)
        assert not await b.store.answers.keep(NAME, 1, 500, b"late")
        assert not await b.store.answers.give_back(NAME, 1, b.now)
        await b.store.answers.forget(NAME, 1)
        assert not (await claim(b, 3)).mine
        assert await b.store.answers.keep(NAME, 2, 201, b"{}")
        assert (await claim(b, 3)).body == b"{}"


async def test_an_answer_that_may_not_be_kept(bench, claim):
    """That it was done is known, what was said is not."""
    async with bench as b:
        await claim(b, 1)
        await b.store.answers.keep(NAME, 1, 200, None)
        found = await claim(b, 2)
        assert (found.status, found.body) == (200, None)


async def test_answers_expire(bench, claim):
    """After a day a name may stand for something else; upkeep removes the row."""
    async with bench as b:
        await claim(b, 1)
        await b.store.answers.keep(NAME, 1, 201, b"{}")
        await claim(b, 1, name=OTHER)
        b.now += KEPT - 1
        await b.store.prune(b.now)
        assert (await claim(b, 2)).status == 201
        b.now += 1
        again = await claim(b, 3, digest=b"e" * 32)
        assert again.mine
        await b.store.prune(b.now)
        assert (await claim(b, 4, name=OTHER, digest=b"f" * 32)).mine
        assert not (await claim(b, 5, digest=b"e" * 32)).mine
