"""The state that each target keeps of a pipeline, and the rules that change it. No I/O, no clock.

::

    event ──► machine ──► commands, changes ──► PipelineState.follow ──► Effects

The local runner applies events as they happen and stores the effects in batches; the cloud replays
them from a journal. Each adds what only it needs: containers and timers, or workers and executions.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from conducto_core.approvals.model import MAX_SHOWN, MAX_WAITING, MAX_WITHDRAWN, WaitingApproval
from conducto_core.approvals.rules import is_question
from conducto_core.notifications.rules import approval_commands, commands_for
from conducto_core.run.model import events as ev
from conducto_core.run.model.records import (
    ChangeRow,
    Counts,
    Lifecycle,
    Period,
    PipelineRecord,
    PipelineStatus,
)
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import FINISHED, NodeType, State
from conducto_core.run.rules.activity import stored
from conducto_core.run.rules.contexts import is_renewed, is_reset, loses_state, loss
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.run.rules.machine import settled
from conducto_core.run.rules.outcomes import UNKNOWN, AttemptEnd, Outcome
from conducto_core.run.rules.tree_state import Change, TreeState
from conducto_core.tree.model import Pipeline, ancestors, parent_of
from conducto_core.tree.rules.callbacks import PoolKind, kind_of, owner_of

#: The lifecycle after an action on a whole pipeline.
LIFECYCLES: Final = {
    Action.RUN: Lifecycle.ACTIVE,
    Action.WAKE: Lifecycle.ACTIVE,
    Action.SLEEP: Lifecycle.SLEEPING,
    Action.ARCHIVE: Lifecycle.ARCHIVED,
}
#: Fields of the record that come from the script and its command line.
_OF_SCRIPT: Final = (
    "title",
    "doc",
    "tags",
    "sleep_when_done",
    "retention",
    "run_at",
    "function",
    "arguments",
)


class StateEffects(NamedTuple):
    """The results of an event.

    Attributes:
        commands: Those that the driver executes, in order.
        changes: Those to publish.
    """

    commands: list[ev.DriverCommand]
    changes: list[ChangeRow]


class PipelineState:
    """A pipeline.

    Attributes:
        record: Its record.
        pipeline: The resolved definition, with generated trees in place.
        tree: The states of its nodes.
        edits: Changes of nodes after the launch (`conducto_core.tree.rules.resolve.Edits`).
        lost_contexts: ``{pool of a context: why its container was lost}``, while the group needs
            the state in it.
        seq: Number of the latest change.
        notified: Number of the latest notification.
        asked: ``{path: time}`` at which approvals were requested; some may be decided.
        withdrawn: ``{path: reasons}`` why earlier questions of approvals were withdrawn, since the
            last decision.
        started: When something was first queued or ran.
        ended: When it last became idle.
        activity: Its active time.
    """

    def __init__(self, record: PipelineRecord, pipeline: Pipeline, tree: TreeState) -> None:
        self.record = record
        self.edits: dict[str, dict[str, Any]] = {}
        self.lost_contexts: dict[str, str] = {}
        self.seq = 0
        self.notified = 0
        self.asked: dict[str, float] = {}
        self.withdrawn: dict[str, tuple[str, ...]] = {}
        self.started = record.status.started
        self.ended = record.status.ended
        self.activity = stored(record.status, record.touched)
        self.set_tree(pipeline, tree)

    def set_tree(self, pipeline: Pipeline, tree: TreeState) -> None:
        """Set the resolved definition and its states."""
        self.pipeline = pipeline
        self.tree = tree
        self._definition_changed()

    def _definition_changed(self) -> None:
        """Forget values that were computed from the definition."""
        self._groups: dict[str, tuple[str, ...]] = {}
        self._sizes: dict[str, tuple[float, float]] = {}

    def ran_until(self, seen: float) -> None:
        """Extend the period that an end of the driver interrupted: a command ran until then."""
        self.activity = self.activity.extended(seen)

    # ---- queries ----------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The pipeline's id."""
        return self.record.id

    def settled(self) -> bool:
        """Return whether nothing runs, is queued, or will start by itself."""
        return settled(self.tree) and self.record.run_at is None

    def falls_asleep(self) -> bool:
        """Return whether the pipeline was launched to sleep when it is done, and is done."""
        done = self.settled() and self.tree.root.seen() is Outcome.OK
        return done and self.record.sleep_when_done and self.record.armed

    def counts(self, path: str = "/") -> Counts:
        """Return the numbers of Execs at or below ``path`` by state."""
        return self.tree.counts(self.tree.nodes[path])

    def status(self) -> PipelineStatus:
        """Return the status, for lists."""
        return PipelineStatus(
            state=self.tree.root.state,
            counts=self.counts(),
            settled=self.settled(),
            seq=self.seq,
            started=self.started,
            ended=self.ended,
            active_seconds=self.activity.seconds,
            active_since=self.activity.since,
            rounds=self.activity.rounds,
            warning=self.tree.root.warning,
            approvals=self.approvals() if self.asked else (),
        )

    def approvals(self) -> tuple[WaitingApproval, ...]:
        """Return the first `MAX_WAITING` approvals that wait for a decision, the oldest first."""
        self.asked = {path: time for path, time in self.asked.items() if self._waits(path)}
        found = []
        for path, since in sorted(self.asked.items(), key=itemgetter(1))[:MAX_WAITING]:
            node = self.tree.nodes[path]
            asked = node.spec.approval
            if asked is not None:
                waiting = WaitingApproval(
                    path=path,
                    message=asked.message[:MAX_SHOWN],
                    who=asked.who,
                    since=since,
                    attempt=node.attempt,
                    fields=len(asked.fields),
                    withdrawn=self.withdrawn.get(path, ())[-MAX_WITHDRAWN:],
                )
                found.append(waiting)
        return tuple(found)

    def _waits(self, path: str) -> bool:
        node = self.tree.nodes.get(path)
        return node is not None and node.state is State.QUEUED and node.spec.approval is not None

    @property
    def period(self) -> Period:
        """Start of the first round and end of the last one, which are those of the root."""
        rounds = self.activity.rounds
        if not rounds:
            return Period()
        start = self.started if self.activity.truncated else rounds[0].started
        return Period(start, rounds[-1].ended)

    def groups_above(self, path: str) -> tuple[str, ...]:
        """Return the groups above a node that limit the number of running Execs."""
        parent = parent_of(path) or ""
        if parent not in self._groups:
            nodes = self.tree.nodes
            self._groups[parent] = tuple(
                above for above in ancestors(path) if nodes[above].spec.max_concurrent is not None
            )
        return self._groups[parent]

    def size_of_context(self, pool: str) -> tuple[float, float]:
        """Return the CPUs and GB of a context's container, which must fit each of its Execs.

        For a pool that is no longer in the tree, both are 0.
        """
        if pool not in self._sizes:
            members = [node.placement for node in self.pipeline.execs() if node.pool == pool]
            self._sizes[pool] = (
                max((place.cpu for place in members), default=0.0),
                max((place.mem for place in members), default=0.0),
            )
        return self._sizes[pool]

    # ---- the record -------------------------------------------------------------------------

    def set_record(self, **changes: object) -> None:
        """Change fields of the record."""
        self.record = self.record.model_copy(update=changes)

    def perform(self, action: Action, problem: str | None = None) -> tuple[ev.Event, ...]:
        """Change the record by an action on the whole pipeline; return the events to apply.

        The caller sets the lifecycle of `LIFECYCLES` after the events of ``sleep`` and ``archive``.

        Args:
            action: The action.
            problem: Why the pipeline is paused, unless a user paused it.
        """
        match action:
            case Action.RUN:
                lifecycle = LIFECYCLES[action]
                self.set_record(armed=True, run_at=None, problem=None, lifecycle=lifecycle)
                return (ev.Armed(),)
            case Action.WAKE:
                self.set_record(run_at=None, lifecycle=LIFECYCLES[action])
                return ()
            case _:
                self.set_record(armed=False, run_at=None, problem=problem)
                ends = action is not Action.PAUSE
                return (ev.Disarmed(), ev.NodesKilled(("/",))) if ends else (ev.Disarmed(),)

    # ---- the definition -----------------------------------------------------------------------

    def redefine(self, record: PipelineRecord, pipeline: Pipeline, tree: TreeState) -> None:
        """Continue with another definition, paused, while no attempt is active.

        Args:
            record: That of a launch of the new definition.
            pipeline: The new definition.
            tree: Its states.
        """
        self.set_record(
            **{name: getattr(record, name) for name in _OF_SCRIPT},
            revision=self.record.revision + 1,
            armed=False,
            problem=None,
            lifecycle=Lifecycle.ACTIVE,
        )
        self.edits = {}
        self.lost_contexts = {}
        self.withdrawn = {}
        self.set_tree(pipeline, tree)

    def edit(self, edits: Mapping[str, dict[str, Any]], pipeline: Pipeline) -> ev.NodesModified:
        """Apply edits.

        Args:
            edits: The edits of each changed node.
            pipeline: The definition that results from all edits.

        Returns:
            The event to apply.
        """
        self.edits.update(edits)
        known = self.tree.nodes
        nodes = {path: spec for path, spec in pipeline.nodes.items() if path in known}
        self.pipeline.nodes.update(nodes)
        self._definition_changed()
        return ev.NodesModified({p: spec for p, spec in nodes.items() if known[p].spec != spec})

    def graft(self, target: str, generated: Pipeline) -> None:
        """Add a generated tree to the definition."""
        self.forget_below(target)
        self.pipeline.nodes.update(generated.nodes)
        self.pipeline.images.update(generated.images)

    def discard(self, target: str) -> None:
        """Remove a generated tree from the definition."""
        self.forget_below(target)
        emptied = self.tree.nodes.get(target)
        if emptied is not None:  # else the same event removed the tree around it
            self.pipeline.nodes[target] = emptied.spec

    def forget_below(self, target: str) -> list[str]:
        """Remove the nodes below ``target`` from the definition; return their paths."""
        below = "/" if target == "/" else target + "/"
        paths = [p for p in self.pipeline.nodes if p.startswith(below) and p != target]
        for path in paths:
            del self.pipeline.nodes[path]
        self._definition_changed()
        return paths

    # ---- events -----------------------------------------------------------------------------

    def follow(
        self,
        commands: Iterable[ev.Command],
        changes: Sequence[Change],
        now: float,
        end: Callable[[str], AttemptEnd],
    ) -> StateEffects:
        """Apply the results of the machine for one event.

        Args:
            commands: The machine's commands.
            changes: The changes of nodes.
            now: Time of the event.
            end: Returns the facts about the newest attempt of an Exec that has ended.
        """
        rows = self.rows_of(changes, now, end)
        left: list[ev.DriverCommand] = []
        for command in commands:
            if isinstance(command, ev.Discard):
                self.discard(command.path)
            elif not isinstance(command, ev.Notify) or command.path in self.tree.nodes:
                left.append(command)  # else the same event removed the tree of the notification
            if isinstance(command, ev.RequestApproval):
                self.asked[command.path] = now
                left += self._approval_notifications(command.path)
            if isinstance(command, ev.EndAttempt) and is_question(
                self.tree.nodes.get(command.path)
            ):
                earlier = self.withdrawn.pop(command.path, ())
                if command.note is not None:
                    self.withdrawn[command.path] = (*earlier, command.note)
        waiting = sum(map(self._waits, self.asked))
        retrying = len(self.tree.retrying)
        self.activity = self.activity.after(self.counts(), waiting, now, retrying=retrying)
        left += commands_for(self.record, changes)
        return StateEffects(left, rows)

    def _approval_notifications(self, path: str) -> list[ev.Notify]:
        node = self.tree.nodes.get(path)
        if node is None or node.spec.approval is None:
            return []
        again = [f"asked again: {why}" for why in self.withdrawn.get(path, ())[-MAX_WITHDRAWN:]]
        message = "\n".join([node.spec.approval.message, *again])
        return approval_commands(self.record, path, message)

    def rows_of(
        self, changes: Iterable[Change], now: float, end: Callable[[str], AttemptEnd]
    ) -> list[ChangeRow]:
        """Return the changes of one event, numbered; record the times that they set."""
        rows = []
        for change in changes:
            self.seq += 1
            if self.started is None and change.state is State.RUNNING:
                self.started = now
            ended = change.type is NodeType.EXEC and change.state in FINISHED
            facts = end(change.path) if ended else UNKNOWN
            rows.append(ChangeRow(self.seq, now, *change, facts.exit_code, facts.output_bytes))
        if rows and self.settled():
            self.ended = now
        return rows

    # ---- containers of ``new`` groups -----------------------------------------------------------

    def lose_context(self, pool: str, why: str, completed: int) -> bool:
        """Record the loss of a container; return whether the group needs the state in it.

        Args:
            pool: The pool of the container.
            why: The reason.
            completed: Number of commands that had ended in it.
        """
        lost = kind_of(pool) is PoolKind.CONTEXT and loses_state(self.tree, pool, completed)
        if lost:
            self.lost_contexts[pool] = why
        return lost

    def execs_without_context(self, reset: Collection[str] = ()) -> Iterator[tuple[LiveExec, str]]:
        """Yield the queued Execs that would continue in an empty container, and a message for each.

        Each must be ended, once and for all, before the next is requested.

        Args:
            reset: Subtrees that a user resets. To reset a part of a group is to accept a
                new container.
        """
        for pool, why in list(self.lost_contexts.items()):
            if is_renewed(self.tree, pool) or is_reset(self.tree, pool, reset):
                self.lost_contexts.pop(pool, None)
                continue
            group = self.tree.nodes.get(owner_of(pool) or "")
            for node in [] if group is None else list(self.tree.in_flight(group)):
                # Ending one may have ended or removed others.
                if node.state is State.QUEUED and node.spec.pool == pool:
                    yield node, loss(pool, why, self.id)
