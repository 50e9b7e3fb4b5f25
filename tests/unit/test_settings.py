"""Settings: an argument wins over the environment, which wins over the file and the default."""

import dataclasses

import pytest

from hookline import Settings
from hookline._domain.retry import DEFAULT
from hookline.errors import HooklineError, InvalidSettings


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """Run in a folder without a hookline.toml, and without variables of ours."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(environ=None, **arguments):
    """Load with an environment of our own."""
    return Settings.load(environ or {}, **arguments)


def refusal(environ=None, **arguments):
    """Return the message of the refusal."""
    with pytest.raises(InvalidSettings) as caught:
        load(environ, **arguments)
    assert isinstance(caught.value, HooklineError)
    return str(caught.value)


def test_defaults():
    """Without anything given, the documented defaults."""
    settings = load()
    assert settings.database == "sqlite:///hookline.db"
    assert settings.webhooks_file == "webhooks.json"
    assert settings.deliver is True
    assert settings.retry_schedule == DEFAULT
    assert (settings.connect_timeout, settings.timeout, settings.lease) == (5, 15, 30)
    assert settings.payload_limit == 1 << 20
    assert (settings.response_limit, settings.response_kept) == (16 * 1024, 1024)


def test_precedence(tmp_path):
    """Each source hides the one below it, setting by setting."""
    (tmp_path / "hookline.toml").write_text(
        'timeout = 1.0\nlease = 2.0\nmax_in_flight = 3\nwebhooks_file = "file.json"\n'
    )
    environ = {"HOOKLINE_TIMEOUT": "11", "HOOKLINE_LEASE": "12", "UNRELATED": "x"}
    settings = load(environ, timeout=21, max_in_flight=None)
    assert settings.timeout == 21
    assert settings.lease == 12
    assert settings.max_in_flight == 3
    assert settings.webhooks_file == "file.json"
    assert settings.poll_interval == 1.0


def test_the_file_may_be_elsewhere(tmp_path):
    """HOOKLINE_CONFIG names the file; then hookline.toml is not read, and it must exist."""
    (tmp_path / "hookline.toml").write_text("timeout = 1.0\n")
    other = tmp_path / "other.toml"
    other.write_text("lease = 7.0\n")
    settings = load({"HOOKLINE_CONFIG": str(other)})
    assert (settings.timeout, settings.lease) == (15, 7)
    assert str(tmp_path / "none.toml") in refusal({"HOOKLINE_CONFIG": str(tmp_path / "none.toml")})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("database", "sqlite:///x.db", "sqlite:///x.db"),
        ("deliver", "false", False),
        ("deliver", "0", False),
        ("deliver", " No ", False),
        ("deliver", "off", False),
        ("deliver", "TRUE", True),
        ("deliver", "1", True),
        ("max_in_flight", "7", 7),
        ("timeout", "2.5", 2.5),
        ("retry_schedule", "0, 5,60", (0, 5, 60)),
        ("retry_schedule", "0", (0,)),
    ],
)
def test_text_of_the_environment(name, text, value):
    """Variables are read as what their setting is."""
    assert getattr(load({f"HOOKLINE_{name.upper()}": text}), name) == value


def test_values_of_the_file(tmp_path):
    """The file has types of its own."""
    (tmp_path / "hookline.toml").write_text(
        "deliver = false\nretry_schedule = [0, 1.5]\ntimeout = 3\nmax_in_flight = 9\n"
    )
    settings = load()
    assert (settings.deliver, settings.retry_schedule) == (False, (0, 1.5))
    assert (settings.timeout, settings.max_in_flight) == (3, 9)


BAD = [
    ("deliver", "maybe"),
    ("max_in_flight", "many"),
    ("max_in_flight", "0"),
    ("max_in_flight", "10001"),
    ("max_in_flight", "2.7"),
    ("timeout", ""),
    ("timeout", "soon"),
    ("timeout", "99"),
    ("timeout", "nan"),
    ("lease", "0"),
    ("lease", "inf"),
    ("retry_schedule", ""),
    ("retry_schedule", "0,,5"),
    ("retry_schedule", "0,-1"),
    ("payload_limit", "1"),
]


@pytest.mark.parametrize(("name", "text"), BAD)
def test_errors_name_the_variable(name, text):
    """A bad value names its environment variable and the setting."""
    message = refusal({f"HOOKLINE_{name.upper()}": text})
    assert message.startswith(f"HOOKLINE_{name.upper()}: ")
    assert name in message.removeprefix(f"HOOKLINE_{name.upper()}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", "soon"),
        ("timeout", 99),
        ("timeout", float("nan")),
        ("timeout", [1]),
        ("max_in_flight", 2.7),
        ("max_in_flight", 10**400),
        ("deliver", "maybe"),
        ("database", 7),
        ("retry_schedule", 5),
        ("retry_schedule", []),
        ("retry_schedule", ["soon"]),
    ],
)
def test_errors_name_the_argument(name, value):
    """A bad argument says that it is one."""
    message = refusal(**{name: value})
    assert message.startswith("argument: ")
    assert name in message


@pytest.mark.parametrize(
    "line", ['timeout = "soon"', "timeout = 99", "deliver = 7", "retry_schedule = [-1]"]
)
def test_errors_name_the_file(tmp_path, line):
    """A bad value in the file names the file."""
    (tmp_path / "hookline.toml").write_text(line)
    assert refusal().startswith("hookline.toml: ")


@pytest.mark.parametrize("content", [b"timeout = ", b"\xff\xfe", b"[section\n"])
def test_a_file_that_cannot_be_read(tmp_path, content):
    """A file that is no TOML is refused by its name."""
    (tmp_path / "hookline.toml").write_bytes(content)
    assert refusal().startswith("hookline.toml: ")


def test_unknown_settings(tmp_path):
    """An unknown name is refused with those that are known; unknown variables are not ours."""
    message = refusal(timout=5)
    assert "unknown setting 'timout'" in message
    assert "timeout" in message
    assert load({"HOOKLINE_NONSENSE": "1"}) == load()
    (tmp_path / "hookline.toml").write_text("timout = 5\n")
    assert refusal().startswith("hookline.toml: unknown setting 'timout'")


def test_frozen():
    """Settings cannot be changed once they are made, and equal ones are equal."""
    settings = load()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.timeout = 1
    assert settings == load()
    assert settings != load(timeout=1)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+asyncpg://user:pa55@host/db", "postgresql+asyncpg://user:***@host/db"),
        ("postgresql://user:p%4055@host:5432/db", "postgresql://user:***@host:5432/db"),
        ("postgresql://user@host/db", "postgresql://user@host/db"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_the_password_is_masked(url, shown):
    """The repr shows every setting, and the database's URL without its password."""
    text = repr(load(database=url))
    assert f"database={shown!r}" in text
    assert "timeout=15.0" in text
    assert load(database=url).database == url


def test_a_malformed_url_does_not_break_the_repr():
    """Even a URL nobody can parse is shown without an exception, and without its password."""
    text = repr(load(database="postgresql://user:pa55w0rd@[::1/db"))
    assert "pa55w0rd" not in text


def test_every_setting_is_documented():
    """Each setting has a help text and lies within its own limits."""
    for field in dataclasses.fields(Settings):
        assert field.metadata["help"]
        low, high = field.metadata["low"], field.metadata["high"]
        assert low is None or low <= field.default <= high
