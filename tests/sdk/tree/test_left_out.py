"""Input that would silently do nothing: warnings on stderr, or an error."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import conducto as co
from conducto import main as main_module
from conducto.tree import left_out

if TYPE_CHECKING:
    import pathlib

Output = pytest.CaptureFixture[str]


def hello() -> co.Serial:
    root = co.Serial()
    root["hi"] = co.Exec("echo hi")
    return root


def printed(capsys: Output, *argv: str) -> tuple[str, str]:
    main_module(variables={"hello": hello}, default=hello, argv=list(argv), filename="p.py")
    streams = capsys.readouterr()
    return streams.out, streams.err


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("__RUN_BY_WORKER__", "CONDUCTO_EXECUTION_ENV", "CONDUCTO_GLUE_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("--detach", "--detach has"),
        ("--detach --sleep-when-done", "--detach, --sleep-when-done have"),
        ("--engine process", "--engine has"),
    ],
)
def test_flag_of_a_launch_without_a_target_is_a_warning(
    line: str, flags: str, capsys: Output
) -> None:
    out, err = printed(capsys, *line.split())

    assert "echo hi" in out
    assert err == (
        f"p.py : warning: {flags} no effect without --local or --cloud; the tree is only printed\n"
    )


@pytest.mark.parametrize("line", ["--run", "hello --run-at=18:30", "--run --run-at 18:30 --detach"])
def test_start_without_a_target_is_an_error(line: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as raised:
        printed(capsys, *line.split())

    assert raised.value.code == 2
    out, err = capsys.readouterr()
    name = "--run-at" if line.startswith("hello") else "--run"
    assert out == ""
    assert f"{name} needs a target, and nothing was run: add --local or --cloud" in err


def test_tree_is_printed_inside_a_node_despite_flags_of_a_launch(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("__RUN_BY_WORKER__", "1")

    assert "<__conducto_serialization>" in printed(capsys, "--run")[0]


@pytest.mark.parametrize("line", ["", "--title T --doc D", "hello --no-app --no-shell"])
def test_flag_of_a_printed_tree_causes_no_warning(line: str, capsys: Output) -> None:
    assert printed(capsys, *line.split())[1] == ""


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("--k8s --cloud", "--cloud is ignored: --k8s takes precedence"),
        ("--k8s --run --run-at=18:30", "--run-at is ignored: --run starts the pipeline now"),
        ("--k8s --shell", "--shell is ignored"),
        ("--k8s --public", "--public is ignored"),
    ],
)
def test_flag_that_another_one_overrides_is_a_warning(line: str, text: str, capsys: Output) -> None:
    with pytest.raises(SystemExit):  # Kubernetes is refused, after the warnings
        printed(capsys, *line.split())

    assert f"p.py : warning: {text}" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["5", "5 --run 'a b'"])
def test_argument_that_the_default_method_does_not_take_is_rejected(
    line: str, capsys: Output
) -> None:
    with pytest.raises(SystemExit) as raised:
        printed(capsys, *line.split(" ", 2))

    assert raised.value.code == 2
    err = capsys.readouterr().err
    assert "5 is not a valid method; hello takes no arguments without names" in err


def test_text_of_stop_on_error_is_a_warning(capsys: Output) -> None:
    def original() -> co.Serial:
        root = co.Serial(stop_on_error="False")  # type: ignore[arg-type]
        root["hi"] = co.Exec("echo hi")
        return root

    main_module(variables={}, default=original, argv=[], filename="p.py")

    warning = "stop_on_error='False' is a text, which counts as True; write True or False"
    assert capsys.readouterr().err.endswith(f": warning: {warning}\n")


def warnings(root: co.Node, capsys: Output) -> list[str]:
    left_out.warn_unnamed(root)
    return capsys.readouterr().err.splitlines()


def test_unnamed_exec_of_a_block_is_a_warning_at_its_line(capsys: Output) -> None:
    with co.Serial() as root:
        co.Exec("true", name="a")
        co.Exec("echo lost\ntwice")

    first, remedy = warnings(root, capsys)

    assert list(root.children) == ["a"]
    assert ".py:" in first
    assert first.endswith(
        ": warning: Exec 'echo lost\\ntwice' has no name, so it is not part of the tree"
    )
    assert 'co.Exec(..., name="NAME")' in remedy


def test_unnamed_group_is_a_warning_without_its_children(capsys: Output) -> None:
    with co.Serial() as root, co.Parallel():
        co.Exec("true", name="a")
        co.Exec("true", name="b")

    assert [line.split("warning: ")[-1] for line in warnings(root, capsys)][:1] == [
        "this Parallel (2 nodes below it) has no name, so it is not part of the tree"
    ]


def test_many_unnamed_nodes_are_counted(capsys: Output) -> None:
    with co.Serial() as root:
        for _ in range(9):
            co.Exec("true")

    lines = warnings(root, capsys)

    assert (len(lines), lines[5]) == (7, "  and 4 nodes more")


def test_unnamed_node_attached_later_causes_no_warning(capsys: Output) -> None:
    with co.Serial() as root:
        late = co.Exec("true")
        root["early"] = co.Exec("true")
        root["lazy"] = co.Lazy("true")
    root["late"] = late

    assert warnings(root, capsys) == []


def test_unnamed_node_of_another_tree_causes_no_warning(capsys: Output) -> None:
    with co.Serial():
        co.Exec("true")
    with co.Serial() as root:
        co.Exec("true", name="a")

    assert warnings(root, capsys) == []


def test_printed_tree_warns_about_nodes_outside_of_it(capsys: Output) -> None:
    def lossy() -> co.Serial:
        with co.Serial() as root:
            co.Exec("true", name="a")
            co.Exec("true")
        return root

    main_module(variables={"lossy": lossy}, default=lossy, argv=[], filename="p.py")

    assert "has no name" in capsys.readouterr().err


def needed() -> int:
    return 1


@pytest.mark.parametrize(
    ("function", "text"),
    [(lambda: 1, "<lambda> cannot be called in a container"), (needed, "references local code")],
)
def test_printed_tree_warns_of_a_function_that_no_container_finds(
    function: object, text: str, capsys: Output
) -> None:
    def calls() -> co.Serial:
        root = co.Serial(image="python:3.11-slim")
        root["a"] = co.Exec(function)  # type: ignore[arg-type]
        return root

    main_module(variables={"calls": calls}, default=calls, argv=[], filename="p.py")

    streams = capsys.readouterr()
    assert streams.out.startswith("/\n")
    assert "test_left_out.py:" in streams.err
    assert "warning: this tree can be printed, but not launched: " in streams.err
    assert text in streams.err


def test_launch_of_a_tree_without_an_exec_is_a_warning(capsys: Output) -> None:
    left_out.warn_empty(co.Serial())

    assert "the tree has no Exec, so there is nothing to run" in capsys.readouterr().err


WITHOUT_MAIN = """
import conducto as co
def pipeline() -> co.Serial:
    root = co.Serial()
    root["a"] = co.Exec("true")
    return root
