"""The form of an endpoint: every option it may have, as fields that say what they are for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from starlette.responses import Response

from hookline import Endpoint
from hookline._domain.forms import HEADERS as SIGNATURES
from hookline._domain.handshake import Handshake
from hookline._domain.oauth2 import OAuth2
from hookline._said import Said
from hookline._settings import masked
from hookline._web.dashboard import catalogue
from hookline._web.dashboard.routes import WRONG, Page, look, post
from hookline._web.dashboard.sent import HIDDEN
from hookline._web.dashboard.view import View
from hookline._web.dashboard.words import to_say
from hookline.errors import InvalidInput, InvalidUrl

LONGEST = 400
"""Characters of an option that the page of an endpoint shows: certificates are longer."""


class Field(NamedTuple):
    """One field. `kind` says how it is shown and read; `name` has a dot inside of an object.

    Text and numbers stand in one line; `lines` and `words` are lists, `pairs` are `Name: value`
    lines whose values are hidden when they are `secret`. What is secret is never shown: left as it
    is, it stays.
    """

    name: str
    label: str
    hint: str = ""
    kind: str = "text"
    choices: Sequence[str] = ()
    secret: bool = False
    operators: bool = False


GROUPS: Mapping[str, Sequence[Field]] = {
    to_say("What it gets"): (
        Field(
            "channels",
            to_say("Channels"),
            to_say("Gets only what is sent to one of them. Empty: everything."),
            "words",
        ),
        Field(
            "filter",
            to_say("Filter"),
            to_say("JMESPath over the body: it gets the events for which it is true."),
            "code",
        ),
        Field(
            "transform",
            to_say("Transformation"),
            to_say("JMESPath whose result, an object, is sent instead of the body."),
            "code",
        ),
        Field(
            "ordered",
            to_say("In order: one at a time, oldest first. One that fails holds up the others."),
            kind="switch",
        ),
    ),
    to_say("How fast, how often"): (
        Field("rate_limit", to_say("Requests per second"), to_say("Empty: no limit."), "number"),
        Field(
            "concurrency", to_say("Requests in flight"), to_say("1 to 1,000; empty: 20."), "whole"
        ),
        Field(
            "timeout",
            to_say("Timeout in seconds"),
            to_say("1 to 30; empty: the default of the server."),
            "number",
        ),
        Field(
            "retry_schedule",
            to_say("Seconds before each attempt"),
            to_say("Such as 0, 5, 300, 1800: four attempts. Empty: the default of the server."),
            "numbers",
        ),
    ),
    to_say("What is sent with it"): (
        Field(
            "headers",
            to_say("Headers"),
            to_say("One a line, Name: value. Values are not shown again; dots keep what is there."),
            "pairs",
            secret=True,
        ),
        Field(
            "signatures",
            to_say("Signed in these forms"),
            to_say("None marked: guide and standard."),
            "several",
            tuple(SIGNATURES),
        ),
        Field("http2", to_say("Offer HTTP/2"), kind="switch"),
    ),
    to_say("How it is reached"): (
        Field(
            "ca",
            to_say("Certificate authorities"),
            to_say("PEM. Who must have signed its certificate, instead of the system’s."),
            "pem",
        ),
        Field(
            "client_certificate",
            to_say("Client certificate"),
            to_say("PEM, its issuers after it: shown to the receiver (mTLS)."),
            "pem",
        ),
        Field(
            "client_key",
            to_say("Key of the client certificate"),
            to_say("PEM, not encrypted. Not shown again; empty keeps what is there."),
            "pem",
            secret=True,
        ),
        Field("oauth2.token_url", to_say("OAuth2: URL of the token endpoint")),
        Field("oauth2.client_id", to_say("OAuth2: client id")),
        Field(
            "oauth2.client_secret",
            to_say("OAuth2: client secret"),
            to_say("Not shown again; empty keeps what is there."),
            "password",
            secret=True,
        ),
        Field("oauth2.scope", to_say("OAuth2: scope")),
        Field("oauth2.audience", to_say("OAuth2: audience")),
        Field(
            "oauth2.auth",
            to_say("OAuth2: credentials go"),
            kind="choice",
            choices=("", "basic", "body"),
        ),
        Field(
            "oauth2.params",
            to_say("OAuth2: more parameters"),
            to_say("One a line, Name: value. Values are not shown again; dots keep what is there."),
            "pairs",
            secret=True,
        ),
        Field(
            "oauth2.ca",
            to_say("OAuth2: certificate authorities"),
            to_say("PEM. For the token endpoint."),
            "pem",
        ),
    ),
    to_say("The operator’s own"): (
        Field(
            "uid",
            "uid",
            to_say("Your own name for it, unique in the application."),
            operators=True,
        ),
        Field(
            "metadata",
            to_say("Metadata"),
            to_say("Yours: one a line, Name: value."),
            "pairs",
            operators=True,
        ),
        Field(
            "allowed_networks",
            to_say("Allowed local networks"),
            to_say("Such as 10.1.0.0/16, which this endpoint may be in."),
            "words",
            operators=True,
        ),
        Field(
            "proxy",
            to_say("Proxy"),
            to_say("http://, https:// or socks5://[user:password@]host:port, or direct for none."),
            secret=True,
            operators=True,
        ),
        Field(
            "handshake",
            to_say("Handshake"),
            to_say("How it proves that it expects webhooks; empty: as the setting says."),
            "choice",
            ("", *(str(each.value) for each in Handshake)),
            operators=True,
        ),
    ),
}
FIRST = (
    Field("url", "URL"),
    Field("events", to_say("Events"), kind="words"),
    Field("description", to_say("Description")),
)


def groups(view: View) -> dict[str, list[Field]]:
    """Return the fields that a reader may fill in, by their headings."""
    mine = {
        title: [field for field in fields if view.operator or not field.operators]
        for title, fields in GROUPS.items()
    }
    return {title: fields for title, fields in mine.items() if fields}


def _fields(view: View) -> Iterator[Field]:
    yield from FIRST
    for fields in groups(view).values():
        yield from fields


def _value(endpoint: Endpoint, field: Field) -> Any:
    outer, _, inner = field.name.partition(".")
    value = getattr(endpoint, outer)
    return (value or {}).get(inner) if inner else value


# shown ------------------------------------------------------------------------------------------


def shown(field: Field, value: Any) -> str:
    """Return the value of a field as it stands in the form; nothing of a secret."""
    if value in (None, (), {}, "", False):
        return ""
    if field.kind == "pairs":
        if not isinstance(value, Mapping):
            value = dict(value)
        return "\n".join(f"{n}: {HIDDEN if field.secret else v}" for n, v in value.items())
    if field.kind in ("password", "pem") and field.secret:
        return ""
    if field.kind == "words":
        return "\n".join(value)
    if field.kind in ("number", "numbers"):
        return ", ".join(f"{n:g}" for n in (value if isinstance(value, tuple) else [value]))
    if field.kind == "several":
        return ", ".join(value)
    return masked(str(value)) if field.secret else str(value)


def filled(view: View, endpoint: Endpoint | None) -> dict[str, str]:
    """Return the form's fields as they are shown: what was typed, else what the endpoint has."""
    if view.form:
        typed = {field.name: view.form.get(field.name, "") for field in _fields(view)}
        typed["signatures"] = ", ".join(view.all_of("signatures"))
        # Typed or not, a secret is not sent back.
        return {n: "" if n in _SEALED else text for n, text in typed.items()}
    if endpoint is None:
        return {field.name: "" for field in _fields(view)} | {"events": "*"}
    return {field.name: shown(field, _value(endpoint, field)) for field in _fields(view)}


