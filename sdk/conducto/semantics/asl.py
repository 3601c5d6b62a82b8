"""From what is left to run to state machines of AWS Step Functions.

::

    Residual ──parts_of──► parts ──cut──► one part per machine ──Loom──► definitions

An Exec is one activity task: one transition, five events of history. Whether a command may run is
not settled here but when a worker claims it, so that edits, skips and kills of pending nodes need
no new definition; what the graph decides is the order, and what a failure leads to.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from conducto.model.nodes import NodeSpec
from conducto.semantics import asl_states
from conducto.semantics.asl_graph import Loom, Scope, End
from conducto.semantics.asl_parts import MOST, Part, Weight, cut, parts_of
from conducto.semantics.asl_site import Site, machine_name, node_id
from conducto.semantics.residual import Residual


@dataclass(frozen=True, slots=True)
class Machine:
    """A state machine.

    Attributes:
        name: What it is to be called: a function of the definition.
        arn: Where it will be.
        definition: JSON in the Amazon States Language.
        path: The node it runs; of a bundle, the group whose children it runs.
        tasks: Execs and nested machines in it.
        events: Events of history that an execution can have at most.
    """

    name: str
    arn: str
    definition: str
    path: str
    tasks: int
    events: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """What an execution needs.

    Attributes:
        machines: To be created in this order: nested ones come before those that run them, and
            the last one is to be started, with `conducto.semantics.asl_site.execution_input`.
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
    most: Weight = MOST,
) -> Compiled:
    """Return the state machines that run what is left of a tree.

    Args:
        rest: What is left; None gives a machine that succeeds at once.
        site: Where the machines will be.
        resource: Gives, for an Exec, the ARN of the activity (or of another task whose workers
            answer with a task token) that runs it; the site's activity for its pool by default.
        ids: Gives, for a node's path, its id: letters, digits and ``_``, at most 40, a letter
            first.
        most: What one machine may hold.

    Raises:
        DefinitionError: a part that cannot be divided is too large for a machine.
    """
    if rest is None:
        return Compiled((_machine(site, _nothing(), "/", Weight(events=4)),))
    loom = Loom(site.activity if resource is None else resource, site.run_machine(), ids)
    standing_for = {}
    machines = []
    for body, stand_in in cut(parts_of(rest, ids), most):
        definition = _text(loom.machine(body))
    return Compiled(tuple(machines))
