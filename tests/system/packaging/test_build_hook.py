"""The build hook that adds the web app to the wheel."""

import os
import subprocess
import sys
from pathlib import Path

import pexpect

WEB = Path(__file__).parents[3] / "web"
#: Stands in for hatchling, which pip installs for the build alone.
BACKEND = """
from typing import Generic, TypeVar

T = TypeVar("T")

class BuildHookInterface(Generic[T]):
    def __init__(self, root):
        self.root = root
"""
BUILD = "import sys, hatch_hook; hatch_hook.WebAppHook(sys.argv[1]).initialize('standard', {})"


def test_build_of_the_web_app_is_announced_on_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "package-lock.json").touch()
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\n")
    npm.chmod(0o755)
    backend = tmp_path / "hatchling" / "builders" / "hooks" / "plugin"
    backend.mkdir(parents=True)
    (backend / "interface.py").write_text(BACKEND)
    # Like pip, it does not show what the build prints.
    script = f'{sys.executable} -c "{BUILD}" {tmp_path} >{tmp_path}/log 2>&1; cat {tmp_path}/log'
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PYTHONPATH": f"{WEB}:{tmp_path}", "PATH": path}

    said = pexpect.spawn("/bin/sh", ["-c", script], env=env, encoding="utf-8", timeout=30).read()

    line = "conducto: building the web app with npm, which takes a minute or two"
    assert said.strip() == line


def test_release_without_the_web_app_is_not_built(tmp_path: Path) -> None:
    backend = tmp_path / "hatchling" / "builders" / "hooks" / "plugin"
    backend.mkdir(parents=True)
    (backend / "interface.py").write_text(BACKEND)
    (tmp_path / "web").mkdir()
    env = {**os.environ, "PYTHONPATH": f"{WEB}:{tmp_path}", "CONDUCTO_RELEASE": "1"}

    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "a release needs the web app: its sources are missing" in done.stderr
