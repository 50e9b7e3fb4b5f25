"""The commands about a deployment: on its database and before its server, the same."""

import itertools
import json
import os
import re
import shutil
from typing import NamedTuple

import pytest
from tests.integration.test_cli_serve import Serving
from typer.testing import CliRunner

from hookline import Webhooks
from hookline.cli import app
from hookline.testing import Receiver

NUMBERS = itertools.count()
MESSAGE = re.compile(r"msg_[0-9A-Za-z]{27}")


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self):
        """The one JSON document it printed."""
        return json.loads(self.out)


@pytest.fixture(scope="module")
def served(tmp_path_factory, migrated_file):
    """A running `hookline serve`, its database and an administrator's key."""
    import asyncio

    folder = tmp_path_factory.mktemp("served")
    url = f"sqlite:///{shutil.copy(migrated_file, folder / 'hookline.db')}"

    async def key():
        async with Webhooks(database=url, deliver=False) as webhooks:
            return (await webhooks.create_api_key("test", ["admin"])).token

    token = asyncio.run(key())
    server = Serving("serve", "--port", 0, "--database", url, cwd=folder)
    try:
        server.wait_until_ready()
        yield url, server.base, token
        server.stop()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.ended()


@pytest.fixture(params=["database", "server"])
def hookline(request, served, monkeypatch, tmp_path):
    """Return a runner of commands, on each way in turn, in an application of the test's own."""
    monkeypatch.chdir(tmp_path)
    url, base, token = served
    way = {"HOOKLINE_DATABASE": url}
    if request.param == "server":
        way = {"HOOKLINE_SERVER": base, "HOOKLINE_API_KEY": token}
    for name in ("HOOKLINE_DATABASE", "HOOKLINE_SERVER", "HOOKLINE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    uid = f"test-{os.getpid()}-{next(NUMBERS)}"

    def run(*arguments, stdin=None, **environ):
        ended = CliRunner(env={**way, "HOOKLINE_APP": uid, **environ}).invoke(
            app, [str(each) for each in arguments], input=stdin
        )
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return Ended(ended.exit_code, ended.stdout, ended.stderr)

    assert run("apps", "create", "Test", "--uid", uid).code == 0
    run.remote = request.param == "server"
    run.uid = uid
    return run


@pytest.fixture
def receiver():
    """A receiver that takes everything, whoever signed it."""
    with Receiver() as receiver:
        yield receiver


def created(hookline, url, *options):
    """Make an endpoint and return what `--json` says of it."""
    ended = hookline("endpoints", "create", url, "--json", *options)
    assert ended.code == 0, ended.err
    return ended.document


def sent(hookline, event, *options, data='{"id": 1}'):
    """Publish an event and return its message's id."""
    ended = hookline("send", event, "--data", data, "--json", *options)
    assert ended.code in (0, 1), ended.err
    return ended.document["id"]


# Sending -----------------------------------------------------------------------------------------


def test_an_event_arrives_in_its_envelope(hookline, receiver):
    """And `--wait` says so, with exit code 0."""
    made = created(hookline, receiver.url)
    ended = hookline(
        "send", "customer.created", "--data", '{"id": 1}', "--metadata", '{"by": "me"}', "--wait"
    )
    assert ended.code == 0, ended.err
    assert MESSAGE.match(ended.out)
    assert "succeeded, HTTP 200" in ended.out
    [got] = receiver.wait_for(1)
    assert got.id == ended.out.splitlines()[0]
    assert got.json()["data"] == {"id": 1}
    assert got.json()["metadata"] == {"by": "me"}
    assert got.headers["webhook-signature"].startswith("v1,")
    assert made["secret"].startswith("whsec_")


def test_raw_data_goes_byte_for_byte(hookline, receiver, tmp_path):
    """From a file, without an envelope, spaces and all."""
    created(hookline, receiver.url)
    file = tmp_path / "event.json"
    file.write_bytes(b'{ "b" : 1.10,\n "a":"\xc3\xa9" }')
    ended = hookline("send", "a.b", "--file", file, "--raw", "--wait", "--json")
    assert ended.code == 0, ended.err
    [delivery] = ended.document["deliveries"]
    assert delivery["state"] == "succeeded"
    assert delivery["last_status"] == 200
    [got] = receiver.wait_for(1)
    assert got.body == file.read_bytes()


def test_a_failed_delivery_is_exit_code_1(hookline, receiver):
    """And is told with its reason."""
    receiver.answer(503)
    created(hookline, receiver.url, "--option", "retry_schedule=[0]")
    ended = hookline("send", "a.b", "-", "--wait", stdin='{"id": 2}')
    assert ended.code == 1
    assert "exhausted" in ended.out


def test_nobody_may_want_it(hookline, receiver):
    """Which is not a failure."""
    created(hookline, receiver.url, "--event", "order.*")
    ended = hookline("send", "a.b", "-d", "{}", "--wait")
    assert (ended.code, "no endpoint wants it" in ended.err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.b"], "give the data once"),
        (["a.b", "-d", "{}", "--file", "x"], "give the data once"),
        (["a.b", "-d", "{"], "is no JSON"),
        (["a.b", "--file", "nowhere.json"], "No such file"),
        (["a.b", "x.json"], "a file is given with --file"),
        (["a.b", "-d", "[1]"], "data"),
        (["not an event", "-d", "{}"], "not an event"),
        (["a.b", "-d", "{}", "--deliver-at", "soon"], "is no time"),
        (["a.b", "-d", "{}", "--raw", "--metadata", "{}"], "--raw"),
    ],
)
def test_what_cannot_be_sent_is_usage(hookline, arguments, said):
    """Exit code 2, and what to write instead."""
    ended = hookline("send", *arguments)
    assert ended.code == 2
    if said == "not an event" and hookline.remote:
        said = "eventType"
    assert said in ended.err


