"""Finding what a replay selects, page by page along the keys there are, and making it due.

Three walks, each a range of one index read in its order, so that a page costs the same wherever it
is and however much is selected:

- `LIVE`: the live queue by message and endpoint, for what is held or waits for a retry;
- `LOG`: the attempts of one endpoint after the other (or of the one message), for what has ended;
- `MISSING`: the messages, for what an endpoint wants and never got.

A page gives candidates. Whether one is selected is judged from its live row and its last attempt,
as they are then: once when it is found, and again in the transaction that makes it due.
"""

import json
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hookline._domain import ids
from hookline._domain.delivery import DeliveryState
from hookline._domain.endpoint import Target, matches
from hookline._domain.expression import Document
from hookline._domain.replay import Selection
from hookline._engine.route import RoutingTable, Subscriber
from hookline._storage.batch import MOST_STEPS
from hookline._storage.part import Transaction
from hookline._storage.rows import first_key, milliseconds
from hookline._storage.schema import (
    HELD,
    IN_LINE,
    Key,
    application,
    attempt,
    delivery,
    endpoint,
    handshake,
    message,
    outbox,
)

SCAN = 2000
"""Rows that a page reads of an index, at most; of each of its endpoints in the log."""
PAGE = 500
"""Candidates on one page, and so deliveries made due in one step, at most."""
BODIES = 16
"""Bodies that filters look at, in memory at a time."""
PAGE_ENDPOINTS = 10
"""Endpoints whose log a page looks at, at most."""
SKEW = 3_600_000
"""Milliseconds by which the clocks of two machines may differ: an attempt made on one may seem that
much older than its message, or than the attempt before it."""
MOST_CACHED = 1000
"""Applications whose endpoints are kept in memory."""
START, END = bytes(16), b"\xff" * 16
LOCK = 0x7265706C
"""PostgreSQL's advisory lock around what a step writes, beside the application's own number."""
_PENDING = sa.select(handshake.c.endpoint_id).where(handshake.c.endpoint_id == endpoint.c.id)
SENT_TO = sa.and_(endpoint.c.disabled_at.is_(None), ~_PENDING.exists())
"""Of an endpoint: it is neither disabled nor pending."""
RELEASED = 1024
"""Held deliveries that `release` makes due, at most."""
_ALONG_INDEXES = sa.select(
    *(
        sa.func.set_config(name, "off", sa.true())
        for name in ("enable_seqscan", "enable_bitmapscan", "jit")
    )
)


class Walk(IntEnum):
    """The order in which a job reads; stored in its row."""

    LIVE = 0
    LOG = 1
    MISSING = 2


class Cursor(NamedTuple):
    """Where a page ended: in which walk, and after which keys of it.

    Message and endpoint in the live queue and among the messages, endpoint and attempt in the log.
    """

    walk: Walk
    first: bytes
    second: bytes


HERE = Cursor(Walk.LIVE, START, START)
"""The place of a delivery that was not found by walking."""


class Candidate(NamedTuple):
    """A delivery that may be selected, and where it was found; `number` is its attempt's."""

    at: Cursor
    message: bytes
    endpoint: bytes
    number: int = 0


class Page(NamedTuple):
    """Candidates of one walk, and where the next page begins; None after the last one."""

    candidates: list[Candidate]
    end: Cursor | None


class Chosen(NamedTuple):
    """A selected delivery: its live row if there is one, and what a new one would need."""

    candidate: Candidate
    live: Any
    line: str | None


@dataclass(slots=True)
class Audience:
    """The enabled endpoints a replay may send to. `refusal` says why there is none."""

    table: RoutingTable
    targets: dict[bytes, Target]
    keys: list[bytes]
    refusal: str | None = None


