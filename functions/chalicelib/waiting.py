"""Why a node of a cloud pipeline does not run, as a sentence.

The web app tells by it what kind of wait it is (web/src/model/waiting.ts).
"""

from chalicelib.pipeline import CloudPipeline
from conducto.model.records import ImageState, Lifecycle
from conducto.model.states import State
from conducto.running import views
from conducto.semantics.live import LiveExec, LiveNode


def why_waiting(live: CloudPipeline, node: LiveNode) -> str | None:
    """Return why a pending or queued node does not run; None when nobody would ask."""
    if live.record.lifecycle is not Lifecycle.ACTIVE and node.state is State.PENDING:
        return f"{live.record.lifecycle.value}; wake it with: conducto wake {live.id}"
    if isinstance(node, LiveExec) and node.state is State.QUEUED:
        return _why_queued(live, node)
    return views.why_pending(live, node)


def _why_queued(live: CloudPipeline, node: LiveExec) -> str:
    pool = live.pool_at(node)
    image = live.images[pool.image].record
    if image.state is not ImageState.DONE:
        return f"the image {pool.image!r} is {image.state.value}"
    full = live.full_group(pool)
    if full is not None:
        room = live.tree.nodes[full].spec.max_concurrent
        return f"max_concurrent={room} of {full} is reached"
    short = live.shortages.get(pool.name)
    if short is not None and short.until > live.now:
        return f"waits for capacity: AWS says {short.message!r}; it is asked again every minute"
    if live.limited is not None:
        return live.limited
    staff = live.crew.staff().get(pool.name)
    if staff is not None and staff.starting:
        return "a worker is starting"
    return "next in the queue"
