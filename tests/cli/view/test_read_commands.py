"""The verbs that only look: trees, nodes, differences, output, images."""

import contextlib
import http.client
import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
from tests.fakes.pipelines import MemoryAgent, MemoryPipelines
from tests.fakes.transport import InProcessTransport

from conducto_cli.logs import command as logs
from conducto_cli.main import main
from conducto_cli.target.web_page import forwarding_file
from conducto_cli.view.model import PipelineModel
from conducto_client import Client, HttpTransport
from conducto_core.api.dispatch import Service
from conducto_core.approvals.model import WaitingApproval
from conducto_core.command.masking import Mask
from conducto_core.command.model import Resources
from conducto_core.results.outputs import collect
from conducto_core.run.model.records import AttemptRecord, ImageRecord, ImageState
from conducto_core.run.model.requests import PipelineAgent
from conducto_core.run.model.responses import AskedApproval, Login
from conducto_core.run.model.states import Cause, State
from support.api_server import TOKEN, RunningServer, running_server
from support.cli_trees import CountingPipelines, record, small_tree, summary, view

Conducto = Callable[..., int]
Output = pytest.CaptureFixture[str]

#: The line of an artifact, as a command writes it.
ARTIFACT = '{"name": "plot.png", "title": "Plot", "size": 9}'


def lines_of(capsys: Output) -> list[str]:
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


# ---- list


@pytest.fixture
def three(fake: CountingPipelines) -> CountingPipelines:
    fake.add(
        "one", [view("/", "Serial"), view("/a")], record("one", tags=("nightly",), owner="ada")
    )
    fake.add("two", [view("/", "Serial"), view("/a")], record("two", title="Deploy", owner="bob"))
    fake.finish("two", "/a")
    return fake


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([], ["two", "one", "abc-def"]),
        (["--state", "done"], ["two"]),
        (["--tag", "nightly"], ["one"]),
        (["--owner", "bob"], ["two"]),
        (["--text", "deploy"], ["two"]),
        (["--limit", "1"], ["two"]),
        (["--state", "pending", "-n", "1"], ["one"]),
    ],
)
def test_list_filters(
    three: CountingPipelines, filters: list[str], found: list[str], conducto: Conducto,
    capsys: Output,
) -> None:  # fmt: skip
    conducto("list", "--json", *filters)

    assert [entry["id"] for entry in json.loads(capsys.readouterr().out)] == found


def test_approvals_are_listed_with_the_command_that_decides_them(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    conducto("approvals")
    assert lines_of(capsys) == ["nothing waits for your approval"]
    release = WaitingApproval(path="/ask", message="Release\n" + 60 * "x", since=0.0)
    machine = PipelineAgent(id="box", host="box", online=True, seen=1.0)
    fake.approvals = (
        AskedApproval(pipeline="a/box/p1", title="Ship", agent=machine, approval=release),
        AskedApproval(pipeline="p1", title="Ship", approval=release),
        AskedApproval(pipeline="a/box/p2", title="Train", agent=machine, approval=release),
    )

    conducto("approvals")

    head, *rows, _, remedy = lines_of(capsys)
    assert head.split() == ["ID", "PATH", "SINCE", "TITLE", "QUESTION"]
    assert [row.split()[:2] for row in rows] == [["p1", "/ask"], ["a/box/p2", "/ask"]]
    assert all(row.endswith(" Release " + 51 * "x" + "…") for row in rows)
    assert remedy == "Decide with: conducto approve ID PATH [--reject]"


def test_list_says_when_nothing_matches(conducto: Conducto, capsys: Output) -> None:
    code = conducto("list", "--tag", "none")

    assert (code, capsys.readouterr().out) == (0, "no such pipelines\n")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"armed": False, "doc": "runs"}, "running, paused"),
        ({"armed": True, "doc": "runs"}, "running"),
        ({"armed": False}, "pending"),
        ({"armed": False, "run_at": 1_800_000_000.0}, "pending, starts at 2027-01-1"),
    ],
    ids=["paused while something runs", "running", "never run", "starts later"],
)
def test_a_pause_and_a_start_to_come_are_shown(
    fake: CountingPipelines, fields: dict[str, Any], word: str, conducto: Conducto,
    capsys: Output,
) -> None:  # fmt: skip
    fake.add("abc-def", small_tree(), record(**fields))
    if "doc" in fields:
        fake.change("abc-def", "/build", State.RUNNING)

    conducto("show", "abc-def", "--once")
    head = lines_of(capsys)[0]
    conducto("list")
    (listed,) = lines_of(capsys)[1:]

    assert head.partition("abc-def  ")[2].startswith(word)
    assert listed.split("  ")[1].strip().startswith(word)


