"""How many deliveries a second: from the first trigger to the last settled row."""

import time

from benchmarks import payload
from benchmarks.machine import Busy
from benchmarks.runner import Bar, Bench, NotMeasured, Receiver, Row, Run, judged, scenario

BARE = "bare libcurl loop"
ONE = "one endpoint"
DELIVERIES = 20_000
FULL = 0.9
"""A machine this busy has no room for a second worker."""


def spread(urls: list[str]) -> list[tuple[str, str]]:
    """Return endpoints that want one event type each."""
    return [(url, f"bench.e{n}") for n, url in enumerate(urls)]


@scenario()
def end_to_end(bench: Bench) -> Row:
    """64 callers publish; each message goes to the one endpoint and its 2xx is recorded."""
    count = bench.n(DELIVERIES, 500)
    bars = {"sqlite": Bar(figure=6000, ratio=0.5), "postgresql": Bar(figure=5000, ratio=0.4)}
    with bench.sink() as sink:
        found = bench.versus(
            lambda: bench.deliver(sink, count), lambda: bench.bare(sink, 2 * count), BARE
        )
    row = Row(scenario="end_to_end", what=f"{count:,} deliveries, 1 endpoint", **found)
    return judged(row, bars[bench.database.name])


@scenario()
def end_to_end_500(bench: Bench) -> Row:
    """The same to 500 endpoints on 500 hosts (loopback addresses), one of them per message."""
    count = bench.n(DELIVERIES, 1000)
    with bench.sink(hosts=500) as sink:
        many = spread(sink.urls(500))
        found = bench.versus(
            lambda: bench.deliver(sink, count, endpoints=many, warm_up=1000),
            lambda: bench.deliver(sink, count),
            ONE,
        )
    row = Row(scenario="end_to_end_500", what=f"{count:,} deliveries, 500 endpoints", **found)
    return judged(row, Bar(ratio=0.8))


@scenario()
def fan_out(bench: Bench) -> Row:
    """One event goes to 1,000 endpoints at once, again and again."""
    events, endpoints = bench.n(20, 2), 1000
    with bench.sink() as sink:
        all_of_them = [(url, payload.EVENT) for url in sink.urls(endpoints)]
        found = bench.versus(
            lambda: bench.deliver(sink, events, endpoints=all_of_them),
            lambda: bench.deliver(sink, events * endpoints),
            ONE,
        )
    row = Row(scenario="fan_out", what=f"{events} events × {endpoints:,} endpoints", **found)
    return judged(row, Bar(ratio=1.0))


@scenario("postgresql")
def two_workers(bench: Bench) -> Row:
    """Two worker processes share what a third one published."""
    count = bench.n(DELIVERIES, 1000)
    with bench.sink() as sink:
        found = bench.versus(
            lambda: drained(bench, sink, count, 2), lambda: drained(bench, sink, count, 1), "one"
        )
    row = judged(
        Row(scenario="two_workers", what=f"{count:,} deliveries, 2 workers", **found),
        Bar(ratio=1.5),
    )
    busy = max(run["more"]["busy"] for run in row.reference_runs)
    if busy >= FULL:
        row.note = f"one worker keeps the machine {busy:.0%} busy: no room for a second"
        row.verdict = {}
    return row


def drained(bench: Bench, sink: Receiver, count: int, workers: int) -> Run:
    """Publish first, then let so many workers deliver; from the first request to the last row."""
    spec = {"endpoints": [(sink.url, payload.EVENT)], "events": [payload.EVENT]}
    with bench.fresh() as url:
        bench.measure(
            bench.engine("publish", url, messages=count, settings={"deliver": False}, **spec)
        )
        before = sink.seen()["count"]
        children = [bench.engine("drain", url, **spec) for _ in range(workers)]
        for child in children:
            child.read()
        busy, began = Busy(), time.monotonic()
        for child in children:
            child.go()
        said = [child.read() for child in children]
        share = busy.share()
        for child in children:
            child.__exit__()
        extra = sink.seen()["count"] - before - count
    seconds = max(s["ended"] for s in said) - began
    each = 1e6 / count
    return Run(
        figure=round(count / seconds, 1),
        cpu=round(sum(s["cpu"] for s in said) * each, 1),
        server_cpu=round(max(s["server_cpu"] for s in said) * each, 1),
        more={"busy": round(share, 3), "extra": extra},
    )


@scenario()
def rest_api(_bench: Bench) -> Row:
    """64 clients post messages over the REST API."""
    raise NotMeasured("this version has no REST API")
