"""The vital signs of a deployment: what the doctor and readiness judge. Times in Unix milliseconds.

Ages (`…_ms`) are durations, measured by whatever clock the database has.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hookline._domain.breaker import Circuit
from hookline._said import Said

ALIVE_MS = 10_000
"""A worker that was silent for so long counts as dead: the others have taken its share."""


class Schema(NamedTuple):
    """The schema version a database has (None: no tables of ours), and the one we need."""

    found: str | None
    needed: str

    @property
    def current(self) -> bool:
        """Whether this Hookline can work with it."""
        return self.found == self.needed

    @property
    def ahead(self) -> bool:
        """Whether a newer Hookline was there before."""
        return self.found is not None and self.found > self.needed

    @property
    def remedy(self) -> Said:
        """What to do about one that is not current."""
        return Said("update Hookline here") if self.ahead else Said("run: hookline migrate")

    @property
    def state(self) -> Said:
        """Which version there is."""
        if self.current:
            return Said("version {version}", version=self.needed)
        if self.found is None:
            return Said("no Hookline tables yet, version {needed} is needed", needed=self.needed)
        return Said(
            "version {found}, this Hookline needs {needed}", found=self.found, needed=self.needed
        )

    @property
    def trouble(self) -> Said:
        """What is wrong with one that is not current, and what to do about it."""
        return Said("{what}; {more}", what=self.state, more=self.remedy)

    def __str__(self) -> str:
        return self.state


class WorkerSigns(NamedTuple):
    """A worker that signed on and did not sign off, and how long it was silent."""

    host: str
    pid: int
    silent_ms: int

    @property
    def alive(self) -> bool:
        """Whether it has a share of the work."""
        return self.silent_ms < ALIVE_MS


@dataclass(frozen=True, slots=True)
class Pulse:
    """Enough to say whether a worker is ready.

    On SQLite workers do not sign on: `owned` says whether some process holds the file's lock and
    delivers, None where that cannot be told. On PostgreSQL it is None.
    """

    schema: Schema
    workers: tuple[WorkerSigns, ...] = ()
    owned: bool | None = None

    @property
    def living(self) -> list[WorkerSigns]:
        """The workers that share the work."""
        return [worker for worker in self.workers if worker.alive]

    @property
    def delivering(self) -> bool:
        """Whether anybody delivers."""
        return bool(self.living) or self.owned is True

    def silence(self, host: str, pid: int) -> int | None:
        """Return how long a process was silent, None when it has not signed on."""
        heard = (w.silent_ms for w in self.workers if (w.host, w.pid) == (host, pid))
        return min(heard, default=None)  # an earlier process may have had the same name


@dataclass(frozen=True, slots=True)
class EndpointSigns:
    """One endpoint and what waits for it.

    `due` deliveries could be sent now, `oldest_due` since when; `stuck` of them were leased by a
    worker that let the lease run out long ago. While it is pending, `next_try_at` is when it is
    asked again, None when somebody has to see to that.
    """

    id: str
    url: str
    signed: bool
    disabled_at: int | None = None
    disabled_reason: str | None = None
    pending_since: int | None = None
    pending_detail: str = ""
    next_try_at: int | None = None
    circuit: Circuit | None = None
    due: int = 0
    oldest_due: int | None = None
    held: int = 0
    stuck: int = 0
    allowed_networks: tuple[str, ...] = ()
    ca: str | None = field(default=None, repr=False)
    client_certificate: str | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)

    @property
    def disabled(self) -> bool:
        """Whether its deliveries are held."""
        return self.disabled_at is not None

    def waits(self, now: int) -> bool:
        """Whether its due deliveries wait on purpose: it is not sent to, or left alone a while."""
        circuit = self.circuit
        blocked = circuit is not None and (circuit.blocked_until > now or circuit.state != "closed")
        return self.disabled or self.pending_since is not None or blocked


class Transaction(NamedTuple):
    """Something that keeps PostgreSQL from removing dead rows: `what` names it."""

    what: str
    age_ms: int | None
    end: str
    """The statement that ends it."""


@dataclass(frozen=True, slots=True)
class PostgresSigns:
    """What only a PostgreSQL server has. `version` as `server_version_num` gives it: 180000."""

    version: int
    clock_off_ms: int
    standby: bool = False
    fsync: bool = True
    autovacuum: bool = True
    autovacuum_off_for: tuple[str, ...] = ()
    holding_back: tuple[Transaction, ...] = ()
    hidden_sessions: int = 0
    dead_rows: int = 0
    live_rows: int = 0
    missing_days: tuple[str, ...] = ()
    stray_days: tuple[str, ...] = ()
    """The days of log lines that lie in the partition for all the rest."""
    max_connections: int = 100
    connections: int = 0


@dataclass(frozen=True, slots=True)
class SqliteSigns:
    """What only a file has. Sizes in bytes."""

    version: str
    path: str
    journal: str
    size: int
    wal: int
    free_pages: int
    """Bytes inside the file that nothing uses."""
    incremental: bool
    """Whether unused space is given back (`auto_vacuum=INCREMENTAL`)."""
    disk_free: int
    filesystem: str = ""
    """Its type when it is one of another machine, empty for a local one."""
    not_writable: str = ""
    """What of the file or its folder this account may not write."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """Everything the database can say about a deployment.

    `database` is its name for people, `trip_ms` how long one question and its answer take.
    """

    now: int
    database: str
    trip_ms: float
    pulse: Pulse
    unrouted: int = 0
    oldest_unrouted: int | None = None
    secrets: Mapping[str, int] = field(default_factory=dict)
    """How many stored secrets, by the id of the key they are encrypted with; '' for none."""
    endpoints: Collection[EndpointSigns] = field(default=())
    postgres: PostgresSigns | None = None
    sqlite: SqliteSigns | None = None

    @property
    def active(self) -> list[EndpointSigns]:
        """The endpoints that are not disabled."""
        return [endpoint for endpoint in self.endpoints if not endpoint.disabled]
