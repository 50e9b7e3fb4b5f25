"""What all scenarios share: contestants, rounds, and the row they end in."""

import http.client
import inspect
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import machine, payload
from benchmarks.child import Child, ChildFailed
from benchmarks.databases import DATABASES, Database, NotMeasured, Sqlite
from benchmarks.sink import host

HIGHER, LOWER = "higher is better", "lower is better"


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What a figure must reach: its own value, its ratio to the reference, or both."""

    figure: float | None = None
    ratio: float | None = None
    better: str = HIGHER

    def text(self, unit: str) -> str:
        """Return it as it is read in the table."""
        sign = "≥" if self.better == HIGHER else "≤"
        parts = []
        if self.figure is not None:
            parts.append(f"{sign} {self.figure:,.10g} {unit}")
        if self.ratio is not None:
            parts.append(f"{sign} {ratio_text(self.ratio)}")
        return ", ".join(parts)

    def verdict(self, figure: float, ratio: float | None) -> dict[str, bool]:
        """Return for each part of the bar whether it holds."""
        pairs = [("figure", self.figure, figure), ("ratio", self.ratio, ratio)]
        return {
            name: (got >= bar if self.better == HIGHER else got <= bar)
            for name, bar, got in pairs
            if bar is not None and got is not None
        }


def ratio_text(ratio: float) -> str:
    """Return 53 % or 5.2 ×: what is easier to read."""
    return f"{ratio:.3g} ×" if ratio >= 1.5 else f"{ratio * 100:.0f} %"


@dataclass
class Run:
    """One measured run of one contestant."""

    figure: float
    cpu: float | None = None
    """Microseconds of its processor time per delivery."""
    server_cpu: float | None = None
    """The same of the database server."""
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Row:
    """A line of the table. `runs` and `reference_runs` hold every round, not only the best."""

    scenario: str
    part: str = ""
    database: str = ""
    what: str = ""
    unit: str = "/s"
    figure: float | None = None
    reference: float | None = None
    reference_what: str = ""
    ratio: float | None = None
    bar: str = ""
    verdict: dict[str, bool] = field(default_factory=dict)
    cpu: float | None = None
    server_cpu: float | None = None
    reference_cpu: float | None = None
    note: str = ""
    runs: list[dict[str, Any]] = field(default_factory=list)
    reference_runs: list[dict[str, Any]] = field(default_factory=list)
    scale: float = 1.0
    load: float = 0.0
    others: float = 0.0
    at: str = ""


@dataclass
class Scenario:
    """A scenario by its name, and the databases it makes sense on."""

    name: str
    play: Callable[["Bench"], Row | list[Row]]
    databases: tuple[str, ...]

    @property
    def help(self) -> str:
        """The first line of its docstring."""
        return (inspect.getdoc(self.play) or "").partition("\n")[0]


def scenario(*databases: str) -> Callable[[Callable[["Bench"], Any]], Scenario]:
    """Make a function a scenario of its name; on all databases unless told otherwise."""
    return lambda play: Scenario(play.__name__, play, databases or tuple(DATABASES))


class Receiver:
    """A sink in its own process."""

    def __init__(self, process: Child, hosts: int) -> None:
        self._port = process.read()["port"]
        self._hosts = hosts
        self.url = self.urls(1)[0]

    def urls(self, count: int) -> list[str]:
        """Return so many different URLs, spread over the sink's hosts."""
        return [f"http://{host(n % self._hosts)}:{self._port}/{n}" for n in range(count)]

    def seen(self) -> dict[str, Any]:
        """Return what it saw so far."""
        connection = http.client.HTTPConnection(host(0), self._port, timeout=60)
        connection.request("GET", "/")
        seen: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return seen


