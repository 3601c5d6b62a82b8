"""What the table stores: the adapters of all features over one table, which services use directly.

They have no ports: nothing else provides them, and in tests DynamoDB is in memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.named_records import TableDocuments, TableNamedRecords
from chalicelib.cache.store import TableCache
from chalicelib.debug.store import TableShells
from chalicelib.people.store.members import TableAuditLog, TablePeople, TableTokens
from chalicelib.people.store.organisations import TableIdentities, TableOrgs
from chalicelib.remote.store import TableAgents, TableRelays
from chalicelib.run.port import Blobs
from chalicelib.run.store import JournalStore
from chalicelib.triggers.store import TableDeliveries
from conducto_core.billing.rules import FREE, BillingPlan, Remedies
from conducto_core.limits.rules import Lease, from_json, to_json
from conducto_core.notifications.model import NotificationRule
from conducto_core.people.model import Trust
from conducto_core.telemetry.model import Totals
from conducto_core.test_results.model import Quarantine
from conducto_core.triggers.model import GithubApp, QueuedLaunch, Trigger


@dataclass(frozen=True)
class Records:
    """The adapters of the table."""

    store: JournalStore
    tokens: TableTokens
    people: TablePeople
    audit: TableAuditLog
    identities: TableIdentities
    orgs: TableOrgs
    shells: TableShells
    limits: TableDocuments[Sequence[Lease]]
    telemetry: TableDocuments[Totals]
    cache: TableCache
    agents: TableAgents
    relays: TableRelays
    deliveries: TableDeliveries
    trusts: TableNamedRecords[Trust]
    rules: TableNamedRecords[NotificationRule]
    quarantines: TableNamedRecords[Quarantine]
    triggers: TableNamedRecords[Trigger]
    queue: TableNamedRecords[QueuedLaunch]
    apps: TableNamedRecords[GithubApp]

    @classmethod
    def from_table(
        cls,
        table: DynamoTable,
        blobs: Blobs,
        clock: Callable[[], float],
        first: BillingPlan = FREE,
        remedies: Callable[[], Remedies] = Remedies,
        *,
        audit_copied: bool = False,
    ) -> "Records":
        """Return the adapters of a table, whose large values are in ``blobs``.

        Args:
            first: The default plan of organisations.
            remedies: Returns how limits are lifted, for messages.
            audit_copied: Whether the audit log is copied to a bucket.
        """
        tokens = TableTokens(table, clock)
        orgs = TableOrgs(table, clock, first=first, remedies=remedies)
        return cls(
            store=JournalStore(table, blobs, orgs),
            tokens=tokens,
            people=TablePeople(table, tokens),
            audit=TableAuditLog(table, clock, copied=audit_copied),
            identities=TableIdentities(table),
            orgs=orgs,
            shells=TableShells(table, orgs, clock),
            limits=limits_in(table),
            telemetry=TableDocuments(
                table,
                table_keys.telemetry,
                "totals",
                Totals.model_validate_json,
                lambda totals: totals.model_dump_json().encode(),
            ),
            cache=TableCache(table),
            agents=TableAgents(table),
            relays=TableRelays(table, clock),
            deliveries=TableDeliveries(table, clock),
            trusts=TableNamedRecords(table, table_keys.trust, Trust),
            rules=TableNamedRecords(table, table_keys.notification_rule, NotificationRule),
            quarantines=TableNamedRecords(table, table_keys.quarantine, Quarantine),
            triggers=TableNamedRecords(table, table_keys.trigger, Trigger),
            queue=TableNamedRecords(table, table_keys.queued_launch, QueuedLaunch),
            apps=TableNamedRecords(table, table_keys.github_app, GithubApp),
        )


def limits_in(table: DynamoTable) -> TableDocuments[Sequence[Lease]]:
    """Return the leases of named limits, by organisation."""
    return TableDocuments(
        table,
        table_keys.limits,
        "leases",
        lambda document: from_json(document.decode()),
        lambda leases: to_json(leases).encode(),
    )
