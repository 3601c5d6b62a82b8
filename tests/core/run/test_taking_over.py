"""A machine that loads the states of a previous one executes its outstanding commands."""

import pytest

from conducto_core.run.model import events as ev
from conducto_core.run.model.states import Cause, State, StopReason
from conducto_core.run.rules.machine import advance
from conducto_core.run.rules.tree_state import TreeState
from support.trees import FAILS, Driver, leaf, serial

RETRY_OFTEN = [["killed", ["retry", {"max_num_retries": 9}]]]
ORDERS = {
    StopReason.KILL: ev.NodesKilled(("/a",)),
    StopReason.EXPIRE: ev.TimeLimitReached("/a"),
    StopReason.RESET: ev.NodesReset(("/a",)),
    StopReason.SPEND_LIMIT: ev.SpendLimitReached(),
    StopReason.BUDGET: ev.BudgetsReached(("/a",)),
}


def running() -> Driver:
    driver = Driver(serial(leaf("a", max_time=9, callbacks=RETRY_OFTEN), "b"))
    driver.start("/a")
    driver.tree.take_remembered()
    return driver


def taken_over(driver: Driver) -> TreeState:
    states = [driver.tree.state_of(node) for node in driver.tree.nodes.values()]
    return TreeState(driver.pipeline, states, armed=True)


def lost(tree: TreeState) -> list[ev.Command]:
    return advance(tree, ev.AttemptFinished("/a", 1, Cause.WORKER_LOST))


@pytest.mark.parametrize("stop_reason", StopReason)
def test_stop_action_is_remembered(stop_reason: StopReason) -> None:
    driver = running()

    driver.send(ORDERS[stop_reason])

    (node,) = {*driver.tree.take_remembered()}
    assert (node.path, driver.tree.state_of(node).stop_reason) == ("/a", stop_reason)


def test_node_killed_by_a_user_does_not_run_again() -> None:
    driver = running()
    driver.send(ORDERS[StopReason.KILL])
    tree = taken_over(driver)

    commands = lost(tree)

    assert ev.EndAttempt("/a", 1, State.KILLED, Cause.KILLED_BY_USER) in commands
    assert not any(isinstance(command, ev.Enqueue) for command in commands)
    assert tree.nodes["/a"].state is State.KILLED


def test_node_killed_at_the_spend_limit_does_not_run_again() -> None:
    driver = running()
    driver.send(ORDERS[StopReason.SPEND_LIMIT])

    commands = lost(taken_over(driver))

    assert ev.EndAttempt("/a", 1, State.KILLED, Cause.SPEND_LIMIT) in commands
    assert not any(isinstance(command, ev.Enqueue) for command in commands)


def test_queued_node_waits_at_the_spend_limit() -> None:
    driver = Driver(serial("a"))

    assert driver.send(ev.SpendLimitReached()) == []
    assert driver.states()["/a"] == "queued"


def test_timeout_remains_a_timeout_on_the_next_machine() -> None:
    driver = running()
    driver.send(ORDERS[StopReason.EXPIRE])

    commands = lost(taken_over(driver))

    assert ev.EndAttempt("/a", 1, State.KILLED, Cause.TIMEOUT) in commands


def test_reset_node_runs_again() -> None:
    driver = running()
    driver.send(ORDERS[StopReason.RESET])
    tree = taken_over(driver)

    assert ev.Enqueue("/a", 2) in lost(tree)
    assert tree.nodes["/a"].tries == 1


def test_stop_action_ends_with_its_attempt() -> None:
    driver = running()
    driver.send(ORDERS[StopReason.KILL])
    driver.finish("/a", FAILS)

    assert driver.tree.state_of(driver.tree.nodes["/a"]).stop_reason is None


def test_a_reset_of_a_pending_node_is_to_be_remembered() -> None:
    driver = Driver(serial(leaf("a", callbacks=[["error", ["retry", {"max_num_retries": 9}]]])))
    driver.start("/a")
    driver.send(ev.Disarmed())
    driver.finish("/a", FAILS)
    before = driver.tree.nodes["/a"].tries
    driver.tree.take_remembered()

    driver.send(ev.NodesReset(("/a",)))

    assert before == 1
    assert [(n.path, n.tries) for n in driver.tree.take_remembered()] == [("/a", 0)]


def test_reset_of_a_queued_node_counts_the_queued_attempt() -> None:
    driver = Driver(serial("a"))

    driver.send(ev.NodesReset(("/a",)))

    assert driver.tree.nodes["/a"].tries == 1
