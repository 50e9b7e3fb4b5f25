"""How many messages a second are accepted for certain."""

from benchmarks import payload
from benchmarks.child import Child
from benchmarks.runner import Bar, Bench, Row, Run, judged, rate, scenario

MESSAGES = 40_000
CALLERS = 64


@scenario()
def publish_64(bench: Bench) -> Row:
    """64 callers publish, each waiting until its message is on the disk; nothing is delivered."""
    count = bench.n(MESSAGES, 1000)

    def ours() -> Run:
        with bench.fresh() as url:
            said = bench.measure(
                bench.engine(
                    "publish",
                    url,
                    endpoints=[("http://127.0.0.1:9/", payload.EVENT)],
                    events=[payload.EVENT],
                    messages=count,
                    warm_up=500,
                    callers=CALLERS,
                    settings={"deliver": False},
                )
            )
        run = rate(said, count)
        run.more |= {"threads": said["threads"], "wait_ms": said["wait_ms"]}
        return run

    def bare() -> Run:
        with bench.fresh() as url:
            return rate(bench.measure(Child("bare_publish", database=url, messages=count)), count)

    found = bench.versus(ours, bare, "bare driver, 64 rows a commit")
    row = Row(scenario="publish_64", what=f"{count:,} messages, {CALLERS} callers", **found)
    best = max(row.runs, key=lambda run: run["figure"])["more"]["wait_ms"]
    row.note = f"a caller waits {best['p50']:g} ms (p99 {best['p99']:g})"
    return judged(row, Bar(figure=10_000))
