"""What a worker needs of memory: with a thousand requests in the air, and after a long day."""

from benchmarks import machine, payload
from benchmarks.runner import LOWER, Bar, Bench, Row, judged, scenario

IN_FLIGHT = 1000
HOLD = 2.0
"""Seconds the sink keeps each request waiting."""
LONG_RUN = 100_000


@scenario()
def memory(bench: Bench) -> list[Row]:
    """Resident memory with 1,000 requests in flight, and its growth over 100,000 deliveries."""
    return [in_flight(bench), long_run(bench)]


def in_flight(bench: Bench) -> Row:
    """Hold a thousand requests at the sink and look at the worker."""
    bench.say(f"{IN_FLIGHT:,} in flight")
    with bench.sink(delay=HOLD) as sink, bench.fresh() as url:
        process = bench.engine(
            "deliver",
            url,
            endpoints=[(each, payload.EVENT) for each in sink.urls(100)],
            events=[payload.EVENT],
            messages=4 * IN_FLIGHT // 100,
            settings={"max_in_flight": IN_FLIGHT},
        )
        with process:
            process.read()
            idle = machine.rss(process.pid)
            process.go()
            said = process.read()
        most = sink.seen()["most_waiting"]
    row = Row(
        scenario="memory",
        part="in_flight",
        what=f"RSS with {most:,} in flight",
        unit="MB",
        figure=said["peak_rss"],
        reference=idle,
        reference_what="the same process, idle",
        ratio=round(said["peak_rss"] / idle, 2),
    )
    if most < IN_FLIGHT * 0.9:
        row.note = f"only {most} of {IN_FLIGHT} were in flight at once"
    return judged(row, Bar(figure=150, better=LOWER))


def long_run(bench: Bench) -> Row:
    """Deliver for long; compare the end with the first tenth, when all caches are warm."""
    count = bench.n(LONG_RUN, 2000)
    bench.say(f"{count:,} deliveries")
    with bench.sink() as sink:
        run = bench.deliver(sink, count)
    samples = run.more["rss"]
    early = samples[len(samples) // 10]
    row = Row(
        scenario="memory",
        part="long_run",
        what=f"RSS after {count:,} deliveries",
        unit="MB",
        figure=samples[-1],
        reference=early,
        reference_what="after a tenth of them",
        ratio=round(samples[-1] / early, 3),
        cpu=run.cpu,
        server_cpu=run.server_cpu,
        runs=[{"rss": samples}],
    )
    return judged(row, Bar(figure=150, ratio=1.1, better=LOWER))
