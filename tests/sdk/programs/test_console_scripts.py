"""The console scripts print their usage to a reader that leaves early, such as ``head -1``."""

from __future__ import annotations

import contextlib
import io
import os
import tomllib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).parents[3] / "pyproject.toml"
SCRIPTS = tomllib.loads(PROJECT.read_text())["project"]["scripts"]
WORDS = [
    *((name, ["--help"]) for name in SCRIPTS),
    ("conducto", ["--version"]),
    ("conducto", ["list", "--help"]),
    ("conducto", ["build", "--help"]),
    ("conducto", ["completion", "bash"]),
    ("conducto-profile", ["list"]),
]


@pytest.mark.parametrize(("name", "words"), WORDS, ids=str)
@pytest.mark.parametrize("buffered", [True, False])
def test_reader_that_left_is_not_an_error(
    name: str, words: list[str], buffered: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    module, _, function = SCRIPTS[name].partition(":")
    run: Callable[[list[str]], int] = getattr(import_module(module), function)
    reader, writer = os.pipe()
    os.close(reader)

    with (
        io.TextIOWrapper(os.fdopen(writer, "wb"), write_through=not buffered) as out,
        contextlib.redirect_stdout(out),
    ):
        code = run(words)

    assert code in {0, 1}
    assert capsys.readouterr().err == ""
