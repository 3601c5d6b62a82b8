"""The oldest supported Python of the in-container part, if this machine has it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path


@cache
def find_python38() -> str | None:
    """Return the path of a Python 3.8 from pyenv or the PATH, or None."""
    installed = (Path.home() / ".pyenv" / "versions").glob("3.8*/bin/python")
    for program in (*map(str, installed), shutil.which("python3.8")):
        if program is not None and _version(program).startswith("Python 3.8"):
            return program
    return None


def _version(program: str) -> str:
    return subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stdout


@cache
def find_pythons() -> dict[str, str]:
    """Return ``{"3.8": path}`` of the supported versions that pyenv, the PATH or we have."""
    found = {}
    for minor in range(8, 14):
        version = f"3.{minor}"
        installed = (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python")
        programs = (*map(str, installed), shutil.which(f"python{version}"), sys.executable)
        for program in programs:
            if program is not None and _version(program).startswith(f"Python {version}."):
                found.setdefault(version, program)
    return found
