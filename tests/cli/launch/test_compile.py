"""``conducto compile`` on scripts, its exit codes and what it prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conducto_cli.launch.compile_command import run as compile_command

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """\
import conducto as co

def build(name: str = "x", times: int = 1) -> co.Serial:
    root = co.Serial()
    root["first"] = co.Exec("echo " + name)
    root["all"] = co.Parallel()
    for n in range(times):
        root[f"all/n{n}"] = co.Exec(f"echo {n}")
    return root

def helper(): return 3
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "compiled_pipeline.py"
    path.write_text(SCRIPT)
    return str(path)


def test_the_machines_are_printed_as_json(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = compile_command([script, "build", "--times=2"])

    printed = capsys.readouterr()
    (machine,) = json.loads(printed.out)["machines"]
    assert code == 0
    assert machine["tasks"] == 3
    assert machine["name"].startswith("conducto-")
    assert machine["definition"]["StartAt"] in machine["definition"]["States"]
    assert "3 Execs, 1 state machine, " in printed.err


def test_the_only_pipeline_need_not_be_named(script: str) -> None:
    assert compile_command([script]) == 0


def test_region_and_account_are_in_the_resources(
    script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    compile_command(["--region", "eu-west-1", script, "--account", "210987654321"])

    assert "arn:aws:states:eu-west-1:210987654321:activity:" in capsys.readouterr().out


def test_the_graph_shows_paths(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = compile_command([script, "--graph", "build", "--times", "2"])

    out = capsys.readouterr().out
    assert code == 0
    assert out.startswith("flowchart TD\n")
    assert '["/first"]' in out
    assert '["/all, all at once"]' in out
    assert '["/all/n1"]' in out


def test_a_large_tree_is_drawn_with_the_machines_it_runs(
    script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    compile_command([script, "--graph", "build", "--times", "1600"])

    out = capsys.readouterr().out
    assert '"run machine 1"' in out
    assert 'subgraph m1["machine 1: /all"]' in out


def test_picture_is_written_beside_the_printed_output(
    script: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = compile_command(["--svg", str(tmp_path / "machines.svg"), script])

    picture = (tmp_path / "machines.svg").read_text(encoding="utf-8")
    assert code == 0
    assert picture.startswith("<svg ")
    assert "/first" in picture
    assert json.loads(capsys.readouterr().out)["machines"]


def test_a_picture_that_cannot_be_written_is_2_and_names_the_file(
    script: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "missing" / "machines.svg"

    assert compile_command(["--svg", str(file), script]) == 2
    assert f"cannot write the picture to {file}: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nope.py"], "no such file: 'nope.py'"),
        (["SCRIPT", "other"], "other is not a method"),
        (["SCRIPT", "helper"], "Expected helper to return a Node"),
        (["SCRIPT", "build", "--bad=1"], "bad"),
        ([], "the following arguments are required: FILE"),
    ],
)
def test_a_wrong_command_line_is_2(
    script: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = compile_command([script if word == "SCRIPT" else word for word in words])

    assert code == 2
    assert message in capsys.readouterr().err


def test_a_wrong_tree_is_2_and_names_the_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong_pipeline.py"
    path.write_text(
        "import conducto as co\n"
        "def bad() -> co.Serial:\n"
        "    root = co.Serial()\n"
        "    root['a'] = co.Exec('true', image_name='nope')\n"
        "    return root\n"
    )

    assert compile_command([str(path)]) == 2
    assert "/a" in capsys.readouterr().err


def test_ambiguous_pipeline_is_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "two_pipelines.py"
    path.write_text(
        "import conducto as co\n"
        "def one() -> co.Exec: return co.Exec('true')\n"
        "def two() -> co.Exec: return co.Exec('true')\n"
    )

    assert compile_command([str(path)]) == 2
    assert "must specify method; those that return a tree: one, two" in capsys.readouterr().err