@dataclass(slots=True)
class Frame:
    """A selection in the terms of the tables.

    Messages from `low` until before `high`; only attempts before `fence` count, the key of the job:
    what the job itself sets off is never selected again. `log_begins` is the oldest message of
    which the log is still complete.
    """

    app: bytes
    selection: Selection
    audience: Audience
    message: bytes | None
    low: bytes
    high: bytes
    fence: bytes
    log_begins: bytes
    walks: list[Walk] = field(default_factory=list)

    @property
    def start(self) -> Cursor | None:
        """Where the first page begins."""
        return Cursor(self.walks[0], START, START) if self.walks else None

    def after(self, walk: Walk) -> Cursor | None:
        """Where the next walk begins, None after the last one."""
        later = [w for w in self.walks if w > walk]
        return Cursor(later[0], START, START) if later else None

    def wants_type(self, event_type: str) -> bool:
        """Whether the selection takes the event type."""
        types = self.selection.event_types
        return not types or matches(types, event_type)

    def wants(self, row: Any) -> bool:
        """Whether the selection takes a message."""
        marks = (self.selection.channel, row.channels), (self.selection.tag, row.tags)
        return self.wants_type(row.event_type) and all(
            mark is None or mark in json.loads(own or "[]") for mark, own in marks
        )

    def answered(self, status: Any) -> sa.ColumnElement[bool]:
        """Return the condition for a column: that the selection takes what was answered."""
        wanted = self.selection.status_class
        if wanted is None:
            return sa.true()
        none: sa.ColumnElement[bool] = status.is_(None)
        return none if wanted == 0 else status.between(wanted, wanted + 99)


async def along_indexes(connection: AsyncConnection) -> None:
    """Have PostgreSQL walk indexes only until the transaction ends.

    Statistics of a queue and of today's log are out of date as soon as they are made: a plan that
    was right for a small table must not read a large one.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(_ALONG_INDEXES)


def frame(
    app: bytes, selection: Selection, audience: Audience, fence: bytes, log_begins: bytes
) -> Frame:
    """Return the frame of a selection."""
    low, high, only = START, fence, None
    if selection.message is not None:
        only = low = ids.decode(ids.MESSAGE, selection.message) or START
        high = (int.from_bytes(low) + 1).to_bytes(16)
    if selection.since is not None:
        low = first_key(milliseconds(selection.since))
    if selection.until is not None:
        high = min(fence, first_key(milliseconds(selection.until)))
    asked = {
        Walk.LIVE: bool(selection.live),
        Walk.LOG: bool(selection.final),
        Walk.MISSING: selection.missing,
    }
    walks = [walk for walk in Walk if asked[walk] and low < high]
    return Frame(app, selection, audience, only, low, high, fence, log_begins, walks)


class Audiences:
    """The endpoints of applications, read again when one of them changed."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._known: dict[bytes, Audience] = {}

    async def of(
        self, connection: AsyncConnection, app: bytes, endpoint_id: str | None
    ) -> Audience:
        """Return the one endpoint that is named, or all of the application."""
        if endpoint_id is not None:
            key = ids.decode(ids.ENDPOINT, endpoint_id) or START
            found = await _endpoints(connection, endpoint.c.id == key)
            rows = [row for row in found if row.app_id == app]
            return _audience(0, rows, _refusal(endpoint_id, rows))
        revision = await connection.scalar(
            sa.select(application.c.revision).where(application.c.id == app)
        )
        known = self._known.get(app)
        if known is None or known.table.revision != revision:
            everyone = await _endpoints(connection, endpoint.c.app_id == app)
            known = _audience(revision or 0, everyone, None)
            if len(self._known) >= MOST_CACHED:
                self._known.clear()
            self._known[app] = known
        return known


async def _endpoints(connection: AsyncConnection, *which: sa.ColumnElement[bool]) -> Sequence[Any]:
    columns = endpoint.c
    found = await connection.execute(
        sa.select(
            columns.id,
            columns.app_id,
            columns.url,
            columns.events,
            columns.ordered,
            columns.options,
            columns.revision,
            columns.disabled_at,
            columns.disabled_reason,
            _PENDING.exists().label("pending"),
        )
        .where(*which)
        .order_by(columns.id)
    )
    return found.all()