"""


def run_script(tmp_path: pathlib.Path, text: str, *argv: str) -> tuple[int, str, str]:
    (tmp_path / "p.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "p.py", *argv], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("target", ["--local", "--cloud"])
def test_launch_of_a_script_without_main_is_an_error(tmp_path: pathlib.Path, target: str) -> None:
    code, out, err = run_script(tmp_path, WITHOUT_MAIN, target, "--run")

    assert (code, out) == (2, "")
    assert err == (
        f"p.py : error: {target} has launched nothing: the script defines a pipeline (pipeline) "
        "but does not call co.main; end it with co.main(default=pipeline)\n"
    )


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (WITHOUT_MAIN, "end it with co.main(default=pipeline)"),
        ("import conducto as co\nroot = co.Serial()\n", "put it in a function"),
    ],
)
def test_script_without_main_is_a_warning(tmp_path: pathlib.Path, text: str, remedy: str) -> None:
    code, out, err = run_script(tmp_path, text)

    assert (code, out) == (0, "")
    assert "p.py : warning: nothing was printed or launched" in err
    assert remedy in err


@pytest.mark.parametrize(
    "end",
    [
        "print(pipeline().pretty())",
        "print(len(pipeline().serialize()))",
        "co.main(default=pipeline, argv=[])",
        "import sys\nsys.exit(len(pipeline().serialize()) == 0)",
    ],
)
def test_script_that_uses_its_tree_otherwise_causes_no_warning(
    tmp_path: pathlib.Path, end: str
) -> None:
    code, out, err = run_script(tmp_path, WITHOUT_MAIN + end + "\n")

    assert (code, err) == (0, "")
    assert out or "sys.exit" in end


def test_script_that_fails_has_its_own_error(tmp_path: pathlib.Path) -> None:
    code, _, err = run_script(tmp_path, WITHOUT_MAIN + "1 / 0\n", "--local")

    assert code == 1
    assert err.splitlines()[-1] == "ZeroDivisionError: division by zero"
