"""``conducto delete``; `tests/system/terminal` answers its question."""

import json
from collections.abc import Callable

import pytest

from support.cli_trees import CountingPipelines

Conducto = Callable[..., int]
Output = pytest.CaptureFixture[str]


@pytest.fixture
def finished(fake: CountingPipelines) -> CountingPipelines:
    for path in ("/build", "/tests/login", "/tests/logout"):
        fake.finish("abc-def", path)
    return fake


@pytest.mark.parametrize("archived", [False, True])
def test_a_finished_pipeline_is_deleted(
    finished: CountingPipelines, conducto: Conducto, capsys: Output, *, archived: bool
) -> None:
    if archived:
        conducto("archive", "abc")
        capsys.readouterr()

    assert conducto("delete", "abc", "--yes") == 0
    assert capsys.readouterr().out == "deleted abc-def\n"
    assert conducto("show", "abc-def") == 2


def test_a_running_pipeline_is_kept(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    assert conducto("delete", "abc", "--yes") == 2
    assert "commands run, or it will start by itself" in capsys.readouterr().err
    assert conducto("tree", "abc") == 0


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_without_a_terminal_it_needs_yes(
    words: list[str], finished: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    assert conducto("delete", "abc", *words) == 2
    assert "repeat it with --yes" in capsys.readouterr().err
    assert conducto("tree", "abc") == 0


def test_deleted_pipeline_as_json(
    finished: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    conducto("delete", "abc", "--yes", "--json")

    assert json.loads(capsys.readouterr().out) == {"id": "abc-def", "action": "delete"}
