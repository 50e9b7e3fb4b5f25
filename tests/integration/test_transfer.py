"""Export, plan and import: the configuration as one document."""

import json

import pytest
from typer.testing import CliRunner

from hookline.cli import app
from hookline.errors import ImportInterrupted, InvalidInput, PlanOutdated, StorageError

SECRET = "whsec_" + "B" * 32
URL = "https://books.example/hooks"


def document(*endpoints, types=None, **more):
    """Return a document with one application."""
    acme = {"uid": "acme", "name": "Acme", "endpoints": list(endpoints), **more}
    found = {"hookline": 1, "applications": [acme]}
    return found if types is None else {**found, "event_types": types}


async def imported(webhooks, given, **options):
    """Import a document and return the changes."""
    return (await webhooks.apply(await webhooks.plan(given, **options))).changes


def told(changes):
    """Return changes as short lines."""
    return [f"{c.action} {c.kind} {c.name}" for c in changes]


async def fill(webhooks):
    """Make something of everything."""
    await webhooks.event_types.create(
        "invoice.paid", "Paid", schemas={"1": {"type": "object"}}, group_name="invoice"
    )
    await webhooks.event_types.create("old", archived=True, feature_flags=["beta"])
    await webhooks.applications.create("Acme", uid="acme", rate_limit=5, metadata={"plan": "pro"})
    nameless = await webhooks.applications.create("Nameless")
    acme = await webhooks.for_application("acme")
    await acme.create_endpoint(
        URL,
        ["invoice.*"],
        SECRET,
        {"X-Token": "Bearer s3cr3t"},
        uid="books",
        disabled=True,
        retry_schedule=[0, 60],
        channels=["a"],
        metadata={"team": "x"},
        oauth2={
            "token_url": "https://id.example/token",
            "client_id": "me",
            "client_secret": "0auth-s3cr3t",
        },
    )
    other = await webhooks.for_application(nameless.id)
    for _ in range(2):
        await other.create_endpoint(URL)
    return nameless


async def test_a_deployment_is_copied_whole(on_each_database, database_file, tmp_path):
    """With its ids where there is no uid, secrets included; a second import does nothing."""
    webhooks = on_each_database(deliver=False)
    nameless = await fill(webhooks)
    whole = await webhooks.export(secrets=True)
    json.dumps(whole)
    assert not await webhooks.plan(whole, prune=True)
    from hookline import Webhooks

    async with Webhooks(database=f"sqlite:///{tmp_path / 'copy.db'}", deliver=False) as copy:
        plan = await copy.plan(whole)
        assert "s3cr3t" not in repr(plan) + json.dumps(plan.document)
        await copy.apply(plan)
        assert (await copy.applications.get(nameless.id)).name == "Nameless"
        [books] = await (await copy.for_application("acme")).endpoints()
        assert (books.secret, books.headers) == (SECRET, {"X-Token": "Bearer s3cr3t"})
        assert (books.oauth2["client_secret"], books.disabled) == ("0auth-s3cr3t", True)
        assert len(await (await copy.for_application(nameless.id)).endpoints()) == 2
        assert not await copy.plan(whole, prune=True)


async def test_secrets_are_exported_only_when_asked_for(on_each_database):
    """What was left out is named, and stays as it is when the document comes back."""
    webhooks = on_each_database(deliver=False)
    await fill(webhooks)
    whole = await webhooks.export()
    assert "s3cr3t" not in json.dumps(whole)
    assert SECRET not in json.dumps(whole)
    [books] = whole["applications"][1]["endpoints"]
    assert books["withheld"] == ["secret", "headers", "oauth2"]
    assert not await webhooks.plan(whole, prune=True)
    await (await webhooks.for_application("acme")).delete_endpoint("books")
    [again] = (await webhooks.plan(whole)).changes
    assert again.notes == (
        "secret: a fresh one is made",
        "headers: was left out of the export, and is not set",
        "oauth2: was left out of the export, and is not set",
    )


async def test_a_plan_tells_each_field(on_each_database):
    """What it is and what it will be; of a secret only that it changes."""
    webhooks = on_each_database(deliver=False)
    await imported(
        webhooks, document({"uid": "books", "url": URL, "description": "old", "timeout": 5})
    )
    given = {"uid": "books", "url": URL + "/2", "secret": SECRET, "headers": {"X-A": "1"}}
    plan = await webhooks.plan(document(given, name="Acme Inc."))
    application, endpoint = plan.changes
    assert application.fields == (("name", "Acme", "Acme Inc."),)
    assert endpoint.fields == (
        ("url", URL, URL + "/2"),
        ("description", "old", None),
        ("timeout", 5, None),
        ("secret", "***", "***"),
        ("headers", None, "***"),
    )
    await webhooks.apply(plan)
    acme = await webhooks.for_application("acme")
    found = await acme.endpoint("books")
    assert (found.url, found.description, found.timeout) == (URL + "/2", "", None)
    assert (found.secret, found.headers) == (SECRET, {"X-A": "1"})
    assert not await webhooks.plan(document(given, name="Acme Inc."))


