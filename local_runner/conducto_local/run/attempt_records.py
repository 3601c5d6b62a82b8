"""Records of attempts, and the containers that attempts need."""

from collections.abc import Iterable
from dataclasses import replace

from conducto_core.cache.rules import is_isolated
from conducto_core.cache.views import INPUTS_OF_PIPELINE
from conducto_core.command.masking import Mask
from conducto_core.command.text import as_written
from conducto_core.run.model import events as ev
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.contexts import Hold, hold_of, is_inside, used_contexts
from conducto_core.run.rules.outcomes import AttemptEnd, changed_record
from conducto_core.tree.model import Placement
from conducto_core.tree.rules.callbacks import PoolKind, kind_of
from conducto_local.agent.state_dir import StateDir, installation_id
from conducto_local.data.buckets import bucket_mounts
from conducto_local.engine.port import BuiltImage, Job, Mount, WorkerSpec
from conducto_local.run.containers import Container, Containers, Owner, PoolKey
from conducto_local.run.context import SchedulerContext
from conducto_local.run.live_pipeline import ActiveAttempt, LivePipeline

DATA_PIPELINE = "/conducto/data/pipeline"
DATA_USER = "/conducto/data/user"
LABEL_PIPELINE = "com.conducto.pipeline"
LABEL_PROFILE = "com.conducto.profile"
LABEL_HOME = "com.conducto.home"


_RUNNING = AttemptRecord(path="", number=0, state=State.RUNNING)


def placement_of(active: ActiveAttempt) -> Placement:
    """Return the placement of the attempt's container, with the memory of a retry.

    The single container of a context is as large as its largest Exec requires.
    """
    spec = active.spec
    placement = spec.placement
    if placement.mem != active.mem:
        placement = replace(placement, mem=active.mem)
    if kind_of(spec.pool) is PoolKind.CONTEXT:
        cpu, mem = active.live.size_of_context(spec.pool)
        placement = replace(placement, cpu=max(cpu, placement.cpu), mem=max(mem, placement.mem))
    return placement


def pool_key(active: ActiveAttempt, image: BuiltImage) -> PoolKey:
    """Return the key of the container pool of the attempt.

    The key has the built image: after a rebuild, no container of the old image is used.
    """
    owner = pool_owner(active)
    if active.view is not None:  # its files are mounted
        return (*owner, image.reference, active.view.root)
    match kind_of(active.spec.pool):
        case PoolKind.MANY:
            return (*owner, image.reference, placement_of(active))
        case PoolKind.CONTEXT:
            more = active.mem if active.mem > active.spec.placement.mem else None  # for a retry
            return (*owner, image.reference, more, placement_of(active).services)
        case PoolKind.ONCE:
            return (*owner, image.reference, active.number)


def pool_owner(active: ActiveAttempt) -> Owner:
    """Return the common prefix of all pool keys of the attempt."""
    return (active.live.id, active.spec.pool)


def worker_spec(
    active: ActiveAttempt,
    image: BuiltImage,
    home: StateDir,
    name: str,
    network: str | None,
) -> WorkerSpec:
    live, placement = active.live, placement_of(active)
    return WorkerSpec(
        name=name,
        image=image.reference,
        shell=image.shell,
        cpu=placement.cpu,
        mem=placement.mem,
        gpu=placement.gpu,
        requires_docker=placement.requires_docker,
        docker_run_args=placement.docker_run_args,
        mounts=(*_mounts(active, home), *bucket_mounts(placement.buckets, home)),
        network=network,
        workdir=image.workdir,
        labels=labels_of(live.id, home),
    )


def _mounts(active: ActiveAttempt, home: StateDir) -> tuple[Mount, ...]:
    """Return the directories of data; a cached command has only its own files in them."""
    if active.view is not None:
        view = active.view
        return (
            Mount(str(view.root), DATA_PIPELINE),
            Mount(str(view.data), INPUTS_OF_PIPELINE, read_only=True),
            Mount(str(home.no_data), DATA_USER, read_only=True),
        )
    if is_isolated(active.spec, active.live.record):
        empty = str(home.no_data)
        return tuple(Mount(empty, target, read_only=True) for target in (DATA_PIPELINE, DATA_USER))
    data = str(home.pipeline(active.live.id).data)
    return (Mount(data, DATA_PIPELINE), Mount(str(home.user_data), DATA_USER))


