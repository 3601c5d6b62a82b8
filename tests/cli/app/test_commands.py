import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from conducto_cli.app.exit import MEANINGS
from conducto_cli.app.parser import build_parser
from conducto_cli.app.registry import COMMANDS, RunSignature
from conducto_cli.main import main
from conducto_client import Client
from conducto_core.run.model.records import ParentAttempt, PipelineRecord
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause, State
from support.cli_trees import CountingPipelines, record, view

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


def test_list_names_the_parent_as_other_commands_do(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    above = ParentAttempt(pipeline="abc-def", path="/build", attempt=1, depth=1)
    child = PipelineRecord(id="ghi-jkl", title="child", parent=above)
    fake.add("ghi-jkl", [view("/", "Serial")], child)

    assert [conducto("list", "--parent", one) for one in ("abc", "xyz-xyz")] == [0, 0]

    printed = capsys.readouterr().out
    assert "ghi-jkl" in printed
    assert "abc-def" not in printed
    assert "no such pipelines" in printed


def test_show_json_has_the_stable_shape(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.finish("abc-def", "/build", Cause.EXIT_CODE)

    code = conducto("show", "abc", "--json")

    document = json.loads(capsys.readouterr().out)
    (attempt,) = document["nodes"][1].pop("attempts")
    assert code == 0
    assert set(document) == {"id", "title", "state", "counts", "parent", "nodes"}
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
        "command": "make",
        "file": "/home/ada/pipeline.py",
        "line": 41,
        "waits_for": None,
        "wait_kind": None,
        "wait_since": None,
        "wait_holder": None,
        "wait_remedy": None,
        "wait_until": None,
        "counts": None,
    }
    assert document["nodes"][2]["counts"] == {**document["counts"], "error": 0}
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
        "pending   ○ build",
        "pending   ▾ tests  ✔ 0/2",
        "pending     ○ login",
        "pending     ○ logout",
    ]


