"""The cost of large trees before anything runs, each measured in a separate process."""

import json
import subprocess
import sys

from bench.local.lab import LocalLab
from bench.registry import BenchError

Found = dict[str, float]

_BUILD = """
import json, time
import conducto as co
started = time.perf_counter()
root = co.Parallel()
for g in range(100):
    group = root[f"g{g:03}"] = co.Parallel()
    for i in range(1000):
        group[f"n{i:04}"] = co.Exec(f"echo {g} {i}")
built = time.perf_counter()
"""
_SERIALISE = """
text = root.serialize()
done = time.perf_counter()
result = {"seconds": done - started, "build_seconds": built - started,
          "serialize_seconds": done - built, "bytes_per_node": len(text) / 100_000}
"""
_RESOLVE = """
from conducto_core.tree.rules.resolve import resolve
from conducto.tree.launch_form import to_launch_form
form = to_launch_form(root)
started = time.perf_counter()
resolve(form)
result = {"seconds": time.perf_counter() - started}
"""
# Not getrusage, whose peak a new process inherits from its parent.
_REPORT = """
status = open("/proc/self/status").read()
result["megabytes"] = int(status.partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps(result))
"""


def build_100000(_lab: LocalLab) -> Found:
    return _measured(_BUILD + _SERIALISE)


def resolve_100000(_lab: LocalLab) -> Found:
    return _measured(_BUILD + _RESOLVE)


def _measured(code: str) -> Found:
    done = subprocess.run(
        [sys.executable, "-c", code + _REPORT], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"the tree of 100,000 failed: {done.stderr.strip()}")
    found: Found = json.loads(done.stdout)
    return found