def _audience(revision: int, rows: Iterable[Any], refusal: str | None) -> Audience:
    enabled = [row for row in rows if row.disabled_at is None and not row.pending]
    targets = {
        row.id: Target(
            row.id,
            row.revision,
            row.url,
            ordered=row.ordered,
            filter=row.options.get("filter"),
        )
        for row in enabled
    }
    subscribers = [
        Subscriber(row.events, row.options.get("channels", ()), targets[row.id]) for row in enabled
    ]
    table = RoutingTable(revision, subscribers)
    return Audience(table, targets, list(targets), refusal)


def _refusal(endpoint_id: str, rows: Sequence[Any]) -> str | None:
    if not rows:
        return f"endpoint {endpoint_id} does not exist any more"
    if rows[0].disabled_at is not None:
        why = rows[0].disabled_reason or "disabled"
        return f"endpoint {endpoint_id} is disabled ({why}); enable it, then replay again"
    if rows[0].pending:
        return f"endpoint {endpoint_id} is pending; verify it, then replay again"
    return None


# finding -----------------------------------------------------------------------------------------


async def page(connection: AsyncConnection, f: Frame, cursor: Cursor) -> Page:
    """Return the page after the cursor."""
    if cursor.walk is Walk.LIVE:
        return await _live_page(connection, f, cursor)
    if cursor.walk is Walk.MISSING:
        return await _missing_page(connection, f, cursor)
    if f.message is not None:
        return await _log_page_of_message(connection, f, cursor)
    return await _log_page(connection, f, cursor)


async def _part(
    connection: AsyncConnection,
    keys: Sequence[sa.Column[Any]],
    others: Sequence[sa.Column[Any]],
    where: Sequence[sa.ColumnElement[bool]],
    keep: Callable[[Any], Sequence[sa.ColumnElement[bool]]],
    most: int = PAGE,
) -> tuple[Sequence[Any], Any]:
    """Return what to keep of the next `SCAN` rows, in the order of their keys; `most` at most.

    And the keys of the row at which this ended, None when there were no more rows.
    """
    part = sa.select(*keys, *others).where(*where).order_by(*keys).limit(SCAN).subquery()
    order = [part.c[key.name] for key in keys]
    kept = sa.select(part).where(*keep(part.c)).order_by(*order).limit(most)
    rows = (await connection.execute(kept)).all()
    if len(rows) == most:
        return rows, rows[-1]
    last = sa.select(*keys).where(*where).order_by(*keys).offset(SCAN - 1).limit(1)
    return rows, (await connection.execute(last)).first()


async def _live_page(connection: AsyncConnection, f: Frame, cursor: Cursor) -> Page:
    """Read the live queue."""
    columns, one = delivery.c, f.audience.keys if len(f.audience.keys) == 1 else None
    held_only = f.selection.live == {DeliveryState.HELD}

    def keep(part: Any) -> list[sa.ColumnElement[bool]]:
        mine = [part.endpoint_id == one[0]] if one else []
        return [*mine, part.next_attempt_at == HELD] if held_only else mine

    after = sa.tuple_(*max((cursor.first, cursor.second), (f.low, START)), types=[Key, Key])
    rows, end = await _part(
        connection,
        [columns.message_id, columns.endpoint_id],
        [columns.next_attempt_at],
        [
            sa.tuple_(columns.message_id, columns.endpoint_id) > after,
            columns.message_id < f.high,
        ],
        keep,
    )
    places = [Cursor(Walk.LIVE, row.message_id, row.endpoint_id) for row in rows]
    candidates = [Candidate(at, *at[1:]) for at in places if at.second in f.audience.targets]
    if end is None:
        return Page(candidates, f.after(Walk.LIVE))
    return Page(candidates, Cursor(Walk.LIVE, end.message_id, end.endpoint_id))


