"""The hot path on SQLite: publish, route, claim, settle, each a job for the lane."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from sqlite3 import Connection
from typing import Any

from hookline._domain.breaker import Circuit, CircuitState, Health
from hookline._domain.endpoint import Target
from hookline._engine.route import RoutingTable
from hookline._ports import (
    Circuits,
    Claimed,
    Leased,
    NewMessage,
    RoomOf,
    Routed,
    Settled,
    Settlement,
    Share,
)
from hookline._storage import rows as row_of
from hookline._storage.batch import (
    FAIR_SHARE,
    ROUTE_MESSAGES,
    ROUTE_ROWS,
    SCAN_ENDPOINTS,
    ClaimBatch,
    RouteBatch,
)
from hookline._storage.schema import HELD, IN_LINE
from hookline._storage.sqlite.lane import Lane
from hookline._storage.sqlite.owner import FileLock
from hookline._storage.sqlite.publication import SQL, publication
from hookline._storage.steps import Row, Statement, drive
from hookline._storage.vault import Vault
from hookline.errors import StorageError

MOST_CACHED = 10_000
"""Targets and routing tables kept in memory."""


class SqliteQueue:
    """`_ports.Queue` on one SQLite file."""

    def __init__(self, path: str, *, response_kept: int = 1024, vault: Vault | None = None) -> None:
        """`response_kept`: bytes of an answer's body for the log; `vault` opens secrets."""
        self._vault = vault or Vault()
        self._path = path
        self._kept = response_kept
        self._lane: Lane | None = None
        self._lock = FileLock(f"{path}-worker")
        self._cursor = b""
        self._tables: dict[bytes, RoutingTable] = {}
        self._targets: dict[bytes, Target] = {}

    async def start(self, on_foreign_write: Callable[[], None]) -> None:
        """Open the file."""
        loop = asyncio.get_running_loop()

        def knock() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(on_foreign_write)

        lane = Lane(self._path, knock)
        await lane.open()
        self._lane = lane

    async def stop(self) -> None:
        """Finish what is queued and close the file."""
        self._lock.release()
        lane, self._lane = self._lane, None
        if lane is not None:
            await lane.close()

    @property
    def _open(self) -> Lane:
        if self._lane is None:
            raise StorageError("the database was closed")
        return self._lane

    async def beat(self, worker: bytes, now: int) -> Share | None:  # noqa: ARG002 - the port's
        """Take the whole work when this process owns the file, none of it otherwise.

        Two workers on one SQLite file would only wait for each other; the lock of a process that
        dies is free at once.
        """
        return Share(0, 1) if self._lock.acquire() else None

    async def leave(self, worker: bytes) -> None:  # noqa: ARG002 - the port's
        """Let the next process have the file."""
        self._lock.release()

    async def announce(self) -> None:
        """Do nothing: the owner of the file sees foreign commits by itself."""

    # publish -------------------------------------------------------------------------------

    async def publish(
        self, messages: Sequence[NewMessage], *, atomic: bool = False
    ) -> list[bytes | Exception]:
        """Commit messages durably, with their idempotency keys."""

        def job(connection: Connection) -> list[bytes | Exception]:
            cursor = connection.cursor()
            return drive(publication(messages, atomic=atomic), partial(_run, cursor))

        results: list[bytes | Exception] = await self._open.submit(job, durable=True)
        return results

    # route ---------------------------------------------------------------------------------

    async def route(self, room: int, now: int, lease_until: int, room_of: RoomOf) -> Routed:
        """Turn due messages into deliveries; the first `room` are the caller's to send."""
        nothing = Routed()

        def look(connection: Connection) -> bool | None:
            nothing.next_due = connection.execute(SQL["next_outbox"]).fetchone()[0]
            return True if nothing.next_due is not None and nothing.next_due <= now else None

        def job(connection: Connection, _: bool) -> Routed:
            return self._route(connection, RouteBatch(room, now, lease_until, room_of))

        routed: Routed = await self._open.submit(job, look=look, nothing=nothing)
        return routed

    def _route(self, connection: Connection, router: RouteBatch) -> Routed:
        due = connection.execute(SQL["due_outbox"], (router.now, ROUTE_MESSAGES)).fetchall()
        router.circuits = _circuits(connection)
        done = []
        for due_at, message, after, app, event_type, body, ordering_key, channels, trace in due:
            wanted = self._table(connection, app).wanted(event_type, channels)
            _look_at_lines(connection, router, wanted, ordering_key or "")
            if wanted and router.full:
                break
            last = router.add(wanted, after, message, event_type, body, ordering_key, trace)
            if last is not None:
                connection.execute(SQL["advance_outbox"], (last, due_at, message))
                break
            done.append((due_at, message))
        connection.executemany(SQL["insert_delivery"], router.rows)
        connection.executemany(SQL["delete_outbox"], done)
        router.routed.next_due = connection.execute(SQL["next_outbox"]).fetchone()[0]
        return router.routed

    def _table(self, connection: Connection, app: bytes) -> RoutingTable:
        """Return the application's routing table, read again when its endpoints changed."""
        found = connection.execute(SQL["app_revision"], (app,)).fetchone()
        revision = found[0] if found else -1
        table = self._tables.get(app)
        if table is None or table.revision != revision:
            keys = connection.execute(SQL["app_secrets"], (app,)).fetchall()
            rows = _dicts(connection.execute(SQL["app_endpoints"], (app,)))
            subscribers = [row_of.subscriber(r, keys, self._vault) for r in rows]
            table = RoutingTable(revision, subscribers)
            _remember_in(self._tables, app, table)
            for _, _, target in subscribers:
                _remember_in(self._targets, target.key, target)
        return table

    def _current_target(self, connection: Connection, endpoint: bytes) -> Target | None:
        """Return the endpoint as it is now; None when it was deleted."""
        found = connection.execute(SQL["endpoint_revision"], (endpoint,)).fetchone()
        if found is None:
            return None
        target = self._targets.get(endpoint)
        if target is None or target.revision != found[0]:
            keys = connection.execute(SQL["one_secrets"], (endpoint,)).fetchall()
            (row,) = _dicts(connection.execute(SQL["one_endpoint"], (endpoint,)))
            target = row_of.target(row, keys, self._vault)
            _remember_in(self._targets, endpoint, target)
        return target

    # claim ---------------------------------------------------------------------------------

    async def claim(self, room: int, now: int, lease_until: int, room_of: RoomOf) -> Claimed:
        """Lease due deliveries, taking turns between endpoints from where the last claim ended."""
        nothing = Claimed()

        def look(connection: Connection) -> list[bytes] | None:
            due, nothing.next_due = self._due_endpoints(connection, now)
            return due or None

        def job(connection: Connection, due: list[bytes]) -> Claimed:
            claim = ClaimBatch(room, now, lease_until, room_of, nothing.next_due)
            return self._claim(connection, due, claim)

        claimed: Claimed = await self._open.submit(job, look=look, nothing=nothing)
        return claimed

    def _due_endpoints(self, connection: Connection, now: int) -> tuple[list[bytes], int | None]:
        """Return the endpoints with due deliveries, in turn, and when the next other falls due."""
        rows = self._scan(connection, self._cursor, SCAN_ENDPOINTS)
        whole_round = len(rows) < SCAN_ENDPOINTS
        if whole_round and self._cursor:
            first = self._scan(connection, b"", SCAN_ENDPOINTS - len(rows))
            before = [row for row in first if row[0] <= self._cursor]
            whole_round = len(before) < len(first) or len(first) < SCAN_ENDPOINTS - len(rows)
            rows += before
        due = [endpoint for endpoint, first_due in rows if first_due <= now]
        later = [first_due for _, first_due in rows if now < first_due < IN_LINE]
        if not due and not whole_round:
            self._cursor = rows[-1][0]
            return due, now
        return due, min(later, default=None) if whole_round else now

    @staticmethod
    def _scan(connection: Connection, after: bytes, most: int) -> list[tuple[bytes, int]]:
        if most < 1:
            return []
        return connection.execute(SQL["due_endpoints"], {"after": after, "most": most}).fetchall()

    def _claim(self, connection: Connection, due: list[bytes], claim: ClaimBatch) -> Claimed:
        circuits = _circuits(connection)
        share = max(FAIR_SHARE, claim.room // len(due))
        held: list[tuple[int, int, bytes, bytes]] = []
        for endpoint in due:
            left = claim.room - len(claim.leased)
            if left <= 0:
                claim.again(claim.now)
                break
            self._cursor = endpoint
            target = self._current_target(connection, endpoint)
            if target is None or target.disabled_reason is not None:
                rows = self._due_rows(connection, endpoint, claim, ROUTE_ROWS)
                held += [(0, HELD, row[0], endpoint) for row in rows]
                continue
            want = claim.want(target, circuits.get(endpoint), min(share, left))
            if want == 0:
                continue
            circuit = circuits.get(endpoint)
            if circuit is not None and circuit.state is not CircuitState.CLOSED:
                want, circuits[endpoint] = 1, circuit.probing(claim.lease_until)
                _write_circuit(connection, endpoint, circuits[endpoint])
            rows = self._due_rows(connection, endpoint, claim, want)
            claim.take(target, rows)
        connection.executemany(
            SQL["lease_delivery"],
            [(claim.lease, claim.lease_until, d.message, d.target.key) for d in claim.leased]
            + held,
        )
        return Claimed(claim.leased, claim.next_due, claim.saturated, circuits)

    @staticmethod
    def _due_rows(
        connection: Connection, endpoint: bytes, claim: ClaimBatch, want: int
    ) -> list[tuple[Any, ...]]:
        """Return due deliveries of an endpoint; note when its next one falls due."""
        rows = connection.execute(SQL["due_deliveries"], (endpoint, claim.now, want)).fetchall()
        later = None
        if len(rows) < want:
            later = connection.execute(SQL["next_delivery"], (endpoint, claim.now)).fetchone()[0]
        claim.found(endpoint, len(rows), want, later)
        return rows

    # settle --------------------------------------------------------------------------------

    async def settle(self, settlements: Sequence[Settlement], now: int) -> Settled:
        """Write attempts, move deliveries on; a lost lease changes nothing."""

        def job(connection: Connection) -> Settled:
            cursor = connection.cursor()
            kept = [_move_on(cursor, s) == 1 for s in settlements]
            connection.executemany(
                SQL["insert_attempt"],
                [
                    row_of.attempt(s, self._kept)
                    for s, still_ours in zip(settlements, kept, strict=True)
                    if still_ours
                ],
            )
            for endpoint, line in row_of.lines_left(settlements, kept):
                where = {"now": now, "endpoint": endpoint, "line": line, "in_line": IN_LINE}
                connection.execute(SQL["next_in_line"], where)
            return Settled(kept, _judge(connection, settlements, kept, now))

        settled: Settled = await self._open.submit(job)
        return settled

    async def renew(self, deliveries: Iterable[Leased], lease_until: int) -> None:
        """Push leases further out."""
        rows = [(lease_until, d.message, d.target.key, d.lease) for d in deliveries]
        await self._open.submit(lambda c: c.executemany(SQL["renew_delivery"], rows).rowcount)

    async def release(self, deliveries: Iterable[Leased], now: int) -> None:
        """Give deliveries back, due at once."""
        rows = [(now, d.message, d.target.key, d.lease) for d in deliveries]
        await self._open.submit(lambda c: c.executemany(SQL["release_delivery"], rows).rowcount)


def _dicts(cursor: sqlite3.Cursor) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _remember_in(cache: dict[bytes, Any], key: bytes, value: Any) -> None:
    if len(cache) >= MOST_CACHED:
        cache.clear()
    cache[key] = value


def _run(cursor: sqlite3.Cursor, statement: Statement) -> Row:
    if statement.many:
        cursor.executemany(statement.sql, statement.values)
        return None
    rows = cursor.execute(statement.sql, statement.values).fetchall()
    return rows[0] if rows else None


def _look_at_lines(
    connection: Connection, batch: RouteBatch, wanted: Iterable[Target], line: str
) -> None:
    """Note which lines of ordered endpoints somebody stands in."""
    for target in wanted:
        if target.ordered and (target.key, line) not in batch.occupied:
            taken = connection.execute(SQL["line_occupied"], (target.key, line)).fetchone()[0]
            if taken:
                batch.occupied.add((target.key, line))


def _circuits(connection: Connection) -> Circuits:
    """Return the circuits that restrict endpoints."""
    rows = connection.execute(SQL["restricting_circuits"])
    return {row[0]: row_of.circuit(row[1:]) for row in rows}


def _write_circuit(connection: Connection, endpoint: bytes, circuit: Circuit | None) -> None:
    if circuit is None:
        connection.execute(SQL["delete_circuit"], (endpoint,))
    else:
        connection.execute(SQL["write_circuit"], (endpoint, *circuit))


def _move_on(cursor: sqlite3.Cursor, settlement: Settlement) -> int:
    """Move one delivery on, fenced by its lease; return how many rows that changed: 1, or 0."""
    delivery = settlement.delivery
    where = (delivery.message, delivery.target.key, delivery.lease)
    if row_of.is_final(settlement):
        cursor.execute(SQL["finish_delivery"], where)
    else:
        cursor.execute(SQL["keep_delivery"], (*row_of.kept_on(settlement), *where))
    return cursor.rowcount


def _judge(
    connection: Connection, settlements: Sequence[Settlement], kept: list[bool], now: int
) -> dict[bytes, Health]:
    """Judge the endpoints of a batch that are or were in trouble, and write what changed."""
    quiet = not connection.execute(SQL["any_circuit"]).fetchone()[0]
    found = {}
    for endpoint, group in row_of.by_endpoint(settlements, kept).items():
        if quiet and row_of.all_well(group):
            continue
        row = connection.execute(SQL["one_circuit"], (endpoint,)).fetchone()
        before = row_of.circuit(row) if row else None
        if before is None and row_of.all_well(group):
            continue
        found[endpoint] = health = row_of.health(group, before, now)
        if health.circuit != before:
            _write_circuit(connection, endpoint, health.circuit)
        reason = row_of.disable_reason(group, health)
        if reason is not None:
            connection.execute(
                SQL["disable_endpoint"], {"endpoint": endpoint, "reason": reason, "now": now}
            )
            connection.execute(SQL["touch_app"], (endpoint,))
    return found
