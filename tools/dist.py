"""Build what is released, and try it as its users will: `make dist`.

1. sdist and wheel of the last commit, with its documentation as a site, twice: the bytes must be
   the same; `twine check`.
2. The wheel in an empty environment, for each extra alone and on each Python that is given, and the
   sdist once: `tools/smoke.py` runs there; mypy sees the types.
3. A list of what it is made of (SBOM, CycloneDX) for all extras together.

What was built is in `dist/`, with the SHA-256 of each file in `dist/SHA256SUMS`.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
NOT_FOR_USERS = {"backend", "bench", "dev", "docs", "fuzz", "release"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TYPED = "from hookline import Webhooks\n\nsettings: int = Webhooks().settings\n"
UNTYPED = 'expression has type "Settings", variable has type "int"'


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Run a command and return what it printed; its errors end this one."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}\nended with {done.returncode}")
    return done.stdout


def extras() -> list[str]:
    """Return the extras that users install."""
    return sorted(PROJECT["optional-dependencies"].keys() - NOT_FOR_USERS)


def epoch() -> str:
    """Return the time that files are given: of the commit, or SOURCE_DATE_EPOCH."""
    return os.environ.get("SOURCE_DATE_EPOCH") or run("git", "log", "-1", "--format=%ct").strip()


def build(folder: Path) -> dict[str, str]:
    """Build the site, the sdist and the wheel of the last commit; return each file's SHA-256."""
    with tempfile.TemporaryDirectory(prefix="hookline-dist-") as clean:
        archive = Path(clean) / "tree.tar"
        run("git", "archive", "--prefix=tree/", "--output", archive, "HEAD")
        with tarfile.open(archive) as opened:
            opened.extractall(clean, filter="data")
        tree = Path(clean) / "tree"
        run(sys.executable, tree / "docs/site/build.py", SOURCE_DATE_EPOCH=epoch())
        run(sys.executable, "-m", "build", "--outdir", folder, tree, SOURCE_DATE_EPOCH=epoch())
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
    }


def build_twice() -> tuple[Path, Path]:
    """Build into `dist/` and once more beside it; return wheel and sdist."""
    if run("git", "status", "--porcelain").strip():
        print("there are changes that are not committed: they are left out")
    shutil.rmtree(DIST, ignore_errors=True)
    first = build(DIST)
    with tempfile.TemporaryDirectory() as again:
        second = build(Path(again))
    if first != second:
        sys.exit(f"built twice, the bytes differ:\n{first}\n{second}")
    run(sys.executable, "-m", "twine", "check", "--strict", *DIST.iterdir())
    for name, digest in first.items():
        print(f"{digest}  {name}  {(DIST / name).stat().st_size:,} bytes, twice the same")
    [wheel], [sdist] = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    return wheel, sdist


def environment(python: str, folder: Path, requirement: str) -> Path:
    """Make an empty environment with a requirement; return its interpreter."""
    run(python, "-m", "venv", "--without-pip", folder)
    inside = folder / "bin/python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "--python", inside, "install", "--quiet", requirement)
    return inside


def smoke(python: str, file: Path, extra: str) -> None:
    """Try a file with one extra in an empty environment."""
    with tempfile.TemporaryDirectory(prefix="hookline-dist-") as name:
        folder = Path(name)
        requirement = str(file) if extra == "core" else f"{file}[{extra}]"
        inside = environment(python, folder / "venv", requirement)
        run(inside, "-I", "-W", "error", ROOT / "tools/smoke.py", extra, cwd=folder)
        if extra == "core":
            check_types(inside, folder)
        version = run(inside, "-c", "import platform; print(platform.python_version())").strip()
        print(f"Python {version}: {file.name} [{extra}] installs and works", flush=True)


def check_types(inside: Path, folder: Path) -> None:
    """See that mypy finds the installed package's types: it must object to a wrong one."""
    (folder / "typed.py").write_text(TYPED)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--python-executable", inside, "typed.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if UNTYPED not in done.stdout:
        sys.exit(f"py.typed: mypy does not see the types\n{done.stdout}{done.stderr}")


def list_parts(wheel: Path) -> None:
    """Write the SBOM: Hookline with all extras, as they resolve today."""
    target = DIST / f"{wheel.name.split('-py3')[0]}.cdx.json"
    with tempfile.TemporaryDirectory(prefix="hookline-dist-") as name:
        inside = environment(sys.executable, Path(name), f"{wheel}[{','.join(extras())}]")
        run(
            *(sys.executable, "-m", "cyclonedx_py", "environment"),
            *("--pyproject", ROOT / "pyproject.toml", "--mc-type", "library"),
            *(
                "--output-reproducible",
                "--validate",
                "--of",
                "JSON",
                "--output-file",
                target,
                inside,
            ),
        )
    found = json.loads(target.read_text("utf-8"))
    names = {part["name"].lower() for part in found["components"]}
    missing = {"pycurl", "orjson", "sqlalchemy", "fastapi", "asyncpg"} - names
    if missing:
        sys.exit(f"{target.name}: {missing} is not listed")
    print(f"{target.name}: {len(names)} parts")


def sign() -> None:
    """Write the checksums of everything in `dist/`."""
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
        for file in sorted(DIST.iterdir())
    ]
    (DIST / "SHA256SUMS").write_text("".join(lines))


def main(arguments: Iterable[str] | None = None) -> None:
    """Build and try."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument(
        "--python", action="append", help="an interpreter to try the wheel on; several times"
    )
    options.add_argument("--extras", nargs="*", default=extras(), help="all of them by default")
    given = options.parse_args(arguments)
    wheel, sdist = build_twice()
    for python in given.python or [sys.executable]:
        for extra in ["core", *given.extras]:
            smoke(python, wheel, extra)
    smoke(sys.executable, sdist, "core")
    list_parts(wheel)
    sign()


if __name__ == "__main__":
    main()
