"""Games on both targets: the local machine, and the whole cloud on fakes.

A seed determines the tree, the outcomes, the user's actions, and the failures of the cloud. The
cloud leads, since its workers start what they can; the local machine gets the same events, and
after every move both must have the same state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.errors import ConflictError
from chalicelib.run.model import ApprovalDecided, TimeLimitsExpired
from chalicelib.run.rules.deferred import BackgroundEvent
from chalicelib.services import Services
from chalicelib.workers.port import TaskEnd
from conducto.wire.lazy_form import from_wire_document
from conducto_core.billing.rules import BillingPlan
from conducto_core.programs.rules.continuation import continuation, continued_tree
from conducto_core.programs.rules.fingerprints import fingerprint
from conducto_core.run.model import events as ev
from conducto_core.run.model.records import ApprovalDecision
from conducto_core.run.model.requests import Action, Changes
from conducto_core.run.model.states import Cause
from conducto_core.run.rules.actions import events_of, events_of_modify
from conducto_core.run.rules.machine import settled
from conducto_core.tree.model import Pipeline
from conducto_core.tree.rules.callbacks import PoolKind, kind_of
from conducto_core.tree.rules.resolve import resolve_generated
from conducto_core.workers.model import WarmPool
from conducto_core.workers.rules import pools as capacity
from support.asl.play import SMALL
from support.asl.random_trees import ask, random_cause, random_tree, tolerate, wait
from support.cloud.crowd import Crowd
from support.cloud.world import ME, World
from support.trees import Driver, form, leaf, pipeline

if TYPE_CHECKING:
    from conducto_core.tree.model import NodeSpec


class LostError(Exception):
    """A call to AWS was lost, or its response was."""


class Lossy:
    """A port whose calls are lost at random, before they arrive or after."""

    def __init__(self, port: Any, rng: Random, calls: tuple[str, ...], share: float) -> None:
        self._port, self._rng, self._calls, self._share = port, rng, calls, share

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if name not in self._calls:
            return call

        def perhaps(*args: Any, **kwargs: Any) -> Any:
            chance = self._rng.random()
            if chance < self._share / 2:
                raise LostError(name)
            response = call(*args, **kwargs)
            if chance < self._share:
                raise LostError(name)
            return response

        return perhaps


class Busy:
    """A store with concurrent writers, which sometimes write first."""

    def __init__(self, store: Any, rng: Random, share: float) -> None:
        self._store, self._rng, self._share = store, rng, share

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, org: str, pipeline_id: str, entry: Any) -> None:
        if self._rng.random() < self._share:
            raise ConflictError(pipeline_id)
        self._store.commit(org, pipeline_id, entry)


class Lambdas:
    """Several processes over one store: each request goes to one of them, like in AWS."""

    def __init__(self, processes: list[Services], rng: Random) -> None:
        self._processes, self._rng = processes, rng

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rng.choice(self._processes), name)


@dataclass
class CloudGame:
    """One tree, run by both targets.

    Attributes:
        tree: The tree as written.
        moves: The moves so far, for the message of a failure.
        whole: No call to AWS is lost: every runnable node runs at once.
    """

    seed: int
    world: World
    local: Driver
    id: str
    rng: Random
    tree: dict[str, Any]
    whole: bool = True
    moves: list[str] = field(default_factory=list)
    _ran: dict[str, str | None] = field(default_factory=dict)
    _printed: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._early = Random(self.seed)

    # ---- moves ---------------------------------------------------------------------------------

    def order(self, kind: str, *paths: str) -> None:
        self.moves.append(f"{kind} {paths}")
        self.world.control(self.id, kind, *paths)
        for event in events_of(self.local.tree, Action(kind), paths, ME.actor):
            self.local.send(event)
        self.settle()

    def arm(self, *, armed: bool) -> None:
        self.moves.append("run" if armed else "pause")
        self.world.control(self.id, "run" if armed else "pause")
        self.local.send(ev.Armed() if armed else ev.Disarmed())
        self.settle()

    def expire(self, path: str) -> None:
        self.moves.append(f"time of {path} is up")
        passed = TimeLimitsExpired(time=self.world.now, paths=(path,))
        self.world.engine.submit(ME.org, self.id, lambda _: passed)
        self.local.send(ev.TimeLimitReached(path))
        self.settle()

    def modify(self, path: str) -> None:
        self.moves.append(f"modify {path}")
        given: dict[str, Any] = {"suppress_errors": self.rng.random() < 0.3}
        spec = self.local.tree.nodes[path].spec
        kind = str(spec.type)
        if kind == "Exec" and spec.approval is None:
            given["command"] = self.rng.choice(["false", "true", "sleep 1"])
        if kind == "Serial":
            given["stop_on_error"] = self.rng.random() < 0.5
        self.world.control(self.id, "modify", path, changes=Changes(**given))
        nodes = self.local.tree.nodes
        with self.world.engine.reading(ME.org, self.id) as live:
            edited = {
                p: spec
                for p, spec in live.pipeline.nodes.items()
                if p in nodes and spec != nodes[p].spec
            }
        modified = ev.NodesModified(edited)
        for event in events_of_modify(self.local.tree, modified, (path,), ME.actor):
            self.local.send(event)
        self.settle()

    def finish(self, path: str, cause: Cause | None) -> None:
        """End a running Exec on both targets; a Lazy generates a random tree."""
        hand = self.world.running()[path]
        stopping = path in self.local.stopping
        assert hand.heartbeat() == stopping, f"{path}: told to stop: {not stopping}\n{self.story()}"
        node = self.local.tree.nodes[path]
        mem = node.spec.placement.mem if node.mem is None else node.mem
        prints = node.spec.lazy_target is not None and not stopping and cause is None
        document = None
        if prints:
            document = self._tree() if self.rng.random() < 0.9 else None
            if document is None:
                cause = Cause.LAZY
            else:
                nodes = self._resolved(str(node.spec.lazy_target), document)
                self.local.send(ev.TreeGenerated(path, nodes))
                self._printed.pop(str(node.spec.lazy_target), None)
                self._printed[str(node.spec.lazy_target)] = from_wire_document(document)
        self.moves.append(f"finish {path} {cause} {'prints' if document else ''}")
        self.local.finish(path, cause, mem=mem, time=self.world.now)
        early = self._early.random() < 0.5
        hand.finish(None if cause is Cause.LAZY else cause, tree=document, early=early)
        self.settle()

    def decide(self, path: str, *, approve: bool) -> None:
        """Decide an approval on both targets."""
        self.moves.append(f"{'approve' if approve else 'reject'} {path}")
        decision = ApprovalDecision(approved=approve, by=ME.user, time=self.world.now)
        attempt = self.local.asking[path]
        decided = ApprovalDecided(
            time=self.world.now, path=path, attempt=attempt, decision=decision
        )
        self.world.engine.submit(ME.org, self.id, lambda _: decided)
        self.local.decide(path, approve=approve)
        self.settle()

    def lose(self, path: str) -> None:
        """Lose the worker of an Exec; ECS reports it."""
        self.moves.append(f"lose the worker of {path}")
        hand = self.world.running()[path]
        hand.vanish()
        self.world.reconciler().task_stopped(self.id, hand.id, TaskEnd("Host EC2 terminated"))
        node = self.local.tree.nodes[path]
        mem = node.spec.placement.mem if node.mem is None else node.mem
        self.local.finish(path, Cause.WORKER_LOST, mem=mem, time=self.world.now)
        self.settle()

    def _tree(self) -> dict[str, Any]:
        tree = random_tree(self.rng, leaves=4, plain=True, lazies=self.rng.random() < 0.3)
        tolerate(tree, Random(len(self.moves)))
        return form(tree)

    def _resolved(self, target: str, document: dict[str, Any]) -> dict[str, Any]:
        with self.world.engine.reading(ME.org, self.id) as live:
            edits = dict(live.edits)
        specs = {n.path: n.spec for n in self.local.tree.nodes.values()}
        here = Pipeline(specs, self.local.pipeline.images)
        return resolve_generated(from_wire_document(document), target, here, edits).nodes

    def continue_changed(self) -> None:
        """Replace the tree on both targets, after one or two random changes."""
        for _ in range(self.rng.randint(0, 2)):
            self.moves.append(_change(self.tree, self.rng, len(self.moves)))
        self.moves.append("continue")
        old = self.local.tree
        forms = {
            target: written
            for target, written in self._printed.items()
            if target in old.nodes and not old.nodes[target].spec.awaits_tree
        }
        made = continuation(
            old,
            self._ran,
            form(self.tree),
            forms,
            lambda new: {spec.path: _print(spec) for spec in new.execs()},
        )
        tried = {path: number for path, number, *_ in self.local.history}
        there = self.world.continue_with(self.id, self.tree)
        assert there.nodes == made.plan.nodes(), self.story()
        assert there.removed == made.plan.removed, self.story()
        kept = set(made.plan.kept_paths())
        self.local.tree = continued_tree(old, made.pipeline, kept, tried)
        self.local.pipeline = made.pipeline
        self.local.timers.clear()
        self.settle()

    # ---- the comparison ------------------------------------------------------------------------

    def settle(self) -> None:
        """Let the cloud's workers poll tasks, and compare."""
        self.world.serve()
        self.mirror()
        self.compare()

    def mirror(self) -> None:
        """Repeat the cloud's starts and lost contexts locally."""
        with self.world.engine.reading(ME.org, self.id) as live:
            due = self.local.tree.retries_due(live.now)
        if due:
            self.moves.append(f"retry {due}")
            self.local.send(ev.RetriesDue(due))
        for a in self.world.store.attempts(self.id):  # that of a retry may miss it, too
            if a.cause is Cause.WORKER_LOST and self.local.queued.get(a.path) == a.number:
                self.moves.append(f"{a.path} misses its context")
                self.local.send(ev.AttemptFinished(a.path, a.number, a.cause, final=True))
        for path in sorted(self.world.running()):
            if path not in self.local.running:
                assert path in self.local.queued, f"started {path} out of turn\n{self.story()}"
                self.local.start(path)
                self._ran[path] = _print(self.local.tree.nodes[path].spec)

    def compare(self) -> None:
        with self.world.engine.reading(ME.org, self.id) as live:
            there = {path: live.tree.state_of(node) for path, node in live.tree.nodes.items()}
            assert live.cloud_machine.run_state.refused == [], self.story()
            workers = len(list(live.registry.staying()))
        here = {path: self.local.tree.state_of(n) for path, n in self.local.tree.nodes.items()}
        differing = [p for p in here.keys() | there.keys() if here.get(p) != there.get(p)]
        said = "\n".join(f"{p}: here {here.get(p)}\n   there {there.get(p)}" for p in differing)
        assert not differing, f"{said}\n{self.story()}"
        self._check_confined()
        if self.whole and not self.world.running():
            assert not self.local.queued, f"nobody runs {set(self.local.queued)}\n{self.story()}"
        assert self.world.orgs.workers(ME.org) == workers, self.story()
        ended = [
            (a.path, a.number, a.state, a.cause)
            for a in self.world.store.attempts(self.id)
            if a.ended is not None
        ]
        assert sorted(ended, key=repr) == sorted(self.local.history, key=repr), self.story()

    def _check_confined(self) -> None:
        """Check the limits of groups, and one command per dedicated container."""
        running = self.world.running()
        for node in self.local.tree.nodes.values():
            maximum = node.spec.max_concurrent
            below = [p for p in running if p.startswith(node.path.rstrip("/") + "/")]
            # An edit or a reset could lower earlier reservations, but these games make none.
            assert maximum is None or len(below) <= maximum, f"{node.path}: {below}\n{self.story()}"
        pools = [self.local.tree.nodes[p].spec.pool for p in running]
        contexts = [pool for pool in pools if kind_of(pool) is PoolKind.CONTEXT]
        assert len(contexts) == len(set(contexts)), f"{contexts}\n{self.story()}"

    def story(self) -> str:
        return f"seed {self.seed}\n" + "\n".join(self.moves)

    # ---- the game ------------------------------------------------------------------------------

    def play_on(self, *, times: int = 2) -> None:
        """Continue the pipeline with changed trees, and run out each of them."""
        for _ in range(times):
            self.continue_changed()
            self.play(orders=2)

    def play(self, *, orders: int = 10) -> None:
        self.arm(armed=True)
        for _ in range(self.rng.randint(0, orders * 3)):
            self._move()
        self.arm(armed=True)
        self.run_out()

    def run_out(self) -> None:
        """Run everything that can still run, minute by minute."""
        for _ in range(600):
            running = sorted(self.world.running())
            if running:
                self.finish(self.rng.choice(running), random_cause(self.rng))
            elif settled(self.local.tree):
                return
            elif self.local.asking and not self.local.queued:
                path = self.rng.choice(sorted(self.local.asking))
                self.decide(path, approve=self.rng.random() < 0.8)
            else:
                self.moves.append("a minute")
                self.world.minute(70)
                self.settle()
        raise AssertionError(f"it does not come to an end\n{self.story()}")

    def _move(self) -> None:
        rng, running = self.rng, sorted(self.world.running())
        kind = rng.choice(["order"] + ["finish"] * 4 * bool(running))
        if kind == "finish":
            path = rng.choice(running)
            if rng.random() < 0.1:
                self.lose(path)
            else:
                self.finish(path, random_cause(rng))
            return
        if self.local.asking and rng.random() < 0.4:
            self.decide(rng.choice(sorted(self.local.asking)), approve=rng.random() < 0.7)
            return
        self._order()

    def _order(self) -> None:
        rng = self.rng
        chance = rng.random()
        groups = [p for p in sorted(self.local.timers) if p not in self.local.running]
        if chance < 0.1 and groups:
            self.expire(rng.choice(groups))
        elif chance < 0.2:
            self.arm(armed=rng.random() < 0.5)
        elif chance < 0.3:
            self.modify(rng.choice(sorted(self.local.tree.nodes)))
        elif chance < 0.4:
            self.moves.append("a minute")
            self.world.minute(70)
            self.settle()
        else:
            paths = sorted(self.local.tree.nodes)
            chosen = rng.sample(paths, k=min(len(paths), rng.randint(1, 2)))
            self.order(rng.choice(["reset", "reset", "skip", "unskip", "kill"]), *chosen)


