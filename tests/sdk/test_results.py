"""The result, metrics and artifacts of a running command."""

import json
import math
import os
import runpy
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import conducto as co
from conducto import results
from conducto.tools import entry
from conducto.tree.references import ResultReference
from conducto.wire.outputs import MAX_POINTS, is_left_out

SCRIPT = """
from dataclasses import dataclass
from typing import List

@dataclass
class Point:
    x: int

def give(value: str):
    return {"given": value}

def nothing():
    pass

def unfit():
    return object()

def large():
    return "x" * 2_000_000

async def later() -> int:
    return 7

def use(value: Point, flag: bool = False, rest=None):
    return [type(value).__name__, value.x, flag, rest]

def total(values: List[float]) -> float:
    return sum(values)
"""


@pytest.fixture
def run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONDUCTO_RUN_DIR", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "steps.py").write_text(SCRIPT)
    return tmp_path


def call(directory: Path, *words: str) -> Path:
    assert entry.run_file(str(directory / "steps.py"), list(words)) == 0
    return directory / "result"


def test_return_value_is_kept(run_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = call(run_directory, "give", "--value=you")

    assert json.loads(file.read_text()) == {"given": "you"}
    assert capsys.readouterr().out == "{'given': 'you'}\n"


def test_result_of_an_async_function_is_kept(run_directory: Path) -> None:
    assert call(run_directory, "later").read_text() == "7"


def test_none_removes_an_earlier_result(run_directory: Path) -> None:
    call(run_directory, "give", "--value=you")

    assert not call(run_directory, "nothing").exists()


@pytest.mark.parametrize(
    ("function", "reason"),
    [("unfit", "which has no JSON form"), ("large", "the maximum is 1,048,576")],
)
def test_value_that_cannot_be_kept_is_a_warning(
    run_directory: Path, capsys: pytest.CaptureFixture[str], function: str, reason: str
) -> None:
    assert not call(run_directory, function).exists()

    error = capsys.readouterr().err
    assert error.startswith("conducto: the result was not kept: ")
    assert reason in error


def given(directory: Path, **values: object) -> None:
    text = json.dumps({f"/{name}": value for name, value in values.items()})
    (directory / "inputs").write_text(text)


def test_references_become_values_of_the_type_of_the_parameter(run_directory: Path) -> None:
    given(run_directory, point={"x": 3}, flag=True, rest=["any", 1])

    words = ["--value=<result of /point>", "--flag=<result of /flag>", "--rest=<result of /rest>"]
    file = call(run_directory, "use", *words)

    assert json.loads(file.read_text()) == ["Point", 3, True, ["any", 1]]


def test_references_inside_a_list_become_values(run_directory: Path) -> None:
    given(run_directory, a=1.5, b=2)

    file = call(run_directory, "total", '--values=["<result of /a>", 0.5, "<result of /b>"]')

    assert json.loads(file.read_text()) == 4.0


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("--value=<result of /point>", "Point has no field 'y', only x"),
        ("--value=<result of /other>", "does not declare that it uses the result of /other"),
    ],
)
def test_reference_that_does_not_fit_is_an_error(
    run_directory: Path, capsys: pytest.CaptureFixture[str], word: str, reason: str
) -> None:
    given(run_directory, point={"y": 3})

    with pytest.raises(SystemExit):
        entry.run_file(str(run_directory / "steps.py"), ["use", word])

    assert reason in capsys.readouterr().err


