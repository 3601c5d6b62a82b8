"""Loss of an Exec's container, before its command started or after."""

from __future__ import annotations

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto.tree.nodes import Node
from conducto_core.run.model import events as ev
from conducto_core.run.model.requests import Changes
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.actions import lay_over
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.rules.resolve import resolve, resolve_generated
from support.trees import Driver, form, lazy, leaf, serial

LOST = Cause.WORKER_LOST
RETRY = [["error", ["retry", {"max_num_retries": 1}]]]


def lose_start(driver: Driver) -> None:
    driver.send(ev.AttemptFinished("/a", driver.queued["/a"], LOST))


def lose(driver: Driver) -> None:
    driver.start("/a")
    driver.finish("/a", LOST)


def notes(driver: Driver) -> list[str | None]:
    return [c.note for c in driver.commands if isinstance(c, ev.EndAttempt)]


def test_command_that_started_is_not_run_again_by_itself() -> None:
    driver = Driver(serial("a"))

    lose(driver)

    assert driver.history == [("/a", 1, State.KILLED, LOST)]
    assert driver.state("/a") is State.KILLED
    assert notes(driver) == [
        "its command had started, so it is not run again by itself; reset it, or set retry_lost"
    ]


def test_retry_lost_limits_the_number_of_retries() -> None:
    driver = Driver(serial(leaf("a"), retry_lost=2))

    for _ in range(3):
        lose(driver)

    assert [number for _, number, _, _ in driver.history] == [1, 2, 3]
    assert driver.state("/a") is State.KILLED
    assert notes(driver) == [
        "tried again by itself: retry_lost (retry 1 of 2)",
        "tried again by itself: retry_lost (retry 2 of 2)",
        "lost 3 times, retry_lost=2; reset it to run it again",
    ]


def test_lost_start_is_retried_three_times() -> None:
    driver = Driver(serial("a"))

    for _ in range(4):
        lose_start(driver)

    assert [cause for _, _, _, cause in driver.history] == [LOST] * 4
    assert driver.state("/a") is State.KILLED
    assert notes(driver)[0] == ("tried again by itself: its command had not started (retry 1 of 3)")
    assert notes(driver)[3] == "its command never started, in 4 containers; reset it to try again"


def test_loss_before_a_running_commands_start_is_retried() -> None:
    """A container may be found lost after the attempt was announced, before it got its command."""
    driver = Driver(serial("a"))
    driver.start("/a")

    driver.finish("/a", LOST, started=False)

    assert driver.state("/a") is State.QUEUED


def test_retries_of_losses_do_not_use_up_those_of_a_callback() -> None:
    driver = Driver(serial(leaf("a", retry_lost=1, callbacks=RETRY)))
    lose_start(driver)
    lose(driver)

    driver.start("/a")
    driver.finish("/a", Cause.EXIT_CODE)
    assert driver.state("/a") is State.QUEUED
    driver.start("/a")
    driver.finish("/a", Cause.EXIT_CODE)

    assert driver.state("/a") is State.ERROR


def test_callback_decides_when_retries_of_losses_are_used_up() -> None:
    driver = Driver(serial(leaf("a", callbacks=RETRY)))

    lose(driver)

    assert driver.state("/a") is State.QUEUED
    assert notes(driver) == [None]


def test_reset_starts_the_count_again() -> None:
    driver = Driver(serial(leaf("a", retry_lost=1)))
    lose(driver)
    lose(driver)
    driver.send(ev.NodesReset(("/a",)))

    lose(driver)

    assert driver.state("/a") is State.QUEUED


def test_count_outlives_the_machine() -> None:
    driver = Driver(serial(leaf("a", retry_lost=1)))
    lose(driver)
    lose_start(driver)
    states = [driver.tree.state_of(node) for node in driver.tree.nodes.values()]

    node = TreeState(driver.pipeline, states).nodes["/a"]

    assert (node.lost, node.lost_starts) == (1, 1)


@pytest.mark.parametrize("value", [-1, 1.5, "2", True, 101])
def test_bad_value_names_the_node(value: object) -> None:
    with pytest.raises(DefinitionError, match=r"^/a: retry_lost must be a whole number from 0"):
        resolve(form(serial(leaf("a", retry_lost=value))))


def test_parameter_from_the_script_to_the_node() -> None:
    root = co.Serial(image="busybox", retry_lost=2)
    root["inherits"] = co.Exec("true")
    root["refuses"] = co.Exec("true", retry_lost=0)

    nodes = resolve(to_launch_form(root)).nodes

    assert (nodes["/inherits"].retry_lost, nodes["/refuses"].retry_lost) == (2, 0)
    assert root["inherits"].get_inherited_attribute("retry_lost") == 2


def test_generated_tree_inherits_it() -> None:
    tree = resolve(form(serial(lazy("L"), retry_lost=2)))

    made = resolve_generated(form(serial(leaf("x"))), "/L/Execute", tree)

    assert made.nodes["/L/Execute/x"].retry_lost == 2


def test_it_is_kept_on_the_wire_and_left_out_where_it_is_not_set() -> None:
    text = co.Exec("true", retry_lost=0).serialize()

    assert Node.deserialize(text).retry_lost == 0
    assert "retry_lost" not in co.Exec("true").serialize(pretty=True)


def test_modify_lays_it_over() -> None:
    tree = TreeState(resolve(form(serial(leaf("a")))))

    edit = lay_over({}, Changes(retry_lost=3), tree.nodes["/a"])

    assert resolve(form(serial(leaf("a"))), {"/a": edit}).nodes["/a"].retry_lost == 3