def _print(spec: NodeSpec) -> str | None:
    return fingerprint(spec, spec.command, "busybox", "")


def _perhaps(processes: list[Services], rng: Random, lossy: float, event: BackgroundEvent) -> None:
    """Lose an invocation, or execute it once or twice."""
    chance = rng.random()
    for share in (lossy / 2, 1 - lossy / 2):
        if chance >= share:
            sent = BackgroundEvent.model_validate_json(event.model_dump_json(exclude_defaults=True))
            services = rng.choice(processes)
            if sent.effects is not None:
                services.engine.deferred.execute(sent.effects)
            if sent.checks is not None:
                services.reconciler.check(sent.checks, lambda: 800.0)


def _change(tree: dict[str, Any], rng: Random, number: int) -> str:
    """Change one node of a tree as written; ``number`` makes names unique."""
    groups = [tree]
    for group in groups:
        groups += [child for _, child in group.get("children", ()) if child.get("children")]
    group = rng.choice(groups)
    children = group.get("children")
    if not children:
        _work(tree, number)
        return "change the only command"
    at = rng.randrange(len(children))
    name, child = children[at]
    kind = rng.choice(["change", "change", "rename", "insert", "delete", "swap"])
    match kind:
        case "change" if child["type"] == "Exec":
            _work(child, number)
        case "change":
            child["stop_on_error"] = not child.get("stop_on_error", True)
        case "rename" if not _is_fixed(name):
            children[at] = (f"renamed{number}", child)
        case "insert":
            children.insert(at, (f"inserted{number}", leaf()))
        case "delete" if len(children) > 1 and not _is_fixed(name):
            del children[at]
        case "swap" if not _is_fixed(name):
            children[at], children[-1] = children[-1], children[at]
    return f"{kind} {name}"


