"""The part of a pipeline's state that both targets share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from conducto_core.results.model import OutputSummary
from conducto_core.run.model import events as ev
from conducto_core.run.model.records import AttemptRecord, Lifecycle, Period, PipelineRecord
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.activity import MAX_ROUNDS
from conducto_core.run.rules.machine import advance
from conducto_core.run.rules.outcomes import UNKNOWN, AttemptEnd, ended_record
from conducto_core.run.rules.pipeline_state import PipelineState, StateEffects
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.rules.resolve import resolve_generated
from support.trees import form, lazy, leaf, pipeline, serial


class Driven(PipelineState):
    """A state whose driver is the test."""

    def __init__(self, root: dict[str, Any], **record: Any) -> None:
        tree = pipeline(root)
        super().__init__(PipelineRecord(id="p", title="p", **record), tree, TreeState(tree))
        self.ends: dict[str, AttemptEnd] = {}

    def send(self, event: ev.Event, now: float = 0.0) -> StateEffects:
        commands = advance(self.tree, event)
        changes = self.tree.take_changes()
        return self.follow(commands, changes, now, lambda path: self.ends.get(path, UNKNOWN))

    def act(self, action: Action, problem: str | None = None) -> None:
        for event in self.perform(action, problem):
            self.send(event)

    def run(self, path: str, cause: Cause | None = None, now: float = 0.0) -> StateEffects:
        attempt = self.tree.nodes[path].attempt
        self.send(ev.AttemptStarted(path, attempt), now)
        return self.send(ev.AttemptFinished(path, attempt, cause), now + 1)

    def grow(self, path: str, root: dict[str, Any]) -> None:
        node = self.tree.exec_at(path)
        target = node.spec.lazy_target or ""
        tree = resolve_generated(form(root), target, self.pipeline)
        self.graft(target, tree)
        self.send(ev.AttemptStarted(path, node.attempt))
        self.send(ev.TreeGenerated(path, tree.nodes))
        self.send(ev.AttemptFinished(path, node.attempt, None))


def paths(state: PipelineState) -> set[str]:
    return set(state.pipeline.nodes)


@pytest.mark.parametrize("reset", [("/",), ("/Generate",), ("/Execute/in/Generate", "/Generate")])
def test_reset_of_nested_lazies_leaves_the_outer_target_empty(reset: tuple[str, ...]) -> None:
    state = Driven(lazy())
    state.act(Action.RUN)
    state.grow("/Generate", serial(lazy("in")))
    state.grow("/Execute/in/Generate", serial("a"))
    state.run("/Execute/in/Execute/a")

    state.send(ev.NodesReset(reset))

    assert paths(state) == set(state.tree.nodes) == {"/", "/Generate", "/Execute"}
    assert state.pipeline.nodes == {p: n.spec for p, n in state.tree.nodes.items()}


def test_changes_are_numbered_and_set_the_times() -> None:
    state = Driven(serial("a", "b"))
    state.act(Action.RUN)
    state.ends = {"/a": AttemptEnd(exit_code=3, output_bytes=9)}

    ended = state.run("/a", Cause.EXIT_CODE, now=5.0)

    assert [change.seq for change in ended.changes] == [state.seq - 1, state.seq]
    assert {change.path: change.exit_code for change in ended.changes} == {"/a": 3, "/": None}
    assert {change.output_bytes for change in ended.changes} == {9, None}
    assert (state.started, state.ended) == (0.0, 6.0)
    assert state.status().active_seconds == 6.0  # it waited for five of them


def test_retried_attempt_publishes_no_exit_code() -> None:
    state = Driven(leaf(callbacks=[["error", ["retry", {"max_num_retries": 2}]]]))
    state.act(Action.RUN)
    state.ends = {"/": AttemptEnd(exit_code=3)}

    ended = state.run("/", Cause.EXIT_CODE)

    assert {change.exit_code for change in ended.changes} == {None}


ACTIVE, PAUSED = {"armed": True, "problem": None}, {"armed": False, "problem": None}


@pytest.mark.parametrize(
    ("action", "expected", "events"),
    [
        (Action.RUN, {**ACTIVE, "lifecycle": Lifecycle.ACTIVE}, (ev.Armed(),)),
        (Action.PAUSE, {**PAUSED, "lifecycle": Lifecycle.SLEEPING}, (ev.Disarmed(),)),
        (Action.WAKE, {"lifecycle": Lifecycle.ACTIVE, "problem": "full"}, ()),
        (Action.SLEEP, PAUSED, (ev.Disarmed(), ev.NodesKilled(("/",)))),
        (Action.ARCHIVE, PAUSED, (ev.Disarmed(), ev.NodesKilled(("/",)))),
    ],
)
def test_actions_on_a_whole_pipeline_change_its_record(
    action: Action, expected: dict[str, Any], events: tuple[ev.Event, ...]
) -> None:
    state = Driven(serial("a"), problem="full", run_at=9.0, lifecycle=Lifecycle.SLEEPING)

    assert state.perform(action) == events

    assert state.record.run_at is None
    assert {name: getattr(state.record, name) for name in expected} == expected


def test_a_pause_records_its_reason() -> None:
    state = Driven(serial("a"))
    state.act(Action.RUN)
    state.act(Action.PAUSE, "the engine is lost")
    assert (state.record.armed, state.record.problem) == (False, "the engine is lost")


@pytest.mark.parametrize("last", ["run", "skip"])
def test_a_pipeline_falls_asleep_when_its_root_needs_nothing_more(last: str) -> None:
    state = Driven(serial("a", "b"), sleep_when_done=True)
    state.act(Action.RUN)
    state.run("/a")
    assert not state.falls_asleep()

    if last == "run":
        state.run("/b")
    else:
        state.send(ev.NodesSkipped(("/",)))

    assert state.falls_asleep()
    state.act(Action.PAUSE)
    assert not state.falls_asleep()


def stranded(state: PipelineState, reset: Iterable[str] = ()) -> list[str]:
    return [node.path for node, _ in state.execs_without_context(tuple(reset))]


def test_execs_are_stranded_when_the_container_of_their_group_is_lost() -> None:
    state = Driven(serial(serial("a", "b", container_reuse_context="new", name="g"), "c"))
    state.act(Action.RUN)
    state.run("/g/a")
    pool = state.tree.nodes["/g/b"].spec.pool

    assert not state.lose_context(pool, "it stopped", completed=0)
    assert not state.lose_context(state.tree.nodes["/c"].spec.pool, "it stopped", completed=1)
    assert stranded(state) == []
    assert state.lose_context(pool, "it stopped", completed=1)
    assert stranded(state) == ["/g/b"]
    assert stranded(state, ["/g/b"]) == []
    assert state.lost_contexts == {}


def test_the_end_of_an_attempt_keeps_messages_and_outputs_of_its_start() -> None:
    outputs = OutputSummary()
    begun = AttemptRecord(
        path="/", number=1, state=State.RUNNING, message="withheld", outputs=outputs, started=5.0
    )
    command = ev.EndAttempt("/", 1, State.KILLED, Cause.WORKER_LOST, "tried again")

    ended = ended_record(begun, command, AttemptEnd(message="lost"), 4.0)

    assert (ended.state, ended.cause) == (State.KILLED, Cause.WORKER_LOST)
    assert ended.message == "withheld\nlost: tried again"
    assert (ended.outputs, ended.ended) == (outputs, 5.0)
    assert ended_record(ended, command, UNKNOWN, 6.0).ended == 6.0


def test_period_starts_with_the_first_round_after_many_rounds() -> None:
    state = Driven(serial("a"))
    state.send(ev.Armed())

    assert state.period == Period(0.0)  # it waits for a slot
    for number in range(MAX_ROUNDS + 1):
        if number > 0:
            state.send(ev.NodesReset(("/a",)), 10.0 * number - 8)
        state.run("/a", now=10.0 * number)

    assert len(state.activity.rounds) == MAX_ROUNDS
    assert state.period == Period(0.0, 10.0 * MAX_ROUNDS + 1)
