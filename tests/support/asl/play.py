"""Games: the same events on both targets must lead to the same offers and states.

A seed determines the tree, the limits of a machine, the outcomes and the actions. The targets are
compared after every move.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any

from conducto_core.asl.rules.partition import MAX_SIZE, Size
from conducto_core.run.model import events as ev
from conducto_core.run.model.states import Cause
from conducto_core.run.rules.machine import settled
from conducto_core.tree.model import Pipeline
from conducto_core.tree.rules.resolve import resolve_generated
from support.asl.cloud import Cloud
from support.asl.random_trees import (
    ask,
    decide,
    expand,
    random_cause,
    random_tree,
    tolerate,
    wait,
)
from support.trees import Driver, form, pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.asl.port import Engine

#: Machines so small that nearly every tree is split.
SMALL = (Size(3, 10**6, 10**6, 2), Size(4, 10**6, 10**6, 2), Size(6, 10**6, 10**6, 3))


@dataclass
class Game:
    """One tree, run by both targets.

    Attributes:
        moves: The moves so far, for the message of a failure.
        seconds: Seconds that the cloud's interpreter may take to catch up.
    """

    local: Driver
    cloud: Any
    rng: Random
    seconds: float = 0.0
    moves: list[str] = field(default_factory=list)

    def send(self, event: ev.Event) -> None:
        """Send an event to both targets."""
        self.moves.append(repr(event))
        self.local.send(event)
        self.cloud.apply(event)
        self.compare()

    def start(self, path: str) -> None:
        """Start a queued Exec on both targets."""
        self.moves.append(f"start {path}")
        self.local.start(path)
        self.cloud.start(path)
        self.compare()

    def decide(self, path: str, *, approve: bool) -> None:
        """Decide an approval on both targets."""
        self.moves.append(f"{'approve' if approve else 'reject'} {path}")
        self.local.decide(path, approve=approve)
        self.cloud.finish(path, None if approve else Cause.REJECTED)
        self.compare()

    def expand(self, path: str, *, fails: bool = False) -> None:
        """Let both drivers expand a map, to a random tree."""
        self.moves.append(f"{'fail to expand' if fails else 'expand'} {path}")
        target = str(self.local.tree.nodes[path].spec.lazy_target)
        nodes = None if fails else self._generated(target)
        self.local.expand(path, nodes)
        if nodes is not None:
            self.cloud.generate(path, nodes)
        self.cloud.finish(path, Cause.LAZY if fails else None)
        self.compare()

    def finish(self, path: str, cause: Cause | None, result: bytes | None = None) -> None:
        """End a running Exec on both targets; a Lazy generates a random tree."""
        self.moves.append(f"finish {path} {cause}")
        node = self.local.tree.nodes[path]
        prints = node.spec.lazy_target is not None and path not in self.local.stopping
        if prints and cause is None and self.rng.random() < 0.9:
            nodes = self._generated(str(node.spec.lazy_target))
            self.local.send(ev.TreeGenerated(path, nodes))
            self.cloud.generate(path, nodes)
        returned = result or (b'"a"' if Random(len(self.moves)).random() < 0.5 else b'"b"')
        known = None if cause else self.local.tree.known_of(path, lambda: returned)
        self.local.finish(path, cause, mem=2.0, known=known)
        self.cloud.finish(path, cause, mem=2.0, known=known)
        self.compare()

    def _generated(self, target: str) -> dict[str, Any]:
        specs = {n.path: n.spec for n in self.local.tree.nodes.values()}
        here = Pipeline(specs, self.local.pipeline.images)
        tree = random_tree(self.rng, leaves=4, plain=True, lazies=self.rng.random() < 0.3)
        tolerate(tree, Random(len(self.moves)))
        decide(tree, Random(len(self.moves)))
        expand(tree, Random(len(self.moves)))
        return resolve_generated(form(tree), target, here).nodes

    def run_out(self, cause: Callable[[Random], Cause | None] = random_cause) -> None:
        """Run everything that can still run."""
        for _ in range(1000):
            if self.local.queued and (not self.local.running or self.rng.random() < 0.5):
                self.start(self.rng.choice(sorted(self.local.queued)))
            elif self.local.running:
                self.finish(self.rng.choice(sorted(self.local.running)), cause(self.rng))
            elif self.local.expanding:
                path = self.rng.choice(sorted(self.local.expanding))
                self.expand(path, fails=self.rng.random() < 0.1)
            elif self.local.tree.retrying:
                self.send(ev.RetriesDue(tuple(self.local.tree.retrying)))
            elif self.local.asking:
                path = self.rng.choice(sorted(self.local.asking))
                self.decide(path, approve=self.rng.random() < 0.8)
            else:
                return
        raise AssertionError("it does not come to an end")

    # ---- the comparison ------------------------------------------------------------------------

    def compare(self) -> None:
        """Check that both targets have the same state, and that every runnable node is offered."""
        self._catch_up()
        story = "\n".join(self.moves)
        assert self.cloud.refused == [], f"offered out of turn: {self.cloud.refused}\n{story}"
        offered, queued = self.cloud.startable(), set(self.local.queued)
        assert offered == queued, f"offered {offered}, could run: {queued}\n{story}"
        here, there = _status(self.local.tree), _status(self.cloud.tree)
        assert here == there, f"{_differences(here, there)}\n{story}"
        assert self.local.history == self.cloud.history, story
        if settled(self.local.tree):
            outcome, expected = self.cloud.outcome(), self.cloud.expected_outcome()
            assert outcome == expected, f"execution {outcome}, expected {expected}\n{story}"

    def _catch_up(self) -> None:
        """Let the cloud's workers fetch tasks until all runnable nodes are offered, or time out."""
        end = time.monotonic() + self.seconds
        while True:
            self.cloud.serve()
            if self._is_caught_up() or time.monotonic() > end:
                return
            time.sleep(0.005)

    def _is_caught_up(self) -> bool:
        if settled(self.local.tree):
            return bool(self.cloud.outcome() == self.cloud.expected_outcome())
        return bool(self.cloud.startable() == set(self.local.queued))