async def _log_page(connection: AsyncConnection, f: Frame, cursor: Cursor) -> Page:
    """Read the log of one endpoint after the other."""
    begin = first_key(ids.milliseconds(f.low) - SKEW)
    keys, first = f.audience.keys, bisect_left(f.audience.keys, cursor.first)
    candidates: list[Candidate] = []
    for key in keys[first : first + PAGE_ENDPOINTS]:
        after = max(begin, cursor.second if key == cursor.first else START)
        where = attempt.c.endpoint_id == key, attempt.c.id > after
        rows, end = await _attempts(connection, f, where, PAGE - len(candidates))
        candidates += [
            Candidate(Cursor(Walk.LOG, key, row.id), row.message_id, key, row.number)
            for row in rows
        ]
        if end is not None:
            return Page(candidates, Cursor(Walk.LOG, key, end.id))
    if first + PAGE_ENDPOINTS < len(keys):
        return Page(candidates, Cursor(Walk.LOG, keys[first + PAGE_ENDPOINTS], START))
    return Page(candidates, f.after(Walk.LOG))


async def _log_page_of_message(connection: AsyncConnection, f: Frame, cursor: Cursor) -> Page:
    """Read the log of the one message."""
    where = attempt.c.message_id == f.message, attempt.c.id > cursor.second
    rows, end = await _attempts(connection, f, where, PAGE)
    candidates = [
        Candidate(Cursor(Walk.LOG, START, row.id), row.message_id, row.endpoint_id, row.number)
        for row in rows
        if row.endpoint_id in f.audience.targets
    ]
    return Page(candidates, Cursor(Walk.LOG, START, end.id) if end else f.after(Walk.LOG))


async def _attempts(
    connection: AsyncConnection, f: Frame, where: Sequence[sa.ColumnElement[bool]], most: int
) -> tuple[Sequence[Any], Any]:
    columns, states = attempt.c, sorted(f.selection.final)
    return await _part(
        connection,
        [columns.id],
        [columns.message_id, columns.endpoint_id, columns.number, columns.state, columns.status],
        [*where, columns.id < f.fence],
        lambda part: [
            f.answered(part.status),
            part.state.in_(states),
            part.message_id >= f.low,
            part.message_id < f.high,
        ],
        most,
    )


async def _missing_page(connection: AsyncConnection, f: Frame, cursor: Cursor) -> Page:
    """Read the messages; each is a candidate for every endpoint that wants it.

    The page ends early when filters have had enough to do.
    """
    columns = message.c
    rows, end = await _part(
        connection,
        [columns.id],
        [columns.app_id, columns.event_type, columns.channels, columns.only_endpoint],
        [columns.id >= max(f.low, f.log_begins, cursor.first), columns.id < f.high],
        lambda part: [part.app_id == f.app, part.only_endpoint.is_(None)],
    )
    candidates: list[Candidate] = []
    asked = [row for row in rows if f.wants_type(row.event_type)]
    sieve = _Sieve(connection, [(row.id, _wanted(f, row)) for row in asked])
    for row in asked:
        for target in _wanted(f, row):
            at = Cursor(Walk.MISSING, row.id, target.key)
            if at <= cursor:
                continue
            if target.filter is None or await sieve.passes(row.id, target):
                candidates.append(Candidate(at, row.id, target.key))
            if len(candidates) == PAGE or sieve.full:
                return Page(candidates, at)
    return Page(candidates, Cursor(Walk.MISSING, end.id, END) if end else f.after(Walk.MISSING))


def _wanted(f: Frame, row: Any) -> Sequence[Target]:
    return f.audience.table.wanted(row.event_type, row.channels)


