"""The details of one node for an API response."""

from collections.abc import Mapping, Sequence
from typing import Any

from conducto_core.model.node_detail import NodeDetail
from conducto_core.model.nodes import NodeSpec
from conducto_core.model.records import PipelineRecord
from conducto_core.model.requests import NodeView
from conducto_core.model.states import NodeType
from conducto_core.semantics import provenance

_DAY = 86_400.0


def detail(
    record: PipelineRecord, chain: Sequence[NodeSpec], view: NodeView, edits: Mapping[str, Any]
) -> NodeDetail:
    """Return the details of a node; ``chain`` is the node, then its ancestors up to the root."""
    spec = chain[0]
    modified = provenance.edited_names(edits)
    return NodeDetail(
        node=view,
        title=spec.title,
        tags=spec.tags,
        parameters=provenance.parameters(chain, modified),
        env=provenance.variables(chain),
        callbacks=provenance.callbacks(chain),
        lazy_target=spec.lazy_target,
        generated=spec.place is not None,
        awaits_tree=spec.awaits_tree,
        pool=spec.pool if spec.type is NodeType.EXEC else None,
        logs_until=record.touched + record.retention * _DAY if record.retention else None,
        modified=tuple(sorted(modified)),
    )
