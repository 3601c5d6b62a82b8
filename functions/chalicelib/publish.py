"""Frames of changes to who follows a pipeline over a WebSocket.

Two Lambdas may publish at the same time: a change can come twice, but none is left out, because a
frame begins where the last one that is known to have arrived ended. Clients drop what they have.
"""

from chalicelib.cloud import Cloud
from chalicelib.pipeline import CloudPipeline
from conducto.model.api import EventBatch
from conducto.running import views

#: Changes in one frame: a frame of a WebSocket at AWS has at most 128 KB.
MOST_CHANGES = 300


def publish(cloud: Cloud, live: CloudPipeline) -> None:
    """Send every follower what it has not seen yet."""
    for connection, cursor in cloud.connections.followers(live.id):
        _send(cloud, live, connection, cursor)


def batch_after(cloud: Cloud, live: CloudPipeline, cursor: int, seen: int = 0) -> EventBatch | None:
    """Return changes beyond ``cursor``, at most `MOST_CHANGES`; None where there are none.

    Args:
        cloud: Where they are.
        live: The pipeline, at least as new as the changes.
        cursor: Number of the last change that is known.
        seen: Number of the entry up to which images are known.
    """
    changes = cloud.store.changes(live.id, cursor, MOST_CHANGES)
    moved = any(image.version > seen for image in live.images.values())
    if not changes and not moved:
        return None
    return views.batch(live, list(changes), seen)


def _send(cloud: Cloud, live: CloudPipeline, connection: str, cursor: int) -> None:
    while (batch := batch_after(cloud, live, cursor, live.number - 1)) is not None:
        if not cloud.connections.send(connection, batch.model_dump_json().encode()):
            cloud.connections.delete(connection)
            return
        if not batch.changes:
            return
        cursor = batch.changes[-1].seq
        cloud.connections.put(connection, live.org, live.id, cursor)
        if len(batch.changes) < MOST_CHANGES:
            return
