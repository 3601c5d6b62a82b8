"""The details of one node, with the origin of each parameter."""

from typing import Any

from conducto_core.model.base import Record
from conducto_core.model.requests import NodeView


class Parameter(Record):
    """One parameter of a node.

    Attributes:
        value: Its effective value; None means "no limit" or "not set".
        source: Path of the highest node that has this value unchanged down to here; None is the
            default.
        modified: It was changed on this node after the launch.
    """

    name: str
    value: Any
    source: str | None = None
    modified: bool = False


class Variable(Record):
    """One environment variable.

    Attributes:
        source: Path of the highest node that has this value unchanged down to here.
    """

    name: str
    value: str
    source: str


class CallbackView(Record):
    """A callback that runs when the node reaches a state.

    Attributes:
        source: Path of the node that defines it.
    """

    event: str
    name: str
    arguments: dict[str, Any] = {}
    source: str


class NodeDetail(Record):
    """The details of one node.

    Attributes:
        node: Its state, with all its attempts.
        parameters: In a fixed order; those that do not apply to its type are left out.
        env: By name. Secrets are not included.
        callbacks: Own ones first, then inherited ones.
        lazy_target: Path of the node that receives the tree this Exec prints.
        generated: The tree below it was printed by a Lazy.
        awaits_tree: It receives a tree that has not been printed yet.
        pool: Execs with the same pool and parameters share containers.
        logs_until: Earliest deletion of its logs, in seconds since the epoch; every activity of the
            pipeline postpones it.
        modified: Names of the parameters that were changed on it after the launch.
    """

    node: NodeView
    title: str | None = None
    tags: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    env: tuple[Variable, ...] = ()
    callbacks: tuple[CallbackView, ...] = ()
    lazy_target: str | None = None
    generated: bool = False
    awaits_tree: bool = False
    pool: str | None = None
    logs_until: float | None = None
    modified: tuple[str, ...] = ()
