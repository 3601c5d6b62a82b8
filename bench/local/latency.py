"""Latencies that users notice."""

import os
import subprocess
import sys
import time
from pathlib import Path

import conducto as co
from bench.local.lab import LocalLab
from bench.registry import BenchError

Found = dict[str, float]
#: Prints the seconds since the epoch, the clock that host and containers share.
NOW = "date +%s.%N"
_SCRIPT = f"""import conducto as co

def main() -> co.Exec:
    return co.Exec({NOW!r})

if __name__ == "__main__":
    co.main(default=main)
"""


def launch_container(lab: LocalLab) -> Found:
    """Measure from the command line to the first command, in a container of a new pipeline."""
    return _launch(lab, "docker")


def launch_process(lab: LocalLab) -> Found:
    """Measure from the command line to the first command, as a plain process."""
    return _launch(lab, "process")


def _launch(lab: LocalLab, engine: str) -> Found:
    agent = lab.agent  # start it before measuring
    script = lab.scratch / "one.py"
    script.write_text(_SCRIPT)
    command = [sys.executable, str(script), "--local", "--run", f"--engine={engine}"]
    base = {"CONDUCTO_BASE_DIR": str(agent.home.base), "CONDUCTO_PROFILE": agent.home.profile}
    started = time.time()
    done = subprocess.run(
        command, env={**os.environ, **base}, capture_output=True, text=True, check=False
    )
    whole = time.time() - started
    if done.returncode:
        raise BenchError(f"the launch failed: {done.stderr.strip()}")
    pipeline = done.stdout.split()[1]
    first = float(agent.output(pipeline)) - started
    return {"seconds": first, "whole_seconds": whole}


def reset(lab: LocalLab) -> Found:
    """Measure from the request to the first command, in a warm container."""
    agent = lab.agent
    pipeline = agent.launch(co.Exec(NOW))
    agent.settled(pipeline)
    started = time.time()
    agent.reset(pipeline)
    return {"seconds": float(agent.output(pipeline)) - started}


def import_conducto(_lab: LocalLab) -> Found:
    """Measure ``import conducto`` and the use of its names in a new interpreter.

    The package loads its parts when they are first used, so the import alone costs nothing.
    """
    begin = "import time; t = time.perf_counter(); import conducto as co"
    use = "co.Exec, co.Serial, co.Parallel, co.Lazy, co.Image, co.main"
    code = f"{begin}; {use}; print(time.perf_counter() - t)"
    return {"ms": 1000 * float(_python("-c", code))}


def print_tree_1000(lab: LocalLab) -> Found:
    """Measure the whole command that prints a tree of 1,000 nodes."""
    script = lab.scratch / "thousand.py"
    script.write_text(
        "import conducto as co\n\n"
        "def main() -> co.Parallel:\n"
        "    root = co.Parallel()\n"
        "    for i in range(10):\n"
        "        root[f'g{i}'] = co.Serial()\n"
        "        for j in range(99):\n"
        "            root[f'g{i}/n{j}'] = co.Exec(f'echo {i} {j}')\n"
        "    return root\n\n"
        "if __name__ == '__main__':\n"
        "    co.main(default=main)\n"
    )
    started = time.perf_counter()
    printed = _python(str(script))
    seconds = time.perf_counter() - started
    if len(printed.splitlines()) < 1000:
        raise BenchError(f"the printed tree has only {len(printed.splitlines())} lines")
    return {"seconds": seconds}


def _python(*arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"{arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout
