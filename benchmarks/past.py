"""The past of a deployment: what a month of deliveries leaves in the database.

Nearly everything is a function of a message's number, so that ten million rows need no memory: a
few applications' worth of endpoints, one endpoint with most of the deliveries, retries, dead
letters, a backlog, tallies and usage. What an upkeep would have made of it (partitions, statistics)
is made too.
"""

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.databases import ANSWER_HEADERS, HOUR, Database
from benchmarks.payload import DATA
from hookline import Webhooks
from hookline._domain import ids
from hookline._domain.replay import Selection
from hookline._domain.tally import BUCKETS, FINE_SECONDS, SPANS, Kind
from hookline._storage import schema
from hookline._storage.jobs import _to_json
from hookline._storage.postgresql import partitions

DAY = 24 * HOUR
DAYS = 29
"""Days of history: retention keeps thirty by default."""
APPLICATIONS = 200
BIG, SHARE = 0, 7
"""The application that has so many tenths of all messages."""
BIG_ENDPOINTS, ENDPOINTS = 60, 2
"""Endpoints of the big application and of each other."""
BUSY, DEAD, STOPPED, FLAKY, QUIET = 0, 1, 2, 3, BIG_ENDPOINTS - 1
"""Of the big application's: has most of all deliveries; refuses them; disabled; fails now and then;
never got anything."""
TYPES = [f"{what}.{done}" for what in (
    "customer", "document", "product", "invoice", "order", "payment", "refund", "account",
) for done in ("created", "updated", "approved", "rejected", "deleted")]  # fmt: skip
RARE = "account.closed"
RARELY = 100_000
"""One of so many messages is of the rare type."""
DUE, HELD, RETRYING = 0.03, 0.02, 0.001
"""What waits, as parts of all deliveries."""
AUDITED = 0.01
JOBS = 300
SECRET = "a-secret-of-the-benchmark"
TRIES = (
    *[("succeeded",)] * 93,
    *[("pending", "succeeded")] * 6,
    ("pending", "pending", "exhausted"),
)
"""How a hundred deliveries end."""
TALLIED = ("succeeded", "pending", "exhausted")
PAUSES = (5, 10_000, 70_000)
"""Milliseconds after its message at which an attempt is made."""


