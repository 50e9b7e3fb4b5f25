"""What importing Hookline costs, and what its doors show."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import hookline

SOURCE = Path(hookline.__file__).parent
DOORS = sorted(p.stem for p in SOURCE.glob("[!_]*.py"))


def loaded_by(statement):
    """Return the names of all modules a fresh interpreter has after the statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def foreign(modules):
    """Return the top-level packages that are neither Hookline nor the standard library."""
    # An editable installation has its own finder, which is not ours to count.
    known = {*sys.stdlib_module_names, "hookline", "__main__"}
    return {name.split(".")[0] for name in modules - loaded_by("pass")} - known


def test_the_receiver_door_is_standard_library_only():
    """Whoever only receives webhooks loads nothing that is not in Python itself."""
    modules = loaded_by("import hookline.receiver")
    assert foreign(modules) == set()
    assert not modules & {"asyncio", "sqlite3", "http.client", "ssl", "logging"}


def test_import_hookline_is_light():
    """`import hookline` loads no dependency, no database and no event loop."""
    modules = loaded_by("import hookline")
    assert foreign(modules) == set()
    assert not modules & {"asyncio", "sqlite3", "hookline._app", "hookline._storage"}


def test_testing_needs_no_test_framework():
    """`hookline.testing` works under any test runner, and without one."""
    assert not loaded_by("import hookline.testing") & {"pytest", "hypothesis", "httpx"}


@pytest.mark.parametrize("door", ["flask", "django", "fastapi"])
def test_a_receiving_application_loads_no_engine(door):
    """Whoever only receives in a framework loads nothing of what sends."""
    modules = loaded_by(f"from hookline.{door} import receive")
    assert not modules & {"hookline._app", "hookline._storage", "pycurl", "sqlalchemy"}


def test_help_is_quick():
    """The command line loads neither the engine nor a database to show its help."""
    modules = loaded_by("import hookline.cli")
    assert not modules & {"asyncio", "sqlite3", "sqlalchemy", "pycurl", "rich", "http.server"}


@pytest.mark.parametrize("door", ["", "receiver", *DOORS])
def test_all_is_sorted_and_true(door):
    """Each door lists what it exports, sorted, and has every name on the list."""
    module = importlib.import_module(f"hookline.{door}" if door else "hookline")
    assert list(module.__all__) == sorted(module.__all__)
    assert not [name for name in module.__all__ if not hasattr(module, name)]


@pytest.mark.parametrize("door", DOORS)
def test_all_is_complete(door):
    """Every public function and class that a door defines is on its list."""
    tree = ast.parse((SOURCE / f"{door}.py").read_text("utf-8"))
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    }
    exported = set(importlib.import_module(f"hookline.{door}").__all__)
    assert defined - exported == set()


def test_unknown_names_are_attribute_errors():
    """The lazy package answers unknown names as any module does."""
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = hookline.nonsense
