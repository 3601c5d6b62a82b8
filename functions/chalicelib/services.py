"""Builds the services of a process, and the handlers of its callers, from the parts.

Only this module and `chalicelib.bootstrap` know all parts. Everything else takes the services and
parts that it uses in its constructor.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from chalicelib.api.dispatch import Api, Begin, Servers
from chalicelib.api.websocket import Sockets
from chalicelib.billing.handlers import CloudBilling
from chalicelib.billing.metering import Charging, StorageMetering
from chalicelib.billing.run import BillingRun
from chalicelib.billing.store import BillingPorts
from chalicelib.children.handlers import CloudChildren
from chalicelib.debug.plans import DebugPlans
from chalicelib.debug.sessions import DebugSessions
from chalicelib.dependencies import Dependencies
from chalicelib.images.builds import ImageBuilds
from chalicelib.people.handlers import CloudPeople
from chalicelib.people.members import Invitations
from chalicelib.people.organisations import Organisations
from chalicelib.people.port import Identity
from chalicelib.people.sign_in_handlers import CloudSignIn
from chalicelib.remote.handlers import CloudAgents
from chalicelib.run.claims import Claims
from chalicelib.run.deletion import OrphanCleanup, PipelineDeletion, Retention
from chalicelib.run.handlers import CloudPipelines
from chalicelib.run.processor import CommandProcessor
from chalicelib.run.reconcile import Reconciler
from chalicelib.schedules.handlers import CloudScheduleCaller, CloudScheduleTarget
from chalicelib.telemetry.handlers import Metrics
from chalicelib.triggers.github_app import GithubAppSetup
from chalicelib.triggers.handlers import CloudGithubApp, CloudTriggers
from chalicelib.triggers.launches import TriggerRun
from chalicelib.triggers.triggers import Triggers
from chalicelib.workers.handlers import WorkerApi
from chalicelib.workers.output_handlers import WorkerOutput
from conducto_core.api.idempotency import ResponseStore
from conducto_core.events.handlers import EventOperations
from conducto_core.schedules.runner import ScheduleRunner

#: The classes of handlers; `Services` builds one for a caller.
HANDLERS = (
    WorkerApi,
    WorkerOutput,
    CloudChildren,
    CloudPeople,
    CloudSignIn,
    CloudBilling,
    CloudAgents,
    CloudTriggers,
    CloudGithubApp,
    EventOperations,
    CloudPipelines,
)


def _ignored(_caller: Identity) -> None:
    """Begin no audit entry."""


class Services:
    """The services of a process.

    Attributes:
        engine: Reads and changes pipelines.
        shells: The debug shells of all pipelines.
        deletion: Deletes pipelines.
    """

    def __init__(self, parts: Dependencies, **engine: Any) -> None:
        """Build the services; more arguments are for the `CommandProcessor`."""
        self._parts = parts
        self._clock = parts.timing.clock
        builds = ImageBuilds(
            parts.storage.blobs,
            parts.builder,
            parts.git.tokens,
            parts.installation.arm,
            self._clock,
        )
        self.engine = CommandProcessor(
            builds,
            records=parts.records,
            storage=parts.storage,
            compute=parts.compute,
            secrets=parts.secrets,
            installation=parts.installation,
            timing=parts.timing,
            connections=parts.connections,
            billing=parts.billing,
            collector=parts.collector,
            invoke_background=parts.invoke_background,
            **engine,
        )
        self.shells = DebugSessions(
            self.engine,
            DebugPlans(self.engine, parts.records.store, parts.secrets, parts.installation.url),
            self._charging,
            records=parts.records,
            compute=parts.compute,
            installation=parts.installation,
            timing=parts.timing,
        )
        self.deletion = PipelineDeletion(
            self.engine,
            self.shells,
            records=parts.records,
            storage=parts.storage,
            compute=parts.compute,
            site=parts.installation.site,
            timing=parts.timing,
        )

    @property
    def _charging(self) -> Charging:
        return Charging(self._parts.records, self._parts.timing, self._parts.billing)

    # ---- the handlers of a caller ---------------------------------------------------------

    @cached_property
    def servers(self) -> Servers:
        """For each class of `HANDLERS`, the function that builds its object for a caller."""
        return {
            WorkerOutput: lambda caller, _: self.output(caller),
            WorkerApi: lambda caller, _: self.worker(caller),
            CloudChildren: lambda caller, _: self.children(caller),
            CloudPeople: lambda caller, _: self.people(caller),
            CloudSignIn: self.sign_in,
            CloudBilling: lambda caller, _: self.billing(caller),
            CloudAgents: lambda caller, _: self.agents(caller),
            CloudTriggers: lambda caller, _: self.triggers(caller),
            CloudGithubApp: lambda caller, _: self.github_app(caller),
            EventOperations: lambda caller, _: self.schedules(caller),
            CloudPipelines: lambda caller, _: self.pipelines(caller),
        }

    def pipelines(self, caller: Identity) -> CloudPipelines:
        """Return the operations on pipelines."""
        parts = self._parts
        return CloudPipelines(
            caller,
            self.engine,
            self.shells,
            self.deletion,
            records=parts.records,
            storage=parts.storage,
            secrets=parts.secrets,
            git=parts.git,
            installation=parts.installation,
            timing=parts.timing,
            billing=parts.billing,
        )

    def worker(self, caller: Identity) -> WorkerApi:
        """Return the operations of a worker."""
        parts = self._parts
        claims = Claims(
            parts.records,
            parts.timing,
            parts.storage.logs,
            parts.secrets.references,
            parts.billing,
            url=parts.installation.url,
            worker=caller,
            caches=self.engine.caches,
        )
        return WorkerApi(
            caller,
            self.engine,
            self.shells,
            self.output(caller),
            claims=claims,
            pipelines=self.pipelines,
            records=parts.records,
            storage=parts.storage,
            compute=parts.compute,
            installation=parts.installation,
            clock=self._clock,
        )

    def output(self, caller: Identity) -> WorkerOutput:
        """Return the operations of a worker on output."""
        return WorkerOutput(caller, self.engine, self._parts.storage, self._clock)

    def children(self, caller: Identity) -> CloudChildren:
        """Return the operations of a command that launches pipelines."""
        return CloudChildren(caller, self.engine, self.pipelines(caller), self._clock)

    def people(self, caller: Identity) -> CloudPeople:
        """Return the operations on an organisation and its members."""
        parts = self._parts
        organisations = Organisations(
            caller,
            self.engine,
            self.deletion,
            records=parts.records,
            connections=parts.connections,
            storage=parts.storage,
            vault=parts.secrets.vault,
            events=parts.events,
            clock=self._clock,
            has_billing=parts.billing is not None,
        )
        return CloudPeople(
            caller,
            organisations,
            self.invitations(caller),
            records=parts.records,
            connections=parts.connections,
            data=parts.storage.data,
            vault=parts.secrets.vault,
            clock=self._clock,
        )

    def invitations(self, caller: Identity) -> Invitations:
        parts = self._parts
        return Invitations(
            parts.records,
            parts.installation,
            parts.secrets.vault,
            parts.provider,
            parts.mail,
            clock=self._clock,
            caller=caller,
        )

    def sign_in(self, caller: Identity, begin: Begin = _ignored) -> CloudSignIn:
        """Return the operations on sessions; ``begin`` begins the audit entry of a sign-in."""
        parts = self._parts
        return CloudSignIn(
            caller,
            begin,
            records=parts.records,
            connections=parts.connections,
            site=parts.installation.web_app,
            clock=self._clock,
        )

    def billing(self, caller: Identity) -> CloudBilling:
        """Return the operations on a subscription."""
        parts = self._parts
        return CloudBilling(
            caller,
            self.engine.slots,
            parts.billing,
            records=parts.records,
            vault=parts.secrets.vault,
            mail=parts.mail,
            installation=parts.installation,
            timing=parts.timing,
        )

    def agents(self, caller: Identity) -> CloudAgents:
        """Return the operations on linked agents."""
        return CloudAgents(caller, self._parts.records, self._parts.connections, self._clock)

    def triggers(self, caller: Identity) -> CloudTriggers:
        """Return the operations on Git triggers."""
        parts = self._parts
        triggers = Triggers(
            parts.records,
            parts.git,
            parts.secrets.vault,
            parts.installation.url,
            self._clock,
            caller=caller,
        )
        return CloudTriggers(caller, triggers, self.trigger_run)

    def github_app(self, caller: Identity) -> CloudGithubApp:
        """Return the operations on a GitHub App."""
        parts = self._parts
        setup = GithubAppSetup(
            parts.records,
            parts.git,
            parts.installation,
            parts.secrets.vault,
            self._clock,
            caller=caller,
        )
        return CloudGithubApp(setup)

    def schedules(self, caller: Identity) -> EventOperations:
        parts = self._parts
        user = CloudScheduleCaller(
            parts.events,
            parts.secrets.vault,
            parts.installation.url,
            self.pipelines(caller),
            caller,
        )
        return EventOperations(self.schedule_runner(), user)

    # ---- entry points ---------------------------------------------------------------------

    def api(self, responses: Callable[[tuple[str, str]], ResponseStore]) -> Api:
        """Return the handler of HTTP requests; ``responses`` returns the kept ones of a caller."""
        parts = self._parts
        return Api(
            self.servers,
            responses,
            records=parts.records,
            blobs=parts.storage.blobs,
            connections=parts.connections,
            timing=parts.timing,
        )

    @cached_property
    def sockets(self) -> Sockets:
        """Handles WebSocket events."""
        parts = self._parts
        return Sockets(self.engine, parts.records, parts.connections, self._clock)

    def metrics(self, api: Api) -> Metrics:
        """Return the reader of the values of instruments."""
        parts = self._parts
        return Metrics(api, self.pipelines, parts.records, parts.timing, parts.collector)

    @cached_property
    def reconciler(self) -> Reconciler:
        """Reconciles pipelines with AWS."""
        parts = self._parts
        return Reconciler(
            self.engine,
            self.shells,
            records=parts.records,
            compute=parts.compute,
            installation=parts.installation,
            timing=parts.timing,
            invoke_background=parts.invoke_background,
        )

    def schedule_target(self) -> CloudScheduleTarget:
        """Return the target that launches pipelines of schedules, for one run or request."""
        parts = self._parts
        return CloudScheduleTarget(
            parts.records, parts.secrets.vault, parts.mail, self._clock, self.pipelines
        )

    def schedule_runner(self) -> ScheduleRunner:
        """Return the runner of all organisations' schedules, for one run or request."""
        return ScheduleRunner(self._parts.events.schedules, self.schedule_target(), self._clock)

    @cached_property
    def trigger_run(self) -> TriggerRun:
        """Processes the webhooks of triggers."""
        parts = self._parts
        return TriggerRun(
            parts.records, parts.git, parts.installation.web_app, self._clock, self.pipelines
        )

    def billing_run(self, ports: BillingPorts) -> BillingRun:
        """Return the schedule of billing."""
        parts = self._parts
        return BillingRun(
            self.engine,
            self.shells,
            self._charging,
            ports,
            records=parts.records,
            fleet=parts.compute.fleet,
            vault=parts.secrets.vault,
            mail=parts.mail,
            remedies=parts.installation.remedies,
            clock=self._clock,
        )

    @cached_property
    def retention(self) -> Retention:
        """Archives and deletes inactive pipelines."""
        parts = self._parts
        return Retention(self.engine, self.deletion, parts.records, parts.storage.data, self._clock)

    @cached_property
    def orphan_cleanup(self) -> OrphanCleanup:
        """Deletes orphaned AWS resources."""
        parts = self._parts
        return OrphanCleanup(self.engine, parts.records.store, parts.compute, parts.timing)

    @cached_property
    def storage_metering(self) -> StorageMetering:
        """Meters what pipelines store."""
        return StorageMetering(self._parts.records, self._parts.storage, self._clock)
