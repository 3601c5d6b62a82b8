"""Half an hour of many pipelines while processes are killed (`tests/support/cloud/soak.py`)."""

import sys
import tracemalloc

from bench.cloud.lab import ROOT, CloudLab
from bench.registry import BenchError

Found = dict[str, float]
_SECONDS = 1800.0
_SEED = 1


def soak(_lab: CloudLab) -> Found:
    """Simulate; compare the memory after the first and after the last third."""
    # The tests' modules import each other from their directory.
    sys.path.append(str(ROOT / "tests"))
    from support.cloud.soak import Soak  # noqa: PLC0415

    tracemalloc.start()
    try:
        found = Soak(_SEED).run(_SECONDS, traced=True)
    finally:
        tracemalloc.stop()
    if found.problems:
        raise BenchError("; ".join(found.problems[:5]))
    first, *_, last = found.memory
    return {
        "execs": found.execs,
        "faults": found.faults.total(),
        "killed_invocations": found.faults["killed invocations"],
        "killed_workers": found.faults["killed workers"],
        "logged_errors": found.logged.total(),
        "memory_mb": last / 2**20,
        "memory_growth_mb": (last - first) / 2**20,
    }
