"""This machine, as its programs tell about themselves."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from conducto_cli.deploy.port import Cdk

#: pip fetches what the functions import.
_PACKAGES = {"aws_cdk": "aws-cdk-lib", "chalice": "chalice", "boto3": "boto3", "pip": "pip"}
#: The first version of CDK's command line that reads what `aws-cdk-lib` writes.
_CDK_LEAST = (2, 1100)
_ASK_SECONDS = 30


class LocalTools:
    """A `Machine`."""

    def node(self) -> str | None:
        said = _first_line("node", "--version")
        return None if said is None else said.removeprefix("v")

    def cdk(self) -> Cdk | None:
        installed = _first_line("cdk", "--version")
        numbers = re.match(r"(\d+)\.(\d+)", installed or "")
        if numbers is not None and (int(numbers[1]), int(numbers[2])) >= _CDK_LEAST:
            return Cdk(("cdk",), f"{installed}, installed")
        if shutil.which("npx") is None:
            return None
        return Cdk(("npx", "--yes", "aws-cdk@2"), "by npx, which fetches it if it is missing")

    def docker(self) -> str | None:
        return _first_line("docker", "version", "--format", "{{.Server.Version}}")

    def missing_packages(self) -> Sequence[str]:
        return [name for module, name in _PACKAGES.items() if find_spec(module) is None]

    def python(self) -> tuple[int, int]:
        return sys.version_info[:2]

    def run(self, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
        program = shutil.which(words[0]) or words[0]
        env = {**os.environ, **environment}
        return subprocess.run(  # noqa: S603 (words that we made)
            [program, *words[1:]], cwd=folder, env=env, check=False
        ).returncode


def _first_line(*words: str) -> str | None:
    """Return the first line that a program prints; None if it is missing or fails."""
    program = shutil.which(words[0])
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603
            [program, *words[1:]],
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = done.stdout.strip().splitlines()
    return said[0] if done.returncode == 0 and said else None
