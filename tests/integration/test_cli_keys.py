"""`hookline keys`: encryption keys and API keys on the command line."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from hookline._domain.encryption import key_text, parse_keys
from hookline.cli import app
from hookline.errors import ApiKeyNotFound, InvalidApiKey, InvalidInput

OLD, NEW = (key_text(bytes([n]) * 32) for n in (1, 2))


@pytest.fixture
def keys(database_file, tmp_path, monkeypatch):
    """Return a runner of `hookline keys`: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKLINE_DATABASE", f"sqlite:///{database_file}")

    def keys(*arguments):
        ended = CliRunner().invoke(app, ["keys", *arguments])
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return ended.exit_code, ended.stdout.strip(), ended.stderr.strip()

    return keys


def test_a_generated_key_can_be_used(keys):
    """And each is another one."""
    (code, first, _), (_, second, _) = keys("generate"), keys("generate")
    assert code == 0
    assert len(parse_keys([first, second])) == 2


def test_a_key_is_introduced_and_changed(keys, make_webhooks, monkeypatch):
    """As the how-to says: set it, rotate; put a new one in front, rotate, drop the old one."""
    webhooks = make_webhooks(deliver=False)
    webhooks.register("https://example.com/", ["*"], secret="your-secret-key")
    webhooks.init()
    webhooks.close()
    assert keys("rotate")[0] == 2
    monkeypatch.setenv("HOOKLINE_ENCRYPTION_KEY", OLD)
    assert keys("rotate") == (0, "2 encrypted", "")
    assert keys("rotate") == (0, "nothing to do", "")
    monkeypatch.setenv("HOOKLINE_ENCRYPTION_KEY", f"{NEW},{OLD}")
    assert json.loads(keys("rotate", "--json")[1]) == {"written": 2, "locked": 0}
    monkeypatch.setenv("HOOKLINE_ENCRYPTION_KEY", OLD)
    code, out, error = keys("rotate")
    assert (code, out) == (1, "")
    assert f"encrypted with the key {parse_keys([NEW])[0].id}" in error
    monkeypatch.setenv("HOOKLINE_ENCRYPTION_KEY", NEW)
    assert keys("rotate", "--decrypt") == (0, "2 decrypted", "")


def test_a_key_that_is_none_is_refused_and_not_shown(keys, monkeypatch):
    """With its place and what was expected."""
    monkeypatch.setenv("HOOKLINE_ENCRYPTION_KEY", f"{NEW},s3cr3t")
    code, _, error = keys("rotate")
    assert code == 2
    assert "key 2 " in error
    assert "s3cr3t" not in error


def test_an_api_key_lives_its_life(keys):
    """Made, listed without its token, revoked."""
    assert keys("list")[1].startswith("no keys; make one")
    code, token, note = keys("create", "billing", "--scope", "application:default", "--days", "90")
    assert (code, token[:3]) == (0, "hk_")
    assert "cannot be shown again" in note
    [listed] = json.loads(keys("list", "--json")[1])
    assert listed["scopes"][0].startswith("application:app_")
    assert datetime.fromisoformat(listed["expires_at"]) > datetime.now(UTC) + timedelta(days=89)
    _, table, _ = keys("list")
    assert listed["id"] in table
    assert token not in table + json.dumps(listed)
    assert "was revoked" in keys("revoke", listed["id"])[1]
    assert "revoked" in keys("list")[1]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["create", "x", "--scope", "write"], "'write' is not admin, read or"),
        (["create", "x", "--scope", "application:nobody"], "no application 'nobody'"),
        (["create", "", "--scope", "admin"], "name"),
        (["revoke", "key_1"], "no API key 'key_1'"),
    ],
)
def test_what_cannot_be_done_is_said(keys, arguments, reason):
    """And leaves no key behind."""
    code, out, error = keys(*arguments)
    assert code in (1, 2)
    assert out == ""
    assert reason in error
    assert json.loads(keys("list", "--json")[1]) == []


async def test_a_token_is_accepted_until_it_is_revoked(on_each_database, clock):
    """On each database; when it was used last is noted once a minute."""
    webhooks = on_each_database(deliver=False, clock=clock)
    made = await webhooks.create_api_key("ci", ["read"])
    first = await webhooks.authenticate(made.token)
    assert (first.id, first.token) == (made.id, None)
    began = first.last_used_at
    clock.advance(30)
    assert (await webhooks.authenticate(made.token)).last_used_at == began
    clock.advance(31)
    assert (await webhooks.authenticate(made.token)).last_used_at > began
    await webhooks.revoke_api_key(made.id)
    again = await webhooks.revoke_api_key(made.id)
    clock.advance(1)
    assert (await webhooks.revoke_api_key(made.id)).revoked_at == again.revoked_at
    with pytest.raises(InvalidApiKey, match="was revoked"):
        await webhooks.authenticate(made.token)
    assert [key.id for key in await webhooks.api_keys()] == [made.id]


async def test_a_token_expires(on_each_database, clock):
    """At its time, and is not made when that is past."""
    webhooks = on_each_database(deliver=False, clock=clock)
    now = datetime.fromtimestamp(clock.now() / 1000, UTC)
    made = await webhooks.create_api_key("x", ["admin"], expires_at=now + timedelta(hours=1))
    await webhooks.authenticate(made.token)
    clock.advance(3600)
    with pytest.raises(InvalidApiKey, match="expired"):
        await webhooks.authenticate(made.token)
    with pytest.raises(InvalidInput, match="is past"):
        await webhooks.create_api_key("x", ["admin"], expires_at=now)
    with pytest.raises(InvalidInput, match="has no time zone"):
        await webhooks.create_api_key("x", ["admin"], expires_at=now.replace(tzinfo=None))
    with pytest.raises(ApiKeyNotFound, match="'key_0'"):
        await webhooks.revoke_api_key("key_0")
