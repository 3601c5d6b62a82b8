"""``conducto launch``; `tests/system/web/test_launch.py` starts a program."""

from collections.abc import Callable

import pytest

from support.cli_trees import CountingPipelines

Conducto = Callable[..., int]
Output = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "depth"], "--set must be NAME=VALUE, such as depth=3, got 'depth'"),
        (["--set", "depth=3", "--same-tree"], "--set changes parameters"),
    ],
)
def test_arguments_that_cannot_apply_are_errors(
    words: list[str], message: str, fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    assert conducto("launch", "abc", *words) == 2
    assert message in capsys.readouterr().err
