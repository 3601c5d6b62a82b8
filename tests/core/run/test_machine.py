"""The machine in small stories: events in, states and commands out."""

import random
from dataclasses import replace

import pytest

from conducto_core.errors import TransitionError
from conducto_core.run.model import events as ev
from conducto_core.run.model.records import Actor
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.live_nodes import LiveExec, LiveGroup
from conducto_core.run.rules.machine import advance, settled
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import Callback
from conducto_core.tree.rules.resolve import resolve_generated
from support.trees import FAILS, Driver, form, lazy, leaf, parallel, serial


def failing(*paths):
    return lambda path, _attempt: FAILS if path in paths else None


def on(event, name, **arguments):
    return [event, [name, arguments]]


def test_nothing_starts_before_run_is_pressed():
    driver = Driver(serial("a"), armed=False)

    assert driver.queued == {}
    assert driver.state() is State.PENDING


def test_serial_runs_its_children_in_order():
    driver = Driver(serial("a", "b", "c"))

    driver.run()

    assert driver.started == ["/a", "/b", "/c"]
    assert driver.state() is State.DONE


def test_parallel_queues_all_its_children_at_once():
    driver = Driver(parallel("a", "b", "c"))

    assert list(driver.queued) == ["/a", "/b", "/c"]


def test_a_single_exec_is_a_pipeline():
    driver = Driver(leaf())

    driver.run()

    assert driver.state("/") is State.DONE


def test_serial_stops_on_error_and_leaves_the_rest_pending():
    driver = Driver(serial("a", "b", "c"))

    driver.run(failing("/b"))

    assert driver.states() == {"/": "error", "/a": "done", "/b": "error", "/c": "pending"}
    assert settled(driver.tree)


def test_serial_without_stop_runs_all_and_still_ends_in_error():
    driver = Driver(serial("a", "b", stop_on_error=False))

    driver.run(failing("/a"))

    assert driver.states() == {"/": "error", "/a": "error", "/b": "done"}


def test_reset_of_the_failed_child_continues_the_serial():
    driver = Driver(serial("a", "b", "c"))
    driver.run(failing("/b"))

    driver.send(ev.NodesReset(("/b",)))
    driver.run()

    assert driver.state() is State.DONE
    assert driver.started == ["/a", "/b", "/b", "/c"]
    assert [h[1] for h in driver.history if h[0] == "/b"] == [1, 2]


def test_skip_of_the_failed_child_continues_the_serial_and_keeps_the_error():
    driver = Driver(serial("a", "b"))
    driver.run(failing("/a"))

    driver.send(ev.NodesSkipped(("/a",)))
    driver.run()

    assert driver.states() == {"/": "done", "/a": "error", "/b": "done"}
    assert driver.tree.nodes["/a"].skipped


def test_paused_pipeline_starts_nothing():
    driver = Driver(serial("a", "b"))
    driver.run(failing("/a"))
    driver.send(ev.Disarmed())

    driver.send(ev.NodesReset(("/a",)))

    assert driver.queued == {}
    driver.send(ev.Armed())
    assert list(driver.queued) == ["/a"]


def test_pause_withdraws_queued_attempts_and_lets_running_ones_finish():
    driver = Driver(parallel("a", "b"))
    driver.start("/a")

    driver.send(ev.Disarmed())

    assert driver.states() == {"/": "running", "/a": "running", "/b": "pending"}
    driver.finish("/a")
    assert driver.state() is State.PENDING
    assert driver.tree.nodes["/b"].attempt == 0


def test_suppress_errors_makes_done_with_a_warning_up_to_the_root():
    driver = Driver(serial(parallel("x", name="p", suppress_errors=True), "b"))

    driver.run(failing("/p/x"))

    assert driver.states() == {"/": "done", "/p": "done", "/p/x": "error", "/b": "done"}
    assert driver.tree.root.warning


def test_suppress_errors_on_an_exec_keeps_the_cause():
    driver = Driver(serial(leaf("a", suppress_errors=True), "b"))

    driver.run(failing("/a"))

    assert driver.state("/a") is State.DONE
    assert driver.tree.nodes["/a"].cause is Cause.EXIT_CODE
    assert driver.history[0][2] is State.ERROR