def test_reference_in_a_debug_shell_is_an_error_with_the_remedy(
    run_directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONDUCTO_RUN_DIR")
    monkeypatch.setenv("CONDUCTO_EXECUTION_ENV", "debug_local")

    with pytest.raises(SystemExit):
        entry.run_file(str(run_directory / "steps.py"), ["give", "--value=<result of /a>"])

    assert "is not available in a debug shell" in capsys.readouterr().err
    with pytest.raises(LookupError, match="pass it as a value"):
        co.result("/a")


def test_text_like_a_reference_is_an_argument_without_declared_results(
    run_directory: Path,
) -> None:
    file = call(run_directory, "give", "--value=<result of /a>")

    assert json.loads(file.read_text()) == {"given": "<result of /a>"}


def test_result_in_a_command_is_the_declared_value(run_directory: Path) -> None:
    given(run_directory, train={"loss": 0.5})

    assert co.result("/train") == {"loss": 0.5}
    with pytest.raises(LookupError, match=r"declared: /train\); write co.Exec\(\.\.\., results="):
        co.result("/other")


BUILDER = """
import conducto as co

def use(value):
    return value

NODE = co.Exec(use, co.result("/train"))

def name() -> str:
    return NODE.__class__.__name__

def pipeline() -> co.Serial:
    root = co.Serial(image="busybox")
    root["train"] = co.Exec("true")
    root["use"] = co.Exec(use, co.result("/train"))
    return root

def direct():
    return co.result("/train")
"""


def test_file_with_a_tree_loads_in_a_command(run_directory: Path) -> None:
    given(run_directory, other=1)
    (run_directory / "builder.py").write_text(BUILDER)

    assert entry.run_file(str(run_directory / "builder.py"), ["name"]) == 0

    assert json.loads((run_directory / "result").read_text()) == "Exec"


def test_command_builds_a_tree_with_references(
    run_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_directory / "builder.py").write_text(BUILDER)

    assert entry.run_file(str(run_directory / "builder.py"), ["pipeline"]) == 0

    assert "use" in capsys.readouterr().out
    with co.Serial():
        assert isinstance(co.result("/train"), ResultReference)


def test_undeclared_result_in_the_function_of_a_node_is_an_error(
    run_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_directory / "builder.py").write_text(BUILDER)

    with pytest.raises(SystemExit):
        entry.run_file(str(run_directory / "builder.py"), ["direct"])

    assert "does not declare that it uses the result of /train" in capsys.readouterr().err


def test_file_that_uses_a_result_at_its_top_gets_a_declared_one(run_directory: Path) -> None:
    (run_directory / "other.py").write_text("import conducto as co\nLOSS = co.result('/train')\n")
    with pytest.raises(LookupError, match=r"results=\['/train'\].*function that returns the tree"):
        runpy.run_path(str(run_directory / "other.py"), run_name="__main__")

    given(run_directory, train=0.5)

    assert runpy.run_path(str(run_directory / "other.py"), run_name="__main__")["LOSS"] == 0.5


def test_result_that_is_not_declared_in_a_function_has_no_remedy_for_trees(
    run_directory: Path,
) -> None:
    with pytest.raises(LookupError) as raised:
        co.result("/train")

    assert "returns the tree" not in str(raised.value)


def lines(directory: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / name).read_text().splitlines()]


