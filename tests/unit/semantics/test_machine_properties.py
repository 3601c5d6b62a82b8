"""Random trees, outcomes, orders of completion and control actions; laws after every event.

The laws are in `support.trees.check`, which works them out from the leaves alone and knows
nothing of the machine's bookkeeping.
"""

from hypothesis import given
from hypothesis import strategies as st

from conducto.model.nodes import Pipeline
from conducto.model.states import FAILED, FINISHED, NodeType, State
from conducto.semantics import events as ev
from conducto.semantics.live import LiveExec, LiveGroup, LiveTree
from support.laws import law
from support.random_trees import TREES, act, finish, ordered
from support.trees import Driver


@law(200)
@given(st.data(), TREES, st.integers(0, 40))
def test_the_laws_hold_after_every_event(data, tree, steps):
    driver = Driver(tree)

    for _ in range(steps):
        act(data, driver)


@law(80)
@given(st.data(), TREES, st.integers(0, 30))
def test_bookkeeping_equals_a_tree_built_from_the_records(data, tree, steps):
    driver = Driver(tree)
    for _ in range(steps):
        act(data, driver)
    specs = {n.path: n.spec for n in ordered(driver.tree)}
    records = [driver.tree.state_of(n) for n in driver.tree.nodes.values()]

    rebuilt = LiveTree(Pipeline(specs, {}), records, armed=driver.tree.armed)

    for path, node in driver.tree.nodes.items():
        other = rebuilt.nodes[path]
        if isinstance(node, LiveGroup) and isinstance(other, LiveGroup):
            assert (node.counts, node.total) == (other.counts, other.total), path
            assert node.tally.seen == other.tally.seen, path
            assert node.tally.first_holding() == other.tally.first_holding(), path
            assert node.tally.warned == other.tally.warned, path
        assert (node.state, node.warning) == (other.state, other.warning), path


@law(80)
@given(st.data(), TREES, st.integers(0, 30))
def test_counts_and_warnings_are_what_one_counts_by_walking_the_tree(data, tree, steps):
    driver = Driver(tree)

    for _ in range(steps):
        act(data, driver)

    for node in ordered(driver.tree):
        if isinstance(node, LiveGroup):
            assert driver.tree.counts(node).model_dump() == counted(node), node.path
            assert node.warning == warned(node), node.path


def counted(group):
    numbers = {**{str(state): 0 for state in State}, "skipped": 0}
    stack = [(child, False) for child in group.children]
    while stack:
        node, skipped = stack.pop()
        skipped = skipped or node.skipped
        if isinstance(node, LiveGroup):
            stack += [(child, skipped) for child in node.children]
        else:
            numbers[str(node.state)] += 1
            numbers["skipped"] += skipped
    return numbers


def warned(group):
    if group.state is not State.DONE:
        return False
    own = group.spec.suppress_errors and group.raw_state() in FAILED
    return own or any(child.warning for child in group.children)


@law(80)
@given(st.data(), TREES, st.integers(0, 30))
def test_changes_tell_how_every_node_stands(data, tree, steps):
    driver = Driver(tree, armed=False)
    told = {node.path: driver.tree.state_of(node) for node in ordered(driver.tree)}

    for _ in range(steps):
        act(data, driver)
        for change in driver.tree.take_changes():
            told[change.path] = change
        for discard in [c for c in driver.commands if isinstance(c, ev.Discard)]:
            told = {p: how for p, how in told.items() if not p.startswith(discard.path + "/")}
        driver.commands.clear()

    for node in ordered(driver.tree):
        change = told.get(node.path)
        if change is not None:  # nothing has happened to what was just generated
            assert (change.state, change.skipped, change.cause, change.warning) == (
                node.state,
                node.skipped,
                node.cause,
                node.warning,
            ), node.path


@law(80)
@given(st.data(), TREES, st.integers(0, 30))
def test_exactly_what_runs_under_a_time_limit_has_a_timer(data, tree, steps):
    driver = Driver(tree)

    for _ in range(steps):
        act(data, driver)
        nodes = driver.tree.nodes.values()
        assert driver.timers == {
            node.path: node.spec.max_time
            for node in nodes
            if node.state is State.RUNNING and node.spec.max_time is not None
        }


@law(80)
@given(st.data(), TREES, st.integers(0, 30))
def test_nothing_is_queued_before_its_turn(data, tree, steps):
    driver = Driver(tree)

    for _ in range(steps):
        driver.commands.clear()
        act(data, driver)
        for command in driver.commands:
            if isinstance(command, ev.Enqueue) and command.path in driver.queued:
                assert held_up_by(driver.tree.nodes[command.path]) == [], command


def held_up_by(node):
    """The earlier siblings, at any level, that must come first."""
    found = []
    while node.parent is not None:
        group = node.parent
        if group.spec.type is NodeType.SERIAL:
            earlier = group.children[: node.position]
            found += [n.path for n in earlier if comes_first(n, stops=group.spec.stop_on_error)]
        node = group
    return found


def comes_first(node, *, stops):
    """Said without asking the rules, so that a wrong rule shows."""
    if node.state in (State.QUEUED, State.RUNNING):
        return True
    return not node.skipped and (node.state is State.PENDING or (stops and node.state in FAILED))


@law(80)
@given(st.data(), TREES, st.integers(0, 30))
def test_nothing_is_queued_that_is_skipped_or_out_of_time(data, tree, steps):
    driver = Driver(tree)

    for _ in range(steps):
        act(data, driver)
        for path in driver.queued:
            node = driver.tree.nodes[path]
            while node is not None:
                assert not node.skipped, (path, node.path)
                assert not (isinstance(node, LiveGroup) and node.expired), (path, node.path)
                node = node.parent


@law(80)
@given(st.data(), TREES, st.integers(0, 25))
def test_every_run_settles_and_every_attempt_is_accounted_for(data, tree, steps):
    driver = Driver(tree)
    for _ in range(steps):
        act(data, driver)
    driver.send(ev.Armed())

    for _ in range(2000):
        if not (driver.queued or driver.running):
            break
        if driver.queued:
            driver.start(next(iter(driver.queued)))
        finish(data, driver, next(iter(driver.running)))

    assert not driver.queued
    assert not driver.running
    numbers = {}
    for path, attempt, state, _cause in driver.history:
        assert attempt == numbers.get(path, 0) + 1, path
        assert state in FINISHED
        numbers[path] = attempt
    for node in driver.tree.nodes.values():
        if isinstance(node, LiveExec):
            assert node.attempt == numbers.get(node.path, 0)
            assert node.state is not State.RUNNING
