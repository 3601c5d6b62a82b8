"""Loading pipelines from the store."""

import logging
from collections.abc import Iterable, Mapping

from conducto_core.model.form_codec import unpack_form
from conducto_core.model.images import ImageSpec
from conducto_core.model.nodes import Pipeline
from conducto_core.model.records import ImageRecord, ImageState, PipelineRecord
from conducto_core.model.states import State
from conducto_core.semantics.approvals import why_withdrawn
from conducto_core.semantics.resolve import Edits, resolve_grown
from conducto_core.semantics.tree_state import TreeState
from conducto_local.scheduling.live_pipeline import LiveImage, LivePipeline
from conducto_local.state_dir import StateDir
from conducto_local.store.errors import StoreLostError
from conducto_local.store.port import Store
from conducto_local.store.salvage import has_held_pipelines

logger = logging.getLogger(__name__)

#: Maximum number of pipelines named in a message.
_NAMED = 3


def check_store(home: StateDir) -> None:
    """Reject an empty store if there are directories of pipelines.

    Raises:
        StoreLostError: The store is empty although there are pipelines; the message names the
            repair.
    """
    if has_held_pipelines(home.store):
        return
    found = [one for one in home.pipeline_ids() if not home.pipeline(one).is_empty()]
    if found:
        named = ", ".join(found[:_NAMED]) + (", ..." if len(found) > _NAMED else "")
        raise StoreLostError(
            f"{home.store}: the store is empty, but {home.pipelines} has {len(found)} "
            f"pipelines ({named}). Put a copy of the store in its place, or rebuild it from the "
            "directories: conducto agent repair"
        )


def begin(record: PipelineRecord, pipeline: Pipeline) -> LivePipeline:
    """Return a new pipeline, with its status in its record."""
    live = LivePipeline(record, pipeline, TreeState(pipeline), images_of(pipeline))
    # A pipeline that never runs has no later change that would store it.
    live.record = record.model_copy(update={"status": live.status()})
    return live


def keep(home: StateDir, record: PipelineRecord, definition: bytes) -> None:
    """Write the files for `conducto_local.repair` into a pipeline's directory."""
    try:
        home.pipeline(record.id).keep(record, definition)
    except OSError as error:  # disk full, for example: retention retries
        logger.warning(
            "cannot write the files for a repair", extra={"pipeline": record.id, "why": error}
        )


def load(store: Store, record: PipelineRecord) -> LivePipeline:
    """Return a pipeline from the store; attempts that were running still count as running."""
    edits = store.edits(record.id)
    pipeline = resolve_stored(store, record.id, edits)
    tree = TreeState(pipeline, store.nodes(record.id), armed=record.armed)
    tree.count_on(store.newest_attempts(record.id))
    live = LivePipeline(
        record,
        pipeline,
        tree,
        images_of(pipeline, store.images(record.id)),
        seq=store.last_seq(record.id),
    )
    live.edits = edits
    for node in pipeline.execs():
        if node.approval is not None:
            since = store.queued_since(record.id, node.path)
            if since is not None:
                live.asked_before[node.path] = since
            live.withdrawn[node.path] = why_withdrawn(store.attempts(record.id, node.path))
    live.notified = store.last_notification(record.id)
    return live


def resolve_stored(
    store: Store, pipeline_id: str, edits: Edits, images: Mapping[str, ImageSpec] | None = None
) -> Pipeline:
    """Return the stored tree; see `conducto_core.semantics.resolve.resolve_grown`."""
    trees = ((t, unpack_form(tree)) for t, tree in store.generated(pipeline_id).items())
    return resolve_grown(unpack_form(store.definition(pipeline_id)), trees, edits, images)


def interrupted(live: LivePipeline) -> list[tuple[str, int]]:
    """Return ``(path, attempt)`` of the attempts that were running at the last write."""
    return [
        (node.path, node.attempt)
        for node in live.tree.in_flight(live.tree.root)
        if node.state is State.RUNNING
    ]


def images_of(pipeline: Pipeline, stored: Iterable[ImageRecord] = ()) -> dict[str, LiveImage]:
    """Return the images of a tree, by name, with the outcomes of ``stored`` earlier builds."""
    used = dict.fromkeys(node.placement.image for node in pipeline.execs())
    ended = (ImageState.DONE, ImageState.ERROR)  # an agent that stopped left other builds
    known = {record.name: record for record in stored if record.state in ended}
    return {name: LiveImage(known.get(name) or ImageRecord(name=name)) for name in used}