def test_a_repeat_with_its_key_does_nothing(hookline, receiver):
    """Given the same time, which over a server is part of what must be the same."""
    created(hookline, receiver.url)
    options = ("--idempotency-key", "k", "--timestamp", "2026-01-01T00:00:00Z")
    first, again = (sent(hookline, "a.b", *options) for _ in range(2))
    assert first == again
    other = hookline("send", "a.b", "-d", '{"other": 1}', "--idempotency-key", "k")
    assert other.code == 1
    assert ("--timestamp" in other.err) == hookline.remote


# Endpoints ---------------------------------------------------------------------------------------


def test_an_endpoint_lives_its_life(hookline, receiver):
    """Made, shown, changed, held, enabled, deleted; its secret in no list."""
    made = created(
        hookline,
        receiver.url,
        "--uid=crm",
        "--event=customer.*",
        "--header=X-Team: billing",
        "--metadata=plan=gold",
        "--option=timeout=10",
        "--rate-limit=50",
    )
    listed = hookline("endpoints", "list")
    assert made["id"] in listed.out
    assert made["secret"] not in listed.out + hookline("endpoints", "list", "--json").out
    shown = hookline("endpoints", "show", "crm", "--json").document
    assert shown["header_names"] == ["X-Team"]
    assert (shown["timeout"], shown["rate_limit"], shown["metadata"]) == (10, 50, {"plan": "gold"})
    assert shown["health"]["circuit"] == "closed"
    assert "secret" not in shown
    changed = hookline(
        "endpoints", "update", receiver.url, "--event=a.b", "--reset=timeout", "--reset=rate-limit"
    )
    assert changed.code == 0, changed.err
    shown = hookline("endpoints", "show", "crm", "--json").document
    assert (shown["events"], "timeout" in shown, "rate_limit" in shown) == (["a.b"], False, False)
    assert hookline("endpoints", "pause", "crm").code == 0
    message = sent(hookline, "a.b")
    hookline("endpoints", "show", "crm")
    resumed = hookline("endpoints", "resume", "crm", "--json").document
    assert resumed["resumed"] is True
    [got] = receiver.wait_for(1)
    assert got.id == message
    told = hookline("endpoints", "disable", "crm", "--reason", "they asked for it")
    assert (told.code, "--database" in told.err) == ((1, True) if hookline.remote else (0, False))
    assert hookline("endpoints", "disable", "crm").code == 0
    assert hookline("endpoints", "show", "crm", "--json").document["state"] == "disabled"
    assert hookline("endpoints", "enable", "crm").code == 0
    refused = hookline("endpoints", "delete", "crm", stdin="n\n")
    assert refused.code == 1
    assert hookline("endpoints", "delete", "crm", "--yes").code == 0
    gone = hookline("endpoints", "show", "crm")
    assert (gone.code, "crm" in gone.err, "hookline endpoints list" in gone.err) == (1, True, True)


