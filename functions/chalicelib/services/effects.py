"""Executes effects in AWS after a commit. Each effect may be lost, or executed twice.

| lost effect | recovery |
| --- | --- |
| completion of a task | the task is offered again, and completed when it is claimed |
| start of an execution | `ExecutionStarted` is missing: a new run is planned |
| stop of an execution | its tasks belong to an old run and fail when they are claimed |
| launch of a worker | ECS has no task for it after a minute: it counts as lost |
| stop of a worker | it leaves by itself after its idle timeout |
| release of files and activities | later entries repeat it; retention deletes the rest |
| deletion of a run's machines | `chalicelib.services.orphan_cleanup` finds them once a day |
| reassignment of a free worker | waiting pipelines are checked every minute |
| start of a build | polling starts the missing build |
| frame to a follower | the next frame includes its changes |
| metering of an attempt | none: it does not count in the usage reports |
| release of named limits | `chalicelib.services.named_limits` sweeps every minute |
| charge of an ended worker | `chalicelib.services.billing_run` reads its end from ECS |
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from chalicelib.domain.events import (
    ActionRequested,
    BuiltImage,
    CapacityUnavailable,
    ExecutionStarted,
    Input,
    WorkerLaunch,
)
from chalicelib.domain.pipeline import CloudPipeline
from chalicelib.domain.pipeline_changes import PipelineChanges, Usage, WorkerCharge
from chalicelib.domain.tokens import new_token
from chalicelib.ports.errors import AccessDeniedError, CapacityError, TaskGoneError, ThrottledError
from chalicelib.ports.identity import Identity
from chalicelib.ports.workers import WorkerTask
from chalicelib.services.build_poller import Reading, image_update
from chalicelib.services.charging import Charging, WorkerTime
from chalicelib.services.dependencies import Dependencies, write_with_retry
from chalicelib.services.event_push import publish
from chalicelib.services.image_builds import ImageBuilds
from chalicelib.services.metering import month_of
from chalicelib.services.named_limits import NamedLimits
from chalicelib.services.slots import Need, Slots, Submit
from conducto.errors import DefinitionError
from conducto_core.model.records import Lifecycle
from conducto_core.model.requests import Action
from conducto_core.semantics.asl.compiler import compile_residual
from conducto_core.semantics.autoscaling import Pool, on_spot
from conducto_core.semantics.cloud_machine import (
    CompleteTask,
    MachineCommand,
    StartExecution,
    StopExecution,
)
from conducto_core.semantics.naming import NO_TREE, execution_input
from conducto_core.semantics.residual import Residual
from conducto_core.semantics.start_failures import StartFailure, failure_of
from conducto_core.semantics.user_secrets import is_untrusted, secrets_user

logger = logging.getLogger(__name__)

#: Lifetime of a worker's token in seconds: longer than any worker lives.
TOKEN_SECONDS = 3 * 86_400.0
#: The only permission of a worker.
WORKER = "worker"


@dataclass(slots=True)
class Effects:
    """The effects of one entry.

    Attributes:
        pools: ``{path: pool}`` of the tasks in `machine_commands`.
        executions: ``{run: ARN}`` of known executions.
        run: The latest run.
        tasks: Workers to launch, without their tokens.
        known_pools: Names of all its pools, if they are to be released.
        released: Whether to release all of its AWS resources except its files.
        room: Whether to look for free workers, or to hand them on.
        refused: ``{pool: error}`` of pools whose launch AWS rejected; the entry's other launches in
            the pool are skipped.
        unlimited: ``(path, attempt)`` of attempts that release their named limits.
    """

    org: str
    pipeline_id: str
    machine_commands: list[MachineCommand] = field(default_factory=list)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    executions: Mapping[str, str] = field(default_factory=dict)
    run: str = ""
    tasks: list[WorkerTask] = field(default_factory=list)
    stops: list[tuple[str, str | None]] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)
    charges: list[WorkerCharge] = field(default_factory=list)
    builds: list[BuiltImage] = field(default_factory=list)
    known_pools: tuple[str, ...] = ()
    published: bool = False
    released: bool = False
    room: Need | None = None
    refused: dict[str, Exception] = field(default_factory=dict)
    unlimited: list[tuple[str, int]] = field(default_factory=list)


def effects_of(
    live: CloudPipeline, changes: PipelineChanges, hires: tuple[WorkerLaunch, ...], spot_share: int
) -> Effects:
    """Return the changes of an entry, which then do not require the pipeline's state."""
    released = live.record.lifecycle is Lifecycle.ARCHIVED and not live.open() and not hires
    return Effects(
        live.org,
        live.id,
        machine_commands=changes.machine_commands,
        pools=changes.pools,
        executions=dict(live.runs),
        run=live.cloud_machine.run,
        tasks=[_task(live, launch, spot_share) for launch in hires],
        stops=changes.stops,
        usage=changes.usage,
        charges=changes.charges,
        builds=changes.builds,
        unlimited=changes.released,
        published=bool(changes.changes),
        known_pools=tuple(live.pools) if released else (),
        released=released,
    )


