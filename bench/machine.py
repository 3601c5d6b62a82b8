"""The machine of the measurements."""

import os
import platform
import subprocess
import time
from pathlib import Path


def describe() -> dict[str, object]:
    """Return facts about this machine and checkout for JSON; memory is in GB (2**30 bytes).

    ``busy`` means that the machine has other work.
    """
    load, cpus = os.getloadavg()[0], os.cpu_count() or 1
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpus": cpus,
        "cpu": _cpu_name(),
        "memory_gb": round(pages / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(load, 2),
        "busy": load > cpus / 4,
        "commit": _commit(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _cpu_name() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _commit() -> str | None:
    """Return the checkout's commit, with ``+`` if files differ from it."""
    root = Path(__file__).parent.parent
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