def test_skipped_nodes_do_not_run():
    driver = Driver(serial(leaf("a", skip=True), parallel("x", name="p", skip=True), "b"))

    driver.run()

    assert driver.started == ["/b"]
    assert driver.state() is State.DONE


def test_unskip_makes_a_node_run():
    driver = Driver(serial(leaf("a", skip=True), "b"))
    driver.run()

    driver.send(ev.NodesUnskipped(("/a",)))
    driver.run()

    assert driver.started == ["/b", "/a"]


def test_unskip_makes_a_node_of_a_parallel_run():
    driver = Driver(parallel(leaf("a", skip=True), "b"))

    driver.send(ev.NodesUnskipped(("/a",)))

    assert list(driver.queued) == ["/b", "/a"]


def test_skip_of_a_running_node_waits_for_it():
    driver = Driver(serial("a", "b"))
    driver.start("/a")

    driver.send(ev.NodesSkipped(("/a",)))

    assert driver.queued == {}
    driver.finish("/a", FAILS)
    assert list(driver.queued) == ["/b"]


def test_kill_of_a_running_node_stops_it_and_the_parent_sees_a_failure():
    driver = Driver(serial("a", "b"))
    driver.start("/a")

    commands = driver.send(ev.NodesKilled(("/a",)))

    assert commands == [ev.Stop("/a", 1)]
    driver.finish("/a", FAILS)
    assert driver.tree.nodes["/a"].cause is Cause.KILLED_BY_USER
    assert driver.states() == {"/": "error", "/a": "killed", "/b": "pending"}


def test_kill_affects_queued_nodes_and_not_pending_ones():
    driver = Driver(serial("a", "b"))

    driver.send(ev.NodesKilled(("/",)))

    assert driver.states() == {"/": "error", "/a": "killed", "/b": "pending"}


def test_reset_of_a_running_node_stops_it_first_and_runs_it_again():
    driver = Driver(serial("a"))
    driver.start("/a")

    driver.send(ev.NodesReset(("/a",)))
    driver.finish("/a", FAILS)

    assert driver.queued == {"/a": 2}
    assert driver.history == [("/a", 1, State.KILLED, Cause.KILLED_BY_USER)]


def test_reset_of_an_earlier_sibling_while_a_later_one_runs():
    driver = Driver(serial("a", "b", "c"))
    driver.start("/a")
    driver.finish("/a")
    driver.start("/b")

    driver.send(ev.NodesReset(("/a",)))
    driver.start("/a")
    driver.finish("/b")

    assert driver.queued == {}
    driver.finish("/a")
    assert list(driver.queued) == ["/c"]


def test_max_time_kills_an_exec():
    driver = Driver(serial(leaf("a", max_time="2s")))
    driver.start("/a")

    assert driver.timers == {"/a": 2.0}
    driver.send(ev.TimeLimitReached("/a"))
    driver.finish("/a")
    assert driver.tree.nodes["/a"].cause is Cause.TIMEOUT
    assert driver.state("/a") is State.KILLED


def test_max_time_of_a_group_kills_running_nodes_and_leaves_the_rest_pending():
    driver = Driver(serial(parallel("x", "y", name="p", max_time=5), "b", stop_on_error=False))
    driver.start("/p/x")

    assert driver.timers["/p"] == 5.0
    driver.send(ev.TimeLimitReached("/p"))
    driver.finish("/p/x")
    assert driver.states()["/p"] == "killed"
    assert driver.states()["/p/y"] == "pending"
    assert list(driver.queued) == ["/b"]


def test_reset_below_an_expired_group_lets_it_run_again():
    driver = Driver(parallel("x", "y", max_time=5))
    driver.start("/x")
    driver.send(ev.TimeLimitReached("/"))
    driver.finish("/x")

    driver.send(ev.NodesReset(("/x",)))
    driver.run()

    assert driver.state() is State.DONE


