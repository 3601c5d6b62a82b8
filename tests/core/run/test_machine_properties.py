"""Random trees, outcomes, orders of completion and control actions; laws after every event.

The laws here and in `support.trees.check` are derived from the leaves alone. They use neither the
machine's bookkeeping nor the rules, so that a wrong rule is detected.
"""

from hypothesis import given
from hypothesis import strategies as st

from conducto_core.run.model import events as ev
from conducto_core.run.model.states import FAILED, FINISHED, IN_FLIGHT, NodeType, State
from conducto_core.run.rules.live_nodes import LiveExec, LiveGroup
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import Pipeline
from support.laws import law
from support.random_trees import TREES, act, finish, ordered
from support.trees import Driver

STEPS = 25


class Watch:
    """Looks at a driver after every event."""

    def __init__(self, driver):
        self.driver = driver
        self.told = {node.path: driver.tree.state_of(node) for node in ordered(driver.tree)}
        driver.tree.take_changes()
        driver.commands.clear()

    def look(self):
        self.nothing_is_queued_before_its_turn()
        self.nothing_is_queued_that_may_not_run()
        self.exactly_what_runs_under_a_time_limit_has_a_timer()
        self.changes_tell_how_every_node_stands()
        self.counts_and_warnings_are_what_one_counts_by_walking_the_tree()
        self.driver.commands.clear()

    def nothing_is_queued_before_its_turn(self):
        for command in self.driver.commands:
            if isinstance(command, ev.Enqueue) and command.path in self.driver.queued:
                assert held_up_by(self.driver.tree.nodes[command.path]) == [], command

    def nothing_is_queued_that_may_not_run(self):
        for path in self.driver.queued:
            node = self.driver.tree.nodes[path]
            while node is not None:
                assert not node.skipped, (path, node.path)
                assert not (isinstance(node, LiveGroup) and node.expired), (path, node.path)
                node = node.parent

    def exactly_what_runs_under_a_time_limit_has_a_timer(self):
        assert self.driver.timers == {
            node.path: node.spec.max_time
            for node in self.driver.tree.nodes.values()
            if node.state is State.RUNNING and node.spec.max_time is not None
        }

    def changes_tell_how_every_node_stands(self):
        for change in self.driver.tree.take_changes():
            self.told[change.path] = change
        for gone in [c.path + "/" for c in self.driver.commands if isinstance(c, ev.Discard)]:
            self.told = {p: how for p, how in self.told.items() if not p.startswith(gone)}
        for node in ordered(self.driver.tree):
            told = self.told.get(node.path)
            if told is not None:  # the generated tree has not changed since
                assert (told.state, told.skipped, told.cause, told.warning) == (
                    node.state,
                    node.skipped,
                    node.cause,
                    node.warning,
                ), node.path

    def counts_and_warnings_are_what_one_counts_by_walking_the_tree(self):
        for node in ordered(self.driver.tree):
            if isinstance(node, LiveGroup):
                assert self.driver.tree.counts(node).model_dump() == counted(node), node.path
                assert node.warning == warned(node), node.path


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
    if node.state in IN_FLIGHT:
        return True
    return not node.skipped and (node.state is State.PENDING or (stops and node.state in FAILED))


def counted(group):
    numbers = {**{str(state): 0 for state in State}, "skipped": 0}
    stack = [(child, False) for child in group.children]
    while stack:
        node, skipped = stack.pop()
        skipped = skipped or node.skipped
        if isinstance(node, LiveGroup):
            stack += [(child, skipped) for child in node.children]
        else:
            numbers[str(node.state)] += not skipped or node.state is not State.PENDING
            numbers["skipped"] += skipped
    return numbers


def warned(group):
    if group.state is not State.DONE:
        return False
    own = group.spec.suppress_errors and group.raw_state() in FAILED
    return own or any(child.warning for child in group.children)


def played(data, tree, steps=STEPS):
    driver = Driver(tree)
    for _ in range(steps):
        act(data, driver)
    return driver


@law(120)
@given(st.data(), TREES)
def test_the_laws_hold_after_every_event(data, tree):
    driver = Driver(tree, armed=False)
    watch = Watch(driver)
    driver.send(ev.Armed())
    watch.look()

    for _ in range(STEPS):
        act(data, driver)
        watch.look()


@law(40)
@given(st.data(), TREES)
def test_bookkeeping_equals_a_tree_built_from_the_records(data, tree):
    driver = played(data, tree)
    specs = {n.path: n.spec for n in ordered(driver.tree)}
    records = [driver.tree.state_of(n) for n in driver.tree.nodes.values()]

    rebuilt = TreeState(Pipeline(specs, {}), records, armed=driver.tree.armed)

    for path, node in driver.tree.nodes.items():
        other = rebuilt.nodes[path]
        if isinstance(node, LiveGroup) and isinstance(other, LiveGroup):
            assert (node.counts, node.total) == (other.counts, other.total), path
            assert node.tally.seen == other.tally.seen, path
            assert node.tally.first_holding() == other.tally.first_holding(), path
            assert node.tally.warned == other.tally.warned, path
        assert (node.state, node.warning) == (other.state, other.warning), path


@law(40)
@given(st.data(), TREES)
def test_every_run_settles_and_every_attempt_is_accounted_for(data, tree):
    driver = played(data, tree)
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
