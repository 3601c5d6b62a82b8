"""Random trees, outcomes, orders of completion and control actions; laws after every event.

The laws are in `support.trees.check`, which works them out from the leaves alone and knows
nothing of the machine's bookkeeping.
"""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conducto.model.states import FINISHED, Cause, State
from conducto.semantics import events as ev
from conducto.semantics.live import LiveExec, LiveGroup, LiveTree
from conducto.semantics.resolve import resolve_generated
from support.trees import Driver, form, lazy, leaf, parallel, serial

CALLBACKS = st.sampled_from(
    [
        [],
        [],
        [],
        [["error", ["retry", {"max_num_retries": 1}]]],
        [["error", ["retry_then_skip", {"max_num_retries": 1}]]],
        [["error", ["handle_memory_errors", {"mem_limits": [4, 8]}]]],
        [["killed", ["retry", {"max_num_retries": 1}]]],
        [["error", ["skip_some_errors", {"max_num_errors": 1}]]],
    ]
)


@st.composite
def leaves(draw):
    return leaf(
        skip=draw(st.sampled_from([False, False, False, True])),
        suppress_errors=draw(st.sampled_from([False, False, True])),
        callbacks=draw(CALLBACKS),
    )


@st.composite
def groups(draw, children):
    kind = draw(st.sampled_from([serial, parallel]))
    return kind(
        *draw(st.lists(children, max_size=4)),
        stop_on_error=draw(st.booleans()),
        suppress_errors=draw(st.sampled_from([False, False, True])),
        skip=draw(st.sampled_from([False, False, False, True])),
        max_time=draw(st.sampled_from([None, None, 5])),
        callbacks=draw(CALLBACKS),
    )


TREES = st.recursive(st.one_of(leaves(), st.builds(lazy)), groups, max_leaves=14)
PLAIN_TREES = st.recursive(leaves(), groups, max_leaves=5)


def act(data, driver):
    """Do one random thing that could happen now."""
    tree = driver.tree
    paths = sorted(tree.nodes)
    choices = ["reset", "skip", "unskip", "kill", "pause", "run"]
    choices += ["start"] * 4 if driver.queued else []
    choices += ["finish"] * 6 if driver.running else []
    choices += ["expire"] if driver.timers else []
    match data.draw(st.sampled_from(choices)):
        case "start":
            driver.start(data.draw(st.sampled_from(sorted(driver.queued))))
        case "finish":
            finish(data, driver, data.draw(st.sampled_from(sorted(driver.running))))
        case "expire":
            driver.send(ev.TimeLimitReached(data.draw(st.sampled_from(sorted(driver.timers)))))
        case "pause":
            driver.send(ev.Disarmed())
        case "run":
            driver.send(ev.Armed())
        case order:
            some = data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=2, unique=True))
            event = {
                "reset": ev.NodesReset,
                "skip": ev.NodesSkipped,
                "unskip": ev.NodesUnskipped,
                "kill": ev.NodesKilled,
            }[order]
            driver.send(event(tuple(some)))


def finish(data, driver, path):
    node = driver.tree.nodes[path]
    cause = data.draw(st.sampled_from([None, None, Cause.EXIT_CODE, Cause.OUT_OF_MEMORY]))
    if node.spec.lazy_target is not None and cause is None and path not in driver.stopping:
        specs = {n.path: n.spec for n in driver.tree.nodes.values()}
        here = type(driver.pipeline)(specs, driver.pipeline.images)
        tree = data.draw(PLAIN_TREES)
        nodes = resolve_generated(form(tree), node.spec.lazy_target, here).nodes
        driver.send(ev.TreeGenerated(path, nodes))
    driver.finish(path, cause, mem=2.0)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), TREES, st.integers(0, 40))
def test_the_laws_hold_after_every_event(data, tree, steps):
    driver = Driver(tree)

    for _ in range(steps):
        act(data, driver)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), TREES, st.integers(0, 30))
def test_bookkeeping_equals_a_tree_built_from_the_records(data, tree, steps):
    driver = Driver(tree)
    for _ in range(steps):
        act(data, driver)
    specs = {n.path: n.spec for n in ordered(driver.tree)}
    records = [driver.tree.state_of(n) for n in driver.tree.nodes.values()]

    rebuilt = LiveTree(type(driver.pipeline)(specs, {}), records, armed=driver.tree.armed)

    for path, node in driver.tree.nodes.items():
        other = rebuilt.nodes[path]
        if isinstance(node, LiveGroup) and isinstance(other, LiveGroup):
            assert (node.counts, node.total) == (other.counts, other.total), path
            assert node.tally.seen == other.tally.seen, path
            assert node.tally.first_holding() == other.tally.first_holding(), path
            assert node.tally.warned == other.tally.warned, path
        assert (node.state, node.warning) == (other.state, other.warning), path


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
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


def ordered(tree):
    return tree.subtree(tree.root)
