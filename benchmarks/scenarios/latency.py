"""How long until a request arrives, on a system that does nothing else."""

from typing import Any

from benchmarks import payload
from benchmarks.child import Child
from benchmarks.engine import percentiles
from benchmarks.runner import LOWER, Bar, Bench, Row, Run, judged, scenario

SAMPLES = 500
PAUSE = 0.02
"""Seconds after each sample: long enough for its row to be settled."""


@scenario()
def idle_latency(bench: Bench) -> list[Row]:
    """From the call of trigger to the arrival of its request, one message at a time."""
    count = bench.n(SAMPLES, 50)
    rounds = max(1, bench.rounds - 1)
    with bench.sink(stamps=True) as sink:

        def waits(said: dict[str, Any]) -> dict[str, float]:
            stamps = sink.seen()["stamps"]
            return percentiles([stamps[key] - began for key, began in said["starts"].items()])

        def bare() -> Run:
            process = Child("bare", urls=[sink.url], requests=count, in_flight=1, pause=PAUSE)
            found = waits(bench.measure(process))
            return Run(figure=found["p50"], more=found)

        def ours() -> Run:
            with bench.fresh() as url:
                process = bench.engine(
                    "latency",
                    url,
                    endpoints=[(sink.url, payload.EVENT)],
                    events=[payload.EVENT],
                    messages=count,
                    warm_up=50,
                    pause=PAUSE,
                )
                found = waits(bench.measure(process))
            return Run(figure=found["p50"], more=found)

        found = bench.versus(ours, bare, "bare libcurl, one POST", rounds=rounds, better=LOWER)
    return [
        at(found, "p50", Bar(figure=5, better=LOWER), count),
        at(found, "p99", Bar(figure=20, better=LOWER), count),
    ]


def at(found: dict[str, Any], cut: str, bar: Bar, count: int) -> Row:
    """Return the row of one percentile."""
    figure, reference = (
        min(run["more"][cut] for run in found[runs]) for runs in ("runs", "reference_runs")
    )
    row = Row(scenario="idle_latency", part=cut, what=f"{count} samples", unit="ms", **found)
    row.figure, row.reference, row.ratio = figure, reference, round(figure / reference, 2)
    return judged(row, bar)
