"""Findings of the npm package asl-validator in definitions; `make conformance` installs it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

TOOLS = Path(__file__).parent.parent.parent / "tools"
_SECONDS = 240


def judged(definitions: Sequence[str]) -> list[str]:
    """Return the errors in any of the definitions, with one process for all.

    Skips the test if Node or the package is missing.
    """
    node = shutil.which("node")
    if node is None or not (TOOLS / "node_modules" / "asl-validator").is_dir():
        pytest.skip("asl-validator is not installed: make tools (needs Node 20 and npm)")
    done = subprocess.run(
        [node, str(TOOLS / "judge.mjs")],
        input="\n".join(definitions),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [
        f"{error}: {definitions[found['line']][:2000]}"
        for found in json.loads(done.stdout)
        for error in found["errors"]
    ]
