"""The state of a pipeline of `tests.fakes.pipelines`, and its transitions."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.data import MemoryData

from conducto_core.command.model import Resources
from conducto_core.run.handlers import holding
from conducto_core.run.model.params import Stream, TreeParams
from conducto_core.run.model.records import (
    AttemptRecord,
    Counts,
    ImageRecord,
    NodeChange,
    PipelineRecord,
)
from conducto_core.run.model.requests import Action, ControlRequest, NodeView, PipelineSummary
from conducto_core.run.model.states import FAILED, IN_FLIGHT, Cause, NodeType, State
from conducto_core.tree.model import ancestors, parent_of


@dataclass
class PipelineState:
    """One pipeline: nodes by path, parents first, and all its changes."""

    record: PipelineRecord
    nodes: dict[str, NodeView]
    images: dict[str, ImageRecord] = field(default_factory=dict)
    image_logs: dict[str, str] = field(default_factory=dict)
    changes: list[NodeChange] = field(default_factory=list)
    output: dict[tuple[str, int, str], bytes] = field(default_factory=dict)
    times: dict[tuple[str, int, str], list[tuple[int, float]]] = field(default_factory=dict)
    resources: dict[tuple[str, int], Resources] = field(default_factory=dict)
    readers: set[Callable[[], None]] = field(default_factory=set)
    data: MemoryData = field(default_factory=MemoryData)

    def summary(self) -> PipelineSummary:
        """Return the summary for a list."""
        root = self.nodes["/"]
        counts = self.counts("/")
        moving = counts.queued + counts.running
        startable = counts.pending if self.record.armed else 0
        return PipelineSummary(
            pipeline=self.record,
            state=root.state,
            counts=counts,
            settled=moving == 0 and (startable == 0 or root.state in FAILED),
            seq=len(self.changes),
            images=tuple(self.images.values()),
        )

    def below(self, root: str) -> list[NodeView]:
        """Return a subtree, its root first."""
        prefix = "/" if root == "/" else f"{root}/"
        return [n for p, n in self.nodes.items() if p == root or p.startswith(prefix)]

    def named(self, request: ControlRequest) -> ControlRequest:
        """Return a request on failures with the paths of the failed Execs."""
        below = [node for top in request.paths or ("/",) for node in self.below(top)]
        execs = {node.path: node for node in below if node.type is NodeType.EXEC}
        paths = tuple(p for p, n in execs.items() if n.state in FAILED and not n.skipped)
        return request.model_copy(update={"paths": paths, "failed": False})

    def numbered(self, node: NodeView) -> NodeView:
        """Return a node with its number of children."""
        children = sum(parent_of(path) == node.path for path in self.nodes)
        return node.model_copy(update={"children": children})

    def counts(self, root: str) -> Counts:
        """Return the Execs of a subtree by state."""
        numbers: dict[str, int] = {}
        for node in self.below(root):
            if node.type is NodeType.EXEC:
                runs = not node.skipped or node.state is not State.PENDING
                numbers[node.state] = numbers.get(node.state, 0) + runs
                numbers["skipped"] = numbers.get("skipped", 0) + node.skipped
        return Counts.model_validate(numbers)

    def publish(self, node: NodeView) -> None:
        """Replace a node and record the change."""
        last = node.attempts[-1] if node.attempts else None
        self.nodes[node.path] = node
        self.changes.append(
            NodeChange(
                seq=len(self.changes) + 1,
                time=time.time(),
                path=node.path,
                type=node.type,
                state=node.state,
                skipped=node.skipped,
                cause=node.cause,
                warning=node.warning,
                attempt=last.number if last is not None else 0,
                exit_code=last.exit_code if last is not None else None,
                output_bytes=last.output_bytes if last is not None else None,
            )
        )

    def end_of_output(self, path: str, number: int, stream: Stream, count: int) -> bytes:
        """Return the last bytes of an attempt's output."""
        return self.output.get((path, number, stream), b"")[-count:]

    def output_bytes(self, path: str, number: int) -> int:
        """Return the size of an attempt's stdout and stderr."""
        return sum(len(self.output.get((path, number, s), b"")) for s in ("stdout", "stderr"))

    def roll_up(self, path: str) -> None:
        """Update the groups above a node."""
        for above in ancestors(path):
            children = self.below(above)[1:]
            states = {n.state for n in children if n.type is NodeType.EXEC and not n.skipped}
            before = self.nodes[above]
            group = before.model_copy(
                update={"state": _state_of_group(states), "counts": self.counts(above)}
            )
            self.nodes[above] = group
            if group.state is not before.state:
                self.publish(group)


def _state_of_group(states: set[State]) -> State:
    if states & IN_FLIGHT:
        return State.RUNNING
    if states & FAILED:
        return State.ERROR
    return State.PENDING if State.PENDING in states else State.DONE


def is_asked_for(node: NodeView, query: TreeParams) -> bool:
    """Return whether a node of the subtree matches ``query``."""
    level = sum(1 for _ in ancestors(node.path)) - sum(1 for _ in ancestors(query.root))
    if query.depth is not None and level > query.depth:
        return False
    if query.state is not None and node.state is not query.state:
        return False
    if query.failed and not _is_failure(node):
        return False
    if query.state is not None and not query.failed and node.type is not NodeType.EXEC:
        return False
    return holding(query.text or "")(node.path, node.command or "")


def _is_failure(node: NodeView) -> bool:
    if node.state not in FAILED or node.skipped:
        return False
    return node.stopped_by is None if node.type is NodeType.EXEC else node.cause is Cause.TIMEOUT


def with_attempts(node: NodeView, query: TreeParams) -> NodeView:
    """Return a node with the attempts that ``query`` requests."""
    match query.attempts:
        case "all":
            return node
        case "newest":
            return node.model_copy(update={"attempts": node.attempts[-1:]})
        case "none":
            return node.model_copy(update={"attempts": ()})


def next_attempts(
    node: NodeView, state: State, fields: Mapping[str, Any]
) -> tuple[AttemptRecord, ...]:
    """Return a node's attempts after a change to ``state``; ``fields`` are those of the newest."""
    if state in (State.PENDING, State.QUEUED) or node.type is not NodeType.EXEC:
        return node.attempts
    now = time.time()
    given = {"state": state, **fields}
    if state is State.RUNNING:
        command = "" if node.command is None else node.command
        started = AttemptRecord.model_validate(
            {
                "path": node.path,
                "number": len(node.attempts) + 1,
                "command": command,
                "queued": now,
                "started": now,
                **given,
            }
        )
        return (*node.attempts, started)
    if not node.attempts:
        return ()
    return (*node.attempts[:-1], node.attempts[-1].model_copy(update={"ended": now, **given}))


def ordered(node: NodeView, action: Action) -> NodeView:
    """Return a node after an action."""
    match action:
        case Action.SKIP | Action.UNSKIP:
            return node.model_copy(update={"skipped": action is Action.SKIP})
        case Action.RESET | Action.RERUN | Action.REBUILD:
            return node.model_copy(update={"state": State.PENDING, "cause": None})
        case Action.KILL:
            if node.state not in IN_FLIGHT:
                return node
            update = {"state": State.KILLED, "cause": Cause.KILLED_BY_USER}
            return node.model_copy(update=update)
        case _:
            return node
