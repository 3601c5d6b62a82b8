"""Moments at which an agent's death once lost something."""

import contextlib
import json
import os
import signal
import sqlite3
import time

import pytest

from conducto_client import Client, HttpTransport
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest
from conducto_core.run.model.states import Cause, State
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.launcher import ensure_agent, stop_agent
from conducto_local.agent.state_dir import StateDir
from support.local import local_runner, wait_for
from support.stand_ins import call, ensure
from support.trees import form, leaf, parallel, serial


class Machine:
    """A home and its agents."""

    def __init__(self, home):
        self.home = home

    @contextlib.contextmanager
    def client(self):
        with Client(HttpTransport(ensure_agent(self.home))) as client:
            yield client

    def kill_agent(self):
        pid = AgentFiles(self.home.agent).holder()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    machine = Machine(StateDir(tmp_path / "home", "moments"))
    yield machine
    stop_agent(machine.home)


def launch(client, root):
    request = LaunchRequest(tree=form(root), run=True, engine="process")
    return client.launch(request).pipeline.id


def states(client, pipeline):
    return {node.path: str(node.state) for node in client.tree(pipeline)}


def attempts(client, pipeline, path):
    return [(a.number, a.state, a.cause) for a in client.attempts(pipeline, path)]


async def test_a_launch_is_written_down_before_it_is_answered(tmp_path):
    async with local_runner(tmp_path / "home", "process") as local:
        await local.launch(form(serial(leaf("a", command="true"))))
        with contextlib.closing(sqlite3.connect(local.home.store)) as store:
            (record,) = store.execute("SELECT record FROM pipelines").fetchone()

    assert json.loads(record)["armed"]


def test_nodes_reset_right_after_the_end_run_after_a_crash(machine):
    with machine.client() as client:
        pipeline = launch(client, serial(leaf("a", command="sleep 0.3")))
        wait_for(lambda: client.get(pipeline).state is State.DONE)
        client.control(pipeline, ControlRequest(action=Action.RESET, paths=("/a",)))
        wait_for(lambda: states(client, pipeline)["/a"] == "running")
        machine.kill_agent()

    with machine.client() as client:
        again = attempts(client, pipeline, "/a")[1]
    assert again == (2, State.KILLED, Cause.WORKER_LOST)


def test_the_time_limit_of_a_group_holds_after_a_death(machine):
    group = serial(
        leaf("a", command="sleep 30", max_time=60),
        leaf("b", command="sleep 30", max_time=60),
        stop_on_error=False,
        max_time=1,
    )
    with machine.client() as client:
        pipeline = launch(client, group)
        wait_for(lambda: states(client, pipeline)["/a"] == "running")
        machine.kill_agent()

    with machine.client() as client:
        wait_for(lambda: client.get(pipeline).settled)
        last = attempts(client, pipeline, "/b")
    assert last == [(1, State.KILLED, Cause.TIMEOUT)]


def test_a_silent_command_does_not_outlive_its_agent_and_the_next_one(machine, tmp_path):
    with machine.client() as client:
        command = f"echo $$ > {tmp_path}/pid; sleep 30; true"
        pipeline = launch(client, parallel(leaf("a", command=command)))
        wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
        pid = int((tmp_path / "pid").read_text())
        machine.kill_agent()
    assert is_alive(pid)

    with machine.client() as client:
        wait_for(lambda: not is_alive(pid))

        assert attempts(client, pipeline, "/a") == [(1, State.KILLED, Cause.WORKER_LOST)]
    assert not list((tmp_path / "tmp").glob("conducto-process-*"))


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


RETRY_ONCE = [["error", ["retry", {"max_num_retries": 1}]]]


def test_a_group_is_not_tried_again_more_often_because_of_a_death(machine):
    command = 'test "$CONDUCTO_ATTEMPT" -gt 1 && sleep 30; exit 1'
    with machine.client() as client:
        pipeline = launch(client, serial(leaf("a", command=command), callbacks=RETRY_ONCE))
        wait_for(lambda: len(client.attempts(pipeline, "/a")) == 2)
        machine.kill_agent()

    with machine.client() as client:
        time.sleep(1)

        assert len(client.attempts(pipeline, "/a")) == 2
        assert client.get(pipeline).state is State.ERROR


RETRY_OFTEN = [["killed", ["retry", {"max_num_retries": 5}]]]
#: Does not end when it is asked to.
STUBBORN = "trap '' TERM; echo begun; while true; do sleep 0.1; done"


