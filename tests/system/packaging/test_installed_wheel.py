"""The wheel, installed in a clean environment: `conducto deploy` finds its stacks there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from conducto_core.installation.names import STACKS

ROOT = Path(__file__).resolve().parents[3]
#: What the build reads; without the web app's sources, so that it takes no Node.
_SOURCES = (
    "sdk", "core", "cli", "local_runner", "worker", "infra", "functions", "examples", "docs",
)  # fmt: skip
_FILES = (
    "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "cdk.json", "web/hatch_hook.py",
    "web/conducto_web/__init__.py",
)  # fmt: skip
#: Run in the clean environment: writes what CDK reads, prints where and how it starts the stacks.
_PROJECT = """
import json
from conducto_cli.deploy.deployment import write_project
folder = write_project("wheel", {"log_days": "7"}, "eu-west-1")
print(json.dumps([str(folder), json.loads((folder / "cdk.json").read_text())]))
"""

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("sources")
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "deployments")
    for name in _SOURCES:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in _FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    out = folder / "dist"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(folder)], check=True
    )
    (found,) = out.glob("conducto_pipelines-*.whl")
    return found


def test_the_wheel_carries_stacks_functions_and_the_workers_agent(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert {
        "conducto_deploy/cdk.json",
        "conducto_deploy/infra/main.py",
        "conducto_deploy/infra/stacks/api.py",
        "conducto_deploy/functions/app.py",
        "conducto_deploy/functions/requirements.txt",
        "conducto_deploy/functions/chalicelib/bootstrap.py",
        "conducto_deploy/functions/.chalice/config.json",
        "conducto_worker/image/Dockerfile",
        "conducto_worker/image/minimal_root.py",
        "conducto_worker/image/requirements.txt",
        "conducto_core/command/command_server.sh",
        "conducto_core/command/task_entry.sh",
        "conducto_files/examples/demo/pipeline.py",
        "conducto_files/docs/getting-started.md",
        "conducto_files/CHANGELOG.md",
    } <= names
    assert not [n for n in names if "__pycache__" in n or n.startswith(("tests/", "emulator/"))]
    assert not [n for n in names if n.endswith((".so", ".pyd", ".dylib"))]


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a clean environment with the wheel and what deploying needs."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    found = folder / "bin" / "python"
    pip = [str(found), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", f"{wheel}[deploy]"], check=True)
    return found


@pytest.mark.long
def test_the_stacks_synthesise_from_an_installed_wheel(python: Path, tmp_path: Path) -> None:
    env = {
        name: value
        for name, value in os.environ.items()
        if name in {"PATH", "HOME", "LANG", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "SSL_CERT_FILE"}
    } | {"CONDUCTO_BASE_DIR": str(tmp_path / "base")}
    said = subprocess.run(
        [str(python), "-c", _PROJECT], env=env, cwd=tmp_path, check=True, capture_output=True
    )
    folder, config = json.loads(said.stdout)

    done = subprocess.run(
        config["app"],
        shell=True,  # as CDK does
        cwd=folder,
        env={
            **env,
            "CDK_OUTDIR": str(tmp_path / "out"),
            "CDK_CONTEXT_JSON": json.dumps(config["context"]),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    templates = {path.name for path in (tmp_path / "out").glob("*.template.json")}
    assert templates == {f"conducto-wheel-{name}.template.json" for name in STACKS}
    api = (tmp_path / "out" / "conducto-wheel-api.template.json").read_text()
    assert '"RetentionInDays": 7' in api
    assert str(ROOT) not in api