def test_metric_writes_points(run_directory: Path) -> None:
    co.metric("val/loss (%)", 0.5, step=7)
    co.metric("val/loss (%)", float("nan"))
    co.metric("val/loss (%)", -math.inf)

    found = lines(run_directory, "metrics")
    assert [(p["name"], p["value"], p["step"]) for p in found] == [
        ("val/loss (%)", 0.5, 7),
        ("val/loss (%)", None, None),
        ("val/loss (%)", None, None),
    ]
    assert all(time.time() - 60 < p["time"] <= time.time() for p in found)


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        (("", 1), ValueError, "invalid name of a metric: ''"),
        (("a\nb", 1), ValueError, "invalid name of a metric"),
        (("a", "1"), TypeError, "the value of a metric must be a number, got '1'"),
        (("a", True), TypeError, "the value of a metric must be a number, got True"),
        (("a", [1]), TypeError, r"the value of a metric must be a number, got \[1\]"),
        (("a", 1, "x"), TypeError, "the step of a metric must be a number, got 'x'"),
    ],
)
def test_invalid_metric_is_an_error_also_outside_of_a_pipeline(
    arguments: Any, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        co.metric(*arguments)


def test_points_are_left_out_ever_more_often_after_the_maximum() -> None:
    counts = (0, MAX_POINTS - 1, MAX_POINTS, MAX_POINTS + 1, 4 * MAX_POINTS + 4, 10**6 + 64)

    assert [is_left_out(count) for count in counts] == [False, False, False, True, True, False]


def test_last_point_is_written_at_the_end_if_it_was_left_out(run_directory: Path) -> None:
    code = f"import conducto as co\nfor n in range({MAX_POINTS + 4}): co.metric('many', n)"
    subprocess.run([sys.executable, "-c", code], check=True)

    found = lines(run_directory, "metrics")
    assert [p["value"] for p in found[-3:]] == [MAX_POINTS, MAX_POINTS + 2, MAX_POINTS + 3]
    assert found[-1]["step"] == MAX_POINTS + 3


def test_points_and_artifacts_are_sent_at_once(
    run_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = run_directory / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv("CONDUCTO_LIVE", str(pipe))
    monkeypatch.setenv("CONDUCTO_DATA_PIPELINE", str(run_directory))
    co.metric("loss", 3)  # nobody reads the pipe
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    co.metric("loss", 2)
    co.artifact(pipe.with_name("metrics"), title="x" * 5000)  # longer than a frame
    co.artifact(pipe.with_name("metrics"))

    sent = os.read(reader, 1 << 16).split(b"\n")
    os.close(reader)
    assert sent[0].startswith(b'\x1econducto:metrics {"name": "loss", "value": 2, "step": null')
    assert sent[1].startswith(b'\x1econducto:artifacts {"name": "metrics", "title": ""')
    assert [len(lines(run_directory, name)) for name in ("metrics", "artifacts")] == [2, 2]


def test_full_pipe_does_not_delay_the_command(
    run_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = run_directory / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv("CONDUCTO_LIVE", str(pipe))
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while os.write(reader, b"x" * 4096):
            pass

    co.metric("loss", 2)

    os.close(reader)
    assert len(lines(run_directory, "metrics")) == 1


def test_artifact_is_copied_into_the_data_of_the_pipeline(
    run_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = run_directory / "data"
    monkeypatch.setenv("CONDUCTO_DATA_PIPELINE", str(data))
    monkeypatch.setenv("CONDUCTO_NODE", "/plots/a b")
    monkeypatch.setenv("CONDUCTO_ATTEMPT", "2")
    monkeypatch.chdir(run_directory)
    (run_directory / "out").mkdir()
    (run_directory / "out" / "plot.png").write_bytes(b"png")
    (data / "sub").mkdir(parents=True)
    (data / "sub" / "table.csv").write_text("1,2")

    copied = co.artifact("out/plot.png", title="Loss")
    inside = co.artifact(data / "sub" / "table.csv")

    assert copied == "artifacts/+plots+a b/2/out/plot.png"
    assert (data / copied).read_bytes() == b"png"
    assert inside == "sub/table.csv"
    assert lines(run_directory, "artifacts") == [
        {"name": copied, "title": "Loss", "size": 3, "type": "image/png"},
        {"name": "sub/table.csv", "title": "", "size": 3, "type": "text/csv"},
    ]


def test_missing_artifact_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        co.artifact(tmp_path / "none.png")
    with pytest.raises(ValueError, match="is a directory"):
        co.artifact(tmp_path)


def test_tools_write_metrics_and_print_results(
    run_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given(run_directory, train={"loss": 0.5})

    codes = [
        entry.main(["metric", "accuracy", "0.93", "--step", "7"]),
        entry.main(["metric", "accuracy", "nan"]),
        entry.main(["result", "/train"]),
    ]

    assert codes == [0, 0, 0]
    assert [(p["value"], p["step"]) for p in lines(run_directory, "metrics")] == [
        (0.93, 7),
        (None, None),
    ]
    assert capsys.readouterr().out == '{"loss": 0.5}\n'


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["metric", "a", "much"], 2, "conducto metric: expected a number, got 'much'"),
        (["metric", "a"], 2, "conducto metric: missing argument VALUE"),
        (["metric", "", "1"], 1, "conducto metric: invalid name of a metric: ''"),
        (["artifact", "/nonexistent"], 1, "No such file or directory: '/nonexistent'"),
        (["result", "/x"], 1, "does not declare that it uses the result of /x"),
    ],
)
def test_wrong_use_of_a_tool_is_an_error(
    run_directory: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    reason: str,
) -> None:
    del run_directory

    assert entry.main(words) == code
    assert reason in capsys.readouterr().err


def test_unwritable_directory_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONDUCTO_RUN_DIR", "/nonexistent/directory")

    results.store_return_value(1)

    assert "No such file or directory" in capsys.readouterr().err


def test_nothing_is_written_outside_of_a_pipeline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CONDUCTO_RUN_DIR", raising=False)
    monkeypatch.chdir(tmp_path)

    results.store_return_value({"a": 1})

    assert list(tmp_path.iterdir()) == []
