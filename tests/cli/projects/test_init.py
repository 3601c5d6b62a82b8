"""``conducto init`` writes projects that run at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from conducto.version import DISTRIBUTION
from conducto_cli.main import main
from conducto_cli.projects.init_command import KINDS, REQUIREMENTS

CHECK = Path(sys.executable).with_name("check-jsonschema")
Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _without_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_project_prints_its_tree(kind: str, tmp_path: Path) -> None:
    assert main(["init", kind, str(tmp_path / "new")]) == 0

    printed = subprocess.run(
        [sys.executable, "pipeline.py"],
        cwd=tmp_path / "new",
        capture_output=True,
        text=True,
        check=False,
    )
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.startswith("/\n")


def test_workflow_is_valid_and_installs_our_distribution_by_its_hash(tmp_path: Path) -> None:
    assert main(["init", "ci", str(tmp_path)]) == 0

    workflow = tmp_path / ".github/workflows/conducto.yml"
    checked = subprocess.run(
        [CHECK, "--builtin-schema", "vendor.github-workflows", workflow],
        check=False,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout
    text = workflow.read_text()
    assert f"--require-hashes -r {REQUIREMENTS}" in text
    assert "id-token: write" in text
    assert (tmp_path / REQUIREMENTS).read_text().splitlines()[-1].startswith(f"{DISTRIBUTION}==")


def test_a_project_overwrites_no_file(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "pipeline.py").write_text("mine")

    assert main(["init", "hello", str(tmp_path)]) == 2

    assert "already has pipeline.py" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["pipeline.py"]
    assert (tmp_path / "pipeline.py").read_text() == "mine"


def test_directory_that_cannot_be_written_is_an_error(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "file").touch()

    assert main(["init", "hello", str(tmp_path / "file" / "below")]) == 2

    error = capsys.readouterr().err
    assert "cannot write" in error
    assert "Not a directory" in error


def test_unknown_kind_is_an_error_with_the_choices(capsys: Output) -> None:
    assert main(["init", "website"]) == 2

    assert "hello" in capsys.readouterr().err
