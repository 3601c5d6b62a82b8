"""The deployment package: the zip that Chalice makes, and the cost of importing it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from infra.lambda_package import LEFT_OUT, ROOT, stage_package
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.cloud import packaged

#: Each of these takes longer to import than the whole of the app, or is a driver of its own.
HEAVY = (
    "boto3",
    "botocore",
    "aws_cdk",
    "moto",
    "starlette",
    "uvicorn",
    "websockets",
    "asyncssh",
    "stripe",
    "jinja2",
    "opentelemetry",
)
OURS = {"chalicelib", "conducto", "conducto_core", "conducto_files"}
#: What `functions/requirements.txt` names, and what that needs.
LIBRARIES = {
    "_cffi_backend.cpython-311-x86_64-linux-gnu.so",
    "annotated_types",
    "certifi",
    "cffi",
    "charset_normalizer",
    "cronsim",
    "cryptography",
    "google",
    "idna",
    "jinja2",
    "jwt",
    "markupsafe",
    "opentelemetry",
    "pycparser",
    "pydantic",
    "pydantic_core",
    "requests",
    "stripe",
    "typing_extensions.py",
    "typing_inspection",
    "tzdata",
    "urllib3",
}
#: Lambda's limits: to import, and bytes on its disk.
INIT_SECONDS = 10
MAX_UNPACKED = 250 << 20
IMPORT = f"""
import sys
import app
loaded = sorted(name for name in {HEAVY!r} if name in sys.modules)
assert not loaded, loaded
assert 'conducto.tools' not in sys.modules
print(app.app.app_name, len(app.app.routes))
"""


def test_importing_the_app_imports_nothing_heavy() -> None:
    path = os.pathsep.join(str(ROOT / part) for part in ("functions", "sdk", "core"))

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
    project = stage_package(tmp_path / "project")

    files = {p.relative_to(project).as_posix() for p in project.rglob("*") if p.is_file()}
    inside = {name.removeprefix("vendor/") for name in files}
    assert {"app.py", "requirements.txt", "chalicelib/bootstrap.py"} <= files
    assert {"conducto_core/api/dispatch.py", "conducto_core/command/task_layout.py"} <= inside
    assert "conducto_core/command/command_server.sh" in inside
    assert "conducto_files/docs/getting-started.md" in inside  # pages for assistants
    assert not [n for n in inside if "__pycache__" in n or n.endswith((".pyc", ".html"))]
    assert not [n for n in inside for left in LEFT_OUT if n.startswith(f"{left}/")]


def test_staging_again_removes_earlier_files(tmp_path: Path) -> None:
    project = stage_package(tmp_path / "project")
    (project / "vendor/conducto/old.py").write_text("")

    stage_package(project)

    assert not (project / "vendor/conducto/old.py").exists()


@pytest.mark.parametrize(
    "file", ["functions/requirements.txt", "worker/conducto_worker/image/requirements.txt"]
)
def test_every_library_has_its_version(file: str) -> None:
    lines = [line for line in (ROOT / file).read_text().splitlines() if not line.startswith("#")]
    named = {Requirement(line).name for line in lines}

    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", line) for line in lines)
    needed = {
        canonicalize_name(requirement.name)
        for name in named
        for requirement in map(Requirement, requires(name) or ())
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }
    assert needed <= named


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the zip that goes to Lambda."""
    return packaged.package(tmp_path_factory.mktemp("package"))


def test_the_package_works_where_nothing_else_is_installed(package: Path, tmp_path: Path) -> None:
    packaged.unpack(package, tmp_path)
    timed = f"import sys, time; sys.path.insert(0, '.'){IMPORT}print(time.process_time())"

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", timed],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    # A function may take so long to get ready; seconds of a processor, however busy it is.
    assert float(done.stdout.split()[-1]) < INIT_SECONDS


def test_package_contains_the_staged_files_and_their_dependencies(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        names = {info.filename for info in archive.infolist() if not info.is_dir()}
        unpacked = sum(info.file_size for info in archive.infolist())
    project = package.parent.parent / "project"
    staged = {
        path.relative_to(project).as_posix().removeprefix("vendor/")
        for path in project.rglob("*")
        if path.is_file() and ".chalice" not in path.parts
    }

    ours = {n for n in names if n == "app.py" or n.partition("/")[0] in OURS}
    tops = {n.partition("/")[0] for n in names - ours if ".dist-info/" not in n}

    assert ours == staged - {"requirements.txt"}
    assert tops == {"chalice", *LIBRARIES}
    assert package.stat().st_size < 16 << 20
    assert unpacked < MAX_UNPACKED
