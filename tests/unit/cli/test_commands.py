import json
from collections.abc import Callable

import pytest

from conducto.model.api import Action
from conducto.model.states import Cause, State
from unit.cli.trees import CountingPipelines, record, view

Conducto = Callable[..., int]
Output = pytest.CaptureFixture[str]


def test_list_is_a_table(conducto: Conducto, capsys: Output) -> None:
    code = conducto("list")

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[0].split() == ["ID", "STATE", "DONE", "CREATED", "TITLE"]
    assert lines[1].split()[:3] == ["abc-def", "pending", "0/3"]


def test_list_json_has_the_stable_keys(conducto: Conducto, capsys: Output) -> None:
    conducto("list", "--json")

    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["id"] == "abc-def"
    assert {"id", "title", "state", "counts", "settled", "created"} <= set(entry)


def test_show_json_has_the_stable_shape(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.finish("abc-def", "/build", Cause.EXIT_CODE)

    code = conducto("show", "abc", "--json")

    document = json.loads(capsys.readouterr().out)
    (attempt,) = document["nodes"][1].pop("attempts")
    assert code == 0
    assert set(document) == {"id", "title", "state", "counts", "nodes"}
    assert document["counts"] == {
        "pending": 2,
        "queued": 0,
        "running": 0,
        "done": 0,
        "error": 1,
        "killed": 0,
        "skipped": 0,
    }
    assert [node["path"] for node in document["nodes"]] == [
        "/",
        "/build",
        "/tests",
        "/tests/login",
        "/tests/logout",
    ]
    assert document["nodes"][1] == {
        "path": "/build",
        "type": "Exec",
        "state": "error",
        "skipped": False,
        "cause": "exit_code",
    }
    assert set(attempt) == {
        "number",
        "state",
        "cause",
        "exit_code",
        "command",
        "container",
        "queued",
        "started",
        "ended",
    }
    assert (attempt["number"], attempt["exit_code"], attempt["command"]) == (1, 1, "make")


def test_show_without_a_terminal_prints_the_tree_with_states(
    conducto: Conducto, capsys: Output
) -> None:
    code = conducto("show", "abc-def")

    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert lines[-4:] == [
        "pending   ○ build  pending",
        "pending   ▾ tests  ✔ 0/2  pending",
        "pending     ○ login  pending",
        "pending     ○ logout  pending",
    ]


def test_show_failed_lists_what_failed(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.finish("abc-def", "/tests/login", Cause.EXIT_CODE)

    conducto("show", "abc-def", "--failed")

    assert capsys.readouterr().out == "/tests/login  exit 1  pipeline.py:41\n"


@pytest.mark.parametrize("verb", ["show", "logs", "run", "kill"])
def test_an_unknown_id_names_the_nearest(verb: str, conducto: Conducto, capsys: Output) -> None:
    code = conducto(verb, "abc-dfe", *(["/build"] if verb == "logs" else []))

    assert code == 2
    assert "did you mean 'abc-def'?" in capsys.readouterr().err


def test_logs_prints_the_raw_bytes_of_one_stream(
    fake: CountingPipelines, conducto: Conducto, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    fake.change("abc-def", "/build", State.RUNNING)
    fake.write("abc-def", "/build", b"\xff\x00out")
    fake.write("abc-def", "/build", b"err", stream="stderr")

    code = conducto("logs", "abc-def", "/build", "--stdout")

    captured = capfdbinary.readouterr()
    assert (code, captured.out, captured.err) == (0, b"\xff\x00out", b"")


def test_logs_sends_each_stream_to_its_own(
    fake: CountingPipelines, conducto: Conducto, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    fake.change("abc-def", "/build", State.RUNNING)
    fake.write("abc-def", "/build", b"out")
    fake.write("abc-def", "/build", b"err", stream="stderr")

    conducto("logs", "abc-def", "build")

    captured = capfdbinary.readouterr()
    assert (captured.out, captured.err) == (b"out", b"err")


def test_logs_of_an_earlier_attempt(
    fake: CountingPipelines, conducto: Conducto, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    fake.finish("abc-def", "/build", Cause.EXIT_CODE)
    fake.write("abc-def", "/build", b"first", attempt=1)
    fake.finish("abc-def", "/build")
    fake.write("abc-def", "/build", b"second", attempt=2)

    conducto("logs", "abc-def", "/build", "--attempt", "1")

    assert capfdbinary.readouterr().out == b"first"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["/tests/logn"], "did you mean '/tests/login'?"),
        (["/tests/*"], "/tests/*: matches 2 nodes; name one of them"),
        (["/build"], "/build: has not run, so it printed nothing"),
        ([], "say which node"),
    ],
)
def test_logs_of_nothing_says_what_to_do(
    words: list[str], message: str, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("logs", "abc-def", *words)

    assert code == 2
    assert message in capsys.readouterr().err


def test_logs_of_an_attempt_that_never_was(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.finish("abc-def", "/build")

    code = conducto("logs", "abc-def", "/build", "--attempt", "7")

    assert code == 2
    assert "/build: no attempt 7; there are: 1" in capsys.readouterr().err


def test_reset_expands_wildcards(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("reset", "abc", "/tests/*")

    (_, order) = fake.orders[0]
    assert code == 0
    assert (order.action, order.paths) == (Action.RESET, ("/tests/login", "/tests/logout"))
    assert capsys.readouterr().out.startswith("reset 2 Execs\n")


def test_reset_failed_takes_the_execs_that_failed(
    fake: CountingPipelines, conducto: Conducto
) -> None:
    fake.finish("abc-def", "/build")
    fake.finish("abc-def", "/tests/login", Cause.EXIT_CODE)
    fake.finish("abc-def", "/tests/logout", Cause.TIMEOUT)

    conducto("reset", "abc-def", "--failed")

    assert fake.orders[0][1].paths == ("/tests/login", "/tests/logout")


def test_reset_failed_without_a_failure_orders_nothing(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("reset", "abc-def", "--failed")

    assert (code, fake.orders) == (0, [])
    assert capsys.readouterr().out == "nothing failed\n"


def test_reset_of_nothing_is_refused(fake: CountingPipelines, conducto: Conducto) -> None:
    code = conducto("reset", "abc-def")

    assert (code, fake.orders) == (2, [])


def test_kill_without_a_path_kills_everything(fake: CountingPipelines, conducto: Conducto) -> None:
    conducto("kill", "abc-def")

    assert fake.orders[0][1].paths == ("/",)


def test_an_order_for_an_unknown_node_names_the_nearest(conducto: Conducto, capsys: Output) -> None:
    code = conducto("skip", "abc-def", "/biuld")

    assert code == 2
    assert capsys.readouterr().err == ("conducto: /biuld: no such node; did you mean '/build'?\n")


def test_run_says_how_to_watch(fake: CountingPipelines, conducto: Conducto, capsys: Output) -> None:
    fake.add("new", [view("/", "Serial"), view("/a")], record("new", armed=False))

    code = conducto("run", "new")

    assert code == 0
    assert fake.orders[0][1].action is Action.RUN
    assert capsys.readouterr().out == "running; watch it: conducto show new\n"


@pytest.mark.parametrize(
    "words",
    [
        ["bogus"],
        ["show"],
        ["logs", "abc", "/a", "--attempt", "0"],
        ["logs", "abc", "/a", "--stdout", "--stderr"],
        ["skip", "abc"],
        ["agent", "restart"],
    ],
)
def test_wrong_usage_is_two(words: list[str], conducto: Conducto, capsys: Output) -> None:
    code = conducto(*words)

    assert code == 2
    assert "usage: conducto" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["list", "show", "logs", "run", "reset", "agent"])
def test_each_verb_has_help(verb: str, conducto: Conducto, capsys: Output) -> None:
    code = conducto(verb, "--help")

    assert code == 0
    assert f"usage: conducto {verb}" in capsys.readouterr().out