def test_retry_makes_a_new_attempt_before_the_parent_sees_the_failure():
    driver = Driver(serial(leaf("a", callbacks=[on("error", "retry", max_num_retries=2)]), "b"))

    driver.run(lambda path, n: FAILS if path == "/a" and n < 3 else None)

    assert driver.state() is State.DONE
    assert [h[2] for h in driver.history if h[0] == "/a"] == ["error", "error", "done"]


def test_retries_are_counted_again_after_a_manual_reset():
    driver = Driver(serial(leaf("a", callbacks=[on("error", "retry", max_num_retries=1)])))
    driver.run(failing("/a"))

    driver.send(ev.NodesReset(("/a",)))
    driver.run(failing("/a"))

    assert len(driver.history) == 4
    assert driver.state() is State.ERROR


def test_retry_then_skip_skips_at_the_end():
    callback = on("error", "retry_then_skip", max_num_retries=1)
    driver = Driver(serial(leaf("a", callbacks=[callback]), "b"))

    driver.run(failing("/a"))

    assert driver.state() is State.DONE
    assert driver.tree.nodes["/a"].skipped
    assert len([h for h in driver.history if h[0] == "/a"]) == 2


def test_retry_with_double_mem_asks_for_twice_the_memory():
    callback = on("killed", "retry_with_double_mem", max_num_retries=1)
    driver = Driver(serial(leaf("a", callbacks=[callback])))
    driver.start("/a")

    driver.finish("/a", Cause.OUT_OF_MEMORY, mem=2.0)

    assert driver.commands[-1] == ev.Enqueue("/a", 2, 4.0)


def test_a_group_is_retried_as_a_unit_before_its_sibling_starts():
    callback = on("error", "retry", max_num_retries=1)
    driver = Driver(
        serial(parallel("x", "y", name="p", callbacks=[callback]), "b", stop_on_error=False)
    )

    driver.run(lambda path, n: FAILS if path == "/p/x" and n == 1 else None)

    assert driver.state() is State.DONE
    assert driver.started == ["/p/x", "/p/y", "/p/x", "/p/y", "/b"]


def test_outer_group_handles_a_failure_after_the_inner_one_gives_up():
    inner = parallel("x", "y", name="p", callbacks=[on("error", "retry", max_num_retries=1)])
    driver = Driver(serial(inner, callbacks=[on("error", "retry_then_skip", max_num_retries=0)]))

    driver.run(lambda path, n: FAILS if path == "/p/x" and n == 1 else None)

    assert driver.state() is State.DONE
    assert not driver.tree.root.skipped


def test_skip_some_errors_skips_a_few_failures_only():
    callback = on("error", "skip_some_errors", max_num_errors=1)

    few = Driver(parallel("x", "y", callbacks=[callback]))
    few.run(failing("/x"))
    many = Driver(parallel("x", "y", callbacks=[callback]))
    many.run(failing("/x", "/y"))

    assert (few.state(), many.state()) == (State.DONE, State.ERROR)


def test_action_is_remembered_on_the_nodes_that_it_affects():
    driver = Driver(serial("a", "b", leaf("c"), parallel("d", "e", name="g")))
    ann = Actor(user="ann")
    claude = Actor(user="ann", assistant="Claude Code")
    driver.start("/a")

    driver.send(ev.NodesKilled(("/",), ann))
    driver.send(ev.NodesSkipped(("/c", "/g"), claude))
    assert driver.tree.actors == {"/a": ann, "/c": claude, "/g": claude}
    driver.send(ev.NodesSkipped(("/c",), ann))  # it is skipped already

    driver.finish("/a", Cause.EXIT_CODE)
    driver.send(ev.NodesReset(("/",), claude))

    assert driver.tree.actors == {"/a": claude, "/c": claude, "/g": claude}
    assert driver.tree.requester_of("/a") == claude
    again = TreeState(driver.pipeline, map(driver.tree.state_of, driver.tree.nodes.values()))
    assert again.actors == driver.tree.actors