class _Sieve:
    """The filters of endpoints, applied to stored messages as routing applies them."""

    def __init__(
        self, connection: AsyncConnection, wanted: Iterable[tuple[bytes, Sequence[Target]]]
    ) -> None:
        """Take the messages in their order, each with the endpoints that want it."""
        self._connection = connection
        self._ahead = deque(
            key for key, targets in wanted if any(target.filter is not None for target in targets)
        )
        self._documents: dict[bytes, Document] = {}
        self._steps = 0

    @property
    def full(self) -> bool:
        """Whether filters made as many steps as one page may take."""
        return self._steps >= MOST_STEPS

    async def passes(self, key: bytes, target: Target) -> bool:
        """Return whether an endpoint's filter lets a message through."""
        if key not in self._documents:
            self._documents = await self._next(key)
        verdict = target.judges(self._documents[key])
        self._steps += verdict.steps
        return verdict.passes

    async def _next(self, key: bytes) -> dict[bytes, Document]:
        """Return the bodies from that message on."""
        while self._ahead[0] != key:
            self._ahead.popleft()
        batch = [self._ahead.popleft() for _ in range(min(BODIES, len(self._ahead)))]
        columns = message.c
        rows = await self._connection.execute(
            sa.select(columns.id, columns.body).where(columns.id.in_(_padded(batch)))
        )
        bodies = {row.id: bytes(row.body) for row in rows}
        # One that is gone meanwhile is nothing to filter: `judge` does not find it either.
        return {each: Document(bodies.get(each, b"")) for each in batch}


# judging -----------------------------------------------------------------------------------------


async def judge(
    connection: AsyncConnection,
    f: Frame,
    candidates: Sequence[Candidate],
    now: int,
    *,
    locked: bool = False,
) -> list[Chosen]:
    """Return those of one page that are selected as things stand, in their order.

    `locked`: lock their live rows until the transaction ends.
    """
    if not candidates:
        return []
    messages = await _messages(connection, f, {c.message for c in candidates})
    candidates = [c for c in candidates if c.message in messages]
    if not candidates:
        return []
    walk = candidates[0].at.walk
    live = await _live_rows(connection, candidates, locked=locked)
    if walk is Walk.LIVE:
        states = f.selection.live
        kept = [c for c in candidates if _waits_as(live.get(c[1:3]), now) in states]
        if kept and f.selection.status_class is not None:
            said = await _last_classes(connection, kept)
            kept = [c for c in kept if said.get(c[1:3]) == f.selection.status_class]
    elif walk is Walk.LOG:
        last = await _last_numbers(connection, candidates, min(c.at.second for c in candidates))
        kept = [c for c in candidates if c[1:3] not in live and last.get(c[1:3]) == c.number]
    else:
        last = await _last_numbers(connection, candidates, min(c.message for c in candidates))
        unrouted = await _unrouted(connection, messages.values(), now)
        kept = [
            c
            for c in candidates
            if c[1:3] not in live and c[1:3] not in last and c.message not in unrouted
        ]
    return [
        Chosen(c, live.get(c[1:3]), _line(f.audience.targets[c.endpoint], messages[c.message]))
        for c in kept
        if c.endpoint in f.audience.targets
    ]


def _line(target: Target, row: Any) -> str | None:
    return (row.ordering_key or "") if target.ordered else None


def _waits_as(row: Any, now: int) -> DeliveryState | None:
    """Return what a live row waits for; None for one that is sent, due, or in line anyway."""
    if row is None or (row.lease and row.next_attempt_at != HELD):
        return None
    if row.next_attempt_at == HELD:
        return DeliveryState.HELD
    return DeliveryState.PENDING if now < row.next_attempt_at < IN_LINE else None


async def _messages(
    connection: AsyncConnection, f: Frame, keys: Collection[bytes]
) -> dict[bytes, Any]:
    """Return the messages that can be sent: not canceled, and not erased."""
    columns = message.c
    found = await connection.execute(
        sa.select(
            columns.id,
            columns.event_type,
            columns.ordering_key,
            columns.deliver_at,
            columns.channels,
            columns.tags,
        ).where(
            columns.id.in_(_padded(keys)),
            columns.app_id == f.app,
            columns.canceled_at.is_(None),
            sa.func.length(columns.body) > 0,
        )
    )
    return {row.id: row for row in found if f.wants(row)}


