"""Every example, run as its first line says, against a receiver that checks the signature."""

from pathlib import Path

import httpx
import pytest
from tests.examples.shops import EXAMPLES, ROOT, environment, libpq, process, run, serving

UVICORN = ("-m", "uvicorn", "--port", "{port}", "app:app", "--app-dir")
GUNICORN = ("-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2", "--chdir")


ACT = Path(__file__).parent / "django_app/act.py"


def place(base, *numbers):
    """Place orders; return the answers."""
    with httpx.Client(base_url=base, timeout=30) as client:
        return [client.post("/orders", json={"number": n}).status_code for n in numbers]


def check(receiver, *numbers):
    """Check that exactly these orders were heard of, and that each was signed."""
    heard = receiver.wait_for(len(numbers), timeout=30)
    assert sorted(each.json()["data"]["number"] for each in heard) == sorted(numbers)
    assert {each.json()["event"] for each in heard} == {"order.placed"}
    assert [each.problem for each in heard if not each.verified] == []


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """A database of the example's own: SQLite makes it, PostgreSQL's is migrated."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/shop.db"
        return
    with request.getfixturevalue("postgres").fresh() as url:
        yield url


@pytest.mark.parametrize("framework", ["fastapi", "starlette", "sqlmodel", "litestar"])
def test_asgi(framework, database, receiver, tmp_path):
    """An order is heard of, one that was refused when it was committed is not."""
    variables = environment(tmp_path, receiver, database)
    with serving([*UVICORN, str(EXAMPLES / framework)], variables, tmp_path) as base:
        assert place(base, "A-1", "A-1", "A-2") == [201, 409, 201]
        check(receiver, "A-1", "A-2")
    assert receiver.count == 2


@pytest.mark.parametrize("how", [(), ("--preload",), ("--threads", "4")], ids=" ".join)
def test_flask(how, database, receiver, tmp_path):
    """The same under gunicorn: processes forked before or after loading, and threads."""
    variables = environment(tmp_path, receiver, database, FLASK_APP=str(EXAMPLES / "flask/app.py"))
    run(["-m", "flask", "create-tables"], variables, tmp_path)
    arguments = [*GUNICORN, str(EXAMPLES / "flask"), *how, "app:app"]
    with serving(arguments, variables, tmp_path) as base:
        assert place(base, "A-1", "A-1", "A-2") == [201, 409, 201]
        check(receiver, "A-1", "A-2")
    assert receiver.count == 2


def test_flask_commands(database, receiver, tmp_path):
    """`flask hookline` is the command line, on the application's own settings."""
    variables = environment(tmp_path, receiver, database, FLASK_APP=str(EXAMPLES / "flask/app.py"))
    hookline = ["-m", "flask", "hookline"]
    run([*hookline, "migrate"], variables, tmp_path)
    assert "msg_" in run([*hookline, "send", "order.placed", "--data", "{}"], variables, tmp_path)
    assert "order.placed" in run([*hookline, "messages", "list"], variables, tmp_path)
    with process([*hookline, "worker"], variables, tmp_path):
        receiver.wait_for(1, timeout=30)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_drivers(driver, postgres_url, receiver, tmp_path):
    """A script on a driver's own connection tells of what it committed, before it ends."""
    variables = environment(tmp_path, receiver, postgres_url)
    script = [str(EXAMPLES / driver / "app.py"), "A-1", "A-1", "A-2"]
    assert run(script, variables, tmp_path) == "A-1 is taken\n"
    check(receiver, "A-1", "A-2")


def test_sqlite3(receiver, tmp_path):
    """So does one on sqlite3."""
    script = [str(EXAMPLES / "sqlite3/app.py"), "A-1", "A-1", "A-2"]
    assert run(script, environment(tmp_path, receiver), tmp_path) == "A-1 is taken\n"
    check(receiver, "A-1", "A-2")


class Manage:
    """`manage.py` of the example, on a database that has nothing in it yet."""

    def __init__(self, variables, place):
        self.variables, self.place = variables, place

    def __call__(self, *arguments):
        return run(self.command(*arguments), self.variables, self.place)

    def command(self, *arguments):
        return ["-W", "error", str(EXAMPLES / "django/manage.py"), *arguments]


@pytest.fixture(params=["sqlite", "postgresql"])
def manage(request, receiver, tmp_path):
    """The shop on each database."""
    if request.param == "sqlite":
        variables = environment(tmp_path, receiver, SQLITE_FILE=str(tmp_path / "shop.db"))
        yield Manage(variables, tmp_path)
        return
    with request.getfixturevalue("postgres").fresh(empty=True) as url:
        yield Manage(environment(tmp_path, receiver, **libpq(url)), tmp_path)


def test_django(manage, receiver, tmp_path):
    """`migrate` makes the tables; views publish in Django's transaction; the worker delivers."""
    manage("migrate")
    arguments = [*GUNICORN, str(EXAMPLES / "django"), "--preload", "project.wsgi"]
    with serving(arguments, manage.variables, tmp_path) as base:
        assert place(base, "A-1", "A-1") == [201, 409]
        assert receiver.count == 0  # nobody delivers yet
        with process(manage.command("hookline", "worker"), manage.variables, tmp_path):
            check(receiver, "A-1")
            assert place(base, "A-2") == [201]
            check(receiver, "A-1", "A-2")
            manage("shell", "-c", ACT.read_text("utf-8"))
            receiver.wait_for(3, timeout=30)
    assert receiver.count == 3  # one was sent again
    assert manage("hookline", "messages", "list").count("msg_") == 2
    assert manage("makemigrations", "--check") == "No changes detected\n"
    manage("check", "--database", "default")
    manage("migrate", "hookline", "zero")
    assert "hookline" not in manage("inspectdb")


def test_djangos_own_tests(manage):
    """The example's tests run as Django's do: on a test database, with nothing beside it."""
    manage("test", str(EXAMPLES / "django"), "--noinput")


def test_inside_django(manage):
    """So do our own, which look at the application closely."""
    manage("test", str(Path(__file__).parent / "django_app"), "--noinput")


def test_the_page_names_every_example():
    """The table of examples is complete."""
    page = (EXAMPLES / "README.md").read_text("utf-8")
    folders = {each.name for each in EXAMPLES.iterdir() if each.is_dir() and each.name[0] != "_"}
    assert {name for name in folders if f"[`{name}`]" in page} == folders
    assert (ROOT / "docs/how-to/frameworks.md").exists()
