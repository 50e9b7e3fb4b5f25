"""What is shipped: everything the code needs, the same whenever it is built."""

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import hookline

ROOT = Path(__file__).parents[2]


def build(source, folder, *targets):
    """Build with the interpreter at hand, without fetching anything; return what was built."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), *targets]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True)
    return {path.suffix: path for path in Path(folder).iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Wheel and sdist of this tree."""
    return build(ROOT, tmp_path_factory.mktemp("dist"), "-t", "wheel", "-t", "sdist")


@pytest.fixture(scope="module")
def wheel(built):
    with zipfile.ZipFile(built[".whl"]) as opened:
        yield opened


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_file_is_in_the_wheel(wheel):
    """Code, SQL, migrations, templates, static files, py.typed: all of it, and nothing else."""
    source = ROOT / "src"
    ours = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert shipped == ours
    kinds = {Path(name).suffix for name in shipped}
    assert {".py", ".sql", ".html", ".css", ".js", ".mako"} <= kinds
    assert "hookline/py.typed" in shipped
    assert "hookline/_storage/migrations/versions/0001_first.py" in shipped


def test_the_wheel_says_what_it_is(wheel):
    """Version, licence, command, pytest plugin, and the extras of pyproject.toml."""
    about = f"hookline-{hookline.__version__}.dist-info"
    metadata = Parser().parsestr(wheel.read(f"{about}/METADATA").decode())
    assert metadata["Version"] == hookline.__version__
    assert metadata["License-Expression"] == "MIT"
    assert {"postgres", "server", "fastapi", "crypto"} <= set(metadata.get_all("Provides-Extra"))
    points = wheel.read(f"{about}/entry_points.txt").decode()
    assert "hookline = hookline.cli:main" in points
    assert "[pytest11]\nhookline = hookline.testing.plugin" in points
    assert f"{about}/licenses/LICENSE" in wheel.namelist()


def test_built_again_it_is_the_same(built, tmp_path):
    """The same bytes from the same commit, in another folder and at another time."""
    again = build(ROOT, tmp_path, "-t", "wheel", "-t", "sdist")
    assert {kind: digest(path) for kind, path in again.items()} == {
        kind: digest(path) for kind, path in built.items()
    }


def test_the_sdist_is_enough(built, tmp_path):
    """The wheel that is built from it is the one built here; it has the tests, and no secrets."""
    with tarfile.open(built[".gz"]) as opened:
        names = opened.getnames()
        opened.extractall(tmp_path, filter="data")
    [unpacked] = tmp_path.iterdir()
    for wanted in ("tests/conftest.py", "tools/postgres.py", "benchmarks/__main__.py", "LICENSE"):
        assert f"{unpacked.name}/{wanted}" in names
    assert not [n for n in names if n.endswith((".db", ".env", ".pyc")) or "/.git/" in n]
    assert not [n for n in names if "node_modules" in n or "/.venv/" in n]
    folder = tmp_path / "dist"
    assert digest(build(unpacked, folder, "-t", "wheel")[".whl"]) == digest(built[".whl"])
