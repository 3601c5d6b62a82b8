"""One attempt's way: a container, the command in it, its output, and how it ended."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from conducto.model.nodes import Pipeline, Placement
from conducto.model.records import AttemptRecord
from conducto.model.states import Cause, State
from conducto.running.commands import as_written, script_of
from conducto.running.environment import NOTHING, Surroundings, command_env
from conducto.running.forms import pack_form
from conducto.semantics.errors import DefinitionError
from conducto.semantics.pools import PoolKind, kind_of
from conducto.semantics.resolve import Limits, resolve_generated
from conducto.semantics.rules import cause_of_exit
from conducto.tree.launch_form import from_wire_document
from conducto_local.home import Home
from conducto_local.identity import identity_of
from conducto_local.logs import LogDirectory
from conducto_local.ports import BuiltImage, EngineError, Job, Mount, WorkerSpec
from conducto_local.runner.admission import check_nodes
from conducto_local.runner.containers import Owner, PoolKey
from conducto_local.runner.live import Flight
from conducto_local.runner.output import AttemptOutput
from conducto_local.runner.resources import Sampler
from conducto_worker.masking import Mask
from conducto_worker.printed_tree import PrintedTreeError, TreeCutter

logger = logging.getLogger(__name__)

DATA_PIPELINE = "/conducto/data/pipeline"
DATA_USER = "/conducto/data/user"
LABEL_PIPELINE = "com.conducto.pipeline"
LABEL_PROFILE = "com.conducto.profile"
LABEL_HOME = "com.conducto.home"
#: One set for all: killing 100,000 queued nodes makes as many records at once.
_FIELDS = set(AttemptRecord.model_fields)


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended.

    Attributes:
        tree: A Lazy's generated tree, resolved, and its definition as it is stored.
        started: The command may have begun.
    """

    cause: Cause | None
    exit_code: int | None = None
    message: str | None = None
    peak_memory: int | None = None
    tree: tuple[Pipeline, bytes] | None = None
    started: bool = True

    def with_note(self, note: str | None) -> "Result":
        """Return the same with one more line to its message; None adds nothing."""
        if note is None:
            return self
        return replace(self, message=note if self.message is None else f"{self.message}\n{note}")


def placement_of(flight: Flight) -> Placement:
    """Return what the attempt's container must be like, a retry's memory included.

    A context's one container is as large as its largest Exec asks for.
    """
    spec = flight.spec
    placement = spec.placement
    if placement.mem != flight.mem:
        placement = replace(placement, mem=flight.mem)
    if kind_of(spec.pool) is PoolKind.CONTEXT:
        cpu, mem = flight.live.size_of_context(spec.pool)
        placement = replace(placement, cpu=max(cpu, placement.cpu), mem=max(mem, placement.mem))
    return placement


def pool_key(flight: Flight, image: BuiltImage) -> PoolKey:
    """Return the key of the pool of containers that serves the attempt.

    The image counts as it was built: after a rebuild no container of the old one is used.
    """
    owner = pool_owner(flight)
    match kind_of(flight.spec.pool):
        case PoolKind.MANY:
            return (*owner, image.reference, placement_of(flight))
        case PoolKind.CONTEXT:
            more = flight.mem if flight.mem > flight.spec.placement.mem else None  # for a retry
            return (*owner, image.reference, more)
        case PoolKind.ONCE:
            return (*owner, image.reference, flight.number)


def pool_owner(flight: Flight) -> Owner:
    """Return what all keys of the attempt's pool begin with."""
    return (flight.live.id, flight.spec.pool)


def worker_spec(
    flight: Flight, image: BuiltImage, home: Home, name: str, network: str | None
) -> WorkerSpec:
    """Return the container that the attempt needs."""
    live, placement = flight.live, placement_of(flight)
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


def labels_of(pipeline_id: str, home: Home) -> dict[str, str]:
    """Return the labels of everything that is started for a pipeline."""
    return {
        LABEL_PIPELINE: pipeline_id,
        LABEL_PROFILE: home.profile,
        LABEL_HOME: home_mark(home),
    }


def home_mark(home: Home) -> str:
    """Return what tells this home's containers and images from those of every other home."""
    return identity_of(home).mark


