"""``conducto demo``: a first pipeline, without a script and without a checkout."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from conducto_cli.app.exit import DONE, LEFT
from conducto_cli.projects.examples import examples

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from conducto_cli.app.arguments import Parser

#: The example for each engine: airports need packages, the picture only Python.
_EXAMPLES = {"docker": "demo", "process": "picture"}
_WITHOUT = "--engine process"


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--engine",
        choices=("docker", "process"),
        help="docker runs containers, process plain processes (default: docker if it can be used)",
    )
    parser.add_argument("--no-app", action="store_true", help="do not open the pipeline's page")


def run(arguments: argparse.Namespace) -> int:
    engine = arguments.engine or _usable_engine(arguments.profile)
    script = examples() / _EXAMPLES[engine] / "pipeline.py"
    words = [str(script), "--local", "--run", "--engine", engine, "--title", "Demo"]
    words += [] if arguments.no_app else ["--app"]
    code = _python(words, arguments.profile)
    if code not in (DONE, LEFT) and engine == "docker":
        print(
            "the demo in containers needs an image and packages from the network; "
            f"without them: conducto demo {_WITHOUT}",
            file=sys.stderr,
        )
    elif code == DONE:
        print("next: conducto init hello my-project    # writes a project that runs at once")
    return code


def _usable_engine(profile: str | None) -> str:
    """Return the engine to use; if containers cannot be used, print why and the consequence."""
    from conducto_cli.deploy.doctor_command import ThisHost

    try:
        ThisHost(profile).engine()
    except RuntimeError as error:
        print(f"conducto: {error}", file=sys.stderr)
        limits = "no images, no isolation, no limits"
        print(f"conducto: the demo runs as plain processes instead: {limits}", file=sys.stderr)
        return "process"
    return "docker"


def _python(words: Sequence[str], profile: str | None) -> int:
    """Run a script with this Python; return its exit code."""
    env = dict(os.environ) if profile is None else {**os.environ, "CONDUCTO_PROFILE": profile}
    process = subprocess.Popen([sys.executable, *words], env=env)  # noqa: S603 - our script
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the script gets it, too, and detaches
            continue
