"""The statements of a hot path: one per file in its `sql` folder, named after it."""

from importlib.resources import files


def load(package: str) -> dict[str, str]:
    """Return the statements of a package by name."""
    return {
        path.name.removesuffix(".sql"): path.read_text("utf-8").strip()
        for path in files(package).joinpath("sql").iterdir()
        if path.name.endswith(".sql")
    }