def test_headers_are_changed_one_by_one(hookline, receiver):
    """Values are shown on demand."""
    created(hookline, receiver.url, "--uid=h", "--header=X-A: 1", "--header=X-B: 2")
    ended = hookline("endpoints", "headers", "h", "--set=X-C: 3", "--remove=x-a")
    assert ended.out == "X-B: ***\nX-C: ***\n"
    ended = hookline("endpoints", "headers", "h", "--reveal", "--json")
    assert ended.document["headers"] == {"X-B": "2", "X-C": "3"}
    ended = hookline("endpoints", "headers", "h", "--set=X-Api-Key: abc", "--reveal")
    assert ("X-Api-Key: abc" in ended.out) != hookline.remote
    assert ("on its machine they are shown" in ended.err) == hookline.remote
    bad = hookline("endpoints", "headers", "h", "--set", "nonsense")
    assert (bad.code, "--set 'Name: value'" in bad.err) == (2, True)


def test_a_secret_is_rotated(hookline, receiver):
    """The new one is printed alone, so that a script can take it."""
    made = created(hookline, receiver.url, "--uid=s")
    assert hookline("endpoints", "secret", "s").out.strip() == made["secret"]
    new = hookline("endpoints", "rotate-secret", "s", "--overlap", "1h").out.strip()
    assert new.startswith("whsec_")
    assert new != made["secret"]
    assert hookline("endpoints", "secret", "s").out.strip() == new
    sent(hookline, "a.b", "--wait")
    [got] = receiver.wait_for(1)
    assert len(got.headers["webhook-signature"].split()) == 2
    both = hookline("endpoints", "rotate-secret", "s", "--ed25519", "--secret-file", "-", stdin="x")
    assert (both.code, "--ed25519" in both.err) == (2, True)
    assert hookline("endpoints", "secret", "s").out.strip() == new
    own = "whsec_" + "A" * 32
    assert hookline("endpoints", "rotate-secret", "s", "--secret-file", "-", stdin=f"{own}\n")
    assert hookline("endpoints", "secret", "s").out.strip() == own


def test_an_endpoint_is_tried(hookline, receiver):
    """One event for it alone, and what came of the first attempt."""
    created(hookline, receiver.url, "--uid=t", "--event=other")
    ended = hookline("endpoints", "test", "t")
    assert ended.code == 0, ended.err
    assert "succeeded, HTTP 200" in ended.out
    receiver.answer(500)
    ended = hookline("endpoints", "test", "t", "--json")
    assert ended.code == 1
    assert ended.document["deliveries"][0]["state"] == "pending"


def test_a_private_address_is_refused(hookline):
    """As usage, with what to do."""
    ended = hookline("endpoints", "create", "https://10.0.0.5/x")
    assert ended.code == 2
    assert ("check-url" if hookline.remote else "10.0.0.0/8") in ended.err


def test_an_option_that_is_none_is_refused(hookline):
    """By name."""
    ended = hookline("endpoints", "create", "https://example.com/", "--option", "nonsense=1")
    assert ended.code == 2
    assert "nonsense" in ended.err


# Looking up --------------------------------------------------------------------------------------


def test_messages_are_found(hookline, receiver):
    """By event, channel, tag, text, time and where they stand; whole, newest first, in pages."""
    created(hookline, receiver.url, "--uid=m", "--event=a.*")
    first = sent(hookline, "a.b", "--channel=c", "--tag=t", "--event-id=own-1", "--wait")
    second = sent(hookline, "x.y", data='{"needle": 7}')

    def found(*options):
        ended = hookline("messages", "list", "--json", *options)
        assert ended.code == 0, ended.err
        return [each["id"] for each in ended.document["messages"]]

    assert found() == [second, first]
    assert found("--event", "a.b") == [first]
    assert found("--channel", "c") == [first]
    assert found("--tag", "t") == [first]
    assert found("--text", "needle") == [second]
    assert found("--since", "1h") == [second, first]
    assert found("--until", "1h") == []
    assert found("--endpoint", "m") == [first]
    assert found("--endpoint", "m", "--state", "succeeded") == [first]
    assert found("--endpoint", "m", "--state", "exhausted") == []
    page = hookline("messages", "list", "--limit=1", "--json").document
    assert (page["more_from"], found("--from", second)) == (second, [first])
    lines = hookline("messages", "list").out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [[second, "x.y"], [first, "a.b"]]
    assert hookline("messages", "list", "--state", "held").code == 2
    shown = hookline("messages", "show", "own-1", "--json").document
    assert (shown["id"], shown["channels"], shown["tags"]) == (first, ["c"], ["t"])
    assert shown["payload"]["data"] == {"id": 1}
    assert [(d["state"], d["attempts"]) for d in shown["deliveries"]] == [("succeeded", 1)]
    text = hookline("messages", "show", first).out
    assert receiver.url in text
    assert '"id": 1' in text


