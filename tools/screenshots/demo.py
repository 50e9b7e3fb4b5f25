"""A day at a made-up bank: data for the pictures. The same each time, but for the time of day."""

import random
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from hookline import Webhooks
from hookline._domain import ids
from hookline._domain.replay import Selection
from hookline._domain.tally import Tally
from hookline._storage import schema
from hookline._storage.jobs import _to_json

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
PER_MINUTE = (2, 9)
"""Messages a minute, at night and at noon."""
SECRET = "whsec_aGVsbG8gd29ybGQsIHRoaXMgaXMgYSBkZW1vIQ=="
TYPES = {
    "customer.created": "A customer opened an account.",
    "customer.approved": "The checks of a customer are done. 客户审核通过。",
    "customer.rejected": "A customer did not pass the checks.",
    "document.uploaded": "A document was handed in.",
    "document.reviewed": "A document was looked at.",
    "invoice.paid": "An invoice is settled.",
    "loan.approved": "A loan may be paid out. 贷款已批准。",
    "payment.failed": "A payment was refused by the other bank.",
}
NAMES = ("张伟", "王芳", "李娜", "Ada Lovelace", "Grace Hopper", "陈静", "Maria Silva", "刘洋")
PRODUCTS = ("个人住房贷款", "Instalment loan", "小微企业贷款", "Current account")
APPLICATIONS = {"acme": "Acme Bank", "globex": "Globex Insurance", "chenguang": "晨光消费金融"}
ENDPOINTS = {
    "acme": (
        ("https://hooks.acme.example/customers", ["customer.*", "loan.*"], "Customer service"),
        ("https://crm.acme.example/webhooks/in", ["*"], "CRM: slow since its last release"),
        ("https://legacy.acme.example/bridge", ["document.*", "invoice.*"], "Archive, on site"),
        ("https://warehouse.acme.example/events", ["*"], "Data warehouse"),
    ),
    "globex": (("https://api.globex.example/hookline", ["*"], ""),),
    "chenguang": (("https://open.chenguang.example/callback", ["*"], "风控系统"),),
}
WELL, SLOW, DOWN, OFF = range(4)
"""Acme's endpoints: healthy, failing, with an open circuit, paused."""
MADE = 40 * DAY
"""How long ago everybody came."""
BROKE = 50 * MINUTE
"""How long ago the one that is down broke."""
ERROR = '{"error": "customer unknown", "request": "7f2c91"}'
RETRIED, LOST = 0.12, 0.02
"""Parts of what the failing one gets that need a second attempt, and that never succeed."""
Row = dict[str, Any]


@dataclass
class Demo:
    """What there is, for those who visit it."""

    token: str = ""
    link: str = ""
    apps: dict[str, str] = field(default_factory=dict)
    endpoints: dict[str, list[str]] = field(default_factory=dict)
    message: str = ""
    """One that failed at one endpoint, waits at others, and says something in Chinese."""
    job: str = ""


async def people(webhooks: Webhooks) -> Demo:
    """Make applications, endpoints, event types and keys."""
    demo = Demo()
    for name, text in TYPES.items():
        group = name.partition(".")[0]
        await webhooks.event_types.create(
            name, text, group_name=group, schemas={"1": _schema(random.Random(name))}
        )
    for uid, title in APPLICATIONS.items():
        demo.apps[uid] = (await webhooks.applications.create(title, uid=uid)).id
        app = await webhooks.for_application(uid)
        made = [
            await app.create_endpoint(url, events, SECRET, description=text)
            for url, events, text in ENDPOINTS[uid]
        ]
        demo.endpoints[uid] = [each.id or "" for each in made]
    acme = await webhooks.for_application("acme")
    await acme.pause(demo.endpoints["acme"][OFF])
    demo.token = (await webhooks.create_api_key("ada", ["admin"])).token or ""
    await webhooks.create_api_key("grafana", ["read"])
    await webhooks.create_api_key("billing", [f"application:{demo.apps['globex']}"])
    old = await webhooks.create_api_key("an old laptop", ["admin"])
    await webhooks.revoke_api_key(old.id)
    scopes = [f"application:{demo.apps['acme']}", "portal"]
    demo.link = (await webhooks.create_api_key("link", scopes)).token or ""
    return demo


def _schema(dice: random.Random) -> Row:
    data = _data(dice)
    kinds = {str: "string", int: "integer", list: "array", dict: "object"}
    fields = {name: {"type": kinds[type(value)]} for name, value in data.items()}
    return {"type": "object", "properties": fields, "examples": [data]}


