"""Trees on stdin: how programs of other languages define and launch pipelines."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import conducto as co
from conducto.api.config import Config
from conducto.tree.serialize import OPEN, decode

ENTRY = "import sys; from conducto.tools.entry import main; sys.exit(main())"
Conducto = Callable[..., int]


def call(*words: str, text: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CONDUCTO", "__RUN"))}
    return subprocess.run(
        [sys.executable, "-c", ENTRY, *words],
        input=text,
        capture_output=True,
        text=True,
        env={**kept, "NO_COLOR": "1", **environ},
        check=False,
    )


@pytest.fixture
def tree() -> str:
    root = co.Serial(env={"A": "1"}, image="busybox")
    root["x"] = co.Exec("echo x")
    return root.serialize()


def test_a_valid_tree_is_printed(tree: str) -> None:
    done = call("validate-serialization", text=tree)

    assert (done.returncode, done.stderr) == (0, "")
    assert "0 x   echo x" in done.stdout
    assert "2 nodes, 1 image" in done.stdout


def test_report_of_a_node_is_passed_to_the_runner(tree: str) -> None:
    done = call("validate-serialization", text=tree, __RUN_BY_WORKER__="1")

    document = decode(done.stdout)
    assert done.stdout.lstrip().startswith(OPEN)
    assert [node["type"] for node in document["nodes"]] == ["Serial", "Exec"]
    assert document["nodes"][0]["__env__A"] == "1"


@pytest.mark.parametrize(
    ("words", "text", "message"),
    [
        (["validate-serialization"], "nonsense", "stdin: not a serialized tree"),
        (["validate-serialization"], "", "stdin: not a serialized tree"),
        (["validate-serialization", "--local"], "", "takes no arguments, got '--local'"),
        (["build"], "", "choose where to launch it: --local or --cloud"),
        (["build", "--local"], "nonsense", "stdin: not a serialized tree"),
        (["build", "--local", "--bogus"], "", "--bogus"),
    ],
)
def test_invalid_tree_is_reported_in_one_line(words: list[str], text: str, message: str) -> None:
    done = call(*words, text=text)

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_definition_that_is_wrong_names_the_node() -> None:
    root = co.Serial()
    root["x"] = co.Exec("true", max_time="soon")

    done = call("validate-serialization", text=root.serialize())

    assert done.returncode == 2
    assert "/x" in done.stderr


@pytest.mark.parametrize("name", ["build", "validate-serialization"])
def test_each_has_help(name: str) -> None:
    done = call(name, "--help", text="")

    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: conducto {name}")


def test_a_directory_is_shared_under_a_name(
    tmp_path: Path,
    conducto: Conducto,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path / "home"))
    (tmp_path / "code").mkdir()

    code = conducto("--profile", "p", "share-directory", "Code", str(tmp_path / "code"))

    assert (code, capsys.readouterr().out) == (0, f"Code: {tmp_path / 'code'}\n")
    assert Config().get_named_share_paths("p", "Code") == [str(tmp_path / "code")]


def test_a_directory_that_is_not_there_is_not_shared(
    conducto: Conducto, capsys: pytest.CaptureFixture[str]
) -> None:
    code = conducto("share-directory", "x", "/no/such")

    assert (code, capsys.readouterr().err) == (2, "conducto: /no/such: no such directory\n")
