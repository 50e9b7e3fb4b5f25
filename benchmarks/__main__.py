"""`python -m benchmarks`: run the scenarios, print one table, keep the results."""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.databases import DATABASES, NotMeasured
from benchmarks.runner import Bench, Row
from benchmarks.scenarios import SCENARIOS

WIDTH = 180
"""Of the table when nobody looks at it on a terminal."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(SCENARIOS), default=[])
    parser.add_argument("--scale", type=float, default=1.0, help="sizes times this (default 1.0)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side, the best counts")
    parser.add_argument(
        "--database", choices=[*DATABASES, "both"], default="both", help="default: both"
    )
    parser.add_argument("--profile", action="store_true", help="show CPU by thread")
    parser.add_argument("--no-write", action="store_true", help="leave benchmarks/results alone")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    parser.add_argument("--page", action="store_true", help="write docs/reference/benchmarks.md")
    return parser.parse_args()


def main() -> int:
    """Do what the arguments say; return 1 when a scenario broke. Bars are for people to judge."""
    given, console = arguments(), Console()
    if not console.is_terminal:
        console.width = WIDTH
    if given.list:
        report.show_list(console)
        return 0
    if given.page:
        console.print(f"wrote {report.write_page()}")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is stopped too
    names = given.only or list(SCENARIOS)
    rows: list[Row] = []
    try:
        with tempfile.TemporaryDirectory(prefix="hookline-bench-") as folder:
            bench = Bench(
                scale=given.scale, rounds=given.rounds, console=console, folder=Path(folder)
            )
            chosen = list(DATABASES) if given.database == "both" else [given.database]
            for database in chosen:
                play(bench, database, names, rows)
    except KeyboardInterrupt:
        console.print("stopped; what was measured until now:")
    report.show(console, rows, profile=given.profile)
    if not given.no_write:
        console.print(f"wrote {report.write(rows)}")
    return int(any("run" in row.verdict for row in rows))


def play(bench: Bench, database: str, names: list[str], rows: list[Row]) -> None:
    """Play the scenarios on one database, adding to the rows as they come."""
    wanted = [SCENARIOS[name] for name in names if database in SCENARIOS[name].databases]
    try:
        bench.database = DATABASES[database](bench.folder)
    except NotMeasured as reason:
        note = f"not measured: {reason}"
        rows += [Row(scenario=one.name, database=database, note=note) for one in wanted]
        return
    try:
        for one in wanted:
            played = bench.play(one)
            for row in played:
                bench.console.print(report.line(row))
            rows += played
    finally:
        bench.database.close()


if __name__ == "__main__":
    sys.exit(main())
