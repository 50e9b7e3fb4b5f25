"""Planted secrets are looked for wherever they could come out.

In the log at its most talkative, in tracebacks and their chains, in `repr`s, on the command line's
two streams, in what the doctor says, and in the database's file itself.
"""

import asyncio
import json
import logging
import sqlite3
import traceback
from contextlib import closing
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hookline import Settings, Webhooks
from hookline._domain.encryption import key_text
from hookline._storage.database import open_database, parse_url
from hookline.cli import app
from hookline.errors import HooklineError

PLANTED = {
    "signing secret": "planted-signing-s3cret",
    "rotated secret": "whsec_cGxhbnRlZC1yb3RhdGVkLXMzY3JldC0xMjM0",
    "header": "planted-header-t0ken",
    "database password": "planted-passw0rd",
    "encryption key": key_text(b"planted-encryption-key-32-bytes!"),
}


class Everything(logging.Handler):
    """Every record of every logger, formatted with its traceback."""

    def __init__(self):
        super().__init__(1)
        self.lines = []
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s %(args)s"))

    def emit(self, record):
        extra = {k: v for k, v in vars(record).items() if k not in ("msg", "args", "exc_info")}
        self.lines.append(f"{self.format(record)} {extra!r}")


@pytest.fixture
def said():
    """What every logger says during the test, Hookline's and those of its libraries."""
    handler, root = Everything(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    names = ("hookline", "sqlalchemy.engine", "sqlalchemy.pool", "aiosqlite", "asyncpg", "alembic")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(1)
    yield handler.lines
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    root.setLevel(level)
    root.removeHandler(handler)


def leaks(text):
    """Return which of the planted secrets are in the text, as they are or as JSON or bytes."""
    return [name for name, secret in PLANTED.items() if secret in text]


def told(error):
    """Return everything an exception says, with its causes, context and arguments."""
    parts = ["".join(traceback.format_exception(error))]
    while error is not None:
        parts += [repr(error), repr(error.args), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(parts)


def locals_of(error):
    """Return the `repr` of our own objects among the locals of a traceback, as a tracker shows."""
    found = []
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for value in frame.f_locals.values():
            if is_dataclass(value) and type(value).__module__.startswith("hookline"):
                found.append(repr(value))
                found += [repr(getattr(value, f.name)) for f in fields(value) if f.repr]
    return "\n".join(found)


KEYS = (PLANTED["encryption key"],)


async def use(make, receiver, keys=KEYS):
    """Use everything that has to do with secrets; return the façade."""
    webhooks = make(encryption_key=keys, retry_schedule=(0, 0.01))
    webhooks.register(
        receiver.url,
        ["*"],
        secret=PLANTED["signing secret"],
        headers={"X-Token": PLANTED["header"]},
    )
    await (await webhooks.trigger("order.paid", {})).delivered()
    await webhooks.rotate_secret(receiver.url, PLANTED["rotated secret"])
    await (await webhooks.trigger("order.paid", {})).delivered()
    return webhooks


async def test_the_log_says_no_secret(on_each_database, receiver, said):
    """Not at its most talkative, when webhooks are sent, fail, and endpoints change."""
    receiver.secret = None
    webhooks = await use(on_each_database, receiver)
    receiver.answer(500)
    await (await webhooks.trigger("order.paid", {})).delivered()
    await webhooks.reencrypt()
    await webhooks.stop()
    assert any("hookline" in line for line in said)
    assert [(line, leaks(line)) for line in said if leaks(line)] == []


async def test_nothing_shows_a_secret(on_each_database, receiver, capsys):
    """Neither endpoints, messages, the log of attempts, nor settings and the façade, as `repr`."""
    receiver.secret = None
    webhooks = await use(on_each_database, receiver)
    receipt = await webhooks.trigger("order.paid", {})
    await receipt.delivered()
    [endpoint] = await webhooks.endpoints()
    assert endpoint.secret == PLANTED["rotated secret"]  # it is there to be leaked
    shown = [
        endpoint,
        receipt,
        webhooks,
        webhooks.settings,
        await webhooks.attempts(receipt.message_id),
        await webhooks.diagnose(probe=True),
        webhooks.register(receiver.url, ["*"], PLANTED["signing secret"]),
    ]
    assert leaks(repr(shown) + str(shown)) == []
    assert leaks("".join(capsys.readouterr())) == []


async def test_the_engine_shows_no_secret(make_webhooks, receiver):
    """Its own values of a delivery under way: what a debugger or a crash report would print."""
    receiver.secret = None
    webhooks = await use(make_webhooks, receiver)
    queue = open_database(parse_url(webhooks._runtime.database()), webhooks.settings).queue
    await queue.start(lambda: None)
    await webhooks.stop()
    quiet = make_webhooks(deliver=False, encryption_key=KEYS)
    await quiet.trigger("order.paid", {})
    [leased] = (await queue.route(10, 1 << 60, 1 << 61, lambda _: 10)).leased
    assert [s.text for s in leased.target.secrets] == [
        PLANTED["rotated secret"],
        PLANTED["signing secret"],
    ]
    assert PLANTED["header"] in leased.target.header_lines[0]
    assert leaks(repr(leased) + repr(leased.target) + repr(leased.target.secrets)) == []
    await queue.stop()


def test_the_file_holds_no_secret(database_file, make_webhooks, receiver):
    """Nor its log of writes: read byte by byte while it is open, and after."""
    receiver.secret = None
    webhooks = asyncio.run(use(make_webhooks, receiver))
    for close in (lambda: None, webhooks.close):
        close()
        files = [p for p in Path(database_file).parent.iterdir() if p.is_file()]
        assert any(p.name == "hookline.db" for p in files)
        content = b"".join(p.read_bytes() for p in files).decode("latin-1")
        assert "order.paid" in content
        assert leaks(content) == []


BAD = {
    "register with a bad secret": {"secret": f"whsec_{PLANTED['signing secret']}"},
    "register with a secret and a line break": {"secret": PLANTED["signing secret"] + "\n"},
    "register with a bad header": {"headers": {"X-A": PLANTED["header"] + "\r\n"}},
    "register with a header that is refused": {"headers": {"Host": PLANTED["header"]}},
    "register with a header that is too long": {"headers": {"X-A": PLANTED["header"] * 400}},
    "register with a secret of another type": {"secret": [PLANTED["signing secret"]]},
    "register with a header of another type": {"headers": {"X-A": [PLANTED["header"]]}},
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_is_not_repeated(name, make_webhooks, said):
    """In no message and no traceback: the name of the header says enough."""
    webhooks = make_webhooks()
    with pytest.raises(HooklineError) as caught:
        webhooks.register("https://example.com/", ["*"], **BAD[name])
    assert leaks(told(caught.value) + locals_of(caught.value) + "".join(said)) == []


@pytest.mark.parametrize(
    "entry",
    [
        {"secret": PLANTED["signing secret"] + " "},
        {"secret": [PLANTED["signing secret"]]},
        {"headers": {"X-A": PLANTED["header"] + "\n"}},
        {"headers": PLANTED["header"]},
        {"secret": PLANTED["signing secret"], "url": "nonsense"},
        {"secret": PLANTED["signing secret"], "unknown": PLANTED["header"]},
    ],
)
def test_a_bad_file_is_not_repeated(entry, tmp_path, make_webhooks, said):
    """File and position say enough."""
    path = tmp_path / "webhooks.json"
    document = {"webhooks": [{"url": "https://example.com/", "events": ["*"], **entry}]}
    path.write_text(json.dumps(document))
    with pytest.raises(HooklineError) as caught:
        make_webhooks().init(path)
    assert leaks(told(caught.value) + locals_of(caught.value) + "".join(said)) == []


def refuse_writes(database_file):
    """Make the database refuse endpoints and secrets below a running façade."""
    with closing(sqlite3.connect(database_file)) as connection:
        for table in ("hookline_endpoint", "hookline_endpoint_secret"):
            connection.execute(
                f"CREATE TRIGGER no_{table} BEFORE INSERT ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'refused'); END"
            )


async def test_a_failing_database_repeats_no_secret(database_file, make_webhooks, receiver, said):
    """Its errors come without the statements' parameters, which are readable without a key."""
    receiver.secret = None
    webhooks = await use(make_webhooks, receiver, keys=())
    refuse_writes(database_file)
    with pytest.raises(HooklineError, match="refused") as first:
        await webhooks.rotate_secret(receiver.url, PLANTED["signing secret"])

    async def declare():
        webhooks.register(
            "https://example.com/two",
            ["*"],
            secret=PLANTED["signing secret"],
            headers={"X": PLANTED["header"]},
        )
        await webhooks.start()

    with pytest.raises(HooklineError, match="refused") as second:
        await declare()
    for caught in (first, second):
        assert leaks(told(caught.value) + locals_of(caught.value)) == []
    assert [line for line in said if leaks(line)] == []


AWAY = f"postgresql://me:{PLANTED['database password']}@127.0.0.1:1/none"
OTHER = f"mysql://me:{PLANTED['database password']}@127.0.0.1/none"
BROKEN = f"postgresql://me:{PLANTED['database password']}@127.0.0.1:port/none"


@pytest.mark.parametrize(
    ("command", "urls"),
    [
        (["doctor"], [AWAY, OTHER, BROKEN]),
        (["migrate"], [AWAY, OTHER, BROKEN]),
        (["keys", "list"], [AWAY, OTHER, BROKEN]),
        (["worker"], [OTHER, BROKEN]),  # it waits for a server that is away
    ],
)
def test_no_command_shows_a_password(command, urls, monkeypatch, tmp_path):
    """When the server is away, and when the URL cannot be used."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKLINE_ENCRYPTION_KEY", PLANTED["encryption key"])
    for url in urls:
        ended = CliRunner().invoke(app, [*command, "--database", url])
        assert ended.exit_code != 0
        assert leaks(ended.output + (told(ended.exception) if ended.exception else "")) == []


def test_settings_show_no_secret():
    """Nor does an error about another setting."""
    url = f"postgresql://me:{PLANTED['database password']}@127.0.0.1/x"
    settings = Settings.load({}, database=url, encryption_key=KEYS)
    assert leaks(repr(settings) + str(settings)) == []
    with pytest.raises(HooklineError) as caught:
        Settings.load({}, database=url, encryption_key=KEYS, timeout=99)
    assert leaks(told(caught.value)) == []
    assert leaks(repr(parse_url(url))) == []
    assert leaks(repr(Webhooks(settings=settings))) == []


def test_credentials_of_an_endpoint_show_nowhere(database_file, make_webhooks, said):
    """The OAuth2 secret and the proxy's password: in no `repr`, log, finding or byte."""
    webhooks = make_webhooks(deliver=False, encryption_key=KEYS, development=True)
    declared = webhooks.register(
        "https://example.com/",
        ["*"],
        oauth2={
            "token_url": "https://example.com/token",
            "client_id": "me",
            "client_secret": PLANTED["signing secret"],
        },
        proxy=f"http://me:{PLANTED['database password']}@127.0.0.1:3128",
    )
    webhooks.init()
    [stored] = asyncio.run(webhooks.endpoints())
    assert stored.oauth2["client_secret"] == PLANTED["signing secret"]
    findings = asyncio.run(webhooks.diagnose())
    webhooks.close()
    content = b"".join(p.read_bytes() for p in Path(database_file).parent.iterdir() if p.is_file())
    shown = repr([declared, stored, findings, said]) + content.decode("latin-1")
    assert "example.com" in shown
    assert leaks(shown) == []
