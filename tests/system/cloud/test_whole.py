"""The whole cloud: client, API, Step Functions, workers in containers, logs."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

import conducto as co
from conducto_core.command.output import CLOSE, OPEN
from conducto_core.command.task_layout import USER
from conducto_core.run.model.requests import Action, Changes
from conducto_core.secrets.model import PutSecrets, SecretValue
from conducto_emulator.resources import LOG_GROUP
from support.cloud.emulated import Cloud, Run
from support.stand_ins import call

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

IMAGE = "busybox:latest"


def grow(root: Any, **children: Any) -> Any:
    """Give a node children: commands or nodes."""
    for name, child in children.items():
        root[name] = co.Exec(child) if isinstance(child, str) else child
    return root


def serial(**children: Any) -> Any:
    return grow(co.Serial(image=IMAGE, cpu=0.25, mem=0.25), **children)


def parallel(**children: Any) -> Any:
    return grow(co.Parallel(image=IMAGE, cpu=0.25, mem=0.25), **children)


def task_of(run: Run) -> str:
    """Return the one task that runs for a pipeline."""
    (task,) = run.cloud.emulator.board.list(started_by=run.id, stopped=False)
    return task.arn


def test_hello(me: Cloud) -> None:
    run = me.run(serial(hello="echo hello; echo err >&2"))

    assert run.states() == {"/": "done", "/hello": "done"}
    assert run.output("/hello") == b"hello\n"
    assert run.output("/hello", "stderr") == b"err\n"
    (attempt,) = run.attempts("/hello")
    assert attempt.exit_code == 0


@pytest.mark.parametrize("execs", [20, pytest.param(200, marks=pytest.mark.long)])
def test_many_execs_run_on_a_handful_of_workers(me: Cloud, execs: int) -> None:
    commands = {f"e{number:03}": f"echo {number}" for number in range(execs)}

    run = me.launch(parallel(**commands)).settled(280)

    assert set(run.states().values()) == {"done"}
    assert run.output("/e017") == b"17\n"
    workers = {run.attempts(f"/{name}")[0].container for name in list(commands)[::10]}
    assert len(workers) <= 6


def test_error_stops_the_run_and_a_reset_continues_it(me: Cloud) -> None:
    flaky = "test -e /conducto/data/pipeline/again"
    run = me.run(serial(mark="true", flaky=flaky, after="echo after"))
    before = run.states()
    run.control(Action.MODIFY, "/flaky", changes=Changes(command="true"))

    run.control(Action.RESET, "/flaky")
    run.until(lambda: run.state("/after") == "done", "after was done").settled()

    assert (before["/flaky"], before["/after"], before["/"]) == ("error", "pending", "error")
    assert set(run.states().values()) == {"done"}
    assert len(run.attempts("/mark")) == 1


def test_skipped_nodes_do_not_run(me: Cloud) -> None:
    run = me.launch(serial(a="true", b="false", c="echo c"), run=False)
    run.control(Action.SKIP, "/b")

    run.control(Action.RUN)
    run.settled()

    assert run.attempts("/b") == ()
    assert run.output("/c") == b"c\n"


def test_a_pending_node_runs_as_it_is_now(me: Cloud) -> None:
    run = me.launch(
        serial(a="until test -e /conducto/data/pipeline/go; do sleep 0.1; done", b="echo old")
    )
    run.until(lambda: run.state("/a") == "running")

    run.control(Action.MODIFY, "/b", changes=Changes(command="echo new"))
    run.control(Action.KILL, "/a")
    run.settled()
    run.control(Action.MODIFY, "/a", changes=Changes(command="true"))
    run.control(Action.RESET, "/a")
    run.until(lambda: run.state("/b") == "done").settled()

    assert run.output("/b") == b"new\n"


def test_a_kill_ends_the_command(me: Cloud) -> None:
    run = me.launch(serial(a="echo up; sleep 300", b="true"))
    run.until(lambda: run.attempts("/a") and run.output("/a") == b"up\n")

    run.control(Action.KILL, "/a")
    run.settled(60)

    assert (run.state("/a"), run.state("/b")) == ("killed", "pending")
    assert str(run.attempts("/a")[0].cause) == "killed_by_user"


def printed(root: Any) -> str:
    """Return a command that prints a tree as a Lazy does."""
    return f"echo before; echo '{OPEN.decode()}{root.serialize()}{CLOSE.decode()}'"


def test_a_lazy_in_a_lazy(me: Cloud) -> None:
    inner = serial(leaf="echo leaf")
    middle = grow(co.Serial(), inner=co.Lazy(printed(inner)), beside="echo beside")

    run = me.run(serial(lazy=co.Lazy(printed(middle)), last="echo last"))

    states = run.states()
    assert set(states.values()) == {"done"}, states
    (leaf,) = [path for path in states if path.endswith("/leaf")]
    assert run.output(leaf) == b"leaf\n"
    assert run.output("/lazy/Generate") == b"before\n\n"


def test_a_new_context_keeps_its_container(me: Cloud) -> None:
    own = grow(
        co.Serial(container_reuse_context=co.ContainerReuseContext.NEW),
        write="echo mine > /root/state",
        read="cat /root/state",
    )

    run = me.run(serial(own=own, other="ls /root"))

    assert run.output("/own/read") == b"mine\n"
    assert run.output("/other") == b""


def test_secrets_are_there_and_hidden(me: Cloud) -> None:
    secret = SecretValue(key="TOKEN", scope="org", value="s3cret-value")
    me.client.put_secrets(PutSecrets(secrets=(secret,)))

    run = me.run(serial(a='echo "it is $TOKEN"; echo "$TOKEN" | wc -c'))

    assert run.output("/a").split() == [b"it", b"is", b"********", b"13"]


def test_data_is_shared_between_nodes_and_with_a_second_pipeline(me: Cloud) -> None:
    data = "/conducto/data"
    first = me.run(
        serial(
            write=f"echo p > {data}/pipeline/x; echo u > {data}/user/x",
            read=grow(
                co.Serial(container_reuse_context=co.ContainerReuseContext.NEW),
                it=f"cat {data}/pipeline/x",
            ),
        )
    )
    second = me.run(serial(read=f"cat {data}/user/x; ls {data}/pipeline"))

    assert first.output("/read/it") == b"p\n"
    assert second.output("/read") == b"u\n"


def test_command_whose_worker_is_killed_is_rerun_with_retry_lost(me: Cloud) -> None:
    go_on = (
        "test -e /conducto/data/pipeline/seen || { touch /conducto/data/pipeline/seen; sleep 300; }"
    )
    run = me.launch(serial(a=co.Exec(go_on, retry_lost=1), b="echo b"))
    run.until(lambda: run.state("/a") == "running")
    container = me.emulator.containers.container_of(task_of(run), USER)

    run.until(lambda: left_a_file(me, run))
    call("POST", f"/containers/{container}/kill")
    run.settled(120)

    first, second = run.attempts("/a")
    assert str(first.cause) == "worker_lost"
    assert first.message
    assert (str(second.state), run.output("/b")) == ("done", b"b\n")


def test_output_of_worker_containers_is_in_the_log_group(me: Cloud) -> None:
    run = me.run(serial(a="echo for the command's own log"))
    task = task_of(run)
    name = task.rpartition("/")[2]

    me.emulator.board.stop(task, "the test wants its log")
    logs = me.aws("logs")

    def streams() -> list[str]:
        found = logs.describe_log_streams(logGroupName=LOG_GROUP)["logStreams"]
        return [each["logStreamName"] for each in found if name in each["logStreamName"]]

    run.until(lambda: f"worker/agent/{name}" in streams(), "its log came")
    events = logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=f"worker/agent/{name}")
    lines = [json.loads(event["message"]) for event in events["events"]]
    ended = next(line for line in lines if line["message"] == "a command ended")
    assert (ended["pipeline"], ended["path"], ended["attempt"]) == (run.id, "/a", 1)
    assert ended["run_id"].startswith(run.id)
    assert {line["worker"] for line in lines} == {run.attempts("/a")[0].container}
    assert "for the command" not in json.dumps(lines)


def left_a_file(me: Cloud, run: Run) -> bool:
    return any(me.emulator.containers.folder.glob(f"efs/*/**/{run.id}/**/seen"))


def test_an_execution_that_is_stopped_from_outside_is_replaced(me: Cloud) -> None:
    run = me.launch(serial(a="sleep 3; echo a", b="echo b"))
    run.until(lambda: run.state("/a") == "running")
    states = boto3.client("stepfunctions")
    executions = [
        execution["executionArn"]
        for machine in states.list_state_machines()["stateMachines"]
        for execution in states.list_executions(
            stateMachineArn=machine["stateMachineArn"], statusFilter="RUNNING"
        )["executions"]
        if execution["name"].startswith(run.id)
    ]

    for arn in executions:
        states.stop_execution(executionArn=arn)
    run.settled(120)

    assert executions
    assert set(run.states().values()) == {"done"}, run.states()
    assert len(run.attempts("/a")) == 1


@pytest.mark.long
def test_api_may_be_unreachable_for_thirty_seconds(me: Cloud) -> None:
    import time

    run = me.launch(serial(a="for i in 1 2 3 4 5 6; do echo $i; sleep 2; done", b="echo b"))
    run.until(lambda: run.state("/a") == "running")

    me.emulator.gateway.away = True
    time.sleep(30)
    me.emulator.gateway.away = False
    run.settled(120)

    assert run.output("/a") == b"1\n2\n3\n4\n5\n6\n"
    assert len(run.attempts("/a")) == 1
    assert run.output("/b") == b"b\n"


def test_free_plan_has_two_workers_and_reports_the_limit(me: Cloud) -> None:
    me.admin(kind="set_plan", max_workers=2)
    commands = {
        f"e{i}": "until test -e /conducto/data/user/go; do sleep 0.2; done" for i in range(4)
    }
    run = me.launch(parallel(**commands))
    run.until(lambda: list(run.states().values()).count("running") >= 3)
    waiting = [path for path, state in run.states().items() if state == "queued"]
    reason = run.node(waiting[0]).waits_for

    me.admin(kind="set_plan", max_workers=6)
    run.until(lambda: list(run.states().values()).count("running") == 5, "all four ran")
    run.control(Action.KILL, "/")
    run.settled()

    assert len(waiting) == 2
    assert reason is not None
    assert "2 workers" in reason


def test_sleep_stops_workers_and_wake_continues(me: Cloud) -> None:
    run = me.launch(serial(a="echo a", b="sleep 300", c="echo c"))
    run.until(lambda: run.state("/b") == "running")

    run.control(Action.SLEEP)
    run.until(lambda: not me.emulator.board.list(started_by=run.id, stopped=False), "workers left")
    run.control(Action.WAKE)
    run.control(Action.MODIFY, "/b", changes=Changes(command="echo b"))
    run.control(Action.RESET, "/b")
    run.control(Action.RUN)
    run.until(lambda: run.state("/c") == "done", "it went on").settled()

    assert len(run.attempts("/a")) == 1
    assert run.output("/c") == b"c\n"


def test_a_log_is_followed_while_it_is_written(me: Cloud) -> None:
    run = me.launch(serial(a="echo one; until test -e /tmp/go; do sleep 0.1; done"))

    run.until(lambda: run.attempts("/a") and run.output("/a") == b"one\n", "the first line came")

    assert run.state("/a") == "running"
    run.control(Action.KILL, "/a")
    run.settled()
