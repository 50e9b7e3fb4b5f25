"""What is refused at the door leaves nothing behind, and secrets never leave by another door."""

import dataclasses
import json
import logging
import sqlite3
import traceback
from contextlib import closing
from datetime import UTC, datetime
from enum import Enum

import pytest

from hookline import HooklineError, Webhooks
from hookline.errors import (
    IdempotencyConflict,
    InvalidHeader,
    InvalidInput,
    InvalidPayload,
    InvalidSecret,
    InvalidSettings,
    InvalidUrl,
    MessageNotFound,
    PayloadTooLarge,
    UnknownEventType,
)

SECRET = "s3cr3t-of-the-receiver"
URL = "https://example.com/webhook"


def rows(path):
    """Return how many rows the tables of a file have in all, the default application left out."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        counts = {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608
            for (name,) in names
            if name not in ("hookline_version", "hookline_application")
        }
        return {name: count for name, count in counts.items() if count}


class Event(Enum):
    """A small catalogue."""

    CREATED = "customer.created"
    UPDATED = "customer.updated"


BAD_TRIGGERS = {
    "unknown event": (("customer.crated", {}), {}, UnknownEventType, "'customer.created'"),
    "event of another type": ((7, {}), {}, InvalidInput, "event"),
    "NaN": ((Event.CREATED, {"a": [1, float("nan")]}), {}, InvalidPayload, r"data\.a\[1\]"),
    "Infinity": ((Event.CREATED, {}, {"x": float("inf")}), {}, InvalidPayload, r"metadata\.x"),
    "no JSON form": ((Event.CREATED, {"f": {1, 2}}), {}, InvalidPayload, r"data\.f: set"),
    "not an object": ((Event.CREATED, [1]), {}, InvalidPayload, "data: expected an object"),
    "no data": ((Event.CREATED, None), {}, InvalidPayload, "data: expected an object"),
    "metadata text": ((Event.CREATED, {}, "x"), {}, InvalidPayload, "metadata: expected"),
    "too large": ((Event.CREATED, {"x": "y" * (1 << 20)}), {}, PayloadTooLarge, "1,048,576"),
    "surrogate": ((Event.CREATED, {"x": "\ud800"}), {}, InvalidPayload, r"data\.x"),
    "empty key": ((Event.CREATED, {}), {"idempotency_key": ""}, InvalidInput, "idempotency_key"),
    "long key": (
        (Event.CREATED, {}),
        {"idempotency_key": "k" * 257},
        InvalidInput,
        "1 to 256",
    ),
    "key with a surrogate": (
        (Event.CREATED, {}),
        {"idempotency_key": "k\ud800"},
        InvalidInput,
        "idempotency_key",
    ),
    "key with NUL": (
        (Event.CREATED, {}),
        {"idempotency_key": "k\0"},
        InvalidInput,
        "idempotency_key",
    ),
    "key as number": ((Event.CREATED, {}), {"idempotency_key": 7}, InvalidInput, "idempotency_key"),
    "time without zone": (
        (Event.CREATED, {}),
        {"timestamp": datetime(2025, 1, 1)},  # noqa: DTZ001 - that is the fault
        InvalidInput,
        "time zone",
    ),
}


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"), BAD_TRIGGERS.values(), ids=BAD_TRIGGERS
)
async def test_bad_triggers(make_webhooks, database_file, arguments, options, error, words):
    """A trigger that cannot be sent raises its own error, which names the value, and no rows."""
    webhooks = make_webhooks(events=Event)
    await webhooks.start()
    with pytest.raises(error, match=words) as caught:
        await webhooks.trigger(*arguments, **options)
    assert isinstance(caught.value, HooklineError)
    await webhooks.stop()
    assert rows(database_file) == {}


BAD_REGISTRATIONS = {
    "malformed URL": (("example.com", ["*"]), {}, InvalidUrl, "https://host/path"),
    "no URL": ((None, ["*"]), {}, InvalidUrl, "expected text"),
    "URL with a line break": (("https://example.com/\n", ["*"]), {}, InvalidUrl, "white space"),
    "no events": ((URL, []), {}, InvalidInput, "events: empty"),
    "one event as text": ((URL, "customer.created"), {}, InvalidInput, "expected a list"),
    "unknown event": ((URL, ["customer.crated"]), {}, UnknownEventType, "did you mean"),
    "unknown prefix": ((URL, ["costumer.*"]), {}, UnknownEventType, "did you mean"),
    "half a wildcard": ((URL, ["customer*"]), {}, InvalidInput, r"customer\*"),
    "empty secret": ((URL, ["*"], ""), {}, InvalidSecret, "empty"),
    "bad whsec": ((URL, ["*"], "whsec_%%%"), {}, InvalidSecret, "base64"),
    "secret of bytes": ((URL, ["*"], b"secret"), {}, InvalidSecret, "text"),
    "header with a line break": (
        (URL, ["*"], None, {"X-A": "b\r\nX-C: d"}),
        {},
        InvalidHeader,
        "X-A",
    ),
    "reserved header": ((URL, ["*"], None, {"Webhook-Id": "1"}), {}, InvalidHeader, "reserved"),
    "timeout too long": ((URL, ["*"]), {"timeout": 31}, InvalidInput, "timeout"),
    "timeout NaN": ((URL, ["*"]), {"timeout": float("nan")}, InvalidInput, "timeout"),
    "no attempts": ((URL, ["*"]), {"retry_schedule": []}, InvalidInput, "retry_schedule"),
    "negative delay": ((URL, ["*"]), {"retry_schedule": [-1]}, InvalidInput, "retry_schedule"),
    "delay of text": ((URL, ["*"]), {"retry_schedule": ["soon"]}, InvalidInput, "retry_schedule"),
    "delay no list": ((URL, ["*"]), {"retry_schedule": 5}, InvalidInput, "retry_schedule"),
    "no description": ((URL, ["*"]), {"description": 5}, InvalidInput, "description"),
    "surrogate": ((URL, ["*"]), {"description": "\ud800"}, InvalidInput, "description"),
    "NUL": ((URL, ["*"]), {"description": "a\0b"}, InvalidInput, "description"),
}


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"), BAD_REGISTRATIONS.values(), ids=BAD_REGISTRATIONS
)
async def test_bad_registrations(make_webhooks, database_file, arguments, options, error, words):
    """An endpoint that cannot be used raises its own error, and nothing is declared."""
    webhooks = make_webhooks(events=Event)
    with pytest.raises(error, match=words) as caught:
        webhooks.register(*arguments, **options)
    assert isinstance(caught.value, HooklineError)
    await webhooks.trigger(Event.CREATED, {})
    assert await webhooks.endpoints() == []
    await webhooks.stop()
    assert "hookline_endpoint" not in rows(database_file)


async def test_a_conflict_leaves_nothing(make_webhooks, database_file):
    """The same key with other data, other event or other metadata is a conflict, each named."""
    webhooks = make_webhooks(deliver=False)
    first = await webhooks.trigger("a.b", {"n": 1}, {"by": 1}, idempotency_key="k")
    again = await webhooks.trigger("a.b", {"n": 1}, {"by": 1}, idempotency_key="k")
    assert (again.message_id, again.duplicate) == (first.message_id, True)
    for arguments in (
        ("a.b", {"n": 2}, {"by": 1}),
        ("a.c", {"n": 1}, {"by": 1}),
        ("a.b", {"n": 1}),
    ):
        with pytest.raises(IdempotencyConflict, match="'k' was used"):
            await webhooks.trigger(*arguments, idempotency_key="k")
    await webhooks.stop()
    assert rows(database_file)["hookline_message"] == 1


async def test_a_key_is_free_again_after_a_day(make_webhooks, clock):
    """A key is remembered for 24 hours, then the same call is a new event."""
    webhooks = make_webhooks(clock=clock, deliver=False)
    first = await webhooks.trigger("a.b", {}, idempotency_key="k")
    clock.advance(24 * 3600 - 0.001)
    assert (await webhooks.trigger("a.b", {}, idempotency_key="k")).duplicate
    clock.advance(0.001)
    second = await webhooks.trigger("a.b", {"other": 1}, idempotency_key="k")
    assert (second.duplicate, second.message_id == first.message_id) == (False, False)


@pytest.mark.parametrize(
    "moment",
    [
        datetime.min.replace(tzinfo=UTC),
        datetime(999, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC, microsecond=999_000),
    ],
    ids=str,
)
async def test_any_moment_may_be_the_timestamp(make_webhooks, receiver, moment):
    """Each time a datetime can hold is sent as ISO 8601 with four-digit year and milliseconds."""
    webhooks = make_webhooks()
    webhooks.register(receiver.url, ["*"])
    await (await webhooks.trigger("a.b", {}, timestamp=moment)).delivered()
    [arrived] = receiver.received
    text = arrived.json()["timestamp"]
    assert len(text) == len("2025-10-17T10:30:00.000Z")
    assert datetime.fromisoformat(text) == moment


async def test_warnings_about_a_payload_are_logged(make_webhooks, told):
    """Sizes some receivers refuse and integers JavaScript rounds are accepted, and said."""
    webhooks = make_webhooks(deliver=False)
    await webhooks.trigger("a.b", {"id": 2**53 + 1})
    await webhooks.trigger("a.b", {"x": "y" * 20_000})
    await webhooks.trigger("a.b", {"x": "y" * 102_400})
    assert told.containing("WARNING: Event a.b: data.id: integers beyond 2^53")
    assert told.containing("Standard Webhooks advises at most 20,000")
    assert told.containing("Express receivers refuse more than 102,400")


def exposed(caplog, error=None):
    """Return everything that was logged or would be printed with the error."""
    lines = [caplog.text, *(repr(r.__dict__) for r in caplog.records)]
    if error is not None:
        lines += traceback.format_exception(error)
    return "\n".join(lines)


async def test_secrets_are_not_in_repr(make_webhooks):
    """Neither secret nor header values show in the repr of what people print."""
    webhooks = make_webhooks(deliver=False)
    declared = webhooks.register(URL, ["*"], secret=SECRET, headers={"Authorization": "t0ken"})
    stored = await webhooks.endpoint(URL)
    for each in (
        declared,
        stored,
        webhooks,
        [stored],
        dataclasses.replace(stored, description="x"),
    ):
        assert SECRET not in repr(each)
        assert "t0ken" not in repr(each)
    assert (stored.secret, stored.headers) == (SECRET, {"Authorization": "t0ken"})


def test_a_database_password_is_not_in_repr(monkeypatch):
    """The password of the database URL is masked in the settings and in errors about it."""
    for url in (
        "postgresql+asyncpg://user:pa55w0rd@host/db",
        "oracle://user:pa55w0rd@host/db",
        "nonsense://user:pa55w0rd@host:port/db",
        "postgresql//user:pa55w0rd@host/db",
    ):
        try:
            shown = repr(Webhooks(database=url).settings)
        except InvalidSettings as error:
            shown = "".join(traceback.format_exception(error))
        assert "pa55w0rd" not in shown, url


async def test_secrets_are_not_in_the_log(make_webhooks, receiver, caplog):
    """Not even where the application makes SQLAlchemy echo its statements does a secret show."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.INFO, logger="sqlalchemy.engine")
    caplog.set_level(logging.DEBUG, logger="hookline")
    receiver.secret = SECRET
    receiver.answer(400)
    webhooks = make_webhooks(retry_schedule=(0,))
    webhooks.register(receiver.url, ["*"], secret=SECRET, headers={"Authorization": "t0ken"})
    await (await webhooks.trigger("a.b", {})).delivered()
    new = await webhooks.rotate_secret(receiver.url)
    await webhooks.endpoints()
    await webhooks.disable(receiver.url, "test")
    await webhooks.stop()
    assert receiver.received[0].verified
    shown = exposed(caplog)
    assert "INSERT INTO hookline_endpoint_secret" in shown
    for secret in (SECRET, "t0ken", new):
        assert secret not in shown


