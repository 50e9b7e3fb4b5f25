"""The hot path on PostgreSQL: publish, route, claim, settle, each one short transaction.

Two pools: what is published is synced to the disk before the commit returns. Routing and settling
need not wait for it (`settle_durable` says otherwise): should the database server itself crash,
some deliveries are repeated and their last log lines missing, never a message.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import asyncpg

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
from hookline._storage.postgresql.connections import ConnectionLost, Connections, ended
from hookline._storage.postgresql.publication import CHANNEL, SQL, publication
from hookline._storage.schema import HELD, IN_LINE
from hookline._storage.steps import Row, Statement, adrive
from hookline._storage.vault import Vault
from hookline.errors import StorageError

T = TypeVar("T")

ALIVE_MS = 10_000
"""A worker that was silent for so long has no share any more."""
MOST_CACHED = 10_000
"""Targets and routing tables kept in memory."""
FIRST = bytes(16)
PUBLISH_TRIES = (0.05, 0.2, 0.5, 1.0)
"""Seconds between tries to publish over a broken connection; repeating it adds nothing twice."""
VACUUM_EVERY = 50_000
"""Finished deliveries: autovacuum comes too late for a queue, and claims slow down meanwhile."""
VACUUM_LOCK, ROUTE_LOCK = 0x686F6F6B, 0x726F7574
"""Advisory locks: one worker at a time vacuums, and routes where there are ordered endpoints."""
TRY_LOCK = "SELECT pg_try_advisory_xact_lock($1)"
_ATTEMPT_COLUMNS = [
    "message_id", "id", "endpoint_id", "number", "trigger", "started_at", "url", "state", "status",
    "failure", "detail", "response_headers", "response_body", "dns_us", "connect_us", "tls_us",
    "first_byte_us", "total_us", "next_attempt_at",
]  # fmt: skip


class PostgresQueue:
    """`_ports.Queue` on PostgreSQL. `dsn` is asyncpg's: `postgresql://…`."""

    def __init__(
        self,
        dsn: str,
        *,
        response_kept: int = 1024,
        settle_durable: bool = False,
        vault: Vault | None = None,
    ) -> None:
        """`response_kept`: bytes of an answer's body for the log; `vault` opens secrets."""
        self._vault = vault or Vault()
        self._connections = Connections(dsn, settle_durable=settle_durable)
        self._lend, self._transaction = self._connections.lend, self._connections.transaction
        self._kept = response_kept
        self._vacuum: asyncio.Task[None] | None = None
        self._finished = 0
        self._alone = False
        self._cursor = FIRST
        self._tables: dict[bytes, RoutingTable] = {}
        self._targets: dict[bytes, Target] = {}

    async def start(self, on_foreign_write: Callable[[], None]) -> None:
        """Open the pools, and listen for other processes."""
        await self._connections.start(on_foreign_write)

    async def stop(self) -> None:
        """Close everything. Safe to call twice."""
        await ended(self._vacuum)
        self._vacuum = None
        await self._connections.stop()

    async def announce(self) -> None:
        """Tell the workers of other processes that there is work, unless there are none."""
        if self._alone:
            return
        # Missed or failed, the others find the work when they look next.
        with suppress(StorageError):
            async with self._lend() as connection:
                await connection.execute(f"NOTIFY {CHANNEL}")

    async def beat(self, worker: bytes, now: int) -> Share | None:  # noqa: ARG002 - the database's
        """Give a sign of life, by the database's clock; return the share among the living."""
        async with self._transaction() as connection:
            await connection.execute(SQL["beat"], worker, socket.gethostname(), os.getpid())
            living = [row[0] for row in await connection.fetch(SQL["workers"], ALIVE_MS)]
        self._alone = len(living) == 1
        return Share(living.index(worker), len(living))

    async def leave(self, worker: bytes) -> None:
        """Sign off."""
        self._alone = False
        async with self._transaction() as connection:
            await connection.execute(SQL["leave"], worker)

    # publish -------------------------------------------------------------------------------

    async def publish(
        self, messages: Sequence[NewMessage], *, atomic: bool = False
    ) -> list[bytes | Exception]:
        """Commit messages durably, then tell the others once."""
        results = await self._again(lambda: self._publish(messages, atomic=atomic))
        await self.announce()
        return results

    async def _again(self, do: Callable[[], Awaitable[T]]) -> T:
        """Do it once more over a new connection when the old one broke."""
        for pause in PUBLISH_TRIES:
            try:
                return await do()
            except ConnectionLost:
                await asyncio.sleep(pause)
        return await do()

    async def _publish(
        self, messages: Sequence[NewMessage], *, atomic: bool
    ) -> list[bytes | Exception]:
        steps = publication(messages, atomic=atomic, form=bytes)
        if all(message.idempotency_key is None for message in messages):
            async with self._lend(durable=True) as connection:
                return await adrive(steps, partial(_run, connection))
        async with self._transaction(durable=True) as connection:
            return await adrive(steps, partial(_run, connection))

    # route ---------------------------------------------------------------------------------

    async def route(self, room: int, now: int, lease_until: int, room_of: RoomOf) -> Routed:
        """Turn due messages into deliveries; the first `room` are the caller's to send."""
        batch = RouteBatch(room, now, lease_until, room_of)
        async with self._lend() as connection:
            batch.routed.next_due, ordered = await connection.fetchrow(SQL["next_outbox"])
            if batch.routed.next_due is None or batch.routed.next_due > now:
                return batch.routed
            async with connection.transaction():
                # One router at a time, or a younger message could be first in an empty line.
                if not ordered or await connection.fetchval(TRY_LOCK, ROUTE_LOCK):
                    await self._route(connection, batch, alone=ordered)
        return batch.routed

    async def _route(
        self, connection: asyncpg.Connection, batch: RouteBatch, *, alone: bool
    ) -> None:
        due = await connection.fetch(SQL["due_outbox"], batch.now, ROUTE_MESSAGES)
        if not due:
            return  # others are at it
        batch.circuits = await _circuits(connection)
        revisions = {row["app_id"]: row["revision"] for row in due}
        tables = await self._routing_tables(connection, revisions)
        lines = _lines(due, tables)
        if lines and not alone:
            return  # an endpoint became ordered since the look: the next one locks
        if lines:
            await _look_at_lines(connection, batch, lines)
        done = await _fill(connection, batch, due, tables)
        later = await connection.fetchval(
            SQL["write_routed"], *_columns(batch.rows, 5), *_columns(done, 2), batch.now
        )
        all_taken = len(done) == len(due) < ROUTE_MESSAGES
        batch.routed.next_due = later if all_taken else batch.now

    async def _routing_tables(
        self, connection: asyncpg.Connection, revisions: dict[bytes, int | None]
    ) -> dict[bytes, RoutingTable]:
        """Return the applications' routing tables, read again when their endpoints changed."""
        found = {}
        for app, revision in revisions.items():
            if revision is None:
                continue  # the application is gone
            table = self._tables.get(app)
            if table is None or table.revision != revision:
                keys = [tuple(row) for row in await connection.fetch(SQL["app_secrets"], app)]
                rows = await connection.fetch(SQL["app_endpoints"], app)
                subscribers = [row_of.subscriber(r, keys, self._vault) for r in rows]
                table = RoutingTable(revision, subscribers)
                _remember_in(self._tables, app, table)
                for _, _, target in subscribers:
                    _remember_in(self._targets, target.key, target)
            found[app] = table
        return found

    async def _current_targets(
        self, connection: asyncpg.Connection, endpoints: list[bytes]
    ) -> dict[bytes, Target]:
        """Return the endpoints as they are now; those that were deleted are missing."""
        rows = await connection.fetch(SQL["endpoint_revisions"], endpoints)
        current = {key: self._targets.get(key) for key, _ in rows}
        revisions = {key: revision for key, revision in rows}  # noqa: C416 - records
        stale = [k for k, t in current.items() if t is None or t.revision != revisions[k]]
        if stale:
            keys = [tuple(row) for row in await connection.fetch(SQL["secrets"], stale)]
            for row in await connection.fetch(SQL["endpoints"], stale):
                target = row_of.target(row, keys, self._vault)
                _remember_in(self._targets, target.key, target)
                current[target.key] = target
        return {key: target for key, target in current.items() if target is not None}

    # claim ---------------------------------------------------------------------------------

    async def claim(self, room: int, now: int, lease_until: int, room_of: RoomOf) -> Claimed:
        """Lease due deliveries, taking turns between endpoints from where the last claim ended."""
        async with self._transaction() as connection:
            due, next_due = await self._due_endpoints(connection, now)
            if not due:
                return Claimed(next_due=next_due)
            claim = ClaimBatch(room, now, lease_until, room_of, next_due)
            circuits = await self._claim(connection, due, claim)
        return Claimed(claim.leased, claim.next_due, claim.saturated, circuits)

    async def _due_endpoints(
        self, connection: asyncpg.Connection, now: int
    ) -> tuple[list[bytes], int | None]:
        """Return the endpoints with due deliveries, in turn, and when the next other falls due."""
        rows = await connection.fetch(SQL["due_endpoints"], self._cursor, SCAN_ENDPOINTS)
        whole_round = len(rows) < SCAN_ENDPOINTS
        if whole_round and self._cursor != FIRST:
            left = SCAN_ENDPOINTS - len(rows)
            first = await connection.fetch(SQL["due_endpoints"], FIRST, left)
            before = [row for row in first if row[0] <= self._cursor]
            whole_round = len(before) < len(first) or len(first) < left
            rows += before
        due = [endpoint for endpoint, first_due in rows if first_due <= now]
        later = [first_due for _, first_due in rows if now < first_due < IN_LINE]
        if not due and not whole_round:
            self._cursor = rows[-1][0]
            return due, now
        return due, min(later, default=None) if whole_round else now

    async def _claim(
        self, connection: asyncpg.Connection, due: list[bytes], claim: ClaimBatch
    ) -> Circuits:
        circuits = await _circuits(connection)
        targets = await self._current_targets(connection, due)
        share, left = max(FAIR_SHARE, claim.room // len(due)), claim.room
        wants: dict[bytes, int] = {}
        gone = []
        for endpoint in due:
            if left <= 0:
                claim.again(claim.now)
                break
            self._cursor = endpoint
            target = targets.get(endpoint)
            if target is None or target.disabled_reason is not None:
                gone.append(endpoint)
                continue
            circuit = circuits.get(endpoint)
            want = claim.want(target, circuit, min(share, left))
            if want and circuit is not None and circuit.state is not CircuitState.CLOSED:
                want = await _probe(connection, endpoint, claim)
                circuits[endpoint] = circuit.probing(claim.lease_until)
            if want:
                wants[endpoint] = want
                left -= want
        await self._take(connection, claim, wants, targets)
        if gone:
            rows = await _due_rows(connection, dict.fromkeys(gone, ROUTE_ROWS), claim.now)
            held = [(row["message_id"], row["endpoint_id"]) for row in rows]
            await connection.execute(SQL["lease_deliveries"], *_columns(held, 2), 0, HELD)
        return circuits

    @staticmethod
    async def _take(
        connection: asyncpg.Connection,
        claim: ClaimBatch,
        wants: dict[bytes, int],
        targets: dict[bytes, Target],
    ) -> None:
        if not wants:
            return
        found: dict[bytes, list[Sequence[Any]]] = {endpoint: [] for endpoint in wants}
        for row in await _due_rows(connection, wants, claim.now):
            found[row["endpoint_id"]].append(tuple(row)[:8])
        short = [e for e, rows in found.items() if len(rows) < wants[e]]
        later = dict.fromkeys(wants)
        later |= dict(await connection.fetch(SQL["next_deliveries"], short, claim.now))
        for endpoint, rows in found.items():
            claim.found(endpoint, len(rows), wants[endpoint], later[endpoint])
            claim.take(targets[endpoint], rows)
        leased = [(d.message, d.target.key) for d in claim.leased]
        await connection.execute(
            SQL["lease_deliveries"], *_columns(leased, 2), claim.lease, claim.lease_until
        )

    # settle --------------------------------------------------------------------------------

    async def settle(self, settlements: Sequence[Settlement], now: int) -> Settled:
        """Write attempts, move deliveries on; a lost lease changes nothing."""
        async with self._transaction() as connection:
            await _lock_lines(
                connection,
                {s.delivery.target.key for s in settlements if s.delivery.line is not None},
            )
            ours = await _move_on(connection, settlements)
            kept = [_take(ours, _where(s)) for s in settlements]
            await connection.copy_records_to_table(
                "hookline_attempt",
                columns=_ATTEMPT_COLUMNS,
                records=[
                    row_of.attempt(s, self._kept)
                    for s, still_ours in zip(settlements, kept, strict=True)
                    if still_ours
                ],
            )
            lines = row_of.lines_left(settlements, kept)
            if lines:
                await connection.execute(SQL["next_in_line"], *_columns(lines, 2), now, IN_LINE)
            health = await _judge(connection, settlements, kept, now)
        self._count_finished(sum(kept))
        return Settled(kept, health)

    async def renew(self, deliveries: Iterable[Leased], lease_until: int) -> None:
        """Push leases further out."""
        await self._move(deliveries, lease_until, keep_lease=True)

    async def release(self, deliveries: Iterable[Leased], now: int) -> None:
        """Give deliveries back, due at once."""
        await self._move(deliveries, now, keep_lease=False)
        await self.announce()

    async def _move(self, deliveries: Iterable[Leased], at: int, *, keep_lease: bool) -> None:
        rows = [(d.message, d.target.key, d.lease) for d in deliveries]
        async with self._transaction() as connection:
            await connection.execute(SQL["move_deliveries"], *_columns(rows, 3), at, keep_lease)

    def _count_finished(self, count: int) -> None:
        self._finished += count
        if self._finished >= VACUUM_EVERY and (self._vacuum is None or self._vacuum.done()):
            self._finished = 0
            self._vacuum = asyncio.create_task(self._vacuum_queue())

    async def _vacuum_queue(self) -> None:
        """Vacuum the queue's tables; one worker at a time."""
        # Not the owner of the tables, or busy elsewhere: autovacuum does it, only later.
        with suppress(StorageError):
            async with self._lend() as connection:
                if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", VACUUM_LOCK):
                    return
                try:
                    await connection.execute(
                        "VACUUM (TRUNCATE OFF) hookline_delivery, hookline_outbox"
                    )
                finally:
                    await connection.execute("SELECT pg_advisory_unlock($1)", VACUUM_LOCK)


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Turn rows into arrays for unnest."""
    return [[row[i] for row in rows] for i in range(width)]


def _remember_in(cache: dict[bytes, Any], key: bytes, value: Any) -> None:
    if len(cache) >= MOST_CACHED:
        cache.clear()
    cache[key] = value


async def _run(connection: asyncpg.Connection, statement: Statement) -> Row:
    row: Row = await connection.fetchrow(statement.sql, *statement.values)
    return row


async def _fill(
    connection: asyncpg.Connection,
    batch: RouteBatch,
    due: Sequence[Any],
    tables: dict[bytes, RoutingTable],
) -> list[tuple[int, bytes]]:
    """Fill the batch; return the outbox rows that are done."""
    done = []
    for due_at, message, after, app, event_type, body, ordering_key, channels, trace, _ in due:
        wanted = _wanted(tables, app, event_type, channels)
        if wanted and batch.full:
            break
        last = batch.add(wanted, after, message, event_type, body, ordering_key, trace)
        if last is not None:
            await connection.execute(SQL["advance_outbox"], last, due_at, message)
            break
        done.append((due_at, message))
    return done


def _wanted(
    tables: dict[bytes, RoutingTable], app: bytes, event_type: str, channels: str | None
) -> Sequence[Target]:
    table = tables.get(app)
    return table.wanted(event_type, channels) if table is not None else ()


def _lines(due: Sequence[Any], tables: dict[bytes, RoutingTable]) -> list[tuple[bytes, str]]:
    """Return the lines of ordered endpoints that these messages join."""
    return sorted(
        {
            (target.key, row["ordering_key"] or "")
            for row in due
            for target in _wanted(tables, row["app_id"], row["event_type"], row["channels"])
            if target.ordered
        }
    )


async def _look_at_lines(
    connection: asyncpg.Connection, batch: RouteBatch, lines: Sequence[tuple[bytes, str]]
) -> None:
    """Note which of the lines somebody stands in."""
    # Held to the end of the transaction: nobody's head ends between the look and the write.
    await _lock_lines(connection, {endpoint for endpoint, _ in lines})
    found = await connection.fetch(SQL["lines_occupied"], *_columns(lines, 2))
    batch.occupied |= {(row[0], row[1]) for row in found}


async def _lock_lines(connection: asyncpg.Connection, endpoints: set[bytes]) -> None:
    for endpoint in sorted(endpoints):
        number = int.from_bytes(endpoint[8:], signed=True)
        await connection.execute("SELECT pg_advisory_xact_lock($1)", number)


async def _circuits(connection: asyncpg.Connection) -> Circuits:
    """Return the circuits that restrict endpoints."""
    rows = await connection.fetch(SQL["restricting_circuits"])
    return {row[0]: row_of.circuit(tuple(row)[1:]) for row in rows}


async def _probe(connection: asyncpg.Connection, endpoint: bytes, claim: ClaimBatch) -> int:
    """Return 1 when this worker won the right to probe an open circuit, 0 otherwise."""
    won = await connection.fetchval(SQL["probe"], endpoint, claim.lease_until, claim.now)
    return int(won is not None)


async def _due_rows(connection: asyncpg.Connection, wants: dict[bytes, int], now: int) -> list[Any]:
    rows: list[Any] = await connection.fetch(
        SQL["due_deliveries"], list(wants), list(wants.values()), now
    )
    return rows


async def _move_on(
    connection: asyncpg.Connection, settlements: Sequence[Settlement]
) -> set[tuple[bytes, bytes, int]]:
    """Move deliveries on, fenced by their leases; return those that were still ours."""
    done, staying = [], []
    for s in settlements:
        if row_of.is_final(s):
            done.append(_where(s))
        else:
            staying.append((*_where(s), *row_of.kept_on(s)))
    moved = []
    if done:
        moved += await connection.fetch(SQL["finish_deliveries"], *_columns(done, 3))
    if staying:
        moved += await connection.fetch(SQL["keep_deliveries"], *_columns(staying, 5))
    return {(row[0], row[1], row[2]) for row in moved}


def _take(ours: set[tuple[bytes, bytes, int]], where: tuple[bytes, bytes, int]) -> bool:
    """Return whether a lease was still ours, once: a batch may hold two settlements of it."""
    if where not in ours:
        return False
    ours.remove(where)
    return True


def _where(settlement: Settlement) -> tuple[bytes, bytes, int]:
    delivery = settlement.delivery
    return delivery.message, delivery.target.key, delivery.lease


async def _judge(
    connection: asyncpg.Connection, settlements: Sequence[Settlement], kept: list[bool], now: int
) -> dict[bytes, Health]:
    """Judge the endpoints of a batch that are or were in trouble, and write what changed."""
    groups = row_of.by_endpoint(settlements, kept)
    rows = await connection.fetch(SQL["circuits"], list(groups))
    before = {row[0]: row_of.circuit(tuple(row)[1:]) for row in rows}
    found = {}
    for endpoint, group in sorted(groups.items()):
        circuit = before.get(endpoint)
        if circuit is None and row_of.all_well(group):
            continue
        found[endpoint] = health = row_of.health(group, circuit, now)
        if health.circuit != circuit:
            await _write_circuit(connection, endpoint, health.circuit)
        reason = row_of.disable_reason(group, health)
        if reason is not None:
            await connection.execute(SQL["disable_endpoint"], endpoint, now, reason)
            await connection.execute(SQL["touch_app"], endpoint)
    return found


async def _write_circuit(
    connection: asyncpg.Connection, endpoint: bytes, circuit: Circuit | None
) -> None:
    if circuit is None:
        await connection.execute(SQL["delete_circuit"], endpoint)
    else:
        await connection.execute(SQL["write_circuit"], endpoint, *circuit)
