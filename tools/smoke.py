"""What an installed Hookline must do, run inside the environment that is tried: `make dist`.

`python -I smoke.py EXTRA`, where EXTRA is the extra that was installed, or `core` for none. Nothing
but the installed package and its dependencies is used.
"""

import asyncio
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import entry_points, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import hookline
from hookline import HooklineError, Webhooks
from hookline.testing import Receiver

SECRET = "your-secret-key"
DATA = ("css", "html", "js", "mako", "sql", "svg", "typed")
"""Kinds of files beside the code that must have been installed."""


def deliver(folder: Path, **options: Any) -> Webhooks:
    """Deliver a first webhook on SQLite, and see that it verifies."""
    database = f"sqlite:///{folder}/{len(list(folder.iterdir()))}.db"
    webhooks = Webhooks(database=database, development=True, **options)

    async def publish() -> None:
        receipt = await webhooks.trigger("customer.created", {"name": "张三"})
        await receipt.delivered(timeout=30)

    with Receiver(SECRET) as receiver:
        webhooks.register(receiver.url, ["customer.*"], secret=SECRET)
        asyncio.run(publish())
        [received] = receiver.received
    assert received.verified, received.problem
    return webhooks


def core(folder: Path) -> None:
    """Without extras: the command line, what is missing and how it is said."""
    for name, options in (("prometheus", {"metrics": "open"}), ("otel", {"opentelemetry": True})):
        try:
            deliver(folder, **options)
        except HooklineError as error:
            assert f"hookline[{name}]" in str(error), error
        else:
            raise AssertionError(f"the extra {name} is there without having been asked for")


def events(folder: Path) -> None:
    """A model refuses what it does not describe."""
    from pydantic import BaseModel

    webhooks = deliver(folder)

    @webhooks.event("order.placed")
    class OrderPlaced(BaseModel):
        number: str

    try:
        asyncio.run(webhooks.trigger("order.placed", {"number": 7}))
    except HooklineError as error:
        assert "number" in str(error), error
    else:
        raise AssertionError("wrong data was published")


def fastapi(_folder: Path) -> None:
    """A router and a lifespan."""
    from hookline.fastapi import publisher, receive

    assert publisher
    assert receive


def litestar(_folder: Path) -> None:
    """A plugin."""
    from hookline.litestar import HooklinePlugin

    assert HooklinePlugin


def flask(_folder: Path) -> None:
    """A decorator for views."""
    from hookline.flask import receive

    assert receive(SECRET)


def django(_folder: Path) -> None:
    """A decorator for views."""
    from hookline.django import receive

    assert receive(SECRET)


def filters(folder: Path) -> None:
    """An endpoint with a filter."""
    webhooks = Webhooks(database=f"sqlite:///{folder}/filters.db", development=True)
    webhooks.register("https://example.com/", ["*"], secret=SECRET, filter="data.vip == `true`")


def crypto(folder: Path) -> None:
    """A key that only signs, and secrets at rest."""
    assert hookline.generate_secret("ed25519").startswith("whsk_")
    done = subprocess.run([command(), "keys", "generate"], capture_output=True, check=True)
    deliver(folder, encryption_key=(done.stdout.decode().split()[-1],))


def prometheus(folder: Path) -> None:
    """Figures of a delivery."""
    webhooks = deliver(folder, metrics="open")
    assert b"hookline_attempts_total" in webhooks.metrics()


def otel(folder: Path) -> None:
    """The API is enough to run."""
    deliver(folder, opentelemetry=True)


def server(_folder: Path) -> None:
    """The server answers."""
    from hookline.server import create_app

    assert create_app
    site = Path(str(files("hookline"))) / "_web/site/built"
    assert (site / "index.html").is_file(), "the documentation was not installed"


def loads(name: str) -> None:
    """See that a dependency is there."""
    assert importlib.util.find_spec(name), f"{name} was not installed"


TRIES = {
    "core": core,
    "events": events,
    "fastapi": fastapi,
    "flask": flask,
    "django": django,
    "litestar": litestar,
    "sqlmodel": lambda _: loads("sqlmodel"),
    "psycopg": lambda _: loads("psycopg"),
    "redis": lambda _: loads("redis"),
    "postgres": lambda _: loads("asyncpg"),
    "filters": filters,
    "crypto": crypto,
    "prometheus": prometheus,
    "otel": otel,
    "speed": lambda _: loads("uvloop"),
    "server": server,
}


def command() -> str:
    """Return the command beside this interpreter."""
    found = shutil.which("hookline", path=str(Path(sys.executable).parent))
    assert found, "no command `hookline` was installed"
    return found


def main(extra: str) -> None:
    """Try what is common to all, then the extra."""
    home = Path(str(files("hookline")))
    assert "site-packages" in home.parts, f"not the installed package: {home}"
    assert version("hookline") == hookline.__version__
    found = {path.suffix[1:] for path in home.rglob("*") if path.is_file()}
    assert set(DATA) <= found, f"not installed: {set(DATA) - found}"
    assert any(e.value == "hookline.testing.plugin" for e in entry_points(group="pytest11"))
    helped = subprocess.run([command(), "--help"], capture_output=True, text=True, check=True)
    assert "doctor" in helped.stdout
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        deliver(folder).close()
        TRIES[extra](folder)


if __name__ == "__main__":
    main(sys.argv[1])
