"""The tree that the command of a Lazy has printed, checked and resolved."""

from conducto.errors import DefinitionError
from conducto.wire.lazy_form import from_wire_document
from conducto_core.model.form_codec import pack_form
from conducto_core.model.nodes import Pipeline
from conducto_core.runtime.tree_extractor import PrintedTreeError, TreeExtractor
from conducto_core.semantics.children import check_rights
from conducto_core.semantics.resolve import Form, Limits, resolve_generated
from conducto_local.scheduling.admission import check_nodes
from conducto_local.scheduling.live_pipeline import ActiveAttempt


def read_tree(
    cutter: TreeExtractor, active: ActiveAttempt, target: str, tree: Pipeline, limits: Limits
) -> tuple[Pipeline, bytes]:
    """Return the generated tree in the place of ``target``, and its definition as stored.

    Args:
        cutter: Has read the output.
        active: The attempt of the Lazy's command.
        target: Path of the node that the tree replaces.
        tree: The pipeline.
        limits: The largest Exec that fits.

    Raises:
        PrintedTreeError: There is no valid one.
    """
    try:
        form = from_wire_document(cutter.tree())
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
