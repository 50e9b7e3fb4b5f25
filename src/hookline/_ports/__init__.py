"""The seam: what the engine asks of the world.

`Queue` is the hot path, one implementation per database. `Store` is everything else, once for all
databases, by subject: `tenants`, `records`, `work`. Of the `world` outside, `Sender` makes HTTP
requests, `Clock` tells the time, `Observer` and `Tracer` are told what happened.
All times are Unix milliseconds, all keys the 16 bytes of `_domain.ids`.
"""

from hookline._ports.queue import (
    Circuits,
    Claimed,
    Leased,
    NewMessage,
    Queue,
    RoomOf,
    Routed,
    Settled,
    Settlement,
    Share,
)
from hookline._ports.records import Audit, History, Operational, Overview, Tallies, Usages
from hookline._ports.store import Reencrypted, Store
from hookline._ports.tenants import Answers, ApiKeys, Applications, Claim, Endpoints, EventTypes
from hookline._ports.work import Handshakes, Jobs, LeasedHandshake, LeasedJob
from hookline._ports.world import Clock, Observer, Request, Results, Sender, Tracer

__all__ = [
    "Answers",
    "ApiKeys",
    "Applications",
    "Audit",
    "Circuits",
    "Claim",
    "Claimed",
    "Clock",
    "Endpoints",
    "EventTypes",
    "Handshakes",
    "History",
    "Jobs",
    "Leased",
    "LeasedHandshake",
    "LeasedJob",
    "NewMessage",
    "Observer",
    "Operational",
    "Overview",
    "Queue",
    "Reencrypted",
    "Request",
    "Results",
    "RoomOf",
    "Routed",
    "Sender",
    "Settled",
    "Settlement",
    "Share",
    "Store",
    "Tallies",
    "Tracer",
    "Usages",
]