_SEALED = {
    field.name
    for fields in GROUPS.values()
    for field in fields
    if field.secret and field.kind in ("password", "pem")
}


def told(view: View, endpoint: Endpoint) -> list[tuple[str, str]]:
    """Return what an endpoint has beside its URL, each with its label, for those who only look."""
    found = []
    for field in _fields(view):
        value = _value(endpoint, field)
        if field.name != "url" and value not in (None, (), {}, "", False):
            text = HIDDEN if field.name in _SEALED else shown(field, value)
            text = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
            label = view.say(field.label)
            found.append((label.partition(":")[0] if field.kind == "switch" else label, text))
    return found


# read -------------------------------------------------------------------------------------------


def values(view: View, endpoint: Endpoint | None) -> dict[str, Any]:
    """Return what the form says of an endpoint; raise InvalidInput.

    Of secrets that were left as they are, what `endpoint` has.
    """
    found: dict[str, Any] = {}
    for field in _fields(view):
        before = None if endpoint is None else _value(endpoint, field)
        value = _read(view, field, before)
        outer, _, inner = field.name.partition(".")
        if not inner:
            found[outer] = value
        elif value:
            found.setdefault(outer, {})[inner] = value
        else:
            found.setdefault(outer, {})
    grant = found["oauth2"]
    # A secret that was kept, and how it goes, make no grant by themselves.
    found["oauth2"] = grant if grant.keys() - {"client_secret", "auth"} else None
    found["events"] = found["events"] or ["*"]
    if not found["client_certificate"]:
        found["client_key"] = None
    return found


def _read(view: View, field: Field, before: Any) -> Any:
    given = view.form.get(field.name, "").strip()
    if field.kind == "switch":
        return field.name in view.form
    if field.kind == "several":
        return view.all_of(field.name) or None
    if field.kind == "words":
        return _split(given) or None
    if field.kind in ("number", "numbers", "whole"):
        return _numbers(field, given)
    if field.kind == "pairs":
        return _pairs(field, given, dict(before or {}))
    if field.secret and given in ("", shown(field, before)):
        return before if given or field.name in _SEALED else None
    return given.replace("\r\n", "\n") or ("" if field.name in ("url", "description") else None)


