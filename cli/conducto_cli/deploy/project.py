"""The directory that CDK runs in: a cdk.json that leads to the stacks of this installation."""

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import conducto
from conducto.api import paths


class NoStacksError(Exception):
    """The stacks are not where this installation would have them."""


def root() -> Path:
    """Return the directory that holds ``infra`` and ``functions``.

    Raises:
        NoStacksError: there is none.
    """
    package = Path(next(iter(conducto.__path__))).resolve()
    # A wheel has them beside the package, a checkout above.
    for place in (package.parent / "conducto_deploy", package.parents[1]):
        if (place / "infra" / "main.py").is_file():
            return place
    raise NoStacksError("this installation of Conducto came without the stacks; reinstall it")


def write_project(stage: str, settings: Mapping[str, str], region: str | None) -> Path:
    """Write what CDK reads for a stage; return the directory.

    Args:
        stage: Which installation.
        settings: Of `conducto_core.model.deployment.SETTINGS`.
        region: Where; part of the directory's name.

    Raises:
        NoStacksError: there are no stacks here.
    """
    source = root()
    folder = Path(paths.base_dir()) / "deploy" / f"{stage}-{region or 'nowhere'}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = json.loads((source / "cdk.json").read_text("utf-8"))
    config["app"] = _quoted([sys.executable, str(source / "infra" / "main.py")])
    config["output"] = "cdk.out"
    config["context"] = {**config["context"], **settings, "stage": stage}
    (folder / "cdk.json").write_text(json.dumps(config, indent=2), "utf-8")
    return folder


def _quoted(words: list[str]) -> str:
    """Return a command line for the shell that CDK starts."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
