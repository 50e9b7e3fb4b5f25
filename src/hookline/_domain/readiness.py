"""Whether processes that should be delivering are able to, part by part."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from hookline._domain.finding import number, span
from hookline._domain.vitals import ALIVE_MS, Pulse
from hookline._said import Said, row

OK = "ok"
UNKNOWN = Said("unknown while the database is out of reach")
FRESH = 1.0
"""Seconds an answer about readiness is good for: a busy prober costs the database no more."""


class Readiness(NamedTuple):
    """Each part is `ok`, or says what is missing.

    `database`: it answers. `schema`: it is this version's. `share`: every process has its share of
    the work. `heartbeats`: the last sign of life of each got through.
    """

    database: str = OK
    schema: str = OK
    share: str = OK
    heartbeats: str = OK

    @property
    def ready(self) -> bool:
        """Whether every part is ok."""
        return all(part == OK for part in self)

    @property
    def missing(self) -> dict[str, str]:
        """The parts that are not ok."""
        return {name: part for name, part in self._asdict().items() if part != OK}

    @property
    def document(self) -> dict[str, Any]:
        """What a readiness probe is answered."""
        return {"ready": self.ready, "parts": self._asdict()}


def unreachable(reason: str) -> Readiness:
    """Return what is known while the database does not answer."""
    return Readiness(reason, UNKNOWN, UNKNOWN, UNKNOWN)


def judge(pulse: Pulse, host: str, pids: Iterable[int], *, standing_by: bool = False) -> Readiness:
    """Return whether the processes `pids` of a machine are able to deliver.

    `standing_by`: another process delivers from the SQLite file.
    """
    if not pulse.schema.current:
        later = Said("unknown until the schema is current")
        return Readiness(schema=pulse.schema.trouble, share=later, heartbeats=OK)
    if standing_by:
        return Readiness(
            share=Said("another process delivers from this file; this one takes over when it ends")
        )
    if pulse.owned is not None:
        return Readiness()  # one process, and the file's lock instead of heartbeats
    silences = {pid: pulse.silence(host, pid) for pid in pids}
    return Readiness(share=_share(silences), heartbeats=_heartbeats(silences))


def _share(silences: dict[int, int | None]) -> str:
    absent = [pid for pid, silence in silences.items() if silence is None]
    if not absent:
        return OK
    return Said(
        "{processes} not signed on yet: pid {pids}",
        processes=number(len(absent), "process", "processes"),
        pids=row([str(pid) for pid in absent]),
    )


def _heartbeats(silences: dict[int, int | None]) -> str:
    silent = [
        Said("pid {pid} was silent for {age}", pid=pid, age=span(silence))
        for pid, silence in silences.items()
        if silence is not None and silence >= ALIVE_MS
    ]
    return row(silent) if silent else OK
