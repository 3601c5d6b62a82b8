"""Debug shells on workers of their own: opened by users, kept alive by an agent, ended.

A shell is not part of its pipeline's journal. It has an item of its own
(`chalicelib.debug.store.TableShells`) and counts as one of the organisation's workers from before
its task is launched until it is asked to stop. A shell ends when its user leaves, when its time is
up, when its pipeline is archived, or when its task stops; the schedule that runs every minute
completes interrupted ends. The response to each heartbeat tells the agent whether to continue, so
that no task outlives its item by more than some seconds, even if a stop request was lost.
"""

import logging
from collections.abc import Mapping
from secrets import token_hex
from typing import Any, Literal

from chalicelib.billing.metering import Charging, WorkerTime, check_usage, month_of
from chalicelib.debug.plans import DebugPlans
from chalicelib.errors import CapacityError, PlanLimitError, Timing
from chalicelib.installation import Installation
from chalicelib.people.port import Identity, Spender
from chalicelib.people.tokens import new_token
from chalicelib.records import Records
from chalicelib.run.deferred_effects import START_WORKER
from chalicelib.run.processor import CommandProcessor
from chalicelib.workers.port import Compute, Shell, TaskStatus, WorkerTask
from conducto_core.billing.rules import dollars_of
from conducto_core.buckets.rules import buckets_to_wire
from conducto_core.command.task_layout import ENTER
from conducto_core.debug.model import (
    DebugPlan,
    DebugRequest,
    RemoteShell,
    RemoteShellEnd,
    RemoteShellEntry,
    RemoteShellRequest,
)
from conducto_core.debug.shell import shell_argv
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.machines.model import Rung
from conducto_core.run.model.records import Lifecycle
from conducto_core.tree.model import Placement
from conducto_core.workers.model import (
    EndResponse,
    Heartbeat,
    HeartbeatResponse,
    ShellInstructions,
    SingleCommand,
    WorkerEnd,
    WorkerInstructions,
)

logger = logging.getLogger(__name__)

#: Seconds between two heartbeats of a shell's agent.
HEARTBEAT_SECONDS = 10.0
#: Seconds between two heartbeats of a shell that runs single commands.
COMMAND_SECONDS = 2.0
#: Seconds for which ECS may not list a launched task.
SILENCE = 120.0
#: Seconds for which the token of a shell's agent outlives the shell.
TOKEN_SECONDS = 600.0
_PREFIX = "s"
_STOPPED = "STOPPED"
_STEPS = {
    "PROVISIONING": "AWS is preparing a machine",
    "PENDING": "pulling the image",
    "ACTIVATING": "starting the containers",
    "RUNNING": "starting the containers",
}


class ShellOverError(Exception):
    """The shell of this worker has ended: its agent must leave."""


def is_shell(worker_id: str) -> bool:
    """Return whether a worker belongs to a debug shell."""
    return worker_id.startswith(_PREFIX)


def _step(status: TaskStatus) -> str:
    return _STEPS.get(status.status, status.status.lower())


