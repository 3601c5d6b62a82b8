"""Everything about one node, and where each of its parameters comes from."""

from typing import Any

from conducto_core.model.base import Record
from conducto_core.model.requests import NodeView


class Parameter(Record):
    """One parameter of a node.

    Attributes:
        value: As it holds for the node; None is "no limit" or "not set".
        source: Path of the node whose value holds down to this one; None is the default.
        modified: It was changed on this node after the launch.
    """

    name: str
    value: Any
    source: str | None = None
    modified: bool = False


class Variable(Record):
    """One variable of the environment.

    Attributes:
        source: Path of the node whose value holds down to this one.
    """

    name: str
    value: str
    source: str


class CallbackView(Record):
    """Something that is done when the node reaches a state.

    Attributes:
        source: Path of the node that it is written on.
    """

    event: str
    name: str
    arguments: dict[str, Any] = {}
    source: str


class NodeDetail(Record):
    """One node with all that is known of it.

    Attributes:
        node: How it stands, with all its attempts.
        title: As written on it.
        tags: As written on it.
        parameters: In a fixed order; those that make no sense for its type are left out.
        env: By name. Secrets are no part of it.
        callbacks: Own ones first, then inherited ones.
        lazy_target: Path of the node that takes the tree this Exec prints.
        generated: The tree below it is one that a Lazy printed.
        awaits_tree: It takes a tree that has not been printed yet.
        pool: Which Execs it shares containers with: those of the same pool and parameters.
        logs_until: When its logs are deleted at the earliest, seconds since the epoch; moves on
            with every activity of the pipeline.
        modified: Names of what was changed on it after the launch.
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
