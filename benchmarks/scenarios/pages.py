"""How long the pages take, and the lists of the API, when there is a past to look at."""

import html
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import httpx

from benchmarks import machine
from benchmarks.past import BIG, Past
from benchmarks.runner import LOWER, Bar, Bench, Row, judged, scenario
from benchmarks.scenarios.rest import served
from benchmarks.visits import API, Visit, api, dashboard, portal
from hookline._web.dashboard.app import PAGES as DASHBOARD
from hookline._web.portal.app import PAGES as PORTAL

DELIVERIES = 1_000_000
YOUNG = 10_000
"""Deliveries of the deployment that the old one is compared with."""
TIMES = 7
"""How often each page is asked for, after a first time."""
PATIENCE = 120.0
WITHIN = Bar(figure=100, better=LOWER)
FACES = ("dashboard", "portal", "api")


class Times(NamedTuple):
    """Milliseconds a page took; `cpu` is processor time of server and database, the median."""

    median: float
    worst: float
    first: float
    cpu: float


@scenario()
def pages(bench: Bench) -> list[Row]:
    """Each page of dashboard and portal and each list of the API, over a million deliveries."""
    young = looked_at(bench, YOUNG)
    count = bench.n(DELIVERIES, 10_000)
    old = looked_at(bench, count)
    return [row_of(bench, face, count, old, young) for face in FACES]


def looked_at(bench: Bench, deliveries: int) -> dict[Visit, Times]:
    """Write a past, and ask for all pages."""
    with bench.fresh() as url:
        past = Past(bench.database, url, deliveries)
        past.fill(bench.say)
        bench.say(f"{deliveries:,} deliveries: asking")
        return asked(past)


def asked(past: Past) -> dict[Visit, Times]:
    """Ask a server that has just started for each page several times, one after the other."""
    found = {}
    with served(past.url, HOOKLINE_METRICS="key") as (base, pid), visitors(base, past) as clients:
        visits = [*dashboard(past), *portal(past), *api(past)]
        check(visits)
        pids = [pid, *filter(None, [past.database.server_pid])]
        for visit in visits:
            found[visit] = took(clients[visit.face], visit, pids)
    return found


def took(client: httpx.Client, visit: Visit, pids: Sequence[int]) -> Times:
    """Ask for a page until its last byte, several times: the first one finds nothing in memory."""
    times, spent = [], []
    for _ in range(1 + TIMES):
        before = sum(map(machine.living_cpu, pids))
        began = time.perf_counter()
        answer = client.get(visit.path)
        times.append((time.perf_counter() - began) * 1000)
        spent.append((sum(map(machine.living_cpu, pids)) - before) * 1000)
        if answer.status_code >= 400:
            raise RuntimeError(f"{visit.path} answered {answer.status_code}: {answer.text[:300]}")
    first, *rest = (round(ms, 1) for ms in times)
    cpu = round(statistics.median(spent[1:]), 1)
    return Times(round(statistics.median(rest), 1), max(rest), first, cpu)


def check(visits: list[Visit]) -> None:
    """Raise when a page is not visited: whoever adds one adds it here."""
    for face, there in (("dashboard", DASHBOARD), ("portal", PORTAL)):
        known = {page.path for page in there if page.method == "GET"}
        missing = known - {visit.route for visit in visits if visit.face == face}
        if missing:
            raise RuntimeError(f"{face}: nobody visits {', '.join(sorted(missing))}")


def row_of(
    bench: Bench, face: str, count: int, old: dict[Visit, Times], young: dict[Visit, Times]
) -> Row:
    """Return the slowest page of a face; the row keeps all of them."""
    before = {(visit.face, visit.what): times for visit, times in young.items()}
    mine = {visit: times for visit, times in old.items() if visit.face == face}
    slowest = max(mine, key=lambda visit: mine[visit].median)
    times, reference = mine[slowest], before[face, slowest.what]
    row = Row(
        scenario="pages",
        part=face,
        what=f"the slowest of {len(mine)} pages, {count:,} deliveries",
        note=slowest.what,
        unit="ms",
        figure=times.median,
        reference=reference.median,
        reference_what=f"{YOUNG:,} deliveries",
        ratio=round(times.median / reference.median, 3),
        cpu=times.cpu * 1000,
        reference_cpu=reference.cpu * 1000,
        runs=[
            {
                "figure": ms.median,
                "page": visit.what,
                **ms._asdict(),
                "young": before[face, visit.what].median,
            }
            for visit, ms in mine.items()
        ],
    )
    for run in sorted(row.runs, key=lambda run: -run["figure"]):
        told = (
            "{median:>7.1f} ms, worst {worst:.1f}, first {first:.1f}, CPU {cpu:.1f}, "
            "young {young:.1f}"
        )
        bench.console.print(
            f"{told.format(**run)}  {face} {run['page']}", markup=False, highlight=False
        )
    return judged(row, WITHIN)


# who asks -----------------------------------------------------------------------------------------


@contextmanager
def visitors(base: str, past: Past) -> Iterator[dict[str, httpx.Client]]:
    """Give a client for each face: signed in, come by a link, and with a key."""

    def client(**headers: str) -> httpx.Client:
        return httpx.Client(base_url=base, timeout=PATIENCE, headers=headers)

    key = {"Authorization": f"Bearer {past.token}"}
    with client() as operator, client() as customer, client(**key) as program:
        form = operator.get("/sign-in").text
        token = html.unescape(re.findall(r'name="csrf" value="([^"]*)"', form)[0])
        sent = {"csrf": token, "key": past.token, "to": ""}
        assert operator.post("/sign-in", data=sent).status_code == 303
        made = program.post(f"{API}/auth/app-portal-access/{past.apps[BIG]}", json={}).json()
        begun = customer.post(
            "/portal/session", data={"key": made["token"]}, headers={"Origin": base}
        )
        assert begun.status_code == 303, begun.text
        yield {"dashboard": operator, "portal": customer, "api": program}