def test_retry_has_no_requester_and_that_of_a_group_forgets_it():
    retry = on("error", "retry", max_num_retries=1)
    driver = Driver(serial(leaf("a", callbacks=[retry]), callbacks=[retry]))
    ann = Actor(user="ann")
    requesters = []
    for _ in range(5):
        if driver.queued == {}:
            driver.send(ev.NodesReset(("/a",), ann))
        requesters.append(driver.tree.requester_of("/a"))
        driver.start("/a")
        driver.finish("/a", Cause.EXIT_CODE, exit_code=1)

    assert requesters == [None, None, None, None, ann]


def test_a_kill_by_a_person_is_not_retried():
    callback = on("killed", "retry", max_num_retries=5)
    driver = Driver(serial(leaf("a", callbacks=[callback])))
    driver.start("/a")

    driver.send(ev.NodesKilled(("/a",)))
    driver.finish("/a", FAILS)

    assert driver.state("/a") is State.KILLED


def test_group_with_a_command_killed_by_a_person_is_not_retried():
    callback = on("error", "retry_then_skip", max_num_retries=5)
    driver = Driver(serial(parallel("x", "y", name="p", callbacks=[callback])))
    driver.start("/p/x")

    driver.send(ev.NodesKilled(("/p/x",)))
    driver.finish("/p/x", FAILS)
    driver.start("/p/y")
    driver.finish("/p/y")

    assert driver.state("/p") is State.ERROR
    assert driver.started == ["/p/x", "/p/y"]


def test_notifying_callbacks_are_requested_when_the_state_is_reached():
    callback = on("done", "email", to="a@b.example")
    driver = Driver(serial("a", callbacks=[callback]))

    driver.run()

    sent = [c for c in driver.commands if isinstance(c, ev.Notify)]
    assert sent == [ev.Notify("/", State.DONE, Callback("done", "email", {"to": "a@b.example"}))]


def generated(driver, target, root):
    return resolve_generated(form(root), target, driver.pipeline).nodes


def test_lazy_runs_the_tree_it_generated_with_its_type():
    driver = Driver(serial(lazy("L"), "end"))
    driver.start("/L/Generate")

    driver.generate("/L/Generate", generated(driver, "/L/Execute", serial("p", "q")))
    driver.run()

    assert driver.started == ["/L/Generate", "/L/Execute/p", "/L/Execute/q", "/end"]
    assert driver.state() is State.DONE


def test_lazy_target_is_pending_until_it_is_generated():
    driver = Driver(serial(lazy("L"), "end"))
    driver.start("/L/Generate")

    driver.finish("/L/Generate", Cause.LAZY)

    assert driver.state("/L/Execute") is State.PENDING
    assert driver.state("/L") is State.ERROR


def test_reset_of_generate_discards_the_old_tree_and_numbers_attempts_on():
    driver = Driver(serial(lazy("L")))
    driver.start("/L/Generate")
    driver.generate("/L/Generate", generated(driver, "/L/Execute", parallel("p", "q")))
    driver.run()

    driver.send(ev.NodesReset(("/L/Generate",)))

    assert "/L/Execute/p" not in driver.tree.nodes
    assert ev.Discard("/L/Execute") in driver.commands
    driver.start("/L/Generate")
    driver.generate("/L/Generate", generated(driver, "/L/Execute", parallel("p")))
    assert driver.queued == {"/L/Execute/p": 2}


def test_changes_show_that_nodes_of_a_new_tree_have_not_run():
    driver = Driver(serial(lazy("L")))
    driver.start("/L/Generate")
    driver.generate(
        "/L/Generate", generated(driver, "/L/Execute", serial("a", serial("b", name="g")))
    )
    driver.run()
    driver.send(ev.NodesReset(("/L/Generate",)))
    driver.start("/L/Generate")
    driver.tree.take_changes()

    driver.send(
        ev.TreeGenerated(
            "/L/Generate", generated(driver, "/L/Execute", serial("a", serial("b", name="g"), "c"))
        )
    )

    changed = {change.path: change.state for change in driver.tree.take_changes()}
    assert changed["/L/Execute/g"] is changed["/L/Execute/g/b"] is State.PENDING
    assert changed["/L/Execute/a"] is State.PENDING
    assert "/L/Execute/c" not in changed  # a new node is pending from the start