def test_held_is_told_from_pending(hookline, receiver):
    """And how often it was tried, and what came back, wherever a message is looked at."""
    receiver.answer(503)
    made = created(hookline, receiver.url, "--option=retry_schedule=[0,3600]")
    tried = sent(hookline, "a.b", "--ordering-key=k")
    receiver.wait_for(1)
    shown = hookline("endpoints", "test", made["id"])
    assert (shown.code, "pending, HTTP 503, next try" in shown.out) == (1, True)
    assert hookline("endpoints", "pause", made["id"]).code == 0
    held = sent(hookline, "a.b")

    def found(state):
        ended = hookline("messages", "list", "--endpoint", made["id"], "--state", state, "--json")
        return {each["id"]: each for each in ended.document["messages"]}

    assert any(found("held") for _ in range(200)), "it was never routed"  # asking takes a while
    assert {name: each["state"] for name, each in found("held").items()} == {held: "held"}
    assert found("pending")[tried]["attempts"] == 1
    shown = hookline("messages", "show", tried, "--json").document
    assert shown["ordering_key"] == "k"
    [stands] = shown["deliveries"]
    assert (stands["state"], stands["attempts"], stands["last_status"]) == ("pending", 1, 503)
    assert "pending, 1 attempt, HTTP 503, next try" in hookline("messages", "show", tried).out


def test_an_endpoint_is_found_by_its_url(hookline):
    """As people write it."""
    made = created(hookline, "https://EXAMPLE.com")
    for url in ("https://example.com", "https://example.com/", "https://EXAMPLE.com"):
        assert hookline("endpoints", "show", url, "--json").document["id"] == made["id"]
    gone = hookline("endpoints", "show", "https://example.com/other")
    assert (gone.code, "hookline endpoints list" in gone.err) == (1, True)


def test_a_wait_ends_when_its_time_is_over(hookline, receiver):
    """With what is still open, and where."""
    receiver.answer(503)
    created(hookline, receiver.url)
    ended = hookline("send", "a.b", "-d", "{}", "--wait", "--timeout", "1s")
    assert ended.code == 1
    assert f"not delivered within 1 s, it goes on in the background: {receiver.url}" in ended.err


def test_what_a_message_said_is_erased(hookline, receiver):
    """After a question."""
    created(hookline, receiver.url)
    message = sent(hookline, "a.b", "--wait", data='{"ssn": "078-05-1120"}')
    assert hookline("messages", "erase", message, stdin="n\n").code == 1
    assert "078-05-1120" in hookline("messages", "show", message).out
    assert hookline("messages", "erase", message, "--yes").code == 0
    shown = hookline("messages", "show", message)
    assert "078-05-1120" not in shown.out
    assert "erased" in shown.out
    assert hookline("messages", "show", message, "--json").document["payload"] is None


def test_attempts_are_found(hookline, receiver):
    """For a message or at an endpoint, with what was answered."""
    receiver.answer(503, body="busy <b>", headers={"X-Why": "busy"}, times=1)
    made = created(hookline, receiver.url, "--uid=a", "--option=retry_schedule=[0,0]")
    message = sent(hookline, "a.b", "--wait")
    by_message = hookline("attempts", "list", "--message", message, "--json").document["attempts"]
    assert [each["status"] for each in by_message] == [200, 503]
    assert [each["number"] for each in by_message] == [2, 1]
    failed = hookline("attempts", "list", "--endpoint=a", "--failed", "--json").document["attempts"]
    assert [each["id"] for each in failed] == [by_message[1]["id"]]
    assert failed[0]["event_type"] == "a.b"
    by_status = hookline("attempts", "list", "--endpoint=a", "--status=500", "--json").document
    assert by_status["attempts"] == failed
    shown = hookline("attempts", "show", message, failed[0]["id"])
    assert "busy <b>" in shown.out
    assert "x-why: busy" in shown.out.lower()
    assert made["id"] in hookline("attempts", "list", "--message", message).out
    assert hookline("attempts", "list").code == 2
    assert hookline("attempts", "list", "--endpoint=a", "--status=418").code == 2