async def test_what_is_not_said_of_being_disabled_stays(on_each_database):
    """A document does not enable by accident what failed for days."""
    webhooks = on_each_database(deliver=False)
    entry = {"uid": "books", "url": URL}
    await imported(webhooks, document(entry))
    acme = await webhooks.for_application("acme")
    await acme.disable("books", "failed for 5 days")
    assert not await webhooks.plan(document(entry))
    await imported(webhooks, document({**entry, "disabled": False}))
    assert not (await acme.endpoint("books")).disabled


async def test_nothing_is_deleted_unless_asked(on_each_database):
    """And then only in lists that are there; never what code declares, nor `default`."""
    webhooks = on_each_database(deliver=False)
    webhooks.register("https://declared.example/", ["*"])
    await fill(webhooks)
    await webhooks.create_endpoint("https://gone.example/")
    less = {"hookline": 1, "applications": [{"uid": "default", "name": "Default"}]}
    assert told((await webhooks.plan(less)).changes) == []
    pruned = await imported(webhooks, less, prune=True)
    assert sorted(told(pruned))[:1] == ["delete application acme"]
    assert len(await webhooks.endpoints()) == 2
    less["applications"][0]["endpoints"] = []
    less["event_types"] = []
    assert told(await imported(webhooks, less, prune=True)) == [
        "delete endpoint default/https://gone.example/",
        "delete event_type invoice.paid",
    ]
    assert [e.url for e in await webhooks.endpoints()] == ["https://declared.example/"]
    assert not await webhooks.plan(less, prune=True)


FAULTS = [
    ({}, "hookline: expected 1"),
    ([], "document: expected an object, got list"),
    ({"hookline": 1, "apps": []}, r"apps: unknown; known are"),
    ({"hookline": 1, "applications": {}}, "applications: expected a list, got dict"),
    ({"hookline": 1, "applications": [3]}, r"applications\[0\]: expected an object, got int"),
    ({"hookline": 1, "applications": [{"name": "x"}]}, r"applications\[0\]: has no uid"),
    ({"hookline": 1, "applications": [{"uid": "a b", "name": "x"}]}, r"applications\[0\]\.uid: "),
    ({"hookline": 1, "applications": [{"uid": "x"}]}, r"applications\[0\]\.name: is missing"),
    (
        {"hookline": 1, "applications": [{"uid": "x", "name": "x"}] * 2},
        r"applications\[1\]: is already applications\[0\]",
    ),
    (document({"uid": "a"}), r"applications\[0\]\.endpoints\[0\]\.url: is missing"),
    (document({"url": "http://10.0.0.1/"}), r"applications\[0\]\.endpoints\[0\]\.url: "),
    (document({"url": URL, "tineout": 3}), r"endpoints\[0\]\.tineout: unknown"),
    (document({"url": URL, "timeout": 300}), r"endpoints\[0\]\.timeout: 300 is not between"),
    (document({"url": URL, "timeout": "3"}), r"endpoints\[0\]\.timeout: expected a number"),
    (document({"url": URL, "disabled": "no"}), r"endpoints\[0\]\.disabled: expected true or"),
    (document({"url": URL, "events": "a.b"}), r"endpoints\[0\]\.events: expected a list"),
    (document({"url": URL, "id": "ep_1"}), r"endpoints\[0\]\.id: 'ep_1' is not an id"),
    (document({"url": URL, "metadata": [1]}), r"endpoints\[0\]\.metadata: expected an object"),
    (
        document({"url": URL}, {"url": URL}),
        r"applications\[0\]\.endpoints\[1\]\.url: is already applications\[0\]\.endpoints\[0\]",
    ),
    (
        document({"uid": "a", "url": URL}, {"uid": "a", "url": URL + "/2"}),
        r"applications\[0\]\.endpoints\[1\]: is already applications\[0\]\.endpoints\[0\]",
    ),
    (document(types=[{"name": "a b"}]), r"event_types\[0\]\.name: 'a b' has other"),
    (document(types=[{"name": "a", "archived": 1}]), r"event_types\[0\]\.archived: expected true"),
    (document(types=[{"name": "a"}, {"name": "a"}]), r"event_types\[1\]\.name: is already"),
]


@pytest.mark.parametrize(("given", "fault"), FAULTS)
async def test_a_fault_names_its_place(make_webhooks, given, fault):
    """And nothing is written."""
    webhooks = make_webhooks(deliver=False)
    with pytest.raises(InvalidInput, match=f"^{fault}|{fault}"):
        await webhooks.plan(given)
    assert [a.uid for a in (await webhooks.applications.page()).items] == ["default"]


async def test_a_plan_that_is_not_current_any_more_is_refused(on_each_database):
    """Nothing of it is done."""
    webhooks = on_each_database(deliver=False)
    plan = await webhooks.plan(document({"uid": "books", "url": URL}))
    await webhooks.applications.create("Somebody else's", uid="acme")
    with pytest.raises(PlanOutdated):
        await webhooks.apply(plan)
    assert await (await webhooks.for_application("acme")).endpoints() == []


