"""The whole cloud in memory, with a clock that a test controls.

`World` has the ports' fakes and any number of processors (Lambdas) over them; `Hand` is a worker
that speaks `conducto_core.workers.model` and runs its commands at the test's request.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fakes.cloud import (
    FakeBlobs,
    FakeBuilder,
    FakeFleet,
    FakeIdentityProvider,
    FakeLogs,
    FakeMachines,
    FakeVault,
)
from tests.fakes.cloud.memory import MemoryClients
from tests.fakes.cloud.workers import first_start
from tests.fakes.schedules import MemorySchedules

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import Update
from chalicelib.data.function import LocalDataFiles
from chalicelib.dependencies import Dependencies
from chalicelib.errors import Timing
from chalicelib.events.port import EventPorts
from chalicelib.installation import Installation
from chalicelib.logs.port import Storage
from chalicelib.notifications.sender import NotificationSender
from chalicelib.people.port import Identity
from chalicelib.people.tokens import digest_of, new_token
from chalicelib.records import Records
from chalicelib.run.handlers import CloudPipelines
from chalicelib.run.processor import CommandProcessor
from chalicelib.run.reconcile import Reconciler
from chalicelib.secrets.references import SecretPorts
from chalicelib.services import Services
from chalicelib.triggers.github_app import GithubApps
from chalicelib.triggers.providers import GitProviders, HttpGitRefs
from chalicelib.triggers.tokens import GitPorts, GitTokens
from chalicelib.triggers.triggers import TriggerHooks
from chalicelib.workers.output_handlers import WorkerGoneError
from chalicelib.workers.port import Compute, TaskEnd
from conducto_core.asl.rules.naming import Site
from conducto_core.billing.rules import BillingPlan
from conducto_core.buckets.rules import read_buckets
from conducto_core.notifications.channels import Settings
from conducto_core.programs.model import ContinueRequest
from conducto_core.run.model.params import NodeParams, PipelineParams, TreeParams
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest
from conducto_core.workers.model import (
    PROTOCOL,
    Claim,
    ClaimDecision,
    ClaimResponse,
    Heartbeat,
    Report,
    ReportResponse,
    WorkerEnd,
    WorkerLogChunk,
)
from support.asl.interpreter import Interpreter
from support.asl.port import Offer, TaskGoneError
from support.trees import form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.workers.port import WorkerTask
    from conducto_core.programs.model import ContinuePlan
    from conducto_core.run.model.records import AttemptRecord
    from conducto_core.run.model.requests import ControlResult, NodeView, PipelineSummary
    from conducto_core.run.model.states import Cause

SITE = Site("us-east-1", "123456789012", stage="test")
EVERYTHING = frozenset(
    {"read", "launch", "change_state", "secrets", "debug", "agent", "manage_organisation"}
)
ME = Identity("acme", "ann", EVERYTHING)
STRANGER = Identity("other", "bob", EVERYTHING)
#: A path below which no directory can be created.
NOWHERE = Path("/dev/null/data")
LARGE = BillingPlan("scale", max_workers=1000, max_pipelines=1000, max_cpu=16, exec_minutes=None)


class World:
    """The cloud.

    Attributes:
        now: The current time, in seconds since the epoch.
    """

    def __init__(
        self, plan: BillingPlan = LARGE, *, folder: Path = NOWHERE, **overrides: Any
    ) -> None:
        """Create a world; ``folder`` is its file system, without which data cannot be written."""
        self.now = 1_000_000.0
        self.interpreter = Interpreter()
        self.clients = MemoryClients()
        self.table = self.clients.table
        self.gateway = self.clients.gateway
        self.blobs = FakeBlobs(lambda: self.now)
        self.records = records = Records.from_table(self.table, self.blobs, lambda: self.now)
        self.orgs, self.store, self.shells = records.orgs, records.store, records.shells
        self.tokens, self.people, self.audit = records.tokens, records.people, records.audit
        self.limits, self.rules, self.quarantines = (
            records.limits,
            records.rules,
            records.quarantines,
        )
        self.agents, self.relays = records.agents, records.relays
        self.identities, self.cache = records.identities, records.cache
        self.orgs.set_plan(ME.org, plan)
        self.connections = self.clients.connections(lambda: self.now)
        self.fleet = FakeFleet()
        self.machines = FakeMachines(self.interpreter, TaskGoneError, SITE)
        self.vault = FakeVault()
        self.schedules = MemorySchedules()
        self.provider = FakeIdentityProvider()
        self.logs = FakeLogs()
        self.data = LocalDataFiles(folder, self.blobs)
        self.builder = FakeBuilder()
        self.offers: list[Offer] = []
        self.hands: dict[str, Hand] = {}
        self.handed_out: set[str] = set()
        self.reported_executions: set[str] = set()
        self.reported: set[str] = set()
        self.use(**overrides)

    def over(self, **overrides: Any) -> Dependencies:
        """Return the parts, some of them, or of their ports, replaced."""
        apps = GithubApps(Settings(), lambda: self.now)
        parts = Dependencies(
            records=self.records,
            storage=Storage(self.logs, self.blobs, self.data),
            compute=Compute(self.fleet, self.machines),
            secrets=SecretPorts(self.vault),
            git=GitPorts(
                GitProviders(Settings()),
                HttpGitRefs(public_only=False),
                apps,
                GitTokens(self.records, self.vault, apps),
            ),
            installation=Installation(
                SITE,
                url=lambda: "https://api.invalid",
                buckets=read_buckets("acme=s3://acme"),
            ),
            timing=Timing(lambda: self.now, lambda _: None, lambda: 0.5),
            provider=self.provider,
            events=EventPorts(self.schedules),
            connections=self.connections,
            builder=self.builder,
        )
        return with_ports(parts, **overrides)

    def use(self, **overrides: Any) -> None:
        """Replace some ports."""
        self.cloud = self.over(**overrides)
        self.services = Services(self.cloud)

    @property
    def engine(self) -> CommandProcessor:
        return self.services.engine

    # ---- a person ------------------------------------------------------------------------------

    def pipelines(self, identity: Identity = ME) -> CloudPipelines:
        return self.services.pipelines(identity)

    def diagnoses(self, org: str) -> CloudPipelines:
        return self.pipelines(replace(ME, org=org))

    def sender(self, *, settings: Settings, **more: Any) -> NotificationSender:
        return NotificationSender(
            self.cloud.records,
            self.cloud.git,
            self.cloud.secrets.vault,
            self.cloud.installation.web_app,
            self.cloud.timing.clock,
            diagnoses=self.diagnoses,
            settings=settings,
            **more,
        )

    def trigger_hooks(self, invoke: Callable[[tuple[str, str]], None]) -> TriggerHooks:
        cloud = self.cloud
        return TriggerHooks(cloud.records, cloud.timing, cloud.secrets.vault, invoke)

    def launch(self, tree: dict[str, Any], *, run: bool = True, **more: Any) -> str:
        images = more.pop("images", None)
        request = LaunchRequest(tree=form(tree, images), run=run, **more)
        return asyncio.run(self.pipelines().launch(request)).pipeline.id

    def control(
        self, pipeline_id: str, action: Action | str, *paths: str, **more: Any
    ) -> ControlResult:
        request = ControlRequest(action=Action(action), paths=paths, **more)
        return asyncio.run(self.pipelines().control(PipelineParams(id=pipeline_id), request))

    def continue_with(
        self,
        pipeline_id: str,
        tree: dict[str, Any],
        *,
        identity: Identity = ME,
        fresh: bool = False,
        keep_secrets: bool = False,
        preview: bool = False,
        seq: int | None = None,
        **launch: Any,
    ) -> ContinuePlan:
        written = form(tree, launch.pop("images", None))
        request = ContinueRequest(
            launch=LaunchRequest(tree=written, **launch),
            fresh=fresh,
            keep_secrets=keep_secrets,
            preview=preview,
            seq=seq,
        )
        params = PipelineParams(id=pipeline_id)
        return asyncio.run(self.pipelines(identity).continue_pipeline(params, request))

    def set_accrued(self, dollars: float) -> None:
        """Set the dollars of the billing period."""
        self.table.update(Update(table_keys.org(ME.org), set={"accrued": dollars}))

    def reconciler(self) -> Reconciler:
        return self.services.reconciler

    def get(self, pipeline_id: str) -> PipelineSummary:
        return asyncio.run(self.pipelines().get_pipeline(PipelineParams(id=pipeline_id)))

    def nodes(self, pipeline_id: str) -> dict[str, NodeView]:
        page = asyncio.run(self.pipelines().get_tree(TreeParams(id=pipeline_id)))
        return {node.path: node for node in page.nodes}

    def states(self, pipeline_id: str) -> dict[str, str]:
        return {path: str(node.state) for path, node in self.nodes(pipeline_id).items()}

    def attempts(self, pipeline_id: str, path: str) -> tuple[AttemptRecord, ...]:
        return asyncio.run(
            self.pipelines().list_attempts(NodeParams(id=pipeline_id, path=path))
        ).attempts

    def follow(self, connection: str, pipeline_id: str, cursor: int = 0) -> Identity:
        """Open a connection that follows a pipeline; return it with its token."""
        digest = f"token of {connection}"
        self.tokens.put(digest, ME, expires=None)
        self.connections.opened(connection, digest)
        self.connections.put(connection, ME.org, pipeline_id, cursor)
        return replace(ME, token=digest)

    # ---- AWS -----------------------------------------------------------------------------------

    def minute(self, seconds: float = 60.0) -> None:
        """Let a minute pass, and run the schedule."""
        self.now += seconds
        self.beat()
        self.time_out()
        for hand in self.living():
            if (
                hand.job is None
                and not hand.held
                and self.now - hand.since >= hand.instructions.idle
            ):
                hand.leave()
        self.reconciler().run()
        self.deliver()

    def time_out(self) -> None:
        """Release tasks with missing heartbeats to other workers."""
        kept = {token for hand in self.living() for token in (*hand.held, hand.token)}
        for token in sorted(self.handed_out - kept):
            self.handed_out.discard(token)
            with contextlib.suppress(TaskGoneError):
                self.interpreter.fail(token, "States.HeartbeatTimeout")

    def beat(self) -> None:
        """Send a heartbeat for every running command."""
        for hand in list(self.hands.values()):
            if hand.alive and hand.job is not None:
                hand.heartbeat()

    def deliver(self) -> None:
        """Deliver the events of ended executions and stopped workers, like EventBridge."""
        for hand in self.hands.values():
            if not hand.alive and hand.arn in self.fleet.stopped and hand.arn not in self.reported:
                self.reported.add(hand.arn)
                end = TaskEnd(self.fleet.reasons.get(hand.arn, "Task stopped by user"))
                self.reconciler().task_stopped(hand.task.pipeline_id, hand.id, end)
        for run, arn in list(self.machines.executions.items()):
            status = self.machines.status(arn)
            if status != "RUNNING" and run not in self.reported_executions:
                self.reported_executions.add(run)
                self.reconciler().execution_ended(run, status)

    def poll(self, activity: str) -> Offer | None:
        """Return a task of an activity, like GetActivityTask."""
        self.offers += self.interpreter.offers()
        for offer in self.offers:
            if offer.activity == activity:
                self.offers.remove(offer)
                self.handed_out.add(offer.token)
                return offer
        return None

    # ---- workers -------------------------------------------------------------------------------

    def start_workers(self) -> list[Hand]:
        """Start every launched ECS task for which there is a machine."""
        if self.fleet.placing:
            return []
        new = [
            Hand(self, arn, task)
            for arn, task in self.fleet.tasks.items()
            if arn not in self.hands and arn not in self.fleet.stopped
        ]
        for hand in new:
            self.hands[hand.arn] = hand
            hand.start()
        return new

    def living(self) -> list[Hand]:
        return [hand for hand in self.hands.values() if hand.alive]

    def serve(self) -> None:
        """Start workers and let them poll, until nothing changes any more."""
        for _ in range(10_000):
            self.start_workers()
            self.retire()
            looks = [hand.look() for hand in self.living()]  # all of them, without short-circuiting
            if not any(looks):
                self.deliver()
                if not self.interpreter_moved() and not self._new_tasks():
                    return
        raise AssertionError("workers do not become idle")

    def _new_tasks(self) -> bool:
        return any(a not in self.hands and a not in self.fleet.stopped for a in self.fleet.tasks)

    def interpreter_moved(self) -> bool:
        new = self.interpreter.offers()
        self.offers += new
        return bool(new)

    def retire(self) -> None:
        """Remove workers whose task was stopped."""
        for hand in self.living():
            if hand.arn in self.fleet.stopped:
                hand.vanish()

    def running(self) -> dict[str, Hand]:
        """Return ``{path: worker}`` of running commands."""
        return {h.job.path: h for h in self.living() if h.job is not None}

    def run_out(self, cause: Any = lambda _path: None) -> None:
        """Run everything that can run, one command at a time."""
        for _ in range(1000):
            self.serve()
            running = self.running()
            if not running:
                return
            path = min(running)
            running[path].finish(cause(path))
        raise AssertionError("it does not come to an end")


#: Names of ports in `EventPorts` and `GitPorts` that say more than those of their fields.
_IN_GROUPS = {
    "git": {"refs": "refs", "github": "github"},
    "events": {"event_rules": "rules", "event_queues": "queues"},
}


def with_ports(cloud: Dependencies, **ports: Any) -> Dependencies:
    """Return the parts with others, by the name of a part or of something in a part."""
    for part in fields(cloud):
        group = getattr(cloud, part.name)
        if part.name not in ports and is_dataclass(group) and not isinstance(group, type):
            known = _IN_GROUPS.get(part.name, {})
            names = {**{each.name: each.name for each in fields(group)}, **known}
            inner = names.keys() & ports.keys()
            if inner:
                found = {names[name]: ports.pop(name) for name in inner}
                ports[part.name] = replace(group, **found)
    return replace(cloud, **ports)


class WorkerCalls:
    """The operations of workers, without HTTP and without coroutines."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(identity: Identity, *body: Any) -> Any:
            services = self._services
            server = services.output if name in {"log", "log_upload"} else services.worker
            return asyncio.run(getattr(server(identity), f"worker_{name}")(*body))

        return call


