"""Why a database cannot be used, in words, and what to check. Never with the password."""

import ssl
from collections.abc import Iterator
from socket import gaierror

import sqlalchemy as sa

from hookline._said import Said


def explain(url: sa.URL, error: BaseException) -> Said:
    """Return one line that says which database, what is wrong, and what to check."""
    words = _sqlite(error) if url.get_backend_name() == "sqlite" else _postgres(url, error)
    return Said("{database}: {trouble}", database=name(url), trouble=words)


def name(url: sa.URL) -> str:
    """Return which database it is, for people: `PostgreSQL database shop at db.example:5432`."""
    if url.get_backend_name() == "sqlite":
        return f"SQLite {url.database}"
    host = url.host or url.query.get("host") or "localhost"
    where = ",".join(host) if isinstance(host, tuple) else host
    port = f":{url.port}" if url.port else ""
    return Said(
        "PostgreSQL database {name} at {where}",
        name=url.database or "(default)",
        where=f"{where}{port}",
    )


def _sqlite(error: BaseException) -> str:
    text = str(getattr(error, "orig", None) or error)
    if "unable to open" in text:
        return Said(
            "cannot be opened: its folder must exist, and this account must be allowed in it"
        )
    if "locked" in text:
        return Said("is locked: another process has held the write lock for 5 s")
    if "not a database" in text:
        return Said("is not an SQLite database")
    if "malformed" in text:
        return Said("is damaged ({error}): restore it from a backup", error=text)
    return text


def _postgres(url: sa.URL, error: BaseException) -> str:
    states = _states(url.username or Said("this user"), url.database or "")
    for cause in _causes(error):
        state = getattr(cause, "sqlstate", None)
        if state in states:
            return states[state]
        text = _connecting(cause)
        if text:
            return text
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _states(user: str, name: str) -> dict[str | None, Said]:
    """Return what to check, by the SQLSTATE of the server's answer."""
    return {
        "28P01": Said("the password of {user} is wrong", user=user),
        "28000": Said(
            "the server does not let {user} in: check user, password and pg_hba.conf", user=user
        ),
        "3D000": Said(
            "there is no database {name}: create it (createdb {name}), or correct the URL",
            name=name,
        ),
        "53300": Said("no connection is free: raise max_connections, or end what is idle"),
        "57P03": Said("the server is starting up, shutting down, or recovering"),
        "42501": Said(
            "{user} may not do that: GRANT it, or use the role that owns the hookline_ tables",
            user=user,
        ),
        "57014": Said("it took too long and was canceled"),
    }


def _connecting(cause: BaseException) -> str:
    """Return what to check when there was not even a connection."""
    if isinstance(cause, ssl.SSLError):
        return Said(
            "TLS failed ({reason}): check ?ssl= and the certificates",
            reason=str(cause.reason or cause),
        )
    if isinstance(cause, ConnectionRefusedError):
        return Said("the connection was refused: is the server running, and listening there?")
    if isinstance(cause, gaierror):
        return Said("the name cannot be resolved: check its spelling and DNS")
    if isinstance(cause, FileNotFoundError):
        return Said("there is no socket in that folder: is the server running on this machine?")
    if isinstance(cause, TimeoutError):
        return Said("no answer in time: a firewall in between, or a server that is overloaded")
    if isinstance(cause, TypeError) and "unexpected keyword argument" in str(cause):
        name = str(cause).rsplit("'", 2)[-2]
        return Said("the URL has an unknown parameter {name!r}", name=name)
    if isinstance(cause, OSError):
        return f"{cause.strerror or cause}"
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error and what caused it, the innermost first: it knows best."""
    chain: list[BaseException] = []
    inner: BaseException | None = error
    while inner is not None and inner not in chain:
        chain.append(inner)
        inner = getattr(inner, "orig", None) or inner.__cause__
    return reversed(chain)
