"""Why a node of a cloud pipeline does not run."""

from itertools import islice
from time import gmtime, strftime

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
from conducto.semantics.start_failures import with_remedy


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
        why = "" if image.error is None else f": {image.error}"
        return Wait(f"the image {pool.image!r} is {image.state.value}{why}", "image")
    held = _held_back(live, node.path, pool)
    if held is not None:
        return Wait(held, "turn")
    staff = live.crew.staff().get(pool.name)
    if staff is not None and staff.starting:
        starts = live.starts_of(pool.name)
        again = f", retry {starts.rounds}: {with_remedy(starts.reason)}" if starts.rounds else ""
        return Wait(f"a worker is starting{again}", "start")
    return Wait("next in the queue", "turn")


def _held_back(live: CloudPipeline, path: str, pool: Pool) -> str | None:
    """Return what keeps an Exec from a worker."""
    full = live.full_group(path)
    if full is not None:
        room = live.tree.nodes[full].spec.max_concurrent
        return f"max_concurrent={room} of {full} is reached"
    starts = live.starts_of(pool.name)
    if starts.until > live.now:
        said = with_remedy(starts.reason)
        return f"waits for a worker: AWS says {said!r}; the next one starts {_when(starts.until)}"
    if pool.kind is not PoolKind.CONTEXT:
        return None if _has_worker(live, path, pool) else live.limited
    if any(live.crew.in_pool(pool.name, Status.BUSY)):
        return f"the container of {owner_of(pool.key)} runs one command at a time"
    if any(live.crew.in_pool(pool.name, Status.IDLE, Status.STARTING)):
        return None
    return live.withheld or live.limited


def _when(moment: float) -> str:
    return strftime("after %H:%M UTC", gmtime(moment))


def _has_worker(live: CloudPipeline, path: str, pool: Pool) -> bool:
    """Return whether a worker without a command, or one that starts, is there for an Exec."""
    free = sum(1 for _ in live.crew.in_pool(pool.name, Status.IDLE, Status.STARTING))
    return path in islice(live.queue.get(pool.name, ()), free)
