"""Secrets at rest, on each database: sealed, opened, sealed anew, and locked without their key."""

from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from hookline._domain.encryption import key_text, parse_keys
from hookline._storage.schema import endpoint, endpoint_secret
from hookline.errors import SecretsLocked

A, B = (key_text(bytes([n]) * 32) for n in (1, 2))
NAME_A, NAME_B = (key.id for key in parse_keys([A, B]))
SECRET, TOKEN, PASSWORD = "planted-s3cret", "planted-t0ken", "planted-passw0rd"
PROXY = f"http://me:{PASSWORD}@proxy.example:3128"
DECLARED = {"secret": SECRET, "headers": {"X-Token": TOKEN}, "proxy": PROXY}


@asynccontextmanager
async def connection(database):
    """Connect beside Hookline."""
    url = database.url.replace("sqlite://", "sqlite+aiosqlite://")
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        yield connection
    await engine.dispose()


async def stored(database):
    """Return everything that is stored about endpoints, as text."""
    async with connection(database) as c:
        rows = [*await c.execute(sa.select(endpoint)), *await c.execute(sa.select(endpoint_secret))]
        return repr([tuple(row) for row in rows])


async def leased(b):
    """Return the target of a delivery that is routed now."""
    await b.publish()
    [found] = (await b.route()).leased
    return found.target


async def test_nothing_readable_is_stored(database):
    """Neither secret nor header, and both come back for sending and for people."""
    database.change(encryption_key=(A,))
    async with database.bench() as b:
        await b.declare("a", **DECLARED)
        assert SECRET not in await stored(database)
        assert TOKEN not in await stored(database)
        assert PASSWORD not in await stored(database)
        target = await leased(b)
        assert [s.text for s in target.secrets] == [SECRET]
        assert target.header_lines == (f"X-Token: {TOKEN}",)
        assert target.proxy == PROXY
        [seen] = await b.endpoints()
        assert seen.proxy == PROXY
        assert (seen.secret, dict(seen.headers), seen.locked) == (SECRET, DECLARED["headers"], None)


async def test_the_hash_of_a_declaration_is_sealed_too(database):
    """A guessed secret cannot be checked against it; the same declaration is still recognised."""
    async with database.bench() as b:
        await b.declare("a", secret="guess-me")
        async with connection(database) as c:
            plain = await c.scalar(sa.select(endpoint.c.declared_digest))
    database.change(encryption_key=(A,))
    async with database.bench() as b:
        await b.declare("b", secret="guess-me")
        async with connection(database) as c:
            sealed = (await c.execute(sa.select(endpoint.c.declared_digest))).scalars().all()[1]
        assert plain[-32:] not in sealed
        before = (await leased_all(b))["b"].revision
        await b.declare("b", secret="guess-me")
        assert (await leased_all(b))["b"].revision == before


async def leased_all(b):
    """Return the targets of one message by the endpoint's name."""
    await b.publish()
    return {t.url.split("//")[1].split(".")[0]: t for t in await targets(b)}


async def targets(b):
    """Return the targets of what is routed now."""
    return [each.target for each in (await b.route()).leased]


async def test_what_was_stored_open_stays_readable(database):
    """A key that is set later encrypts what comes from then on, and on request the rest."""
    async with database.bench() as b:
        await b.declare("a", **DECLARED)
    database.change(encryption_key=(A,))
    async with database.bench() as b:
        assert [s.text for s in (await leased(b)).secrets] == [SECRET]
        told = []
        done = await b.store.reencrypt(lambda *n: told.append(n), decrypt=False)
        assert done == (4, 0)  # secret, headers, credentials, the declaration's hash
        assert told[-1] == (4, 4)
        assert SECRET not in await stored(database)
        assert [s.text for s in (await leased(b)).secrets] == [SECRET]