@pytest.mark.parametrize(
    "call",
    [
        lambda w: w.register(URL, ["*"], secret=f" {SECRET}"),
        lambda w: w.register(URL, ["*"], secret=f"{SECRET}\ud800"),
        lambda w: w.register(URL, ["*"], secret=f"whsec_{SECRET}"),
        lambda w: w.register(URL, ["*"], headers={"Authorization": f"{SECRET}\n"}),
        lambda w: w.register(URL, ["*"], headers={"Authorization": f"ü{SECRET}"}),
        lambda w: w.register(URL, ["*"], headers={"Cookie": SECRET}),
        lambda w: w.register(f"https://user:{SECRET}@example.com/", ["*"]),
    ],
    ids=["space", "surrogate", "base64", "header", "header text", "header name", "userinfo"],
)
def test_secrets_are_not_in_errors(make_webhooks, caplog, call):
    """An error about a secret, a header or a URL shows what is wrong and not the secret."""
    with pytest.raises(InvalidInput) as caught:
        call(make_webhooks())
    shown = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value.__cause__)
    assert SECRET not in shown
    assert SECRET not in exposed(caplog)


async def test_secrets_are_not_in_errors_about_the_file(make_webhooks, tmp_path):
    """A fault in an entry of webhooks.json is told without its secret."""
    path = tmp_path / "webhooks.json"
    entry = {"url": URL, "events": ["*"], "secret": f"whsec_{SECRET}", "headers": {"A": SECRET}}
    path.write_text(json.dumps({"webhooks": [entry]}))
    with pytest.raises(HooklineError) as caught:
        make_webhooks().init(path)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    path.write_text(json.dumps({"webhooks": [{**entry, "secret": [SECRET]}]}))
    with pytest.raises(HooklineError) as caught:
        make_webhooks().init(path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "message_id", ["", "msg_", "nonsense", "ep_" + "0" * 27, "msg_" + "0" * 27]
)
async def test_ids_that_are_none(make_webhooks, message_id):
    """A mistyped message id, or one of another kind, is that of no message."""
    with pytest.raises(MessageNotFound, match="no message"):
        await make_webhooks(deliver=False).attempts(message_id)


async def test_a_catalogue_is_optional(make_webhooks):
    """Without a catalogue any well-formed event type goes, and only those."""
    webhooks = make_webhooks(deliver=False)
    await webhooks.trigger("anything.goes_here-2", {})
    for name in ("", "a b", "a..b", ".a", "a.", "ä", "a" * 129, "a\n"):
        with pytest.raises(InvalidInput, match="not a valid event type"):
            await webhooks.trigger(name, {})


def test_settings_are_checked_at_once(tmp_path, monkeypatch):
    """A `Webhooks` with an unusable setting is never made."""
    monkeypatch.chdir(tmp_path)
    for options, words in (
        ({"database": "sqlite://"}, "in memory"),
        ({"database": "sqlite:///:memory:"}, "in memory"),
        ({"database": "not a url"}, "not a database URL"),
        ({"timeout": "soon"}, "timeout='soon'"),
        ({"nonsense": 1}, "unknown setting 'nonsense'"),
    ):
        with pytest.raises(InvalidSettings, match=words):
            Webhooks(**options)
