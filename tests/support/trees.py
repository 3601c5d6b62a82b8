"""Small trees for tests, and a driver that runs the machine with scripted outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from conducto.wire.approvals import to_wire
from conducto.wire.references import ITEM
from conducto_core.run.model import events as ev
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.live_nodes import LiveExec, LiveGroup, LiveNode
from conducto_core.run.rules.machine import advance
from conducto_core.run.rules.outcomes import Outcome
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, Pipeline
from conducto_core.tree.rules.resolve import resolve

IMAGES = {"i": {"image": "busybox"}}


def serial(*children: Any, **params: Any) -> dict[str, Any]:
    return {"type": "Serial", "children": _named(children), **params}


def parallel(*children: Any, **params: Any) -> dict[str, Any]:
    return {"type": "Parallel", "children": _named(children), **params}


def leaf(name: str | None = None, **params: Any) -> dict[str, Any]:
    return {"type": "Exec", "command": "true", "name": name, **params}


def approve(
    name: str | None = None, *, who: Any = (), fields: Any = None, **params: Any
) -> dict[str, Any]:
    """Return the node of co.Approve; ``max_time`` is its timeout."""
    asked = {"message": "Release?", "who": list(who)}
    if fields is not None:
        asked["fields"] = to_wire(fields)
    return {"type": "Exec", "approval": asked, "name": name, **params}


def lazy(name: str | None = None, **params: Any) -> dict[str, Any]:
    """Return the nodes of co.Lazy: a Serial of Generate and an empty Execute."""
    callback = ["done", ["deserialize_into_node", {"target": "/any/Execute"}]]
    return serial(
        leaf("Generate", callbacks=[callback], **params), parallel(name="Execute"), name=name
    )


#: The parameter of an item that is any JSON value.
ANY_ITEM = {"name": "x", "kind": "json"}


def mapped(
    at: str | None = None, over: str = "/plan", *, generate: Any = None, **expand: Any
) -> dict[str, Any]:
    """Return the nodes of co.map over a result, which the driver expands.

    ``at``: its name; ``generate``: parameters of its Generate.
    """
    node = {"type": "Exec", "command": f"true {ITEM}"}
    written = {"over": over, "name": "{item}", "item": ANY_ITEM, "node": node, **expand}
    made = lazy(at, results=[over], expand=written, **(generate or {}))
    return {**made, "map": written.get("map", {})}


def _named(children: Iterable[Any]) -> list[tuple[str, dict[str, Any]]]:
    named = []
    for position, child in enumerate(children):
        node = leaf(child) if isinstance(child, str) else child
        named.append((node.get("name") or f"n{position}", node))
    return named


def form(root: dict[str, Any], images: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the launch form of a tree written with the helpers above."""
    nodes: list[dict[str, Any]] = []
    edges: list[list[str]] = []
    queue = [(root, "0")]
    while queue:
        node, node_id = queue.pop(0)
        written = {k: v for k, v in node.items() if k not in ("children", "name")}
        nodes.append({"id": node_id, **written})
        for i, (name, child) in enumerate(node.get("children", ())):
            edges.append([node_id, f"{node_id}.{i}", name])
            queue.append((child, f"{node_id}.{i}"))
    if images is None:
        images = IMAGES
        nodes[0].setdefault("image_name", "i")
    return {"nodes": nodes, "edges": edges, "images": images}


def pipeline(root: dict[str, Any]) -> Pipeline:
    return resolve(form(root))


class Driver:
    """Runs a tree step by step: the test chooses the next start and its outcome."""

    def __init__(self, root: dict[str, Any] | Pipeline, *, armed: bool = True) -> None:
        self.pipeline = root if isinstance(root, Pipeline) else pipeline(root)
        self.tree = TreeState(self.pipeline)
        self.queued: dict[str, int] = {}
        self.asking: dict[str, int] = {}
        self.expanding: dict[str, int] = {}
        self.running: dict[str, int] = {}
        self.stopping: set[str] = set()
        self.timers: dict[str, float] = {}
        self.history: list[tuple[str, int, State, Cause | None]] = []
        self.started: list[str] = []
        self.commands: list[ev.Command] = []
        if armed:
            self.send(ev.Armed())

    def send(self, event: ev.Event) -> list[ev.Command]:
        commands = advance(self.tree, event)
        for command in commands:
            self._execute(command)
        self.commands += commands
        check(self)
        return commands

    def _execute(self, command: ev.Command) -> None:
        match command:
            case ev.Enqueue(path, attempt):
                node = self.tree.nodes.get(path)
                by_driver = node is not None and node.spec.expansion is not None
                waiting = self.expanding if by_driver else self.queued
                assert path not in waiting
                assert path not in self.running
                waiting[path] = attempt
            case ev.RequestApproval(path, attempt):
                assert path not in self.asking
                self.asking[path] = attempt
            case ev.Withdraw(path, attempt):
                places = (self.asking, self.expanding, self.queued)
                waiting = next(place for place in places if path in place)
                assert waiting.pop(path) == attempt
            case ev.Stop(path, attempt):
                assert self.running[path] == attempt
                self.stopping.add(path)
            case ev.EndAttempt(path, attempt, state, cause):
                places = (self.queued, self.running, self.asking, self.expanding)
                assert [place.pop(path) for place in places if path in place] == [attempt]
                self.stopping.discard(path)
                self.history.append((path, attempt, state, cause))
            case ev.StartTimer(path, seconds):
                self.timers[path] = seconds
            case ev.CancelTimer(path):
                del self.timers[path]

    def start(self, path: str) -> None:
        attempt = self.queued.pop(path)
        self.running[path] = attempt
        self.started.append(path)
        self.send(ev.AttemptStarted(path, attempt))

    def finish(self, path: str, cause: Cause | None = None, **kw: Any) -> None:
        self.send(ev.AttemptFinished(path, self.running[path], cause, **kw))

    def decide(self, path: str, *, approve: bool = True) -> None:
        cause = None if approve else Cause.REJECTED
        self.send(ev.AttemptFinished(path, self.asking[path], cause))

    def generate(self, path: str, nodes: dict[str, NodeSpec]) -> None:
        self.send(ev.TreeGenerated(path, nodes))
        self.finish(path)

    def expand(self, path: str, nodes: dict[str, NodeSpec] | None) -> None:
        """Expand a map, or fail to."""
        if nodes is not None:
            self.send(ev.TreeGenerated(path, nodes))
        cause = Cause.LAZY if nodes is None else None
        self.send(ev.AttemptFinished(path, self.expanding[path], cause))

    def run(self, outcome: Callable[[str, int], Cause | None] = lambda _p, _n: None) -> None:
        """Run everything that can run, one Exec at a time, in queue order."""
        while self.queued or self.running:
            if self.queued:
                self.start(next(iter(self.queued)))
            path, attempt = next(iter(self.running.items()))
            self.finish(path, outcome(path, attempt))

    def state(self, path: str = "/") -> State:
        return self.tree.nodes[path].state

    def states(self) -> dict[str, str]:
        return {path: str(node.state) for path, node in self.tree.nodes.items()}