def prepare(
    flight: Flight,
    image: BuiltImage,
    around: Surroundings,
    secrets: Mapping[str, str] = NOTHING,
) -> Job:
    """Return the job of an attempt: its script and environment as they will run.

    Raises:
        CommandError: the command names a file that the image does not hold.
    """
    spec = flight.spec

    script = script_of(spec, image.path_map, image.workdir)
    env = command_env(
        spec.env,
        around,
        path=spec.path,
        attempt=flight.number,
        path_map=image.path_map,
        secrets=secrets,
    )
    return Job(script, env)


def started_record(
    flight: Flight, job: Job | None, image: BuiltImage | None, mask: Mask
) -> AttemptRecord:
    """Return the record of an attempt as it begins, with secrets hidden."""
    container = flight.container
    return AttemptRecord.model_construct(
        _fields_set=_FIELDS,
        path=flight.spec.path,
        number=flight.number,
        state=State.RUNNING,
        command=mask.text(as_written(flight.spec) if job is None else job.script),
        env={name: mask.text(value) for name, value in flight.spec.env.items()},
        image=None if image is None else image.reference,
        container=None if container is None else container.worker.name,
        position=None if container is None else container.used,
        cpu=flight.spec.placement.cpu,
        mem=flight.mem,
        queued=flight.queued,
        image_ready=flight.image_ready,
        admitted=flight.admitted,
        started=flight.started,
    )


def ended_record(flight: Flight, state: State, cause: Cause | None, mask: Mask) -> AttemptRecord:
    """Return the record of an attempt that has ended."""
    begun = flight.record if flight.record is not None else started_record(flight, None, None, mask)
    more = {
        "state": state,
        "cause": cause,
        "message": flight.message,
        "exit_code": flight.exit_code,
        "ended": max(flight.end(), begun.started or 0.0),  # the clock may have been set back
        "peak_memory": flight.peak_memory,
    }
    return AttemptRecord.model_construct(_fields_set=_FIELDS, **{**dict(begun), **more})


async def run_command(
    flight: Flight, job: Job, limits: Limits, log: LogDirectory, mask: Mask
) -> Result:
    """Run the attempt's command in its container and return how it ended.

    Raises:
        EngineError: the engine went away, and the container with it.
    """
    container = flight.container
    if container is None:
        raise RuntimeError(f"{flight.spec.path}: no container")
    writer = log.writer(flight.spec.path, flight.number)
    cutter = TreeCutter() if flight.spec.lazy_target is not None else None
    output = AttemptOutput(writer, cutter, mask)
    size = placement_of(flight)
    sampler = Sampler(
        container.worker,
        lambda line: writer.write("resources", line),
        limits=(size.cpu, size.mem),
        fresh=container.used == 0,
    )
    try:
        done = await container.worker.run(job, output.write)
    finally:
        sampler.end()
        output.finish()
        writer.close()
        container.used += 1
    if done.engine_gone:
        raise EngineError(done.message)
    container.completed += done.cause is not Cause.WORKER_LOST
    cause = done.cause if done.cause is not None else cause_of_exit(done.code)
    message = done.message if done.message is not None else writer.failure
    if cause is None and writer.failure is not None:
        # Nobody can see what it printed, and a Lazy's or a test's output is its result.
        cause = Cause.WORKER_LOST
        message = f"the command ended with exit code 0, but {writer.failure}"
    result = Result(cause, done.code, message, done.peak_memory, started=done.started)
    if cutter is not None and cause is None and not flight.stopping:
        # A copy, since the loop goes on changing the tree while the thread reads it.
        tree = Pipeline(dict(flight.live.pipeline.nodes), dict(flight.live.pipeline.images))
        result = await asyncio.to_thread(_with_tree, result, cutter, flight, tree, limits)
    said = result.message
    return result if said is None else replace(result, message=mask.text(said))


def _with_tree(
    result: Result, cutter: TreeCutter, flight: Flight, tree: Pipeline, limits: Limits
) -> Result:
    """Add the printed tree to a result, or turn it into a failure that says what is wrong."""
    target = flight.spec.lazy_target
    if target is None:
        return result
    try:
        form = from_wire_document(cutter.tree())
        pipeline = resolve_generated(form, target, tree, flight.live.edits)
        check_nodes(pipeline.nodes, limits)
    except (PrintedTreeError, DefinitionError, KeyError, TypeError) as error:
        message = (
            str(error)
            if isinstance(error, (PrintedTreeError, DefinitionError))
            else (f"printed a broken tree: {error!r}")
        )
        return Result(Cause.LAZY, result.exit_code, message, result.peak_memory)
    definition = pack_form(form)
    return replace(result, tree=(pipeline, definition))
