"""Pipelines in and out of the store."""

import secrets
import time
from collections.abc import Container as Holder

from conducto.model.api import LaunchRequest
from conducto.model.nodes import Pipeline
from conducto.model.records import ImageRecord, PipelineRecord
from conducto.model.states import State
from conducto.semantics.live import LiveTree
from conducto.semantics.resolve import Edits, resolve, resolve_generated
from conducto_local.runner.flights import unpack_form
from conducto_local.runner.live import LiveImage, LivePipeline
from conducto_local.store.port import Store

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def new_id(taken: Holder[str]) -> str:
    """Return an id that is short to type, such as ``qdx-ruf``, and not taken."""
    while True:
        letters = [secrets.choice(_LETTERS) for _ in range(6)]
        made = "".join(letters[:3]) + "-" + "".join(letters[3:])
        if made not in taken:
            return made


def new_record(pipeline_id: str, request: LaunchRequest, pipeline: Pipeline) -> PipelineRecord:
    """Return the record of a pipeline that is launched now."""
    root = pipeline.root
    now = time.time()
    return PipelineRecord(
        id=pipeline_id,
        title=request.title or root.title or pipeline_id,
        doc=request.doc if request.doc is not None else root.doc,
        tags=tuple(dict.fromkeys((*root.tags, *request.tags))),
        owner=request.owner,
        engine=request.engine,
        run_at=request.run_at,
        sleep_when_done=request.sleep_when_done,
        retention=request.retention,
        program=request.program,
        created=now,
        touched=now,
    )


def begin(record: PipelineRecord, pipeline: Pipeline) -> LivePipeline:
    """Return a pipeline that has just been launched."""
    return LivePipeline(record, pipeline, LiveTree(pipeline), _images(pipeline))


def load(store: Store, record: PipelineRecord) -> LivePipeline:
    """Return a pipeline as the store has it; what ran when it was written still counts so."""
    edits = store.edits(record.id)
    pipeline = resolve_stored(store, record.id, edits)
    tree = LiveTree(pipeline, store.nodes(record.id), armed=record.armed)
    tree.count_on(store.newest_attempts(record.id))
    live = LivePipeline(
        record,
        pipeline,
        tree,
        _images(pipeline),
        seq=store.last_seq(record.id),
    )
    live.edits = edits
    return live


def resolve_stored(store: Store, pipeline_id: str, edits: Edits) -> Pipeline:
    """Return the tree as it is stored, generated trees in place, with ``edits`` laid over it.

    Raises:
        DefinitionError: an edit makes it wrong.
    """
    pipeline = resolve(unpack_form(store.definition(pipeline_id)), edits)
    for target, definition in store.generated(pipeline_id).items():
        generated = resolve_generated(unpack_form(definition), target, pipeline, edits)
        pipeline.nodes.update(generated.nodes)
        pipeline.images.update(generated.images)
    return pipeline


def interrupted(live: LivePipeline) -> list[tuple[str, int]]:
    """Return ``(path, attempt)`` of what ran when the pipeline was last written down."""
    return [
        (node.path, node.attempt)
        for node in live.tree.in_flight(live.tree.root)
        if node.state is State.RUNNING
    ]


def _images(pipeline: Pipeline) -> dict[str, LiveImage]:
    used = dict.fromkeys(node.placement.image for node in pipeline.execs())
    return {name: LiveImage(ImageRecord(name=name)) for name in used}
