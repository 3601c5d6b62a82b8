"""Puts the built web app into the wheel: `pip install` of a checkout builds it where it can.

A released wheel holds the built files and needs no Node. From a checkout they are built anew when
npm is there; without it files that were built before go in; without these either the wheel is
made without the web app, and says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REMEDY = "install Node 20 or later and install Conducto again, or run 'make web' in the checkout"


class WebAppHook(BuildHookInterface[Any]):
    """Builds `web/` into `local_runner/conducto_local/web/`."""

    _copy: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make sure that the built files are there, or say what is missing."""
        if version == "editable":
            return  # whoever works on the checkout runs `make web`
        sources = Path(self.root) / "web"
        built = Path(self.root) / "local_runner" / "conducto_local" / "web" / "index.html"
        if os.access(sources, os.W_OK):
            problem = _build(sources)
        elif built.exists():
            problem = "the checkout is read-only"
        else:
            problem = self._build_elsewhere(build_data)
        if problem is None:
            return
        if built.exists():
            self.app.display_warning(
                f"web app: {problem}; the files that were built before are used"
            )
        else:
            self.app.display_warning(f"web app: {problem}; the wheel comes without it: {REMEDY}")

    def _build_elsewhere(self, build_data: dict[str, Any]) -> str | None:
        """Build in a copy, because the checkout is read-only; return why it could not be built."""
        self._copy = tempfile.TemporaryDirectory(prefix="conducto-web-")
        root = Path(self._copy.name)
        ignored = shutil.ignore_patterns("node_modules")
        shutil.copytree(Path(self.root) / "web", root / "web", ignore=ignored)
        golden = Path("tests", "golden")  # the API types come from its OpenAPI document
        shutil.copytree(Path(self.root) / golden, root / golden)
        problem = _build(root / "web")
        built = root / "local_runner" / "conducto_local" / "web"
        if problem is None:
            build_data["force_include"][str(built)] = "conducto_local/web"
        return problem

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the copy."""
        if self._copy is not None:
            self._copy.cleanup()


def _build(sources: Path) -> str | None:
    """Build the app; return why it could not be built, or None."""
    if not (sources / "package-lock.json").exists():
        return "there are no sources here"
    npm = shutil.which("npm")
    if npm is None:
        return "Node is not installed (there is no npm)"
    for words in (("ci", "--no-audit", "--no-fund", "--prefer-offline"), ("run", "build")):
        done = subprocess.run(  # noqa: S603
            [npm, *words], cwd=sources, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            return f"'npm {words[0]}' failed: {' '.join(last)}"
    return None
