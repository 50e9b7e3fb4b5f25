"""The sealed columns as a whole: is every key at hand, what is sealed with which, seal all anew."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa

from hookline._ports import Reencrypted
from hookline._storage.part import Transaction
from hookline._storage.rows import CREDENTIALS, DIGEST, HEADERS, SECRET
from hookline._storage.schema import endpoint, endpoint_secret
from hookline._storage.vault import NAMED, SEALED, Vault, missing
from hookline.errors import SecretsLocked

BATCH = 500
Counts = Counter[str]
"""How many texts, by the id of the key they are sealed with; '' for those that are not."""


# The hash of a declaration holds one of its secret, and that of a weak secret gives it away:
# it is sealed too.


def digest(vault: Vault, value: bytes, key: bytes) -> bytes:
    """Return what the column of a declaration's digest holds."""
    return value if vault.first is None else vault.seal(value.hex(), DIGEST, key).encode()


def opened_digest(vault: Vault, stored: bytes | None, key: bytes) -> bytes | None:
    """Return the digest again; None when there is none, or none that opens."""
    if stored is None or not stored.startswith(SEALED.encode()):
        return stored
    try:
        return bytes.fromhex(vault.open(stored.decode(), DIGEST, key))
    except SecretsLocked:
        return None


# counting ---------------------------------------------------------------------------------------

_COUNTED = (
    (endpoint_secret.c.secret, sa.true()),
    (endpoint.c.headers, endpoint.c.headers != "{}"),
    (endpoint.c.credentials, endpoint.c.credentials.is_not(None)),
)


def census(connection: sa.Connection) -> Counts:
    """Count what holds secrets: signing secrets, headers, credentials."""
    found: Counts = Counter()
    for text, filled in _COUNTED:
        is_sealed = sa.func.substr(text, 1, len(SEALED)) == SEALED
        named = sa.func.substr(text, len(SEALED) + 1, NAMED - len(SEALED))
        key = sa.case((is_sealed, named), else_="").label("key")
        for name, count in connection.execute(
            sa.select(key, sa.func.count()).where(filled).group_by(key)
        ):
            found[name] += count
    return found


def check(connection: sa.Connection, vault: Vault) -> None:
    """Raise SecretsLocked when something is sealed with a key that the vault does not have."""
    lacking = sorted(set(census(connection)) - {"", *vault.ids})
    if lacking:
        raise SecretsLocked(missing(lacking, vault.ids))


# sealing anew -----------------------------------------------------------------------------------


class _Column(NamedTuple):
    column: sa.Column[Any]
    again: Callable[[Vault, Any, bytes], Any]
    """Returns what a row with this value and key is to hold."""


def _text_again(place: str, vault: Vault, stored: str | None, key: bytes) -> str | None:
    if stored is None or stored == "{}" or vault.is_current(stored):
        return stored
    return vault.seal(vault.open(stored, place, key), place, key)


def _digest_again(vault: Vault, stored: bytes | None, key: bytes) -> bytes | None:
    if stored is not None and vault.is_current(stored.decode(errors="replace")):
        return stored
    value = opened_digest(vault, stored, key)
    return value if value is None else digest(vault, value, key)


_SEALED = (
    _Column(endpoint_secret.c.secret, partial(_text_again, SECRET)),
    _Column(endpoint.c.headers, partial(_text_again, HEADERS)),
    _Column(endpoint.c.credentials, partial(_text_again, CREDENTIALS)),
    _Column(endpoint.c.declared_digest, _digest_again),
)


async def reencrypt(
    writing: Transaction, vault: Vault, on_progress: Callable[[int, int], None]
) -> Reencrypted:
    """Seal everything with the vault's first key, or store it open if it seals nothing.

    A transaction for each 500 rows. What does not open is left as it is. `on_progress` is told
    how many of how many rows were seen.
    """
    async with writing() as connection:
        await connection.run_sync(check, vault)
        total = 0
        for column, _ in _SEALED:
            count = sa.select(sa.func.count()).select_from(column.table)
            total += await connection.scalar(count) or 0
    seen, done = 0, Reencrypted(0, 0)
    for each in _SEALED:
        after: bytes | None = b""
        while after is not None:
            async with writing() as connection:
                rows = (await connection.execute(_batch(each, after))).all()
                changes, locked = _changes(each, rows, vault)
                if changes:
                    await connection.execute(_update(each), changes)
            done = Reencrypted(done.written + len(changes), done.locked + locked)
            seen += len(rows)
            on_progress(min(seen, total), total)
            after = rows[-1].id if len(rows) == BATCH else None
    return done


def _batch(each: _Column, after: bytes) -> sa.Select[Any]:
    table = each.column.table
    query = sa.select(table.c.id, each.column).order_by(table.c.id).limit(BATCH).with_for_update()
    return query.where(table.c.id > after) if after else query


def _update(each: _Column) -> sa.Update:
    table = each.column.table
    value = sa.bindparam("value", type_=each.column.type)
    return table.update().where(table.c.id == sa.bindparam("row")).values({each.column: value})


def _changes(each: _Column, rows: Any, vault: Vault) -> tuple[list[dict[str, Any]], int]:
    """Return the updates a batch needs, and how many of its rows do not open."""
    changes, locked = [], 0
    for key, stored in rows:
        try:
            value = each.again(vault, stored, key)
        except SecretsLocked:
            locked += 1
            continue
        if value != stored:
            changes.append({"row": key, "value": value})
    return changes, locked