def test_what_is_not_there_is_told(hookline):
    """With where to look, exit code 1."""
    ended = hookline("messages", "show", "msg_nonsense")
    assert (ended.code, "hookline messages list" in ended.err) == (1, True)
    ended = hookline("replay", "show", "job_nonsense")
    assert ended.code == 1
    ended = hookline("messages", "list", HOOKLINE_APP="nobody")
    assert (ended.code, "hookline apps list" in ended.err) == (1, True)


def test_terminals_are_not_played_tricks_on(hookline, receiver):
    """What receivers answer may hold escape sequences."""
    receiver.answer(500, body="\x1b[2Jgone\x07")
    created(hookline, receiver.url, "--option=retry_schedule=[0]")
    message = sent(hookline, "a.b", "--wait")
    [tried] = hookline("attempts", "list", "--message", message, "--json").document["attempts"]
    out = hookline("attempts", "show", message, tried["id"]).out
    assert "?[2Jgone?" in out
    assert "\x1b" not in out


# Replays -----------------------------------------------------------------------------------------


def test_a_replay_is_counted_made_and_listed(hookline, receiver):
    """The dry run changes nothing; the replay sends what failed again."""
    receiver.answer(500, times=3)
    made = created(hookline, receiver.url, "--option=retry_schedule=[0]")
    for _ in range(3):
        sent(hookline, "a.b", "--wait")
    select = ("--since", "1h", "--endpoint", made["id"], "--event", "a.*")
    count = hookline("replay", "start", *select, "--dry-run")
    assert count.out.startswith("3 deliveries:")
    assert receiver.count == 3
    ended = hookline("replay", "start", *select, "--rate", "1000", "--json")
    assert ended.code == 0, ended.err
    job = ended.document
    assert (job["state"], job["total"], job["done"]) == ("finished", 3, 3)
    assert job["states"] == ["exhausted", "held"]
    assert job["endpoint_id"] == made["id"]
    assert job["event_types"] == ["a.*"]
    receiver.wait_for(6)
    assert [each["id"] for each in hookline("replay", "list", "--json").document["replays"]] == [
        job["id"]
    ]
    assert hookline("replay", "show", job["id"], "--json").document["state"] == "finished"
    assert hookline("replay", "watch", job["id"]).code == 0
    assert hookline("replay", "cancel", job["id"], "--json").document["state"] == "finished"
    assert job["id"] in hookline("replay", "list").out


def test_one_message_is_replayed_whatever_became_of_it(hookline, receiver):
    """And a replay may be left to itself."""
    created(hookline, receiver.url)
    message = sent(hookline, "a.b", "--wait")
    ended = hookline("replay", "start", "--message", message, "--detach", "--json")
    assert ended.code == 0, ended.err
    assert ended.document["message_id"] == message
    receiver.wait_for(2)
    nothing = hookline("replay", "start")
    assert (nothing.code, "give either --since or --message" in nothing.err) == (2, True)
    wrong = hookline("replay", "start", "--since=1h", "--state=nonsense")
    assert (wrong.code, "is no state" in wrong.err) == (2, True)


def test_replays_are_listed_in_pages(hookline):
    """As every list is."""
    assert "hookline replay start" in hookline("replay", "list").err
    made = [hookline("replay", "start", "--since=1h", "--json").document["id"] for _ in range(3)]
    page = hookline("replay", "list", "--limit=2", "--json").document
    assert [each["id"] for each in page["replays"]] == made[:0:-1]
    rest = hookline("replay", "list", "--from", page["more_from"], "--json").document
    assert [each["id"] for each in rest["replays"]] == made[:1]
    assert rest["more_from"] is None
    assert hookline("replay", "list", "--limit=1000", "--json").document["more_from"] is None
    assert hookline("replay", "list", "--from=nonsense").code == 2


def test_a_message_is_resent_and_canceled(hookline, receiver):
    """One by one, without a replay."""
    made = created(hookline, receiver.url)
    message = sent(hookline, "a.b", "--wait")
    assert hookline("messages", "resend", message, made["id"]).code == 0
    receiver.wait_for(2)
    later = sent(hookline, "a.b", "--deliver-at", "1h")
    assert hookline("messages", "cancel", later, "--json").document == {"canceled": 1}


# The catalogue and the applications --------------------------------------------------------------