def _task(live: CloudPipeline, launch: WorkerLaunch, spot_share: int) -> WorkerTask:
    pool = live.pools[launch.pool]
    return WorkerTask(
        worker_id=launch.worker,
        org=live.org,
        pipeline_id=live.id,
        pool=pool.name,
        image=live.images[pool.image].record.reference or "",
        cpu=pool.cpu,
        mem=pool.mem,
        token="",  # created at the launch: journals contain no tokens
        user=live.record.owner,
        user_data=secrets_user(live.record) is not None,
        named_role=not is_untrusted(live.record),
        spot=on_spot(launch.worker, pool.kind, spot_share),
        title=live.record.title,
    )


class EffectExecutor:
    """Executes the effects of entries."""

    def __init__(self, cloud: Dependencies, submit: Submit, reading: Reading, slots: Slots) -> None:
        self._cloud = cloud
        self._submit = submit
        self._slots = slots
        self._reading = reading
        self._builds = ImageBuilds(cloud)
        self._charging = Charging(cloud)

    def execute(self, effects: Effects) -> None:
        """Execute all effects; a failure is logged and does not affect the others."""
        steps: list[Callable[[], object]] = [
            *(
                lambda command=command: self._execute(effects, command)
                for command in effects.machine_commands
            ),
            *(lambda task=task: self._start_worker(effects, task) for task in effects.tasks),
            *(lambda stop=stop: self._stop_worker(effects, *stop) for stop in effects.stops),
            *(lambda usage=usage: self._meter(effects, usage) for usage in effects.usage),
            *(lambda charge=charge: self._charge(effects, charge) for charge in effects.charges),
            *(lambda image=image: self._build(effects, image) for image in effects.builds),
        ]
        if effects.unlimited:
            steps.append(lambda: self._release_limits(effects))
        if effects.released:
            steps += self._releases(effects)
        if effects.published:
            steps.append(lambda: self._publish(effects))
        room = effects.room
        if room is not None:
            steps.append(lambda: self._slots.settle(effects.org, effects.pipeline_id, room))
        for step in steps:
            try:
                step()
            except Exception:
                # One failure must not affect the others.
                about = {"pipeline": effects.pipeline_id, "run_id": effects.run}
                logger.exception("an effect failed", extra=about)

    def _release_limits(self, effects: Effects) -> None:
        keys = [(effects.pipeline_id, path, attempt) for path, attempt in effects.unlimited]
        NamedLimits(self._cloud).release(effects.org, keys)

    def _releases(self, effects: Effects) -> list[Callable[[], object]]:
        cloud = self._cloud
        return [
            lambda: cloud.fleet.release(effects.pipeline_id),
            *(lambda run=run: self._halt(effects, run) for run in effects.executions),
            lambda: self._forget_activities(effects),
        ]

    def _forget_activities(self, effects: Effects) -> None:
        """Delete activities until AWS throttles, which it does after one per second.

        Retention deletes the rest, because a client waits for this request.
        """
        for pool in effects.known_pools:
            self._cloud.machines.forget_activity(self._cloud.site.activity_of(pool))

    def _execute(self, effects: Effects, command: MachineCommand) -> None:
        match command:
            case StartExecution():
                self._begin(effects, command)
            case StopExecution():
                self._halt(effects, command.run)
            case CompleteTask():
                self._reply(effects, command)

    def _halt(self, effects: Effects, run: str) -> None:
        arn = effects.executions.get(run)
        if arn is not None:
            machines = self._cloud.machines
            machines.stop(arn, "superseded by a new run")
            machines.forget(machines.machine_of(arn))

    def _begin(self, effects: Effects, begin: StartExecution) -> None:
        try:
            arn = self._compile(effects, begin.rest, begin.run)
        except DefinitionError as error:
            self._pause(effects, str(error))
            return
        execution = self._cloud.machines.start(arn, begin.run, execution_input(begin.run))
        now = self._cloud.clock()
        started = ExecutionStarted(time=now, run=begin.run, arn=execution)
        self._submit(effects.org, effects.pipeline_id, lambda _: started)

    def _pause(self, effects: Effects, problem: str) -> None:
        pause = ActionRequested(time=self._cloud.clock(), action=Action.PAUSE, problem=problem)
        self._submit(effects.org, effects.pipeline_id, lambda _: pause)

    def _compile(self, effects: Effects, rest: Residual | None, run: str) -> str:
        """Create machines and activities; return the ARN of the machine to start.

        Machines belong to a run, so that they can be deleted after it.
        """
        site, machines, pools = self._cloud.site, self._cloud.machines, effects.pools
        compiled = compile_residual(
            rest,
            site,
            resource=lambda spec: site.activity_of(pools[spec.path].name),
            maximum=self._cloud.max_machine_size,
            run=run,
        )
        needed = [] if rest is None else [pools[spec.path].name for spec in rest.tasks()]
        for pool in dict.fromkeys(needed):
            machines.ensure_activity(site.activity_name(pool))
        for machine in compiled.machines:
            machines.create(machine, effects.org, effects.pipeline_id)
        return compiled.top.arn

    def _reply(self, effects: Effects, reply: CompleteTask) -> None:
        machines = self._cloud.machines
        try:
            if reply.error is not None:
                machines.fail(reply.token, reply.error)
            elif reply.generates:
                machine = self._compile(effects, reply.generated, effects.run)
                machines.succeed(reply.token, {"sm": machine})
            else:
                machines.succeed(reply.token, {})
        except TaskGoneError:
            return  # its execution was stopped; the journal has the result
        except DefinitionError as error:
            machines.fail(reply.token, NO_TREE)
            self._pause(effects, str(error))

    def _start_worker(self, effects: Effects, task: WorkerTask) -> None:
        refused = effects.refused.get(task.pool)
        if refused is None:
            try:
                self._order_task(task)
            except Exception as error:
                # After any error the pool waits before it retries, and its nodes show the reason.
                effects.refused[task.pool] = refused = error
                if not isinstance(error, (CapacityError, ThrottledError, AccessDeniedError)):
                    about = {"worker": task.worker_id, "run_id": effects.run}
                    logger.exception("a worker was not started", extra=about)
        if refused is not None:
            self._not_started(task, refused)

    def _order_task(self, task: WorkerTask) -> None:
        cloud = self._cloud
        token, digest = new_token()
        who = (task.pipeline_id, task.pool, task.worker_id)
        identity = Identity(task.org, task.user, frozenset({WORKER}), who)
        cloud.tokens.put(digest, identity, expires=cloud.clock() + TOKEN_SECONDS)
        cloud.fleet.start(replace(task, token=token))

    def _not_started(self, task: WorkerTask, error: Exception) -> None:
        workers = self._cloud.orgs.in_use(task.org).workers
        throttled = isinstance(error, ThrottledError)

        def decide(live: CloudPipeline) -> Input:
            return CapacityUnavailable(
                time=self._cloud.clock(),
                worker=task.worker_id,
                message=str(error),
                failure=StartFailure.THROTTLED if throttled else failure_of(str(error)),
                contended=workers > live.share.workers,
            )

        self._submit(task.org, task.pipeline_id, decide)

    def _stop_worker(self, effects: Effects, worker: str, task: str | None) -> None:
        fleet = self._cloud.fleet
        arn = task if task is not None else fleet.running(effects.pipeline_id).get(worker)
        if arn is not None:
            fleet.stop(arn, "no longer needed")

    def _build(self, effects: Effects, image: BuiltImage) -> None:
        moved = self._builds.begin(effects.org, effects.pipeline_id, image)
        now = self._cloud.clock()
        self._submit(effects.org, effects.pipeline_id, lambda live: image_update(live, moved, now))

    def _publish(self, effects: Effects) -> None:
        if self._cloud.connections.followers(effects.pipeline_id):
            with self._reading(effects.org, effects.pipeline_id) as live:
                publish(self._cloud, live)

    def _charge(self, effects: Effects, seen: WorkerCharge) -> None:
        span = (seen.began, seen.until)
        time = WorkerTime(
            seen.worker, effects.pipeline_id, seen.size, *span, seen.task, ended=seen.ended
        )
        self._charging.observe(effects.org, time)

    def _meter(self, effects: Effects, usage: Usage) -> None:
        month = month_of(self._cloud.clock())
        key = f"{effects.pipeline_id}{usage.key}"
        write_with_retry(
            self._cloud,
            lambda: self._cloud.orgs.add_usage(
                effects.org, month, key, usage.seconds, usage.cpu, whose=usage.whose
            ),
        )
