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

from conducto_core.errors import invalid
from conducto_core.model.nodes import NodeSpec
from conducto_core.semantics.asl.builder import End, GraphBuilder, Scope
from conducto_core.semantics.asl.lint import MAX_BYTES
from conducto_core.semantics.asl.partition import MAX_SIZE, Part, Size, cut, parts_of
from conducto_core.semantics.asl.states import State
from conducto_core.semantics.naming import Site, node_id
from conducto_core.semantics.residual import Residual

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
            Start the last one, with `conducto_core.semantics.naming.execution_input`.
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


def _machine(site: Site, path: str, definition: State, weight: Size, run: str) -> Machine:
    text = json.dumps(definition, separators=(",", ":"))
    if len(text) > MAX_BYTES:
        raise invalid(
            path,
            f"its state machine has {len(text):,} bytes, more than the {MAX_BYTES:,} that "
            "Step Functions accepts; divide the node into smaller groups",
        )
    name = site.machine_name(text, run)
    return Machine(name, site.machine(name), text, path, weight.tasks, weight.events + _ENDS)