@pytest.mark.parametrize(("order", "word"), [("sleep", "sleeping"), ("archive", "archived")])
def test_sleeping_and_archived_pipelines_are_not_shown_as_paused(
    order: str, word: str, conducto: Conducto, capsys: Output
) -> None:
    conducto(order, "abc-def")
    capsys.readouterr()

    conducto("show", "abc-def", "--once")

    assert f"abc-def  pending, {word}" in lines_of(capsys)[0]


# ---- tree


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--depth", "0"], ["pending ▸ /  ✔ 0/3"]),
        (["--depth", "1"], ["pending ▾ /  ✔ 0/3", "pending   ○ build", "pending   ▸ tests  ✔ 0/2"]),
        (["/tests"], ["pending ▾ /tests  ✔ 0/2", "pending   ○ login", "pending   ○ logout"]),
        (["/tests/log*"], ["pending ○ /tests/login", "pending ○ /tests/logout"]),
        (["tests/login", "/build"], ["pending ○ /tests/login", "pending ○ /build"]),
        (
            ["/tests", "/tests/login", "--depth", "0"],
            ["pending ▾ /tests  ✔ 0/2", "pending   ○ login"],
        ),
    ],
    ids=" ".join,
)
def test_tree_prints_parts(
    words: list[str], found: list[str], conducto: Conducto, capsys: Output
) -> None:
    code = conducto("tree", "abc-def", *words)

    assert (code, lines_of(capsys)) == (0, found)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("failed", ["/tests/login", "/tests/logout"]),
        ("error", ["/tests/login"]),
        ("killed", ["/tests/logout"]),
        ("done", ["/build"]),
        ("running", []),
    ],
)
def test_tree_by_state_lists_paths(
    fake: CountingPipelines, state: str, found: list[str], conducto: Conducto, capsys: Output
) -> None:
    fake.finish("abc-def", "/build")
    fake.finish("abc-def", "/tests/login", Cause.EXIT_CODE)
    fake.finish("abc-def", "/tests/logout", Cause.TIMEOUT)

    conducto("tree", "abc-def", "--state", state)

    assert [line.split()[2] for line in lines_of(capsys)] == found


def test_tree_of_skipped_ones(fake: CountingPipelines, conducto: Conducto, capsys: Output) -> None:
    conducto("skip", "abc-def", "/build")
    capsys.readouterr()

    conducto("tree", "abc-def", "--state", "skipped", "--json")

    document = json.loads(capsys.readouterr().out)
    assert [node["path"] for node in document["nodes"]] == ["/build"]


def test_tree_of_an_unknown_path_names_the_nearest(conducto: Conducto, capsys: Output) -> None:
    code = conducto("tree", "abc-def", "/test")

    assert (code, capsys.readouterr().err) == (
        2,
        "conducto: /test: no such node; did you mean '/tests'?\n",
    )


# ---- show ID PATH