def _status(tree: Any) -> dict[str, Any]:
    return {path: tree.state_of(node) for path, node in tree.nodes.items()}


def _differences(here: dict[str, Any], there: dict[str, Any]) -> str:
    return "\n".join(
        f"{path}: here {here.get(path)}, in the cloud {there.get(path)}"
        for path in here.keys() | there.keys()
        if here.get(path) != there.get(path)
    )


def game_of(tree: dict[str, Any], engine: Engine, maximum: Size = MAX_SIZE, seed: int = 0) -> Game:
    """Return a game on a test's own tree, not started."""
    resolved = pipeline(tree)
    return Game(Driver(resolved, armed=False), Cloud(resolved, engine, maximum), Random(seed))


def new_game(
    seed: int, engine: Engine, *, cloud: type = Cloud, plain: bool = False, seconds: float = 0.0
) -> Game:
    """Return the game of a seed, not started."""
    rng = Random(seed)  # a game, not a secret
    written = random_tree(rng, leaves=rng.choice([3, 6, 10, 14]), plain=plain)
    if not plain:  # each approval ends an execution
        ask(written, Random(seed))
        wait(written, Random(seed))
        tolerate(written, Random(seed))
        expand(written, Random(seed))
        if seed % 2 == 0:  # conditions skip so much that some other states are rare with them
            decide(written, Random(seed))
    tree = pipeline(written)
    maximum = MAX_SIZE if rng.random() < 0.5 else rng.choice(SMALL)
    return Game(Driver(tree, armed=False), cloud(tree, engine, maximum), rng, seconds)


def play(game: Game, *, orders: int = 12) -> None:
    """Run a game to its end, with some user actions and expired time limits on the way."""
    game.send(ev.Armed())
    for _ in range(game.rng.randint(0, orders * 3)):
        _move(game)
    game.send(ev.Armed())
    game.run_out()


def _move(game: Game) -> None:
    local, rng = game.local, game.rng
    choices = ["order"]
    choices += ["start"] * 3 if local.queued else []
    choices += ["finish"] * 4 if local.running else []
    choices += ["decide"] * 2 if local.asking else []
    choices += ["expand"] * 3 if local.expanding else []
    match rng.choice(choices):
        case "start":
            game.start(rng.choice(sorted(local.queued)))
        case "decide":
            game.decide(rng.choice(sorted(local.asking)), approve=rng.random() < 0.7)
        case "expand":
            path = rng.choice(sorted(local.expanding))
            game.expand(path, fails=rng.random() < 0.2)
        case "finish":
            game.finish(rng.choice(sorted(local.running)), random_cause(rng))
        case _:
            game.send(_order(game))


def _order(game: Game) -> ev.Event:
    local, rng = game.local, game.rng
    if local.timers and rng.random() < 0.2:
        return ev.TimeLimitReached(rng.choice(sorted(local.timers)))
    if local.tree.retrying and rng.random() < 0.3:
        return ev.RetriesDue((rng.choice(sorted(local.tree.retrying)),))
    if local.running and rng.random() < 0.05:
        return ev.BudgetsReached((rng.choice(sorted(local.running)),))
    if rng.random() < 0.1:
        return rng.choice([ev.Armed(), ev.Disarmed()])
    if rng.random() < 0.1:
        return _edit(game)
    kind = rng.choice(
        [ev.NodesReset, ev.NodesReset, ev.NodesSkipped, ev.NodesUnskipped, ev.NodesKilled]
    )
    paths = rng.sample(sorted(local.tree.nodes), k=min(len(local.tree.nodes), rng.randint(1, 2)))
    return kind(tuple(paths))


def _edit(game: Game) -> ev.NodesModified:
    rng = game.rng
    path = rng.choice(sorted(game.local.tree.nodes))
    spec = game.local.tree.nodes[path].spec
    edited = replace(
        spec,
        command=spec.command and "false",
        stop_on_error=rng.random() < 0.5,
        suppress_errors=rng.random() < 0.3,
    )
    return ev.NodesModified({path: edited})