def _padded(keys: Iterable[bytes]) -> list[bytes]:
    """Return the keys, some repeated up to a power of two: ten statements to prepare, not 500."""
    own = sorted(keys)
    return own + own[-1:] * ((1 << (len(own) - 1).bit_length()) - len(own))


def _among(table: sa.Table, candidates: Sequence[Candidate]) -> sa.ColumnElement[bool]:
    """Return the condition for rows of these messages, at these endpoints.

    By the messages' keys: the CASE hides the endpoints from the planners, which would take them for
    a reason to read all that an endpoint has (SQLite: 300 ms instead of 1).
    """
    owners = table.c.endpoint_id.in_(_padded({c.endpoint for c in candidates}))
    return sa.and_(
        table.c.message_id.in_(_padded({c.message for c in candidates})),
        sa.case((owners, 1), else_=0) == 1,
    )


async def _live_rows(
    connection: AsyncConnection, candidates: Sequence[Candidate], *, locked: bool
) -> dict[tuple[Any, ...], Any]:
    rows = sa.select(delivery).where(_among(delivery, candidates))
    if locked:
        rows = rows.order_by(delivery.c.message_id, delivery.c.endpoint_id).with_for_update()
    return {(row.message_id, row.endpoint_id): row for row in await connection.execute(rows)}


async def _last_numbers(
    connection: AsyncConnection, candidates: Sequence[Candidate], oldest: bytes
) -> dict[tuple[Any, ...], int]:
    """Return the number of the last attempt of each; nothing of them is older than `oldest`.

    The bound spares PostgreSQL the partitions of the days before.
    """
    bound = first_key(ids.milliseconds(oldest) - SKEW)
    rows = await connection.execute(
        sa.select(attempt.c.message_id, attempt.c.endpoint_id, sa.func.max(attempt.c.number))
        .where(_among(attempt, candidates), attempt.c.id >= bound)
        .group_by(attempt.c.message_id, attempt.c.endpoint_id)
    )
    return {(key, owner): number for key, owner, number in rows}


