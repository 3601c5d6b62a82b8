"""Why a node of a cloud pipeline does not run."""

from itertools import islice

from chalicelib.crew import Status
from chalicelib.pipeline import CloudPipeline
from conducto.model.phases import Wait
from conducto.model.records import ImageState, Lifecycle
from conducto.model.states import State
from conducto.running import views
from conducto.semantics.contexts import loss
from conducto.semantics.fleet import Pool
from conducto.semantics.live import LiveExec, LiveNode
from conducto.semantics.pools import PoolKind, owner_of
from conducto.semantics.rules import MAX_LOST_STARTS


def why_waiting(live: CloudPipeline, node: LiveNode) -> Wait | None:
    """Return why a pending or queued node does not run; None when nobody would ask."""
    if live.record.lifecycle is not Lifecycle.ACTIVE and node.state is State.PENDING:
        return Wait(f"{live.record.lifecycle.value}; wake it with: conducto wake {live.id}")
    if isinstance(node, LiveExec) and node.state is State.QUEUED:
        return _why_queued(live, node)
    lost = live.lost_contexts.get(node.spec.pool)
    misses = node.state is State.PENDING or owner_of(node.spec.pool) == node.path
    if lost is not None and misses:
        return Wait(loss(node.spec.pool, lost, live.id))
    return views.why_pending(live, node)


def _why_queued(live: CloudPipeline, node: LiveExec) -> Wait:
    pool = live.pool_at(node)
    image = live.images[pool.image].record
    if image.state is not ImageState.DONE:
        return Wait(f"the image {pool.image!r} is {image.state.value}", "image")
    held = _held_back(live, node.path, pool)
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


def _held_back(live: CloudPipeline, path: str, pool: Pool) -> str | None:
    """Return what keeps an Exec from a worker."""
    full = live.full_group(path)
    if full is not None:
        room = live.tree.nodes[full].spec.max_concurrent
        return f"max_concurrent={room} of {full} is reached"
    short = live.shortages.get(pool.name)
    if short is not None and short.until > live.now:
        return f"waits for a worker: AWS says {short.message!r}; it is asked again by itself"
    if pool.kind is not PoolKind.CONTEXT:
        return None if _has_worker(live, path, pool) else live.limited
    if any(live.crew.in_pool(pool.name, Status.BUSY)):
        return f"the container of {owner_of(pool.key)} runs one command at a time"
    if any(live.crew.in_pool(pool.name, Status.IDLE, Status.STARTING)):
        return None
    return live.withheld or live.limited


def _has_worker(live: CloudPipeline, path: str, pool: Pool) -> bool:
    """Return whether a worker without a command, or one that starts, is there for an Exec."""
    free = sum(1 for _ in live.crew.in_pool(pool.name, Status.IDLE, Status.STARTING))
    return path in islice(live.queue.get(pool.name, ()), free)
