"""One frozen Settings: arguments > environment > file > default."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hookline._domain import branding, handshake, retry
from hookline._domain.address import Policy, parse_networks
from hookline._domain.encryption import parse_keys
from hookline._domain.handshake import Handshake, Ownership
from hookline._domain.identity import Proxying, parse_proxy
from hookline._domain.listening import check_place, check_public_url
from hookline.errors import InvalidInput, InvalidSettings

PREFIX = "HOOKLINE_"
CONFIG_FILE = "hookline.toml"
_PASSWORD = re.compile(r"(://[^/@]*?:).*@")
MIGRATE = ("auto", "always", "never")
METRICS = ("off", "key", "open")


def _setting(
    default: Any,
    text: str,
    low: float | None = None,
    high: float | None = None,
    *,
    secret: bool = False,
) -> Any:
    return field(
        default=default, metadata={"help": text, "low": low, "high": high, "secret": secret}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, with its default.

    Build it with `Settings.load(**arguments)`: an argument wins over the environment variable
    `HOOKLINE_<NAME>`, which wins over `hookline.toml` (or the file named by `HOOKLINE_CONFIG`),
    which wins over the default.
    """

    database: str = _setting(
        "sqlite:///hookline.db", "SQLAlchemy URL of the database; SQLite in a file by default"
    )
    webhooks_file: str = _setting("webhooks.json", "file with endpoints, loaded by init()")
    deliver: bool = _setting(True, "deliver in this process; false publishes only")
    retry_schedule: tuple[float, ...] = _setting(
        retry.DEFAULT, "delays in seconds before each attempt; an endpoint may have its own"
    )
    connect_timeout: float = _setting(5.0, "seconds to connect, DNS and TLS included", 0.01, 30)
    timeout: float = _setting(15.0, "seconds for a whole attempt; endpoints may say 1-30", 0.01, 30)
    migrate: str = _setting(
        "auto", "bring the schema up to date at start: always, never, or auto (SQLite only)"
    )
    settle_durable: bool = _setting(
        False, "PostgreSQL: wait for the disk when an attempt is recorded, not only when published"
    )
    retention_messages: float = _setting(30.0, "days messages are kept; 0 for ever", 0, 36500)
    retention_payloads: float = _setting(30.0, "days payloads are kept; 0 for ever", 0, 36500)
    retention_attempts: float = _setting(30.0, "days the log is kept; 0 for ever", 0, 36500)
    retention_audit: float = _setting(365.0, "days the audit log is kept; 0 for ever", 0, 36500)
    encryption_key: tuple[str, ...] = _setting(
        (),
        "keys that encrypt secrets at rest: the first encrypts, all decrypt",
        secret=True,
    )
    lease: float = _setting(30.0, "seconds until the work of a dead worker is due again", 1, 3600)
    max_in_flight: int = _setting(512, "requests in flight in one process", 1, 10_000)
    payload_limit: int = _setting(
        1 << 20, "bytes of a body; larger ones are refused", 1024, 1 << 26
    )
    response_limit: int = _setting(16_384, "bytes of an answer that are read", 0, 1 << 24)
    response_kept: int = _setting(1024, "bytes of an answer kept in the log", 0, 1 << 20)
    poll_interval: float = _setting(
        1.0, "seconds between looks for work another process left or published", 0.01, 60
    )
    development: bool = _setting(
        False, "allow receivers on this machine (loopback), by plain http too"
    )
    allow_http: bool = _setting(False, "allow plain http to any host, not only in local networks")
    allowed_networks: tuple[str, ...] = _setting(
        (), "local networks, such as 10.1.0.0/16, that webhooks may be sent into"
    )
    nat64: bool = _setting(False, "this machine reaches IPv4 through NAT64 (64:ff9b::/96)")
    proxy: str = _setting(
        "", "forward proxy: `http://`, `https://` or `socks5://[user:password@]host:port`"
    )
    proxy_resolves: bool = _setting(
        False, "names are resolved by the proxy, which has to keep them out of local networks then"
    )
    handshake: str = _setting(
        "",
        "what proves that a receiver expects webhooks before any is sent: challenge, cloudevents, "
        "or none; stored, so that a process that is not told leaves it as it is",
    )
    handshake_origin: str = _setting(
        "", "the sender's name for CloudEvents receivers, such as webhooks.example.com"
    )
    stop_timeout: float = _setting(30.0, "seconds stop() waits for requests in flight", 0, 300)
    listen: str = _setting(
        "127.0.0.1:8080", "hookline serve: where it listens, `[host:]port`; on loopback by default"
    )
    workers: int = _setting(
        1,
        "hookline serve: processes, each with API and deliveries; more than one: PostgreSQL",
        1,
        256,
    )
    metrics: str = _setting(
        "off",
        "Prometheus metrics: off, key (hookline serve asks for an API key of scope read or admin) "
        "or open (to whoever reaches the port)",
    )
    opentelemetry: bool = _setting(
        False, "OpenTelemetry traces and metrics, through the providers of the process"
    )
    send_traceparent: bool = _setting(
        False, "with opentelemetry: send traceparent and tracestate to receivers"
    )
    public_url: str = _setting(
        "", "hookline serve: where people reach it, such as https://hooks.example.com"
    )
    portal_origins: tuple[str, ...] = _setting(
        (), "sites that may show the customer portal in a frame, such as https://app.example.com"
    )
    portal_name: str = _setting("", "what the customer portal calls itself; Webhooks by default")
    portal_colour: str = _setting(
        "",
        "colour of buttons and links in the portal, such as #3355cc; made readable on its ground",
    )
    portal_logo: str = _setting(
        "", "image in the portal: an https:// URL, or data:image/png;base64,… (svg+xml, jpeg, webp)"
    )

    def __post_init__(self) -> None:
        """Check every value; raise InvalidSettings naming the first bad one."""
        for f in fields(self):
            _check(f, getattr(self, f.name))
        if self.handshake == Handshake.CLOUDEVENTS and not self.handshake_origin:
            raise InvalidSettings(
                "handshake_origin: is needed with handshake=cloudevents; the name receivers are "
                "to know this sender by, such as webhooks.example.com"
            )
        if self.send_traceparent and not self.opentelemetry:
            raise InvalidSettings(
                "send_traceparent: there is nothing to send without opentelemetry; set both"
            )

    def __repr__(self) -> str:
        shown = {f.name: repr(getattr(self, f.name)) for f in fields(self)}
        for name in ("database", "proxy"):
            shown[name] = repr(masked(getattr(self, name)))
        for f in fields(self):
            if f.metadata["secret"] and getattr(self, f.name):
                shown[f.name] = "'***'"
        return f"Settings({', '.join(f'{name}={value}' for name, value in shown.items())})"

    def policy(self) -> Policy:
        """Return where webhooks may be sent."""
        return Policy.of(
            self.allowed_networks,
            development=self.development,
            http=self.allow_http,
            nat64=self.nat64,
        )

    def proxying(self) -> Proxying:
        """Return the proxy that webhooks go through, unless an endpoint has its own."""
        resolves = self.proxy_resolves
        proxy = parse_proxy(self.proxy, resolves=resolves) if self.proxy else None
        return Proxying(proxy, resolves)

    def ownership(self) -> Ownership:
        """Return what the application demands of its endpoints."""
        demanded = Handshake(self.handshake) if self.handshake else None
        return Ownership(demanded, self.handshake_origin or None)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **arguments: Any) -> "Settings":
        """Return the settings from arguments, environment, file and defaults.

        An argument of None counts as not given. Raises InvalidSettings with the name, the source
        and what was expected.
        """
        environ = os.environ if environ is None else environ
        names = {f.name: f for f in fields(cls)}
        values: dict[str, Any] = {}
        path, table = _file(environ)
        for name, value in table.items():
            values[name] = _convert(names.get(name), name, value, path)
        for name, f in names.items():
            variable = PREFIX + name.upper()
            if variable in environ:
                values[name] = _convert(f, name, environ[variable], variable)
        for name, value in arguments.items():
            if value is not None:
                values[name] = _convert(names.get(name), name, value, "argument")
        return cls(**values)


