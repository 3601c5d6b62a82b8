"""The explanation of a failure, the scope of its rerun, and reasons why a run starts nothing."""

import pytest

from conducto_core.run.handlers import page_of_tree
from conducto_core.run.model import events as ev
from conducto_core.run.model.params import TreeParams
from conducto_core.run.model.requests import Action, ControlRequest
from conducto_core.run.model.states import State
from conducto_core.run.rules.actions import named, preview, why_idle
from conducto_core.run.rules.failures import is_failure, stopped_by
from conducto_core.run.rules.tree_state import TreeState
from support.trees import FAILS, Driver, leaf, parallel, serial

RETRY = [["error", ["retry", {"max_num_retries": 2}]]]


def timed_out(*children, **params) -> Driver:
    """A group ``/g`` in which everything runs that can, and then its time is over."""
    driver = Driver(parallel(parallel(*children, name="g", max_time=2, **params), "ok"))
    for path in list(driver.queued):
        driver.start(path)
    driver.send(ev.TimeLimitReached("/g"))
    for path in list(driver.running):
        driver.finish(path)
    return driver


def failed_paths(tree: TreeState) -> list[str]:
    found, more = page_of_tree(tree, TreeParams(id="p", failed=True))
    assert more is None
    assert found == [node for node in tree.subtree(tree.root) if is_failure(node)]
    return [node.path for node in found]


def to_reset(tree: TreeState, *paths: str) -> tuple[str, ...]:
    return named(tree, ControlRequest(action=Action.RESET, paths=paths, failed=True)).paths


def test_a_group_that_timed_out_is_the_failure_and_not_the_execs_it_ended():
    driver = timed_out("x", serial("y", "z", name="s"))

    assert failed_paths(driver.tree) == ["/g"]
    assert stopped_by(driver.tree.nodes["/g/x"]) == "/g"
    assert to_reset(driver.tree) == ("/g/x", "/g/s/y", "/g/s/z")


def test_a_group_without_a_failed_exec_is_found_and_rerun_too():
    driver = timed_out(leaf("x", callbacks=RETRY))

    assert failed_paths(driver.tree) == ["/g"]
    assert to_reset(driver.tree) == ("/g/x",)


def test_rerunning_failed_nodes_finishes_a_timed_out_group():
    driver = timed_out(leaf("x", callbacks=RETRY), "y")

    would = preview(driver.tree, Action.RESET, to_reset(driver.tree))
    driver.send(ev.NodesReset(to_reset(driver.tree)))
    driver.run()

    assert would.affected == 2
    assert driver.state() is State.DONE
    assert failed_paths(driver.tree) == []


def test_an_exec_whose_own_time_ran_out_is_a_failure_also_in_a_group_that_times_out_later():
    driver = Driver(parallel(leaf("x", max_time=1), "y", max_time=2))
    for path in ("/x", "/y"):
        driver.start(path)
    driver.send(ev.TimeLimitReached("/x"))
    driver.finish("/x")
    driver.send(ev.TimeLimitReached("/"))
    driver.finish("/y")

    assert failed_paths(driver.tree) == ["/", "/x"]
    assert stopped_by(driver.tree.nodes["/y"]) == "/"


def test_a_limit_that_an_exec_inherits_is_the_groups_whichever_clock_is_first():
    driver = Driver(parallel("x", max_time=2))
    driver.start("/x")
    driver.send(ev.TimeLimitReached("/x"))
    driver.send(ev.TimeLimitReached("/"))
    driver.finish("/x")

    assert driver.tree.nodes["/x"].spec.max_time == 2
    assert failed_paths(driver.tree) == ["/"]


def test_timed_out_nodes_are_known_after_the_tree_is_stored_and_read():
    driver = Driver(parallel(leaf("x", max_time=1), "y", max_time=2))
    for path in ("/x", "/y"):
        driver.start(path)
    driver.send(ev.TimeLimitReached("/x"))
    driver.finish("/x")
    driver.send(ev.TimeLimitReached("/"))
    driver.finish("/y")
    tree = driver.tree

    stored = TreeState(driver.pipeline, [tree.state_of(node) for node in tree.nodes.values()])

    assert failed_paths(stored) == ["/", "/x"]


def test_where_errors_are_suppressed_below_the_group_as_a_whole_is_reset():
    driver = timed_out(leaf("x", suppress_errors=True))

    assert failed_paths(driver.tree) == ["/g"]
    assert to_reset(driver.tree) == ("/g",)


@pytest.mark.parametrize("path", ["/g", "/g/x"])
def test_skipped_nodes_are_not_failures(path):
    driver = timed_out("x")

    driver.send(ev.NodesSkipped((path,)))

    assert path not in failed_paths(driver.tree)


def test_skipping_failed_nodes_skips_the_timed_out_group():
    driver = timed_out("x")

    skipped = named(driver.tree, ControlRequest(action=Action.SKIP, failed=True)).paths

    assert skipped == ("/g", "/g/x")


def test_search_for_failures_omits_done_nodes():
    driver = Driver(parallel(serial("a", "b", name="fine"), serial("c", name="bad")))

    driver.run(lambda path, _attempt: FAILS if path == "/bad/c" else None)

    assert failed_paths(driver.tree) == ["/bad/c"]


def test_a_run_that_starts_nothing_says_why():
    finished, timed = Driver(serial("a")), timed_out(leaf("x", callbacks=RETRY), "y")
    failed = Driver(serial("a", "b"))
    fresh = Driver(serial("a"), armed=False)
    skipped = Driver(serial("a", "it is"))
    skipped.send(ev.NodesSkipped(("/it is",)))
    skipped.run()
    finished.run()
    failed.run(lambda path, _attempt: FAILS if path == "/a" else None)

    assert why_idle(fresh.tree, "p") is None
    assert why_idle(Driver(serial("a")).tree, "p") is None
    assert why_idle(finished.tree, "p") == (
        "nothing to run: it is done; rerun all: conducto rerun p /"
    )
    assert why_idle(skipped.tree, "p") == (
        "nothing to run: /it is is skipped; run it, too: conducto unskip p '/it is'"
    )
    assert why_idle(failed.tree, "p") == (
        "nothing to run: /a failed; rerun: conducto rerun p --failed"
    )
    assert why_idle(timed.tree, "p") == (
        "nothing to run: /g timed out: max_time 2s (1 killed, 1 not run); "
        "rerun: conducto rerun p --failed"
    )
