"""The command `conducto-notebook`, with a papermill of our own that records its arguments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

MODULE = "conducto.tools.notebook"
PAPERMILL = """\
import json, sys, os
json.dump({"argv": sys.argv[1:]}, open(os.environ["RECORD"], "w"))
open(sys.argv[2], "w").write("executed")
print("output of the cells", flush=True)
sys.exit(int(os.environ.get("CODE", "0")))
"""


@pytest.fixture
def notebook(tool, tmp_path: Path):
    """Runs the command next to a notebook, with our papermill importable."""
    package = tmp_path / "site" / "papermill"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(PAPERMILL)
    (tmp_path / "cwd" / "my nb.ipynb").write_text("{}")
    sdk = str(Path(__file__).parents[2] / "sdk")

    def run(*arguments: str, **env: str):
        paths = f"{sdk}:{package.parent}"
        return tool(MODULE, *arguments, PYTHONPATH=paths, RECORD=str(tmp_path / "record"), **env)

    return run


def test_parameters_reach_papermill(notebook, tmp_path: Path) -> None:
    result = notebook("my nb.ipynb", "-p", "n", "3", "-p", "name", "-a b", "-p", "on", "True")

    argv = json.loads((tmp_path / "record").read_text())["argv"]
    assert result.returncode == 0
    assert result.stdout == b"output of the cells\n"
    assert argv[0] == str(tmp_path / "cwd" / "my nb.ipynb")
    assert argv[2:] == [
        "--log-output",
        "--no-progress-bar",
        *["-p", "n", "3", "-p", "name", "-a b", "-p", "on", "True"],
        "--cwd",
        str(tmp_path / "cwd"),
    ]


def test_the_exit_code_is_papermills(notebook) -> None:
    assert notebook("my nb.ipynb", CODE="7").returncode == 7


def test_the_executed_notebook_can_be_kept(notebook, tmp_path: Path) -> None:
    notebook("my nb.ipynb", "--output", "out.ipynb")

    assert (tmp_path / "cwd" / "out.ipynb").read_text() == "executed"


def test_report_of_a_node_is_stored_in_the_data_and_linked(notebook, tmp_path: Path) -> None:
    result = notebook(
        "my nb.ipynb", CONDUCTO_PIPELINE_ID="abc", CONDUCTO_DATA_PIPELINE=str(tmp_path / "data")
    )

    [kept] = (tmp_path / "data" / ".notebooks").glob("*/my nb.ipynb")
    assert kept.read_text() == "executed"
    assert "/gw/manager/data/abc/pipeline/.notebooks/" in result.stdout.decode()
    assert "/my%20nb.ipynb)\n</ConductoMarkdown>" in result.stdout.decode()


def test_missing_papermill_error_names_the_package(tool, tmp_path: Path) -> None:
    (tmp_path / "cwd" / "a.ipynb").write_text("{}")
    hide = "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
    (tmp_path / "cwd" / "run.py").write_text(
        hide + "from conducto.tools.notebook import main\nsys.exit(main(['a.ipynb']))\n"
    )

    result = tool("run")

    assert result.returncode == 1
    assert "install_pip=['papermill', 'ipykernel']" in result.stderr.decode()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, "give the path of one notebook, got 0"),
        (["a", "b"], 2, "give the path of one notebook, got 2"),
        (["my nb.ipynb", "-p", "n"], 2, "-p needs 2 values"),
        (["missing.ipynb"], 1, "No such notebook: 'missing.ipynb'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_error_is_reported(words: list[str], code: int, text: str, notebook) -> None:
    result = notebook(*words)

    assert result.returncode == code
    assert text in result.stderr.decode()