async def test_an_import_that_breaks_off_says_what_was_done(make_webhooks, monkeypatch):
    """And the same document again goes on from there."""
    webhooks = make_webhooks(deliver=False)
    given = document({"uid": "one", "url": URL}, {"uid": "two", "url": URL + "/2"})
    plan = await webhooks.plan(given)
    store = (await webhooks._runtime.running()).store
    create, calls = store.endpoints.create, []

    async def failing(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise StorageError("the disk is full")
        return await create(*arguments)

    monkeypatch.setattr(store.endpoints, "create", failing)
    with pytest.raises(ImportInterrupted, match=r"acme/two: the disk is full. Of 3 changes 2"):
        await webhooks.apply(plan)
    assert told(await imported(webhooks, given)) == ["create endpoint acme/two"]


async def test_one_without_a_uid_is_known_by_its_url(on_each_database):
    """And may get a uid that way."""
    webhooks = on_each_database(deliver=False)
    await imported(webhooks, document({"url": URL}))
    assert not await webhooks.plan(document({"url": URL}))
    [change] = await imported(webhooks, document({"url": URL, "uid": "books"}))
    assert change.fields == (("uid", None, "books"),)
    moved = {"url": URL + "/moved", "uid": "books"}
    assert told(await imported(webhooks, document(moved))) == ["update endpoint acme/books"]


async def test_an_imported_secret_overlaps_the_one_before(make_webhooks):
    """As any rotation."""
    webhooks = make_webhooks(deliver=False)
    await imported(webhooks, document({"uid": "books", "url": URL, "secret": SECRET}))
    await imported(webhooks, document({"uid": "books", "url": URL, "secret": "whsec_" + "C" * 32}))
    acme = await webhooks.for_application("acme")
    target = await acme._stored_target("books")
    ends = [s.expires_at is not None for s in target.secrets]
    assert ends == [False, True]


# the command line


@pytest.fixture
def hookline(database_file, tmp_path, monkeypatch):
    """Return a runner of the command line: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKLINE_DATABASE", f"sqlite:///{database_file}")

    def run(*arguments, **options):
        ended = CliRunner().invoke(app, list(arguments), **options)
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return ended.exit_code, ended.stdout, ended.stderr.strip()

    return run


YAML = """\
hookline: 1
event_types:
  - name: invoice.paid
applications:
  - uid: acme
    name: Acme
    endpoints:
      - uid: books
        url: https://books.example/hooks
        events: [invoice.*]
        secret: whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB
"""


def test_a_file_is_imported_and_exported(hookline, tmp_path):
    """In YAML and in JSON; the plan is shown first, without secrets."""
    (tmp_path / "in.yaml").write_text(YAML)
    code, out, _ = hookline("import", "in.yaml", "--dry-run")
    assert code == 0
    assert "+ endpoint acme/books" in out
    assert 'events: ["invoice.*"]' in out
    assert "3 to create, 0 to change, 0 to delete" in out
    assert "BBBB" not in out
    code, _, error = hookline("import", "in.yaml")
    assert (code, "--yes" in error) == (1, True)
    assert hookline("import", "in.yaml", "--yes")[1].endswith("done\n")
    assert "nothing to do" in hookline("import", "in.yaml")[1]
    code, _, error = hookline("export", "-o", "out.json", "--secrets")
    assert (code, error) == (0, "out.json: 1 event types, 2 applications, 1 endpoints")
    assert (tmp_path / "out.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "out.json").read_text())["hookline"] == 1
    code, out, _ = hookline("export")
    assert "withheld:" in out
    assert "nothing to do" in hookline("import", "-", "--prune", input=out)[1]
    code, out, _ = hookline("import", "-", "--json", input=YAML.replace("Acme", "Acme Inc."))
    assert json.loads(out)["changes"][0]["fields"] == [
        {"field": "name", "before": "Acme", "after": "Acme Inc."}
    ]
    assert json.loads(out)["applied"] is False


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: &x [1]\nb: *x\n", "line 2, column 4: aliases are not taken"),
        ("a: 1\na: 2\n", "line 2, column 1: 'a' is there twice"),
        ("a: [1\n", "line 2, column 1"),
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ('{"a": }', "line 1, column 7"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("[" * 100_000, "recursion"),
        ("hookline: 2\n", "hookline: expected 1"),
        ("- 1\n", "document: expected an object, got list"),
        ("", "document: expected an object, got NoneType"),
    ],
)
def test_a_file_that_is_none_is_refused(hookline, text, fault):
    """With the place and the reason."""
    code, _, error = hookline("import", "-", "--yes", input=text)
    assert code == 2
    assert fault in error


def test_without_pyyaml_there_is_json(hookline, monkeypatch):
    """And a YAML file is refused with what to install."""
    monkeypatch.setattr("hookline.cli._document.has_yaml", lambda: False)
    code, out, _ = hookline("export")
    assert json.loads(out)["hookline"] == 1
    code, _, error = hookline("import", "-", input=YAML)
    assert (code, "pip install 'hookline[server]'" in error) == (2, True)
    assert hookline("export", "--format", "yaml")[0] == 2
    assert hookline("import", "nowhere.yaml")[0] == 2
