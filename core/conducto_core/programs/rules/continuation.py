"""The plan to continue a pipeline with a changed tree: the nodes that stay done, and why.

An Exec is kept if it is done, its fingerprint is equal, and nothing before it in any enclosing
Serial changed. Nodes are compared by path.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from conducto.errors import DefinitionError
from conducto.wire.conditions import terms_of
from conducto.wire.result_order import PAYLOAD
from conducto_core.programs.model import Fate, NodePlan, PlanRecord
from conducto_core.programs.rules.fingerprints import (
    CODE,
    NO_DIGEST,
    FieldChange,
    changed_names,
    code_of,
    differences,
    fingerprint,
)
from conducto_core.run.model.records import AttemptRecord, NodeState
from conducto_core.run.model.states import NodeType, State
from conducto_core.run.rules.live_nodes import LiveExec, LiveNode
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, Pipeline, child_path, is_within
from conducto_core.tree.rules.callbacks import PoolKind, kind_of
from conducto_core.tree.rules.resolve import resolve, resolve_generated
from conducto_core.tree.rules.written import Form

#: Maximum number of names in a reason.
_NAMED: Final = 3

#: Returns the names of the files that differ between two identities of copied code, if known.
ChangedFiles = Callable[[str, str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class NodeDecision:
    """The decision about one Exec.

    Attributes:
        reason: The cause of the decision; empty for an Exec that is kept.
        changed: The Exec differs from the old one, so nothing after it in a Serial is kept.
    """

    fate: Fate
    reason: str = ""
    changed: bool = False


@dataclass(frozen=True, slots=True)
class ContinuationPlan:
    """A plan.

    Attributes:
        execs: ``{path: decision}`` for every Exec of the new tree, in definition order.
        removed: Paths of the Execs that only the old tree has.
    """

    execs: Mapping[str, NodeDecision]
    removed: tuple[str, ...] = ()

    def kept_paths(self) -> Iterator[str]:
        """Yield the paths of the Execs that stay done."""
        return (path for path, each in self.execs.items() if each.fate is Fate.KEPT)

    def record(self, time: float) -> PlanRecord:
        """Return the plan of a replacement at ``time``, as stores keep it."""
        return PlanRecord.model_construct(time=time, nodes=self.nodes(), removed=self.removed)

    def nodes(self) -> tuple[NodePlan, ...]:
        """Return the decisions as clients and stores get them."""
        return tuple(
            NodePlan.model_construct(path=path, fate=each.fate, reason=each.reason)
            for path, each in self.execs.items()
        )


def newest(attempts: Iterable[AttemptRecord]) -> dict[str, str | None]:
    """Return ``{path: fingerprint of the newest attempt}`` of the Execs that were started.

    Args:
        attempts: Those of each path in order. One that ended while it was queued had no inputs,
            unless it is from the cache.
    """
    return {
        each.path: each.fingerprint
        for each in attempts
        if each.started is not None or each.from_cache is not None
    }


def plan(
    old: TreeState,
    ran: Mapping[str, str | None],
    new: Mapping[str, NodeSpec],
    now: Mapping[str, str | None],
    files: ChangedFiles = lambda _before, _now: (),
) -> ContinuationPlan:
    """Return the plan to replace a tree.

    Args:
        old: The tree with its states.
        ran: ``{path: fingerprint of the newest attempt}`` of the Execs with attempts.
        new: The nodes of the new tree, parents first.
        now: ``{path: fingerprint}`` of the Execs of the new tree.
        files: Names the files that changed, for the reasons.
    """
    forced: dict[str, str] = {}
    while True:
        made = _Planner(old, ran, new, now, files).plan(forced)
        more = _shared_containers(new, made)
        if not more:
            return made
        forced.update(more)


def fresh(old: TreeState, new: Mapping[str, NodeSpec]) -> ContinuationPlan:
    """Return the plan that keeps nothing."""
    execs = {
        path: NodeDecision(Fate.SKIPPED if skipped else Fate.RUNS, "--fresh", changed=True)
        for path, skipped in _skips(old, new).items()
        if new[path].type is NodeType.EXEC
    }
    return ContinuationPlan(execs, _removed(old, new))


@dataclass(frozen=True, slots=True)
class Continuation:
    """The tree that replaces another one.

    Attributes:
        pipeline: The new tree, with the generated trees that remain.
        generated: Their targets, outer ones first.
    """

    pipeline: Pipeline
    plan: ContinuationPlan
    generated: tuple[str, ...] = ()


def with_generated(form: Form, generated: Mapping[str, Form]) -> tuple[Pipeline, tuple[str, ...]]:
    """Return a new tree with the generated trees that fit into it, and their targets.

    Args:
        form: The new tree.
        generated: ``{target: form}`` of the generated trees, outer ones first.

    Raises:
        DefinitionError: the new tree is invalid.
    """
    pipeline = resolve(form)
    fitting: list[str] = []
    for target, tree in generated.items():
        spec = pipeline.nodes.get(target)
        if spec is None or not spec.awaits_tree:
            continue
        try:
            made = resolve_generated(tree, target, pipeline)
        except DefinitionError:  # the node that generates it runs again
            continue
        pipeline.nodes.update(made.nodes)
        pipeline.images.update(made.images)
        fitting.append(target)
    return pipeline, tuple(fitting)


def continuation(
    old: TreeState,
    ran: Mapping[str, str | None],
    form: Form,
    generated: Mapping[str, Form],
    fingerprints: Callable[[Pipeline], Mapping[str, str | None]],
    *,
    files: ChangedFiles = lambda _before, _now: (),
    first: tuple[Pipeline, tuple[str, ...]] | None = None,
) -> Continuation:
    """Return the replacement of a tree; a generated tree remains with the Exec that printed it.

    Args:
        old: The tree with its states.
        ran: See `plan`.
        form: The new tree.
        generated: ``{target: form}`` of the generated trees of the old one, outer ones first.
        fingerprints: Returns ``{path: fingerprint}`` of the Execs of a tree.
        files: See `plan`.
        first: The result of `with_generated`, if the caller has it: a large tree takes seconds.

    Raises:
        DefinitionError: the new tree is invalid.
    """
    pipeline, targets = first or with_generated(form, generated)
    while True:
        made = plan(old, ran, pipeline.nodes, fingerprints(pipeline), files)
        printed = {
            spec.lazy_target
            for path in made.kept_paths()
            if (spec := pipeline.nodes[path]).lazy_target is not None
        }
        if printed.issuperset(targets):
            return Continuation(pipeline, made, targets)
        left = {target: generated[target] for target in targets if target in printed}
        pipeline, targets = with_generated(form, left)


def continued_tree(
    old: TreeState, pipeline: Pipeline, kept: Collection[str], tried: Mapping[str, int]
) -> TreeState:
    """Return the new tree with its states; it is paused.

    Args:
        old: The tree that it replaces.
        pipeline: The new tree.
        kept: Paths of the Execs that stay done.
        tried: ``{path: number of the newest attempt}``.
    """
    states = [
        old.state_of(old.nodes[spec.path]).model_copy(
            update={"skipped": carried_skip(old, spec), "condition": None}
        )
        if spec.path in kept
        else NodeState(path=spec.path, skipped=carried_skip(old, spec))
        for spec in pipeline.nodes.values()
    ]
    tree = TreeState(pipeline, states)
    tree.count_on(tried)
    for path, node in tree.nodes.items():
        before = old.nodes.get(path)
        if path == "/" or (before is not None and old.state_of(before) != tree.state_of(node)):
            tree.record(node)
    return tree


def carried_skip(old: TreeState, spec: NodeSpec) -> bool:
    """Return whether a node of the new tree is skipped.

    A user's skip or unskip outlasts the old tree, unless the script changes ``skip``.
    """
    node = old.nodes.get(spec.path)
    if node is None or node.spec.skip != spec.skip or node.condition is not None:
        return spec.skip
    return node.skipped


def _shared_containers(new: Mapping[str, NodeSpec], made: ContinuationPlan) -> dict[str, str]:
    """Return ``{path: reason}`` of the Execs that must run because another one does.

    The state in the container of a ``new`` context is an input of all its Execs, and the container
    is stopped when the tree is replaced.
    """
    lost = {
        new[path].pool: path
        for path, each in reversed(list(made.execs.items()))
        if each.fate is Fate.RUNS and kind_of(new[path].pool) is PoolKind.CONTEXT
    }
    return {
        path: f"shares a container with {lost[new[path].pool]}, which runs"
        for path in made.kept_paths()
        if new[path].pool in lost
    }


def _removed(old: TreeState, new: Mapping[str, NodeSpec]) -> tuple[str, ...]:
    execs = (node.spec for node in old.nodes.values() if node.spec.type is NodeType.EXEC)
    return tuple(
        spec.path
        for spec in execs
        if spec.path not in new or new[spec.path].type is not NodeType.EXEC
    )


def _skips(old: TreeState, new: Mapping[str, NodeSpec]) -> dict[str, bool]:
    """Return ``{path: it or a node above is skipped}`` of the new tree."""
    skipped: dict[str, bool] = {}
    for path, spec in new.items():
        skipped[path] = skipped.get(path, False) or carried_skip(old, spec)
        for name in spec.children:
            skipped[child_path(path, name)] = skipped[path]
    return skipped


class _Planner:
    """One traversal of the new tree, in definition order."""

    def __init__(
        self,
        old: TreeState,
        ran: Mapping[str, str | None],
        new: Mapping[str, NodeSpec],
        now: Mapping[str, str | None],
        files: ChangedFiles,
    ) -> None:
        self._old = old
        self._ran = ran
        self._new = new
        self._now = now
        self._forced: Mapping[str, str] = {}
        self._files = files
        self._skipped = _skips(old, new)
        self._decisions: dict[str, NodeDecision] = {}
        conditions = (each.run_if for each in new.values() if each.run_if is not None)
        self._compared: dict[str, set[str]] = {}
        for part in (term.part for each in conditions for term in terms_of(each)):
            self._compared.setdefault(part.path, set()).add(json.dumps(part.keys))

    def plan(self, forced: Mapping[str, str]) -> ContinuationPlan:
        self._forced = forced
        self._visit("/", None)
        return ContinuationPlan(self._decisions, _removed(self._old, self._new))

    def _visit(self, path: str, after: str | None) -> str | None:
        """Decide about the Execs at or below ``path``; return the first change there.

        Args:
            path: The node.
            after: The change before it in an enclosing Serial, as a reason.

        Returns:
            The change, as a reason for the nodes after it, or None.
        """
        spec = self._new[path]
        if spec.type is not NodeType.EXEC:
            return self._visit_group(spec, after)
        made = self._decide(spec, after)
        self._decisions[path] = made
        return f"after {path}, which changed" if made.changed else None

    def _visit_group(self, spec: NodeSpec, after: str | None) -> str | None:
        order = self._order(spec)
        change: str | None = None
        for position, name in enumerate(spec.children):
            before = after
            if position >= order.intact:
                before = before or order.reason
            if spec.type is NodeType.SERIAL:
                before = before or change
            below = self._visit(child_path(spec.path, name), before)
            change = change or below
        return change or order.change

    def _order(self, spec: NodeSpec) -> "_Order":
        node = self._old.nodes.get(spec.path)
        if node is None or node.spec.type is NodeType.EXEC:
            return _Order(len(spec.children))
        return _order(node.spec, spec)

    def _decide(self, spec: NodeSpec, after: str | None) -> NodeDecision:
        node = self._old.nodes.get(spec.path)
        difference = self._difference(spec, node)
        if self._skipped[spec.path] and (difference or after or not _done(node)):
            reason = difference or after or ""
            return NodeDecision(Fate.SKIPPED, reason, changed=difference is not None)
        if difference is not None:
            return NodeDecision(Fate.RUNS, difference, changed=True)
        again = after or _unfinished(node)
        return NodeDecision(Fate.RUNS, again) if again else NodeDecision(Fate.KEPT)

    def _difference(self, spec: NodeSpec, node: LiveNode | None) -> str | None:
        """Return the difference between an Exec and its old one, or None."""
        if node is None or node.spec.type is not NodeType.EXEC:
            return "new"
        return (
            self._forced.get(spec.path)
            or self._other_inputs(spec, node)
            or self._other_result(spec, node)
        )

    def _other_inputs(self, spec: NodeSpec, node: LiveNode) -> str | None:
        if spec.path in self._ran:
            return self._unequal(spec, node)
        return None if _definition(node.spec) == _definition(spec) else "definition changed"

    def _unequal(self, spec: NodeSpec, node: LiveNode) -> str | None:
        """Return the fields in which the fingerprints of an Exec differ, or None."""
        ran, now = self._ran[spec.path], self._now[spec.path]
        if ran is None or now is None:
            return NO_DIGEST
        found = differences(ran, now)
        if not found:
            return None
        named = [name for each in found for name in self._names(each, spec, node, (ran, now))]
        more = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
        names = f": {', '.join(named[:_NAMED])}{more}" if named else ""
        return f"{' and '.join(each.field for each in found)} changed{names}"

    def _names(
        self, change: FieldChange, spec: NodeSpec, node: LiveNode, prints: tuple[str, str]
    ) -> Sequence[str]:
        if change.field == "environment":
            return changed_names(node.spec.env, spec.env)
        if change.field == CODE:
            before, now = (code_of(each) or "" for each in prints)
            return self._files(before, now)
        return change.names

    def _other_result(self, spec: NodeSpec, node: LiveNode) -> str | None:
        """Return why the result of an equal Exec is not valid in the new tree."""
        if not _done(node):
            back = node.is_skipped() and not self._skipped[spec.path]
            return "no longer skipped" if back else None
        if not self._is_known(spec, node):
            return "a condition compares its result"
        if node.warning and not spec.suppress_errors:
            return "it failed, and suppress_errors was removed"
        if spec.lazy_target is not None and self._new[spec.lazy_target].awaits_tree:
            return "its tree is not available"
        lost = next(
            (one for one in spec.results if one != PAYLOAD and not self._is_kept(one)), None
        )
        return None if lost is None else f"uses the result of {lost}, which runs"

    def _is_known(self, spec: NodeSpec, node: LiveNode) -> bool:
        """Return whether the old tree knows all that conditions of the new one compare."""
        parts = self._compared.get(spec.path)
        if parts is None or not isinstance(node, LiveExec):
            return True
        return node.known is not None and node.known.keys() >= parts

    def _is_kept(self, path: str) -> bool:
        """Return whether an Exec, or a map with all of its items, is kept."""
        spec, old = self._new.get(path), self._old.nodes.get(path)
        if spec is not None and spec.map is not None:
            now = spec.map, spec.children
            same = old is not None and (old.spec.map, old.spec.children) == now
            below = (made for at, made in self._decisions.items() if is_within(at, path))
            return same and all(made.fate is Fate.KEPT for made in below)
        made = self._decisions.get(path)
        return made is not None and made.fate is Fate.KEPT


@dataclass(frozen=True, slots=True)
class _Order:
    """The comparison of the children of a group with the old ones.

    Attributes:
        intact: Number of children, from the first, before which the same nodes run in both trees.
        reason: The reason for which the other children run.
        change: The reason for the nodes after the group; None if its children are the same.
    """

    intact: int
    reason: str | None = None
    change: str | None = None


def _order(old: NodeSpec, new: NodeSpec) -> _Order:
    names = set(new.children)
    removed = [name for name in old.children if name not in names]
    gone = f"after {child_path(old.path, removed[0])}, which was removed" if removed else None
    if old.type is not new.type:
        reason = f"{new.path} changed from {old.type.value} to {new.type.value}"
        same = old.children[:1] == new.children[:1]
        return _Order(int(same), reason, reason)
    if new.type is NodeType.PARALLEL:
        return _Order(len(new.children), None, gone)
    pairs = zip(old.children, new.children, strict=False)
    intact = next(
        (i for i, (one, other) in enumerate(pairs) if one != other),
        min(len(old.children), len(new.children)),
    )
    if intact == len(old.children) == len(new.children):
        return _Order(intact)
    reason = _moved(old, new, intact)
    return _Order(intact, reason, reason)


def _moved(old: NodeSpec, new: NodeSpec, at: int) -> str:
    """Return the first difference between the orders of two Serials, at the child ``at``."""
    if at < len(old.children) and old.children[at] not in new.children:
        return f"after {child_path(old.path, old.children[at])}, which was removed"
    if at < len(new.children) and new.children[at] not in old.children:
        return f"after {child_path(new.path, new.children[at])}, which is new"
    return f"the order in {new.path} changed"


def _done(node: LiveNode | None) -> bool:
    return node is not None and node.state is State.DONE


def _unfinished(node: LiveNode | None) -> str | None:
    """Return why an Exec without a difference runs nevertheless."""
    match None if node is None else node.state:
        case State.DONE:
            return None
        case State.ERROR:
            return "it failed"
        case State.KILLED:
            return "it was killed"
        case _:
            return "it has not run"


def _definition(spec: NodeSpec) -> str | None:
    return fingerprint(spec, spec.command, spec.placement.image, "")
