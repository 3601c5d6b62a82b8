"""Validation of nodes against the machine and its engine, before anything runs."""

from collections.abc import Mapping
from typing import Any

from conducto.errors import DefinitionError
from conducto.wire.lazy_form import from_wire_document
from conducto_core.children.rules import check_rights
from conducto_core.command.output import PrintedTreeError
from conducto_core.errors import check_each, invalid
from conducto_core.run.model.states import NodeType
from conducto_core.tree.model import NodeSpec, Pipeline, pack_form
from conducto_core.tree.rules.checks import Limits, check_size
from conducto_core.tree.rules.resolve import resolve_generated
from conducto_core.tree.rules.written import Form
from conducto_local.engine.docker.run_args import RunArgsError, gpus_of
from conducto_local.run.live_pipeline import ActiveAttempt


def check_nodes(nodes: Mapping[str, NodeSpec], limits: Limits | None) -> None:
    """Reject Execs that could never start on this machine.

    Args:
        nodes: ``{path: node}``.
        limits: Sizes of the machine; None if the engine is not open yet.

    Raises:
        DefinitionError: There are such Execs; the message has one line for each, starting with its
            path.
    """
    fine: set[tuple[str, ...]] = {()}

    def check(node: NodeSpec) -> None:
        if limits is not None:
            check_size(node, limits)
        args = node.placement.docker_run_args
        if args in fine:
            return
        try:
            gpus = gpus_of(args)
        except RunArgsError as error:
            raise invalid(node.path, str(error)) from error
        if limits is not None and (limits.gpu == 0 if gpus < 0 else gpus > limits.gpu):
            raise invalid(node.path, _too_many_gpus(gpus, limits))
        fine.add(args)

    check_each((node for node in nodes.values() if node.type is NodeType.EXEC), check)


def _too_many_gpus(gpus: int, limits: Limits) -> str:
    asked = "all GPUs" if gpus < 0 else f"{gpus} GPUs"
    return (
        f"docker_run_args: --gpus requests {asked}: {limits.where} has {limits.gpu} that its "
        "engine can use; remove the flag, or install the NVIDIA Container Toolkit"
    )


# ----------------------------------------------------------------------------------------
# The tree that the command of a Lazy has printed, checked and resolved.


def read_tree(
    document: dict[str, Any],
    active: ActiveAttempt,
    target: str,
    tree: Pipeline,
    limits: Limits,
) -> tuple[Pipeline, bytes]:
    """Return the generated tree in the place of ``target``, and its definition as stored.

    Args:
        document: The tree that the command printed.
        active: The attempt of the Lazy's command.
        target: Path of the node that the tree replaces.
        tree: The pipeline.
        limits: The largest Exec that fits.

    Raises:
        PrintedTreeError: It is invalid.
    """
    try:
        form = from_wire_document(document)
        pipeline = resolve_generated(form, target, tree, active.live.edits)
        check_nodes(pipeline.nodes, limits)
        _check_rights(active, form, target, tree, pipeline)
    except DefinitionError as error:
        raise PrintedTreeError(str(error)) from error
    except (KeyError, TypeError) as error:
        raise PrintedTreeError(f"printed a broken tree: {error!r}") from error
    return pipeline, pack_form(form)


def _check_rights(
    active: ActiveAttempt, form: Form, target: str, tree: Pipeline, generated: Pipeline
) -> None:
    """Check that a Lazy of a child generates no nodes with more access than its own.

    Users may give them more by modifying the nodes.

    Raises:
        DefinitionError: It does.
    """
    live = active.live
    if live.record.parent is None or live.record.engine != "docker":
        return
    printed = resolve_generated(form, target, tree) if live.edits else generated
    check_rights(printed, active.spec, tree.images.values())
