"""The size of an installation on disk."""

import subprocess
import sys
from pathlib import Path

from bench.local.lab import ROOT, LocalLab
from bench.registry import BenchError

Found = dict[str, float]


def install(lab: LocalLab) -> Found:
    """Measure ``pip install .`` in a clean environment: size and number of packages."""
    environment = lab.scratch / "clean"
    _run([sys.executable, "-m", "venv", "--without-pip", str(environment)])
    python = environment / "bin" / "python"
    _run([sys.executable, "-m", "pip", "-q", "--python", str(python), "install", str(ROOT)])
    (packages,) = environment.glob("lib/python*/site-packages")
    files = [path for path in packages.rglob("*") if path.is_file()]
    return {
        "megabytes": sum(path.stat().st_size for path in files) / 2**20,
        "packages": float(len(list(packages.glob("*.dist-info")))),
    }


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{command[1]} {command[2]} failed: {done.stderr.strip()}")
