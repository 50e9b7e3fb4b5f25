"""`python -m fuzz [TARGET …] [--seconds N]`: look for input that breaks a target's promise.

A third of the time goes to Hypothesis, which makes structured input, the rest to atheris, which
follows the coverage of the code; without atheris, Hypothesis has it all. What is found is kept in
`corpus/TARGET/found-…`, where the tests run it for ever.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from traceback import print_exc

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS, name_of

CORPUS = Path(__file__).parent / "corpus"
WORDS = Path(__file__).parent / "words.txt"


def inputs(target: str) -> st.SearchStrategy[bytes]:
    """Return structured input: words of the formats, pieces of known input, any bytes."""
    words = [line.encode() for line in WORDS.read_text("utf-8").splitlines() if line]
    known = [path.read_bytes() for path in sorted((CORPUS / target).glob("*"))]
    pieces = st.sampled_from([*words, *known, b"\xff", b":", b"\n"]) | st.binary(max_size=4)
    soup = st.lists(pieces, max_size=12).map(b"".join)
    cut = st.tuples(st.sampled_from(known or [b""]), st.integers(0, 60), soup)
    return soup | st.binary(max_size=200) | cut.map(lambda c: c[0][: c[1]] + c[2] + c[0][c[1] :])


def with_hypothesis(target: str, seconds: float) -> int:
    """Run Hypothesis; return how many inputs were tried, or raise for a finding."""
    end, tried = time.monotonic() + seconds, 0
    last = b""
    quiet = settings(
        max_examples=2000,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )

    @quiet
    @given(inputs(target))
    def holds(data: bytes) -> None:
        nonlocal tried, last
        if time.monotonic() < end:
            tried += 1
            last = data
            TARGETS[target](data)

    try:
        while time.monotonic() < end:
            holds()
    except Exception:
        keep(target, last)
        raise
    return tried


def keep(target: str, data: bytes) -> None:
    """Write a finding where the tests run it."""
    path = CORPUS / target / name_of(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f"{target}: kept {path}: {data!r}")


def with_atheris(target: str, seconds: float) -> bool:
    """Run libFuzzer in a process of its own, which it ends itself; tell whether all held."""
    known = CORPUS / target
    known.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        command = [
            sys.executable,
            "-m",
            "fuzz.one",
            target,
            f"-max_total_time={max(1, round(seconds))}",
            f"-artifact_prefix={work}/",
            f"-dict={WORDS.with_suffix('.dict')}",
            "-max_len=600",
            "-timeout=20",
            "-print_final_stats=1",
            "-verbosity=0",
            work + "/corpus",
            str(known),
        ]
        Path(work, "corpus").mkdir()
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        runs = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        if done.returncode == 0:
            print(f"{target}: atheris: {runs[0].split()[-1]} inputs" if runs else done.stderr)
            return True
        print(done.stderr)
        for found in Path(work).glob("[!c]*-*"):
            keep(target, found.read_bytes())
        for found in Path(work).glob("crash-*"):
            keep(target, found.read_bytes())
        return False


def main() -> int:
    """Run the targets that were named, or all; return 1 when something was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    both = importlib.util.find_spec("atheris") is not None
    if not both:
        print("atheris is not installed here: Hypothesis alone")
    ended = []
    for target in options.targets or TARGETS:
        share = options.seconds / 3 if both else options.seconds
        try:
            print(f"{target}: Hypothesis: {with_hypothesis(target, share)} inputs")
            ended.append(not both or with_atheris(target, options.seconds - share))
        except Exception:  # noqa: BLE001 - it is the finding
            print_exc()
            ended.append(False)
    print(f"{sum(ended)} passed, {len(ended) - sum(ended)} failed")
    return 0 if all(ended) else 1


if __name__ == "__main__":
    sys.exit(main())
