"""`conducto discover`: test files become a tree."""

import subprocess
import sys
from pathlib import Path

import pytest

from conducto import discovery
from conducto_cli.main import main

UNITTEST = "import unittest\nclass T(unittest.TestCase):\n    def test_x(self): pass\n"
PYTEST = "def test_x():\n    pass\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "test_top.py": PYTEST,
        "tests/test_a.py": UNITTEST,
        "tests/deep/b_test.py": "import pytest\nimport unittest\n",
        "tests/helper.py": PYTEST,
        ".venv/test_not_ours.py": PYTEST,
        "node_modules/x/test_not_ours.py": PYTEST,
        "tests/test broken.py": "def (",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def commands(project: Path, **options: str) -> dict[str, str]:
    tree = discovery.find_tests(str(project), **options)
    return {str(node): node.command for node in tree.stream() if hasattr(node, "command")}


def test_each_file_runs_with_its_test_framework(project: Path) -> None:
    assert commands(project) == {
        "/test_top.py": "python -m pytest -v test_top.py",
        "/tests/test broken.py": "python -m pytest -v 'tests/test broken.py'",
        "/tests/test_a.py": "python -m unittest -v tests/test_a.py",
        "/tests/deep/b_test.py": "python -m pytest -v tests/deep/b_test.py",
    }


def test_error_of_a_node_names_its_test_file(project: Path) -> None:
    node = discovery.find_tests(str(project))["tests/deep/b_test.py"]

    assert (node.file, node.line) == (str(project / "tests/deep/b_test.py"), 1)


def test_missing_directory_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["discover", str(tmp_path / "no")]) == 2
    assert f"{tmp_path}/no: there is no such directory" in capsys.readouterr().err


def test_the_image_has_pytest_and_the_requirements(project: Path) -> None:
    (project / "requirements.txt").write_text("numpy>=2  # numbers\n-r other.txt\n\n")

    image = discovery.find_tests(str(project)).image

    assert image.install_pip == ["pytest", "numpy>=2"]


def test_unittest_alone_needs_nothing_installed(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(UNITTEST)

    assert discovery.find_tests(str(tmp_path)).image.install_pip is None


def test_given_image_is_used_unchanged(project: Path) -> None:
    image = discovery.find_tests(str(project), "mine:1").image

    assert (image.image, image.install_pip) == ("mine:1", None)


def test_the_same_files_make_the_same_tree(project: Path) -> None:
    assert list(commands(project)) == list(commands(project))


def test_the_command_prints_the_tree(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["discover", str(project)]) == 0

    assert "python -m unittest -v tests/test_a.py" in capsys.readouterr().out


def test_a_written_script_is_a_pipeline(project: Path) -> None:
    assert main(["discover", str(project), "--write", "pipeline.py"]) == 0

    script = str(project / "pipeline.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert "python -m unittest -v tests/test_a.py" in done.stdout


def test_existing_file_is_not_overwritten(project: Path) -> None:
    assert main(["discover", str(project), "--write", "test_top.py"]) == 2

    assert (project / "test_top.py").read_text() == PYTEST


def test_a_directory_without_tests_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["discover", str(tmp_path)]) == 2

    assert f"{tmp_path}: no test files" in capsys.readouterr().err
