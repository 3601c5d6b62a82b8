"""The composition root: builds the parts over AWS. Only this module reads environment variables.

Objects are built on first use and kept for the life of the process: a Lambda function serves many
requests in sequence.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.api.dispatch import Api
from chalicelib.api.followers import Followers
from chalicelib.api.store import TableConnections
from chalicelib.assistants.handlers import Mcp
from chalicelib.aws.clients import Clients, Tags
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.errors import ignoring
from chalicelib.aws.named_records import IdempotencyTable
from chalicelib.aws.s3 import S3Bucket
from chalicelib.billing.run import BillingRun
from chalicelib.billing.store import BillingPorts, TableBilling
from chalicelib.billing.stripe import StripeBilling, StripeSettings
from chalicelib.data.aws import DataFunction, EfsAccessPoints, S3AccessPoints
from chalicelib.data.function import LocalDataFiles
from chalicelib.dependencies import Dependencies
from chalicelib.errors import Timing
from chalicelib.events.aws import EventBridgeRules, SqsQueues
from chalicelib.events.handlers import EventHooks, take_bus_event
from chalicelib.events.port import EventPorts
from chalicelib.events.queues import take_messages
from chalicelib.images.aws import CodeBuild, EcrRegistry
from chalicelib.installation import Installation
from chalicelib.logs.aws.logs import ChunkedLogs
from chalicelib.logs.port import LogKey, Storage
from chalicelib.notifications.sender import NotificationSender
from chalicelib.people.admin import Administration
from chalicelib.people.oidc import GITHUB_ISSUER, Issuer, OidcTokens, fetch_json
from chalicelib.people.port import Identity
from chalicelib.records import Records
from chalicelib.run import effects as invocation_chain
from chalicelib.run.aws import StepFunctions, WorkerCredentials
from chalicelib.run.handlers import CloudPipelines
from chalicelib.run.port import DataFiles
from chalicelib.run.rules.deferred import BackgroundEvent
from chalicelib.schedules.handlers import serve_schedules
from chalicelib.schedules.store import TableSchedules
from chalicelib.secrets.aws import SecretsManager, read_reference
from chalicelib.secrets.references import SecretPorts, SecretReferences
from chalicelib.services import Services
from chalicelib.telemetry.audit import copy_audit
from chalicelib.telemetry.handlers import Metrics
from chalicelib.triggers.github_app import GithubApps, request_missed
from chalicelib.triggers.providers import GitProviders, HttpGitRefs
from chalicelib.triggers.tokens import GitPorts, GitTokens
from chalicelib.triggers.triggers import TriggerHooks
from chalicelib.triggers.webhooks import Hooks
from chalicelib.workers.aws.buckets import BucketMounts
from chalicelib.workers.aws.ecs import Ecs, LaunchPace, Place
from chalicelib.workers.aws.task_definitions import Roles, TaskDefinitions
from chalicelib.workers.port import Compute
from conducto.integrations import slack
from conducto_core.asl.rules.naming import Site
from conducto_core.billing.rules import FREE, FULL, Remedies
from conducto_core.buckets.rules import read_buckets
from conducto_core.command import json_logs
from conducto_core.events.rules.queues import read_queues
from conducto_core.images.references import read_caches
from conducto_core.installation.names import Variables, event_queue_prefix, event_rule_prefix
from conducto_core.machines.rules import read_machines
from conducto_core.notifications.channels import GITHUB_URL, Settings, send_mail
from conducto_core.people.model import InvitationLink, NewInvitation, Role
from conducto_core.people.rules import permissions_of
from conducto_core.people.task_roles import read_task_roles
from conducto_core.secrets.rules import read_prefixes
from conducto_core.telemetry.rules.spans import read_headers
from conducto_core.workers.model import WARM_MINUTES, Credentials, WarmPool
from conducto_core.workers.rules.task_proof import sts_endpoint

if TYPE_CHECKING:
    from conducto_core.telemetry.otlp import OtlpSender

#: Maximum number of simultaneous calls to AWS for one event.
AWS_THREADS = 16


class ConfigurationError(Exception):
    """A required environment variable is missing; the message names it."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the APIs.

    Attributes:
        api: URL of the API for workers and clients.
        socket: Endpoint for sending WebSocket frames.
    """

    api: str
    socket: str


class App:
    """The objects that the handlers of `app` call."""

    def __init__(
        self,
        environment: Mapping[str, str],
        clients: Clients,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._environment = environment
        self.clients = clients
        self._clock = clock

    @cached_property
    def services(self) -> Services:
        return Services(self.cloud)

    @cached_property
    def api(self) -> Api:
        return self.services.api(lambda caller: IdempotencyTable(self._table, caller))

    @cached_property
    def mcp(self) -> Mcp:
        """Handles messages of assistants."""
        return Mcp(self.api, self.cloud.records.tokens, self.cloud.installation.web_app)

    @cached_property
    def metrics(self) -> Metrics:
        return self.services.metrics(self.api)

    def serve_schedules(self) -> None:
        """Fire the schedules that are due."""
        serve_schedules(self.services.schedule_runner(), self._clock)

    @cached_property
    def messenger(self) -> NotificationSender:
        def diagnoses(org: str) -> CloudPipelines:
            return self.services.pipelines(Identity(org, "", frozenset()))

        return NotificationSender(
            self.cloud.records,
            self.cloud.git,
            self.cloud.secrets.vault,
            self.cloud.installation.web_app,
            self._clock,
            diagnoses=diagnoses,
            settings=self._settings,
        )

    @property
    def _settings(self) -> Settings:
        read = self._environment.get
        return Settings(
            slack=(read(Variables.SLACK_URL) or slack.URL).rstrip("/"),
            github=(read(Variables.GITHUB_URL) or GITHUB_URL).rstrip("/"),
            smtp=read(Variables.SMTP_URL) or None,
            sender=read(Variables.EMAIL_FROM) or None,
            # In the emulator, receivers are on this machine.
            public_only=Variables.ADDRESSES in self._environment,
        )

    @cached_property
    def hooks(self) -> Hooks:
        """Receives webhooks."""
        triggers = TriggerHooks(
            self.cloud.records,
            self.cloud.timing,
            self.cloud.secrets.vault,
            lambda place: self._process({"delivery": place}),
        )
        events = EventHooks(
            self.cloud.records,
            self.cloud.secrets.vault,
            self.cloud.events.schedules,
            self._clock,
            lambda place: self._process({"schedule": place}),
        )
        return Hooks(self.billing, lambda event: self._process({"event": event}), triggers, events)

    def take_bus_event(self, org: str, name: str, event: Mapping[str, Any]) -> None:
        """Fire the trigger to which a rule of EventBridge routes an event."""
        place = take_bus_event(
            self.cloud.records,
            self.cloud.events.schedules,
            self._clock,
            org,
            name,
            event=event,
        )
        if place is not None:
            self.serve_schedule(*place)

    def take_messages(self, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Fire the trigger of a queue; return the messages that stay in it, as Lambda expects."""
        failed = take_messages(
            self.cloud.events.schedules, self._clock, records, self.serve_schedule
        )
        return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}

    def serve_schedule(self, org: str, name: str) -> None:
        """Fire a trigger whose event arrived."""
        asyncio.run(self.services.schedule_runner().serve(org, name))

    def copy_audit(self) -> None:
        """Copy new entries of the audit logs to the bucket of logs, if there is one."""
        cloud = self.cloud
        copy_audit(cloud.records, cloud.storage.log_bucket, cloud.installation.site, self._clock)

    def request_missed(self) -> None:
        """Request the deliveries again that GitHub could not make."""
        cloud = self.cloud
        request_missed(cloud.records, cloud.secrets.vault, cloud.git.github, self._clock)

    def join_output(self, key: LogKey) -> None:
        self._storage.logs.join(key)

    def _process(self, event: Mapping[str, object]) -> None:
        self.clients.get("lambda").invoke(
            FunctionName=self._read(Variables.HOOK_FUNCTION),
            InvocationType="Event",
            Payload=json.dumps(event),
        )

    @cached_property
    def billing(self) -> BillingPorts | None:
        """The payment provider and its records; None without billing."""
        if self._environment.get(Variables.BILLING) != "on":
            return None
        url = self._environment.get(Variables.STRIPE_URL) or None
        provider = StripeBilling(self._stripe_settings, self._clock, url)
        return BillingPorts(provider, TableBilling(self._table, self._clock))

    def _stripe_settings(self) -> StripeSettings:
        name = self._read(Variables.BILLING_SECRET)
        response = self.clients.get("secretsmanager").get_secret_value(SecretId=name)
        return StripeSettings.parse(json.loads(response["SecretString"]))

    @cached_property
    def billing_run(self) -> BillingRun | None:
        """The schedule of billing; None without billing."""
        ports = self.billing
        return None if ports is None else self.services.billing_run(ports)

    def _mail(self, to: str, subject: str, text: str, password: str | None = None) -> bool:
        return bool(to) and send_mail(to, subject, text, self._settings, password)

    @cached_property
    def remedies(self) -> Remedies:
        """The remedies for limits of plans; the web app's address is read once per process."""
        on = self.billing is not None
        return Remedies(billing=on, web_app=self._web_app() if on else "")

    @cached_property
    def administration(self) -> Administration:
        """Handles administrators' requests."""
        return Administration(
            self.records.tokens,
            self.records.orgs,
            self._clock,
            self.followers.close_of,
            self._invite,
        )

    def _invite(self, org: str, request: NewInvitation) -> InvitationLink:
        administrator = Identity(org, "administrator", permissions_of(Role.OWNER))
        return self.services.invitations(administrator).create(request)

    @cached_property
    def followers(self) -> Followers:
        """Closes connections whose tokens are no longer valid."""
        return Followers(self._connections, self.records.tokens)

    @cached_property
    def records(self) -> Records:
        """What the table stores."""
        free = self._environment.get(Variables.BILLING) != "off"
        plan = FREE if free else FULL
        return Records.from_table(
            self._table,
            self._bucket,
            self._clock,
            plan,
            lambda: self.remedies,
            audit_copied=bool(self._environment.get(Variables.LOG_BUCKET)),
        )

    @cached_property
    def identity_provider(self) -> OidcTokens:
        """Verifies the ID tokens of people and CI runs."""
        read = self._environment.get
        issuer = read(Variables.IDENTITY_ISSUER)
        people = Issuer(issuer, self._identity_client, fetch_json) if issuer else None
        runs = Issuer(read(Variables.CI_ISSUER) or GITHUB_ISSUER, self._addresses, fetch_json)
        return OidcTokens(people, runs, self._clock)

    @cached_property
    def cloud(self) -> Dependencies:
        return Dependencies(
            records=self.records,
            storage=self._storage,
            compute=self._compute,
            secrets=SecretPorts(self._vault, self._references(), self._services()),
            git=self._git,
            installation=self._installation,
            timing=Timing(self._clock),
            provider=self.identity_provider,
            events=EventPorts(
                TableSchedules(self._table, self._bucket),
                self._event_rules(),
                self._event_queues(),
                read_queues(self._environment.get(Variables.QUEUES, "")),
            ),
            connections=self._connections,
            builder=self._builder,
            mail=self._mail,
            billing=self.billing,
            collector=self._collector(),
            invoke_background=self._invoke_background,
        )

    @property
    def _storage(self) -> Storage:
        return Storage(
            logs=ChunkedLogs(self._table, self._bucket),
            blobs=self._bucket,
            data=self._data,
            join_output=lambda key: self._process({"output": key}),
            log_bucket=self._log_bucket(),
        )

    @property
    def _compute(self) -> Compute:
        machines = StepFunctions(
            self.clients,
            self.site,
            self._read(Variables.MACHINE_ROLE),
            tracing=Variables.TRACING in self._environment,
        )
        if self._background is None:
            return Compute(self._fleet, machines, lend_credentials=self._lend)
        pace = LaunchPace(self._table, self._clock)
        return Compute(self._fleet, machines, pace.reserve, self._lend)

    @cached_property
    def _vault(self) -> SecretsManager:
        return SecretsManager(
            self.clients,
            self._table,
            self._read(Variables.SECRET_PREFIX),
            self._tags,
            self._clock,
        )

    def _references(self) -> SecretReferences:
        return SecretReferences(
            read_prefixes(self._environment.get(Variables.SECRET_STORES) or ""),
            partial(read_reference, self.clients),
            self._clock,
        )

    @property
    def _git(self) -> GitPorts:
        apps = GithubApps(self._settings, self._clock)
        refs = HttpGitRefs(public_only=self._settings.public_only)
        tokens = GitTokens(self.records, self._vault, apps)
        return GitPorts(GitProviders(self._settings), refs, apps, tokens)

    @property
    def _installation(self) -> Installation:
        return Installation(
            site=self.site,
            url=lambda: self.addresses.api,
            socket=lambda: "ws" + self.addresses.socket.removeprefix("http"),
            web_app=self._web_app,
            remedies=lambda: self.remedies,
            cache_bytes=self._cache_bytes(),
            threads=1 if self._background is None else AWS_THREADS,
            spot_share=int(self._environment.get(Variables.SPOT_SHARE) or 0),
            warm=self._warm_pool(),
            remote_debug=bool(self._environment.get(Variables.DEBUG_ROLE)),
            arm=bool(self._environment.get(Variables.ARM_AGENT_IMAGE)),
            machine_classes=read_machines(self._environment.get(Variables.MACHINES) or ""),
            buckets=read_buckets(self._environment.get(Variables.BUCKETS) or ""),
        )

    @property
    def _builder(self) -> CodeBuild:
        registry = EcrRegistry(
            self.clients,
            self._read(Variables.IMAGE_REPOSITORY),
            self._tags,
            self._environment.get(Variables.PUSH_ROLE) or None,
            read_caches(self._environment.get(Variables.PULL_THROUGH) or "").values(),
        )
        return CodeBuild(self.clients, self._environment.get(Variables.BUILD_PROJECT), registry)

    def _collector(self) -> "Callable[[], OtlpSender] | None":
        if not self._environment.get(Variables.OTLP_ENDPOINT):
            return None
        return lambda: self._otlp

    def _log_bucket(self) -> S3Bucket | None:
        name = self._environment.get(Variables.LOG_BUCKET)
        return S3Bucket(self.clients, name) if name else None

    @cached_property
    def _otlp(self) -> "OtlpSender":
        """The sender to the collector; its libraries are only loaded where it is used."""
        from conducto_core.telemetry.otlp import OtlpSender  # noqa: PLC0415

        name = self._environment.get(Variables.OTLP_HEADERS_SECRET)
        headers = None
        if name:
            response = self.clients.get("secretsmanager").get_secret_value(SecretId=name)
            headers = read_headers(response["SecretString"])
        about = {"deployment.environment.name": self._read(Variables.STAGE)}
        return OtlpSender(self._read(Variables.OTLP_ENDPOINT), headers, attributes=about)

    def _event_rules(self) -> EventBridgeRules | None:
        function = self._environment.get(Variables.EVENT_FUNCTION)
        if function is None:
            return None
        return EventBridgeRules(self.clients, event_rule_prefix(self.site.stage), function)

    def _event_queues(self) -> SqsQueues | None:
        function = self._environment.get(Variables.EVENT_FUNCTION)
        if function is None:
            return None
        return SqsQueues(self.clients, event_queue_prefix(self.site.stage), function)

    def _warm_pool(self) -> WarmPool:
        workers = int(self._environment.get(Variables.WARM_WORKERS) or 0)
        minutes = float(self._environment.get(Variables.WARM_MINUTES) or WARM_MINUTES)
        return WarmPool(workers=workers, seconds=60 * minutes) if workers else WarmPool()

    def _cache_bytes(self) -> int:
        """Return a third of the function's memory, of which loading a pipeline takes a part."""
        return (
            int(self._environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or 1024) * (1 << 20) // 3
        )

    @property
    def _background(self) -> str | None:
        """The name of the function ``background``; None only in tests."""
        return self._environment.get(Variables.BACKGROUND_FUNCTION)

    @property
    def _invoke_background(self) -> Callable[[BackgroundEvent], None] | None:
        if self._background is None:
            return None
        invoke = self.clients.get("lambda").invoke

        def invoke_background(event: BackgroundEvent) -> None:
            payload = event.model_dump_json(exclude_defaults=True)
            invoke(FunctionName=self._background, InvocationType="Event", Payload=payload)

        return partial(invocation_chain.invoke_next, invoke_background)

    def background(self, event: object, left: Callable[[], float]) -> None:
        """Process the event of an invocation of the function ``background``."""
        found = BackgroundEvent.model_validate(event)
        invocation_chain.begin(found)
        if found.effects is not None:
            self.services.engine.deferred.execute(found.effects, left)
        if found.checks is not None:
            self.services.reconciler.check(found.checks, left)

    @cached_property
    def site(self) -> Site:
        """The site of state machines: the account of their role and the region of the functions."""
        _, partition, _, _, account, _ = self._read(Variables.MACHINE_ROLE).split(":", 5)
        return Site(self._read("AWS_REGION"), account, partition, self._read(Variables.STAGE))

    @cached_property
    def addresses(self) -> Addresses:
        """The addresses of the APIs; from SSM, or from the environment in the emulator."""
        name = self._environment.get(Variables.ADDRESSES)
        if name is None:
            return Addresses(self._read(Variables.API_URL), self._read(Variables.SOCKET_ENDPOINT))
        response = self.clients.get("ssm").get_parameter(Name=name)
        known = json.loads(response["Parameter"]["Value"])
        return Addresses(known["api"], known["socket"])

    def _web_app(self) -> str:
        """Return the web app's URL, which may change: read SSM each time (not in the emulator)."""
        return self._of_site(Variables.WEB_APP, Variables.WEB_APP_URL)

    def _addresses(self) -> list[str]:
        """Return the addresses that the ID token of a CI run may name as its audience."""
        return [address for address in (self.addresses.api, self._web_app()) if address]

    def _identity_client(self) -> list[str]:
        client = self._of_site(Variables.IDENTITY_CLIENT, Variables.IDENTITY_CLIENT_ID)
        return [client] if client else []

    def _of_site(self, parameter: str, variable: str) -> str:
        """Return an SSM parameter of the site's stack, or in the emulator a variable; or ""."""
        name = self._environment.get(parameter)
        if name is None:
            return self._environment.get(variable, "")
        with ignoring("ParameterNotFound"):  # the site's stack is not deployed yet
            return str(self.clients.get("ssm").get_parameter(Name=name)["Parameter"]["Value"])
        return ""

    def _services(self) -> dict[str, str]:
        address = self._environment.get(Variables.SLACK_URL)
        return {slack.URL_VARIABLE: address} if address else {}

    def _lend(self, activity: str, worker_id: str) -> Credentials | None:
        role = self._environment.get(Variables.POLL_ROLE)
        if not role:
            return None  # workers in the emulator use the emulator's credentials
        return WorkerCredentials(self.clients, role).lend_credentials(activity, worker_id)

    @cached_property
    def _fleet(self) -> Ecs:
        system = self._read(Variables.FILE_SYSTEM)
        files = (
            S3AccessPoints(self.site, self.clients, self._table, system)
            if self._environment.get(Variables.FILES)
            else EfsAccessPoints(self.clients, self._table, system, self.site.stage)
        )
        roles = Roles(
            execution=self._read(Variables.EXECUTION_ROLE),
            task=self._read(Variables.TASK_ROLE),
            debug=self._environment.get(Variables.DEBUG_ROLE) or None,
            named=read_task_roles(self._environment.get(Variables.TASK_ROLES, "")),
            agent_image=self._read(Variables.AGENT_IMAGE),
            arm_agent_image=self._environment.get(Variables.ARM_AGENT_IMAGE) or "",
            log_group=self._read(Variables.WORKER_LOG_GROUP),
            region=self.site.region,
            caches=read_caches(self._environment.get(Variables.PULL_THROUGH) or ""),
            buckets=BucketMounts(
                self.site,
                self._installation.buckets,
                self._environment.get(Variables.BUCKET_FILES) or "",
            ),
        )
        place = Place(
            cluster=self._read(Variables.CLUSTER),
            subnets=tuple(self._read(Variables.SUBNETS).split(",")),
            security_group=self._read(Variables.SECURITY_GROUP),
            public_ip=self._environment.get(Variables.PUBLIC_IP) != "off",
            sts=sts_endpoint(self.site.region, self.site.partition, self._environment),
            stage=self.site.stage,
        )
        definitions = TaskDefinitions(self.clients, files, roles, self.site.prefix)
        return Ecs(self.clients, definitions, place, lambda: self.addresses.api, self._tags)

    @property
    def _connections(self) -> TableConnections:
        return TableConnections(
            self._table, self.clients, lambda: self.addresses.socket, self._clock
        )

    @property
    def _tags(self) -> Tags:
        return Tags(self._read(Variables.STAGE))

    @cached_property
    def data_files(self) -> LocalDataFiles:
        """Implements the function that mounts the file system, and serves the emulator."""
        return LocalDataFiles(Path(self._read(Variables.DATA_ROOT)), self._bucket)

    @property
    def _data(self) -> DataFiles:
        if Variables.DATA_ROOT in self._environment:
            return self.data_files
        return DataFunction(self.clients, self._read(Variables.DATA_FUNCTION))

    @cached_property
    def _table(self) -> DynamoTable:
        return DynamoTable(self.clients, self._read(Variables.TABLE))

    @cached_property
    def _bucket(self) -> S3Bucket:
        return S3Bucket(self.clients, self._read(Variables.BUCKET))

    def _read(self, name: str) -> str:
        value = self._environment.get(name)
        if not value:
            raise ConfigurationError(f"the environment variable {name} is not set; deploy again")
        return value


def from_environment() -> App:
    """Return the app of this process; in Lambda, logs are lines of JSON."""
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        json_logs.set_up(json_logs.LambdaLines())
    return App(os.environ, Clients())