@pytest.mark.parametrize(
    ("action", "ends"),
    [
        (Action.KILL, [(1, State.KILLED, Cause.KILLED_BY_USER)]),
        (Action.RESET, [(1, State.KILLED, Cause.KILLED_BY_USER), (2, State.RUNNING, None)]),
    ],
)
def test_stop_action_outlives_the_agent(machine, action, ends):
    with machine.client() as client:
        root = serial(leaf("a", command=STUBBORN, callbacks=RETRY_OFTEN))
        pipeline = launch(client, root)
        wait_for(lambda: client.log(pipeline, "/a").size > 0)
        client.control(pipeline, ControlRequest(action=action, paths=("/a",)))
        machine.kill_agent()

    with machine.client() as client:
        wait_for(lambda: len(attempts(client, pipeline, "/a")) == len(ends))
        wait_for(lambda: attempts(client, pipeline, "/a") == ends)
        client.control(pipeline, ControlRequest(action=Action.KILL, paths=("/",)))


def test_reset_of_a_pending_node_is_stored_at_once(machine):
    with machine.client() as client:
        command = "echo begun; sleep 1; exit 1"
        callbacks = [["error", ["retry_with_double_mem", {"max_num_retries": 3}]]]
        pipeline = launch(client, serial(leaf("a", command=command, mem=1, callbacks=callbacks)))
        wait_for(lambda: client.log(pipeline, "/a").size > 0)
        client.control(pipeline, ControlRequest(action=Action.PAUSE))
        wait_for(lambda: states(client, pipeline)["/a"] == "pending")
        before = stored(machine, "/a")
        client.control(pipeline, ControlRequest(action=Action.RESET, paths=("/a",)))
        machine.kill_agent()

    assert before == (1, 2.0)
    assert stored(machine, "/a") == (0, None)


def stored(machine, path):
    with contextlib.closing(sqlite3.connect(machine.home.store)) as store:
        return store.execute("SELECT tries, mem FROM nodes WHERE path=?", (path,)).fetchone()


def test_no_name_of_a_container_comes_twice(machine):
    names = []
    for _ in range(2):
        names.append(name_of_a_container(machine))
        machine.kill_agent()

    assert len(set(names)) == 2


def name_of_a_container(machine):
    with machine.client() as client:
        pipeline = launch(client, serial(leaf("a", command="true")))
        wait_for(lambda: client.get(pipeline).settled)
        (attempt,) = client.attempts(pipeline, "/a")
        return attempt.container.replace(pipeline, "ID")


def test_a_launch_that_is_due_while_no_agent_runs_is_made_up_for(machine):
    with machine.client() as client:
        request = LaunchRequest(
            tree=form(serial(leaf("a", command="true"))),
            run_at=time.time() + 0.5,
            engine="process",
        )
        pipeline = client.launch(request).pipeline.id
        machine.kill_agent()
    time.sleep(0.5)

    with machine.client() as client:
        wait_for(lambda: client.get(pipeline).state is State.DONE)


@pytest.mark.docker
def test_pipelines_continue_after_a_power_failure(machine):
    """Engine and agent have stopped, and with them every container and network."""
    ensure(["busybox:latest"])
    root = serial(
        leaf("a", command="echo begun; sleep 60"),
        leaf("b", command="echo on"),
        cpu=0.2,
        mem=0.1,
    )
    with machine.client() as client:
        request = LaunchRequest(tree=form(root), run=True)
        pipeline = client.launch(request).pipeline.id
        wait_for(lambda: client.log(pipeline, "/a").size > 0, 60)
        machine.kill_agent()
    switch_off(pipeline)

    with machine.client() as client:
        wait_for(lambda: client.get(pipeline).settled, 60)
        lost = attempts(client, pipeline, "/a")
        kept = client.log(pipeline, "/a", attempt=1)
        client.control(pipeline, ControlRequest(action=Action.SKIP, paths=("/a",)))
        wait_for(lambda: client.get(pipeline).state is State.DONE, 60)

    assert lost == [(1, State.KILLED, Cause.WORKER_LOST)]
    assert kept.size == len(b"begun\n")


def switch_off(pipeline):
    query = {"filters": json.dumps({"label": [f"com.conducto.pipeline={pipeline}"]}), "all": "1"}
    for each in json.loads(call("GET", "/containers/json", dict(query))[1]):
        call("DELETE", f"/containers/{each['Id']}", {"force": "1", "v": "1"})
    for each in json.loads(call("GET", "/networks", dict(query))[1]):
        call("DELETE", f"/networks/{each['Id']}")