@dataclass
class Past:
    """What is written, and what a visitor needs to know of it."""

    database: Database
    url: str
    deliveries: int
    apps: list[str] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    endpoints: list[list[tuple[bytes, str]]] = field(default_factory=list)
    """Key and URL of each endpoint, by application."""
    token: str = ""
    now: int = field(default_factory=lambda: time.time_ns() // 1_000_000)

    def __post_init__(self) -> None:
        self.messages = self.deliveries * 3 // 5
        self.begin = self.now - DAYS * DAY
        self._bodies = [_body(name) for name in (*TYPES, RARE)]

    # functions of a message's number ---------------------------------------------------------

    def key(self, n: int) -> bytes:
        """Return the key of a message."""
        return ids.uuid7(self.begin + (self.now - self.begin) * n // self.messages, n & 0xFFFFF, n)

    def app(self, n: int) -> int:
        """Return whose message it is."""
        return BIG if n % 10 < SHARE else 1 + n // 10 % (APPLICATIONS - 1)

    def type(self, n: int) -> int:
        """Return which event type it is of: a few are common."""
        return len(TYPES) if n % RARELY == 5 else (n % 7) * (n % 6) % len(TYPES)

    def places(self, n: int) -> tuple[int, ...]:
        """Return which of its application's endpoints it goes to."""
        if n % 3 == 0:
            return (0,)
        others = BIG_ENDPOINTS - 5 if self.app(n) == BIG else 1
        return (0, (4 if others > 1 else 1) + n // 3 % others)

    def tries(self, n: int, place: int) -> tuple[str, ...]:
        """Return the states its attempts left."""
        return TRIES[(n // 10 * 7 + n + place) % 100]

    def job(self, n: int) -> bytes:
        """Return the key of a replay."""
        return ids.uuid7(self.now - (JOBS - n) * HOUR, n, n)

    # rows ------------------------------------------------------------------------------------

    def message_rows(self, numbers: range) -> Iterator[dict[str, Any]]:
        """Give messages."""
        names = [*TYPES, RARE]
        for n in numbers:
            key, kind = self.key(n), self.type(n)
            yield {
                "id": key,
                "app_id": self.keys[self.app(n)],
                "event_type": names[kind],
                "body": self._bodies[kind] % n,
                "created_at": ids.milliseconds(key),
            }

    def attempt_rows(self, numbers: range, counted: "Counted") -> Iterator[dict[str, Any]]:
        """Give the log, and count it."""
        for n in numbers:
            key, app = self.key(n), self.app(n)
            at = ids.milliseconds(key)
            counted.messages[at // DAY, app] += 1
            for place in self.places(n):
                endpoint, url = self.endpoints[app][place]
                for number, state in enumerate(self.tries(n, place)):
                    start = at + PAUSES[number] + place % 50
                    counted.attempt(start, app, place, state)
                    yield self._attempt(key, n, endpoint, url, number, state, start)

    @staticmethod
    def _attempt(
        key: bytes, n: int, endpoint: bytes, url: str, number: int, state: str, start: int
    ) -> dict[str, Any]:
        well, mark = state == "succeeded", int.from_bytes(endpoint[-6:])
        return {
            "message_id": key,
            "id": ids.uuid7(start, n & 0xFFFFF, (mark ^ n) & (1 << 54) - 1),
            "endpoint_id": endpoint,
            "number": number + 1,
            "trigger": "scheduled",
            "started_at": start,
            "url": url,
            "state": state,
            "status": 200 if well else 503,
            "failure": None if well else "status",
            "detail": "" if well else "503 Service Unavailable",
            "response_headers": ANSWER_HEADERS,
            "response_body": b"" if well else b"upstream connect error",
            "dns_us": 30,
            "connect_us": 60,
            "tls_us": 0,
            "first_byte_us": 900 + n % 90_000,
            "total_us": 950 + n % 90_000,
            "next_attempt_at": start + PAUSES[number + 1] if state == "pending" else None,
        }

    def waiting_rows(self) -> Iterator[dict[str, Any]]:
        """Give the live queue: due at an endpoint that is down, held, and waiting for a retry."""
        kinds = ((DEAD, DUE), (STOPPED, HELD), (FLAKY, RETRYING))
        most = [max(10, int(self.deliveries * part)) for _, part in kinds]
        own = [n for n in range(self.messages - 2 * max(most), self.messages) if n % 10 < SHARE]
        for n in own[-max(most) :]:
            key = self.key(n)
            at = ids.milliseconds(key)
            for (place, _), count in zip(kinds, most, strict=True):
                if n < own[-count]:
                    continue
                due = {DEAD: at + 60_000, STOPPED: schema.HELD}.get(place, self.now + HOUR + n)
                row = {"message_id": key, "endpoint_id": self.endpoints[BIG][place][0]}
                tried = 0 if place == STOPPED else 1
                yield row | {
                    "attempts": tried, "step": tried, "lease": 0, "next_attempt_at": due,
                }  # fmt: skip

    # filling ---------------------------------------------------------------------------------

    def fill(self, say: Any) -> None:
        """Write everything."""
        asyncio.run(self._people())
        if self.database.name == "postgresql":
            asyncio.run(self._partitions())
        counted = Counted(self)
        for day in range(DAYS):
            some = range(self.messages * day // DAYS, self.messages * (day + 1) // DAYS)
            say(f"{self.deliveries:,} deliveries: day {day + 1} of {DAYS}")
            self._insert(schema.message, self.message_rows(some))
            self._insert(schema.attempt, self.attempt_rows(some, counted))
        say("queue, tallies, usage")
        self._insert(schema.delivery, self.waiting_rows())
        self._insert(schema.circuit, self._circuit_rows())
        self._insert(schema.tally, counted.tallies())
        self._insert(schema.usage, counted.usage())
        self._insert(schema.job, self._job_rows())
        self._insert(schema.audit, self._audit_rows())
        say("tidying up")
        self.database.tidy(self.url)

    def _insert(self, table: sa.Table, rows: Iterator[dict[str, Any]]) -> None:
        self.database.insert(self.url, table, rows)

    async def _people(self) -> None:
        """Make applications, endpoints, event types and keys, as their owners would."""
        webhooks = Webhooks(
            database=self.url, deliver=False, migrate="always", allowed_networks="127.0.0.0/8"
        )
        async with webhooks:
            for name in (*TYPES, RARE):
                example = {"type": "object", "examples": [json.loads(_body(name) % 7)["data"]]}
                await webhooks.event_types.create(name, schemas={"1": example})
            for n in range(APPLICATIONS):
                await self._application(webhooks, n)
            stopped = ids.encode(ids.ENDPOINT, self.endpoints[BIG][STOPPED][0])
            big = await webhooks.for_application(self.apps[BIG])
            await big.disable(stopped, "the receiver is being moved")
            for n in range(20):
                await webhooks.create_api_key(f"service {n}", ["read"])
            self.token = (await webhooks.create_api_key("bench", ["admin"])).token or ""

    async def _application(self, webhooks: Webhooks, n: int) -> None:
        made = await webhooks.applications.create(f"Customer {n}", uid=f"customer-{n}")
        app = await webhooks.for_application(made.id)
        mine = []
        for place in range(BIG_ENDPOINTS if n == BIG else ENDPOINTS):
            url = f"http://127.0.0.1:9/customer-{n}/{place}"
            endpoint = await app.create_endpoint(url, ["*"], SECRET)
            mine.append((ids.decode(ids.ENDPOINT, endpoint.id or "") or b"", url))
        self.apps.append(made.id)
        self.keys.append(ids.decode(ids.APPLICATION, made.id) or b"")
        self.endpoints.append(mine)

    async def _partitions(self) -> None:
        """Make the log's days, as upkeep would have made each before it came."""
        engine = create_async_engine(self.url)
        async with engine.begin() as connection:
            for day in range(0, DAYS + 1, partitions.AHEAD + 1):
                await connection.run_sync(partitions.make, self.begin + day * DAY)
        await engine.dispose()

    def _circuit_rows(self) -> Iterator[dict[str, Any]]:
        for place, state, until in ((DEAD, "open", self.now + HOUR), (FLAKY, "closed", 0)):
            yield {
                "endpoint_id": self.endpoints[BIG][place][0],
                "state": state,
                "failures": 40,
                "failed": 40,
                "failing_since": self.now - HOUR,
                "opened": int(bool(until)),
                "blocked_until": until,
                "ramp": 0,
                "warned": 0,
            }

    def _job_rows(self) -> Iterator[dict[str, Any]]:
        for n in range(JOBS):
            at = self.now - (JOBS - n) * HOUR
            since = datetime.fromtimestamp((at - HOUR) / 1000, UTC)
            selection = _to_json(Selection(since=since))
            yield {
                "id": self.job(n),
                "app_id": self.keys[BIG if n % 2 else n % APPLICATIONS],
                "task": "replay",
                "state": "finished",
                "selection": json.dumps(selection),
                "counted": True,
                "total": n,
                "done": n,
                "walk": 0,
                "after_first": bytes(16),
                "after_second": bytes(16),
                "lease": 0,
                "next_step_at": schema.HELD,
                "created_at": at,
                "updated_at": at + 1000,
            }

    def _audit_rows(self) -> Iterator[dict[str, Any]]:
        count = max(100, int(self.deliveries * AUDITED))
        for n in range(count):
            yield {
                "id": ids.uuid7(self.begin + DAYS * DAY * n // count, n & 0xFFFFF, n),
                "app_id": self.keys[n % APPLICATIONS],
                "actor": "api_key",
                "actor_name": "bench",
                "action": "endpoint.updated" if n % 9 else "endpoint.deleted",
                "target": ids.encode(ids.ENDPOINT, self.endpoints[n % APPLICATIONS][0][0]),
                "fields": "{}",
            }


class Counted:
    """What was written of the log, for the tables that sum it up."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._old = (past.now - FINE_SECONDS * 1000) // HOUR * HOUR
        self.messages: Counter[tuple[int, int]] = Counter()
        self._attempts: Counter[tuple[int, int]] = Counter()
        self._sums: dict[tuple[int, int, int, int, int], list[int]] = {}

    def attempt(self, start: int, app: int, place: int, state: str) -> None:
        """Count one, for its endpoint, its application and all."""
        self._attempts[start // DAY, app] += 1
        column = TALLIED.index(state)
        for kind, span in SPANS.items():
            wide = 3600 if start < self._old else span
            own = (app if kind != Kind.ALL else 0, place if kind == Kind.ENDPOINT else 0)
            where = (kind.value, *own, start // 1000 // wide * wide, wide)
            found = self._sums.get(where)
            if found is None:
                found = self._sums[where] = [0, 0, 0]
            found[column] += 1

    def tallies(self) -> Iterator[dict[str, Any]]:
        """Give tallies: of the last two days fine ones, of the days before by the hour."""
        for (kind, app, place, at, span), counts in self._sums.items():
            succeeded, pending, exhausted = counts
            yield {
                "kind": kind,
                "subject": self._subject(Kind(kind), app, place),
                "at": at,
                "span": span,
                "succeeded": succeeded,
                "failed": pending + exhausted,
                "exhausted": exhausted,
                **{f"b{number}": sum(counts) * (number == 3) for number in range(BUCKETS)},
            }

    def _subject(self, kind: Kind, app: int, place: int) -> bytes:
        if kind == Kind.ENDPOINT:
            return self._past.endpoints[app][place][0]
        return bytes(16) if kind == Kind.ALL else self._past.keys[app]

    def usage(self) -> Iterator[dict[str, Any]]:
        """Give the usage of the days that are over, and who says that they were added up."""
        today = self._past.now // DAY
        for day in range(self._past.begin // DAY, today):
            yield {"day": day, "app_id": bytes(16), "messages": 0, "attempts": 0}
        for (day, app), count in sorted(self.messages.items()):
            if day < today:
                row = {"day": day, "app_id": self._past.keys[app], "messages": count}
                yield row | {"attempts": self._attempts[day, app]}


def _body(name: str) -> bytes:
    """Return what messages of a type say, with a place for their number."""
    said = {
        "event": name,
        "data": {**DATA, "customer_id": 0, "reference": "@"},
        "metadata": {"trace": hashlib.sha256(name.encode()).hexdigest()},
    }
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    return text.encode().replace(b"%", b"%%").replace(b'"@"', b'"no-%d"')