class Bench:
    """Hands out contestants and repeats their runs. `database` is the one of the moment."""

    def __init__(self, *, scale: float, rounds: int, console: Console, folder: Path) -> None:
        self.scale = scale
        self.rounds = rounds
        self.console = console
        self.folder = folder
        self.database: Database = Sqlite(folder)
        self.title = ""
        self._status = console.status("")

    # telling ---------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Show what is going on: one line that changes, or lines where there is no terminal."""
        line = f"{self.title} · {text}"
        if self.console.is_terminal:
            self._status.update(line)
        else:
            self.console.print(f"… {line}")

    def play(self, one: Scenario) -> list[Row]:
        """Run a scenario on the present database."""
        self.title = f"{one.name} ({self.database.name})"
        about = {
            "scale": self.scale,
            "load": machine.load(),
            "others": machine.others(),
            "at": time.strftime("%Y-%m-%d %H:%M"),
        }
        with self._status:
            try:
                found = one.play(self)
            except NotMeasured as reason:
                found = Row(scenario=one.name, note=f"not measured: {reason}")
            except ChildFailed as error:
                self.console.print(str(error), style="red", markup=False)
                found = Row(scenario=one.name, note="not measured: it failed, see above")
                found.verdict = {"run": False}
        rows = found if isinstance(found, list) else [found]
        for row in rows:
            row.database = self.database.name
            for name, value in about.items():
                setattr(row, name, value)
        return rows

    # contestants -----------------------------------------------------------------------------

    def n(self, full: int, least: int = 1) -> int:
        """Return how many of something there are at this scale."""
        return max(least, int(full * self.scale))

    @contextmanager
    def sink(self, hosts: int = 1, **spec: Any) -> Iterator[Receiver]:
        """Start a sink."""
        with Child("sink", hosts=hosts, **spec) as process:
            yield Receiver(process, hosts)

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Make a database, and remove it afterwards."""
        url = self.database.fresh()
        try:
            yield url
        finally:
            self.database.drop(url)

    def engine(self, task: str, database: str, **spec: Any) -> Child:
        """Start Hookline in a process of its own; see benchmarks/engine.py for the tasks."""
        return Child(
            "engine", task=task, database=database, server_pid=self.database.server_pid, **spec
        )

    def prepare(self, database: str, **spec: Any) -> dict[str, Any]:
        """Store the endpoints without delivering anything; return their keys."""
        with self.engine("prepare", database, settings={"deliver": False}, **spec) as process:
            return process.read()

    def measure(self, process: Child) -> dict[str, Any]:
        """Let a child begin when it is ready; return what it says at its end."""
        with process:
            process.read()
            process.go()
            return process.read()

    def bare(self, sink: Receiver, requests: int, urls: list[str] | None = None) -> Run:
        """Run the bare libcurl loop."""
        said = self.measure(Child("bare", urls=urls or [sink.url], requests=requests))
        return rate(said, said["done"])

    def deliver(
        self, sink: Receiver, messages: int, *, database: str | None = None, **spec: Any
    ) -> Run:
        """Run Hookline end to end on a fresh database, or on one that is there already.

        One event per message unless `events` say otherwise; what the sink got is what counts.
        """
        if database is None:
            with self.fresh() as url:
                return self.deliver(sink, messages, database=url, **spec)
        spec.setdefault("endpoints", [(sink.url, payload.EVENT)])
        spec.setdefault("events", sorted({event for _, event in spec["endpoints"]}))
        each = sum(event == spec["events"][0] for _, event in spec["endpoints"])
        spec.setdefault("warm_up", 1 if each > 1 else 500)
        process = self.engine("deliver", database, messages=messages, **spec)
        with process:
            process.read()
            before = sink.seen()
            process.go()
            said = process.read()
        after = sink.seen()
        arrived, expected = after["count"] - before["count"], messages * each
        run = rate(said, expected if said["finished"] else min(arrived, expected))
        run.more |= {k: said[k] for k in ("finished", "threads", "rss", "peak_rss")}
        run.more["extra"] = max(0, arrived - expected)
        run.more["sink_cpu"] = round((after["cpu"] - before["cpu"]) / max(1, arrived) * 1e6, 1)
        return run

    # rounds ------------------------------------------------------------------------------------

    def versus(
        self,
        ours: Callable[[], Run],
        reference: Callable[[], Run],
        what: str,
        *,
        rounds: int | None = None,
        better: str = HIGHER,
    ) -> dict[str, Any]:
        """Run both in turns, so that a busy moment meets both; keep the best of each.

        Other people's work only ever makes a run slower: the best one is the least disturbed.
        """
        mine, others = [], []
        rounds = rounds or self.rounds
        for n in range(rounds):
            self.say(f"round {n + 1} of {rounds}: {what}")
            others.append(reference())
            self.say(f"round {n + 1} of {rounds}: Hookline")
            mine.append(ours())
        choose = max if better == HIGHER else min
        best, other = (choose(runs, key=lambda run: run.figure) for runs in (mine, others))
        return {
            "figure": best.figure,
            "cpu": best.cpu,
            "server_cpu": best.server_cpu,
            "reference": other.figure,
            "reference_what": what,
            "reference_cpu": other.cpu,
            "ratio": round(best.figure / other.figure, 4) if other.figure else None,
            "runs": [asdict(run) for run in mine],
            "reference_runs": [asdict(run) for run in others],
        }


def rate(said: dict[str, Any], done: int) -> Run:
    """Return the run behind what a child said: so many done in its seconds."""
    each = 1e6 / max(1, done)
    server = said.get("server_cpu") or None
    return Run(
        figure=round(done / said["seconds"], 1),
        cpu=round(said["cpu"] * each, 1),
        server_cpu=None if server is None else round(server * each, 1),
        more={"done": done, "seconds": round(said["seconds"], 3)},
    )


def judged(row: Row, bar: Bar) -> Row:
    """Return the row with its bar and whether it holds."""
    row.bar = bar.text(row.unit)
    if row.figure is not None:
        row.verdict = bar.verdict(row.figure, row.ratio)
    return row
