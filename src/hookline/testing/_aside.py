"""One `Webhooks`, set aside for the time of a test: on a database of its own."""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from hookline._app import Webhooks
from hookline._app.scope import application_key
from hookline._domain.history import Filter
from hookline._domain.page import Cursor, Window
from hookline._engine.clock import FakeClock, SystemClock
from hookline._ports import NewMessage, Store
from hookline._settings import Settings
from hookline._storage.database import open_database, parse_url
from hookline.testing._held import HeldEngine
from hookline.testing._joined import Joined
from hookline.testing._local import LocalReceiver
from hookline.testing._sent import SentMessage

T = TypeVar("T")
_SWAPPED = (
    "settings",
    "clock",
    "engine_type",
    "declared",
    "opened",
    "database",
    "enclose",
    "_pending",
    "catalogued",
    "_uncatalogued",
    "_home",
    "_engine",
)
_migrating = threading.Lock()


class Aside:
    """Swaps what a `Webhooks` runs on: an empty SQLite file, an engine that is held.

    An engine that runs already is left alone and comes back at the end. What the application
    declared is declared again.
    """

    def __init__(
        self,
        webhooks: Webhooks,
        folder: Path,
        clock: FakeClock,
        receivers: dict[str, LocalReceiver],
        *,
        inline: bool,
        newcomer: bool,
    ) -> None:
        """Takes effect at once. A `newcomer` was made meanwhile: what it declares is its own."""
        self.webhooks = webhooks
        self.joined = Joined()
        self._newcomer = newcomer
        self._used = False
        runtime = self._runtime = webhooks._runtime  # noqa: SLF001 - the one place that swaps it
        self._kept = {name: getattr(runtime, name) for name in _SWAPPED}
        file = folder / f"{len(list(folder.iterdir()))}.db"
        shutil.copyfile(_migrated(), file)
        runtime._engine = runtime._home = runtime.opened = None  # noqa: SLF001
        runtime.declared = dict(runtime.declared)
        runtime._pending = dict(runtime.declared)  # noqa: SLF001
        runtime.catalogued = set(runtime.catalogued)
        runtime._uncatalogued = set(runtime.catalogued)  # noqa: SLF001
        runtime.database = lambda: f"sqlite:///{file}"
        runtime.enclose = self._enclose
        runtime.settings = replace(
            runtime.settings,
            database=f"sqlite:///{file}",
            development=True,
            deliver=True,
            migrate="auto",
            poll_interval=60.0,
        )
        if isinstance(runtime.clock, SystemClock):
            runtime.clock = clock
        self._inline = inline
        runtime.engine_type = partial(self._make, receivers)

    @property
    def clock(self) -> FakeClock | None:
        """The clock it runs by, where a test can move it."""
        clock = self._runtime.clock
        return clock if isinstance(clock, FakeClock) else None

    def inline(self, *, on: bool) -> None:
        """Have each publishing wait for the deliveries, or not."""
        self._inline = on
        if isinstance(self._runtime.engine, HeldEngine):
            self._runtime.engine.inline = on

    def drain(self) -> None:
        """Deliver what is due by the clock; nothing where nothing was ever opened."""
        if not self._used:
            return
        engine = self._runtime.start()
        assert isinstance(engine, HeldEngine)  # noqa: S101 - for the type checker
        self._ask(engine.drain())

    def next_due(self, after: int) -> int | None:
        """Return when something falls due, later than that; None when nothing does."""
        if self._runtime.engine is None:
            return None
        return self._ask(self._runtime.engine.store.overview.next_due(after))

    def blocked(self, now: int) -> bool:
        """Tell whether something is due that a circuit or a limit holds back."""
        if self._runtime.engine is None:
            return False
        return self._ask(self._runtime.engine.store.backlog(now)).due > 0

    def sent(self) -> list[SentMessage]:
        """Return what was published and committed, the oldest first."""
        engine = self._runtime.engine
        if engine is not None:
            return self._ask(_read(engine.store))
        if not self._used:
            return []
        with ThreadPoolExecutor(1) as beside:
            return beside.submit(asyncio.run, self._beside()).result()

    def end(self) -> None:
        """Stop what was begun, and put everything back."""
        runtime = self._runtime
        runtime.close()
        self.joined.stop()
        declared, catalogued = runtime.declared, runtime.catalogued
        for name, value in self._kept.items():
            setattr(runtime, name, value)
        if self._newcomer:
            runtime.declared = declared
            runtime._pending = dict(declared)  # noqa: SLF001
            runtime.catalogued = catalogued
            runtime._uncatalogued = set(catalogued)  # noqa: SLF001

    def _enclose(
        self, connection: object, messages: Sequence[NewMessage], application: str
    ) -> list[bytes]:
        """Publish once the connection commits: `joining.enclose`, of the outbox."""
        engine = self._runtime.start()
        assert isinstance(engine, HeldEngine)  # noqa: S101 - for the type checker
        key = self._ask(application_key(engine, application))
        for message in messages:
            message.app = key
        return engine.enclose(connection, messages)

    async def _beside(self) -> list[SentMessage]:
        async with self._runtime.beside() as store:
            return await _read(store)

    def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        home = self._runtime._home  # noqa: SLF001
        assert home is not None  # noqa: S101 - it runs
        return home.run(question).result()

    def _make(self, receivers: dict[str, LocalReceiver], **parts: Any) -> HeldEngine:
        self._used = True
        return HeldEngine(receivers=receivers, joined=self.joined, inline=self._inline, **parts)


async def _read(store: Store) -> list[SentMessage]:
    found: list[SentMessage] = []
    for app in (await store.applications.page(Window(limit=250))).items:
        key = await store.applications.key(app.id)
        cursor = None
        while key is not None:
            page = await store.history.messages(key, Filter(), Window(250, cursor))
            found += [SentMessage.of(each, app.uid or app.id) for each in page.items]
            if not page.more or page.last is None:
                break
            cursor = Cursor(page.last)
    return sorted(found, key=lambda each: each.id)


@cache
def _template() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    """Make an SQLite file with the schema, once in a process: copying it is quicker."""
    folder = tempfile.TemporaryDirectory(prefix="hookline-testing-")
    file = Path(folder.name) / "migrated.db"
    settings = Settings(database=f"sqlite:///{file}")
    database = open_database(parse_url(settings.database), settings)

    async def migrate() -> None:
        await database.store.migrate()
        await database.store.stop()

    with ThreadPoolExecutor(1) as beside:  # whether a loop runs here or not
        beside.submit(asyncio.run, migrate()).result()
    return folder, file


def _migrated() -> Path:
    with _migrating:
        return _template()[1]
