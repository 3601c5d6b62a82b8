"""A compiler from the rest of a tree to state machines of AWS Step Functions.

::

    Residual ──parts_of──► parts ──cut──► one part per machine ──GraphBuilder──► definitions

An Exec is one activity task: one transition, five events of history. Whether a command may run is
decided when a worker claims it, not here, so edits, skips and kills of pending nodes need no new
definition. The graph decides the order, and the continuation after a failure.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from conducto_core.asl.rules import states
from conducto_core.asl.rules.naming import Site, node_id
from conducto_core.asl.rules.partition import MAX_SIZE, Part, Size, cut, parts_of, units_of
from conducto_core.asl.rules.states import Residual
from conducto_core.asl.rules.states import State as StateOfCompiler
from conducto_core.errors import invalid
from conducto_core.run.model.states import NodeType, State
from conducto_core.run.rules.outcomes import (
    Outcome,
    group_outcome,
    holds_back_siblings,
    seen_by_parent,
    suppress,
)
from conducto_core.tree.model import NodeSpec

#: Maximum bytes of a definition; Step Functions rejects longer ones.
MAX_BYTES = 1_048_576

# ----------------------------------------------------------------------------------------
# The edges of a state machine, built in continuation-passing style.
#
# ``add(part, ok, failed)`` adds the states of a part and returns its entry; ``ok`` and ``failed``
# are the states to enter after it. So a Serial needs no states of its own: the ``ok`` of a child is
# the entry of the next one.
#
# Rules for editors: the meaning of a failure, a stop or a suppression comes from
# `conducto_core.run.rules.outcomes`; no state here implements a policy. Every branch of a Parallel
# catches all errors, so a failure never aborts a sibling: failures are values.


class End(Enum):
    """The ends of a scope."""

    OK = auto()
    FAILED = auto()


#: A continuation: the name of a state of the same scope, or an end of the scope.
Go = str | End


class Scope:
    """The states of a machine or of one branch."""

    def __init__(self, prefix: str | None = None) -> None:
        """Create an empty scope; only a branch has a ``prefix`` for its state names."""
        self.states: dict[str, states.State] = {}
        self.is_branch = prefix is not None
        self._prefix = "" if prefix is None else f"{prefix}."

    def add(self, name: str, state: states.State) -> str:
        """Add a state and return its name."""
        if name in self.states:
            raise ValueError(f"two states are called {name!r}")
        self.states[name] = state
        return name

    def name_of(self, go: Go) -> str:
        """Return the name of the state for ``go``; create an end state on first use."""
        if isinstance(go, str):
            return go
        name = self._prefix + ("ok" if go is End.OK else "f")
        if name not in self.states:
            self.states[name] = self._last_state(go)
        return name

    def exit_to(self, go: Go) -> states.Exit:
        """Return the fields of a state that name its successor."""
        return states.end() if go is End.OK else states.pass_on(self.name_of(go))

    def _last_state(self, go: End) -> states.State:
        if self.is_branch:
            return states.branch_ok() if go is End.OK else states.branch_failed()
        return states.machine_ok() if go is End.OK else states.machine_failed()

    def finish(self, entry: Go) -> states.State:
        """Return the scope in the Amazon States Language, without unreachable states."""
        start = self.name_of(entry)
        reached: dict[str, states.State] = {}
        stack = [start]
        while stack:
            name = stack.pop()
            if name not in reached:
                reached[name] = self.states[name]
                stack.extend(targets_of(self.states[name]))
        return {"StartAt": start, "States": reached}


def targets_of(state: states.State) -> list[str]:
    """Return the names of the states of the same scope that can follow ``state``."""
    targets = [state[key] for key in ("Next", "Default") if key in state]
    for key in ("Catch", "Choices"):
        targets += [rule["Next"] for rule in state.get(key, ())]
    return targets


class GraphBuilder:
    """Builds the states and edges of machines."""

    def __init__(
        self, resource: Callable[[NodeSpec], str], run_machine: str, ids: Callable[[str], str]
    ) -> None:
        self._resource = resource
        self._run_machine = run_machine
        self._ids = ids

    def machine(self, body: Part) -> states.State:
        """Return the definition of a machine that runs ``body``."""
        scope = Scope()
        return scope.finish(self.add(scope, body, End.OK, End.FAILED))

    def add(self, scope: Scope, part: Part, ok: Go, failed: Go) -> Go:
        """Add the states of ``part`` and return its entry."""
        if part.machine is not None:
            arn = {"StateMachineArn": part.machine}
            return scope.add(part.id, self._nested(scope, arn, ok, failed))
        if part.over:  # its parent sees the failure: a suppression has been applied
            return failed
        return self._node(scope, part, ok, _after_failure(part.spec, ok, failed))

    def _node(self, scope: Scope, part: Part, ok: Go, failed: Go) -> Go:
        if part.failed:
            return self._wait(scope, part, failed)
        if part.spec.awaits_tree:
            return _block(scope, part, failed)
        is_exec = part.spec.type is NodeType.EXEC
        if part.waits or (is_exec and not part.spec.has_command):
            return self._wait(scope, part, _block(scope, part, failed, role="a"))
        if is_exec:
            return self._wait(scope, part, self._exec(scope, part, ok, failed))
        if not part.children:  # skipped, with Execs in flight
            return self._wait(scope, part, ok)
        lay = self._beside if part.awaited else self._group
        return lay(scope, part, ok, failed)

    def _group(self, scope: Scope, part: Part, ok: Go, failed: Go) -> Go:
        serial = part.spec.type is NodeType.SERIAL
        return (self._serial if serial else self._parallel)(scope, part, ok, failed)

    # ---- tasks ------------------------------------------------------------------------------

    def _exec(self, scope: Scope, part: Part, ok: Go, failed: Go) -> str:
        common = (part.id, part.spec, self._resource(part.spec), scope.name_of(failed))
        retry = part.spec.retry
        delayed = retry is not None and retry.number and retry.delay
        later = scope.name_of(_block(scope, part, failed, role="a")) if delayed else None
        if part.generates is None:
            return scope.add(part.id, states.exec_task(*common, scope.exit_to(ok), later=later))
        blocked = scope.name_of(_block(scope, part.generates, failed))
        target, next_ = part.generates.id, scope.name_of(ok)
        state = states.generate_task(*common, next_, target=target, blocked=blocked, later=later)
        return scope.add(part.id, state)

    def _nested(self, scope: Scope, arn: Any, ok: Go, failed: Go) -> states.State:
        caught, exit_ = scope.name_of(failed), scope.exit_to(ok)
        return states.machine_task(self._run_machine, arn, "$.r", caught, exit_)

    def _wait(self, scope: Scope, part: Part, then: Go) -> Go:
        """Wait for the Execs in flight, then continue with ``then`` whatever their result."""
        if not part.awaited:
            return then
        branches = self._waits(part)
        return scope.add(f"{part.id}.w", states.parallel(branches, scope.exit_to(then)))

    def _waits(self, part: Part) -> list[states.State]:
        return [self._wait_for(part, spec) for spec in part.awaited]

    def _wait_for(self, part: Part, spec: NodeSpec) -> states.State:
        node = self._ids(spec.path)
        name = f"{node}.w.{part.id}"
        branch = Scope(name)
        ended = branch.name_of(End.OK)
        if not spec.has_command:
            return branch.finish(branch.add(name, states.wait_for_ever(ended)))
        state = states.wait_task(node, spec, self._resource(spec), ended)
        return branch.finish(branch.add(name, state))

    def _beside(self, scope: Scope, part: Part, ok: Go, failed: Go) -> Go:
        """Run a group beside its Execs in flight; only its children decide its outcome."""
        main = Scope(f"{part.id}.m")
        entry = self._group(main, part, End.OK, End.FAILED)
        branches = [main.finish(entry), *self._waits(part)]
        return _join(scope, f"{part.id}.w", branches, ok, failed)

    # ---- groups -----------------------------------------------------------------------------

    def _serial(self, scope: Scope, part: Part, ok: Go, failed: Go) -> Go:
        if holds_back_siblings(Outcome.FAILED, stop_on_error=part.spec.stop_on_error):
            return self._chain(scope, part.children, ok, failed)
        after_failure = _after_any_failure(ok, failed)
        if any(_will_fail(child) for child in part.children):
            ok = failed = after_failure
        entry: Go = ok
        if len(part.children) > 1 and ok != after_failure:
            path = f"$.e.{part.id}"
            names = scope.name_of(after_failure), scope.name_of(ok)
            entry = scope.add(f"{part.id}.c", states.choice_present(path, *names))
        entry = self._enter(scope, part.children[-1], entry, after_failure, sure=False)
        for child in reversed(part.children[:-1]):
            noted: Go = entry
            if ok != after_failure:
                state = states.pass_value(f"$.e.{part.id}", scope.name_of(entry))
                noted = scope.add(f"{child.id}.n", state)
            entry = self._enter(scope, child, entry, noted, sure=False)
        return entry

    def _chain(self, scope: Scope, children: list[Part], ok: Go, failed: Go) -> Go:
        entry = ok
        for child in reversed(children):
            entry = self._enter(scope, child, entry, failed, sure=True)
        return entry

    def _enter(self, scope: Scope, child: Part, ok: Go, failed: Go, *, sure: bool) -> Go:
        """Add a child of a Serial; ``sure``: it is reached only if all earlier children succeed."""
        if not child.generated:
            return self.add(scope, child, ok, failed)
        # The generated root decides about suppression; it is unknown here, so its machine applies
        # it.
        arn = states.generated_machine(child.id)
        entry = scope.add(f"{child.id}.go", self._nested(scope, arn, ok, failed))
        if sure:
            return entry
        blocked = scope.name_of(_block(scope, child, failed))
        state = states.choice_present(f"$.g.{child.id}", entry, blocked)
        return scope.add(f"{child.id}.g", state)

    def _parallel(self, scope: Scope, part: Part, ok: Go, failed: Go) -> Go:
        after_failure = _after_any_failure(ok, failed)
        if any(_will_fail(child) for child in part.children):
            ok = after_failure
        units = [[child for child in unit if not child.over] for unit in units_of(part.children)]
        units = [unit for unit in units if unit]
        if not units:
            return ok
        if len(units) == 1:
            return self._unit(scope, units[0], ok, after_failure)
        branches = [self._branch(unit) for unit in units]
        return _join(scope, part.id, branches, ok, after_failure)

    def _branch(self, unit: list[Part]) -> states.State:
        branch = Scope(unit[0].id)
        return branch.finish(self._unit(branch, unit, End.OK, End.FAILED))

    def _unit(self, scope: Scope, unit: list[Part], ok: Go, failed: Go) -> Go:
        if len(unit) == 1:
            return self.add(scope, unit[0], ok, failed)
        # A Lazy without a Serial around it: the target waits for the tree whatever the result of
        # its Generate, so a failed Generate leaves the group unfinished.
        *before, target = unit
        entry = self._enter(scope, target, ok, failed, sure=True)
        blocked = _block(scope, target, failed)
        for child in reversed(before):
            entry = self.add(scope, child, entry, blocked)
        return entry


def _join(scope: Scope, name: str, branches: list[states.State], ok: Go, failed: Go) -> Go:
    """Add a Parallel that waits for all its branches, and a Choice on whether one failed."""
    if ok == failed:
        return scope.add(name, states.parallel(branches, scope.exit_to(ok)))
    if scope.is_branch and ok is End.OK and failed is End.FAILED:
        return scope.add(name, states.parallel_ending(branches))
    choice = f"{name}.c"
    scope.add(choice, states.choice_any_failed(scope.name_of(failed), scope.name_of(ok)))
    return scope.add(name, states.parallel_noting(branches, choice))


def _block(scope: Scope, part: Part, failed: Go, *, role: str = "b") -> str:
    """Add a state that waits forever: this execution will not get the tree of a Lazy.

    Neither will it get the decision about an approval, the expansion of a map, or the retry of a
    command after a delay: those plan the rest again.
    """
    name = f"{part.id}.{role}"
    if name not in scope.states:
        scope.add(name, states.wait_for_ever(scope.name_of(failed)))
    return name


def _after_failure(spec: NodeSpec, ok: Go, failed: Go) -> Go:
    state, _ = suppress(State.ERROR, suppress_errors=spec.suppress_errors)
    return ok if seen_by_parent(state, skipped=False) is Outcome.OK else failed


def _will_fail(part: Part) -> bool:
    """Return whether the parent is certain to see a failure."""
    return part.failed and (
        part.over or _after_failure(part.spec, End.OK, End.FAILED) is End.FAILED
    )


def _after_any_failure(ok: Go, failed: Go) -> Go:
    outcome = group_outcome(None, any_unfinished=False, any_failed=True)
    return failed if outcome is Outcome.FAILED else ok


#: Events of an execution besides those of nodes: its own two, and those of its end states.
_ENDS = 2 + 3


@dataclass(frozen=True, slots=True)
class Machine:
    """A state machine.

    Attributes:
        name: Its name, a function of the definition.
        definition: JSON in the Amazon States Language.
        path: The node it runs; for a bundle, the group whose children it runs.
        tasks: Number of Execs and nested machines.
        events: Maximum number of history events of an execution.
    """

    name: str
    arn: str
    definition: str
    path: str
    tasks: int
    events: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """The state machines of one execution.

    Attributes:
        machines: In the order of creation: nested machines precede the machines that run them.
            Start the last one, with `conducto_core.asl.rules.naming.execution_input`.
    """

    machines: tuple[Machine, ...]

    @property
    def top(self) -> Machine:
        """The machine to start."""
        return self.machines[-1]


def compile_residual(
    rest: Residual | None,
    site: Site,
    *,
    resource: Callable[[NodeSpec], str] | None = None,
    ids: Callable[[str], str] = node_id,
    maximum: Size = MAX_SIZE,
    run: str = "",
) -> Compiled:
    """Return the state machines that run the rest of a tree.

    Args:
        rest: The rest of the tree; None gives a machine that succeeds at once.
        site: Region, account and stage of the machines.
        resource: Returns, for an Exec, the ARN of the activity (or of another task whose workers
            reply with a task token) that runs it; by default the site's activity for its pool.
        ids: Returns the id of a path: a letter, then up to 39 letters, digits and ``_``.
        maximum: Maximum size of one machine.
        run: The only run that uses the machines; empty for any run.

    Raises:
        DefinitionError: a part that cannot be divided is too large for AWS.
    """
    if rest is None:
        nothing = Scope()
        return Compiled((_machine(site, "/", nothing.finish(End.OK), Size(), run),))
    builder = GraphBuilder(site.activity if resource is None else resource, site.run_machine(), ids)
    machines = []
    top = parts_of(rest, ids)
    for stand_in, body in cut(top, maximum):
        machines.append(_machine_of(body, builder, site, run))
        stand_in.machine = machines[-1].arn
    return Compiled((*machines, _machine_of(top, builder, site, run)))


def _machine_of(body: Part, builder: GraphBuilder, site: Site, run: str) -> Machine:
    return _machine(site, body.spec.path, builder.machine(body), body.weight, run)


def _machine(site: Site, path: str, definition: StateOfCompiler, weight: Size, run: str) -> Machine:
    text = json.dumps(definition, separators=(",", ":"))
    if len(text) > MAX_BYTES:
        raise invalid(
            path,
            f"its state machine has {len(text):,} bytes, more than the {MAX_BYTES:,} that "
            "Step Functions accepts; divide the node into smaller groups",
        )
    name = site.machine_name(text, run)
    return Machine(name, site.machine(name), text, path, weight.tasks, weight.events + _ENDS)
