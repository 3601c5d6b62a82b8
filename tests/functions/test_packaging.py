"""What goes to AWS: the zip that Chalice makes, and what importing it costs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from infra.function_source import LEFT_OUT, ROOT, stage

#: Each of these takes longer to import than the whole of the app, or is a driver of its own.
HEAVY = ("boto3", "botocore", "aws_cdk", "moto", "starlette", "uvicorn", "websockets", "asyncssh")
IMPORT = f"""
import sys
import app
loaded = sorted(name for name in {HEAVY!r} if name in sys.modules)
assert not loaded, loaded
assert 'conducto.cli' not in sys.modules
print(app.app.app_name, len(app.app.routes))
"""


def test_importing_the_app_imports_nothing_heavy() -> None:
    path = os.pathsep.join(str(ROOT / part) for part in ("functions", "sdk", "worker"))

    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("conducto ")


def test_the_project_holds_nothing_that_no_function_needs(tmp_path: Path) -> None:
    project = stage(tmp_path / "project")

    files = {p.relative_to(project).as_posix() for p in project.rglob("*") if p.is_file()}
    inside = {name.removeprefix("vendor/") for name in files}
    assert {"app.py", "requirements.txt", "chalicelib/bootstrap.py"} <= files
    assert {"conducto/service/routes.py", "conducto_worker/layout.py"} <= inside
    assert "conducto_worker/command_server.sh" in inside
    assert not [n for n in inside if "__pycache__" in n or n.endswith((".pyc", ".html"))]
    assert not [n for n in inside for left in LEFT_OUT if n.startswith(f"{left}/")]


def test_staging_again_leaves_nothing_of_the_time_before(tmp_path: Path) -> None:
    project = stage(tmp_path / "project")
    (project / "vendor/conducto/old.py").write_text("")

    stage(project)

    assert not (project / "vendor/conducto/old.py").exists()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory with what ``chalice package`` made; it fetches wheels from PyPI."""
    folder = tmp_path_factory.mktemp("package")
    project = stage(folder / "project")
    subprocess.run(
        [str(Path(sys.executable).with_name("chalice")), "package", str(folder / "out")],
        cwd=project,
        check=True,
        capture_output=True,
        env={
            **os.environ,
            "AWS_DEFAULT_REGION": "us-east-1",
            "PYTHONPATH": str(project / "vendor"),
        },
    )
    return folder / "out"


def test_the_package_works_where_nothing_else_is_installed(package: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(package / "deployment.zip") as archive:
        names = archive.namelist()
        archive.extractall(tmp_path)

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, '.'){IMPORT}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    tops = {name.partition("/")[0] for name in names}
    assert {"app.py", "chalice", "chalicelib", "conducto", "conducto_worker", "pydantic"} <= tops
    assert not tops & {"boto3", "botocore", "conducto_local", "tests", "aws_cdk"}
    assert (package / "deployment.zip").stat().st_size < 10 << 20