def test_event_types_live_their_lives(hookline, tmp_path):
    """Made, listed, changed, archived, forgotten."""
    name = f"thing.made-{next(NUMBERS)}"
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}')
    made = hookline(
        "event-types", "create", name, "--description=A thing", "--schema", schema, "--json"
    )
    assert made.document["schemas"] == {"1": {"type": "object"}}
    listed = hookline("event-types", "list", "--json").document["event_types"]
    [found] = [each for each in listed if each["name"] == name]
    assert found["description"] == "A thing"
    assert hookline("event-types", "create", name).code == 1
    for form, key in (("openapi", "webhooks"), ("asyncapi", "channels")):
        exported = hookline("event-types", "export", "--format", form)
        assert name in exported.document[key], exported.err
    kept = hookline("event-types", "export").document["event_types"][name]
    assert kept["description"] == "A thing"
    assert (
        f"## {name}\n\nA thing\n" in hookline("event-types", "export", "--format", "markdown").out
    )
    changed = hookline("event-types", "update", name, "--deprecated", "--json").document
    assert changed["deprecated"] is True
    assert hookline("event-types", "update", name).code == 2
    assert hookline("event-types", "delete", name).code == 0
    assert name not in hookline("event-types", "list").out
    assert "archived" in hookline("event-types", "list", "--archived").out
    assert hookline("event-types", "delete", name, "--expunge", "--yes").code == 0
    gone = hookline("event-types", "show", name)
    assert (gone.code, "hookline event-types list" in gone.err) == (1, True)


@pytest.mark.parametrize("rate", ["inf", "nan", "-1", "0.0000001"])
def test_a_rate_that_is_none_is_refused(hookline, rate):
    """With exit code 2, wherever it is judged."""
    for command in (["apps", "create", "X"], ["endpoints", "create", "https://example.com/"]):
        ended = hookline(*command, "--rate-limit", rate)
        assert (ended.code, "rate" in ended.err.lower()) == (2, True)


def test_applications_live_their_lives(hookline):
    """Made, listed, changed, deleted after a question."""
    uid = f"acme-{next(NUMBERS)}-{os.getpid()}"
    made = hookline("apps", "create", "Acme", "--uid", uid, "--metadata=a=b", "--json").document
    assert (made["uid"], made["metadata"]) == (uid, {"a": "b"})
    assert hookline("apps", "create", "Acme", "--uid", uid).code == 1
    assert made["id"] in hookline("apps", "list", "--limit=1000").out
    changed = hookline("apps", "update", uid, "--name=Acme Ltd", "--rate-limit=7", "--json")
    assert (changed.document["name"], changed.document["rate_limit"]) == ("Acme Ltd", 7)
    assert hookline("apps", "delete", uid, stdin="n\n").code == 1
    assert hookline("apps", "show", uid).code == 0
    assert hookline("apps", "delete", uid, "--yes").code == 0
    assert hookline("apps", "show", uid).code == 1


# All of the deployment ---------------------------------------------------------------------------


def test_who_changed_what_is_listed(hookline):
    """Of one application, in pages; a server's key and the command line alike."""
    uid = f"audited-{next(NUMBERS)}-{os.getpid()}"
    made = hookline("apps", "create", "Audited", "--uid", uid, "--json").document
    assert hookline("apps", "update", uid, "--name=Other").code == 0
    listed = hookline("audit", "--app", uid, "--json").document["entries"]
    assert [each["action"] for each in listed] == ["application.updated", "application.created"]
    assert {each["target"] for each in listed} == {made["id"]}
    assert listed[0]["fields"] == ["name"]
    actor = listed[0]["actor"]
    assert (actor["kind"], actor["name"]) == (
        ("api_key", "test") if hookline.remote else ("cli", "")
    )
    page = hookline("audit", "--app", uid, "--limit=1", "--json").document
    rest = hookline("audit", "--app", uid, "--from", page["more_from"], "--json").document
    assert (page["entries"] + rest["entries"], rest["more_from"]) == (listed, None)
    assert "application.updated" in hookline("audit", "--action=application.*", "--days=1").out
    assert "nothing was changed" in hookline("audit", "--app", uid, "--actor=nobody").out
    assert hookline("audit", "--app", "nobody").code == 1