class DebugSessions:
    """The debug shells of all pipelines.

    Attributes:
        plans: Plans the shells.
    """

    def __init__(
        self,
        engine: CommandProcessor,
        plans: DebugPlans,
        charging: Charging,
        *,
        records: Records,
        compute: Compute,
        installation: Installation,
        timing: Timing,
    ) -> None:
        self._engine = engine
        self.plans = plans
        self._charging = charging
        self._records, self._compute = records, compute
        self._installation, self._timing = installation, timing

    # ---- requests of users ----------------------------------------------------------------

    def open(
        self,
        me: Identity,
        pipeline_id: str,
        request: RemoteShellRequest,
        runs: Literal["", "plain", "secrets"] = "",
    ) -> RemoteShell:
        """Launch a worker for a shell, or for single commands.

        Raises:
            NotFoundError: The node or attempt does not exist.
            RefusedError: A shell is not possible, or not now.
            PlanLimitError: The organisation uses all workers of its plan.
        """
        self._check(me, pipeline_id, request)
        plan = self._checked_plan(me, pipeline_id, request)
        place = self._placement(me, pipeline_id, plan.path)
        shell = self._new_shell(me, pipeline_id, plan, place, seconds=request.seconds, runs=runs)
        # A shell can write the pipeline's data.
        self._engine.note_change(me.org, pipeline_id, "remote_shell", me.user)
        self._reserve(shell)
        try:
            self._start_request(shell, plan, buckets_to_wire(place.buckets))
        except CapacityError as error:
            self._over(shell, str(error))
            raise RefusedError(
                f"{shell.path}: AWS has no capacity for another worker now ({error}); retry later"
            ) from error
        except Exception:
            self._over(shell, "its worker could not be launched")
            raise
        return RemoteShell(
            id=shell.id,
            pipeline=pipeline_id,
            path=shell.path,
            attempt=shell.attempt,
            image=plan.image,
            until=shell.until,
            notes=plan.notes,
        )

    def _checked_plan(
        self, me: Identity, pipeline_id: str, request: RemoteShellRequest
    ) -> DebugPlan:
        wanted = DebugRequest(path=request.path, attempt=request.attempt)
        plan = self.plans.plan(me, pipeline_id, wanted, remote=True)
        allowed = self._records.orgs.plan(me.org).max_cpu
        if plan.cpu > allowed:
            raise RefusedError(
                f"{plan.path}: cpu={plan.cpu:g} is more than your plan allows for one worker now: "
                f"{allowed:g}; omit --remote, or choose a larger plan"
            )
        return plan

    def _new_shell(
        self,
        me: Identity,
        pipeline_id: str,
        plan: DebugPlan,
        place: Placement,
        *,
        seconds: float,
        runs: Literal["", "plain", "secrets"],
    ) -> Shell:
        machine = place.machine
        now = self._timing.clock()
        return Shell(
            id=_PREFIX + token_hex(8),
            org=me.org,
            pipeline_id=pipeline_id,
            user=me.user,
            path=plan.path,
            attempt=plan.attempt,
            cpu=plan.cpu,
            mem=plan.mem,
            opened=now,
            until=now + seconds,
            runs=runs,
            machine=machine.text if machine is not None and machine.is_declared else "",
            gpu=place.gpu,
        )

    def _placement(self, me: Identity, pipeline_id: str, path: str) -> Placement:
        with self._engine.reading(me.org, pipeline_id) as live:
            return live.tree.nodes[path].spec.placement

    def _reserve(self, shell: Shell) -> None:
        """Store and count a shell; if all workers are in use, stop idle ones to make room."""
        try:
            self._timing.retry(lambda: self._records.shells.open(shell))
        except PlanLimitError:
            self._engine.slots.stop_all_idle(shell.org)
            self._timing.retry(lambda: self._records.shells.open(shell))

    def _check(self, me: Identity, pipeline_id: str, request: RemoteShellRequest) -> None:
        if not self._installation.remote_debug:
            raise RefusedError(
                f"{request.path}: this installation does not open shells on workers (its setting "
                "remote_debug is false); omit --remote for a shell on your machine"
            )
        with self._engine.reading(me.org, pipeline_id) as live:
            if live.record.lifecycle is Lifecycle.ARCHIVED:
                raise RefusedError(
                    f"{pipeline_id} is archived; wake it first: conducto wake {pipeline_id}"
                )
        check_usage(self._records, self._installation.remedies, self._timing.clock, me.org)

    def _start_request(self, shell: Shell, plan: DebugPlan, buckets: Mapping[str, Any]) -> None:
        token, digest = new_token()
        who = (shell.pipeline_id, shell.path, shell.id)
        identity = Identity(shell.org, shell.user, frozenset({START_WORKER}), who)
        self._records.tokens.put(digest, identity, expires=shell.until + TOKEN_SECONDS)
        task = WorkerTask(  # noqa: S604  starts no process with a shell
            worker_id=shell.id,
            org=shell.org,
            pipeline_id=shell.pipeline_id,
            pool=shell.path,
            image=plan.image,
            cpu=plan.cpu,
            mem=plan.mem,
            token=token,
            user=shell.user,
            shell=True,
            arch=plan.arch,
            machine=shell.machine_class,
            gpu=shell.gpu,
            # A shell cannot be repeated, so it is on Spot only where its class is.
            spot=Rung.ON_DEMAND not in shell.rungs,
            buckets=buckets,
        )
        self._records.shells.started(shell, self._compute.fleet.start(task))

    def enter(self, me: Identity, pipeline_id: str, shell_id: str) -> RemoteShellEntry:
        """Return a shell's connection, or the reason why it is not ready.

        Raises:
            NotFoundError: The shell does not exist.
            RefusedError: The shell belongs to another user, or has ended.
        """
        shell = self._found(me, pipeline_id, shell_id)
        if shell.user != me.user:  # it holds its user's secrets
            raise RefusedError(f"{shell_id} belongs to {shell.user}; open your own shell")
        if shell.runs:
            raise RefusedError(f"{shell_id} is for single commands of an assistant; open your own")
        look = self.check(shell)
        if not shell.up:
            return RemoteShellEntry(state="starting", message=_step(look))
        session = self._compute.fleet.enter(str(shell.task), ENTER) if look.connected else None
        if session is None:
            return RemoteShellEntry(state="starting", message="AWS is preparing the connection")
        return RemoteShellEntry(state="ready", message="ready to connect", session=session)

    def check(self, shell: Shell) -> TaskStatus:
        """Return the status of a shell's task; raises `RefusedError` if the shell has ended."""
        if shell.ended is None and self._timing.clock() >= shell.until:
            shell = self._over(shell, "the time limit was reached")
        look = self._task_status(shell)
        if shell.ended is None and look.status == _STOPPED:
            shell = self._over(shell, look.reason or "its task stopped")
        if shell.ended is not None:
            raise RefusedError(f"{shell.path}: the shell has ended: {shell.ended}")
        return look

    def step_of(self, shell: Shell) -> str | None:
        """Return the step of a shell that starts, or None; raises `RefusedError` at its end."""
        look = self.check(shell)
        return None if shell.up else _step(look)

    def end(self, me: Identity, pipeline_id: str, shell_id: str) -> RemoteShellEnd:
        """End a shell; one that has ended is not an error. Raises `NotFoundError`."""
        shell = self._found(me, pipeline_id, shell_id)
        self._over(shell, f"{me.user} ended it")
        return RemoteShellEnd(id=shell.id)

    def _found(self, me: Identity, pipeline_id: str, shell_id: str) -> Shell:
        shell = self._records.shells.find(pipeline_id, shell_id)
        if shell is None or shell.org != me.org:
            raise NotFoundError(f"{pipeline_id}: no debug shell {shell_id!r}")
        return shell

    # ---- requests of its agent --------------------------------------------------------------

    def start(self, identity: Identity) -> WorkerInstructions:
        """Return the instructions for a shell's agent; raises `ShellOverError`."""
        shell = self._mine(identity)
        me = Identity(shell.org, shell.user, frozenset())
        wanted = DebugRequest(path=shell.path, attempt=shell.attempt)
        try:
            plan = self.plans.plan(me, shell.pipeline_id, wanted, remote=True)
        except (NotFoundError, RefusedError) as error:  # the pipeline changed meanwhile
            raise ShellOverError(str(self._over(shell, str(error)).ended)) from error
        return WorkerInstructions(
            activity="",
            region=self._installation.site.region,
            policy="debug",
            shell=plan.shell,
            workdir=plan.workdir,
            heartbeat=COMMAND_SECONDS if shell.runs else HEARTBEAT_SECONDS,
            debug=ShellInstructions(
                path=shell.path,
                attempt=shell.attempt or 0,
                argv=tuple(shell_argv(plan.shell)),
                script=plan.script,
                env=plan.env,
                secrets={} if shell.runs == "plain" else plan.secrets,
                seconds=max(0.0, shell.until - self._timing.clock()),
                sessions=not shell.runs,
            ),
        )

    def key_of(self, identity: Identity) -> str | None:
        """Return the digest of the key of a shell's agent; raises `ShellOverError`."""
        return self._mine(identity).key

    def bind(self, identity: Identity, key: str, second: str) -> None:
        """Record the digest of an agent's key; a second key ends the shell.

        Raises:
            ShellOverError: The shell has ended, or its agent has another key.
        """
        shell = self._mine(identity)
        if not self._records.shells.bind(shell, key):
            raise ShellOverError(str(self._over(shell, second).ended))

    def heartbeat(self, identity: Identity, call: Heartbeat) -> HeartbeatResponse:
        """Record that a shell is ready; return whether it must stop, and its next command."""
        try:
            shell = self._mine(identity)
        except ShellOverError:
            return HeartbeatResponse(stop=True)
        if self._timing.clock() >= shell.until:
            self._over(shell, "the time limit was reached")
            return HeartbeatResponse(stop=True)
        if not shell.up:
            self._records.shells.is_up(shell)
        if not shell.command:
            return HeartbeatResponse()
        command = SingleCommand.model_validate_json(shell.command)
        if call.ended is None or call.ended.number != command.number:
            return HeartbeatResponse(command=command)
        if not shell.result:
            self._records.shells.report(shell, call.ended.model_dump_json())
        return HeartbeatResponse()

    def left(self, identity: Identity, call: WorkerEnd) -> EndResponse:
        """End the shell of an agent that leaves."""
        try:
            self._over(self._mine(identity), call.reason)
        except ShellOverError:
            logger.info("the agent of an ended shell has left")
        return EndResponse()

    def _mine(self, identity: Identity) -> Shell:
        pipeline_id, _, shell_id = identity.worker or ("", "", "")
        shell = self._records.shells.find(pipeline_id, shell_id)
        if shell is None or shell.ended is not None:
            raise ShellOverError(f"{pipeline_id}: the shell {shell_id} has ended; leave")
        return shell

    # ---- schedule and AWS events ------------------------------------------------------------

    def goes_on(self, pipeline_id: str, shell_id: str) -> bool:
        """Return whether a shell exists and has not ended."""
        shell = self._records.shells.find(pipeline_id, shell_id)
        return shell is not None and shell.ended is None

    def end_all(self, pipeline_id: str, reason: str) -> None:
        for shell in self._records.shells.of_pipeline(pipeline_id):
            self._over(shell, reason)

    def task_stopped(self, pipeline_id: str, shell_id: str, reason: str) -> None:
        """End the shell of a task that stopped."""
        shell = self._records.shells.find(pipeline_id, shell_id)
        if shell is not None:
            self._over(shell, reason)

    def run(self) -> None:
        """Check every shell and end those that must not continue; called every minute."""
        for pipeline_id, shell_id in self._records.shells.all_open():
            try:
                self._look_at(pipeline_id, shell_id)
            except Exception:
                # One failure must not affect the others; the next run retries.
                about = {"pipeline": pipeline_id, "worker": shell_id}
                logger.exception("a debug shell was not checked", extra=about)

    def _look_at(self, pipeline_id: str, shell_id: str) -> None:
        shell = self._records.shells.find(pipeline_id, shell_id)
        if shell is None or shell.ended is not None:
            return  # the index is some seconds behind
        reason = self._reason_to_end(shell)
        if reason is not None:
            self._over(shell, reason)

    def _reason_to_end(self, shell: Shell) -> str | None:
        now = self._timing.clock()
        if now >= shell.until:
            return "the time limit was reached"
        record = self._records.store.record(shell.org, shell.pipeline_id)
        if record is None or record.lifecycle is Lifecycle.ARCHIVED:
            return "its pipeline was archived"
        look = self._task_status(shell)
        return look.reason or "its task stopped" if look.status == _STOPPED else None

    def _task_status(self, shell: Shell) -> TaskStatus:
        """Return the status of a shell's task; a task that ECS no longer knows has stopped."""
        found = None if shell.task is None else self._compute.fleet.task_status(shell.task)
        if found is not None:
            return found
        young = self._timing.clock() - shell.opened < SILENCE
        return (
            TaskStatus("PROVISIONING")
            if young
            else TaskStatus(_STOPPED, "its task no longer exists")
        )

    def _spender(self, shell: Shell, seconds: float) -> Spender:
        record = self._records.store.record(shell.org, shell.pipeline_id)
        dollars = dollars_of(shell.size, seconds)
        if record is None:
            return Spender(shell.pipeline_id, "", dollars)
        return Spender.for_pipeline(record, dollars)

    def _charge(self, shell: Shell, until: float, *, ended: bool) -> None:
        span = (shell.opened, until)
        time = WorkerTime(shell.id, shell.pipeline_id, shell.size, *span, shell.task, ended)
        self._charging.observe(shell.org, time)

    def charge(self, pipeline_id: str, shell_id: str) -> None:
        """Charge for a shell that has a task and has not ended."""
        shell = self._records.shells.find(pipeline_id, shell_id)
        if shell is not None and shell.task is not None and shell.ended is None:
            self._charge(shell, self._timing.clock(), ended=False)

    def _over(self, shell: Shell, reason: str) -> Shell:
        """End a shell: stop its task first, so that a failed stop is retried."""
        task = shell.task or self._compute.fleet.running(shell.pipeline_id).get(shell.id)
        if task is not None:
            self._compute.fleet.stop(task, reason)
        if self._timing.retry(lambda: self._records.shells.end(shell, reason)):
            now = self._timing.clock()
            seconds = now - shell.opened
            key = f"{shell.pipeline_id}/shell/{shell.id}"
            whose = self._spender(shell, seconds)
            if task is not None:
                self._charge(shell, now, ended=True)
            self._timing.retry(
                lambda: self._records.orgs.add_usage(
                    shell.org, month_of(now), key, seconds, shell.cpu, whose=whose
                ),
            )
            self._engine.slots.resume(shell.org)
        return self._records.shells.find(shell.pipeline_id, shell.id) or shell
