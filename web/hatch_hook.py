"""Adds the built web app to the wheel.

Wheels from a checkout or sdist build the app if npm is available. Otherwise they contain the files
of an earlier build, or, with a warning, no web app. Installing a released wheel needs no Node.
With ``CONDUCTO_RELEASE`` set, a build without the app fails.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REMEDY = "install Node 20 or later and install Conducto again, or run 'make web' in the checkout"


class WebAppHook(BuildHookInterface[Any]):
    """Build hook that compiles `web/` into `web/conducto_web/built/`."""

    _copy: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the app, or warn why it is missing or outdated."""
        if version == "editable":
            return  # developers run `make web`
        sources = Path(self.root) / "web"
        built = sources / "conducto_web" / "built" / "index.html"
        if os.access(sources, os.W_OK):
            problem = _build(sources)
        elif built.exists():
            problem = "the checkout is read-only"
        else:
            problem = self._build_elsewhere(build_data)
        if problem is None:
            return
        if os.environ.get("CONDUCTO_RELEASE"):
            raise RuntimeError(f"a release needs the web app: {problem}")
        if built.exists():
            self.app.display_warning(f"web app: {problem}; using the files of an earlier build")
        else:
            self.app.display_warning(f"web app: {problem}; the wheel will not contain it: {REMEDY}")

    def _build_elsewhere(self, build_data: dict[str, Any]) -> str | None:
        """Build a copy of a read-only checkout; return an error message, or None."""
        self._copy = tempfile.TemporaryDirectory(prefix="conducto-web-")
        root = Path(self._copy.name)
        ignored = shutil.ignore_patterns("node_modules")
        shutil.copytree(Path(self.root) / "web", root / "web", ignore=ignored)
        golden = Path("tests", "golden")  # the API types come from its OpenAPI document
        shutil.copytree(Path(self.root) / golden, root / golden)
        problem = _build(root / "web")
        built = root / "web" / "conducto_web" / "built"
        if problem is None:
            build_data["force_include"][str(built)] = "conducto_web/built"
        return problem

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Delete the copy."""
        if self._copy is not None:
            self._copy.cleanup()


def _print_on_terminal(text: str) -> None:
    """Print a line on the terminal, if there is one: pip shows no output of a build that works."""
    with contextlib.suppress(OSError), Path("/dev/tty").open("w", encoding="utf-8") as terminal:
        terminal.write(f"\nconducto: {text}\n")


def _build(sources: Path) -> str | None:
    """Build the app; return an error message, or None."""
    if not (sources / "package-lock.json").exists():
        return "its sources are missing"
    npm = shutil.which("npm")
    if npm is None:
        return "Node is not installed (there is no npm)"
    _print_on_terminal("building the web app with npm, which takes a minute or two")
    for arguments in (("ci", "--no-audit", "--no-fund", "--prefer-offline"), ("run", "build")):
        done = subprocess.run(  # noqa: S603
            [npm, *arguments], cwd=sources, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            return f"'npm {arguments[0]}' failed: {' '.join(last)}"
    return None