def test_a_node_is_shown_with_its_attempts(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.finish("abc-def", "/build", Cause.EXIT_CODE)

    code = conducto("show", "abc-def", "/build")

    lines = lines_of(capsys)
    assert code == 0
    assert lines[0] == "/build  Exec  error  pipeline.py:41"
    assert lines[1:3] == ["command", "  make"]
    assert lines[3] == "attempts"
    assert "error, exit 1" in lines[4]


def test_node_page_shows_usage_of_its_attempts(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.change("abc-def", "/build", State.RUNNING, started=10.0)
    used = Resources(interval=2, cpu=(1.4, 2.0), memory=(5, 9 << 20), cpu_limit=2, mem_limit=2**31)
    fake.set_resources("abc-def", "/build", used)

    conducto("show", "abc-def", "/build")

    assert "1.7 of 2 CPUs on average, 9 MB of 2 GB at its peak" in capsys.readouterr().out


@pytest.fixture
def leaving(fake: CountingPipelines) -> CountingPipelines:
    """/build left a result, a metric and an artifact."""
    value, point = {"a": list(range(60))}, {"name": "loss", "value": 0.5, "step": 3}
    written = {"result": json.dumps(value), "metrics": json.dumps(point), "artifacts": ARTIFACT}
    outputs = collect({name: text.encode() for name, text in written.items()}, Mask(()))
    fake.change("abc-def", "/build", State.RUNNING, outputs=outputs.summary)
    for stream, data in outputs.streams.items():
        fake.write("abc-def", "/build", data, stream=stream)
    return fake


def test_node_page_shows_its_result_metrics_and_artifacts(
    leaving: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    del leaving

    conducto("show", "abc-def", "/build")

    lines = lines_of(capsys)
    at = lines.index("result")
    assert lines[at + 1 : at + 4] == ["  {", '   "a": [', "    0,"]
    assert lines[at + 51 :] == [
        "  ... 14 more lines; --json shows all",
        "metrics",
        "  loss  0.5    1 point",
        "artifacts",
        "  plot.png  9 bytes  Plot",
    ]


def test_node_page_says_how_many_points_were_kept(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    points = [json.dumps({"name": "loss", "value": n}) for n in range(25_000)]
    outputs = collect({"metrics": "\n".join(points).encode()}, Mask(()))
    fake.change("abc-def", "/build", State.RUNNING, outputs=outputs.summary)
    fake.write("abc-def", "/build", outputs.streams["metrics"], stream="metrics")

    conducto("show", "abc-def", "/build")

    assert "  loss  24999  from 0 to 24999  25,000 points, 8,334 kept" in lines_of(capsys)


@pytest.mark.parametrize("reference", ["demo.py", "abc-def", "@last"])
def test_metrics_of_pipelines_with_a_title_are_a_table(
    leaving: CountingPipelines, reference: str, conducto: Conducto, capsys: Output
) -> None:
    leaving.add("new-one", small_tree(), record("new-one"))

    code = conducto("metrics", reference, "--last", "5")

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines] == ["ID", "new-one", "abc-def"]
    assert [line.split()[-1] for line in lines] == ["loss", "-", "0.5"]


@pytest.fixture
def grid(fake: CountingPipelines) -> CountingPipelines:
    """Three trainings, one without its metric."""
    losses = {"0.5": 0.25, "0.1": 0.125, "10": None}
    nodes = [view("/", "Parallel")]
    nodes += [view(f"/r{r}", command=f"conducto p.py train --rate={r} 'x y'") for r in losses]
    fake.add("grid-id", nodes, record("grid-id", title="grid"))
    for rate, loss in losses.items():
        written = {"name": "loss" if loss else "time", "value": loss or 1}
        outputs = collect({"metrics": json.dumps(written).encode()}, Mask(()))
        fake.change("grid-id", f"/r{rate}", State.RUNNING, outputs=outputs.summary)
        for stream, data in outputs.streams.items():
            fake.write("grid-id", f"/r{rate}", data, stream=stream)
    return fake


@pytest.mark.parametrize(
    ("words", "rates"),
    [
        ((), ["0.5", "0.1", "10"]),
        (("--sort", "loss"), ["0.1", "0.5", "10"]),
        (("--sort", "loss", "--reverse"), ["0.5", "0.1", "10"]),
        (("--sort", "rate", "--reverse"), ["10", "0.5", "0.1"]),
    ],
)
def test_metrics_by_node_are_a_table_of_experiments(
    grid: CountingPipelines,
    words: tuple[str, ...],
    rates: list[str],
    conducto: Conducto,
    capsys: Output,
) -> None:
    del grid

    assert conducto("metrics", "grid", "--by-node", *words) == 0

    head, *rows = (line.split() for line in lines_of(capsys))
    assert head[:3] == ["ID", "NODE", "rate"]
    assert sorted(head[3:]) == ["loss", "time"]
    assert [row[1:3] for row in rows] == [[f"/r{rate}", rate] for rate in rates]


def test_metrics_in_the_order_of_an_unknown_column_are_refused(
    grid: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    del grid

    assert conducto("metrics", "grid", "--by-node", "--sort", "los") == 2
    expected = "no parameter or metric is called 'los'; did you mean 'loss'?"
    assert expected in capsys.readouterr().err


def test_pipelines_are_sorted_by_a_metric(
    leaving: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    leaving.add("new-one", small_tree(), record("new-one"))

    assert conducto("metrics", "demo.py", "--sort", "loss", "--json") == 0

    pipelines = json.loads(capsys.readouterr().out)["pipelines"]
    assert [each["id"] for each in pipelines] == ["abc-def", "new-one"]


def test_metrics_by_node_as_json(
    grid: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    del grid

    assert conducto("metrics", "grid", "--by-node", "--sort", "loss", "--json") == 0

    first = json.loads(capsys.readouterr().out)[0]
    assert first == {
        "id": "grid-id",
        "node": "/r0.1",
        "parameters": {"rate": "0.1"},
        "metrics": {"loss": 0.125},
    }


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["demo.py", "--reverse"], 2, "--reverse needs --sort COLUMN"),
        (["demo.py", "--name", "other"], 0, "no metrics in 1 pipeline"),
        (["unknown"], 2, "no pipeline"),
        (["demo.py", "--last", "0"], 2, "must be from 1 to 100, got '0'"),
    ],
)
def test_metrics_command_names_the_missing_part(
    words: list[str], code: int, text: str, conducto: Conducto, capsys: Output
) -> None:
    found = conducto("metrics", *words)

    said = capsys.readouterr()
    assert found == code
    assert text in said.out + said.err


def test_comparison_lists_differences_by_kind(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    for name, command in (("older", "a"), ("newer", "b\x1b")):
        nodes = [view("/", "Serial"), view("/breaks"), view("/edited", command=command)]
        fake.add(name, nodes, record(name))
    fake.finish("older", "/breaks")
    fake.finish("newer", "/breaks", Cause.EXIT_CODE)

    code = conducto("compare", "older", "newer")

    assert code == 0
    assert lines_of(capsys) == [
        "older → newer: both have 2 commands",
        "1 newly failing",
        "  /breaks",
        "1 another command",
        "  /edited  a → b\\x1b",
    ]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["abc-def", "abc-def"], 0, "no difference in outcome"),
        (["abc-def", "unknown"], 2, "no pipeline"),
        (["abc-def", "abc-def", "--limit", "5000"], 2, "at most 1000, got 5000"),
    ],
)
def test_comparison_without_a_difference_or_pipeline_is_reported(
    words: list[str], code: int, text: str, conducto: Conducto, capsys: Output
) -> None:
    found = conducto("compare", *words)

    said = capsys.readouterr()
    assert found == code
    assert text in said.out + said.err


def test_node_as_json_has_its_result_metrics_and_artifacts(
    leaving: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    del leaving

    conducto("show", "abc-def", "/build", "--json")

    document = json.loads(capsys.readouterr().out)
    assert document["result"] == {"a": list(range(60))}
    assert document["metrics"][0]["values"] == [0.5]
    assert document["artifacts"][0]["title"] == "Plot"


def test_a_node_as_json(conducto: Conducto, capsys: Output) -> None:
    conducto("show", "abc-def", "build", "--json")

    document = json.loads(capsys.readouterr().out)
    assert document["node"]["path"] == "/build"
    assert {"parameters", "env", "callbacks"} <= set(document)


# ---- diff


@pytest.fixture
def twice(fake: CountingPipelines) -> CountingPipelines:
    """/build failed, then worked with another command and environment."""
    fake.change(
        "abc-def", "/build", State.RUNNING, command="make\nexit 1", env={"A": "1", "B": "2"},
        image="one",
    )  # fmt: skip
    fake.write("abc-def", "/build", b"start\nbad\n", attempt=1)
    fake.change("abc-def", "/build", State.ERROR, cause=Cause.EXIT_CODE, exit_code=1)
    fake.change(
        "abc-def", "/build", State.RUNNING, command="make\nexit 0", env={"A": "1", "C": "3"},
        image="two",
    )  # fmt: skip
    fake.write("abc-def", "/build", b"start\ngood\n", attempt=2)
    fake.change("abc-def", "/build", State.DONE, exit_code=0)
    return fake


def test_diff_lists_every_change(
    twice: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("diff", "abc-def", "/build")

    lines = lines_of(capsys)
    assert code == 0
    assert lines[0].startswith("--- /build attempt 1: error, exit 1, ")
    assert lines[1].startswith("+++ /build attempt 2: done, ")
    assert lines[2:] == [
        "command", "   make", "  -exit 1", "  +exit 0",
        "env", "  -B=2", "  +C=3",
        "image", "  -one", "  +two",
        "stdout", "   start", "  -bad", "  +good",
    ]  # fmt: skip


def test_diff_can_go_the_other_way(
    twice: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    conducto("diff", "abc-def", "/build", "2", "1", "--json")

    document = json.loads(capsys.readouterr().out)
    assert [attempt["number"] for attempt in document["attempts"]] == [2, 1]
    assert document["differences"]["image"] == ["-two", "+one"]


def test_diff_of_equal_attempts_reports_no_difference(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.finish("abc-def", "/build", Cause.EXIT_CODE)
    fake.finish("abc-def", "/build", Cause.EXIT_CODE)

    conducto("diff", "abc-def", "/build")

    assert lines_of(capsys)[2:] == ["the same command, environment, image and output"]


def test_a_long_difference_is_cut(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    for number in (1, 2):
        fake.finish("abc-def", "/build")
        text = "".join(f"{number} {line}\n" for line in range(5000))
        fake.write("abc-def", "/build", text.encode(), attempt=number)

    conducto("diff", "abc-def", "/build")

    lines = lines_of(capsys)
    assert len(lines) < 220
    assert lines[-1].endswith("more lines; see both with conducto logs")


@pytest.mark.parametrize(
    ("runs", "word", "message"),
    [
        (0, "", "/build: has not run; there are no two attempts to compare"),
        (1, "", "/build: has run once; there are no two attempts to compare"),
        (2, "7", "/build: no attempt 7; there are: 1, 2"),
        (2, "2", "/build: attempt 2 against itself; name another one"),
    ],
)
def test_diff_of_nothing_says_why(
    fake: CountingPipelines, capsys: Output, runs: int, word: str, message: str
) -> None:
    for _ in range(runs):
        fake.finish("abc-def", "/build")

    with InProcessTransport(Service(fake, MemoryAgent(fake))) as transport:
        words = ["diff", "abc-def", "/build", *filter(None, [word])]
        code = main(words, lambda _profile: lambda: Client(transport))

    assert (code, capsys.readouterr().err) == (2, f"conducto: {message}\n")


# ---- logs


@pytest.fixture
def printed(fake: CountingPipelines) -> CountingPipelines:
    fake.finish("abc-def", "/build")
    fake.write("abc-def", "/build", b"".join(b"line %d\n" % n for n in range(1, 101)))
    fake.write("abc-def", "/build", b"Warning: line 7\n", stream="stderr")
    return fake


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["--stdout", "--tail", "2"], "line 99\nline 100\n"),
        (["--stdout", "--tail", "1000"], "".join(f"line {n}\n" for n in range(1, 101))),
        (["--stdout", "--lines", "7"], "line 7\n"),
        (["--stdout", "--lines", "3:5"], "line 3\nline 4\nline 5\n"),
        (["--stdout", "--lines", "99:"], "line 99\nline 100\n"),
        (["--stdout", "--lines", "200:300"], ""),
        (["--stderr", "--search", "warning", "-i"], "1:Warning: line 7\n"),
        (["--search", "line 7$", "--regex"], "stdout:7:line 7\nstderr:1:Warning: line 7\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_part_of_an_output(
    printed: CountingPipelines,
    words: list[str],
    out: str,
    conducto: Conducto,
    capfd: pytest.CaptureFixture[str],
) -> None:
    code = conducto("logs", "abc-def", "/build", *words)

    assert (code, capfd.readouterr().out) == (0, out)


def test_search_without_a_match_returns_an_empty_result(
    printed: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("logs", "abc-def", "/build", "--search", "nothing of the kind")

    assert (code, capsys.readouterr().out) == (1, "")


def test_a_search_for_programs(
    printed: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("logs", "abc-def", "/build", "--search", "line 7$", "--regex", "--json")

    document = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (document["path"], document["attempt"]) == ("/build", 1)
    assert document["matches"] == [
        {"stream": "stdout", "line": 7, "offset": 42, "text": "line 7", "start": 0, "end": 6},
        {
            "stream": "stderr",
            "line": 1,
            "offset": 0,
            "text": "Warning: line 7",
            "start": 9,
            "end": 15,
        },
    ]


def test_a_search_without_a_match_for_programs(
    printed: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("logs", "abc-def", "/build", "--search", "nothing of the kind", "--json")

    document = json.loads(capsys.readouterr().out)
    assert code == 1
    assert document == {"id": "abc-def", "path": "/build", "attempt": 1, "matches": []}


def test_logs_are_downloaded_into_files(
    printed: CountingPipelines, tmp_path: Path, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("logs", "abc-def", "/build", "--download", str(tmp_path / "build.log"))

    assert code == 0
    assert (tmp_path / "build.log").read_text().endswith("line 100\n")
    assert (tmp_path / "build.log.stderr").read_text() == "Warning: line 7\n"
    assert "build.log: 792 bytes" in capsys.readouterr().out


def test_download_creates_the_missing_directory(
    printed: CountingPipelines, tmp_path: Path, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("logs", "abc-def", "/build", "--download", str(tmp_path / "no" / "file"))

    assert code == 2
    assert "No such file or directory" in capsys.readouterr().err


class Telling(io.BytesIO):
    """Sets an event once something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, data: Any) -> int:
        count = super().write(data)
        self.written.set()
        return count


def test_both_streams_are_followed_at_the_same_time(
    fake: CountingPipelines, conducto: Conducto
) -> None:
    fake.change("abc-def", "/build", State.RUNNING)
    out, err = Telling(), Telling()

    def play() -> None:
        fake.write("abc-def", "/build", b"err", stream="stderr")
        assert err.written.wait(10)
        fake.write("abc-def", "/build", b"out")
        assert out.written.wait(10)
        fake.change("abc-def", "/build", State.DONE, exit_code=0)

    player = threading.Thread(target=play, daemon=True)
    player.start()
    texts = [io.TextIOWrapper(stream, write_through=True) for stream in (out, err)]
    with contextlib.redirect_stdout(texts[0]), contextlib.redirect_stderr(texts[1]):
        code = conducto("logs", "abc-def", "/build", "--follow")
    player.join(10)

    assert (code, out.getvalue(), err.getvalue()) == (0, b"out", b"err")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--follow", "--search", "x"], "--follow: not together with --search"),
        (["--regex"], "--regex and --ignore-case are for --search TEXT"),
        (
            ["--json"],
            "--json is for --search TEXT; output itself is bytes, printed as they are",
        ),
    ],
)
def test_options_of_logs_that_do_not_fit(
    words: list[str], message: str, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("logs", "abc-def", "/build", *words)

    assert (code, capsys.readouterr().err) == (2, f"conducto: {message}\n")


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (["--tail", "1"], "--tail"),
        (["--since", "10m"], "--since"),
        (["--timestamps"], "--timestamps"),
        (["--relative"], "--relative"),
        (["--attempt", "2"], "--attempt"),
        (["--stderr"], "--stderr"),
        (["--failed"], "--failed"),
        (["-i"], "--ignore-case"),
        (["/build"], "/build"),
    ],
)
def test_options_of_output_do_not_fit_the_log_of_a_build(
    words: list[str], refused: str, fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.set_image("abc-def", ImageRecord(name="app"), "step 1\n")

    code = conducto("logs", "abc-def", *words, "--image", "app")

    assert code == 2
    assert f"--image: not together with {refused};" in capsys.readouterr().err


# ---- images


def test_images_are_listed_with_their_state(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    done = ImageRecord(
        name="app", state=ImageState.DONE, reference="app:1", started=10.0, ended=14.0
    )
    fake.set_image("abc-def", done, "step 1\nstep 2\n")

    conducto("images", "abc-def")
    table = lines_of(capsys)
    conducto("images", "abc-def", "--log", "app")
    log = capsys.readouterr().out

    assert [line.split() for line in table] == [
        ["NAME", "STATE", "TIME", "REFERENCE"],
        ["app", "done", "4.0s", "app:1"],
    ]
    assert log == "step 1\nstep 2\n"


@pytest.mark.parametrize("words", [["images", "--log", "app"], ["logs", "--image", "app"]])
def test_a_build_is_followed_until_it_ends(
    fake: CountingPipelines, words: list[str], conducto: Conducto, capsys: Output
) -> None:
    fake.set_image("abc-def", ImageRecord(name="app", state=ImageState.BUILDING), "step 1\n")
    done = ImageRecord(name="app", state=ImageState.DONE)
    player = threading.Timer(0.0, fake.set_image, ("abc-def", done, "step 1\nstep 2\n"))
    player.start()

    code = conducto(words[0], "abc-def", *words[1:], "--follow")
    player.join()

    assert (code, capsys.readouterr().out) == (0, "step 1\nstep 2\n")


def test_an_unknown_image_names_the_nearest(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.set_image("abc-def", ImageRecord(name="web-app"), "")

    code = conducto("images", "abc-def", "--log", "webapp")

    assert (code, capsys.readouterr().err) == (
        2,
        "conducto: no image 'webapp' in this pipeline; did you mean 'web-app'?\n",
    )


# ---- the web app


@pytest.mark.parametrize(
    ("words", "page"), [(["show", "abc", "--app"], "/p/abc-def"), (["show", "--app"], "/")]
)
def test_show_app_prints_an_address_without_a_code_and_a_code(
    fake: CountingPipelines,
    capsys: Output,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    page: str,
) -> None:
    for screen in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(screen, raising=False)
    with running_server(fake) as server:
        code = main(words, lambda _profile: lambda: Client(HttpTransport(server.endpoint)))
        address, line = capsys.readouterr().out.splitlines()
        assert signs_in(server, line.rpartition(" ")[2])

    assert (code, address) == (0, server.endpoint.url + page)
    assert line.startswith("to sign a browser in, enter within 60 s: ")
    assert TOKEN not in address + line


def signs_in(server: RunningServer, code: str) -> bool:
    """Return whether a code that is typed into the page signs the browser in."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("POST", "/session", json.dumps({"code": code}).encode())
    status = connection.getresponse().status
    connection.close()
    return status == 204


class Opened(NamedTuple):
    """The page that a browser was given.

    Attributes:
        argument: Of its command line, which every user of a machine can read.
        printed: The page, as the launch describes it.
    """

    argument: str
    printed: dict[str, Any]


def opened_by_a_browser(server: RunningServer, folder: Path, **environment: str) -> Opened:
    browser = folder / "shown-by"
    browser.write_text('#!/bin/sh\nprintf %s "$1" > "$(dirname "$0")/opened"\n')
    browser.chmod(0o755)
    program = """
import json, sys
from dataclasses import asdict
from conducto_cli.target.web_page import open_page
from conducto_client import Client, Endpoint, HttpTransport
print(json.dumps(asdict(open_page(Client(HttpTransport(Endpoint(*sys.argv[1:]))), "abc-def"))))
"""
    # The standard library finds out about browsers once in a process: in one of its own.
    printed = subprocess.run(
        [sys.executable, "-c", program, server.endpoint.url, server.endpoint.token],
        env={
            **os.environ,
            "CONDUCTO_BASE_DIR": str(folder),
            "BROWSER": f"{browser} %s",
            **environment,
        },
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return Opened((folder / "opened").read_text(), json.loads(printed))


def test_a_browser_is_given_a_file_of_its_owner_and_no_code(
    fake: CountingPipelines, tmp_path: Path
) -> None:
    with running_server(fake) as server:
        argument, page = opened_by_a_browser(server, tmp_path)
        file = Path(unquote(urlsplit(argument).path))
        text = file.read_text()
        secret = re.findall('name="secret" value="(.+?)"', text)
        nonce = re.findall('name="nonce" value="(.+?)"', text)

        assert (urlsplit(argument).scheme, page["forwarded"]) == ("file", True)
        assert page["address"] == f"{server.endpoint.url}/p/abc-def"
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700
        assert f'action="{server.endpoint.url}/session"' in text
        assert not [each for each in (*secret, *nonce, page["code"]) if each in argument]
        assert page["code"] not in text
        assert (len(secret), len(nonce)) == (1, 1)
        assert not signs_in(server, secret[0])
        assert signs_in(server, page["code"])


def test_files_of_old_logins_are_removed(fake: CountingPipelines, tmp_path: Path) -> None:
    with running_server(fake) as server:
        first = Path(urlsplit(opened_by_a_browser(server, tmp_path).argument).path)
        os.utime(first, (0, 0))
        second = Path(urlsplit(opened_by_a_browser(server, tmp_path).argument).path)

    assert [first.exists(), second.exists()] == [False, True]


def test_a_browser_of_windows_is_given_the_address(fake: CountingPipelines, tmp_path: Path) -> None:
    with running_server(fake) as server:
        argument, page = opened_by_a_browser(server, tmp_path, WSL_DISTRO_NAME="Debian")

    assert (argument, page["forwarded"]) == (page["address"], False)


def test_a_file_leads_to_the_cloud_with_a_code_in_the_fragment(tmp_path: Path) -> None:
    login = Login(url="https://site.example/", code="cdo_</script>", seconds=60)

    text = forwarding_file(tmp_path / "browser", login, "/p/abc").read_text()

    assert "cdo_</script>" not in text
    assert 'location.replace("https://site.example/p/abc#code=cdo_' in text


def test_show_without_a_pipeline_refers_to_the_list(conducto: Conducto, capsys: Output) -> None:
    assert conducto("show") == 2
    assert "'conducto list' lists them" in capsys.readouterr().err


def test_path_in_place_of_the_id_is_reported(conducto: Conducto, capsys: Output) -> None:
    assert conducto("logs", "/tests/login") == 2
    assert capsys.readouterr().err == "conducto: '/tests/login' is a PATH; the ID comes before it\n"


def test_empty_list_shows_how_to_launch_a_pipeline(capsys: Output) -> None:
    with InProcessTransport(Service(MemoryPipelines())) as transport:
        code = main(["show", "abc"], lambda _profile: lambda: Client(transport))

    assert code == 2
    assert capsys.readouterr().err == (
        "conducto: no pipeline 'abc', for there is none yet; launch one: "
        "python pipeline.py --local --run\n"
    )


def test_ambiguous_id_lists_the_candidates(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.add("abc-xyz", small_tree(), record("abc-xyz"))

    assert conducto("show", "abc") == 2
    assert capsys.readouterr().err == (
        "conducto: 'abc' could be any of abc-def, abc-xyz; give more of the id\n"
    )


def test_a_group_has_no_attempts_of_its_own(conducto: Conducto, capsys: Output) -> None:
    assert conducto("diff", "abc-def", "/tests") == 2
    assert capsys.readouterr().err == (
        "conducto: /tests: is a Parallel, which runs no command of its own; name one of the Execs "
        "below it: conducto tree abc-def /tests\n"
    )


def test_closed_group_shows_the_duration_of_its_nodes() -> None:
    model = PipelineModel(summary())
    model.add([view("/", "Serial", started=10.0, ended=17.0, state="done")])

    root = model.root
    assert root is not None
    assert (root.started, root.ended) == (10.0, 17.0)


def test_failed_nodes_are_listed_as_json(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.finish("abc-def", "/build")
    fake.finish("abc-def", "/tests/login", Cause.EXIT_CODE)

    conducto("show", "abc-def", "--failed", "--json")

    (node,) = json.loads(capsys.readouterr().out)["nodes"]
    assert node["path"] == "/tests/login"
    assert [attempt["exit_code"] for attempt in node["attempts"]] == [1]


def test_unstarted_attempt_explains_missing_output(capsys: Output) -> None:
    given = {"path": "/a", "number": 2, "state": "error", "queued": 1.0}
    message = "image 'nope' cannot be pulled"
    for cause in ("image", "exit_code"):
        attempt = AttemptRecord.model_validate({**given, "cause": cause, "message": message})
        logs._tell_why_not_started("/a", attempt)

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"conducto: /a: attempt 2 did not start: {message}\n"
