"""The calls that are recorded for a node are those of the user, not of libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conducto.inspection.call_site import callers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("packages", ["site-packages", "dist-packages"])
def test_calls_of_an_installed_package_are_not_recorded(tmp_path: Path, packages: str) -> None:
    installed = tmp_path / packages / "library.py"
    scope: dict[str, object] = {"callers": callers}
    exec(compile("def call(make): return make()", str(installed), "exec"), scope)

    def user() -> object:
        return callers()

    found = scope["call"](user)  # type: ignore[operator]
    assert [file for file, _ in found] == [__file__]
