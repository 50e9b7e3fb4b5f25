"""Packages of npm that tests need, installed from a lock file, once for all test processes."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path


def install(folder: Path) -> bool:
    """Install what the folder's lock file says unless it is there; False without Node or npm."""
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    wanted, installed = folder / "package-lock.json", folder / "node_modules/.package-lock.json"
    with wanted.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
            command = ["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=folder, check=True, timeout=300, stdout=subprocess.DEVNULL)
            installed.touch()
    return True


def compiled(folder: Path) -> bool:
    """Install and compile a package of ours unless its sources are those it was compiled from."""
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    with (folder / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, sources = folder / "node_modules/.hookline-stamp", _sources(folder)
        if not (stamp.exists() and stamp.read_text() == sources):
            command = ["npm", "ci", "--no-audit", "--no-fund"]
            done = subprocess.run(
                command, cwd=folder, timeout=300, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
            stamp.write_text(sources)
    return True


def _sources(folder: Path) -> str:
    """Return a hash of all that the installation and the compilation depend on."""
    files = [*folder.glob("*.json"), *folder.glob("*.mjs"), *(folder / "src").glob("*.ts")]
    return hashlib.sha256(b"".join(each.read_bytes() for each in sorted(files))).hexdigest()