FAILS = Cause.EXIT_CODE


def check(driver: Driver) -> None:
    """Check the laws that hold after every event, computed here from the leaves alone."""
    tree = driver.tree
    assert not tree.notices
    outcomes: dict[str, Outcome] = {}
    startable: set[str] = set()
    _expect(tree, tree.root, outcomes, startable, reachable=True)
    flying = {n.path for n in tree.in_flight(tree.root)}
    waiting = set(driver.queued) | set(driver.asking) | set(driver.expanding)
    assert flying == waiting | set(driver.running)
    if tree.armed:
        assert not startable, f"could run and does not: {startable}"
    else:
        assert not driver.queued
        assert not driver.asking
        assert not driver.expanding


def _expect(
    tree: TreeState,
    node: LiveNode,
    outcomes: dict[str, Outcome],
    startable: set[str],
    *,
    reachable: bool,
) -> tuple[Outcome, int]:
    """Return a node's state from its parent's view, and the number of active Execs below it."""
    reachable = reachable and not node.skipped
    if isinstance(node, LiveExec):
        waits = node.retry_at is not None
        assert waits == (node.path in tree.retrying)
        flying = int(waits or node.state in (State.QUEUED, State.RUNNING))
        target = tree.nodes.get(node.spec.lazy_target or "")
        busy = isinstance(target, LiveGroup) and target.discarding
        if reachable and node.state is State.PENDING and not (busy or waits):
            startable.add(node.path)
        if flying:
            return Outcome.UNFINISHED, 1
        if node.skipped or node.state is State.DONE:
            return Outcome.OK, 0
        failed = node.state in (State.ERROR, State.KILLED)
        return (Outcome.FAILED if failed else Outcome.UNFINISHED), 0
    assert isinstance(node, LiveGroup)
    shut = node.expired or node.discarding or node.spec.awaits_tree
    reachable = reachable and not shut
    serial = node.spec.type == "Serial"
    seen: list[Outcome] = []
    flying = 0
    turn = True
    for child in node.children:
        outcome, below = _expect(tree, child, outcomes, startable, reachable=reachable and turn)
        seen.append(outcome)
        flying += below
        stops = outcome is Outcome.UNFINISHED or (
            outcome is Outcome.FAILED and node.spec.stop_on_error
        )
        if serial and stops:
            turn = False
    assert node.in_flight() == (flying > 0)
    if node.spec.map is not None and not serial and _enough(seen, node.spec.map.min_done):
        seen = [Outcome.OK if each is Outcome.FAILED else each for each in seen]
    total = _total(seen, serial=serial, stop=node.spec.stop_on_error)
    if node.spec.awaits_tree:
        total = Outcome.UNFINISHED
    expected = {
        Outcome.UNFINISHED: State.PENDING,
        Outcome.OK: State.DONE,
        Outcome.FAILED: State.DONE if node.spec.suppress_errors else State.ERROR,
    }[total]
    if node.expired:
        expected = State.DONE if node.spec.suppress_errors else State.KILLED
    if flying:
        expected = State.RUNNING
    assert node.state is expected, f"{node.path}: {node.state}, expected {expected}"
    result = {
        State.RUNNING: Outcome.UNFINISHED,
        State.PENDING: Outcome.UNFINISHED,
        State.DONE: Outcome.OK,
    }.get(expected, Outcome.FAILED)
    if node.skipped and not flying:
        result = Outcome.OK
    return result, flying


def _enough(seen: list[Outcome], min_done: float) -> bool:
    """Return whether the children that have not failed are the share that must be done."""
    left = len(seen) - seen.count(Outcome.FAILED)
    return left >= Decimal(str(min_done)) * len(seen)


def _total(seen: list[Outcome], *, serial: bool, stop: bool) -> Outcome:
    if serial:
        for outcome in seen:
            if outcome is Outcome.UNFINISHED:
                return Outcome.UNFINISHED
            if outcome is Outcome.FAILED and stop:
                return Outcome.FAILED
    elif Outcome.UNFINISHED in seen:
        return Outcome.UNFINISHED
    return Outcome.FAILED if Outcome.FAILED in seen else Outcome.OK
