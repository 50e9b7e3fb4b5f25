"""What the healthy endpoints notice of dead ones, hanging ones, and years of history."""

import socket

from benchmarks import payload
from benchmarks.databases import backlog, finished
from benchmarks.runner import Bar, Bench, Receiver, Row, Run, judged, scenario
from benchmarks.scenarios.throughput import spread

HEALTHY = 100
DELIVERIES = 20_000
DEADLINE = 20
"""Seconds given to a run whose healthy endpoints may be starving."""
WITHIN = Bar(ratio=0.9)


@scenario()
def dead_endpoint(bench: Bench) -> Row:
    """1,000,000 deliveries are due to an endpoint that refuses connections; 100 are healthy."""
    rows = bench.n(1_000_000, 1000)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # closed below: nobody listens there
    dead = [f"http://127.0.0.1:{port}/"]
    return beside(bench, "dead_endpoint", f"beside 1 dead with {rows:,} due", dead, rows)


@scenario()
def hanging(bench: Bench) -> Row:
    """10 endpoints answer after 15 seconds, and have 1,000 deliveries due each; 100 are healthy."""
    with bench.sink(delay=15) as slow:
        return beside(bench, "hanging", "beside 10 that hang for 15 s", slow.urls(10), 1000)


def beside(bench: Bench, name: str, what: str, sick: list[str], rows: int) -> Row:
    """Measure the healthy endpoints alone and beside the sick ones."""
    count = bench.n(DELIVERIES, 1000)
    with bench.sink() as sink:
        healthy = spread(sink.urls(HEALTHY))

        def alone() -> Run:
            return bench.deliver(sink, count, endpoints=healthy)

        def among_the_sick() -> Run:
            spec = {"endpoints": healthy, "sick": [(url, "bench.sick") for url in sick]}
            with bench.fresh() as url:
                stored = bench.prepare(url, **spec)
                bench.say(f"writing {rows * len(sick):,} rows")
                keys = [bytes.fromhex(stored["endpoints"][each]) for each in sick]
                backlog(bench.database, url, bytes.fromhex(stored["app"]), keys, rows)
                bench.say("Hookline")
                events = [event for _, event in healthy]
                return bench.deliver(
                    sink, count, database=url, events=events, deadline=DEADLINE, **spec
                )

        found = bench.versus(among_the_sick, alone, f"{HEALTHY} endpoints alone")
    row = Row(scenario=name, what=f"{count:,} deliveries {what}", **found)
    if not all(run["more"]["finished"] for run in row.runs):
        row.note = f"cut short after {DEADLINE} s in at least one round"
    return judged(row, WITHIN)


@scenario()
def history(bench: Bench) -> Row:
    """The database holds a million finished deliveries (ten million at --scale 10)."""
    count, few, many = bench.n(DELIVERIES, 1000), 1000, bench.n(1_000_000, 10_000)
    with bench.sink() as sink, bench.fresh() as young, bench.fresh() as old:
        for url, rows in ((young, few), (old, many)):
            bench.say(f"writing {rows:,} finished deliveries")
            remember(bench, sink, url, rows)
        found = bench.versus(
            lambda: bench.deliver(sink, count, database=old),
            lambda: bench.deliver(sink, count, database=young),
            f"{few:,} finished",
        )
    what = f"{count:,} deliveries after {many:,} finished ones"
    return judged(Row(scenario="history", what=what, **found), WITHIN)


def remember(bench: Bench, sink: Receiver, url: str, rows: int) -> None:
    """Write the history of the sink's endpoint."""
    stored = bench.prepare(url, endpoints=[(sink.url, payload.EVENT)])
    key = bytes.fromhex(stored["endpoints"][sink.url])
    finished(bench.database, url, bytes.fromhex(stored["app"]), key, sink.url, rows)