def test_usage_is_counted(hookline):
    """By application, or day by day."""
    sent(hookline, "a.b")
    uid = hookline.uid
    [line] = [each for each in hookline("usage").out.splitlines() if each.split()[0] == uid]
    assert line.split()[2:] == ["1", "0"]
    [day] = hookline("usage", "--app", uid, "--json").document
    assert (day["messages"], day["attempts"]) == (1, 0)
    assert day["day"] in hookline("usage", "--app", uid).out
    assert day in hookline("usage", "--json").document
    assert hookline("usage", "--app", "nobody").code == 1


def test_a_configuration_is_taken_out_and_put_in(hookline):
    """What is exported changes nothing; what is imported is shown before, and asked for."""
    created(hookline, "https://example.com/", "--uid=books")
    text = hookline("export", "--json").out
    assert "nothing to do" in hookline("import", "-", "--dry-run", stdin=text).out
    mine = [a for a in json.loads(text)["applications"] if a["uid"] == hookline.uid]
    changed = json.dumps({"hookline": 1, "applications": [{**mine[0], "name": "Changed"}]})
    planned = hookline("import", "-", "--dry-run", stdin=changed)
    assert (planned.code, "name: Test → Changed" in planned.out) == (0, True)
    assert hookline("import", "-", stdin=changed).code == 1
    assert hookline("apps", "show", hookline.uid, "--json").document["name"] == "Test"
    done = hookline("import", "-", "--yes", "--json", stdin=changed).document
    assert (done["applied"], done["update"]) == (True, 1)
    assert hookline("apps", "show", hookline.uid, "--json").document["name"] == "Changed"
    assert hookline("import", "-", "--yes", stdin="hookline: 2").code == 2
    dated = "hookline: 1\napplications:\n- uid: x\n  name: 2020-01-01\n"
    assert hookline("import", "-", "--yes", stdin=dated).code == 2


# Which deployment --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [["messages", "list"], ["audit"], ["usage"], ["export"], ["import", "-"]]
)
def test_a_database_that_has_nothing_is_not_made(tmp_path, monkeypatch, arguments):
    """A mistyped name must not leave a file behind."""
    monkeypatch.chdir(tmp_path)
    ended = CliRunner(env={"HOOKLINE_DATABASE": "sqlite:///mistyped.db"}).invoke(app, arguments)
    assert ended.exit_code == 1
    assert "hookline migrate" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_nobody_delivers_and_that_is_said(database_file, tmp_path, monkeypatch, receiver):
    """With --deliver the command does it itself."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        environ = {"HOOKLINE_DATABASE": f"sqlite:///{database_file}"}
        return CliRunner(env=environ).invoke(app, list(arguments))

    assert run("endpoints", "create", receiver.url).exit_code == 0
    quiet = run("send", "a.b", "--data", "{}")
    assert (quiet.exit_code, "start hookline worker" in quiet.stderr) == (0, True)
    assert receiver.count == 0
    loud = run("send", "a.b", "--data", "{}", "--deliver")
    assert loud.exit_code == 0, loud.stderr
    assert "succeeded" in loud.stdout
    assert receiver.count == 2


def test_a_key_of_one_application_sees_nothing_of_another(served, tmp_path, monkeypatch):
    """Its errors are the server's words."""
    monkeypatch.chdir(tmp_path)
    _, base, token = served

    def run(key, *arguments):
        environ = {"HOOKLINE_SERVER": base, "HOOKLINE_API_KEY": key}
        return CliRunner(env=environ).invoke(app, list(arguments))

    assert run(token, "apps", "create", "Mine", "--uid=mine").exit_code == 0
    assert run(token, "messages", "list", "--app=mine").exit_code == 0
    wrong = run("hk_wrong", "messages", "list", "--app=mine")
    assert wrong.exit_code == 1
    assert "does not take this key" in wrong.stderr
    assert run("", "messages", "list").exit_code == 2
    assert "HOOKLINE_API_KEY" in run("", "messages", "list").stderr


def test_a_secret_that_is_shown_is_noted(database_file, tmp_path, monkeypatch):
    """In the audit log, as the command line's doing."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        environ = {"HOOKLINE_DATABASE": f"sqlite:///{database_file}"}
        return CliRunner(env=environ).invoke(app, list(arguments))

    assert run("endpoints", "create", "https://example.com/", "--uid=u").exit_code == 0
    assert run("endpoints", "secret", "u").exit_code == 0
    newest, oldest = run("audit").stdout.splitlines()
    assert "endpoint.secret_read" in newest
    assert "endpoint.created" in oldest
    assert newest.endswith("cli")
