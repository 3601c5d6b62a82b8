"""Why a node of a cloud pipeline does not run."""

from chalicelib.pipeline import CloudPipeline
from conducto.model.phases import Wait
from conducto.model.records import ImageState, Lifecycle
from conducto.model.states import State
from conducto.running import views
from conducto.semantics.fleet import Pool
from conducto.semantics.live import LiveExec, LiveNode
from conducto.semantics.rules import MAX_LOST_STARTS


def why_waiting(live: CloudPipeline, node: LiveNode) -> Wait | None:
    """Return why a pending or queued node does not run; None when nobody would ask."""
    if live.record.lifecycle is not Lifecycle.ACTIVE and node.state is State.PENDING:
        return Wait(f"{live.record.lifecycle.value}; wake it with: conducto wake {live.id}")
    if isinstance(node, LiveExec) and node.state is State.QUEUED:
        return _why_queued(live, node)
    return views.why_pending(live, node)


def _why_queued(live: CloudPipeline, node: LiveExec) -> Wait:
    pool = live.pool_at(node)
    image = live.images[pool.image].record
    if image.state is not ImageState.DONE:
        return Wait(f"the image {pool.image!r} is {image.state.value}", "image")
    held = _held_back(live, pool)
    if held is not None:
        return Wait(held, "turn")
    staff = live.crew.staff().get(pool.name)
    if staff is not None and staff.starting:
        lost, why = live.lost_starts.get(pool.name, (0, ""))
        after = (
            f", retry {lost} of {MAX_LOST_STARTS}: the last one was lost ({why})" if lost else ""
        )
        return Wait(f"a worker is starting{after}", "start")
    return Wait("next in the queue", "turn")


def _held_back(live: CloudPipeline, pool: Pool) -> str | None:
    """Return what keeps a pool from another worker."""
    full = live.full_group(pool)
    if full is not None:
        room = live.tree.nodes[full].spec.max_concurrent
        return f"max_concurrent={room} of {full} is reached"
    short = live.shortages.get(pool.name)
    if short is not None and short.until > live.now:
        return f"waits for a worker: AWS says {short.message!r}; it is asked again by itself"
    return live.limited
