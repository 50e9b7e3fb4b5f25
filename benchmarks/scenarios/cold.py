"""What an import costs a process that has just begun."""

import resource
import statistics
import subprocess
import sys
from importlib.util import find_spec

from benchmarks.databases import NotMeasured
from benchmarks.runner import LOWER, Bar, Bench, Row, judged, scenario

IMPORTS = 15
"""Fresh interpreters for each statement, in turn, so that what else the machine does hits all."""
REFERENCE = "import fastapi"
OURS = {
    "package": ("import hookline", REFERENCE, Bar(figure=100, ratio=1, better=LOWER)),
    "webhooks": ("from hookline import Webhooks", REFERENCE, Bar()),
    "receiver": ("import hookline.receiver", REFERENCE, Bar()),
    "plugin": ("import pytest, hookline.testing.plugin", "import pytest", Bar()),
}


@scenario("sqlite")
def cold_import(bench: Bench) -> list[Row]:
    """CPU of a fresh interpreter for `import hookline`, beside `import fastapi`."""
    if find_spec("fastapi") is None:
        raise NotMeasured("fastapi is not installed")
    statements = list(dict.fromkeys(["pass", *(each for one in OURS.values() for each in one[:2])]))
    spent: dict[str, list[float]] = {each: [] for each in statements}
    for n in range(bench.n(IMPORTS, 3) + 1):
        bench.say(f"{n} of {IMPORTS}")
        for each in statements:
            took = milliseconds(each)
            if n:  # the first one compiles, and fills the disk's cache
                spent[each].append(took)
    base = statistics.median(spent["pass"])
    took = {each: max(0.1, statistics.median(all_) - base) for each, all_ in spent.items()}
    return [
        judged(
            Row(
                scenario="cold_import",
                part=part,
                what=what,
                unit="ms of CPU",
                figure=round(took[what], 1),
                reference=round(took[reference], 1),
                reference_what=reference,
                ratio=round(took[what] / took[reference], 3),
                note="beyond an interpreter that does nothing",
            ),
            bar,
        )
        for part, (what, reference, bar) in OURS.items()
    ]


def milliseconds(statement: str) -> float:
    """Return the processor time of an interpreter that makes the statement and ends."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-I", "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
