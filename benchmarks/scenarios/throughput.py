"""How many deliveries a second: from the first trigger to the last settled row."""

import time
from contextlib import ExitStack

from benchmarks import payload
from benchmarks.machine import Busy
from benchmarks.runner import Bar, Bench, Row, Run, judged, scenario

BARE = "bare libcurl loop"
ONE = "one endpoint"
DELIVERIES = 20_000
FULL = 0.9
"""A machine this busy has no room for a second worker."""
BALANCED = 3.0
"""Seconds until workers that started together have agreed on their shares."""
SLOW_PUBLISH = 4000
"""Messages a second that are published on any machine."""


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
    found = bench.versus(
        lambda: drained(bench, count, 2), lambda: drained(bench, count, 1), "one worker"
    )
    what = f"{count:,} deliveries, 2 workers"
    row = judged(Row(scenario="two_workers", what=what, **found), Bar(ratio=1.5))
    one, two = (max(run["more"]["busy"] for run in runs) for runs in (row.reference_runs, row.runs))
    row.note = f"one keeps the cores {one:.0%} busy, two {two:.0%}"
    if two >= FULL and not all(row.verdict.values()):
        row.verdict = {}  # the bar ends where the cores are full
    return row


def drained(bench: Bench, count: int, workers: int) -> Run:
    """Let so many workers deliver what falls due at once; from the first request to the last row.

    They run, and know of each other, before it is published; all of it is due a moment later.
    """
    with ExitStack() as stack:
        sink = stack.enter_context(bench.sink())
        url = stack.enter_context(bench.fresh())
        spec = {"endpoints": [(sink.url, payload.EVENT)], "events": [payload.EVENT]}
        bench.prepare(url, **spec)
        children = [stack.enter_context(bench.engine("drain", url, **spec)) for _ in range(workers)]
        for child in children:
            child.read()
        due_at = time.time() + BALANCED + count / SLOW_PUBLISH
        bench.measure(
            bench.engine(
                "publish", url, messages=count, due_at=due_at, settings={"deliver": False}, **spec
            )
        )
        time.sleep(max(0, due_at - time.time()))
        busy = Busy()
        for child in children:
            child.go()
        said = [child.read() for child in children]
        share, seen = busy.share(), sink.seen()
    each = 1e6 / count
    return Run(
        figure=round(count / (max(s["ended"] for s in said) - seen["first"]), 1),
        cpu=round(sum(s["cpu"] for s in said) * each, 1),
        server_cpu=round(max(s["server_cpu"] for s in said) * each, 1),
        more={"busy": round(share, 3), "extra": seen["count"] - count},
    )
