"""Looking at an SQLite file: opened without being made, migrated or switched to anything."""

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from hookline._domain.vitals import SqliteSigns
from hookline._said import Said
from hookline._storage.sqlite.lane import BUSY_TIMEOUT
from hookline._storage.sqlite.owner import check_not_forked, open_files
from hookline.errors import StorageError

try:
    import fcntl
except ImportError:  # see owner.py
    fcntl = None  # type: ignore[assignment]

NETWORK = {
    "9p", "afs", "ceph", "cifs", "davfs", "drvfs", "fuse.davfs", "fuse.glusterfs", "fuse.rclone",
    "fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2",
    "smb2", "smb3", "smbfs", "virtiofs",
}  # fmt: skip
"""File systems of other machines, as Linux names them."""
MOUNTS = Path("/proc/self/mountinfo")
INCREMENTAL = 2


@asynccontextmanager
async def looking(path: str) -> AsyncIterator[AsyncConnection]:
    """Open an existing file for reading."""
    check_not_forked(path)
    if not exists(path):
        raise StorageError(
            Said(
                "SQLite {path}: there is no such file yet; the application makes it when it "
                "starts, and so does: hookline migrate",
                path=path,
            )
        )
    url = sa.URL.create(
        "sqlite+aiosqlite", database=f"file:{quote(path)}", query={"mode": "rw", "uri": "true"}
    )
    engine = create_async_engine(
        url, connect_args={"timeout": BUSY_TIMEOUT}, poolclass=NullPool, hide_parameters=True
    )
    open_files[path] += 1
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()
        open_files[path] -= 1


def check_openable(path: str) -> None:
    """Raise StorageError, saying what to check, when the file can be neither opened nor made."""
    file, folder = Path(path), Path(path).parent
    if file.is_dir():
        raise StorageError(Said("SQLite {path}: is a folder; name a file in it", path=path))
    if not folder.is_dir():
        raise StorageError(
            Said(
                "SQLite {path}: its folder does not exist: make it, or correct the URL (an "
                "absolute path has four slashes: sqlite:////srv/app/hookline.db)",
                path=path,
            )
        )
    for each in (file if file.exists() else folder, folder):
        if not os.access(each, os.W_OK):
            raise StorageError(
                Said("SQLite {path}: this account may not write to {each}", path=path, each=each)
            )


def exists(path: str) -> bool:
    """Return whether there is a file."""
    return Path(path).exists()


def owned(path: str) -> bool | None:
    """Return whether some process delivers from the file, None when it cannot be told.

    A worker that asks for the lock in the very moment of this look gets it two seconds later.
    """
    if fcntl is None:
        return None
    try:
        fd = os.open(f"{path}-worker", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def signs(connection: sa.Connection, path: str) -> SqliteSigns:
    """Return what the doctor wants to know of the file."""

    def pragma(name: str) -> str | int:
        value: str | int = connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
        return value

    page = int(pragma("page_size"))
    return SqliteSigns(
        version=sqlite3.sqlite_version,
        path=path,
        journal=str(pragma("journal_mode")),
        size=int(pragma("page_count")) * page,
        wal=_size(f"{path}-wal"),
        free_pages=int(pragma("freelist_count")) * page,
        incremental=pragma("auto_vacuum") == INCREMENTAL,
        disk_free=shutil.disk_usage(Path(path).parent).free,
        filesystem=network_filesystem(path),
        not_writable=_not_writable(path),
    )


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0


def _not_writable(path: str) -> str:
    for each in (Path(path), Path(path).parent):
        if not os.access(each, os.W_OK):
            return str(each)
    return ""


def network_filesystem(path: str, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system a file is on when it is another machine's, else ''."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""  # not Linux
    best, kind = "", ""
    for line in lines:
        # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw (proc_pid_mountinfo(5))
        head, _, tail = line.partition(" - ")
        at = _unescaped(head.split(" ")[4])
        inside = at in {"/", path} or path.startswith(f"{at}/")
        if inside and len(at) >= len(best):  # the last mount on a place hides those before
            best, kind = at, tail.split(" ")[0]
    return kind if kind in NETWORK else ""


def _unescaped(mount_point: str) -> str:
    for code, character in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        mount_point = mount_point.replace(code, character)
    return mount_point
