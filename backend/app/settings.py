"""What can be set from outside, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the application keeps its things, and how large an upload may be.

    | variable | default |
    |---|---|
    | `BACKEND_DATA_DIR` | `var/backend` of the repository |
    | `BACKEND_DATABASE_URL` | the SQLite file `backend.db` in that folder |
    | `BACKEND_MAX_UPLOAD_BYTES` | 10 MiB |
    """

    data_dir: Path
    database_url: str
    max_upload_bytes: int

    @property
    def files_dir(self) -> Path:
        """The folder of the uploaded files."""
        return self.data_dir / "files"


def load(environ: Mapping[str, str]) -> Settings:
    """Build the settings and make sure that their folder exists."""
    data_dir = Path(environ.get("BACKEND_DATA_DIR") or REPOSITORY / "var" / "backend").resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    return Settings(
        data_dir=data_dir,
        database_url=environ.get("BACKEND_DATABASE_URL") or f"sqlite:///{data_dir}/backend.db",
        max_upload_bytes=_positive(environ, "BACKEND_MAX_UPLOAD_BYTES", 10 * MEGABYTE),
    )


def _positive(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError(f"{name}: {text!r} is not a whole number above zero")
    return int(text)


settings = load(os.environ)
