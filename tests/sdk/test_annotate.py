"""``co.annotate``: the line that it writes, and the arguments that it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import conducto as co
from conducto.wire.outputs import RUN_DIRECTORY

if TYPE_CHECKING:
    from pathlib import Path


def test_annotation_is_a_line_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_DIRECTORY, str(tmp_path))
    co.annotate("src/a.py", 12, "warning", "unused\nname", title="Lint")
    co.annotate(tmp_path / "b.py", message="x" * 5000)
    first, second = map(json.loads, (tmp_path / "annotations").read_text().splitlines())

    assert first == {
        "file": "src/a.py",
        "line": 12,
        "level": "warning",
        "message": "unused\nname",
        "title": "Lint",
    }
    assert (second["line"], second["level"], len(second["message"])) == (0, "error", 4000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.py", 1, "loud", "m"), "must be error, warning or notice, got 'loud'"),
        (("a.py", 0, "error", "m"), "must be 1 or more, got 0"),
        (("a.py", True, "error", "m"), "must be 1 or more, got True"),
        (("", 1, "error", "m"), "needs a file and a message"),
        (("a.py", 1, "error", " "), "needs a file and a message"),
    ],
)
def test_invalid_annotation_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        co.annotate(*arguments)


def test_annotation_outside_of_a_pipeline_writes_nothing() -> None:
    co.annotate("a.py", 1, "error", "m")