def _why_it_runs(active: ActiveAttempt) -> str | None:
    off = active.spec.cache_off
    if active.cached is not None:
        return active.cached.reason
    return None if off is None else f"not cached: {off}"


def labels_of(pipeline_id: str, home: StateDir) -> dict[str, str]:
    return {
        LABEL_PIPELINE: pipeline_id,
        LABEL_PROFILE: home.profile,
        LABEL_HOME: installation_id(home),
    }


def started_record(
    active: ActiveAttempt, job: Job | None, image: BuiltImage | None, mask: Mask
) -> AttemptRecord:
    container = active.container
    return changed_record(
        _RUNNING,
        path=active.spec.path,
        number=active.number,
        command=mask.text(as_written(active.spec) if job is None else job.script),
        env={name: mask.text(value) for name, value in active.spec.env.items()},
        image=None if image is None else image.reference,
        container=None if container is None else container.worker.name,
        position=None if container is None else container.used,
        cpu=active.spec.placement.cpu,
        mem=active.mem,
        queued=active.queued,
        image_ready=active.image_ready,
        admitted=active.admitted,
        started=active.started,
        fingerprint=active.fingerprint,
        cache=_why_it_runs(active),
        actor=active.actor,
    )


# ----------------------------------------------------------------------------------------
# The containers of ``new`` groups: how long each is kept, and the effects of its loss.
#
# The rules are in `conducto_core.run.rules.contexts`; the cloud applies the same rules.


_UNLOADED = "the agent was stopped, or the pipeline was idle for some time"


class Contexts:
    """The containers of all ``new`` groups of one agent."""

    def __init__(self, common: SchedulerContext, containers: Containers) -> None:
        self._common = common
        self._containers = containers
        containers.when_lost = self._note_loss

    def need(self, active: ActiveAttempt) -> None:
        """Keep the container of a queued attempt's group, however long the attempt waits."""
        if kind_of(active.spec.pool) is PoolKind.CONTEXT:
            active.live.kept.add(active.spec.pool)
            self._containers.keep_idle(pool_owner(active), kept=True)

    def recall(self, live: LivePipeline) -> None:
        """Record which containers are missing for a pipeline that was just loaded."""
        for pool in used_contexts(live.tree):
            if not self._containers.has_idle((live.id, pool)):
                live.lose_context(pool, _UNLOADED, 1)

    def release(self, live: LivePipeline) -> None:
        """Stop keeping containers whose group neither waits nor is paused."""
        for pool in list(live.kept):
            hold = hold_of(live.tree, pool, used=True)
            if hold in (Hold.NEEDED, Hold.PAUSED):
                continue
            live.kept.discard(pool)
            self._containers.keep_idle((live.id, pool), kept=False)
            if hold is Hold.OVER:
                self._drop((live.id, pool))

    def forget(self, live: LivePipeline, paths: Iterable[str]) -> None:
        """Remove the containers of groups that are entirely inside these subtrees."""
        tops = frozenset(paths)
        self._containers.drop(lambda key: key[0] == live.id and is_inside(str(key[1]), tops))
        for active in live.active_attempts.values():
            active.leaves = active.leaves or is_inside(active.spec.pool, tops)

    def end_without(self, live: LivePipeline, event: ev.Event | None = None) -> None:
        """End the queued attempts whose group's container is lost.

        Args:
            event: The current event. A user who resets a part of a group accepts a fresh container.
        """
        paths = event.paths if isinstance(event, ev.NodesReset) else ()
        for node, message in live.execs_without_context(paths):
            live.active_attempts[node.path].result = AttemptEnd(message=message)
            end = ev.AttemptFinished(
                node.path, node.attempt, Cause.WORKER_LOST, started=False, final=True
            )
            self._common.apply(live, end)

    def _drop(self, owner: Owner) -> None:
        self._containers.drop(lambda pool: pool[:2] == owner)

    def _note_loss(self, container: Container, why: str) -> None:
        """Record the loss of a container if its group still depends on its state."""
        live, pool = self._common.live.get(str(container.pool[0])), str(container.pool[1])
        if live is None or self._common.closing:
            return
        if live.lose_context(pool, why, container.completed):
            self.end_without(live)