async def _last_classes(
    connection: AsyncConnection, candidates: Sequence[Candidate]
) -> dict[tuple[Any, ...], int]:
    """Return what was answered last to each; those never tried are left out."""
    bound = first_key(ids.milliseconds(min(c.message for c in candidates)) - SKEW)
    columns = attempt.c
    rows = await connection.execute(
        sa.select(columns.message_id, columns.endpoint_id, columns.status)
        .where(_among(attempt, candidates), columns.id >= bound)
        .order_by(columns.number)
    )
    return {(key, owner): (status or 0) // 100 * 100 for key, owner, status in rows}


async def _unrouted(connection: AsyncConnection, rows: Iterable[Any], now: int) -> set[bytes]:
    """Return those of the messages that are still to be routed: they come by themselves.

    Those that are to wait say so. For the rest it is enough to look at what is due: the outbox has
    no key by message, but hardly any rows in that range.
    """
    soon = now + SKEW
    later = {row.id for row in rows if row.deliver_at is not None and row.deliver_at > soon}
    found = await connection.execute(
        sa.select(outbox.c.message_id).where(
            outbox.c.due_at <= soon, outbox.c.message_id.in_(_padded(row.id for row in rows))
        )
    )
    return later | set(found.scalars())


# making due --------------------------------------------------------------------------------------


async def make_due(
    connection: AsyncConnection, insert: Any, chosen: Sequence[Chosen], now: int
) -> None:
    """Make a manual attempt of each due now, as `Store.resend` does for one.

    At an ordered endpoint what has ended stands in its line again, and takes its turn there.
    `insert` is the dialect's INSERT into the live queue.
    """
    waiting = [each for each in chosen if each.live is not None]
    ended = [each for each in chosen if each.live is None]
    if waiting:
        resume = sa.case(
            (delivery.c.resume_at.is_not(None), delivery.c.resume_at),
            (delivery.c.next_attempt_at == HELD, 0),
            else_=delivery.c.next_attempt_at,
        )
        await connection.execute(
            delivery.update()
            .where(
                delivery.c.message_id == sa.bindparam("of_message"),
                delivery.c.endpoint_id == sa.bindparam("of_endpoint"),
            )
            .values(next_attempt_at=now, resume_at=resume, lease=0),
            [
                {"of_message": c.candidate.message, "of_endpoint": c.candidate.endpoint}
                for c in waiting
            ],
        )
    if ended:
        await connection.execute(
            insert.on_conflict_do_nothing(),
            [
                {
                    "message_id": each.candidate.message,
                    "endpoint_id": each.candidate.endpoint,
                    "attempts": each.candidate.number,
                    "step": 0,
                    "lease": 0,
                    "next_attempt_at": now if each.line is None else IN_LINE,
                    "resume_at": 0,
                    "line": each.line,
                }
                for each in ended
            ],
        )
    lines: dict[bytes, set[str]] = {}
    for each in ended:
        if each.line is not None:
            lines.setdefault(each.candidate.endpoint, set()).add(each.line)
    for key, mine in lines.items():
        await _lead(connection, key, mine, now)


async def lock(connection: AsyncConnection, app: bytes, chosen: Iterable[Chosen]) -> None:
    """Let no other job of the application make anything due until the transaction ends.

    Two that select the same would both find it as it was. Let nobody join or leave the lines of
    ordered endpoints either: with the hot path's own lock.
    """
    if connection.dialect.name != "postgresql":
        return  # the whole file is locked
    number = int.from_bytes(app[12:], signed=True)
    await connection.execute(
        sa.select(
            sa.func.pg_advisory_xact_lock(sa.cast(LOCK, sa.Integer), sa.cast(number, sa.Integer))
        )
    )
    for key in sorted({each.candidate.endpoint for each in chosen if each.line is not None}):
        number = int.from_bytes(key[8:], signed=True)
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))


async def _lead(connection: AsyncConnection, key: bytes, lines: set[str], now: int) -> None:
    """Make the oldest of each line due where nobody leads it."""
    mine = delivery.c.endpoint_id == key
    active = sa.or_(delivery.c.next_attempt_at < IN_LINE, delivery.c.next_attempt_at == HELD)
    led = await connection.execute(
        sa.select(delivery.c.line).where(mine, active, delivery.c.line.in_(lines)).distinct()
    )
    for line in sorted(lines - set(led.scalars())):
        behind = sa.and_(mine, delivery.c.line == line)
        oldest = sa.select(delivery.c.message_id).where(behind).order_by(delivery.c.message_id)
        await connection.execute(
            delivery.update()
            .where(behind, delivery.c.message_id == oldest.limit(1).scalar_subquery())
            .values(next_attempt_at=now)
        )


async def release(connection: AsyncConnection, key: bytes, now: int) -> int:
    """Make some of what an enabled endpoint has held due, as if it had just been routed.

    In two statements: in one, PostgreSQL may read the batch anew for every row of it.
    """
    await along_indexes(connection)
    enabled = sa.select(endpoint.c.id).where(endpoint.c.id == key, SENT_TO)
    held = sa.and_(delivery.c.endpoint_id == key, delivery.c.next_attempt_at == HELD)
    some = await connection.execute(
        sa.select(delivery.c.message_id).where(held, enabled.exists()).limit(RELEASED)
    )
    batch = some.scalars().all()
    if batch:
        await connection.execute(
            delivery.update()
            .where(delivery.c.message_id.in_(_padded(batch)), sa.case((held, 1), else_=0) == 1)
            .values(next_attempt_at=now)
        )
    return len(batch)


async def release_all(writing: Transaction, key: bytes, now: int) -> int:
    """Make all of it due, in batches, for as long as the endpoint is enabled."""
    released = 0
    while True:
        async with writing() as connection:
            batch = await release(connection, key, now)
        released += batch
        if batch < RELEASED:
            return released
