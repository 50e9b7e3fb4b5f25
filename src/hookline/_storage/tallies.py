"""Tallies: their rows. Counts are added to what is there: all workers write the same rows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hookline._domain.tally import BUCKETS, FINE_SECONDS, HOUR, MINUTE, SPANS, Kind, Tally, total
from hookline._storage.part import Part
from hookline._storage.schema import endpoint, tally

ALL = bytes(16)
MOST_REMEMBERED = 100_000
BATCH = 2000
_BUCKETS = tuple(f"b{number}" for number in range(BUCKETS))
_PLACE = ("kind", "subject", "span", "at")
_ENDED = ("succeeded", "failed", "exhausted")
_COUNTS = (*_ENDED, *_BUCKETS)
Place = tuple[Kind, bytes, int]


class SqlTallies(Part):
    """`_ports.Tallies`."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Take the store's engine."""
        super().__init__(engine)
        self._owners: dict[bytes, bytes] = {}  # an endpoint never changes its application

    async def add(self, counted: Mapping[tuple[bytes, int], Tally]) -> None:
        """Add counts, by endpoint and minute, to those of the endpoint, its application and all."""
        owners = await self._owners_of({key for key, _ in counted})
        places: dict[Place, list[Tally]] = defaultdict(list)
        for (key, at), found in counted.items():
            subjects = [(Kind.ALL, ALL), (Kind.ENDPOINT, key)]
            if key in owners:
                subjects.append((Kind.APPLICATION, owners[key]))
            for kind, subject in subjects:
                places[kind, subject, at // SPANS[kind] * SPANS[kind]].append(found)
        rows = [
            _row(kind, subject, SPANS[kind], at, total(found))
            for (kind, subject, at), found in sorted(places.items())
        ]
        async with self._writing() as connection:
            await self._upsert(connection, rows)

    async def _upsert(self, connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
        """Add rows to those that are there. In order: two workers never wait for each other."""
        insert = self._insert(tally)
        more = {name: tally.c[name] + insert.excluded[name] for name in _COUNTS}
        await connection.execute(
            insert.on_conflict_do_update(index_elements=list(_PLACE), set_=more), rows
        )

    async def _owners_of(self, keys: set[bytes]) -> Mapping[bytes, bytes]:
        unknown = keys - self._owners.keys()
        if unknown:
            if len(self._owners) >= MOST_REMEMBERED:
                self._owners.clear()
                unknown = keys
            query = sa.select(endpoint.c.id, endpoint.c.app_id).where(endpoint.c.id.in_(unknown))
            async with self._reading() as connection:
                for key, app in await connection.execute(query):
                    self._owners[key] = app
        return self._owners

    async def read(
        self, kind: Kind, subject: bytes | None, start: int, end: int, step: int = MINUTE
    ) -> list[tuple[int, Tally]]:
        """Return what was counted from `start` until before `end` (Unix s), in spans of `step`.

        `subject` is the key of the endpoint or application, None for all. Each has the time its
        span began; older rows are of an hour, and count whole where theirs began.
        """
        own = subject or ALL
        query = _summed(step).where(
            tally.c.kind == kind.value,
            tally.c.subject == own,
            tally.c.at >= start - HOUR,
            tally.c.at < end,
            tally.c.at + tally.c.span > start,
        )
        async with self._reading() as connection:
            return [(row.at, _tally(row[1:])) for row in await connection.execute(query)]

    async def read_each(
        self,
        kind: Kind,
        subjects: Iterable[bytes],
        start: int,
        end: int,
        step: int = MINUTE,
        *,
        latencies: bool = True,
    ) -> dict[bytes, list[tuple[int, Tally]]]:
        """Return the same for several endpoints or applications; without buckets if told so."""
        names = _COUNTS if latencies else _ENDED
        query = _summed(step, tally.c.subject, names=names).where(
            tally.c.kind == kind.value,
            self._among(tally.c.subject, subjects),
            tally.c.at >= start,
            tally.c.at < end,
        )
        found: dict[bytes, list[tuple[int, Tally]]] = defaultdict(list)
        async with self._reading() as connection:
            for row in await connection.execute(query):
                found[row.subject].append((row.at, _tally(row[2:])))
        return found

    async def prune(self, now: int, kept_ms: int) -> None:
        """Make hours of what is older than two days; forget what is older than `kept_ms`, unless 0.

        A batch at a time, each in its own transaction.
        """
        seconds = now // 1000
        old = (seconds - FINE_SECONDS) // HOUR * HOUR
        fine = sa.and_(tally.c.span < HOUR, tally.c.at < old)
        while await self._coarsen(fine):
            pass
        if kept_ms:
            await self._prune(tally, tally.c.at < seconds - kept_ms // 1000)

    async def _coarsen(self, fine: sa.ColumnElement[bool]) -> bool:
        """Add one batch of fine rows to the hours they are in; False when there was none."""
        async with self._writing() as connection:
            some = sa.select(tally).where(fine).order_by(tally.c.at).limit(BATCH)
            rows = (await connection.execute(some.with_for_update())).all()
            if not rows:
                return False
            places: dict[Place, list[Tally]] = defaultdict(list)
            for row in rows:
                place = Kind(row.kind), row.subject, row.at // HOUR * HOUR
                places[place].append(_tally([getattr(row, name) for name in _COUNTS]))
            await connection.execute(
                tally.delete().where(*(tally.c[n] == sa.bindparam(f"of_{n}") for n in _PLACE)),
                [{f"of_{n}": getattr(row, n) for n in _PLACE} for row in rows],
            )
            hours = [
                _row(kind, subject, HOUR, at, total(found))
                for (kind, subject, at), found in sorted(places.items())
            ]
            await self._upsert(connection, hours)
            return True


def _summed(step: int, *by: sa.Column[Any], names: Iterable[str] = _COUNTS) -> sa.Select[Any]:
    """Select tallies, summed over spans of so many seconds: a curve has fewer points than rows."""
    at = (tally.c.at // step * step).label("at")
    sums = [sa.cast(sa.func.sum(tally.c[name]), sa.BigInteger).label(name) for name in names]
    return sa.select(*by, at, *sums).group_by(*by, at).order_by(at)


def _row(kind: Kind, subject: bytes, span: int, at: int, found: Tally) -> dict[str, Any]:
    counts = dict.fromkeys(_BUCKETS, 0) | dict(zip(_BUCKETS, found.buckets or (), strict=False))
    return {
        "kind": kind.value,
        "subject": subject,
        "span": span,
        "at": at,
        "succeeded": found.succeeded,
        "failed": found.failed,
        "exhausted": found.exhausted,
        **counts,
    }


def _tally(counts: Sequence[int]) -> Tally:
    """Return what `_COUNTS`, or only `_ENDED` of them, were."""
    succeeded, failed, exhausted, *buckets = counts
    return Tally(succeeded, failed, exhausted, buckets if any(buckets) else None)
