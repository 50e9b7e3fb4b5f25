"""What is asked for: every page of the dashboard and of the portal, and the lists of the REST API.

With all filters in use: what is common and what is rare, new and old, and what is not there at all.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from benchmarks.past import BIG, BUSY, DEAD, FLAKY, JOBS, QUIET, RARE, STOPPED, TYPES, Past
from hookline._domain import ids

API = "/api/v1"
PLACES = {"busy": BUSY, "dead": DEAD, "stopped": STOPPED, "flaky": FLAKY, "quiet": QUIET}
STATES = ("succeeded", "pending", "sending", "held", "exhausted", "canceled")
ELSEWHERE = {"url": "https://example.com/hook"}
SMALL = 7
"""An application that has little."""


@dataclass(frozen=True)
class Visit:
    """One page, asked for in one way."""

    face: str
    route: str
    what: str
    path: str


class Names:
    """The ids of what is there."""

    def __init__(self, past: Past) -> None:
        self.app, self.small = past.apps[BIG], past.apps[SMALL]
        self.apps = past.apps
        self.endpoints = [ids.encode(ids.ENDPOINT, key) for key, _ in past.endpoints[BIG]]
        new, old = past.messages // 10 * 10 - 10, past.messages // 100 * 10
        self.new, self.old = (ids.encode(ids.MESSAGE, past.key(n)) for n in (new, old))
        self.old_attempt = ids.encode(ids.ATTEMPT, past.key(old))
        self.jobs = [ids.encode(ids.JOB, past.job(n)) for n in range(JOBS)]
        now = datetime.fromtimestamp(past.now / 1000, UTC)
        self.month_ago, self.days_ago = (
            f"{now - timedelta(days=days):%Y-%m-%dT%H:%M:00Z}" for days in (25, 3)
        )


def visitor(face: str, root: str, **always: str) -> Callable[..., Visit]:
    """Return what makes visits: of a route with its parts, and with a query."""

    def visit(route: str, what: str = "", query: Any = (), **parts: str) -> Visit:
        path = root + route.format(**always, **parts)
        name = " · ".join(filter(None, (route, what)))
        return Visit(face, route, name, f"{path}?{urlencode(query)}" if query else path)

    return visit


def filters(there: Names, *, of_endpoints: bool = True) -> Iterator[tuple[str, dict[str, str]]]:
    """Give what a page of messages is narrowed to: `of_endpoints` too, or not."""
    for what, query in _filters(there):
        if of_endpoints or "endpoint" not in query:
            yield what, query


def _filters(there: Names) -> Iterator[tuple[str, dict[str, str]]]:
    e = there.endpoints
    span = {"from": there.month_ago, "until": there.days_ago}
    yield "newest", {}
    yield "deep", {"after": there.old}
    yield "backwards", {"after": f"-{there.old}"}
    yield "a common type", {"type": TYPES[0]}
    yield "a rare type", {"type": RARE}
    yield "no such type", {"type": "nothing.of.it"}
    yield "time", span
    yield "text that is there", {"q": "no-1"}
    yield "text that is not", {"q": "nowhere in any payload"}
    yield "Chinese text", {"q": "证件清晰"}
    for name, place in PLACES.items():
        yield f"the {name} endpoint", {"endpoint": e[place]}
    for state in STATES:
        yield state, {"status": state}
        yield f"{state}, the quiet endpoint", {"status": state, "endpoint": e[QUIET]}
        yield f"{state}, deep", {"status": state, "after": there.old}
    yield "held, the stopped endpoint", {"status": "held", "endpoint": e[STOPPED]}
    everything = {"status": "exhausted", "endpoint": e[BUSY], "type": TYPES[0], "q": "no-1"}
    yield "everything at once", {**everything, **span, "after": there.old}


def dashboard(past: Past) -> Iterator[Visit]:
    """Give all pages of an operator."""
    there = Names(past)
    visit = visitor("dashboard", "", app=there.app)
    e, one = there.endpoints, "/apps/{app}/endpoints/{id}"
    for span in ("1h", "6h", "24h", "7d", "30d"):
        yield visit("/", span, {"range": span})
        yield visit("/apps/{app}", span, {"range": span})
    for route in ("/endpoints", "/sign-in", "/language", "/theme", "/doctor", "/settings"):
        yield visit(route)
    for what, query in filters(there, of_endpoints=False):
        yield visit("/messages", what, query)
    for what, query in filters(there):
        yield visit("/apps/{app}/messages", what, query)
    yield visit("/apps/{app}/messages/{id}", "new", id=there.new)
    yield visit("/apps/{app}/messages/{id}", "old", id=there.old)
    yield visit("/apps/{app}/messages/{id}/payload", id=there.old)
    yield visit("/apps/{app}/endpoints")
    yield visit("/apps/{app}/endpoints", "second page", {"after": e[49]})
    yield visit("/apps/{app}/endpoints/new")
    yield visit("/apps/{app}/endpoints/check", query=ELSEWHERE)
    for what, place in PLACES.items():
        yield visit(one, what, id=e[place])
    yield visit(f"{one}/edit", id=e[BUSY])
    yield visit(f"{one}/delete", id=e[BUSY])
    yield from dead_letters(there, visit)
    yield visit("/replays")
    yield visit("/replays", "deep", {"after": there.jobs[JOBS // 2]})
    yield visit("/replays/{id}", id=there.jobs[0])
    yield visit("/signatures")
    yield visit("/event-types")
    yield visit("/event-types/{name}", name=TYPES[0])
    yield visit("/event-types/{name}/edit", name=TYPES[0])
    yield visit("/new-event-type")
    yield visit("/audit")
    yield visit("/audit", "a rare action", {"action": "endpoint.created"})
    yield visit("/apps")
    yield visit("/apps", "second page", {"after": there.apps[99]})
    yield visit("/keys")


def dead_letters(there: Names, visit: Callable[..., Visit]) -> Iterator[Visit]:
    """Give the dead letters of all, of applications and of endpoints."""
    yield visit("/dead-letters")
    yield visit("/dead-letters", "deep", {"after": there.old})
    for what, app in (("the big", there.app), ("a small", there.small)):
        yield visit("/dead-letters", f"{what} application", {"app": app})
        yield visit("/dead-letters", f"{what} application, deep", {"app": app, "after": there.old})
    for what, place in PLACES.items():
        query = {"app": there.app, "endpoint": there.endpoints[place]}
        yield visit("/dead-letters", f"the {what} endpoint", query)


def portal(past: Past) -> Iterator[Visit]:
    """Give all pages of a customer."""
    there = Names(past)
    visit, e = visitor("portal", "/portal"), there.endpoints
    for route in (
        "/",
        "/overview",
        "/language",
        "/theme",
        "/static/brand.css",
        "/event-types",
        "/dead-letters",
        "/replays",
        "/signatures",
    ):
        yield visit(route)
    for what, query in filters(there):
        yield visit("/messages", what, query)
    yield visit("/messages/{id}", "new", id=there.new)
    yield visit("/messages/{id}", "old", id=there.old)
    yield visit("/messages/{id}/payload", id=there.old)
    yield visit("/endpoints")
    yield visit("/endpoints", "second page", {"after": e[24]})
    yield visit("/endpoints/new")
    yield visit("/endpoints/check", query=ELSEWHERE)
    for what, place in PLACES.items():
        yield visit("/endpoints/{id}", what, id=e[place])
    yield visit("/endpoints/{id}/edit", id=e[BUSY])
    yield visit("/endpoints/{id}/delete", id=e[BUSY])
    yield visit("/event-types/{name}", name=TYPES[0])
    yield visit("/replays/{id}", id=there.jobs[-1])


def api(past: Past) -> Iterator[Visit]:
    """Give the lists and counts of the REST API, and the metrics."""
    there = Names(past)
    visit = visitor("api", API, app=there.app)
    span = {"after": there.month_ago, "before": there.days_ago}
    messages, old = "/app/{app}/msg", there.old
    yield Visit("api", "/metrics", "/metrics", "/metrics")
    yield visit("/app")
    yield visit("/app", "second page", {"iterator": there.apps[49]})
    yield visit("/app/{app}/endpoint", "250", {"limit": "250"})
    yield visit(messages, "250", {"limit": "250"})
    yield visit(messages, "deep", {"iterator": old})
    yield visit(messages, "time", span)
    yield visit(messages, "a rare type", {"event_types": RARE})
    yield visit(messages, "no such tag", {"tag": "none"})
    yield visit(messages, "no such channel", {"channel": "none"})
    yield visit("/app/{app}/msg/{message}/attempt", message=old)
    yield visit("/app/{app}/msg/{message}/endpoint", message=old)
    yield visit("/app/{app}/attempt/msg/{message}", message=old)
    for what, place in PLACES.items():
        yield from at_endpoint(
            there, visitor("api", API, app=there.app, e=there.endpoints[place]), what
        )
    for route in ("/app/{app}/usage", "/usage", "/event-type", "/app/{app}/background-task",
                  "/background-task", "/api-key", "/audit", "/health/ready"):  # fmt: skip
        yield visit(route)
    yield visit("/audit", "one application", {"app_id": there.app})
    yield visit("/audit", "a rare action", {"action": "endpoint.created"})
    yield visit("/audit", "one target", {"target": there.endpoints[QUIET]})


def at_endpoint(there: Names, visit: Callable[..., Visit], what: str) -> Iterator[Visit]:
    """Give the lists of an endpoint."""
    attempts, attempted = "/app/{app}/attempt/endpoint/{e}", "/app/{app}/endpoint/{e}/msg"
    yield visit(attempts, f"{what}, 250", {"limit": "250"})
    yield visit(attempts, f"{what}, with messages", {"with_msg": "true"})
    yield visit(attempts, f"{what}, failed", {"status": "2"})
    yield visit(attempts, f"{what}, 4xx", {"status_code_class": "400"})
    yield visit(attempts, f"{what}, a rare type", {"event_types": RARE})
    yield visit(attempts, f"{what}, deep", {"iterator": there.old_attempt})
    span = {"after": there.month_ago, "before": there.days_ago}
    yield visit(attempts, f"{what}, time", span)
    yield visit(attempted, what)
    yield visit(attempted, f"{what}, 250", {"limit": "250"})
    yield visit(attempted, f"{what}, deep", {"iterator": there.old})
    yield visit(attempted, f"{what}, failed", {"status": "2"})
    yield visit(attempted, f"{what}, a rare type", {"event_types": RARE})
    stats = "/app/{app}/endpoint/{e}/stats"
    yield visit(stats, what)
    yield visit(stats, f"{what}, time", {"since": span["after"], "until": span["before"]})
    yield visit("/app/{app}/endpoint/{e}/health", what)
