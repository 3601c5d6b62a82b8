"""Scripts for the original client, 0.1.28, do here what they did there.

``facts.json`` records the output of that client; see ``record.py``. The differences that are
intended are listed here.
"""

import shutil
import sys
from pathlib import Path

import pytest

from frozen.cases import OTHERS, SCRIPTS, TREES, Facts, facts_of, read_facts

FACTS = read_facts()
#: The mark of a skipped node, which the original did not print.
SKIPPED = " (skipped)"
#: ``{command line: what Conducto does instead}``.
DIFFERENT = {
    "functions.py 5": "passes 5 to the default method, which prints its tree",
    "functions.py pipeline --top=3 --run": "refuses to start it without a target",
    "parameters.py --run": "refuses to start it without a target",
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("frozen").resolve() / "scripts"
    shutil.copytree(SCRIPTS, copy)
    return copy


def ours(line: str, scripts: Path) -> Facts:
    return facts_of(line, sys.executable, scripts, {"HOME": str(scripts.parent)})


def test_every_command_line_has_facts() -> None:
    assert list(FACTS) == [*TREES, *OTHERS]


@pytest.mark.parametrize("line", TREES)
def test_tree_is_printed_and_serialised_as_before(line: str, scripts: Path) -> None:
    before, now = FACTS[line], ours(line, scripts)

    assert now.tree == before.tree
    if line in DIFFERENT:
        assert (now.code, now.stdout) == (2, "")
        return
    assert now.code == before.code
    tree, _, summary = now.stdout.rpartition("\n\n")
    assert tree.replace(SKIPPED, "") + "\n" == before.stdout
    assert "node" in summary


@pytest.mark.parametrize("line", [line for line in OTHERS if line not in DIFFERENT])
def test_method_prints_and_ends_as_before(line: str, scripts: Path) -> None:
    before, now = FACTS[line], ours(line, scripts)

    assert now.stdout == before.stdout
    assert (now.code == 0) == (before.code == 0)