@dataclass
class Hand:
    """A worker.

    Attributes:
        job: The running command.
        token: Its task.
        since: When the worker became idle.
        held: Tasks that it keeps alive, by token.
        alive: Whether it still exists.
        protocol: Its protocol version.
        key: The key of its agent.
    """

    world: World
    arn: str
    task: WorkerTask
    instructions: Any = None
    job: ClaimResponse | None = None
    held: dict[str, Offer] = field(default_factory=dict)
    token: str = ""
    offer: Any = None
    since: float = 0.0
    alive: bool = True
    leaving: bool = False
    protocol: int = PROTOCOL
    key: str = field(default_factory=lambda: new_token()[0])

    @property
    def id(self) -> str:
        return self.task.worker_id

    @property
    def identity(self) -> Identity:
        started = self.world.tokens.find(digest_of(self.key))
        found = started or self.world.tokens.find(digest_of(self.task.token))
        assert found is not None
        if self.protocol < PROTOCOL:  # an older version issued the token, for all requests
            return replace(found, permissions=frozenset({"worker"}))
        return found

    @property
    def desk(self) -> WorkerCalls:
        return WorkerCalls(self.world.services)

    def start(self) -> None:
        self.since = self.world.now
        try:
            start = first_start(self.arn, self.protocol, self.key)
            self.instructions = self.desk.start(self.identity, start)
        except WorkerGoneError:
            self.vanish()

    def look(self) -> bool:
        """Claim its held tasks again, then poll; return whether it found work."""
        if self.job is not None or self.leaving:
            return False
        for offer in list(self.held.values()):
            if self._claim(offer).decision is not ClaimDecision.HOLD:
                return True
        offer = self.world.poll(self.instructions.activity)
        if offer is None:
            return False
        self._claim(offer)
        return True

    def claim(self, offer: Offer) -> ClaimResponse:
        """Claim a task without executing the decision."""
        return self.desk.claim(self.identity, claim_of(offer))

    def _claim(self, offer: Offer) -> ClaimResponse:
        try:
            response = self.claim(offer)
        except WorkerGoneError:
            self.vanish()
            return ClaimResponse(decision=ClaimDecision.DROP)
        return self._decided(offer, response)

    def _decided(self, offer: Offer, response: ClaimResponse) -> ClaimResponse:
        self.held.pop(offer.token, None)
        if response.decision is ClaimDecision.HOLD:
            self.held[offer.token] = offer
        if response.decision is ClaimDecision.RUN:
            self.job, self.token, self.offer = response, offer.token, offer
        return response

    def heartbeat(self) -> bool:
        assert self.job is not None
        return self.desk.heartbeat(
            self.identity, Heartbeat(path=self.job.path, attempt=self.job.attempt)
        ).stop

    def print(self, text: str, *, offset: int = 0, stream: Any = "stdout") -> None:
        assert self.job is not None
        chunk = WorkerLogChunk(
            path=self.job.path,
            attempt=self.job.attempt,
            stream=stream,
            offset=offset,
            data=base64.b64encode(text.encode()).decode(),
        )
        self.desk.log(self.identity, chunk)

    def finish(self, cause: Cause | None = None, *, early: bool = False, **more: Any) -> None:
        """Report the command; ``early``: with the claim of the next task, if there is one."""
        assert self.job is not None
        job, self.job = self.job, None
        self.since = self.world.now
        tree = more.pop("tree", None)
        if tree is not None:
            more["tree"] = base64.b64encode(gzip.compress(json.dumps(tree).encode())).decode()
        report = Report(path=job.path, attempt=job.attempt, cause=cause, **more)
        if self.instructions.policy == "once" or more.get("last"):
            self.leaving = True
        early = early and not self.leaving and not self.held
        offer = self.world.poll(self.instructions.activity) if early else None
        following = None if offer is None else claim_of(offer)
        try:
            response = self.report(report.model_copy(update={"next": following}))
        except WorkerGoneError:
            self.vanish()
            return
        if response.task_open:
            self.held[self.token] = self.offer
        self.token = ""
        if offer is None:
            return
        if response.next is None:
            self.held[offer.token] = offer
        else:
            self._decided(offer, response.next)

    def report(self, report: Report) -> ReportResponse:
        """Send a report without executing the response."""
        response: ReportResponse = self.desk.report(self.identity, report)
        return response

    def leave(
        self, reason: str = "idle", *, broken: bool = False, offer: Offer | None = None
    ) -> None:
        """Leave normally, and return the last task that was polled; a warm worker stays."""
        given_back = None if offer is None else claim_of(offer)
        end = WorkerEnd(reason=reason, broken=broken, offer=given_back)
        if self.desk.end(self.identity, end).wait:
            self.since = self.world.now
            return
        self.alive = False
        self.held.clear()
        self._stop()

    def vanish(self) -> None:
        self.alive, self.job = False, None
        self.held.clear()
        self._stop()

    def _stop(self) -> None:
        if self.arn not in self.world.fleet.stopped:
            self.world.fleet.stopped.append(self.arn)


def claim_of(offer: Offer) -> Claim:
    return Claim(
        token=offer.token,
        run=offer.data["r"],
        node=offer.data["n"],
        waits=bool(offer.data.get("w")),
    )


def offers_of(world: World) -> Iterator[Offer]:
    """Yield the tasks that are offered and not taken."""
    world.interpreter_moved()
    yield from world.offers