def test_reset_of_generate_stops_the_old_tree_before_generating_again():
    driver = Driver(serial(lazy("L")))
    driver.start("/L/Generate")
    driver.generate("/L/Generate", generated(driver, "/L/Execute", parallel("p", "q")))
    driver.start("/L/Execute/p")

    driver.send(ev.NodesReset(("/L/Generate",)))

    assert driver.stopping == {"/L/Execute/p"}
    assert driver.queued == {}
    driver.finish("/L/Execute/p", FAILS)
    assert list(driver.queued) == ["/L/Generate"]


def test_nested_lazy():
    driver = Driver(lazy())
    driver.start("/Generate")
    driver.generate("/Generate", generated(driver, "/Execute", serial(lazy("in"))))
    driver.pipeline.nodes.update({n.path: n.spec for n in driver.tree.nodes.values()})
    driver.start("/Execute/in/Generate")
    driver.generate("/Execute/in/Generate", generated(driver, "/Execute/in/Execute", parallel("x")))

    driver.run()

    assert driver.state() is State.DONE
    assert driver.started[-1] == "/Execute/in/Execute/x"


def test_an_event_for_an_attempt_that_is_not_running_is_our_bug():
    driver = Driver(serial("a"))

    with pytest.raises(TransitionError, match="/a: event for attempt 7 while queued"):
        driver.send(ev.AttemptFinished("/a", 7, None))


def test_tree_loaded_from_its_records_has_the_same_state():
    driver = Driver(serial("a", parallel("x", "y", name="p"), "c"))
    driver.run(failing("/p/y"))
    states = [driver.tree.state_of(node) for node in driver.tree.nodes.values()]

    loaded = TreeState(driver.pipeline, states, armed=True)

    assert [loaded.state_of(n) for n in loaded.nodes.values()] == states
    assert advance(loaded, ev.NodesReset(("/p/y",))) == [ev.Enqueue("/p/y", 2)]


def test_counts_are_kept_for_every_group():
    driver = Driver(serial("a", parallel("x", leaf("y", skip=True), name="p"), "c"))
    driver.run(failing("/p/x"))

    counts = driver.tree.counts(driver.tree.root)

    assert counts.model_dump() == {
        "pending": 1, "queued": 0, "running": 0, "done": 1, "error": 1, "killed": 0, "skipped": 1
    }  # fmt: skip


def test_skipped_command_that_never_ran_is_not_pending():
    driver = Driver(
        serial("a", leaf("b", skip=True), parallel("x", leaf("y", skip=True), name="p"))
    )
    driver.run()

    counts = driver.tree.counts(driver.tree.root)

    assert (driver.tree.root.state, counts.pending, counts.done) == ("done", 0, 2)
    assert (counts.total, counts.skipped) == (2, 2)


@pytest.mark.parametrize("seed", range(20))
def test_counts_of_skipped_commands_follow_every_change(seed):
    chance = random.Random(seed)
    tree = serial("a", parallel("x", leaf("y", skip=True), serial("z", name="s"), name="p"), "c")
    state = Driver(tree).tree
    nodes = list(state.nodes.values())
    for _ in range(60):
        node = chance.choice(nodes)
        if isinstance(node, LiveExec) and chance.random() < 0.5:
            state.set_exec(node, chance.choice(list(State)))
        else:
            state.set_skipped(node, chance.random() < 0.5)

        kept = {node.path: list(node.counts) for node in nodes if isinstance(node, LiveGroup)}
        for group in reversed([node for node in nodes if isinstance(node, LiveGroup)]):
            group.rebuild()
            assert group.counts == kept[group.path]


def test_group_changes_once_while_its_children_follow_each_other():
    driver = Driver(serial("a", "b", max_time=5))

    driver.run()

    root = [change.state for change in driver.tree.changes if change.path == "/"]
    assert root == [State.RUNNING, State.DONE]
    assert [c for c in driver.commands if isinstance(c, ev.StartTimer) and c.path == "/"] == [
        ev.StartTimer("/", 5.0)
    ]


