"""The residual tree, compared with the nodes that really run without further failures."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from conducto_core.asl.rules.states import Residual, residual
from conducto_core.run.model import events as ev
from conducto_core.run.model.states import FAILED, IN_FLIGHT, Cause, NodeType, State
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.run.rules.machine import advance
from conducto_core.tree.rules.resolve import resolve_generated
from support.laws import law
from support.random_trees import SILENT_TREES, act
from support.trees import FAILS, Driver, form, lazy, leaf, parallel, serial


def left(driver):
    rest = residual(driver.tree)
    return None if rest is None else [spec.path for spec in rest.execs()]


def failing(*paths):
    return lambda path, _attempt: FAILS if path in paths else None


# ---- stories ------------------------------------------------------------------------------------


def test_residual_of_a_new_tree_is_the_tree():
    driver = Driver(serial("a", parallel("x", "y", name="p"), "b"), armed=False)

    assert left(driver) == ["/a", "/p/x", "/p/y", "/b"]


def test_residual_of_a_done_tree_is_empty():
    driver = Driver(serial("a", parallel("x", name="p")))

    driver.run()

    assert residual(driver.tree) is None


def test_residual_of_a_skipped_tree_is_empty():
    assert residual(Driver(serial("a", skip=True), armed=False).tree) is None


def test_residual_of_an_empty_tree_is_empty():
    assert residual(Driver(serial(parallel()), armed=False).tree) is None


def test_done_and_skipped_nodes_are_omitted():
    driver = Driver(serial("a", leaf("b", skip=True), parallel("x", name="p"), "c"))
    driver.start("/a")
    driver.finish("/a")
    driver.send(ev.Disarmed())

    rest = residual(driver.tree)

    assert [child.spec.path for child in rest.children] == ["/p", "/c"]


def test_a_failure_that_stops_its_serial_is_a_static_one_and_nothing_comes_after_it():
    driver = Driver(serial("a", "b", "c"))

    driver.run(failing("/b"))

    assert residual(driver.tree) == Residual(driver.tree.root.spec, failed=True)


def test_tolerated_failure_stays_beside_the_residual():
    driver = Driver(serial("a", "b", stop_on_error=False))
    driver.start("/a")
    driver.finish("/a", FAILS)
    driver.send(ev.Disarmed())

    rest = residual(driver.tree)

    assert [(child.spec.path, child.failed) for child in rest.children] == [
        ("/a", True),
        ("/b", False),
    ]
    assert left(driver) == ["/b"]


def test_reset_leaves_the_failed_node_and_the_nodes_it_blocked():
    driver = Driver(serial("a", "b", "c"))
    driver.run(failing("/b"))
    driver.send(ev.Disarmed())

    driver.send(ev.NodesReset(("/b",)))

    assert left(driver) == ["/b", "/c"]


def test_a_group_whose_time_ran_out_has_failed_as_a_whole():
    driver = Driver(serial(parallel("x", "y", name="p", max_time=5), "b", stop_on_error=False))
    driver.start("/p/x")
    driver.send(ev.TimeLimitReached("/p"))
    driver.finish("/p/x")
    driver.send(ev.Disarmed())

    rest = residual(driver.tree)

    group = rest.children[0]
    assert (group.spec.path, group.failed, group.children) == ("/p", True, ())
    assert left(driver) == ["/b"]


def test_running_nodes_of_an_expired_group_are_awaited():
    driver = Driver(serial(parallel("x", "y", name="p", max_time=5)))
    driver.start("/p/x")
    driver.send(ev.TimeLimitReached("/p"))

    group = residual(driver.tree).children[0]

    assert group.failed
    assert [spec.path for spec in group.awaited] == ["/p/x"]


def test_a_late_sibling_that_still_runs_is_awaited_by_its_group():
    driver = Driver(serial("a", "b", "c"))
    driver.start("/a")
    driver.finish("/a")
    driver.start("/b")

    driver.send(ev.NodesReset(("/a",)))
    rest = residual(driver.tree)

    assert [spec.path for spec in rest.awaited] == ["/b"]
    assert left(driver) == ["/a", "/b", "/c"]


def test_a_target_without_its_tree_is_left_although_it_has_no_execs():
    driver = Driver(serial(lazy("L"), "end"), armed=False)

    group = residual(driver.tree).children[0]

    assert [child.spec.path for child in group.children] == ["/L/Generate", "/L/Execute"]
    assert group.children[1].spec.awaits_tree
    assert not group.children[1].failed


def test_generate_awaits_running_nodes_of_its_old_tree():
    driver = Driver(serial(lazy("L")))
    driver.start("/L/Generate")
    made = resolve_generated(form(serial("p", "q")), "/L/Execute", driver.pipeline)
    driver.generate("/L/Generate", made.nodes)
    driver.start("/L/Execute/p")

    driver.send(ev.NodesReset(("/L/Generate",)))
    generate, target = residual(driver.tree).children[0].children

    assert [spec.path for spec in generate.awaited] == ["/L/Execute/p"]
    assert target.spec.awaits_tree
    assert target.children == ()


def test_a_retry_is_left_with_the_memory_it_asked_for():
    callback = ["error", ["retry_with_double_mem", {"max_num_retries": 1}]]
    driver = Driver(serial(leaf("a", callbacks=[callback])))
    driver.start("/a")

    driver.finish("/a", Cause.OUT_OF_MEMORY, mem=2.0)
    driver.send(ev.Disarmed())

    (spec,) = residual(driver.tree).execs()
    assert spec.placement == replace(driver.pipeline.nodes["/a"].placement, mem=4.0)


def test_a_part_of_the_tree_can_be_asked_about():
    driver = Driver(serial("a", parallel("x", "y", name="p")), armed=False)

    rest = residual(driver.tree, driver.tree.nodes["/p"])

    assert [spec.path for spec in rest.execs()] == ["/p/x", "/p/y"]


# ---- laws ---------------------------------------------------------------------------------------


def disturbed(data, tree, steps, *, paused=True):
    """A tree in the middle of its life."""
    driver = Driver(tree)
    for _ in range(steps):
        act(data, driver)
    if paused:
        driver.send(ev.Disarmed())
    return driver


def in_flight(driver):
    return {node.path for node in driver.tree.in_flight(driver.tree.root)}


def walk(rest):
    stack = [] if rest is None else [rest]
    while stack:
        node = stack.pop()
        yield node
        stack += node.children


def awaited(rest):
    return {spec.path for node in walk(rest) for spec in node.awaited}


def play_out(driver):
    """Let every runnable node succeed; return the nodes that ran."""
    driver.send(ev.Armed())
    before = len(driver.started)
    running = set(driver.running)
    driver.run()
    return running | set(driver.started[before:])


@law(60)
@given(st.data(), SILENT_TREES, st.integers(0, 30))
def test_residual_is_the_set_of_nodes_that_run_without_further_failures(data, tree, steps):
    driver = disturbed(data, tree, steps)
    rest = residual(driver.tree)
    expected = set(left(driver) or ()) | awaited(rest)
    # An earlier failure, or one caused by a stop, may still block others.
    nothing_fails = not driver.stopping and not any(node.failed for node in walk(rest))

    ran = play_out(driver)

    assert ran <= expected
    assert ran == expected or not nothing_fails


@law(60)
@given(st.data(), SILENT_TREES, st.integers(0, 30))
def test_everything_in_flight_is_in_the_residual(data, tree, steps):
    driver = disturbed(data, tree, steps, paused=False)

    rest = residual(driver.tree)

    assert in_flight(driver) <= set(left(driver) or ()) | awaited(rest)
    assert awaited(rest) <= in_flight(driver)


@law(60)
@given(st.data(), SILENT_TREES, st.integers(0, 30))
def test_nothing_done_or_skipped_is_left_and_nothing_left_is_named_twice(data, tree, steps):
    driver = disturbed(data, tree, steps)

    paths = left(driver) or []

    assert len(set(paths)) == len(paths)
    for path in paths:
        node = driver.tree.nodes[path]
        assert isinstance(node, LiveExec)
        assert node.state not in FAILED | {State.DONE}
        assert node.state in IN_FLIGHT or not node.skipped


@law(60)
@given(st.data(), SILENT_TREES, st.integers(0, 30))
def test_residual_omits_exactly_the_nodes_that_parents_see_as_done(data, tree, steps):
    driver = disturbed(data, tree, steps)
    root = driver.tree.root

    rest = residual(driver.tree)

    over = root.state is State.DONE or (root.skipped and root.state not in IN_FLIGHT)
    assert (rest is None) == over
    if rest is not None and not rest.awaited:
        assert rest.failed == (root.state in FAILED)


@law(40)
@given(st.data(), SILENT_TREES, st.integers(0, 30))
def test_groups_keep_the_order_of_their_children(data, tree, steps):
    driver = disturbed(data, tree, steps, paused=False)

    for node in walk(residual(driver.tree)):
        names = [child.spec.path.rpartition("/")[2] for child in node.children]
        assert names == [name for name in node.spec.children if name in names]
        assert node.spec.type is not NodeType.EXEC or not names


def test_a_residual_is_made_without_touching_the_tree():
    driver = Driver(serial("a", parallel("x", "y", name="p")))
    before = driver.states()

    residual(driver.tree)

    assert driver.states() == before
    assert advance(driver.tree, ev.AttemptStarted("/a", 1))
