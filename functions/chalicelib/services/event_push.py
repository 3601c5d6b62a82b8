"""Pushes changes to the followers of a pipeline over WebSockets.

Two Lambdas may push at the same time: a change can arrive twice but is never skipped, because a
frame starts after the last change that is known to have arrived. Clients ignore duplicates.
"""

import logging
from collections.abc import Iterator, Sequence

from chalicelib.domain.pipeline import CloudPipeline
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.followers import Followers
from conducto_core.api.queries import views
from conducto_core.model.records import ImageRecord, NodeChange
from conducto_core.model.requests import EventBatch

logger = logging.getLogger(__name__)

#: Changes per read.
MAX_CHANGES = 300
#: Maximum bytes of a frame, safely below `FRAME_LIMIT`.
MAX_FRAME = 30_000
#: Characters to which an image's error is cut in a frame that would otherwise be too large.
_BRIEF_ERROR = 200


def publish(cloud: Dependencies, live: CloudPipeline) -> None:
    """Send every follower the changes that it does not have yet.

    An unreachable follower keeps its cursor and does not delay the others. A follower whose token
    was revoked or has expired receives no more changes.
    """
    followers = Followers(cloud.connections, cloud.tokens)
    for connection, cursor in cloud.connections.followers(live.id):
        try:
            identity = followers.identity_of(connection)
            if identity is None or identity.org != live.org:
                followers.close(connection)
            else:
                _send(cloud, live, connection, cursor)
        except Exception:
            # The next change includes these; other followers must not wait.
            logger.exception("changes were not sent to a follower", extra={"pipeline": live.id})


def batch_after(
    cloud: Dependencies, live: CloudPipeline, cursor: int, seen: int = 0
) -> EventBatch | None:
    """Return up to `MAX_CHANGES` changes after ``cursor``, or None if there are none.

    Args:
        cloud: The ports.
        live: The pipeline, at least as new as the changes.
        cursor: Number of the last known change.
        seen: Number of the last entry whose image changes are known.
    """
    changes = cloud.store.changes(live.id, cursor, MAX_CHANGES)
    moved = any(image.version > seen for image in live.images.values())
    if not changes and not moved:
        return None
    return views.batch(live, list(changes), seen, live.periods)


def _send(cloud: Dependencies, live: CloudPipeline, connection: str, cursor: int) -> None:
    while (batch := batch_after(cloud, live, cursor, live.number - 1)) is not None:
        for frame, last in frames(live, batch):
            if not cloud.connections.send(connection, frame):
                cloud.connections.delete(connection)
                return
            if last is not None:
                cursor = last
                cloud.connections.put(connection, live.org, live.id, cursor)
        if len(batch.changes) < MAX_CHANGES:
            return


def frames(live: CloudPipeline, batch: EventBatch) -> Iterator[tuple[bytes, int | None]]:
    """Yield frames of at most `MAX_FRAME` bytes, each with the number of its last change."""
    data = _encoded(batch)
    if len(data) <= MAX_FRAME or len(batch.changes) <= 1:
        fitting = data if len(data) <= MAX_FRAME else _shortened(batch)
        yield fitting, batch.changes[-1].seq if batch.changes else None
        return
    half = len(batch.changes) // 2
    yield from frames(live, _part(live, batch, batch.changes[:half]))
    yield from frames(
        live, views.batch(live, list(batch.changes[half:]), live.number, live.periods)
    )


def _part(live: CloudPipeline, batch: EventBatch, changes: Sequence[NodeChange]) -> EventBatch:
    first = views.batch(live, list(changes), live.number, live.periods)
    return first.model_copy(update={"images": batch.images})


def _shortened(batch: EventBatch) -> bytes:
    """Return a frame of a batch whose single change does not fit into a frame.

    Errors of images are shortened first. Then images are left out, and then counts of groups, the
    deepest first.
    """
    summary = batch.pipeline
    brief = batch.model_copy(
        update={
            "images": tuple(map(_brief, batch.images)),
            "pipeline": summary.model_copy(update={"images": tuple(map(_brief, summary.images))}),
        }
    )
    if len(data := _encoded(brief)) <= MAX_FRAME:
        return data
    bare = summary.model_copy(update={"images": ()})
    counts = sorted(batch.counts.items(), key=lambda item: len(item[0]))
    while True:
        kept = {"images": (), "pipeline": bare, "counts": dict(counts), "times": {}}
        data = _encoded(batch.model_copy(update=kept))
        if len(data) <= MAX_FRAME or not counts:
            return data
        del counts[len(counts) // 2 :]


def _brief(image: ImageRecord) -> ImageRecord:
    if image.error is None or len(image.error) <= _BRIEF_ERROR:
        return image
    return image.model_copy(update={"error": image.error[:_BRIEF_ERROR] + "…"})


def _encoded(batch: EventBatch) -> bytes:
    return batch.model_dump_json().encode()