def test_the_timer_of_a_group_goes_with_the_tree_that_is_discarded():
    driver = Driver(serial(lazy("L")))
    driver.start("/L/Generate")
    tree = parallel(parallel("p", name="inner", max_time=5))
    driver.generate("/L/Generate", generated(driver, "/L/Execute", tree))
    assert driver.timers == {"/L/Execute/inner": 5.0}

    driver.send(ev.NodesReset(("/L/Generate",)))

    assert driver.timers == {}


def regenerated(first, second):
    driver = Driver(serial(lazy("L")))
    driver.start("/L/Generate")
    driver.generate("/L/Generate", generated(driver, "/L/Execute", first))
    driver.run()
    driver.send(ev.NodesReset(("/L/Generate",)))
    driver.pipeline.nodes["/L/Execute"] = driver.tree.nodes["/L/Execute"].spec
    driver.start("/L/Generate")
    driver.generate("/L/Generate", generated(driver, "/L/Execute", second))
    return driver


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(parallel("p", cpu=3.0, __env__A="1", max_time=9), id="what is inherited"),
        pytest.param(serial("p", stop_on_error=False, suppress_errors=True), id="policies"),
        pytest.param(parallel("p", skip=True), id="skip"),
        pytest.param(parallel("p", max_concurrent=1, doc="old"), id="what is written on it"),
        pytest.param(leaf(cpu=3.0), id="a single Exec"),
    ],
)
def test_next_tree_starts_without_state_of_the_previous_one(first):
    driver = regenerated(first, parallel("p"))

    fresh = regenerated(parallel("p"), parallel("p"))
    for path in ("/L/Execute", "/L/Execute/p"):
        assert driver.tree.nodes[path].spec == fresh.tree.nodes[path].spec
        assert driver.tree.nodes[path].skipped is False
    assert list(driver.queued) == ["/L/Execute/p"]


def test_a_persons_skip_of_a_lazys_target_outlasts_its_trees():
    driver = Driver(serial(lazy("L")))
    driver.send(ev.NodesSkipped(("/L/Execute",)))

    driver.start("/L/Generate")
    driver.generate("/L/Generate", generated(driver, "/L/Execute", parallel("p")))

    assert driver.state() is State.DONE
    assert driver.tree.nodes["/L/Execute"].skipped


def test_queued_execs_are_requeued_when_max_concurrent_of_a_group_above_changes():
    driver = Driver(serial(parallel("x", "y", name="p", max_concurrent=1)))
    driver.start("/p/x")
    spec = driver.tree.nodes["/p"].spec

    commands = driver.send(ev.NodesModified({"/p": replace(spec, max_concurrent=2)}))

    assert commands == [ev.Withdraw("/p/y", 1), ev.Enqueue("/p/y", 1)]


@pytest.mark.parametrize(
    ("written", "now", "timers"),
    [(None, 7.0, {"/p": 7.0}), (5.0, 7.0, {"/p": 7.0}), (5.0, None, {}), (5.0, 5.0, {"/p": 5.0})],
)
def test_a_new_limit_of_a_running_group_holds_from_now_on(written, now, timers):
    driver = Driver(serial(parallel("x", name="p", max_time=written)))
    driver.start("/p/x")
    of_x = driver.timers["/p/x"]
    spec = driver.tree.nodes["/p"].spec

    driver.send(ev.NodesModified({"/p": replace(spec, max_time=now)}))

    assert driver.timers == {**timers, "/p/x": of_x}
    driver.finish("/p/x")
    assert driver.timers == {}


def test_a_tree_is_discarded_once_although_a_retry_resets_it_in_the_same_event():
    callback = on("error", "retry", max_num_retries=1)
    driver = Driver(serial(lazy("L"), callbacks=[callback]))
    driver.start("/L/Generate")
    driver.generate("/L/Generate", generated(driver, "/L/Execute", serial("p", "q")))

    driver.start("/L/Execute/p")
    commands = driver.send(ev.AttemptFinished("/L/Execute/p", 1, FAILS))

    assert [c for c in commands if isinstance(c, ev.Discard)] == [ev.Discard("/L/Execute")]
    assert driver.queued == {"/L/Generate": 2}
