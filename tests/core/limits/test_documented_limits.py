"""The documented limits are those of the code."""

import re
from pathlib import Path

import pytest

from conducto_core.api import operation
from conducto_core.data import operations as data
from conducto_core.debug import operations as debug
from conducto_core.debug import terminal
from conducto_core.run import operations as run
from conducto_core.run.model import params
from conducto_core.secrets import operations as secrets

PAGE = Path(__file__).resolve().parents[3] / "docs" / "concepts" / "api.md"
UNITS = {None: 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
ROW = re.compile(r"^\| `(\w+)` \| (\d+)(?: (KiB|MiB|GiB))?,", re.MULTILINE)


def documented() -> dict[str, int]:
    found = ROW.findall(PAGE.read_text())
    return {name: int(number) * UNITS[unit or None] for name, number, unit in found}


def in_the_code() -> dict[str, float]:
    return {
        name: value
        for module, starts in (
            *((each, ("MAX_", "REMEMBERED_")) for each in (operation, run, data, debug, secrets)),
            (params, ("MAX_",)),
            (terminal, ("MAX_SHELL_",)),
        )
        for name, value in vars(module).items()
        if name.startswith(starts)
    }


def test_every_limit_is_documented_as_it_is() -> None:
    assert documented() == in_the_code()


@pytest.mark.parametrize(
    ("kind", "field", "limit"),
    [
        (params.ListParams, "limit", "MAX_PIPELINES_PAGE"),
        (params.TreeParams, "limit", "MAX_TREE_PAGE"),
        (params.LogParams, "limit", "MAX_LOG_CHUNK"),
        (params.LogParams, "wait", "MAX_WAIT"),
        (params.LogLinesParams, "count", "MAX_LOG_LINES"),
        (params.LogSearchParams, "limit", "MAX_LOG_MATCHES"),
        (params.ListDataParams, "limit", "MAX_DATA_PAGE"),
    ],
)
def test_a_limit_holds(kind, field: str, limit: str) -> None:
    maximum = getattr(params, limit)
    needed = {"id": "p", "path": "/", "text": "x"}
    given = {name: value for name, value in needed.items() if name in kind.model_fields}

    assert getattr(kind(**{**given, field: maximum}), field) == maximum
    with pytest.raises(ValueError, match="less than or equal"):
        kind(**{**given, field: maximum + 1})


@pytest.mark.parametrize(("depth", "is_taken"), [(190, True), (210, False)])
def test_json_is_nested_so_deeply_and_no_deeper(depth: int, is_taken: bool) -> None:
    body = b'{"tree": {"a": ' + b"[" * (depth - 2) + b"]" * (depth - 2) + b"}}"

    if is_taken:
        run.LAUNCH.body.model_validate_json(body)
    else:
        with pytest.raises(ValueError, match="recursion limit"):
            run.LAUNCH.body.model_validate_json(body)