def _work(node: dict[str, Any], number: int) -> None:
    """Give an Exec another command, or another question."""
    if "approval" in node:
        node["approval"] = {"message": f"Release {number}?"}
    else:
        node["command"] = f"true {number}"


def _is_fixed(name: str) -> bool:
    return name in ("Generate", "Execute")


def _stretch(node: dict[str, Any]) -> None:
    """Raise time limits so that only `CloudGame.expire` reaches them."""
    if "max_time" in node:
        node["max_time"] = 10**7
    for _, child in node.get("children", ()):
        _stretch(child)


def _retry_lost(node: dict[str, Any], rng: Random) -> None:
    """Let some nodes run again when their container is lost."""
    if rng.random() < 0.3:
        node["retry_lost"] = rng.randint(0, 2)
    for _, child in node.get("children", ()):
        _retry_lost(child, rng)


def _confine(node: dict[str, Any], rng: Random) -> None:
    """Give some groups a limit, and some nodes containers of their own."""
    if "children" in node and rng.random() < 0.3:
        node["max_concurrent"] = rng.randint(1, 2)
    if rng.random() < 0.15:
        node["container_reuse_context"] = "new"
    for _, child in node.get("children", ()):
        _confine(child, rng)


def new_game(
    seed: int,
    *,
    lossy: float = 0.0,
    conflicts: float = 0.0,
    confined: bool = False,
    crowded: float = 0.0,
) -> CloudGame:
    """Return the game of a seed, not started.

    Args:
        seed: Source of all decisions.
        confined: Use capacity groups and dedicated containers.
        lossy: Share of the calls to AWS that are lost.
        conflicts: Share of commits that conflict; there are three processors then.
        crowded: Share of calls at which others compete (`Crowd`); there are three processors then.
    """
    rng = Random(seed)
    tree = random_tree(rng, leaves=rng.choice([3, 6, 10, 14]))
    _retry_lost(tree, Random(seed))  # a separate generator, so that other games stay the same
    if confined:
        _confine(tree, rng)
    ask(tree, Random(seed))
    wait(tree, Random(seed))
    tolerate(tree, Random(seed))
    _stretch(tree)
    least = 1 + max(capacity.extras(pipeline(tree).nodes).values(), default=0)
    maximum = max(least, rng.choice([1, 2, 3, 100]))
    world = World(BillingPlan("scale", max_workers=maximum, exec_minutes=None))
    small = {} if rng.random() < 0.5 else {"max_machine_size": rng.choice(SMALL)}
    faults = Random(seed + 1)
    ports: dict[str, Any] = {**small, "warm": WarmPool(workers=seed % 3, seconds=150)}
    if lossy:
        calls = ("start", "stop", "succeed", "fail", "create")
        ports["machines"] = Lossy(world.machines, faults, calls, lossy)
        ports["fleet"] = Lossy(world.fleet, faults, ("start", "stop"), lossy)
        ports["invoke_background"] = lambda event: _perhaps(processes, faults, lossy, event)
    if conflicts:
        ports["store"] = Busy(world.store, faults, conflicts)
    if crowded:
        crowd = Crowd(world, faults, crowded)
        ports |= {"store": crowd, "sleep": crowd.sleep}
    conflicts += crowded
    every = 5 if conflicts else 1000
    lambdas = range(3 if conflicts else 1)
    processes: list[Services] = []
    processes += [Services(world.over(**ports), snapshot_every=every) for _ in lambdas]
    world.services = Lambdas(processes, faults) if conflicts else processes[0]  # type: ignore[assignment]
    local = Driver(pipeline(tree), armed=False)
    whole = not lossy and not confined and world.orgs.plan(ME.org).max_workers == 100
    id_ = world.launch(tree, run=False)
    return CloudGame(seed, world, local, id_, rng, tree, whole=whole)
