"""The result, metrics and artifacts of a running command."""

import json
from pathlib import Path

import pytest

from conducto import results
from conducto.tools import entry

SCRIPT = """
def give(value: str):
    return {"given": value}

def nothing():
    pass

def unfit():
    return object()

def large():
    return "x" * 2_000_000

async def later() -> int:
    return 7
"""


@pytest.fixture
def run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONDUCTO_RUN_DIR", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "steps.py").write_text(SCRIPT)
    return tmp_path


def call(directory: Path, *words: str) -> Path:
    assert entry.run_file(str(directory / "steps.py"), list(words)) == 0
    return directory / "result"


def test_return_value_is_kept(run_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = call(run_directory, "give", "--value=you")

    assert json.loads(file.read_text()) == {"given": "you"}
    assert capsys.readouterr().out == "{'given': 'you'}\n"


def test_result_of_an_async_function_is_kept(run_directory: Path) -> None:
    assert call(run_directory, "later").read_text() == "7"


def test_none_removes_an_earlier_result(run_directory: Path) -> None:
    call(run_directory, "give", "--value=you")

    assert not call(run_directory, "nothing").exists()


@pytest.mark.parametrize(
    ("function", "reason"),
    [("unfit", "not JSON serializable"), ("large", "the maximum is 1,048,576")],
)
def test_value_that_cannot_be_kept_is_a_warning(
    run_directory: Path, capsys: pytest.CaptureFixture[str], function: str, reason: str
) -> None:
    assert not call(run_directory, function).exists()

    error = capsys.readouterr().err
    assert error.startswith("conducto: the result was not kept: ")
    assert reason in error


def test_unwritable_directory_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONDUCTO_RUN_DIR", "/nonexistent/directory")

    results.keep(1)

    assert "No such file or directory" in capsys.readouterr().err


def test_nothing_is_written_outside_of_a_pipeline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CONDUCTO_RUN_DIR", raising=False)
    monkeypatch.chdir(tmp_path)

    results.keep({"a": 1})

    assert list(tmp_path.iterdir()) == []
