"""``conducto init``: a small project, made from an example."""

# ruff: noqa: PLC0415
# `--help` and completion import this module.

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto.version import DISTRIBUTION
from conducto_cli.app.exit import DONE
from conducto_cli.projects.examples import examples

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser

#: ``{kind: its example}``.
KINDS = {
    "hello": "hello",
    "ci": "parallel_tests",
    "ml": "machine_learning",
    "data": "data_and_cache",
}
REQUIREMENTS = "conducto-requirements.txt"
_WORKFLOW = ".github/workflows/conducto.yml"
_INDEX_SECONDS = 30

_TRIGGERS = """\
# Pipelines that pushes and pull requests launch in an installation: conducto trigger --help
[push]
command = python pipeline.py
filter = {branch} == main
install_pip = ["conducto"]

[pr]
command = python pipeline.py
duplicate = SLEEP_OLD
install_pip = ["conducto"]
"""

_STEPS = f"""\
      - uses: actions/checkout@d23441a48e516b6c34aea4fa41551a30e30af803  # v6.1.0
      - uses: actions/setup-python@ece7cb06caefa5fff74198d8649806c4678c61a1  # v6.3.0
        with:
          python-version: "3.13"
      # The name conducto belongs to another publisher; a hash lets only this file in.
      - run: python -m pip install --no-deps --require-hashes -r {REQUIREMENTS}
      - run: python -m pip install {DISTRIBUTION}  # adds the packages that it needs
"""
_ACTIONS = f"""\
name: Conducto

on:
  push:
    branches: [main]
  pull_request:

permissions:
  contents: read

jobs:
  # In containers of the runner, unless the repository has the variable CONDUCTO_URL.
  local:
    if: vars.CONDUCTO_URL == ''
    runs-on: ubuntu-24.04
    steps:
{_STEPS}\
      - run: python pipeline.py --local --run

  # In an installation, signed in without a stored secret: conducto trusts add --help
  cloud:
    if: vars.CONDUCTO_URL != '' && github.event_name == 'push'
    runs-on: ubuntu-24.04
    permissions:
      contents: read
      id-token: write
    steps:
{_STEPS}\
      - run: conducto login --url "$CONDUCTO_URL" --ci "$CONDUCTO_ORGANISATION"
        env:
          CONDUCTO_URL: ${{{{ vars.CONDUCTO_URL }}}}
          CONDUCTO_ORGANISATION: ${{{{ vars.CONDUCTO_ORGANISATION }}}}
      - run: python pipeline.py --cloud --run
"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "kind",
        nargs="?",
        choices=tuple(KINDS),
        default="hello",
        metavar="KIND",
        help="hello, ci (test suites), ml (models that are compared) or data (files and a cache)",
    )
    parser.add_argument(
        "directory", nargs="?", default=".", metavar="DIR", help="where (default: this directory)"
    )


def run(arguments: argparse.Namespace) -> int:
    target = Path(arguments.directory)
    files = project(KINDS[arguments.kind])
    files[REQUIREMENTS], problem = _requirements()
    existing = [name for name in files if (target / name).exists()]
    if existing:
        raise UsageError(
            f"nothing was written: {target} already has {', '.join(existing)}; "
            f"name another directory: conducto init {arguments.kind} DIR"
        )
    try:
        for name, content in files.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            with (target / name).open("x", encoding="utf-8") as file:
                file.write(content)
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename}: {error.strerror}; name a directory that you may write"
        ) from error
    print(f"wrote {', '.join(files)}")
    if problem is not None:
        print(f"note: {problem}")
    print("next:")
    enter = "" if arguments.directory == "." else f"cd {shlex.quote(str(target))} && "
    print(f"  {enter}python pipeline.py    # prints the tree, runs nothing")
    # The other kinds need an image, or the data directory of containers.
    without = "; without Docker, add: --engine process" if arguments.kind == "hello" else ""
    print(f"  python pipeline.py --local --run    # runs it in containers{without}")
    return DONE


def project(example: str) -> dict[str, str]:
    """Return ``{name: content}`` of a project that is made from an example."""
    folder = examples() / example
    sources = sorted(path for path in folder.iterdir() if path.is_file())
    files = {path.name: path.read_text(encoding="utf-8") for path in sources}
    return {**files, ".conducto.cfg": _TRIGGERS, _WORKFLOW: _ACTIONS}


def _requirements() -> tuple[str, str | None]:
    """Return the requirements of the workflow, and the problem if they lack the hash."""
    from importlib import metadata

    from conducto_core.images.sdk_wheel import package_version

    pinned = f"{DISTRIBUTION}=={package_version()}"
    try:
        record = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        record = None
    digest = _hash_of_installed(record) or _hash_of_index(pinned)
    if digest is not None:
        return f"{pinned} --hash=sha256:{digest}\n", None
    problem = (
        f"no package index has {pinned}, so {REQUIREMENTS} lacks its hash, and the workflow "
        "installs nothing until you add it"
    )
    return f"# Add the hash of the wheel, as 'pip hash FILE' prints it.\n{pinned}\n", problem


def _hash_of_installed(record: str | None) -> str | None:
    """Return the SHA-256 of the file that this installation came from, as pip recorded it."""
    import json

    archive = json.loads(record or "{}").get("archive_info", {})
    digest = archive.get("hashes", {}).get("sha256")
    return None if digest is None else str(digest)


def _hash_of_index(pinned: str) -> str | None:
    """Return the SHA-256 of the wheel of a package index; None if no index has it."""
    import hashlib

    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--only-binary", ":all:", "--retries", "0", "--timeout", "5"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(  # noqa: S603 - this Python's pip
                [*pip, *options, "--dest", folder, pinned],
                check=True,
                capture_output=True,
                timeout=_INDEX_SECONDS,
            )
        except (subprocess.SubprocessError, OSError):
            return None
        (wheel,) = Path(folder).glob("*.whl")
        return hashlib.sha256(wheel.read_bytes()).hexdigest()
