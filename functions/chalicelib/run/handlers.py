"""The operations of the API in the cloud, for one caller."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from chalicelib.billing.handlers import CloudUsage
from chalicelib.billing.metering import customer_rates
from chalicelib.cache.entries import VisibleEntries
from chalicelib.data.handlers import CloudData
from chalicelib.debug.handlers import CloudDebug
from chalicelib.logs.handlers import CloudLogs
from chalicelib.notifications.sender import OrgRules
from chalicelib.partitions.handlers import CloudPartitions
from chalicelib.people.sign_in_handlers import BrowserLogin
from chalicelib.programs.handlers import CloudContinuations, CloudGitLaunches
from chalicelib.run.control import CloudActions
from chalicelib.secrets.handlers import VaultSecrets
from chalicelib.secrets.injection import inject
from chalicelib.test_results.handlers import CloudTests
from conducto.integrations.http import DeliveryError
from conducto.version import __version__
from conducto_core.api import cloud_operations, problems
from conducto_core.api.cloud_operations import WhoAmI
from conducto_core.api.operation import Permission
from conducto_core.api.pipelines import Pipelines
from conducto_core.api.serve import serves
from conducto_core.cache.lineage import AttemptFiles
from conducto_core.command.masking import Mask
from conducto_core.notifications.channels import deliver
from conducto_core.notifications.model import NotificationRecord
from conducto_core.remote import operations as remote_operations
from conducto_core.run import operations as run_operations
from conducto_core.run.model.requests import AgentStatus
from conducto_core.run.model.responses import Login
from conducto_core.secrets import handlers as secret_queries
from conducto_core.secrets import operations as secrets_operations
from conducto_core.secrets.model import DeleteSecrets, PutSecrets, SecretList


class CloudPipelines(
    CloudGitLaunches,
    CloudContinuations,
    CloudActions,
    CloudData,
    CloudDebug,
    CloudLogs,
    CloudUsage,
    CloudTests,
    CloudPartitions,
    Pipelines,
):
    """The pipelines of one organisation, with the permissions of one caller."""

    @serves(cloud_operations.WHO_AM_I)
    async def who_am_i(self) -> WhoAmI:
        """Return the caller's identity and plan."""
        plan = self._records.orgs.plan(self._me.org)
        rates = customer_rates(self._records, self._billing, self._me.org)
        return WhoAmI(
            org=self._me.org,
            user=self._me.user,
            permissions=tuple(sorted(self._me.permissions)),
            plan=plan.name,
            version=__version__,
            max_workers=plan.max_workers,
            max_cpu=plan.max_cpu,
            warm=self._installation.warm if self._installation.warm.workers else None,
            budget=plan.pipeline_budget if self._me.budget is None else self._me.budget,
            machines=tuple(each.text for each in self._installation.machine_classes.values()),
            billing=self._billing is not None,
            vcpu_hour=None if rates is None else rates.vcpu,
            gb_hour=None if rates is None else rates.gb,
        )

    @serves(remote_operations.LOGIN)
    async def make_login(self) -> Login:
        """Return a one-time address of the web app."""
        return BrowserLogin(
            self._records.tokens, self._installation.web_app, self._timing.clock
        ).make_login(self._me)

    @serves(run_operations.AGENT_STATUS)
    async def get_agent(self) -> AgentStatus:
        """Return the status of the service, which has no process id."""
        records = await asyncio.to_thread(lambda: sum(1 for _ in self._all_records()))
        return AgentStatus(
            pid=0,
            url=self._installation.url(),
            version=__version__,
            started=0.0,
            pipelines=records,
            socket=self._installation.socket() or None,
            app=self._installation.web_app() or None,
        )

    @serves(secrets_operations.SECRETS)
    async def list_secrets(self) -> SecretList:
        """List the secrets of the caller and of the organisation, without values."""
        return await asyncio.to_thread(secret_queries.listing, self._vault_secrets())

    @serves(secrets_operations.PUT_SECRETS)
    async def put_secrets(self, request: PutSecrets) -> SecretList:
        """Store secrets; commands that start later receive them."""
        self._check_scopes(secret.scope for secret in request.secrets)
        return await asyncio.to_thread(self._put_secrets, request)

    def _put_secrets(self, request: PutSecrets) -> SecretList:
        allowed = partial(self._secrets.references.check, self._me.org)
        return secret_queries.put(self._vault_secrets(), request, allowed)

    @serves(secrets_operations.DELETE_SECRETS)
    async def delete_secrets(self, request: DeleteSecrets) -> SecretList:
        """Delete secrets; commands that start later do not receive them."""
        self._check_scopes(name.scope for name in request.keys)
        return await asyncio.to_thread(secret_queries.delete, self._vault_secrets(), request)

    def cache_entries(self) -> VisibleEntries:
        """Return the entries of the organisation, without the private ones of other users."""
        return VisibleEntries(self._records.cache, self._me.org, self._me.user)

    async def files_of_commands(self, pipeline_id: str) -> Sequence[AttemptFiles]:
        """Return the files of cached commands, in the order of the tree."""
        return await asyncio.to_thread(self.cached_command_files, pipeline_id)

    def rule_store(self) -> OrgRules:
        """Return the rules that send notifications."""
        return OrgRules(self._records, self._me.org, self._me.user)

    async def deliver_now(self, message: NotificationRecord) -> DeliveryError | None:
        """Send a message with the caller's and the organisation's secrets."""
        return await asyncio.to_thread(self._deliver, message)

    def _deliver(self, message: NotificationRecord) -> DeliveryError | None:
        given = inject(self._secrets.vault, self._me.org, self._me.user)
        owner = self._me.user if "@" in self._me.user else None
        settings = replace(self._git.provider.settings, owner=owner)
        try:
            deliver("test", message, settings, given.env)
        except DeliveryError as error:
            return DeliveryError(Mask(given.env.values()).text(str(error)))
        return None

    def _check_scopes(self, scopes: Iterable[str]) -> None:
        if "org" in scopes:
            problems.check_allowed([Permission.MANAGE_ORGANISATION], self._me.permissions)

    def _vault_secrets(self) -> VaultSecrets:
        return VaultSecrets(self._secrets.vault, self._me.org, self._me.user)