def masked(url: str) -> str:
    """Return a URL without its password."""
    return _PASSWORD.sub(r"\1***@", url)


def _file(environ: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    given = environ.get(PREFIX + "CONFIG")
    path = Path(given or CONFIG_FILE)
    if not given and not path.is_file():
        return "", {}
    try:
        return str(path), tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidSettings(f"{path}: {error}") from None


_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def _convert(f: Any, name: str, value: Any, source: str) -> Any:
    if f is None:
        raise InvalidSettings(
            f"{source}: unknown setting {name!r}; known are {', '.join(Settings.__slots__)}"
        )
    kind = str(f.type) if isinstance(f.default, tuple) else type(f.default)
    try:
        converted = _CONVERTERS[kind](value)
    except (TypeError, ValueError, OverflowError):
        expected = _WORDS[kind]
        shown = f"{name}={'***' if f.metadata['secret'] else masked(repr(value))}"
        raise InvalidSettings(f"{source}: {shown} is not {expected}") from None
    try:
        _check(f, converted)
    except InvalidSettings as error:
        raise InvalidSettings(f"{source}: {error}") from None
    return converted


def _check(f: Any, value: Any) -> None:
    low, high = f.metadata["low"], f.metadata["high"]
    if low is not None and not low <= value <= high:
        raise InvalidSettings(f"{f.name}: {value} is not between {low} and {high}")
    if f.name == "migrate" and value not in MIGRATE:
        raise InvalidSettings(f"migrate: {value!r} is not one of {', '.join(MIGRATE)}")
    if f.name == "metrics" and value not in METRICS:
        raise InvalidSettings(f"metrics: {value!r} is not one of {', '.join(METRICS)}")
    if f.name in _CHECKS:
        try:
            _CHECKS[f.name](value)
        except InvalidInput as error:
            raise InvalidSettings(str(error)) from None


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text not in _TRUE | _FALSE:
        raise ValueError(value)
    return text in _TRUE


def _text(value: Any) -> str:
    if not isinstance(value, str | Path):
        raise TypeError(value)
    return str(value)


def _delays(value: Any) -> tuple[float, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(float(part) for part in parts)


def _texts(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(stripped for part in parts if (stripped := _text(part).strip()))


def _integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)


_DELAYS, _TEXTS = "tuple[float, ...]", "tuple[str, ...]"
_CONVERTERS: dict[type | str, Any] = {
    str: _text,
    bool: _bool,
    int: _integer,
    float: float,
    _DELAYS: _delays,
    _TEXTS: _texts,
}
_WORDS: dict[type | str, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    _DELAYS: "a list of seconds",
    _TEXTS: "a list of texts",
}
_CHECKS: dict[str, Any] = {
    "retry_schedule": retry.check,
    "allowed_networks": parse_networks,
    "encryption_key": parse_keys,
    "proxy": lambda text: parse_proxy(text) if text else None,
    "handshake": lambda value: value and handshake.check(value),
    "handshake_origin": handshake.check_origin,
    "listen": check_place,
    "public_url": check_public_url,
    "portal_origins": branding.check_origins,
    "portal_name": branding.check_name,
    "portal_colour": branding.check_colour,
    "portal_logo": branding.check_logo,
}
