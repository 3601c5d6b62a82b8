"""The cloud machine when workers are lost, and when an Exec needs another size.

Its other behaviour is tested by tests/conformance.
"""

from __future__ import annotations

from conducto_core.asl.rules.machine import (
    CloudMachine,
    CompleteTask,
    StartExecution,
    StopExecution,
)
from conducto_core.asl.rules.naming import MAX_OFFERS, WORKER_LOST, node_id
from conducto_core.run.model import events as ev
from conducto_core.run.model.states import Cause
from conducto_core.run.rules.tree_state import TreeState
from support.trees import leaf, pipeline, serial

RETRY_LARGER = [["error", ["handle_memory_errors", {"mem_limits": [8]}]]]
RETRY = [["error", ["retry", {"max_num_retries": 1}]]]


def _course(**params: object) -> CloudMachine:
    cloud_machine = CloudMachine("p", TreeState(pipeline(serial(leaf("a", **params), leaf("b")))))
    cloud_machine.apply(ev.Armed())
    return cloud_machine


def _run(cloud_machine: CloudMachine, token: str = "t1") -> None:
    cloud_machine.claim(token, cloud_machine.run, node_id("/a"), waits=False)
    cloud_machine.start("/a")


def test_a_retry_of_the_same_size_stays_with_its_task() -> None:
    cloud_machine = _course(callbacks=RETRY)
    _run(cloud_machine)
    assert cloud_machine.finish("/a", Cause.EXIT_CODE, mem=2).machine_commands == []
    assert cloud_machine.holds("/a", "t1")


def test_retry_with_more_memory_is_planned_again() -> None:
    cloud_machine = _course(callbacks=RETRY_LARGER)
    _run(cloud_machine)
    halt, begin = cloud_machine.finish("/a", Cause.OUT_OF_MEMORY, mem=2).machine_commands
    assert isinstance(halt, StopExecution)
    assert isinstance(begin, StartExecution)
    assert begin.rest is not None
    assert next(begin.rest.execs()).placement.mem == 8
    _run(cloud_machine, "t2")
    assert cloud_machine.finish("/a", None, mem=8).machine_commands == [CompleteTask("t2")]


def test_lost_task_is_offered_again_and_the_run_continues() -> None:
    cloud_machine = _course(retry_lost=1)
    _run(cloud_machine)
    assert cloud_machine.finish("/a", Cause.WORKER_LOST).machine_commands == []
    assert cloud_machine.lose(["t1"]).machine_commands == [CompleteTask("t1", WORKER_LOST)]
    assert cloud_machine.run_state.number == 1
    _run(cloud_machine, "t2")
    assert cloud_machine.finish("/a", None).machine_commands == [CompleteTask("t2")]


def test_task_that_step_functions_does_not_offer_again_is_replanned() -> None:
    cloud_machine = _course()
    for number in range(1, MAX_OFFERS + 1):
        cloud_machine.claim(f"t{number}", cloud_machine.run, node_id("/a"), waits=False)
        machine_commands = cloud_machine.lose([f"t{number}"]).machine_commands
    assert [type(apply) for apply in machine_commands] == [
        CompleteTask,
        StopExecution,
        StartExecution,
    ]
    assert cloud_machine.run_state.number == 2


def test_tasks_of_other_workers_are_not_lost() -> None:
    cloud_machine = _course()
    cloud_machine.claim("t1", cloud_machine.run, node_id("/a"), waits=False)
    assert cloud_machine.lose(["other"]).machine_commands == []
    assert cloud_machine.holds("/a", "t1")


def test_facts_for_the_next_agent_are_not_kept_in_the_cloud() -> None:
    cloud_machine = _course(callbacks=RETRY)
    _run(cloud_machine)
    cloud_machine.finish("/a", Cause.EXIT_CODE, mem=2)

    cloud_machine.apply(ev.NodesReset(("/a",)))

    assert cloud_machine.tree.remembered == []
