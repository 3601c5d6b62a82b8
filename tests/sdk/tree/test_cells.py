"""Code in cells of notebooks, which has a file name but no file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import conducto as co
from conducto.tree.validate import validate

if TYPE_CHECKING:
    from pathlib import Path

CELL = """
import conducto as co

def train(depth: int) -> int:
    return depth

root = co.Serial(image=co.Image("a", copy_dir="."))
root["train"] = co.Exec(train, 3)
"""


@pytest.fixture(params=[False, True], ids=["no file", "debugger"])
def cell(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The names that a cell defines in a notebook in ``work``."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    file = tmp_path / "ipykernel_24332" / "1234.py"
    if request.param:
        file.parent.mkdir()
        file.write_text(CELL)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(CELL, str(file), "exec"), names)
    return names


def test_paths_in_a_cell_are_relative_to_the_working_directory(
    cell: dict[str, Any], tmp_path: Path
) -> None:
    validate(cell["root"])

    assert cell["root"].image.instantiation_directory == str(tmp_path / "work")


def test_function_of_a_cell_must_move_to_a_file(cell: dict[str, Any]) -> None:
    reason = "/train: train cannot be called in a container: it is defined in a notebook cell; move"

    with pytest.raises(co.DefinitionError, match=reason):
        validate(cell["root"], check_code=True)
    with pytest.raises(co.DefinitionError, match=reason):
        cell["root"].pretty()
    assert "train --depth=3" in cell["root"].pretty(strict=False)


def test_paths_in_code_of_a_deleted_file_are_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"co": co}

    exec(compile("image = co.Image('a', copy_dir='.')", "/deleted/script.py", "exec"), names)

    assert names["image"].instantiation_directory == str(tmp_path)
