"""The content of uploaded files, on disk under its hash: the same content is stored once.

An upload is first laid aside (`stage`), checked and hashed, and takes its place (`keep`) as the
last step of the transaction that writes its row. A crash in between leaves a file that no row
names: harmless, and the next upload of the same content takes it over.
"""

import hashlib
import logging
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fastapi import HTTPException, status

from app.settings import settings

logger = logging.getLogger(__name__)

MAX_NAME = 200  # characters, as many as the column holds
CHUNK = 1024 * 1024

# A file is what its content says. What the caller declares must agree: a receiver will trust it.
ACCEPTED: dict[str, Callable[[bytes], bool]] = {
    "image/jpeg": lambda head: head.startswith(b"\xff\xd8\xff"),
    "image/png": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    "image/webp": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    "application/pdf": lambda head: head.startswith(b"%PDF-"),
}


@dataclass(frozen=True, slots=True)
class Staged:
    """An upload that was checked and waits for its transaction."""

    path: Path
    sha256: str
    size: int
    file_type: str

    def keep(self) -> None:
        """Give the content its place; whoever was there first has the same."""
        place = path_of(self.sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        self.path.replace(place)

    def discard(self) -> None:
        """Remove what wasn't kept."""
        self.path.unlink(missing_ok=True)


def path_of(sha256: str) -> Path:
    """Return where the content with this hash lies."""
    return settings.files_dir / sha256[:2] / sha256


def stage(source: BinaryIO, declared: str | None) -> Staged:
    """Check an upload and lay it aside; 413, 415 or 422 when it can't be accepted."""
    file_type = _judge(source.read(16), declared)
    source.seek(0)
    settings.files_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=settings.files_dir, prefix="new-", delete=False) as target:
        path = Path(target.name)
        digest = hashlib.sha256()
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            target.write(chunk)
        size = target.tell()
    return Staged(path, digest.hexdigest(), size, file_type)


def check_size(size: int) -> None:
    """Refuse what is too large, or nothing at all."""
    limit = settings.max_upload_bytes
    if size > limit:
        detail = f"the file has {size} bytes, at most {limit} are accepted"
        raise HTTPException(status.HTTP_413_CONTENT_TOO_LARGE, detail)
    if size == 0:
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, "the file is empty")


def remove(sha256: str) -> None:
    """Remove a content that no document uses any more."""
    try:
        path_of(sha256).unlink(missing_ok=True)
    except OSError:
        # The document is gone all the same: what is left is disk space, for the operator to see.
        logger.exception("File %s could not be removed", path_of(sha256))


def clean_name(raw: str | None) -> str:
    """Return a name that is safe to store, show and offer for download: no folders, no controls.

    Chinese and every other script stay as they are, in composed form.
    """
    last = (raw or "").replace("\\", "/").rpartition("/")[2]
    composed = unicodedata.normalize("NFC", last)
    # Category C: control, format (text direction among them), surrogate, private, unassigned.
    shown = "".join(c for c in composed if not unicodedata.category(c).startswith("C"))
    name = shown.strip(" .")
    if not name:
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, "the file has no usable name")
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) >= MAX_NAME:
        return name[:MAX_NAME]
    return stem[: MAX_NAME - len(suffix) - 1] + dot + suffix


def _judge(head: bytes, declared: str | None) -> str:
    found = next((name for name, fits in ACCEPTED.items() if fits(head)), None)
    if found is None:
        detail = f"the content is none of the accepted types: {', '.join(ACCEPTED)}"
    elif found != declared:
        detail = f"declared as {declared or 'nothing'}, but the content is {found}"
    else:
        return found
    raise HTTPException(status.HTTP_415_UNSUPPORTED_MEDIA_TYPE, detail)