def test_show_failed_lists_failed_nodes(
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
    ],
)
def test_logs_without_output_suggest_the_next_step(
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

    (_, order) = fake.actions[0]
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

    assert fake.actions[0][1].paths == ("/tests/login", "/tests/logout")


def test_server_selects_failed_nodes_so_requests_stay_small(
    fake: CountingPipelines, conducto: Conducto
) -> None:
    fake.finish("abc-def", "/build", Cause.EXIT_CODE)

    conducto("reset", "abc-def", "--failed")

    (asked,) = fake.asked
    assert (asked.failed, asked.paths) == (True, ())


def test_reset_failed_without_failures_requests_nothing(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("reset", "abc-def", "--failed")

    assert (code, fake.actions) == (0, [])
    assert capsys.readouterr().out == "nothing failed\n"


@pytest.mark.parametrize(("armed", "hinted"), [(False, True), (True, False)])
def test_reset_of_paused_pipeline_says_how_to_continue(
    fake: CountingPipelines, conducto: Conducto, capsys: Output, *, armed: bool, hinted: bool
) -> None:
    fake.add("new", [view("/", "Serial"), view("/a")], record("new", armed=armed))
    fake.finish("new", "/a")

    conducto("reset", "new", "/a")

    out = capsys.readouterr().out
    assert out.startswith("reset 1 Exec\n  /a\n")
    assert ("nothing starts while it is paused; continue: conducto run new" in out) is hinted


def test_reset_of_nothing_is_refused(fake: CountingPipelines, conducto: Conducto) -> None:
    code = conducto("reset", "abc-def")

    assert (code, fake.actions) == (2, [])


def test_kill_without_a_path_kills_everything(fake: CountingPipelines, conducto: Conducto) -> None:
    conducto("kill", "abc-def")

    assert fake.actions[0][1].paths == ("/",)


def test_action_on_an_unknown_node_names_the_nearest(conducto: Conducto, capsys: Output) -> None:
    code = conducto("skip", "abc-def", "/biuld")

    assert code == 2
    assert capsys.readouterr().err == ("conducto: /biuld: no such node; did you mean '/build'?\n")


def test_run_says_how_to_watch(fake: CountingPipelines, conducto: Conducto, capsys: Output) -> None:
    fake.add("new", [view("/", "Serial"), view("/a")], record("new", armed=False))

    code = conducto("run", "new")

    assert code == 0
    assert fake.actions[0][1].action is Action.RUN
    assert capsys.readouterr().out == "running; watch it: conducto show new\n"


@pytest.mark.parametrize(
    "words",
    [
        ["bogus"],
        ["tree"],
        ["logs", "abc", "/a", "--attempt", "0"],
        ["logs", "abc", "/a", "--stdout", "--stderr"],
        ["agent", "restart"],
        ["logs", "abc", "/a", "--lines", "3:1"],
        ["diff", "abc"],
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


def test_actions_print_json(fake: CountingPipelines, conducto: Conducto, capsys: Output) -> None:
    fake.finish("abc-def", "/build", Cause.EXIT_CODE)

    conducto("reset", "abc-def", "/build", "--dry-run", "--json")
    would = json.loads(capsys.readouterr().out)
    conducto("cancel", "abc", "--json")
    canceled = json.loads(capsys.readouterr().out)

    assert (would["affected"], would["paths"], would["preview"]) == (1, ["/build"], True)
    assert (canceled["id"], canceled["action"], canceled["affected"]) == ("abc-def", "cancel", 0)


def test_failed_without_failures_prints_empty_json(conducto: Conducto, capsys: Output) -> None:
    code = conducto("skip", "abc-def", "--failed", "--json")

    assert code == 0
    assert json.loads(capsys.readouterr().out)["affected"] == 0


@pytest.mark.parametrize("verb", ["skip", "rebuild", "modify"])
def test_every_action_accepts_failed(
    verb: str, fake: CountingPipelines, conducto: Conducto
) -> None:
    fake.finish("abc-def", "/tests/login", Cause.EXIT_CODE)
    change = ["--cpu", "2"] if verb == "modify" else []

    conducto(verb, "abc-def", "--failed", *change)

    assert fake.actions[0][1].paths == ("/tests/login",)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--command", "yes"], "command", "yes"),
        (["--command", "no"], "command", "no"),
        (["--cpu", "0.5"], "cpu", 0.5),
        (["--mem", "4"], "mem", 4.0),
        (["--gpu", "1"], "gpu", 1),
        (["--image", "app"], "image", "app"),
        (["--max-time", "90"], "max_time", 90.0),
        (["--max-time", "1h30m"], "max_time", "1h30m"),
        (["--max-time", ""], "max_time", None),
        (["--max-concurrent", "3"], "max_concurrent", 3),
        (["--stop-on-error", "no"], "stop_on_error", False),
        (["--suppress-errors", "yes"], "suppress_errors", True),
        (["--requires-docker", ""], "requires_docker", None),
        (["--docker-run-args", "--env 'A=b c'"], "docker_run_args", ("--env", "A=b c")),
        (["--docker-run-args", ""], "docker_run_args", None),
        (["--container-reuse-context", "new"], "container_reuse_context", "new"),
        (["--doc", "yes"], "doc", "yes"),
        (["--env", "A=b=c", "--env", "D="], "env", {"A": "b=c", "D": ""}),
        (["--unset-env", "A"], "env", {"A": None}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_modify_changes_one_parameter(
    fake: CountingPipelines, words: list[str], name: str, value: object, conducto: Conducto
) -> None:
    code = conducto("modify", "abc-def", "/build", *words)

    changes = fake.actions[0][1].changes
    assert code == 0
    assert changes is not None
    assert changes.model_dump(exclude_unset=True) == {name: value}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say what to change"),
        (["--cpu", "many"], "--cpu: must be a number, got 'many'"),
        (["--max-concurrent", "1.5"], "--max-concurrent: must be a whole number, got '1.5'"),
        (["--container-reuse-context", "old"], "invalid choice: 'old' (choose from new, global"),
        (["--env", "A"], "--env: write NAME=VALUE, got 'A'"),
        (["--docker-run-args", "'open"], "--docker-run-args: No closing quotation"),
    ],
)
def test_invalid_change_is_rejected(
    words: list[str], message: str, fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("modify", "abc-def", "/build", *words)

    assert (code, fake.actions) == (2, [])
    assert message in capsys.readouterr().err


def test_paths_and_failed_do_not_go_together(conducto: Conducto, capsys: Output) -> None:
    code = conducto("reset", "abc-def", "/build", "--failed")

    assert (code, capsys.readouterr().err) == (
        2,
        "conducto: give either paths or --failed, not both\n",
    )


@pytest.mark.parametrize("other", ["--json", "--dry-run"])
def test_watch_prints_readable_progress(
    other: str, fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("reset", "abc-def", "/build", "--watch", other)

    said = capsys.readouterr()
    assert (code, said.out, fake.actions) == (2, "", [])
    assert said.err == f"conducto: give either --watch or {other}, not both\n"


@pytest.mark.parametrize("verb", ["skip", "unskip", "rebuild", "modify", "reset"])
def test_action_without_a_node_is_rejected_before_an_agent_is_started(verb: str) -> None:
    def no_agent() -> Client:
        raise AssertionError("it was asked for")

    assert main([verb, "abc"], lambda _profile: no_agent) == 2


@pytest.mark.parametrize(
    "name", [name for name, command in COMMANDS.items() if command.call is not RunSignature.ENTRY]
)
def test_module_of_a_command_has_its_arguments_and_its_behaviour(name: str) -> None:
    module = COMMANDS[name].load()

    assert callable(module.add_arguments)
    assert callable(module.run)


@pytest.mark.parametrize("words", ["--help", "list --help", "reset --help", "secrets set --help"])
def test_help_does_not_import_the_client(words: str) -> None:
    code = (
        "import sys; from conducto_cli.main import main; main(sys.argv[1:]); "
        "sys.exit('pydantic' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()], capture_output=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, b"")


def test_launch_imports_no_models_of_features_that_it_does_not_use() -> None:
    code = (
        "import sys, conducto_cli.launch.local, conducto_cli.view.session; "
        "print(*(f'conducto_core.{name}' in sys.modules for name in sys.argv[1:]))"
    )
    unused = ("people.model", "workers.model", "schedules.model", "limits.rules")

    done = subprocess.run(
        [sys.executable, "-c", code, *unused], capture_output=True, check=True, text=True
    )

    assert done.stdout.split() == ["False"] * len(unused)


def test_every_exit_code_is_in_the_help(conducto: Conducto, capsys: Output) -> None:
    conducto("--help")

    brief = capsys.readouterr().out.partition("exit codes: ")[2]
    assert [int(code) for code in re.findall(r"\b\d+\b", brief)] == list(MEANINGS)


def test_help_lists_every_command_once_by_group() -> None:
    parser = build_parser()
    (verbs,) = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    listed = list(verbs.choices)

    assert listed == list(COMMANDS)
    text = parser.format_help()
    assert [text.count(f"\n    {name} ") + text.count(f"\n    {name}\n") for name in listed] == [
        1
    ] * len(listed)


def test_help_has_one_heading_for_each_group() -> None:
    groups = [command.group for command in COMMANDS.values()]
    lines = build_parser().format_help().splitlines()

    assert [lines.count(f"  {group}:") for group in set(groups)] == [1] * len(set(groups))


def test_rerun_resets_nodes_and_runs_the_pipeline(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.finish("abc-def", "/tests/login", Cause.EXIT_CODE)

    code = conducto("rerun", "abc", "/tests/login")

    assert [(r.action, r.paths) for _, r in fake.actions] == [
        (Action.RERUN, ("/tests/login",)),
    ]
    assert (code, capsys.readouterr().out.splitlines()) == (
        0,
        [
            "reset 1 Exec",
            "  /tests/login",
            "running; watch it: conducto show abc-def",
        ],
    )


def test_rerun_of_failed_nodes_names_them(fake: CountingPipelines, conducto: Conducto) -> None:
    fake.finish("abc-def", "/build")
    fake.finish("abc-def", "/tests/login", Cause.EXIT_CODE)

    assert conducto("rerun", "abc", "--failed") == 0

    assert [r.action for _, r in fake.actions] == [Action.RERUN]
    assert fake.actions[0][1].paths == ("/tests/login",)


def test_rerun_of_failed_nodes_runs_nothing_if_none_failed(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    assert conducto("rerun", "abc", "--failed") == 0

    assert [each.action for each in fake.asked] == [Action.RERUN]
    assert capsys.readouterr().out == "nothing failed\n"


def test_rerun_dry_run_changes_nothing(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.finish("abc-def", "/build")

    assert conducto("rerun", "abc", "/", "--dry-run") == 0

    assert fake.actions == []
    assert capsys.readouterr().out == "would reset 1 Exec\n  /build\nwould run the pipeline\n"


def test_rerun_json_is_one_document_with_all_notes(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.finish("abc-def", "/build", Cause.EXIT_CODE)
    fake.idle = IDLE

    assert conducto("rerun", "abc", "/build", "--json") == 1

    document = json.loads(capsys.readouterr().out)
    assert (document["action"], document["affected"], document["notes"]) == ("rerun", 1, [IDLE])


def test_rerun_without_a_node_is_rejected(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    assert (conducto("rerun", "abc"), fake.asked) == (2, [])
    assert "say which nodes: conducto rerun ID PATH ..., or --failed" in capsys.readouterr().err


IDLE = "nothing to run: it is done; rerun all: conducto rerun abc-def /"


@pytest.mark.parametrize("more", [(), ("--json",)])
@pytest.mark.parametrize("cause", [None, Cause.EXIT_CODE])
def test_run_with_nothing_to_run_says_why_and_that_a_failure_blocks_it(
    more: tuple[str, ...], cause: Cause | None, fake: CountingPipelines,
    conducto: Conducto, capsys: Output,
) -> None:  # fmt: skip
    for path in ("/build", "/tests/login", "/tests/logout"):
        fake.finish("abc-def", path, cause)
    fake.idle = IDLE

    assert conducto("run", "abc", *more) == (cause is not None)

    printed = capsys.readouterr().out
    assert (json.loads(printed)["notes"] if more else [printed.strip()]) == [IDLE]
