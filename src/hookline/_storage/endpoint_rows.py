"""An endpoint, and the columns it is kept in."""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import orjson

from hookline._domain import ids
from hookline._domain.endpoint import Endpoint
from hookline._domain.options import SENSITIVE
from hookline._domain.plan import plain
from hookline._storage.rows import (
    EXTRA,
    SECRET,
    extras,
    maybe_time,
    opened_credentials,
    opened_headers,
    options_of,
    sealed_credentials,
    sealed_headers,
    time,
)
from hookline._storage.vault import Vault
from hookline.errors import SecretsLocked

_COLUMNS = (
    "url",
    "uid",
    "description",
    "events",
    "retry_schedule",
    "timeout",
    "concurrency",
    "rate_limit",
    "ordered",
)
"""Fields of an endpoint that have a column of their own, secrets and headers apart."""


def changed(vault: Vault, row: Any, changes: Mapping[str, Any], now: int) -> dict[str, Any]:
    """Return the columns that hold the changed fields."""
    values: dict[str, Any] = {"updated_at": now}
    for name in changes.keys() & set(_COLUMNS):
        value = changes[name]
        values[name] = list(value) if isinstance(value, tuple) else value
    if "headers" in changes:
        values["headers"] = sealed_headers(vault, changes["headers"], row.id)
    if SENSITIVE & changes.keys():
        opened = opened_credentials(vault, row.credentials, row.id)
        values["credentials"] = sealed_credentials(
            vault, {**opened, **_named(changes, SENSITIVE)}, row.id
        )
    public = set(EXTRA) - SENSITIVE
    if public & changes.keys():
        options = {**row.options, **_named(changes, public)}
        values["options"] = {name: value for name, value in options.items() if value}
    return values


def told(vault: Vault, row: Any, changes: Mapping[str, Any]) -> set[str]:
    """Return which of the fields given are not as a row has them; None is an empty one."""
    before: dict[str, Any] = {}
    if row is not None:
        before |= {name: getattr(row, name) for name in _COLUMNS} | row.options
        with suppress(SecretsLocked):
            before["headers"] = opened_headers(vault, row.headers, row.id)
            before |= opened_credentials(vault, row.credentials, row.id)
        before["disabled_reason"] = row.disabled_reason
    told = {name for name, value in changes.items() if plain(before.get(name)) != plain(value)}
    told -= {name for name in told if not (before.get(name) or changes[name])}
    return {"disabled" if name == "disabled_reason" else name for name in told}


def columns(vault: Vault, new: Endpoint, key: bytes, now: int) -> dict[str, Any]:
    """Return the columns of an endpoint that say what it is."""
    return {
        "url": new.url,
        "uid": new.uid,
        "description": new.description,
        "events": list(new.events),
        "retry_schedule": list(new.retry_schedule) if new.retry_schedule else None,
        "timeout": new.timeout,
        "concurrency": new.concurrency,
        "rate_limit": new.rate_limit,
        "ordered": new.ordered,
        "options": extras(new),
        "headers": sealed_headers(vault, new.headers, key),
        "credentials": sealed_credentials(vault, _credentials(new), key),
        "source": new.source,
        "updated_at": now,
    }


def _named(changes: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: changes[name] for name in names if name in changes}


def given(found: Endpoint) -> dict[str, Any]:
    """Return all that can be changed of an endpoint, the secret apart."""
    return {name: getattr(found, name) for name in (*_COLUMNS, "headers", *EXTRA)}


def _credentials(found: Endpoint) -> dict[str, Any]:
    """Return the options that have secrets in them."""
    return {name: getattr(found, name) for name in sorted(SENSITIVE)}


def digest(declared: Endpoint) -> bytes:
    """Hash what was declared, so that an unchanged declaration is recognised.

    Two halves, the second for the secret alone: a new description does not undo a rotation.
    """
    content = orjson.dumps(
        [
            declared.url,
            declared.events,
            sorted(declared.headers.items()),
            declared.description,
            declared.retry_schedule,
            declared.timeout,
            declared.concurrency,
            declared.rate_limit,
            declared.ordered,
            extras(declared),
            [getattr(declared, name) for name in sorted(SENSITIVE)],
        ]
    )
    secret = orjson.dumps(declared.secret)
    return hashlib.sha256(content).digest() + hashlib.sha256(secret).digest()


def endpoint_of(vault: Vault, row: Any, newest: Any) -> Endpoint:
    """Return an endpoint from its row and the row of its newest secret."""
    secret, headers, credentials, locked = None, {}, {}, None
    try:
        headers = opened_headers(vault, row.headers, row.id)
        credentials = opened_credentials(vault, row.credentials, row.id)
        secret = vault.open(newest.secret, SECRET, newest.id) if newest is not None else None
    except SecretsLocked as error:
        locked = str(error)
    return Endpoint(
        url=row.url,
        events=tuple(row.events),
        secret=secret,
        headers=headers,
        locked=locked,
        description=row.description,
        retry_schedule=tuple(row.retry_schedule) if row.retry_schedule else None,
        timeout=row.timeout,
        concurrency=row.concurrency,
        rate_limit=row.rate_limit,
        ordered=row.ordered,
        uid=row.uid,
        source=row.source,
        id=ids.encode(ids.ENDPOINT, row.id),
        disabled_at=maybe_time(row.disabled_at),
        disabled_reason=row.disabled_reason,
        pending_since=maybe_time(row.since),
        pending_reason=row.reason or None,
        granted_rate=row.granted_rate,
        created_at=time(row.created_at),
        updated_at=time(row.updated_at),
        **options_of(row.options, credentials),
    )
