"""Records of attempts, and the containers that attempts need."""

import logging
from dataclasses import replace

from conducto_core.model.nodes import Placement
from conducto_core.model.records import AttemptRecord
from conducto_core.model.states import State
from conducto_core.runtime.commands import as_written
from conducto_core.runtime.masking import Mask
from conducto_core.semantics.attempt_end import changed_record
from conducto_core.semantics.pools import PoolKind, kind_of
from conducto_local.installation_id import installation_id
from conducto_local.ports import BuiltImage, Job, Mount, WorkerSpec
from conducto_local.scheduling.containers import Owner, PoolKey
from conducto_local.scheduling.live_pipeline import ActiveAttempt
from conducto_local.state_dir import StateDir

logger = logging.getLogger(__name__)

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
    match kind_of(active.spec.pool):
        case PoolKind.MANY:
            return (*owner, image.reference, placement_of(active))
        case PoolKind.CONTEXT:
            more = active.mem if active.mem > active.spec.placement.mem else None  # for a retry
            return (*owner, image.reference, more)
        case PoolKind.ONCE:
            return (*owner, image.reference, active.number)


def pool_owner(active: ActiveAttempt) -> Owner:
    """Return the common prefix of all pool keys of the attempt."""
    return (active.live.id, active.spec.pool)


def worker_spec(
    active: ActiveAttempt, image: BuiltImage, home: StateDir, name: str, network: str | None
) -> WorkerSpec:
    """Return the container that the attempt needs."""
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
        mounts=(
            Mount(str(home.pipeline(live.id).data), DATA_PIPELINE),
            Mount(str(home.user_data), DATA_USER),
        ),
        network=network,
        workdir=image.workdir,
        labels=labels_of(live.id, home),
    )


def labels_of(pipeline_id: str, home: StateDir) -> dict[str, str]:
    """Return the labels of all resources of a pipeline."""
    return {
        LABEL_PIPELINE: pipeline_id,
        LABEL_PROFILE: home.profile,
        LABEL_HOME: installation_id(home),
    }


def started_record(
    active: ActiveAttempt, job: Job | None, image: BuiltImage | None, mask: Mask
) -> AttemptRecord:
    """Return the record of an attempt at its start, with secrets masked."""
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
    )
