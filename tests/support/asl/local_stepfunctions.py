"""Runs games in the npm package aws-local-stepfunctions, which `make tools` installs."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from support.asl.judge import TOOLS
from support.asl.recorded import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS = 300


class Replayed(NamedTuple):
    """The result of the interpreter.

    Attributes:
        errors: Messages of the executions that failed.
    """

    result: Result
    errors: tuple[str, ...]


def replayed(games: Sequence[dict[str, Any]]) -> list[Replayed]:
    """Run games in one process.

    Skips the test if Node or the package is missing.
    """
    node = shutil.which("node")
    if node is None or not (TOOLS / "node_modules/aws-local-stepfunctions").is_dir():
        pytest.skip("aws-local-stepfunctions is not installed: make tools (needs Node 20 and npm)")
    done = subprocess.run(
        [node, str(TOOLS / "interpret.mjs")],
        input="\n".join(map(json.dumps, games)),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [_replayed(json.loads(line)) for line in done.stdout.splitlines()]


def _replayed(said: dict[str, Any]) -> Replayed:
    started = tuple(sorted(data["n"] for data in said["started"]))
    return Replayed(Result(said["status"], started), tuple(said["errors"]))
