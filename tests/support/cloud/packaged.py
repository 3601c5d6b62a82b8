"""The functions as deployed to Lambda: packaged like in the CDK construct, and unpacked."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

from infra.lambda_package import stage_package

if TYPE_CHECKING:
    from pathlib import Path


def package(folder: Path) -> Path:
    """Build the zip with Chalice below ``folder``; it downloads wheels from PyPI."""
    project = stage_package(folder / "project")
    done = subprocess.run(
        [str(_beside_python("chalice")), "package", str(folder / "out")],
        cwd=project,
        check=False,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "AWS_DEFAULT_REGION": "us-east-1",
            "PYTHONDONTWRITEBYTECODE": "1",  # as in infra/main.py
            "PYTHONPATH": str(project / "vendor"),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out" / "deployment.zip"


def unpack(archive: Path, target: Path) -> Path:
    """Unpack a zip like Lambda, and return the directory."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(target)
    return target


def _beside_python(name: str) -> Path:
    from pathlib import Path

    return Path(sys.executable).with_name(name)