def _data(dice: random.Random) -> Row:
    number = dice.randrange(10_000, 99_999)
    return {
        "customer_no": f"C2026{number}",
        "name": dice.choice(NAMES),
        "product": dice.choice(PRODUCTS),
        "amount": dice.randrange(5, 900) * 1000,
        "documents": [{"type": "id_card", "status": "approved", "note": "证件清晰，信息一致"}],
    }


class Day:
    """The last day's messages and attempts, and what waits now."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        self.now = time.time_ns() // 1_000_000
        self.dice = random.Random("a day")
        self.rows: dict[str, list[Row]] = defaultdict(list)
        self.tallies: dict[tuple[bytes, int], Tally] = defaultdict(Tally)
        self._keys = {
            uid: [ids.decode(ids.ENDPOINT, each) or b"" for each in mine]
            for uid, mine in demo.endpoints.items()
        }

    def write(self, file: Path) -> None:
        """Make it up, and write it into a database that has its people already."""
        for minute in range(DAY // MINUTE, 0, -1):
            hour = datetime.fromtimestamp(self.now / 1000 - minute * 60, UTC).hour
            low, high = PER_MINUTE
            busy = low + (high - low) * (1 - abs(hour - 12) / 12)
            for _ in range(self.dice.randrange(int(busy) + 1) + 1):
                self._message(self.now - minute * MINUTE + self.dice.randrange(MINUTE))
        self._one_to_look_at()
        self._circuits()
        self._jobs()
        with closing(sa.create_engine(f"sqlite:///{file}").connect()) as connection:
            for name, rows in self.rows.items():
                table = schema.metadata.tables[schema.PREFIX + name]
                defaults = {
                    c.name: None if c.nullable else c.type.python_type() for c in table.columns
                }
                connection.execute(table.insert(), [defaults | row for row in rows])
            for table in (schema.application, schema.endpoint, schema.api_key):
                connection.execute(table.update().values(created_at=table.c.created_at - MADE))
            off = schema.endpoint.c.disabled_at
            connection.execute(schema.endpoint.update().values(disabled_at=off - 3 * HOUR))
            connection.commit()

    # messages --------------------------------------------------------------------------------

    def _key(self, at: int) -> bytes:
        return ids.uuid7(at, self.dice.randrange(1 << 20), self.dice.randrange(1 << 54))

    def _add(self, uid: str, kind: str, at: int, data: Row) -> bytes:
        key = self._key(at)
        body = {"event": kind, "data": data, "timestamp": f"{_moment(at):%Y-%m-%dT%H:%M:%SZ}"}
        self.rows["message"].append(
            {
                "id": key,
                "app_id": ids.decode(ids.APPLICATION, self.demo.apps[uid]),
                "event_type": kind,
                "body": orjson.dumps(body),
                "created_at": at,
            }
        )
        return key

    def _message(self, at: int) -> None:
        uid = self.dice.choices(list(APPLICATIONS), (6, 2, 2))[0]
        kind = self.dice.choice(list(TYPES))
        key = self._add(uid, kind, at, _data(self.dice))
        for place, (_, wanted, _) in enumerate(ENDPOINTS[uid]):
            if not any(each in ("*", kind) or kind.startswith(each[:-1]) for each in wanted):
                continue
            if uid != "acme" or place == WELL:
                self._attempt(key, uid, place, at, 1, "succeeded")
            elif place == SLOW:
                self._slow(key, at)
            elif place == DOWN:
                self._down(key, at)
            elif at > self.now - 3 * HOUR:
                self._wait(key, OFF, 0, schema.HELD)
            else:
                self._attempt(key, uid, OFF, at, 1, "succeeded")

    def _slow(self, key: bytes, at: int) -> None:
        luck = self.dice.random()
        if luck > RETRIED or at > self.now - 2 * MINUTE:
            self._attempt(key, "acme", SLOW, at, 1, "succeeded")
        elif luck > LOST:
            self._attempt(key, "acme", SLOW, at, 1, "pending", 503)
            self._attempt(key, "acme", SLOW, at + 6000, 2, "succeeded")
        else:
            self._attempt(key, "acme", SLOW, at, 1, "pending", 503)
            self._attempt(key, "acme", SLOW, at + 6000, 2, "exhausted", 404)

    def _down(self, key: bytes, at: int) -> None:
        if at < self.now - BROKE:
            self._attempt(key, "acme", DOWN, at, 1, "succeeded")
            return
        self._attempt(key, "acme", DOWN, at, 1, "pending", None)
        self._wait(key, DOWN, 1, self.now + 5 * MINUTE + self.dice.randrange(30 * MINUTE))

    def _wait(self, key: bytes, place: int, tried: int, due: int) -> None:
        self.rows["delivery"].append(
            {
                "message_id": key,
                "endpoint_id": self._keys["acme"][place],
                "attempts": tried,
                "step": tried,
                "next_attempt_at": due,
            }
        )

    def _attempt(
        self,
        key: bytes,
        uid: str,
        place: int,
        at: int,
        number: int,
        state: str,
        status: int | None = 200,
    ) -> None:
        well = state == "succeeded"
        took = int(self.dice.lognormvariate(3.6, 0.7) * 1000) * (8 if place == SLOW else 1)
        start = at + 4
        failure, detail = None, ""
        if status is None:
            failure, detail, took = "connect", "connection refused by 203.0.113.7, port 443", 31_000
        elif not well:
            failure, detail = "status", f"answered {status}"
        headers = [["content-type", "application/json"], ["server", "nginx"]] if status else []
        self.rows["attempt"].append(
            {
                "message_id": key,
                "id": self._key(start),
                "endpoint_id": self._keys[uid][place],
                "number": number,
                "trigger": "scheduled",
                "started_at": start,
                "url": ENDPOINTS[uid][place][0],
                "state": state,
                "status": status,
                "failure": failure,
                "detail": detail,
                "response_headers": headers,
                "response_body": b"" if well or not status else ERROR.encode(),
                "dns_us": 900,
                "connect_us": 9_000,
                "tls_us": 21_000 if status else 0,
                "first_byte_us": took - 400 if status else 0,
                "total_us": took,
                "next_attempt_at": start + 6000 if state == "pending" else None,
            }
        )
        self.tallies[self._keys[uid][place], start // MINUTE * 60].count(
            ok=well, final=state == "exhausted", milliseconds=took / 1000 if status else None
        )

    def _one_to_look_at(self) -> None:
        at = self.now - 12 * MINUTE
        data = {
            "customer_no": "C20260417",
            "name": "张伟",
            "product": "个人住房贷款",
            "amount": 860_000,
            "documents": [
                {"type": "id_card", "status": "approved", "note": "证件清晰，信息一致"},
                {"type": "income_proof", "status": "approved", "note": "收入证明已核实"},
            ],
        }
        key = self._add("acme", "loan.approved", at, data)
        self._attempt(key, "acme", WELL, at, 1, "succeeded")
        for number, (after, status) in enumerate(((0, 503), (5_000, 500), (5 * MINUTE, None))):
            self._attempt(key, "acme", SLOW, at + after, number + 1, "pending", status)
        self._wait(key, SLOW, 3, self.now + 18 * MINUTE)
        self._wait(key, OFF, 0, schema.HELD)
        self.demo.message = ids.encode(ids.MESSAGE, key)

    # trouble and what is done about it ---------------------------------------------------------

    def _circuits(self) -> None:
        for place, state, failures, until in (
            (SLOW, "closed", 3, 0),
            (DOWN, "open", 61, self.now + 14 * MINUTE),
        ):
            self.rows["circuit"].append(
                {
                    "endpoint_id": self._keys["acme"][place],
                    "state": state,
                    "failures": failures,
                    "failed": failures,
                    "failing_since": self.now - (BROKE if until else 9 * MINUTE),
                    "opened": int(bool(until)),
                    "blocked_until": until,
                }
            )

    def _jobs(self) -> None:
        for hours, uid, state, total, done in (
            (30, "globex", "finished", 212, 212),
            (26, "acme", "canceled", 18_400, 2_100),
            (5, "chenguang", "finished", 37, 37),
            (0, "acme", "running", 4_812, 2_960),
        ):
            at = self.now - hours * HOUR - 3 * MINUTE
            key = self._key(at)
            endpoint = self.demo.endpoints[uid][SLOW if uid == "acme" else 0]
            chosen = Selection(since=_moment(at - 6 * HOUR), endpoint=endpoint)
            running = state == "running"
            self.rows["job"].append(
                {
                    "id": key,
                    "app_id": ids.decode(ids.APPLICATION, self.demo.apps[uid]),
                    "task": "replay",
                    "state": state,
                    "selection": _to_json(chosen),
                    "rate": 20.0 if running else None,
                    "counted": True,
                    "total": total,
                    "done": done,
                    "after_first": bytes(16),
                    "after_second": bytes(16),
                    # A worker is at it, so that nobody here takes it up.
                    "lease": int(running),
                    "next_step_at": self.now + HOUR if running else schema.HELD,
                    "created_at": at,
                    "updated_at": self.now if running else at + 2 * MINUTE,
                }
            )
            self.demo.job = ids.encode(ids.JOB, key)


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
