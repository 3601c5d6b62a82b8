"""The cloud machine when workers are lost, and when an Exec needs another size.

Its other behaviour is tested by tests/conformance.
"""

from __future__ import annotations

from conducto_core.model.states import Cause
from conducto_core.semantics import events as ev
from conducto_core.semantics.cloud_machine import (
    CloudMachine,
    CompleteTask,
    StartExecution,
    StopExecution,
)
from conducto_core.semantics.naming import MAX_OFFERS, WORKER_LOST, node_id
from conducto_core.semantics.tree_state import TreeState
from support.trees import leaf, pipeline, serial

RETRY_LARGER = [["error", ["handle_memory_errors", {"mem_limits": [8]}]]]
RETRY = [["error", ["retry", {"max_num_retries": 1}]]]


def _course(**params: object) -> CloudMachine:
    course = CloudMachine("p", TreeState(pipeline(serial(leaf("a", **params), leaf("b")))))
    course.order(ev.Armed())
    return course


def _run(course: CloudMachine, token: str = "t1") -> None:
    course.claim(token, course.run, node_id("/a"), waits=False)
    course.start("/a")


def test_a_retry_of_the_same_size_stays_with_its_task() -> None:
    course = _course(callbacks=RETRY)
    _run(course)
    assert course.finish("/a", Cause.EXIT_CODE, mem=2).orders == []
    assert course.holds("/a", "t1")


def test_retry_with_more_memory_is_planned_again() -> None:
    course = _course(callbacks=RETRY_LARGER)
    _run(course)
    halt, begin = course.finish("/a", Cause.OUT_OF_MEMORY, mem=2).orders
    assert isinstance(halt, StopExecution)
    assert isinstance(begin, StartExecution)
    assert begin.rest is not None
    assert next(begin.rest.execs()).placement.mem == 8
    _run(course, "t2")
    assert course.finish("/a", None, mem=8).orders == [CompleteTask("t2")]


def test_lost_task_is_offered_again_and_the_run_continues() -> None:
    course = _course(retry_lost=1)
    _run(course)
    assert course.finish("/a", Cause.WORKER_LOST).orders == []
    assert course.lose(["t1"]).orders == [CompleteTask("t1", WORKER_LOST)]
    assert course.standing.number == 1
    _run(course, "t2")
    assert course.finish("/a", None).orders == [CompleteTask("t2")]


def test_task_that_step_functions_does_not_offer_again_is_replanned() -> None:
    course = _course()
    for number in range(1, MAX_OFFERS + 1):
        course.claim(f"t{number}", course.run, node_id("/a"), waits=False)
        orders = course.lose([f"t{number}"]).orders
    assert [type(order) for order in orders] == [CompleteTask, StopExecution, StartExecution]
    assert course.standing.number == 2


def test_tasks_of_other_workers_are_not_lost() -> None:
    course = _course()
    course.claim("t1", course.run, node_id("/a"), waits=False)
    assert course.lose(["other"]).orders == []
    assert course.holds("/a", "t1")


def test_facts_for_the_next_agent_are_not_kept_in_the_cloud() -> None:
    course = _course(callbacks=RETRY)
    _run(course)
    course.finish("/a", Cause.EXIT_CODE, mem=2)

    course.order(ev.NodesReset(("/a",)))

    assert course.tree.remembered == []
