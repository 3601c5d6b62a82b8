"""1,000 commands from the command line to the exit code, and in tools without containers."""

import importlib.util
import os
import resource
import subprocess
import sys
import time

from bench.local.lab import SLOTS, LocalLab
from bench.registry import BenchError

Found = dict[str, float]
_SCRIPT = """import conducto as co

def main() -> co.Parallel:
    root = co.Parallel()
    for i in range(1000):
        root[f"n{i:04}"] = co.Exec("true")
    return root

if __name__ == "__main__":
    co.main(default=main)
"""
_DOIT = """DOIT_CONFIG = {"verbosity": 0}

def task_n():
    for i in range(1000):
        yield {"name": str(i), "actions": ["sh -c true"]}
"""
_LUIGI = """import subprocess, sys
import luigi

class Command(luigi.Task):
    number = luigi.IntParameter()

    def run(self):
        subprocess.run(["sh", "-c", "true"], check=True)
        self.output().open("w").close()

    def output(self):
        return luigi.LocalTarget(f"done/{self.number}")

class Everything(luigi.WrapperTask):
    def requires(self):
        return [Command(number=i) for i in range(1000)]

if __name__ == "__main__":
    done = luigi.build([Everything()], workers=int(sys.argv[1]), local_scheduler=True,
                       log_level="WARNING")
    sys.exit(0 if done else 1)
"""


def conducto(lab: LocalLab) -> Found:
    """Run a script with a warm agent; the containers are new."""
    agent = lab.agent
    place = {"CONDUCTO_BASE_DIR": str(agent.home.base), "CONDUCTO_PROFILE": agent.home.profile}
    return _run(lab, "script", _SCRIPT, ["{file}", "--local", "--run"], place)


def doit(lab: LocalLab) -> Found:
    _need("doit")
    return _run(lab, "doit", _DOIT, ["-m", "doit", "-f", "{file}", "-n", str(SLOTS)], {})


def luigi(lab: LocalLab) -> Found:
    _need("luigi")
    return _run(lab, "luigi", _LUIGI, ["{file}", str(SLOTS)], {})


def _need(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise BenchError(f"{package} is not installed; pip install {package}")


def _run(lab: LocalLab, name: str, script: str, arguments: list[str], env: dict[str, str]) -> Found:
    """Run a script in a new directory; return its wall time and its own CPU time in seconds."""
    folder = lab.scratch / f"{name}-{time.monotonic_ns()}"
    (folder / "done").mkdir(parents=True)
    file = folder / f"with_{name}.py"  # not the name of the tool's package, which it would hide
    file.write_text(script)
    command = [sys.executable, *(each.format(file=file) for each in arguments)]
    before, started = _children_cpu(), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise BenchError(f"{name} failed: {done.stderr.strip()}")
    return {"seconds": seconds, "cpu_seconds": _children_cpu() - before}


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