def _split(given: str) -> list[str]:
    return [part for part in re.split(r"[\s,]+", given) if part]


def _numbers(field: Field, given: str) -> Any:
    kind = int if field.kind == "whole" else float
    try:
        found = [kind(part) for part in _split(given)]
    except ValueError:
        raise InvalidInput(
            Said("{name}: expected a number, got {got!r}", name=field.name, got=given[:40])
        ) from None
    if field.kind == "numbers":
        return found or None
    if len(found) > 1:
        raise InvalidInput(
            Said("{name}: expected a number, got {got!r}", name=field.name, got=given[:40])
        )
    return found[0] if found else None


def _pairs(field: Field, given: str, before: Mapping[str, str]) -> dict[str, str] | None:
    found = {}
    for line in given.splitlines():
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not line.strip():
            continue
        if not colon or not name:
            raise InvalidInput(
                Said("{name}: expected Name: value, got {got!r}", name=field.name, got=name[:40])
            )
        if value == HIDDEN and field.secret:
            if name not in before:
                raise InvalidInput(
                    Said(
                        "{name}: {got!r} has no value yet; type one", name=field.name, got=name[:40]
                    )
                )
            value = before[name]
        found[name] = value
    return found or None


def changes(endpoint: Endpoint, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a form is not as it is already; raise InvalidInput."""
    found = {}
    for name, value in wanted.items():
        old = getattr(endpoint, name)
        if name == "oauth2" and value:
            same = old is not None and OAuth2.of(value).stored() == OAuth2.of(old).stored()
        elif isinstance(old, str) and isinstance(value, str):
            same = old.strip() == value
        else:
            same = (list(old) if isinstance(old, tuple) else old) == value
        if not same and (old or value):
            found[name] = value
    return found


# pages ------------------------------------------------------------------------------------------


async def _form(view: View, endpoint: Endpoint | None, problem: str = "") -> Response:
    typed, mine = filled(view, endpoint), groups(view)
    sealed = {n for n in _SEALED if endpoint and _value(endpoint, Field(n, ""))}
    used = sealed | {name for name, text in typed.items() if text}
    return view.page(
        "endpoint_form.html",
        422 if problem else 200,
        endpoint=endpoint,
        values=typed,
        groups=mine,
        unfolded={title for title, each in mine.items() if used & {field.name for field in each}},
        problem=problem,
        types=await catalogue.names(view),
        schedule=", ".join(f"{each:g}" for each in view.webhooks.settings.retry_schedule),
        sealed=sealed,
        verdict=verdict(view, typed["url"]) if typed["url"] else None,
    )


async def new(view: View) -> Response:
    """Show the form of a new endpoint."""
    await view.app()
    return await _form(view, None)


async def create(view: View) -> Response:
    """Make an endpoint; show its secret."""
    app = await view.app()
    try:
        made = await app.create_endpoint(**values(view, None))
    except WRONG as error:
        return await _form(view, None, view.tell(error))
    return view.page("secret.html", 201, endpoint=made, secret=made.secret, why="made", overlap="")


async def edit(view: View) -> Response:
    """Show the form of an endpoint."""
    return await _form(view, await (await view.app()).endpoint(view.part("id")))


async def update(view: View) -> Response:
    """Change an endpoint."""
    app = await view.app()
    found = await app.endpoint(view.part("id"))
    try:
        wanted = changes(found, values(view, found))
        if wanted:
            await app.update_endpoint(found, **wanted)
    except WRONG as error:
        return await _form(view, found, view.tell(error))
    return view.go(view.place(f"/endpoints/{view.part('id')}"), done="changed")


def verdict(view: View, given: str) -> tuple[bool, str]:
    """Return whether the guard lets a URL pass, and its words or the URL as it is stored."""
    try:
        allowed = view.webhooks._admission.allowed(given.strip(), ())  # noqa: SLF001 - one house
    except InvalidUrl as error:
        return False, view.tell(error)
    return True, allowed


async def check(view: View) -> Response:
    """Say what the guard makes of a URL, while it is typed."""
    given = view.query("url", 4096)
    return view.page("verdict.html", verdict=verdict(view, given) if given else None)


def pages(home: str) -> tuple[Page, ...]:
    """Return the pages of the form, below `home`."""
    return (
        post(f"{home}/endpoints", create),
        look(f"{home}/endpoints/new", new),
        look(f"{home}/endpoints/check", check),
        look(f"{home}/endpoints/{{id}}/edit", edit),
        post(f"{home}/endpoints/{{id}}/edit", update),
    )
