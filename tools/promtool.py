"""Prometheus' own tool, which tests alert rules: the machine's, or from Debian's package."""

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path

KEPT = Path(__file__).parents[1] / "var/promtool"
SECONDS = 120


def find() -> str | None:
    """Return a promtool that runs; None where there is none and Debian's cannot be had.

    The package is unpacked, not installed: it would start a server.
    """
    found = shutil.which("promtool")
    if found is not None:
        return found
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return None
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with KEPT.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not KEPT.exists():
            _unpack()
    return str(KEPT) if KEPT.exists() else None


def _unpack() -> None:
    with tempfile.TemporaryDirectory(prefix="promtool-") as folder:
        try:
            for command in (
                ["apt-get", "-o", "APT::Sandbox::User=root", "download", "prometheus"],
                ["sh", "-c", "dpkg -x prometheus_*.deb ."],
            ):
                subprocess.run(
                    command, cwd=folder, check=True, capture_output=True, timeout=SECONDS
                )
        except (subprocess.SubprocessError, OSError):
            return  # no network, no lists of packages, another system
        tool = Path(folder) / "usr/bin/promtool"
        if tool.exists():
            shutil.move(tool, KEPT)
