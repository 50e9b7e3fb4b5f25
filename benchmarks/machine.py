"""What the kernel says about processes and the machine. Linux: all of it comes from /proc."""

import os
import platform
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pycurl

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")


def describe() -> dict[str, Any]:
    """Return what a reader of the figures needs to know about the machine."""
    model = [
        line.partition(":")[2].strip()
        for line in (PROC / "cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cores": os.cpu_count(),
        "cpu": model[0] if model else platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libcurl": pycurl.version_info()[1],
        "sqlite": sqlite3.sqlite_version,
    }


def load() -> float:
    """Return the load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def _jiffies() -> tuple[int, int]:
    """Return (idle, all) since boot, over all cores."""
    fields = [int(n) for n in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


class Busy:
    """How busy the whole machine is, from its making until it is asked."""

    def __init__(self) -> None:
        self._began = _jiffies()

    def share(self) -> float:
        """Return the busy share of all cores, 0 to 1."""
        (idle0, all0), (idle1, all1) = self._began, _jiffies()
        return 1 - (idle1 - idle0) / max(1, all1 - all0)


def others(seconds: float = 0.5) -> float:
    """Return how busy the machine is while we do nothing: other people's work."""
    busy = Busy()
    time.sleep(seconds)
    return round(busy.share(), 2)


def _stat(pid: int) -> list[str]:
    # The name, in parentheses, may contain anything: fields are counted behind it.
    return (PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()


def tree_cpu(root: int) -> float:
    """Return the CPU seconds of a process and everything it started, ended ones too."""
    times, parents = _processes()
    return sum(times.get(pid, 0) for pid in _family(parents, root)) / TICK


def living_cpu(root: int) -> float:
    """Return the CPU seconds of a process and of those it started that live: to the microsecond."""
    spent = 0
    for pid in _family(_processes()[1], root):
        for task in (PROC / str(pid) / "task").glob("*/schedstat"):
            with suppress(OSError):  # gone meanwhile
                spent += int(task.read_text().split()[0])
    return spent / 1e9


def _processes() -> tuple[dict[int, int], dict[int, int]]:
    """Return ticks, and parents, of all processes."""
    times, parents = {}, {}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = _stat(int(entry.name))
        except OSError:  # gone meanwhile
            continue
        parents[int(entry.name)] = int(fields[1])
        times[int(entry.name)] = sum(map(int, fields[11:15]))
    return times, parents


def _family(parents: dict[int, int], root: int) -> set[int]:
    family, grown = {root}, True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in family}
        grown = not children <= family
        family |= children
    return family


def rss(pid: int | str = "self") -> float:
    """Return the resident memory of a process in MB (10^6 bytes)."""
    return _memory(pid, "VmRSS:")


def peak_rss(pid: int | str = "self") -> float:
    """Return the most resident memory a process ever had, in MB."""
    return _memory(pid, "VmHWM:")


def _memory(pid: int | str, field: str) -> float:
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith(field):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    return 0.0


def thread_cpu() -> dict[str, float]:
    """Return the CPU seconds of each thread of this process, by its Python name."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    found: dict[str, float] = {}
    for task in (PROC / "self" / "task").iterdir():
        try:
            spent = int((task / "schedstat").read_text().split()[0]) / 1e9
        except OSError:  # gone meanwhile
            continue
        name = names.get(int(task.name), "other")
        found[name] = found.get(name, 0) + spent
    return found