async def test_a_key_is_changed(database):
    """Both are given, the new one first; after sealing anew the old one may go."""
    database.change(encryption_key=(A,))
    async with database.bench() as b:
        for name in ("a", "b", "c"):
            await b.declare(name, **DECLARED)
    database.change(encryption_key=(B, A))
    async with database.bench() as b:
        assert await b.store.reencrypt(lambda *_: None, decrypt=False) == (12, 0)
        assert await b.store.reencrypt(lambda *_: None, decrypt=False) == (0, 0)
    database.change(encryption_key=(B,))
    async with database.bench() as b:
        assert NAME_A not in await stored(database)
        await b.publish()
        assert [[s.text for s in t.secrets] for t in await targets(b)] == [[SECRET]] * 3
        signs = await b.store.vitals(lambda: b.now)
        assert dict(signs.secrets) == {NAME_B: 9}


async def test_encryption_is_undone(database):
    """Then no key is needed any more."""
    database.change(encryption_key=(A,))
    async with database.bench() as b:
        await b.declare("a", **DECLARED)
        assert await b.store.reencrypt(lambda *_: None, decrypt=True) == (4, 0)
    database.change(encryption_key=())
    async with database.bench() as b:
        target = await leased(b)
        assert [s.text for s in target.secrets] == [SECRET]
        assert target.header_lines == (f"X-Token: {TOKEN}",)
        await b.declare("a", **DECLARED)
        assert (await leased(b)).revision == target.revision


@pytest.mark.parametrize("keys", [(), (B,)])
async def test_without_its_key_nothing_starts(database, keys):
    """Else every delivery would fail; the key that is missing is named."""
    database.change(encryption_key=(A,))
    async with database.bench() as b:
        await b.declare("a", headers=DECLARED["headers"])
    database.change(encryption_key=keys)
    store = database.make_store()
    with pytest.raises(SecretsLocked, match=NAME_A):
        await store.start(0)
    if keys:
        with pytest.raises(SecretsLocked, match=NAME_A):
            await store.reencrypt(lambda *_: None, decrypt=False)
    await store.stop()


async def test_a_secret_of_another_row_does_not_open(database):
    """Who can write to the database cannot make one endpoint sign with the secret of another.

    The others are sent to as before, and giving the endpoint its secret anew heals it.
    """
    database.change(encryption_key=(A,))
    async with database.bench() as b:
        await b.declare("a", secret="of-a")
        await b.declare("b", secret="of-b")
        await b.declare("c", headers={"X": "of-c"})
        async with connection(database) as c:
            rows = (await c.execute(sa.select(endpoint_secret).order_by("id"))).all()
            await c.execute(
                endpoint_secret.update()
                .where(endpoint_secret.c.id == rows[0].id)
                .values(secret=rows[1].secret)
            )
            await c.execute(endpoint.update().values(revision=endpoint.c.revision + 1))
            await c.execute(sa.text("UPDATE hookline_application SET revision = revision + 1"))
        found = await leased_all(b)
        assert "moved from another one" in found["a"].locked
        assert found["a"].secrets == ()
        assert [s.text for s in found["b"].secrets] == ["of-b"]
        assert found["c"].header_lines == ("X: of-c",)
        assert [bool(e.locked) for e in await b.endpoints()] == [True, False, False]
        assert (await b.store.reencrypt(lambda *_: None, decrypt=True)).locked == 1
        await b.declare("a", secret="of-a-anew")
        assert [s.text for s in (await leased_all(b))["a"].secrets] == ["of-a-anew"]


async def test_many_rows_are_sealed_in_batches(database, monkeypatch):
    """None is left out at the border of a batch."""
    monkeypatch.setattr("hookline._storage.sealed.BATCH", 3)
    async with database.bench() as b:
        for number in range(7):
            await b.declare(f"e{number}", **DECLARED)
    database.change(encryption_key=(A,))
    async with database.bench() as b:
        told = []
        done = await b.store.reencrypt(lambda *n: told.append(n), decrypt=False)
        assert done == (28, 0)
        assert told == sorted(told)
        assert told[-1] == (28, 28)
        assert dict((await b.store.vitals(lambda: b.now)).secrets) == {NAME_A: 21}
