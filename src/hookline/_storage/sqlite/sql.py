"""The statements of the hot path: one per file in `sql/`, named after it."""

from importlib.resources import files


def _load() -> dict[str, str]:
    folder = files("hookline._storage.sqlite").joinpath("sql")
    return {
        path.name.removesuffix(".sql"): path.read_text("utf-8").strip()
        for path in folder.iterdir()
        if path.name.endswith(".sql")
    }


SQL = _load()
