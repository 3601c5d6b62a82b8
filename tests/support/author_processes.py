"""Fixtures for modules outside of the tree: a private home and real subprocesses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

SDK = str(Path(__file__).parents[2] / "sdk")
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty base directory; no variable of the person who runs the tests counts."""
    for name in list(os.environ):
        if name.startswith(("CONDUCTO_", "GITHUB_", "BITBUCKET_", "__RUN_BY")):
            monkeypatch.delenv(name)
    base = tmp_path / "home base"
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(base))
    return base


@pytest.fixture
def python(tmp_path: Path) -> Run:
    """Runs `python ARGUMENTS...` in an empty directory; warnings are errors."""
    directory = tmp_path / "cwd"
    directory.mkdir()

    def run(
        *arguments: str,
        stdin: bytes = b"",
        stdout: IO[bytes] | int = subprocess.PIPE,
        version: str = sys.executable,
        **env: str,
    ) -> subprocess.CompletedProcess[bytes]:
        ours = {"PYTHONPATH": SDK, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [version, "-W", "error", *arguments],
            cwd=directory,
            input=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
            env={**os.environ, **ours, **env},
        )

    return run


@pytest.fixture
def tool(python: Run) -> Run:
    """Runs `python -m MODULE ARGUMENTS...` in an empty directory."""
    return lambda module, *arguments, **options: python("-m", module, *arguments, **options)
