"""Type checkers accept right pipelines and reject misspelt parameters."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import conducto as co
from conducto.tree.node_params import ExecParams, GroupParams, NodeParams, SetParams
from conducto.tree.parameters import SETTABLE

HERE = Path(__file__).parent
USES = HERE / "uses.py"
PYRIGHT = HERE.parents[1] / "tools/node_modules/.bin/pyright"


def wrong_lines() -> set[int]:
    lines = USES.read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


def run(*command: str) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def test_mypy_rejects_the_wrong_uses_and_no_other(tmp_path: Path) -> None:
    cache = f"--cache-dir={HERE.parents[1] / '.mypy_cache'}"
    printed = run(sys.executable, "-m", "mypy", "--strict", cache, str(USES))
    reported = {int(line) for line in re.findall(r"uses\.py:(\d+): error", printed)}

    assert reported == wrong_lines(), printed


@pytest.mark.skipif(not PYRIGHT.exists(), reason="pyright comes with npm, see `make tools`")
def test_pyright_rejects_the_wrong_uses_and_no_other() -> None:
    printed = run(str(PYRIGHT), "--outputjson", "--pythonpath", sys.executable, str(USES))
    found = json.loads(printed)["generalDiagnostics"]
    reported = {each["range"]["start"]["line"] + 1 for each in found if each["severity"] == "error"}

    assert reported == wrong_lines(), found


def test_types_name_the_parameters_that_nodes_accept() -> None:
    accepted = {*inspect.signature(co.Node.__init__).parameters} - {"self", "unknown"}

    assert {*GroupParams.__annotations__, *NodeParams.__annotations__} == accepted
    assert {*ExecParams.__annotations__} - {*NodeParams.__annotations__} == {"results"}
    assert {*SETTABLE, "same_container", "stop_on_error", "command"} < {
        *SetParams.__annotations__,
        *GroupParams.__annotations__,
        *NodeParams.__annotations__,
    }
