"""The hot path on SQLite: publish, route, claim, settle, each a job for the lane."""

import asyncio
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from sqlite3 import Connection
from typing import Any

import orjson

from hookline._domain.delivery import Decision, DeliveryState
from hookline._domain.endpoint import SigningSecret, Target
from hookline._engine.publish import IDEMPOTENCY_WINDOW, conflict
from hookline._engine.route import RoutingTable
from hookline._ports import Claimed, Leased, NewMessage, Routed, Settlement
from hookline._storage.schema import HELD
from hookline._storage.sqlite.lane import Lane
from hookline._storage.sqlite.sql import SQL

ROUTE_MESSAGES = 256
ROUTE_ROWS = 1000
"""Most messages read and deliveries written in one routing batch: a message with more endpoints
is routed in steps, so that nobody waits long for the write lock."""
SCAN_ENDPOINTS = 1000
"""Endpoints one claim looks at."""
FAIR_SHARE = 4
"""Deliveries an endpoint gets per claim at least, before the next endpoint has its turn."""
MOST_CACHED = 10_000
"""Targets and routing tables kept in memory."""


class SqliteQueue:
    """`_ports.Queue` on one SQLite file."""

    def __init__(self, path: str, *, response_kept: int = 1024) -> None:
        """`response_kept`: bytes of an answer's body that go into the log."""
        self._path = path
        self._kept = response_kept
        self._lane: Lane | None = None
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
        await asyncio.to_thread(lane.open)
        self._lane = lane

    async def stop(self) -> None:
        """Finish what is queued and close the file."""
        lane, self._lane = self._lane, None
        if lane is not None:
            await asyncio.to_thread(lane.close)

    @property
    def _open(self) -> Lane:
        if self._lane is None:
            raise RuntimeError("the queue is not open")
        return self._lane

    # publish -------------------------------------------------------------------------------

    async def publish(self, messages: Sequence[NewMessage]) -> list[bytes | Exception]:
        """Commit messages durably, with their idempotency keys."""

        def job(connection: Connection) -> list[bytes | Exception]:
            results: list[bytes | Exception] = []
            fresh = []
            for message in messages:
                result = _remember(connection, message)
                if result is message.key:
                    fresh.append(message)
                results.append(result)
            connection.executemany(
                SQL["insert_message"],
                [(m.key, m.app, m.event_type, m.body, m.created_at) for m in fresh],
            )
            connection.executemany(SQL["insert_outbox"], [(m.due_at, m.key) for m in fresh])
            return results

        results: list[bytes | Exception] = await self._open.submit(job, durable=True)
        return results

    # route ---------------------------------------------------------------------------------

    async def route(self, room: int, now: int, lease_until: int) -> Routed:
        """Turn due messages into deliveries; the first `room` are the caller's to send."""
        nothing = Routed()

        def look(connection: Connection) -> bool | None:
            nothing.next_due = connection.execute(SQL["next_outbox"]).fetchone()[0]
            return True if nothing.next_due is not None and nothing.next_due <= now else None

        def job(connection: Connection, _: bool) -> Routed:
            return self._route(connection, room, now, lease_until)

        routed: Routed = await self._open.submit(job, look=look, nothing=nothing)
        return routed

    def _route(self, connection: Connection, room: int, now: int, lease_until: int) -> Routed:
        due = connection.execute(SQL["due_outbox"], (now, ROUTE_MESSAGES)).fetchall()
        routed, lease = Routed(), _new_lease()
        rows: list[tuple[bytes, bytes, int, int]] = []
        done = []
        for due_at, message, after, app, event_type, body in due:
            wanted = self._table(connection, app).wanted(event_type)
            if after is None:
                active = sum(1 for target in wanted if target.disabled_reason is None)
                routed.counts.append((message, event_type, active))
            else:
                wanted = tuple(target for target in wanted if target.key > after)
            step = wanted[: ROUTE_ROWS - len(rows)]
            for target in step:
                if target.disabled_reason is not None:
                    rows.append((message, target.key, 0, HELD))
                elif len(routed.leased) < room:
                    rows.append((message, target.key, lease, lease_until))
                    routed.leased.append(Leased(message, event_type, body, target, 0, lease))
                else:
                    rows.append((message, target.key, 0, now))
                    routed.waiting = True
            if len(step) < len(wanted):
                if step:
                    connection.execute(SQL["advance_outbox"], (step[-1].key, due_at, message))
                break
            done.append((due_at, message))
        connection.executemany(SQL["insert_delivery"], rows)
        connection.executemany(SQL["delete_outbox"], done)
        routed.next_due = connection.execute(SQL["next_outbox"]).fetchone()[0]
        return routed

    def _table(self, connection: Connection, app: bytes) -> RoutingTable:
        """Return the application's routing table, read again when its endpoints changed."""
        found = connection.execute(SQL["app_revision"], (app,)).fetchone()
        revision = found[0] if found else -1
        table = self._tables.get(app)
        if table is None or table.revision != revision:
            keys = connection.execute(SQL["app_secrets"], (app,)).fetchall()
            rows = connection.execute(SQL["app_endpoints"], (app,)).fetchall()
            subscribers = [(json.loads(row[8]), _target(row, keys)) for row in rows]
            table = RoutingTable(revision, subscribers)
            _remember_in(self._tables, app, table)
            for _, target in subscribers:
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
            row = connection.execute(SQL["one_endpoint"], (endpoint,)).fetchone()
            target = _target(row, keys)
            _remember_in(self._targets, endpoint, target)
        return target

    # claim ---------------------------------------------------------------------------------

    async def claim(self, room: int, now: int, lease_until: int) -> Claimed:
        """Lease due deliveries, taking turns between endpoints from where the last claim ended."""
        nothing = Claimed()

        def look(connection: Connection) -> list[bytes] | None:
            due, nothing.next_due = self._due_endpoints(connection, now)
            return due or None

        def job(connection: Connection, due: list[bytes]) -> Claimed:
            return self._claim(connection, due, nothing.next_due, room, now, lease_until)

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
        later = [first_due for _, first_due in rows if now < first_due < HELD]
        if not due and not whole_round:
            self._cursor = rows[-1][0]
            return due, now
        return due, min(later, default=None) if whole_round else now

    @staticmethod
    def _scan(connection: Connection, after: bytes, most: int) -> list[tuple[bytes, int]]:
        if most < 1:
            return []
        return connection.execute(SQL["due_endpoints"], {"after": after, "most": most}).fetchall()

    def _claim(
        self,
        connection: Connection,
        due: list[bytes],
        next_due: int | None,
        room: int,
        now: int,
        lease_until: int,
    ) -> Claimed:
        lease, share = _new_lease(), max(FAIR_SHARE, room // len(due))
        leased: list[Leased] = []
        held: list[tuple[int, int, bytes, bytes]] = []
        for endpoint in due:
            if len(leased) >= room:
                next_due = now
                break
            self._cursor = endpoint
            want = min(share, room - len(leased))
            rows = connection.execute(SQL["due_deliveries"], (endpoint, now, want)).fetchall()
            if len(rows) == want:
                next_due = now  # it may have more
            else:
                after = connection.execute(SQL["next_delivery"], (endpoint, now)).fetchone()[0]
                if after is not None and after < HELD:
                    next_due = after if next_due is None else min(next_due, after)
            target = self._current_target(connection, endpoint)
            if target is None or target.disabled_reason is not None:
                held += [(0, HELD, message, endpoint) for message, *_ in rows]
                continue
            leased += [
                Leased(message, event_type, body, target, attempts, lease)
                for message, attempts, event_type, body in rows
            ]
        connection.executemany(
            SQL["lease_delivery"],
            [(lease, lease_until, d.message, d.target.key) for d in leased] + held,
        )
        return Claimed(leased, next_due)

    # settle --------------------------------------------------------------------------------

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Write attempts, move deliveries on; a lost lease changes nothing."""

        def job(connection: Connection) -> list[bool]:
            cursor = connection.cursor()
            kept = [_move_on(cursor, s) == 1 for s in settlements]
            connection.executemany(
                SQL["insert_attempt"],
                [
                    _attempt_row(s, self._kept)
                    for s, still_ours in zip(settlements, kept, strict=True)
                    if still_ours
                ],
            )
            return kept

        kept: list[bool] = await self._open.submit(job)
        return kept

    async def renew(self, deliveries: Iterable[Leased], lease_until: int) -> None:
        """Push leases further out."""
        rows = [(lease_until, d.message, d.target.key, d.lease) for d in deliveries]
        await self._open.submit(lambda c: c.executemany(SQL["renew_delivery"], rows).rowcount)

    async def release(self, deliveries: Iterable[Leased], now: int) -> None:
        """Give deliveries back, due at once."""
        rows = [(now, d.message, d.target.key, d.lease) for d in deliveries]
        await self._open.submit(lambda c: c.executemany(SQL["release_delivery"], rows).rowcount)


def _new_lease() -> int:
    """Return a claim's own number: never 0, never used before, so no row can be mistaken."""
    return secrets.randbits(62) + 1


def _remember_in(cache: dict[bytes, Any], key: bytes, value: Any) -> None:
    if len(cache) >= MOST_CACHED:
        cache.clear()
    cache[key] = value


def _remember(connection: Connection, message: NewMessage) -> bytes | Exception:
    """Return the key of the message its idempotency key stands for: its own when it is new."""
    if message.idempotency_key is None:
        return message.key
    # The window is measured from the publish: `due_at` may lie in the future, the key's time not.
    published = int.from_bytes(message.key[:6])
    taken = connection.execute(
        SQL["remember_key"],
        {
            "app": message.app,
            "key": message.idempotency_key,
            "message": message.key,
            "digest": message.digest,
            "now": published,
            "expires_at": published + IDEMPOTENCY_WINDOW,
        },
    ).fetchone()
    if taken is not None:
        return message.key
    older, digest = connection.execute(
        SQL["find_key"], (message.app, message.idempotency_key)
    ).fetchone()
    if digest != message.digest:
        return conflict(message.idempotency_key)
    return bytes(older)


def _target(row: Sequence[Any], keys: Sequence[tuple[bytes, str, int | None]]) -> Target:
    key, revision, url, headers, schedule, timeout, reason, disabled_at, _ = row
    return Target(
        key=key,
        revision=revision,
        url=url,
        header_lines=tuple(f"{name}: {value}" for name, value in json.loads(headers).items()),
        secrets=tuple(SigningSecret(text, ends) for owner, text, ends in keys if owner == key),
        retry_schedule=tuple(json.loads(schedule)) if schedule else None,
        timeout=timeout,
        disabled_reason=(reason or "disabled") if disabled_at is not None else None,
    )


def _move_on(cursor: Any, settlement: Settlement) -> int:
    """Move one delivery on, fenced by its lease; return how many rows that changed: 1, or 0."""
    delivery, decision = settlement.delivery, settlement.decision
    where = (delivery.message, delivery.target.key, delivery.lease)
    if decision.state is DeliveryState.PENDING:
        cursor.execute(SQL["keep_delivery"], (decision.next_attempt_at, *where))
    elif decision.state is DeliveryState.HELD:
        cursor.execute(SQL["keep_delivery"], (HELD, *where))
    else:
        cursor.execute(SQL["finish_delivery"], where)
    changed: int = cursor.rowcount
    if changed and decision.disable_endpoint is not None:
        _disable(cursor, delivery.target.key, decision, settlement.started_at)
    return changed


def _disable(cursor: Any, endpoint: bytes, decision: Decision, now: int) -> None:
    cursor.execute(
        SQL["disable_endpoint"],
        {"endpoint": endpoint, "reason": decision.disable_endpoint, "now": now},
    )
    if cursor.rowcount:
        cursor.execute(SQL["touch_app"], (endpoint,))


def _attempt_row(settlement: Settlement, kept: int) -> tuple[Any, ...]:
    delivery, outcome, decision = settlement.delivery, settlement.outcome, settlement.decision
    times = outcome.timings
    return (
        delivery.message,
        settlement.key,
        delivery.target.key,
        delivery.attempts + 1,
        settlement.started_at,
        delivery.target.url,
        decision.state.value,
        outcome.status,
        outcome.failure.value if outcome.failure is not None else None,
        outcome.detail,
        orjson.dumps(outcome.headers).decode() if outcome.headers else "[]",
        outcome.body[:kept],
        times.dns,
        times.connect,
        times.tls,
        times.first_byte,
        times.total,
        decision.next_attempt_at,
    )
