"""Packages of npm that tests need, installed from a lock file, once for all test processes."""

import fcntl
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
