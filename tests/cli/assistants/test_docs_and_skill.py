"""``conducto docs`` and ``conducto skill``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conducto_cli.main import main
from conducto_core.assistants.pages import all_pages, search
from conducto_core.assistants.rules.tools import TOOLS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("snapshot_on_error", "docs/"),
        ("reject an approval", "docs/"),
        ("assistant scopes", "docs/"),
    ],
)
def test_search_finds_the_section(
    query: str, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["docs", *query.split()]) == 0

    out = capsys.readouterr().out
    assert out.startswith(page)
    assert all(word in out.lower() for word in query.split() if len(word) > 2)


def test_search_without_a_result_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docs", "zzzz-no-such-word"]) == 1

    assert "nothing in the documentation has all words" in capsys.readouterr().err


def test_decisions_are_not_searched() -> None:
    assert len(all_pages()) > 20
    assert not any("decisions" in page.parts for page in all_pages())
    assert search("", 3) == []


def test_skill_is_written_once_more_without_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    for _ in range(2):
        assert main(["skill", "install"]) == 0

    place = tmp_path / ".claude" / "skills" / "conducto" / "SKILL.md"
    text = place.read_text()
    assert text.startswith("---\nname: conducto\n")
    assert all(f"`{tool.name}` ({tool.scope})" in text for tool in TOOLS)
    capsys.readouterr()
    assert main(["skill", "show"]) == 0
    assert capsys.readouterr().out == text


def test_skill_does_not_follow_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / ".claude" / "skills" / "conducto" / "SKILL.md"
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "other")

    assert main(["skill", "install"]) == 2
    assert not (tmp_path / "other").exists()
